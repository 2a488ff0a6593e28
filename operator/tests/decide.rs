//! The decision core, case by case: where a pair stands and what is seen, to where it goes and
//! what each pod is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{LONG, NAMES, SHORT, facts, heard, incarnation, serving};
use rstest::rstest;
use timesten_operator::agent::{Daemon, Db, Facts, PeerState, RepState, RunState, Verb};
use timesten_operator::decide::{Order, Plan, decide};
use timesten_operator::observation::{
    Agent, Heard, Markers, Member, Observation, Pod, PodFacts, Role, Silence, Task, TtContainer,
};
use timesten_operator::pair::{Both, Ordinal};
use timesten_operator::standing::{Intent, Irreversible, Rebuild, State, TaskRecord, Work};

/// One member, spelt in a word or two.
#[expect(clippy::too_many_lines, reason = "a table: one arm for each word")]
fn spelt(name: &str, words: &str, role: Role) -> Member {
    let good = match role {
        Role::Active => serving(RepState::Active),
        Role::Standby => serving(RepState::Standby),
    };
    let mut one = common::member(name, heard(good.clone()), Some(role));
    let pod = |one: &mut Member, change: fn(&mut PodFacts)| {
        if let Pod::Present(pod) = &mut one.pod {
            change(pod);
        }
    };
    pod(&mut one, |pod| pod.ready = pod.role == Some(Role::Active));
    for word in words.split(' ') {
        match word {
            "good" => {}
            "no-pod" => one.pod = Pod::Absent,
            "foreign" => one.pod = Pod::Foreign,
            "dying" => pod(&mut one, |pod| pod.terminating = true),
            "ended" => pod(&mut one, |pod| pod.tt = TtContainer::Ended { reason: "Error".into() }),
            "restarted" => {
                pod(&mut one, |pod| pod.incarnation.restarts = 1);
                one.agent = Agent::NotYet { waited: SHORT, how: None };
            }
            "silent" => one.agent = silent(Duration::from_secs(6)),
            "silent-long" => one.agent = silent(LONG),
            "refuses" => {
                one.agent = Agent::Silent { since: LONG, how: Silence::Refused("HTTP 401".into()) }
            }
            "daemon-down" => {
                one.agent = heard(Facts { daemon: Daemon::Down, ..facts(Db::Unknown) });
            }
            "no-db" => {
                one.agent = heard(facts(Db::None));
            }
            "unloaded" => one.agent = heard(facts(Db::Unloaded)),
            "loading" => {
                let facts = facts(Db::Loading);
                one.agent = Agent::Heard(Heard { facts, asked: SHORT, unchanged: SHORT });
            }
            "loading-long" => one.agent = heard(facts(Db::Loading)),
            "closed" => one.agent = heard(Facts { open: Some(false), ..good.clone() }),
            "no-rep-agent" => {
                one.agent = heard(Facts { rep_agent: RunState::NotRunning, ..good.clone() });
            }
            "peer-failed" => {
                let facts = Facts { peer_state: PeerState::Failed, ..good.clone() };
                one.agent = Agent::Heard(Heard { facts, asked: SHORT, unchanged: SHORT });
            }
            "peer-stop" => {
                let facts = Facts { peer_state: PeerState::Stop, ..good.clone() };
                one.agent = Agent::Heard(Heard { facts, asked: SHORT, unchanged: SHORT });
            }
            "peer-paused" => {
                one.agent = heard(Facts { peer_state: PeerState::Pause, ..good.clone() });
            }
            "active" => one.agent = heard(serving(RepState::Active)),
            "idle" => {
                let facts = serving(RepState::Idle);
                one.agent = Agent::Heard(Heard { facts, asked: SHORT, unchanged: SHORT });
            }
            "odd-state" => {
                let facts = serving(RepState::Unknown);
                one.agent = Agent::Heard(Heard { facts, asked: SHORT, unchanged: SHORT });
            }
            "unlabelled" => pod(&mut one, |pod| pod.role = None),
            other => panic!("no such word: {other}"),
        }
    }
    one
}

fn silent(since: Duration) -> Agent {
    Agent::Silent { since, how: Silence::Mute("no answer".into()) }
}

/// A pair that was good until now: sample-0 is the active.
fn seen(state: State, active: &str, standby: &str) -> Observation {
    let members = Both {
        zero: spelt(NAMES[0], active, Role::Active),
        one: spelt(NAMES[1], standby, Role::Standby),
    };
    common::seen(Arc::new(common::desired(common::IMAGE)), common::standing(state), members)
}

/// What a plan comes to: the state, the active, and the verb for each pod.
fn told(plan: &Plan) -> String {
    let verb = |order: &Option<Order>| order.as_ref().map_or("-", |order| order.verb().name());
    let intent = plan.standing.intent.as_ref().map_or("", |intent| intent.act.word());
    let delete = plan.delete.map(|ordinal| format!(" delete-{ordinal}")).unwrap_or_default();
    format!(
        "{} {} {}/{}{}{delete}",
        plan.standing.state,
        plan.standing.active,
        verb(&plan.give.zero),
        verb(&plan.give.one),
        if intent.is_empty() { String::new() } else { format!(" intends-{intent}") },
    )
}

#[rstest]
#[case::well("good", "good", "Normal 0 -/-")]
#[case::container_ended("ended", "good", "ActiveDown 0 -/- intends-repStateSetActive")]
#[case::container_restarted("restarted", "good", "ActiveDown 0 -/- intends-repStateSetActive")]
#[case::pod_gone("no-pod", "good", "ActiveDown 0 -/- intends-repStateSetActive")]
#[case::daemon_down("daemon-down", "good", "ActiveDown 0 clearActive/- intends-repStateSetActive")]
#[case::invalidated("unloaded", "good", "ActiveDown 0 clearActive/- intends-repStateSetActive")]
#[case::pod_deleted("dying", "good", "ActiveDown 0 stopRepAgent/-")]
#[case::peer_noticed_it_too("ended", "peer-failed", "ActiveDown 0 -/- intends-repStateSetActive")]
#[case::agent_hung_database_alive("silent-long", "good", "Normal 0 -/-")]
#[case::node_lost("silent", "peer-stop", "ActiveDown 0 -/- delete-0")]
#[case::credentials_refused("refuses", "peer-stop", "Normal 0 -/-")]
#[case::passing_state("loading", "good", "Normal 0 -/-")]
#[case::passing_state_for_ever(
    "loading-long",
    "good",
    "ActiveDown 0 clearActive/- intends-repStateSetActive"
)]
#[case::odd_word_once("odd-state", "good", "Normal 0 -/-")]
#[case::closed_by_hand("closed", "good", "Normal 0 -/-")]
#[case::agent_stopped("no-rep-agent", "good", "Normal 0 startRepAgent/-")]
#[case::peer_paused("peer-paused", "good", "Normal 0 setSubStateStart/-")]
#[case::standby_believes_the_active_failed("good", "peer-failed", "Normal 0 -/setSubStateStart")]
#[case::active_believes_the_standby_failed("peer-failed", "good", "Normal 0 setSubStateStart/-")]
#[case::standby_agent_stopped("good", "no-rep-agent", "Normal 0 -/startRepAgent")]
#[case::standby_closed("good", "closed", "Normal 0 -/openDb")]
#[case::standby_daemon_down("good", "daemon-down", "ActiveTakeover 0 -/clearReadiness")]
#[case::standby_ended("good", "ended", "ActiveTakeover 0 -/-")]
#[case::standby_catches_up("good", "idle", "StandbyCatchup 0 -/clearReadiness")]
#[case::both_ended("ended", "ended", "BothDown 0 -/-")]
#[case::we_are_deaf("silent-long", "silent-long", "Normal 0 -/-")]
fn from_normal(#[case] active: &str, #[case] standby: &str, #[case] wanted: &str) {
    let plan = decide(&seen(State::Normal, active, standby));
    assert_eq!(told(&plan), wanted, "because {}", plan.because);
}

fn with_intent(
    mut seen: Observation,
    act: Irreversible,
    of: Ordinal,
    age: Duration,
) -> Observation {
    let uid = seen.members[of].pod().unwrap().incarnation.uid.clone();
    let why = "a reason".into();
    let at = seen.now;
    seen.standing.intent = Some(Intent { act, member: of, uid, term: 7, unproven: false, why, at });
    seen.intent_age = Some(age);
    seen
}

#[rstest]
#[case::on_record(
    "ended",
    "good",
    LONG,
    "ActiveDown 0 -/repStateSetActive intends-repStateSetActive"
)]
#[case::heard_before_it_was_on_record(
    "ended",
    "good",
    Duration::ZERO,
    "ActiveDown 0 -/- intends-repStateSetActive"
)]
#[case::done("ended", "active", LONG, "ActiveTakeover 1 -/repStateSave")]
#[case::not_fenced_any_more(
    "good",
    "good",
    LONG,
    "ActiveDown 0 stopRepAgent/- intends-repStateSetActive"
)]
#[case::both_down("ended", "ended", LONG, "BothDown 0 -/- intends-repStateSetActive")]
fn from_active_down(
    #[case] active: &str,
    #[case] standby: &str,
    #[case] age: Duration,
    #[case] wanted: &str,
) {
    let seen = seen(State::ActiveDown, active, standby);
    let plan = decide(&with_intent(seen, Irreversible::Promote, Ordinal::One, age));
    assert_eq!(told(&plan), wanted, "because {}", plan.because);
}

#[test]
fn a_crash_after_the_promotion_is_healed_by_looking_again() {
    // Scenario 41: promoted, and the operator died before it could write so.
    let plan = decide(&seen(State::ActiveDown, "ended", "active"));
    assert_eq!(plan.standing.active, Ordinal::One);
    assert_eq!(plan.standing.rebuild, Rebuild::Copy);
}

#[test]
fn the_new_active_is_routed_only_when_the_old_one_no_longer_is() {
    let mut looked = seen(State::ActiveDown, "ended", "active");
    let labels = decide(&looked).labels;
    assert_eq!(labels.len(), 1, "the old one's label is taken away first");
    assert_eq!((labels[0].member, labels[0].role), (Ordinal::Zero, None));
    looked.members.zero = spelt("sample-0", "ended unlabelled", Role::Active);
    let labels = decide(&looked).labels;
    assert_eq!((labels[0].member, labels[0].role), (Ordinal::One, Some(Role::Active)));
}

fn alone(state: State, rebuild: Rebuild, active: &str, standby: &str) -> Observation {
    let mut seen = seen(state, active, standby);
    seen.standing.rebuild = rebuild;
    seen.members.one.markers = Markers::default();
    if let Pod::Present(pod) = &mut seen.members.one.pod {
        pod.role = None;
        pod.ready = false;
    }
    seen
}

#[rstest]
#[case::start_the_daemon(Rebuild::Repair, "good", "daemon-down", "StandbyDown 0 -/startDaemon")]
#[case::load(Rebuild::Repair, "good", "unloaded", "StandbyDown 0 -/loadDb")]
#[case::start_the_agent(
    Rebuild::Repair,
    "good",
    "no-rep-agent",
    "StandbyStarting 0 -/startRepAgent"
)]
#[case::catching_up(Rebuild::Repair, "good", "idle", "StandbyStarting 0 -/-")]
#[case::nothing_there(Rebuild::Repair, "good", "no-db", "StandbyDown 0 -/- intends-repDuplicate")]
#[case::destroy_first(Rebuild::Copy, "good", "unloaded", "StandbyDown 0 -/- intends-destroyDb")]
#[case::no_source(Rebuild::Copy, "no-rep-agent", "unloaded", "StandbyDown 0 startRepAgent/-")]
#[case::source_silent(Rebuild::Copy, "silent-long", "unloaded", "BothDown 0 -/-")]
#[case::active_dies_standby_in_step(
    Rebuild::Repair,
    "ended",
    "good",
    "ActiveDown 0 -/setReadiness intends-repStateSetActive"
)]
#[case::active_dies_standby_behind(Rebuild::Copy, "ended", "good", "BothDown 0 -/-")]
fn from_standby_down(
    #[case] rebuild: Rebuild,
    #[case] active: &str,
    #[case] standby: &str,
    #[case] wanted: &str,
) {
    let plan = decide(&alone(State::StandbyDown, rebuild, active, standby));
    assert_eq!(told(&plan), wanted, "because {}", plan.because);
}

#[test]
fn destruction_needs_a_source_heard_after_the_decision() {
    let looked = || alone(State::StandbyDown, Rebuild::Copy, "good", "unloaded");
    let at = |age| with_intent(looked(), Irreversible::Destroy, Ordinal::One, age);
    let early = decide(&at(Duration::ZERO));
    assert_eq!(early.give.one, None);
    assert!(early.ask.zero, "the source is asked again");
    let late = decide(&at(LONG));
    assert_eq!(late.give.one.map(|order| order.verb()), Some(Verb::DestroyDb));
}

#[test]
fn a_copy_is_a_task_on_record_before_it_starts() {
    let looked = alone(State::StandbyDown, Rebuild::Copy, "good", "no-db");
    let plan = decide(&with_intent(looked, Irreversible::Duplicate, Ordinal::One, LONG));
    assert_eq!(told(&plan), "StandbyStarting 0 -/repDuplicate intends-repDuplicate");
    assert_eq!(plan.standing.task.map(|task| task.id), Some("fresh".into()));
}

fn copying(state: Task, restarts: i32) -> Observation {
    let mut seen = alone(State::StandbyStarting, Rebuild::Copy, "good", "no-db");
    seen.standing.task = Some(TaskRecord {
        id: "task".into(),
        work: Work::Copy,
        member: Ordinal::One,
        incarnation: incarnation("sample-1", restarts),
        started: 0,
    });
    seen.members.one.task = state;
    seen
}

#[rstest]
#[case::running(Task::Running, 0, "StandbyStarting", true, 0)]
#[case::not_asked_yet(Task::NotAsked, 0, "StandbyStarting", true, 0)]
#[case::failed(Task::Failed("no".into()), 0, "StandbyDown", false, 1)]
#[case::forgotten(Task::Unknown, 0, "StandbyDown", false, 1)]
#[case::another_container(Task::Running, 1, "StandbyDown", false, 1)]
fn a_task_is_followed_to_its_end(
    #[case] task: Task,
    #[case] restarts: i32,
    #[case] state: &str,
    #[case] goes_on: bool,
    #[case] failures: u32,
) {
    let plan = decide(&copying(task, restarts));
    assert_eq!(plan.standing.state.word(), state, "because {}", plan.because);
    assert_eq!(plan.standing.task.is_some(), goes_on);
    assert_eq!(plan.standing.rebuild_failures, failures);
}

#[test]
fn a_failing_copy_pauses_longer_each_time() {
    let mut looked = alone(State::StandbyDown, Rebuild::Copy, "good", "no-db");
    looked.standing.rebuild_failures = 3;
    looked.rebuild_age = Duration::from_secs(7);
    let resting = decide(&looked);
    assert_eq!(resting.standing.intent, None);
    assert_eq!(resting.because.word(), "StandbyRebuildFailing");
    looked.rebuild_age = Duration::from_secs(9);
    assert!(decide(&looked).standing.intent.is_some());
}

#[test]
fn stop_managing_and_reexamine_count_once_each() {
    let mut looked = seen(State::Normal, "ended", "good");
    let mut changed = common::desired(common::IMAGE);
    changed.stop_managing = "please".into();
    looked.desired = Ok(Arc::new(changed.clone()));
    let stopped = decide(&looked);
    assert_eq!(told(&stopped), "ManualInterventionRequired 0 -/-");
    looked.standing = stopped.standing;
    assert_eq!(told(&decide(&looked)), "ManualInterventionRequired 0 -/-");
    let mut looked = Observation { members: seen(State::Normal, "good", "good").members, ..looked };
    changed.reexamine = "now".into();
    looked.desired = Ok(Arc::new(changed));
    let looking = decide(&looked);
    assert_eq!(told(&looking), "Reexamine 0 -/-", "on record first");
    looked.standing = looking.standing;
    assert_eq!(told(&decide(&looked)), "Normal 0 -/-");
}

#[test]
fn deletion_does_nothing_to_the_databases() {
    let mut looked = seen(State::Normal, "ended", "good");
    looked.deleting = true;
    let plan = decide(&looked);
    assert!(plan.is_quiet());
    assert_eq!(plan.because.word(), "Deleting");
}
