//! Case by case: where the pair stands and what is seen of a subscriber, to how it stands and what it
//! is told; and that nothing of it changes what is decided for the pair.

use rstest::rstest;
use timesten_operator::crd::TimesTenClassicStatus;
use timesten_operator::decide::{Order, Plan, decide};
use timesten_operator::observation::Observation;
use timesten_operator::operator::Identity;
use timesten_operator::pair::Ordinal;
use timesten_operator::report;

use super::common::SHORT;
use super::spelt::{NAME, seen, spelt};

/// What a plan comes to for the subscriber: its state, the verb, and what is put on record.
fn told(plan: &Plan) -> String {
    let [subscriber] = plan.subscribers.as_slice() else { panic!("one subscriber") };
    let verb = subscriber.give.as_ref().map_or("-", |order| order.verb().name());
    let intent = subscriber.standing.intent.as_ref();
    let intent = intent.map(|intent| format!(" intends-{}", intent.act.word()));
    let task = subscriber.standing.task.as_ref().map(|task| format!(" task-{}", task.id));
    let state = subscriber.standing.state.word();
    format!("{state} {verb}{}{}", intent.unwrap_or_default(), task.unwrap_or_default())
}

#[rstest]
#[case::well("follows", "Normal -")]
#[case::container_restarted("restarted", "Down -")]
#[case::pod_gone("no-pod", "Down -")]
#[case::silent("silent", "Normal -")]
#[case::silent_for_long("silent-long", "Down -")]
#[case::daemon_down("daemon-down", "Down clearReadiness")]
#[case::daemon_down_and_not_ready("down daemon-down", "Down startDaemon")]
#[case::not_loaded("down unloaded", "Down loadDb")]
#[case::load_refused("down unloaded load-refused", "Down - intends-destroyDb")]
#[case::no_replication_agent("down no-rep-agent", "Down startRepAgent")]
#[case::start_refused("down no-rep-agent start-refused", "Down - intends-destroyDb")]
#[case::closed("down closed", "Down openDb")]
#[case::mended("down", "Normal setReadiness")]
#[case::no_scheme("down no-scheme", "Down - intends-destroyDb")]
#[case::passing_for_too_long("down loading", "Down - intends-destroyDb")]
#[case::quiescing("quiescing", "Normal -")]
#[case::new_without_database("new no-db", "Initializing - intends-repDuplicate")]
#[case::on_record(
    "new no-db duplicates",
    "Initializing repDuplicate intends-repDuplicate task-fresh"
)]
#[case::volume_of_another_time("new unloaded", "Initializing - intends-destroyDb")]
#[case::room_is_made("new unloaded destroys", "Initializing destroyDb intends-destroyDb")]
#[case::room_was_made("new no-db destroys", "Initializing - intends-repDuplicate")]
#[case::already_follows("new", "Normal setReadiness")]
#[case::in_copy(
    "new no-db duplicates copying runs",
    "Initializing - intends-repDuplicate task-task"
)]
#[case::copied("new no-rep-agent duplicates copying complete", "Initializing startRepAgent")]
#[case::copy_failed("new no-db duplicates copying failed", "Initializing -")]
#[case::copy_forgotten("new no-db duplicates copying forgotten", "Initializing -")]
#[case::copy_died_with_container("new no-db duplicates copying-elsewhere", "Initializing -")]
#[case::copy_overdue(
    "new no-db duplicates copying runs overdue",
    "Initializing die intends-repDuplicate task-task"
)]
#[case::rests("new no-db failed-thrice just-now", "Initializing -")]
#[case::rested("new no-db failed-thrice", "Initializing - intends-repDuplicate")]
#[case::not_in_the_scheme("new no-db unnamed", "NotProvisioned -")]
#[case::no_longer_in_the_scheme("unnamed", "NotProvisioned clearReadiness")]
fn beside_a_pair_that_is_normal(#[case] words: &str, #[case] wanted: &str) {
    let plan = decide(&seen("Normal", spelt(words)));
    assert_eq!(told(&plan), wanted, "{:?}", plan.subscribers);
}

#[rstest]
#[case::from_the_active("alone", "new no-db", "Initializing - intends-repDuplicate")]
#[case::not_before_it_is_told("untold", "new no-db", "Initializing -")]
#[case::mended_all_the_same("untold", "down unloaded", "Down loadDb")]
#[case::hands_off("manual", "new no-db", "Initializing -")]
#[case::hands_off_even_from_mending("manual", "down unloaded", "Down -")]
fn beside_another_pair(#[case] pair: &str, #[case] words: &str, #[case] wanted: &str) {
    let plan = decide(&seen(pair, spelt(words)));
    assert_eq!(told(&plan), wanted, "{:?}", plan.subscribers);
}

/// The active that has subscribers is told that its standby is down: it feeds them then.
#[test]
fn an_active_with_subscribers_is_told_of_a_standby_that_is_down() {
    let told = |seen: &Observation| decide(seen).give.zero.map(|order| order.verb().name());
    let mut seen = seen("untold", spelt("follows"));
    assert_eq!(told(&seen), Some("repStateSave"));
    seen.in_state = SHORT;
    assert_eq!(told(&seen), None, "it may come back by the log that is kept for it");
}

/// A copy is made only of a source that was heard after the decision.
#[test]
fn a_source_that_was_not_heard_since_is_asked_first() {
    let mut seen = seen("Normal", spelt("new no-db duplicates"));
    seen.subscribers[0].intent_age = Some(SHORT);
    let plan = decide(&seen);
    assert_eq!(told(&plan), "Initializing - intends-repDuplicate");
    assert!(plan.ask[Ordinal::One] && !plan.ask[Ordinal::Zero], "{:?}", plan.ask);
}

/// Two copies do not share a task: the pair comes first, then one subscriber after the other.
#[test]
fn a_fresh_id_is_used_once() {
    let mut seen = seen("Normal", spelt("new no-db duplicates"));
    seen.subscribers.push(spelt("new no-db duplicates"));
    let plan = decide(&seen);
    let given: Vec<bool> = plan.subscribers.iter().map(|plan| plan.give.is_some()).collect();
    assert_eq!(given, [true, false]);
}

/// Whatever is seen of a subscriber, the pair is told the same, and what is written reads back.
#[rstest]
fn nothing_of_it_is_the_pairs(
    #[values("Normal", "alone", "untold", "manual")] pair: &str,
    #[values(
        "follows",
        "no-pod",
        "restarted",
        "silent-long",
        "daemon-down",
        "down unloaded load-refused",
        "new no-db",
        "new unloaded destroys",
        "new no-db duplicates copying failed",
        "new no-db duplicates copying runs overdue",
        "unnamed"
    )]
    words: &str,
) {
    let with = seen(pair, spelt(words));
    let without = Observation { subscribers: Vec::new(), ..with.clone() };
    let (plan, alone) = (decide(&with), decide(&without));
    assert_eq!(plan.standing, alone.standing);
    assert_eq!((&plan.give, plan.delete, &plan.labels), (&alone.give, alone.delete, &alone.labels));
    assert_eq!(plan.because, alone.because);
    let order = plan.subscribers[0].give.as_ref();
    let role = |order: &Order| {
        matches!(order, Order::Create | Order::Promote(..) | Order::Activate(_) | Order::Found(..))
    };
    assert!(order.is_none_or(|order| !role(order)), "it never gets a role: {order:?}");

    let identity = Identity { controller: "operator".into(), instance: "operator-0".into() };
    let status = report::status(&TimesTenClassicStatus::default(), &with, &plan, &identity);
    let read = report::standing_of_subscribers(Some(&status));
    assert_eq!(read.get(NAME), Some(&plan.subscribers[0].standing));
    assert_eq!(report::standing(Some(&status)).active, plan.standing.active);
}

#[rstest]
#[case::well("follows", "True AllSubscribersReady: all subscribers follow the pair")]
#[case::in_copy(
    "new no-db duplicates copying runs",
    "False SubscribersNotReady: sample-sub-0: it has no database; it is being copied"
)]
#[case::fails(
    "new no-db failed-thrice just-now",
    "False SubscriberCopyFailing: sample-sub-0: it has no database; copying failed 3 times in a \
     row; the pauses grow"
)]
#[case::daemon_down(
    "daemon-down",
    "False SubscribersNotReady: sample-sub-0: its TimesTen daemon is down"
)]
fn a_condition_says_what_is_lacking(#[case] words: &str, #[case] wanted: &str) {
    let seen = seen("Normal", spelt(words));
    let identity = Identity { controller: "operator".into(), instance: "operator-0".into() };
    let status =
        report::status(&TimesTenClassicStatus::default(), &seen, &decide(&seen), &identity);
    let condition = status.conditions.iter().find(|c| c.type_ == "SubscribersReady").unwrap();
    let said = format!("{} {}: {}", condition.status, condition.reason, condition.message);
    assert_eq!(said, wanted);
}
