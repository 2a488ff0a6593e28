//! The decision core over all combinations of abstract facts: states, roles, rebuild modes, intents,
//! timers, and what each member shows. For every one: no panic; never two actives; no destruction
//! and no promotion without proof; always steady or with a deadline; and looking again after a crash
//! at any write gives the same orders (I1, I2, I4, I6, I7, I16).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cleanup;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use timesten_operator::crd::TimesTenClassic;
use timesten_operator::decide::{Order, Plan, decide};
use timesten_operator::desired::{Desired, FencingPolicy};
use timesten_operator::observation::{Member, Observation, Owned, Quiet, Role};
use timesten_operator::pair::{Both, Ordinal};
use timesten_operator::standing::{
    Intent, Irreversible, Occasion, Rebuild, Stage, Standing, State, Switchover,
};

use self::shown::{Shown, incarnation, is_active, is_source, member, shown};

const OBJECT: &str = "
apiVersion: timesten.oracle.com/v5
kind: TimesTenClassic
metadata: {name: sample, namespace: test, uid: 11111111-1111-4111-8111-111111111111}
spec: {ttspec: {image: 'registry.example/timesten:22.1.1.36.0', storageClassName: fast}}
";

const SOON: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(3600);

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
        let names = ["sample-0", "sample-1"];
        let role = self.routed.then_some(Role::Active);
        let standing = Standing {
            state: self.state,
            previous: State::Normal,
            term: 7,
            rebuild: self.rebuild,
            switchover: self.stage.map(|stage| Switchover {
                occasion: Occasion::Asked,
                stage,
                since: jiff::Timestamp::UNIX_EPOCH,
            }),
            incarnations: Both {
                zero: Some(incarnation(names[0], 0)),
                one: Some(incarnation(names[1], 0)),
            },
            intent: self.intent.map(|(act, member)| Intent {
                act,
                member,
                uid: incarnation(names[member.number()], 0).uid,
                term: 7,
                unproven: false,
                why: "a reason".into(),
                at: jiff::Timestamp::UNIX_EPOCH,
            }),
            ..Standing::new()
        };
        Observation {
            now: jiff::Timestamp::UNIX_EPOCH,
            desired: Ok(Arc::clone(desired)),
            refused: None,
            generation: 1,
            deleting: false,
            deleting_for: Duration::ZERO,
            finalized: self.routed,
            standing,
            in_state: self.since,
            intent_age: self.intent.map(|_| self.since),
            task_age: Duration::ZERO,
            rebuild_age: self.since,
            members: Both {
                zero: Member {
                    quiet: self.quiet,
                    ..member(names[0], self.shown[0], role, self.since)
                },
                one: member(names[1], self.shown[1], None, self.since),
            },
            subscribers: Vec::new(),
            owned: Owned::default(),
            locked_out: None,
            fresh_id: "fresh".into(),
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
    let object: TimesTenClassic = serde_saphyr::from_str(OBJECT).unwrap();
    let desired = Desired::of(&object).unwrap();
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
