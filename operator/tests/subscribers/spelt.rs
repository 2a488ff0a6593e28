//! A pair, and a subscriber spelt in a word or two.

use std::sync::Arc;
use std::time::Duration;

use timesten_operator::agent::{Daemon, Db, Facts, PeerState, RepScheme, RepState, RunState, Verb};
use timesten_operator::observation::{
    Agent, Failure, Member, Observation, Pod, Role, Silence, Subscriber as Seen, Task,
};
use timesten_operator::pair::Both;
use timesten_operator::standing::subscribers::{PodTask, Subscriber, SubscriberState};
use timesten_operator::standing::{Irreversible, PodIntent, State};

use super::common::{self, IMAGE, LONG, NAMES, SHORT, heard, incarnation, serving};

pub(crate) const NAME: &str = "sample-sub-0";

fn member(name: &str, facts: Facts, role: Option<Role>) -> Member {
    common::member(name, heard(facts), role)
}

/// A subscriber that follows, but for what the words say.
#[expect(clippy::too_many_lines, reason = "a table: one arm for each word")]
pub(crate) fn spelt(words: &str) -> Seen {
    let mut facts = serving(RepState::Idle);
    let mut one = member(NAME, facts.clone(), None);
    one.markers.ready = Some(true);
    let mut standing = Subscriber {
        state: SubscriberState::Normal,
        known: Some(incarnation(NAME, 0)),
        ..Subscriber::default()
    };
    let (mut named, mut rest_age, mut task_age) = (true, LONG, SHORT);
    let mut agent = None;
    let intent = |act| {
        let (uid, at) = (format!("uid-of-{NAME}"), "2026-01-01T00:00:00Z".parse().unwrap());
        Some(PodIntent { act, uid, at })
    };
    let task = |restarts| {
        let incarnation = incarnation(NAME, restarts);
        Some(PodTask { id: "task".into(), incarnation, started: 0 })
    };
    let refused =
        |verb| Failure { verb, count: 3, ago: LONG, said: true, hung: false, text: "no".into() };
    for word in words.split(' ') {
        match word {
            "follows" => {}
            "new" => {
                (standing.state, standing.known) = (SubscriberState::Initializing, None);
                one.markers.ready = Some(false);
            }
            "down" => {
                standing.state = SubscriberState::Down;
                one.markers.ready = Some(false);
            }
            "unnamed" => named = false,
            "no-pod" => one.pod = Pod::Absent,
            "restarted" => {
                if let Pod::Present(pod) = &mut one.pod {
                    pod.incarnation.restarts = 1;
                }
                agent = Some(Agent::NotYet { waited: SHORT, how: None });
            }
            "silent" => {
                agent = Some(Agent::Silent { since: SHORT, how: Silence::Mute("-".into()) });
            }
            "silent-long" => {
                agent = Some(Agent::Silent { since: LONG, how: Silence::Mute("-".into()) });
            }
            "daemon-down" => facts.daemon = Daemon::Down,
            "no-db" => facts.db = Db::None,
            "unloaded" => facts.db = Db::Unloaded,
            "loading" => facts.db = Db::Loading,
            "closed" => facts.open = Some(false),
            "no-scheme" => facts.rep_scheme = RepScheme::None,
            "no-rep-agent" => facts.rep_agent = RunState::NotRunning,
            "quiescing" => facts.quiescing = true,
            "load-refused" => one.failures.push(refused(Verb::LoadDb)),
            "start-refused" => one.failures.push(refused(Verb::StartRepAgent)),
            "destroys" => standing.intent = intent(Irreversible::Destroy),
            "duplicates" => standing.intent = intent(Irreversible::Duplicate),
            "copying" => (standing.task, standing.copies) = (task(0), 1),
            "copying-elsewhere" => (standing.task, standing.copies) = (task(7), 1),
            "runs" => one.task = Task::Running,
            "complete" => one.task = Task::Complete,
            "failed" => one.task = Task::Failed("no".into()),
            "forgotten" => one.task = Task::Unknown,
            "overdue" => task_age = LONG,
            "failed-thrice" => standing.copies = 3,
            "just-now" => rest_age = Duration::from_secs(7),
            other => panic!("no such word: {other}"),
        }
    }
    one.agent = agent.unwrap_or(heard(facts));
    let intent_age = standing.intent.as_ref().map(|_| Duration::from_secs(1));
    Seen { member: one, standing, named, intent_age, task_age, rest_age }
}

/// A pair: in state Normal; alone, the active told or not; or left to a human.
pub(crate) fn seen(pair: &str, subscriber: Seen) -> Observation {
    let mut active = serving(RepState::Active);
    let (mut state, mut standby) = (State::Normal, serving(RepState::Standby));
    match pair {
        "Normal" => {}
        "manual" => state = State::ManualInterventionRequired,
        "alone" | "untold" => {
            state = State::StandbyDown;
            standby = Facts { daemon: Daemon::Down, ..standby };
            if pair == "alone" {
                active.peer_state = PeerState::Failed;
            }
        }
        other => panic!("no such pair: {other}"),
    }
    let members = Both {
        zero: member(NAMES[0], active, Some(Role::Active)),
        one: member(NAMES[1], standby, Some(Role::Standby)),
    };
    let ttspec = format!("{IMAGE}, agentAsyncTimeout: 60, subscribers: {{replicas: 1}}");
    let desired = Arc::new(common::desired(&ttspec));
    let pair = common::seen(desired, common::standing(state), members);
    Observation { subscribers: vec![subscriber], ..pair }
}
