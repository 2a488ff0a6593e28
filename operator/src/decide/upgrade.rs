//! Upgrades of a pair's image: the standby's pod is made anew, the roles change as planned, and the
//! old active's pod is made anew as the standby. Each step begins when the pair is Normal.
//!
//! What is next follows from the images of the pods, so that an upgrade goes on after a crash, a
//! failover, or an edit in the middle of it: only the image that is aimed at changes. An upgrade that
//! fails goes the same way back, and is not tried again until the spec changes.

use std::time::Duration;

use super::health::Health;
use super::orders::REBUILD_BUDGET;
use super::transition::{Scene, sentence};
use crate::desired::{Desired, ImageUpgrades};
use crate::observation::{Observation, PodFacts, TtContainer};
use crate::pair::{Both, Ordinal};
use crate::standing::upgrade::{Failed, Phase, Upgrade, Upgrades};
use crate::standing::{Ending, Occasion, Outcome, Standing, State};

/// The pause after a change of roles that was given up; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause between two.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How many changes of roles are given up in a row before the upgrade is.
pub const TRIES: u32 = 3;

/// What an upgrade follows from.
struct View<'a> {
    seen: &'a Observation,
    desired: &'a Desired,
    health: &'a Both<Health>,
}

/// Takes an upgrade as far as it is seen to be: begun, aimed at another image, turned back, ended.
pub(super) fn advance(
    standing: &mut Standing,
    seen: &Observation,
    desired: &Desired,
    health: &Both<Health>,
) {
    let mut upgrades = standing.upgrades.clone();
    heed(&mut upgrades, desired);
    let view = View { seen, desired, health };
    let guarded = !hands_off(standing.state);
    match (desired.image_upgrades, upgrades.now.take()) {
        (ImageUpgrades::Manual, upgrade) => {
            upgrades.image = seen.owned.image.clone().or(upgrades.image);
            if upgrade.is_some() {
                let text = "Upgrade given up: imageUpgradeStrategy is Manual now";
                upgrades.last = Some(view.ending(Outcome::GivenUp, text.into()));
            }
        }
        (ImageUpgrades::Automatic, None) => view.begin(standing, &mut upgrades),
        (ImageUpgrades::Automatic, Some(upgrade)) if guarded => {
            view.go_on(standing, upgrade, &mut upgrades);
        }
        (ImageUpgrades::Automatic, upgrade) => upgrades.now = upgrade,
    }
    standing.upgrades = upgrades;
}

/// Another image, or a word of the user, makes a failure one of the past.
fn heed(upgrades: &mut Upgrades, desired: &Desired) {
    if upgrades.reset != desired.reset_upgrade_state {
        upgrades.reset.clone_from(&desired.reset_upgrade_state);
        upgrades.now = None;
        upgrades.failed = None;
    }
    if upgrades.failed.as_ref().is_some_and(|failed| failed.image != desired.image) {
        upgrades.failed = None;
    }
}

const fn hands_off(state: State) -> bool {
    matches!(state, State::ManualInterventionRequired | State::Reexamine | State::Failed)
}

impl View<'_> {
    fn pod(&self, member: Ordinal) -> Option<&PodFacts> {
        self.seen.members[member].pod()
    }

    fn has(&self, member: Ordinal, image: &str) -> bool {
        self.pod(member).is_some_and(|pod| pod.image.as_deref() == Some(image))
    }

    /// Both databases serve in their roles: the one time at which one of them may be stopped.
    fn whole(&self, standing: &Standing) -> bool {
        standing.state == State::Normal
            && standing.switchover.is_none()
            && self.health.iter().all(|(_, health)| *health == Health::Healthy)
    }

    fn ending(&self, outcome: Outcome, text: String) -> Ending {
        Ending { outcome, text, at: self.seen.now }
    }

    /// An upgrade begins in a pair that is whole, if there is a reason for it.
    fn begin(&self, standing: &Standing, upgrades: &mut Upgrades) {
        let wanted = &self.desired.image;
        // There is nothing yet that could be lost.
        if standing.state == State::Initializing {
            upgrades.image = Some(wanted.clone());
            return;
        }
        if upgrades.image.is_none() {
            upgrades.image.clone_from(&self.seen.owned.image);
        }
        let known = self.pod(standing.active).and_then(|pod| pod.image.clone());
        let (Some(from), Some(template)) = (known, &self.seen.owned.image) else { return };
        let as_wanted =
            template == wanted && Ordinal::ALL.iter().all(|member| self.has(*member, wanted));
        if !as_wanted && upgrades.failed.is_none() && self.whole(standing) {
            upgrades.now = Some(Upgrade {
                from,
                to: wanted.clone(),
                phase: Phase::Standby,
                tries: 0,
                began: self.seen.now,
            });
        }
    }

    fn go_on(&self, standing: &Standing, mut upgrade: Upgrade, upgrades: &mut Upgrades) {
        let wanted = &self.desired.image;
        if upgrades.failed.is_some() || *wanted == upgrade.from {
            turn(&mut upgrade, Phase::Back);
        } else if *wanted != upgrade.to || upgrade.phase == Phase::Back {
            upgrade.to.clone_from(wanted);
            turn(&mut upgrade, Phase::Standby);
        }
        if self.gave_up(standing) {
            upgrade.tries = upgrade.tries.saturating_add(1);
        }
        if let Some(why) = self.failure(standing, &upgrade) {
            upgrades.failed = Some(Failed { image: upgrade.to.clone(), why });
            turn(&mut upgrade, Phase::Back);
        }
        let target = upgrade.target().to_owned();
        let there = self.whole(standing) && self.seen.owned.image.as_ref() == Some(&target);
        upgrades.image = Some(target.clone());
        let has = |member| self.has(member, &target);
        if there && has(standing.active) && has(standing.standby()) {
            upgrades.last = Some(self.end(&upgrade, upgrades.failed.as_ref()));
            return;
        }
        if there && upgrade.phase == Phase::Standby && Ordinal::ALL.into_iter().any(has) {
            upgrade.phase = Phase::Active;
        }
        upgrades.now = Some(upgrade);
    }

    /// A change of roles that was begun for the upgrade has been given up.
    fn gave_up(&self, standing: &Standing) -> bool {
        let was = &self.seen.standing;
        was.state == State::Switchover
            && was.switchover.is_some_and(|planned| planned.occasion == Occasion::Upgrade)
            && standing.state != State::Switchover
            && standing.active == was.active
    }

    /// Why an upgrade cannot go on.
    fn failure(&self, standing: &Standing, upgrade: &Upgrade) -> Option<String> {
        if upgrade.phase == Phase::Back {
            return None;
        }
        let name = |member: Ordinal| &self.seen.members[member].name;
        let says = |member: Ordinal| format!("{} {}", name(member), sentence(&self.health[member]));
        let (active, standby) = (standing.active, standing.standby());
        let limit = self.desired.timeouts.upgrade;
        let same = standing.state == self.seen.standing.state;
        match standing.state {
            State::StandbyDown if same && limit.is_some_and(|limit| self.seen.in_state > limit) => {
                let seconds = limit.unwrap_or_default().as_secs();
                Some(format!("the standby did not come back within {seconds} s: {}", says(standby)))
            }
            State::StandbyDown | State::StandbyStarting | State::StandbyCatchup
                if standing.rebuild_failures >= REBUILD_BUDGET =>
            {
                let count = standing.rebuild_failures;
                Some(format!("the standby, {}, could not be copied {count} times", name(standby)))
            }
            State::ActiveDown if self.has(active, &upgrade.to) => {
                Some(format!("the active with the new image failed: {}", says(active)))
            }
            State::BothDown | State::WaitingForActive => {
                Some(format!("neither database works: {}; {}", says(active), says(standby)))
            }
            State::Normal if upgrade.tries >= TRIES => {
                let last = self.seen.standing.switched.as_ref();
                let why = last.map(|last| last.text.clone()).unwrap_or_default();
                Some(format!("the roles could not be changed {TRIES} times; last: {why}"))
            }
            _ => None,
        }
    }

    fn end(&self, upgrade: &Upgrade, failed: Option<&Failed>) -> Ending {
        let Upgrade { from, to, phase, began, .. } = upgrade;
        let seconds = self.seen.now.as_second().saturating_sub(began.as_second());
        match (phase, failed) {
            (Phase::Back, Some(Failed { why, .. })) => {
                let text =
                    format!("Upgrade to {to} failed, and both pods have {from} again: {why}");
                self.ending(Outcome::GivenUp, text)
            }
            (Phase::Back, None) => {
                let text = format!("Upgrade to {to} was taken back, and both pods have {from}");
                self.ending(Outcome::Done, text)
            }
            (Phase::Standby | Phase::Active, _) => {
                let text = format!("Upgrade completed in {seconds} secs: both pods have {to}");
                self.ending(Outcome::Done, text)
            }
        }
    }
}

fn turn(upgrade: &mut Upgrade, phase: Phase) {
    if upgrade.phase != phase {
        upgrade.phase = phase;
        upgrade.tries = 0;
    }
}

/// The standby has the image that is aimed at, and the active has not: the roles have to change.
pub(super) fn wants_roles_changed(scene: &Scene<'_>) -> bool {
    let standing = &scene.seen.standing;
    let Some(upgrade) = &standing.upgrades.now else { return false };
    let image = |member: Ordinal| scene.seen.members[member].pod().and_then(|p| p.image.as_deref());
    let target = Some(upgrade.target());
    let rested = upgrade.tries == 0 || scene.seen.in_state > pause(upgrade.tries);
    let automatic = scene.desired.image_upgrades == ImageUpgrades::Automatic;
    let aimed = automatic && rested && upgrade.phase != Phase::Standby;
    let there = scene.seen.owned.image.as_deref() == target;
    aimed && there && image(standing.standby()) == target && image(standing.active) != target
}

fn pause(tries: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(8)).min(LONGEST_PAUSE)
}

/// The pod that has to go, because the one that follows it has the image that is aimed at.
///
/// A database that runs is stopped only as a standby: of a pair that is whole, or on the way back of
/// one whose standby did not come. A pod in which nothing runs holds nothing up but itself.
pub(super) fn replaced(
    now: &Standing,
    seen: &Observation,
    health: &Both<Health>,
    desired: &Desired,
) -> Option<Ordinal> {
    let view = View { seen, desired, health };
    let target =
        now.upgrades.target().filter(|image| seen.owned.image.as_deref() == Some(image))?;
    if hands_off(now.state) {
        return None;
    }
    let outdated = |member: Ordinal| {
        let old = |pod: &PodFacts| pod.image.as_deref().is_some_and(|image| image != target);
        view.pod(member).is_some_and(|pod| old(pod) && !pod.terminating)
    };
    let stuck = |member: Ordinal| {
        let waits = |pod: &PodFacts| matches!(pod.tt, TtContainer::Waiting { .. });
        outdated(member) && view.pod(member).is_some_and(waits)
    };
    let (active, standby) = (now.active, now.standby());
    let upgrade = now.upgrades.now.as_ref();
    let back = upgrade.is_some_and(|upgrade| upgrade.phase == Phase::Back);
    let new = now.state == State::Initializing;
    if stuck(standby) && (upgrade.is_some() || new) {
        return Some(standby);
    }
    if stuck(active) && (back || new) {
        return Some(active);
    }
    let alone =
        matches!(now.state, State::StandbyDown | State::StandbyStarting | State::StandbyCatchup);
    // One that has only changed its role gets the time to follow the new active.
    let long = seen.in_state > desired.timeouts.unreachable;
    let serves_alone = back && alone && long && health[active].serves();
    let may = upgrade.is_some() && (view.whole(now) || serves_alone);
    (may && outdated(standby)).then_some(standby)
}

/// What is said of an image that the spec asks for and the pods do not have: a word, and a sentence.
#[must_use]
pub fn pending(
    standing: &Standing,
    seen: &Observation,
    desired: &Desired,
) -> Option<(&'static str, String)> {
    let (upgrades, wanted) = (&standing.upgrades, &desired.image);
    if desired.image_upgrades == ImageUpgrades::Manual {
        return None;
    }
    let name = |member: Ordinal| &seen.members[member].name;
    if let Some(Upgrade { from, to, phase, .. }) = &upgrades.now {
        let why = upgrades.failed.as_ref().map(|failed| format!(": {}", failed.why));
        let sentence = match phase {
            Phase::Standby => {
                format!(
                    "Upgrade to {to}: the standby's pod, {}, comes first",
                    name(standing.standby())
                )
            }
            Phase::Active => format!(
                "Upgrade to {to}: the standby has it; the roles are changed, and then the old \
                 active's pod is made anew"
            ),
            Phase::Back => {
                format!("Upgrade to {to} goes back to {from}{}", why.unwrap_or_default())
            }
        };
        return Some((phase.word(), sentence));
    }
    if let Some(failed) = &upgrades.failed {
        let sentence = format!(
            "the upgrade to {} has failed: {}; to try again change spec.ttspec.resetUpgradeState, \
             or write another image",
            failed.image, failed.why
        );
        return Some(("UpgradeFailed", sentence));
    }
    let has = |member: Ordinal| {
        let image = seen.members[member].pod().and_then(|pod| pod.image.as_ref());
        image.is_none_or(|image| image == wanted)
    };
    let held = upgrades.image.as_ref().is_some_and(|image| image != wanted);
    if standing.state != State::Initializing && (held || !Ordinal::ALL.into_iter().all(has)) {
        let sentence = format!("the upgrade to {wanted} begins when the pair is Normal");
        return Some(("UpgradeQueued", sentence));
    }
    None
}
