//! Every combination of what can be seen of a subscriber, and what never happens.

use std::time::Duration;

use rstest::rstest;
use timesten_operator::agent::{Daemon, Db, RepScheme, RepState, RunState, Verb};
use timesten_operator::decide::{Order, decide};
use timesten_operator::observation::{Agent, Heard, Observation, Subscriber as Seen, Task};
use timesten_operator::standing::subscribers::{PodTask, SubscriberState};
use timesten_operator::standing::{Irreversible, PodIntent, State};

use super::common::census::Census;
use super::common::{LONG, SHORT, incarnation, serving};
use super::spelt::{NAME, seen, spelt};

const DBS: [Db; 7] = [
    Db::None,
    Db::Unloaded,
    Db::Loading,
    Db::Loaded,
    Db::Unloading,
    Db::Transitioning,
    Db::Unknown,
];
const DAEMONS: [Daemon; 3] = [Daemon::Up, Daemon::Down, Daemon::Unknown];
const SCHEMES: [RepScheme; 3] = [RepScheme::Exists, RepScheme::None, RepScheme::Unknown];
const AGENTS: [RunState; 3] = [RunState::Running, RunState::NotRunning, RunState::Unknown];
const INTENTS: [Option<(Irreversible, bool)>; 4] = [
    None,
    Some((Irreversible::Destroy, true)),
    Some((Irreversible::Duplicate, true)),
    Some((Irreversible::Destroy, false)),
];

/// What the agent says, in all combinations.
fn databases() -> Vec<Seen> {
    let mut all = Vec::new();
    for (daemon, db) in DAEMONS.into_iter().flat_map(|d| DBS.map(|db| (d, db))) {
        for (scheme, agent) in SCHEMES.into_iter().flat_map(|s| AGENTS.map(|a| (s, a))) {
            for open in [Some(true), Some(false), None] {
                let mut facts = serving(RepState::Idle);
                (facts.daemon, facts.db, facts.open) = (daemon, db, open);
                (facts.rep_scheme, facts.rep_agent) = (scheme, agent);
                let mut one = spelt("follows");
                one.member.agent = Agent::Heard(Heard { facts, asked: SHORT, unchanged: LONG });
                all.push(one);
            }
        }
    }
    all
}

/// The same with everything that may be remembered of it.
fn remembered(state: SubscriberState) -> Vec<Seen> {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut all = Vec::new();
    for one in databases() {
        for (intent, known) in INTENTS.into_iter().flat_map(|i| [(i, true), (i, false)]) {
            for (task, rested) in [None, Some(0), Some(7)].into_iter().zip([true, false, true]) {
                let mut one = one.clone();
                one.standing.state = state;
                one.standing.known = known.then(|| incarnation(NAME, 0));
                one.standing.intent = intent.map(|(act, same)| PodIntent {
                    act,
                    uid: if same { format!("uid-of-{NAME}") } else { "another".into() },
                    at,
                });
                one.standing.task = task.map(|restarts| PodTask {
                    id: "task".into(),
                    incarnation: incarnation(NAME, restarts),
                    started: 0,
                });
                one.standing.copies = u32::from(task.is_some()) * 3;
                one.member.task = if task.is_some() { Task::Running } else { Task::NotAsked };
                one.intent_age = intent.map(|_| Duration::from_secs(1));
                one.rest_age = if rested { LONG } else { SHORT };
                all.push(one);
            }
        }
    }
    all
}

/// What is counted of a plan.
const COUNTED: [&str; 6] =
    ["goes to", "health", "is told", "puts on record", "copies", "the pair looks again after"];

/// What must hold of what one subscriber is told.
fn judge(around: &mut Observation, one: &Seen, census: &mut Census) {
    around.subscribers = vec![one.clone()];
    let plan = decide(around);
    let planned = &plan.subscribers[0];
    census.take(&[
        &planned.standing.state,
        &planned.health,
        &planned.give,
        &planned.standing.intent.as_ref().map(|intent| intent.act),
        &planned.standing.copies,
        &plan.interval,
    ]);
    let recorded = |act| {
        let of_pod =
            |intent: &PodIntent| intent.act == act && intent.uid == format!("uid-of-{NAME}");
        one.standing.intent.as_ref().is_some_and(of_pod)
    };
    let is_new = planned.standing.intent != one.standing.intent;
    match &planned.give {
        None => {}
        Some(order @ (Order::Destroy(_) | Order::Duplicate(..))) => {
            let act = match order {
                Order::Destroy(_) => Irreversible::Destroy,
                _ => Irreversible::Duplicate,
            };
            assert!(recorded(act) && !is_new, "not on record: {one:?}");
            assert!(plan.feeds.is_some(), "from nobody: {one:?}");
            assert!(one.standing.task.is_none(), "while another runs, or has just ended: {one:?}");
            assert_eq!(planned.standing.known, None, "it holds nobody knows what");
            let task = planned.standing.task.as_ref().map(|task| task.id.as_str());
            let starts = matches!(order, Order::Duplicate(..));
            assert_eq!(task, starts.then_some("fresh"), "{one:?}");
            assert_eq!(planned.standing.copies, one.standing.copies + u32::from(starts));
        }
        Some(Order::Do(verb, None)) => {
            let harmless = [
                Verb::StartDaemon,
                Verb::LoadDb,
                Verb::StartRepAgent,
                Verb::OpenDb,
                Verb::SetReadiness,
                Verb::ClearReadiness,
                Verb::Die,
            ];
            assert!(harmless.contains(verb), "{verb:?}");
        }
        Some(other) => panic!("{other:?} is nothing for a subscriber"),
    }
    if around.standing.state == State::ManualInterventionRequired {
        assert_eq!(planned.give, None, "hands off");
    }
}

#[rstest]
fn every_combination_is_safe(
    #[values("Normal", "alone", "untold", "manual")] pair: &str,
    #[values(
        SubscriberState::Initializing,
        SubscriberState::Normal,
        SubscriberState::Down,
        SubscriberState::NotProvisioned
    )]
    state: SubscriberState,
) {
    let all = remembered(state);
    assert_eq!(all.len(), 3 * 7 * 9 * 3 * 8 * 3);
    let mut around = seen(pair, spelt("follows"));
    let mut census = Census::new(&COUNTED);
    for one in &all {
        judge(&mut around, one, &mut census);
    }
    census.compare(&format!("subscriber-{pair}-{state:?}"));
}
