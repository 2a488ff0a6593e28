//! The decision core over all combinations of abstract facts: states, roles, rebuild modes, planned
//! changes of roles, upgrades, intents, timers, and what each member shows. For every one:
//!
//! 1. no panic;
//! 2. never two actives that can be written (I1);
//! 3. no destruction and no promotion without proof, and none that is not on record (I2, I4, I7);
//! 4. always a reason and a time to look again, and at rest after a few passes if nothing changes (I6);
//! 5. after a crash behind any prefix of what the plan does, the next plan keeps all this (I16);
//! 6. with the members exchanged, the plan is the same with the members exchanged.
//!
//! What it decides is counted, and the counts are compared with those of before: `snapshots/decide/`.
//! A release build takes every combination; a debug build, which is some ten times slower, takes one
//! in [`SHARE`], evenly spread. Databases without replication and subscribers have tables of their own
//! (`replicas.rs`, `subscribers/`), and so have the images of an upgrade (`upgrade.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cleanup;
#[path = "../common/mod.rs"]
mod common;
mod counted;
mod drawn;
mod laws;
mod mirror;

use std::sync::Arc;
use std::time::Duration;

use common::{IMAGE, LONG, NAMES, SHORT as SOON, facts, incarnation, serving};
use timesten_operator::agent::{
    Daemon, Db, Facts, Files, PeerState, RepScheme, RepState, RunState,
};
use timesten_operator::decide::{Order, decide};
use timesten_operator::desired::{Desired, FencingPolicy};
use timesten_operator::observation::{
    Agent, Heard, Markers, Member, Observation, Owned, Pod, PodFacts, Quiet, Role, Silence,
    TtContainer,
};
use timesten_operator::pair::{Both, Ordinal};
use timesten_operator::standing::upgrade::{Phase, Upgrade, Upgrades};
use timesten_operator::standing::{
    Intent, Irreversible, Occasion, Rebuild, Stage, Standing, State, Switchover,
};

/// The image that the pair had, and the one that is asked for.
const OLD: &str = "registry.example/timesten:22.1.1.35.0";
const NEW: &str = "registry.example/timesten:22.1.1.36.0";

/// Of so many combinations one is taken. It has no divisor in common with the size of any dimension,
/// so that every value of each is met with every value of every other.
const SHARE: usize = if cfg!(debug_assertions) { COUNTED } else { 1 };

/// Of so many combinations one is counted in the census of decisions, whatever the build.
const COUNTED: usize = 23;

/// The abstract facts of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    NoPod,
    Dying,
    Ended,
    Restarted,
    Silent,
    Refuses,
    DaemonDown,
    NoDatabase,
    Unloaded,
    Loading,
    Closed,
    /// New: cachegroups.sql is there and has not been run.
    Uncached,
    /// Without a scheme, with a cache group, and its cache agent has stopped.
    Cached,
    Says(RepState, RunState, PeerState),
}

/// Everything a member can show, in abstract.
fn shown() -> Vec<Shown> {
    let mut all = vec![
        Shown::NoPod,
        Shown::Dying,
        Shown::Ended,
        Shown::Restarted,
        Shown::Silent,
        Shown::Refuses,
        Shown::DaemonDown,
        Shown::NoDatabase,
        Shown::Unloaded,
        Shown::Loading,
        Shown::Closed,
        Shown::Uncached,
        Shown::Cached,
    ];
    for state in [
        RepState::Active,
        RepState::Standby,
        RepState::Idle,
        RepState::Recovering,
        RepState::Failed,
        RepState::Unknown,
    ] {
        for agent in [RunState::Running, RunState::NotRunning] {
            for peer in [PeerState::Start, PeerState::Failed] {
                all.push(Shown::Says(state, agent, peer));
            }
        }
    }
    all
}

fn pod(name: &str, shown: Shown, role: Option<Role>) -> PodFacts {
    let tt = match shown {
        Shown::Ended => TtContainer::Ended { reason: "Error".into() },
        _ => TtContainer::Running,
    };
    PodFacts {
        incarnation: incarnation(name, i32::from(shown == Shown::Restarted)),
        terminating: shown == Shown::Dying,
        tt,
        ..common::pod(name, role)
    }
}

fn member(name: &str, shown: Shown, role: Option<Role>, since: Duration) -> Member {
    let heard = |facts| Agent::Heard(Heard { facts, asked: SOON, unchanged: since });
    let silent = |how| Agent::Silent { since, how };
    let agent = match shown {
        Shown::NoPod | Shown::Ended | Shown::Restarted => {
            Agent::NotYet { waited: since, how: None }
        }
        Shown::Dying => {
            let good = Shown::Says(RepState::Active, RunState::Running, PeerState::Start);
            member(name, good, role, since).agent
        }
        Shown::Silent => silent(Silence::Mute("no answer".into())),
        Shown::Refuses => silent(Silence::Refused("HTTP 401".into())),
        Shown::DaemonDown => heard(Facts { daemon: Daemon::Down, ..facts(Db::Unknown) }),
        Shown::NoDatabase => heard(facts(Db::None)),
        Shown::Unloaded => heard(facts(Db::Unloaded)),
        Shown::Loading => heard(facts(Db::Loading)),
        Shown::Closed => heard(Facts { open: Some(false), ..serving(RepState::Active) }),
        Shown::Uncached | Shown::Cached => heard(Facts {
            files: Files { cache_groups: Some(true), ..Files::default() },
            n_cache_groups: Some(u64::from(shown == Shown::Cached)),
            rep_scheme: RepScheme::None,
            rep_state: RepState::Idle,
            rep_agent: RunState::NotRunning,
            cache_agent: RunState::NotRunning,
            open: Some(true),
            ..facts(Db::Loaded)
        }),
        Shown::Says(rep_state, rep_agent, peer_state) => {
            heard(Facts { rep_agent, peer_state, ..serving(rep_state) })
        }
    };
    Member {
        pod: if shown == Shown::NoPod { Pod::Absent } else { Pod::Present(pod(name, shown, role)) },
        markers: Markers { active: Some(false), ready: Some(false) },
        ..common::member(name, agent, role)
    }
}

/// One combination.
#[derive(Clone, Copy, Debug)]
struct Facet {
    state: State,
    active: Ordinal,
    rebuild: Rebuild,
    stage: Option<Stage>,
    quiet: Quiet,
    upgrade: Option<Phase>,
    policy: FencingPolicy,
    intent: Option<(Irreversible, Ordinal)>,
    since: Duration,
    routed: bool,
    shown: [Shown; 2],
}

impl Facet {
    fn seen(&self, template: &[Arc<Desired>; 2]) -> Observation {
        let [confirmed, routed] = template;
        let desired = if self.policy == FencingPolicy::Confirmed { confirmed } else { routed };
        let standing = Standing {
            rebuild: self.rebuild,
            switchover: self.stage.map(|stage| Switchover {
                occasion: if self.upgrade.is_some() { Occasion::Upgrade } else { Occasion::Asked },
                stage,
                since: jiff::Timestamp::UNIX_EPOCH,
            }),
            intent: self.intent.map(|(act, member)| Intent {
                act,
                member,
                uid: incarnation(NAMES[member.number()], 0).uid,
                term: 7,
                unproven: false,
                why: "a reason".into(),
                at: jiff::Timestamp::UNIX_EPOCH,
            }),
            upgrades: self.upgrades(),
            active: self.active,
            ..common::standing(self.state)
        };
        let members = Both::each(|o| self.member(o));
        let image = standing.upgrades.target().map(str::to_owned);
        Observation {
            finalized: self.routed,
            in_state: self.since,
            intent_age: self.intent.map(|_| self.since),
            rebuild_age: self.since,
            owned: Owned { image, ..Owned::default() },
            ..common::seen(Arc::clone(desired), standing, members)
        }
    }

    fn member(&self, ordinal: Ordinal) -> Member {
        let number = ordinal.number();
        let role = (self.routed && ordinal == self.active).then_some(Role::Active);
        let mut one = member(NAMES[number], self.shown[number], role, self.since);
        if ordinal == self.active {
            one.quiet = self.quiet;
        }
        if let Pod::Present(pod) = &mut one.pod {
            // The standby has got the other image once it is the active's turn.
            let turned = matches!(self.upgrade, Some(Phase::Active | Phase::Back));
            let new = turned && ordinal != self.active;
            pod.image = self.upgrade.map(|_| if new { NEW } else { OLD }.to_owned());
        }
        one
    }

    fn upgrades(&self) -> Upgrades {
        let now = self.upgrade.map(|phase| Upgrade {
            from: OLD.into(),
            to: NEW.into(),
            phase,
            tries: 0,
            began: jiff::Timestamp::UNIX_EPOCH,
        });
        Upgrades {
            image: now.as_ref().map(|upgrade| upgrade.target().into()),
            now,
            ..Upgrades::default()
        }
    }
}

fn templates() -> [Arc<Desired>; 2] {
    let desired = common::desired(IMAGE);
    let with = |policy| {
        let mut desired = desired.clone();
        desired.fencing_policy = policy;
        Arc::new(desired)
    };
    [with(FencingPolicy::Confirmed), with(FencingPolicy::RouteFenced)]
}

/// Everything that may be on record in a state: how the standby is brought back, how far a planned
/// change of roles is, and an upgrade.
fn records(state: State) -> Vec<Facet> {
    let progress = if state == State::Switchover {
        let quiesce = [Quiet::No, Quiet::Asked(LONG), Quiet::Ended, Quiet::Drained];
        let mut all = quiesce.map(|quiet| (Some(Stage::Quiesce), quiet)).to_vec();
        all.push((Some(Stage::Handover), Quiet::Drained));
        all
    } else {
        vec![(None, Quiet::No), (Some(Stage::Undo), Quiet::No)]
    };
    let mut kinds = vec![(Rebuild::Repair, None)];
    if state != State::Switchover {
        kinds.extend([(Rebuild::Copy, None), (Rebuild::Keep, None)]);
    }
    kinds.extend([Phase::Standby, Phase::Active, Phase::Back].map(|p| (Rebuild::Repair, Some(p))));
    let mut intents = vec![None];
    let founding = matches!(state, State::Initializing | State::ConfiguringActive);
    // Nobody intends to clean up what lives, nor to create cache groups where there is a scheme.
    let intended = |act: &Irreversible| match act {
        Irreversible::CleanUp => false,
        Irreversible::CreateCacheGroups => founding,
        _ => true,
    };
    for act in Irreversible::ALL.into_iter().filter(intended) {
        intents.extend(Ordinal::ALL.map(|member| Some((act, member))));
    }
    let mut all = Vec::new();
    for ((stage, quiet), (rebuild, upgrade)) in
        progress.iter().flat_map(|progress| kinds.iter().map(move |kind| (*progress, *kind)))
    {
        for (policy, intent) in [FencingPolicy::Confirmed, FencingPolicy::RouteFenced]
            .into_iter()
            .flat_map(|policy| intents.iter().map(move |intent| (policy, *intent)))
        {
            for since in [SOON * 2, Duration::from_secs(7), LONG] {
                for routed in [true, false] {
                    let shown = [Shown::NoPod; 2];
                    all.push(Facet {
                        state,
                        active: Ordinal::Zero,
                        rebuild,
                        stage,
                        quiet,
                        upgrade,
                        policy,
                        intent,
                        since,
                        routed,
                        shown,
                    });
                }
            }
        }
    }
    all
}

/// What was found in one state.
struct Tally {
    combinations: u64,
    plans: u64,
    irreversible: u64,
    replaced: u64,
    census: common::census::Census,
}

/// All combinations in one state.
fn check(state: State) -> Tally {
    let (templates, shown, records) = (templates(), shown(), records(state));
    let pairs = shown.iter().flat_map(|zero| shown.iter().map(move |one| [*zero, *one]));
    let all = records
        .iter()
        .flat_map(|record| pairs.clone().map(move |shown| Facet { shown, ..*record }));
    let mut tally = Tally {
        combinations: 0,
        plans: 0,
        irreversible: 0,
        replaced: 0,
        census: counted::census(),
    };
    for (number, facet) in all.enumerate().step_by(SHARE) {
        let seen = facet.seen(&templates);
        let plan = decide(&seen);
        let judged = facet.judge(&seen, &plan).and_then(|()| {
            let rest = if facet.since == LONG { facet.rest(&seen, &plan)? } else { 0 };
            Ok(1 + rest + facet.replay(&seen, &plan)?)
        });
        tally.plans += judged.unwrap_or_else(|what| panic!("{what}\n{facet:?}\n{plan:#?}"));
        tally.combinations += 1;
        let irreversible =
            plan.give.iter().any(|(_, o)| o.as_ref().is_some_and(Order::irreversible));
        tally.irreversible += u64::from(irreversible);
        tally.replaced += u64::from(plan.replace.is_some());
        if number % COUNTED == 0 {
            counted::count(&mut tally.census, &seen, &plan);
            let mirror = decide(&facet.mirrored().seen(&templates));
            mirror::judge(&plan, &mirror)
                .unwrap_or_else(|what| panic!("{what}\n{facet:?}\n{plan:#?}"));
        }
    }
    tally
}

#[rstest::rstest]
fn every_combination_is_safe(
    #[values(
        State::Initializing,
        State::Normal,
        State::Switchover,
        State::ActiveDown,
        State::ActiveTakeover,
        State::StandbyDown,
        State::StandbyStarting,
        State::StandbyCatchup,
        State::BothDown,
        State::WaitingForActive,
        State::ConfiguringActive,
        State::Reexamine,
        State::ManualInterventionRequired,
        State::Failed
    )]
    state: State,
) {
    let began = tokio::time::Instant::now();
    let Tally { combinations, plans, irreversible, replaced, census } = check(state);
    let took = began.elapsed().as_secs_f64();
    println!(
        "{state}: {combinations} combinations (one in {SHARE}), {plans} plans, {irreversible} of them \
         irreversible, {replaced} pods made anew, in {took:.1} s"
    );
    census.compare(state.word());
    assert!(combinations > 500_000 / SHARE as u64, "the table has shrunk");
    let acts = matches!(
        state,
        State::Initializing
            | State::Switchover
            | State::ActiveDown
            | State::StandbyDown
            | State::ConfiguringActive
    );
    assert!(state != State::StandbyDown || replaced > 0, "no pod was ever made anew");
    assert!(!acts || irreversible > 0, "nothing irreversible was ever ordered: nothing was tested");
}
