//! The decision core over all combinations of abstract facts: states, roles, rebuild modes, intents,
//! timers, and what each member shows. For every one: no panic; never two actives; no destruction
//! and no promotion without proof; always steady or with a deadline; and looking again after a crash
//! at any write gives the same orders (I1, I2, I4, I6, I7, I16).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cleanup;
#[path = "../common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{LONG, NAMES, SHORT as SOON, facts, incarnation, serving};
use timesten_operator::agent::{
    Daemon, Db, Facts, Files, PeerState, RepScheme, RepState, RunState,
};
use timesten_operator::decide::{Order, Plan, decide};
use timesten_operator::desired::{Desired, FencingPolicy};
use timesten_operator::observation::{
    Agent, Heard, Markers, Member, Observation, Pod, PodFacts, Quiet, Role, Silence, TtContainer,
};
use timesten_operator::pair::{Both, Ordinal};
use timesten_operator::standing::{
    Intent, Irreversible, Occasion, Rebuild, Stage, Standing, State, Switchover,
};

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
        Shown::Uncached | Shown::Cached => {
            let files = Files { cache_groups: Some(true), ..Files::default() };
            let n_cache_groups = Some(u64::from(shown == Shown::Cached));
            let (rep_scheme, rep_state) = (RepScheme::None, RepState::Idle);
            let (rep_agent, cache_agent) = (RunState::NotRunning, RunState::NotRunning);
            let (open, loaded) = (Some(true), facts(Db::Loaded));
            heard(Facts {
                files,
                n_cache_groups,
                rep_scheme,
                rep_state,
                rep_agent,
                cache_agent,
                open,
                ..loaded
            })
        }
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

/// The member's database may take writes, as far as it says.
fn is_active(shown: Shown) -> bool {
    matches!(shown, Shown::Dying | Shown::Closed | Shown::Says(RepState::Active, ..))
}

/// The member can be copied: it is ACTIVE, and its replication agent runs.
fn is_source(shown: Shown) -> bool {
    matches!(shown, Shown::Closed | Shown::Says(RepState::Active, RunState::Running, _))
}

/// One combination.
#[derive(Clone, Copy, Debug)]
struct Facet {
    state: State,
    rebuild: Rebuild,
    stage: Option<Stage>,
    quiet: Quiet,
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
        let role = self.routed.then_some(Role::Active);
        let standing = Standing {
            rebuild: self.rebuild,
            switchover: self.stage.map(|stage| Switchover {
                occasion: Occasion::Asked,
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
            ..common::standing(self.state)
        };
        let members = Both {
            zero: Member { quiet: self.quiet, ..member(NAMES[0], self.shown[0], role, self.since) },
            one: member(NAMES[1], self.shown[1], None, self.since),
        };
        Observation {
            finalized: self.routed,
            in_state: self.since,
            intent_age: self.intent.map(|_| self.since),
            rebuild_age: self.since,
            ..common::seen(Arc::clone(desired), standing, members)
        }
    }

    /// What must hold of every plan.
    fn judge(&self, seen: &Observation, plan: &Plan) -> Result<(), String> {
        let mut promotions = 0;
        for ordinal in Ordinal::ALL {
            let peer = self.shown[ordinal.other().number()];
            match &plan.give[ordinal] {
                Some(Order::Promote(..) | Order::Activate(_) | Order::Found(..)) => {
                    promotions += 1;
                    if is_active(peer) {
                        return Err("a promotion beside a database that says ACTIVE".into());
                    }
                }
                Some(Order::Destroy(_) | Order::Duplicate(..)) if !is_source(peer) => {
                    return Err("a destruction without a source".into());
                }
                Some(Order::CreateCacheGroups(_))
                    if self.shown[ordinal.number()] != Shown::Uncached || !seen.finalized =>
                {
                    return Err("cachegroups.sql is run twice, or without a finalizer".into());
                }
                Some(Order::CleanUp(..)) => return Err("a living object is cleaned up".into()),
                _ => {}
            }
            let order = plan.give[ordinal].as_ref().filter(|order| order.irreversible());
            let founded = matches!(order, Some(Order::Found(..)));
            if order.is_some() && seen.standing.intent.is_none() && !founded {
                return Err("an irreversible order that is not on record".into());
            }
        }
        let handed_over = plan.standing.stage() == Some(Stage::Handover);
        if plan.standing.state == State::Switchover {
            if promotions > 0 && !handed_over {
                return Err("a promotion before the standby has everything".into());
            }
            if plan.labels.iter().any(|label| label.role == Some(Role::Active)) {
                return Err("clients are let in during a change of roles".into());
            }
        } else if matches!(plan.standing.stage(), Some(Stage::Quiesce | Stage::Handover)) {
            return Err("a change of roles goes on in another state".into());
        }
        if promotions > 1 {
            return Err("two promotions at once".into());
        }
        let routed: Vec<_> = plan.labels.iter().filter(|l| l.role == Some(Role::Active)).collect();
        let kept = |o: Ordinal| seen.members[o].role() == Some(Role::Active);
        if routed.iter().any(|label| kept(label.member.other())) {
            return Err("a pod is routed while the other still is".into());
        }
        if plan.interval > Duration::from_secs(60) {
            return Err("nothing is looked at for more than a minute".into());
        }
        if plan.because.to_string().is_empty() || plan.because.word().is_empty() {
            return Err("no reason".into());
        }
        Ok(())
    }

    /// The operator dies after it has recorded the plan: the next one sees what is on record, and
    /// nothing that it plans may be worse (I16).
    fn replay(&self, seen: &Observation, plan: &Plan) -> Result<(), String> {
        let mut seen = seen.clone();
        seen.intent_age = plan.standing.intent.as_ref().map(|_| Duration::ZERO);
        seen.in_state = Duration::ZERO;
        seen.standing = plan.standing.clone();
        let again = decide(&seen);
        self.judge(&seen, &again).map_err(|what| format!("after a crash: {what}"))
    }
}

fn templates() -> [Arc<Desired>; 2] {
    let desired = common::desired(common::IMAGE);
    let with = |policy| {
        let mut desired = desired.clone();
        desired.fencing_policy = policy;
        Arc::new(desired)
    };
    [with(FencingPolicy::Confirmed), with(FencingPolicy::RouteFenced)]
}

/// How the standby may be brought back, and how far a planned change of roles may be, in a state.
fn standings(state: State) -> Vec<(Rebuild, (Option<Stage>, Quiet))> {
    let switchovers = if state == State::Switchover {
        let quiesce = [Quiet::No, Quiet::Asked(LONG), Quiet::Ended, Quiet::Drained];
        let mut all = quiesce.map(|quiet| (Some(Stage::Quiesce), quiet)).to_vec();
        all.push((Some(Stage::Handover), Quiet::Drained));
        all
    } else {
        vec![(None, Quiet::No), (Some(Stage::Undo), Quiet::No)]
    };
    let rebuilds = [Rebuild::Repair, Rebuild::Copy, Rebuild::Keep];
    let rebuilds = if state == State::Switchover { &rebuilds[..1] } else { &rebuilds[..] };
    let with = |rebuild: Rebuild| switchovers.iter().map(move |progress| (rebuild, *progress));
    rebuilds.iter().flat_map(|rebuild| with(*rebuild)).collect()
}

/// All combinations in one state.
fn check(state: State) -> (u64, u64) {
    let (templates, shown) = (templates(), shown());
    let mut intents = vec![None];
    // Nobody intends to clean up what lives.
    for act in Irreversible::ALL.into_iter().filter(|act| *act != Irreversible::CleanUp) {
        intents.extend(Ordinal::ALL.map(|member| Some((act, member))));
    }
    let (mut count, mut irreversible) = (0, 0);
    for (rebuild, (stage, quiet)) in standings(state) {
        for policy in [FencingPolicy::Confirmed, FencingPolicy::RouteFenced] {
            for intent in &intents {
                for since in [SOON * 2, Duration::from_secs(7), LONG] {
                    for routed in [true, false] {
                        for zero in &shown {
                            for one in &shown {
                                let shown = [*zero, *one];
                                let (policy, intent) = (policy, *intent);
                                let facet = Facet {
                                    state,
                                    rebuild,
                                    stage,
                                    quiet,
                                    policy,
                                    intent,
                                    since,
                                    routed,
                                    shown,
                                };
                                let seen = facet.seen(&templates);
                                let plan = decide(&seen);
                                let judged = facet.judge(&seen, &plan);
                                let judged = judged.and_then(|()| facet.replay(&seen, &plan));
                                if let Err(what) = judged {
                                    panic!("{what}\n{facet:?}\n{plan:#?}");
                                }
                                count += 2;
                                let given = plan.give.iter().filter_map(|(_, o)| o.as_ref());
                                irreversible +=
                                    u64::from(given.into_iter().any(Order::irreversible));
                            }
                        }
                    }
                }
            }
        }
    }
    (count, irreversible)
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
    let (count, irreversible) = check(state);
    let took = began.elapsed().as_secs_f64();
    println!("{state}: {count} decisions, {irreversible} of them irreversible, in {took:.1} s");
    assert!(count > 500_000, "the table has shrunk");
    let acts = matches!(
        state,
        State::Initializing
            | State::Switchover
            | State::ActiveDown
            | State::StandbyDown
            | State::ConfiguringActive
    );
    assert!(!acts || irreversible > 0, "nothing irreversible was ever ordered: nothing was tested");
}
