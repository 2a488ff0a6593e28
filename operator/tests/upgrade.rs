//! Upgrades of a pair's image over all combinations of states, phases, images and what members show:
//! which pod may be deleted, what may begin when, and that a crash at any write changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{LONG, NAMES, SHORT, heard, serving};
use rstest::rstest;
use timesten_operator::agent::{Db, Facts, RepState};
use timesten_operator::crd::TimesTenClassicStatus;
use timesten_operator::decide::{Plan, decide};
use timesten_operator::desired::{Desired, ImageUpgrades};
use timesten_operator::objects::{self, Parts};
use timesten_operator::observation::{
    Markers, Member, Observation, Owned, Pod, PodFacts, Role, TtContainer,
};
use timesten_operator::operator::Identity;
use timesten_operator::pair::{Both, Ordinal};
use timesten_operator::report;
use timesten_operator::standing::upgrade::{Failed, Phase, Upgrade, Upgrades};
use timesten_operator::standing::{Occasion, Outcome, Standing, State};

/// What a member shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    NoPod,
    Waiting,
    Dying,
    Unloaded,
    Good,
}

const SHOWN: [Shown; 5] =
    [Shown::NoPod, Shown::Waiting, Shown::Dying, Shown::Unloaded, Shown::Good];

fn member(name: &str, shown: Shown, image: &str, role: Role) -> Member {
    let rep_state = if role == Role::Active { RepState::Active } else { RepState::Standby };
    let good = serving(rep_state);
    let facts = match shown {
        Shown::Unloaded => Facts { db: Db::Unloaded, ..good },
        _ => good,
    };
    let tt = match shown {
        Shown::Waiting => TtContainer::Waiting { reason: "ImagePullBackOff".into() },
        _ => TtContainer::Running,
    };
    let pod = PodFacts {
        terminating: shown == Shown::Dying,
        tt,
        image: Some(image.into()),
        ready: true,
        ..common::pod(name, Some(role))
    };
    Member {
        pod: if shown == Shown::NoPod { Pod::Absent } else { Pod::Present(pod) },
        markers: Markers { active: Some(role == Role::Active), ready: Some(true) },
        ..common::member(name, heard(facts), Some(role))
    }
}

/// One combination.
#[derive(Clone, Copy, Debug)]
struct Facet {
    state: State,
    phase: Option<Phase>,
    failed: bool,
    manual: bool,
    wanted: &'static str,
    template: Option<&'static str>,
    images: [&'static str; 2],
    shown: [Shown; 2],
    since: Duration,
}

const GOOD: Facet = Facet {
    state: State::Normal,
    phase: None,
    failed: false,
    manual: false,
    wanted: "new",
    template: Some("old"),
    images: ["old", "old"],
    shown: [Shown::Good, Shown::Good],
    since: LONG,
};

impl Facet {
    fn seen(&self, template: &Desired) -> Observation {
        let mut desired = template.clone();
        desired.image = self.wanted.into();
        if self.manual {
            desired.image_upgrades = ImageUpgrades::Manual;
        }
        let now = self.phase.map(|phase| Upgrade {
            from: "old".into(),
            to: "new".into(),
            phase,
            tries: 0,
            began: jiff::Timestamp::UNIX_EPOCH,
        });
        let failed = self.failed.then(|| Failed { image: "new".into(), why: "a reason".into() });
        let image = now.as_ref().map_or("old", |upgrade| upgrade.target()).to_owned();
        let upgrades = Upgrades { image: Some(image), now, failed, ..Upgrades::default() };
        let members = Both {
            zero: member(NAMES[0], self.shown[0], self.images[0], Role::Active),
            one: member(NAMES[1], self.shown[1], self.images[1], Role::Standby),
        };
        let standing = Standing { upgrades, ..common::standing(self.state) };
        Observation {
            in_state: self.since,
            rebuild_age: self.since,
            owned: Owned { image: self.template.map(Into::into), ..Owned::default() },
            ..common::seen(Arc::new(desired), standing, members)
        }
    }

    /// What must hold of every plan.
    fn judge(&self, seen: &Observation, plan: &Plan) -> Result<(), String> {
        let now = &plan.standing;
        let begins = seen.standing.upgrades.now.is_none() && now.upgrades.now.is_some();
        let failed = self.failed && self.wanted == "new";
        if begins && (now.state != State::Normal || failed || self.manual) {
            return Err("an upgrade begins that must wait".into());
        }
        if now.upgrades.now.is_none() && self.phase.is_none() && self.manual {
            return Ok(());
        }
        let Some(ordinal) = plan.replace else { return Ok(()) };
        let shown = |ordinal: Ordinal| self.shown[ordinal.number()];
        let image = self.images[ordinal.number()];
        if Some(image) == now.upgrades.target() || self.template != now.upgrades.target() {
            return Err("a pod is deleted that comes back as it was".into());
        }
        if plan.delete.is_some() || shown(ordinal) == Shown::Dying {
            return Err("a pod is deleted twice".into());
        }
        let hands_off = [State::ManualInterventionRequired, State::Reexamine, State::Failed]
            .contains(&now.state);
        if hands_off {
            return Err("a pod is deleted that a human looks after".into());
        }
        if shown(ordinal) == Shown::Waiting {
            return Ok(());
        }
        if ordinal == now.active {
            return Err("the active is stopped".into());
        }
        if shown(now.active) != Shown::Good {
            return Err("a standby is stopped whose active does not serve".into());
        }
        Ok(())
    }

    /// The operator dies after it has recorded the plan.
    fn replay(&self, seen: &Observation, plan: &Plan) -> Result<(), String> {
        let mut seen = seen.clone();
        seen.in_state = Duration::ZERO;
        seen.standing = plan.standing.clone();
        let again = decide(&seen);
        self.judge(&seen, &again).map_err(|what| format!("after a crash: {what}"))
    }
}

fn template() -> Desired {
    common::desired("image: old")
}

/// All combinations of what is on record, asked for and in the template.
fn records(state: State) -> Vec<Facet> {
    let mut all = Vec::new();
    for phase in [None, Some(Phase::Standby), Some(Phase::Active), Some(Phase::Back)] {
        for (failed, manual) in [(false, false), (true, false), (false, true)] {
            for wanted in ["old", "new", "third"] {
                for template in [None, Some("old"), Some("new"), Some("third")] {
                    all.push(Facet { state, phase, failed, manual, wanted, template, ..GOOD });
                }
            }
        }
    }
    all
}

#[rstest]
fn no_pod_is_deleted_that_is_needed() {
    let template = template();
    let (mut count, mut replaced) = (0, 0);
    for record in State::ALL.into_iter().flat_map(records) {
        for since in [SHORT, LONG] {
            for zero in SHOWN {
                for one in SHOWN {
                    for images in [["old", "old"], ["old", "new"], ["new", "old"], ["new", "new"]] {
                        let facet = Facet { images, shown: [zero, one], since, ..record };
                        let seen = facet.seen(&template);
                        let plan = decide(&seen);
                        let judged = facet.judge(&seen, &plan);
                        if let Err(what) = judged.and_then(|()| facet.replay(&seen, &plan)) {
                            panic!("{what}\n{facet:?}\n{plan:#?}");
                        }
                        count += 1;
                        replaced += usize::from(plan.replace.is_some());
                    }
                }
            }
        }
    }
    println!("{count} decisions, {replaced} pods replaced");
    assert!(count > 200_000 && replaced > 1000, "nothing was tested: {count}, {replaced}");
}

/// What a step of an upgrade comes to: the phase that is on record after it, the pod that goes, and
/// whether the roles begin to change.
#[rstest]
#[case::nothing_to_do(Facet { wanted: "old", ..GOOD }, None, None, false)]
#[case::begins(GOOD, Some(Phase::Standby), None, false)]
#[case::waits_for_the_template(
    Facet { phase: Some(Phase::Standby), ..GOOD }, Some(Phase::Standby), None, false
)]
#[case::the_standby_goes_first(
    Facet { phase: Some(Phase::Standby), template: Some("new"), ..GOOD },
    Some(Phase::Standby), Some(Ordinal::One), false
)]
#[case::the_standby_has_it(
    Facet { phase: Some(Phase::Standby), template: Some("new"), images: ["old", "new"], ..GOOD },
    Some(Phase::Active), None, false
)]
#[case::the_roles_change(
    Facet { phase: Some(Phase::Active), template: Some("new"), images: ["old", "new"], ..GOOD },
    Some(Phase::Active), None, true
)]
#[case::the_old_active_goes(
    Facet { phase: Some(Phase::Active), template: Some("new"), images: ["new", "old"], ..GOOD },
    Some(Phase::Active), Some(Ordinal::One), false
)]
#[case::done(
    Facet { phase: Some(Phase::Active), template: Some("new"), images: ["new", "new"], ..GOOD },
    None, None, false
)]
#[case::it_does_not_come(
    Facet {
        phase: Some(Phase::Standby),
        state: State::StandbyDown,
        template: Some("new"),
        images: ["old", "new"],
        shown: [Shown::Good, Shown::Waiting],
        ..GOOD
    },
    Some(Phase::Back), None, false
)]
#[case::what_waits_goes_on_the_way_back(
    Facet {
        phase: Some(Phase::Back),
        failed: true,
        state: State::StandbyDown,
        images: ["old", "new"],
        shown: [Shown::Good, Shown::Waiting],
        ..GOOD
    },
    Some(Phase::Back), Some(Ordinal::One), false
)]
#[case::the_roles_change_on_the_way_back(
    Facet { phase: Some(Phase::Back), failed: true, images: ["new", "old"], ..GOOD },
    Some(Phase::Back), None, true
)]
#[case::back_again(Facet { phase: Some(Phase::Back), failed: true, ..GOOD }, None, None, false)]
#[case::not_tried_again(Facet { failed: true, ..GOOD }, None, None, false)]
#[case::queued(Facet { state: State::StandbyDown, ..GOOD }, None, None, false)]
#[case::set_back(
    Facet { phase: Some(Phase::Standby), wanted: "old", images: ["old", "new"], ..GOOD },
    Some(Phase::Back), Some(Ordinal::One), false
)]
#[case::a_third_image(
    Facet { phase: Some(Phase::Active), wanted: "third", template: Some("third"), ..GOOD },
    Some(Phase::Standby), Some(Ordinal::One), false
)]
#[case::both_down(
    Facet {
        phase: Some(Phase::Standby),
        state: State::BothDown,
        template: Some("new"),
        images: ["old", "new"],
        shown: [Shown::Unloaded, Shown::Waiting],
        ..GOOD
    },
    Some(Phase::Back), None, false
)]
#[case::a_wrong_image_at_first(
    Facet {
        state: State::Initializing,
        template: Some("new"),
        shown: [Shown::Waiting, Shown::Waiting],
        ..GOOD
    },
    None, Some(Ordinal::One), false
)]
fn steps(
    #[case] facet: Facet,
    #[case] phase: Option<Phase>,
    #[case] replaced: Option<Ordinal>,
    #[case] switches: bool,
) {
    let plan = decide(&facet.seen(&template()));
    let now = &plan.standing;
    assert_eq!(now.upgrades.now.as_ref().map(|upgrade| upgrade.phase), phase, "{now:#?}");
    assert_eq!(plan.replace, replaced, "{now:#?}");
    let occasion = now.switchover.map(|switchover| switchover.occasion);
    assert_eq!(occasion == Some(Occasion::Upgrade), switches, "{now:#?}");
}

#[test]
fn a_failure_is_told_and_forgotten_on_demand() {
    let back = Facet { phase: Some(Phase::Back), failed: true, ..GOOD };
    let plan = decide(&back.seen(&template()));
    let last = plan.standing.upgrades.last.unwrap();
    assert_eq!(last.outcome, Outcome::GivenUp);
    assert_eq!(last.text, "Upgrade to new failed, and both pods have old again: a reason");
    let mut desired = template();
    desired.reset_upgrade_state = "again".into();
    let plan = decide(&Facet { failed: true, ..GOOD }.seen(&desired));
    assert_eq!(plan.standing.upgrades.now.unwrap().to, "new");
    assert_eq!(plan.standing.upgrades.failed, None);
}

#[rstest]
#[case::none(None, false)]
#[case::standby(Some(Phase::Standby), false)]
#[case::active(Some(Phase::Active), false)]
#[case::back(Some(Phase::Back), true)]
fn what_is_remembered_survives_a_restart(#[case] phase: Option<Phase>, #[case] failed: bool) {
    for shown in [Shown::Good, Shown::NoPod] {
        let facet = Facet { phase, failed, shown: [Shown::Good, shown], ..GOOD };
        let seen = facet.seen(&template());
        let plan = decide(&seen);
        let identity = Identity { instance: "a".into(), controller: "b".into() };
        let status = report::status(&TimesTenClassicStatus::default(), &seen, &plan, &identity);
        assert_eq!(report::standing(Some(&status)).upgrades, plan.standing.upgrades);
    }
}

/// The image of the StatefulSet that is made of a spec with the image `old`.
#[rstest]
#[case::as_upgrades_say(Some("new"), false, "new")]
#[case::by_hand(Some("new"), true, "old")]
#[case::of_a_new_object(None, false, "old")]
fn the_image_of_the_template(
    #[case] image: Option<&str>,
    #[case] manual: bool,
    #[case] wanted: &str,
) {
    let mut desired = template();
    if manual {
        desired.image_upgrades = ImageUpgrades::Manual;
    }
    let parts = Parts { image: image.map(Into::into), ..Parts::default() };
    let set = objects::wanted(&desired, &parts).stateful_set;
    let pod = set.spec.unwrap().template.spec.unwrap();
    let inits = pod.init_containers.unwrap();
    let images: Vec<_> = pod.containers.iter().chain(&inits).map(|c| c.image.clone()).collect();
    assert!(images.len() > 2);
    assert!(images.iter().all(|image| image.as_deref() == Some(wanted)), "{images:?}");
}
