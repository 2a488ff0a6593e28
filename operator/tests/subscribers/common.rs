//! A pair, and a subscriber spelt in a word or two.

use std::sync::Arc;
use std::time::Duration;

use timesten_operator::agent::{
    Daemon, Db, Facts, Instance, PeerState, RepScheme, RepState, RunState, Verb,
};
use timesten_operator::crd::TimesTenClassic;
use timesten_operator::desired::Desired;
use timesten_operator::observation::{
    Agent, Failure, Heard, Markers, Member, Observation, Owned, Pod, PodFacts, Quiet, Role,
    Silence, Subscriber as Seen, Task, TtContainer,
};
use timesten_operator::pair::Both;
use timesten_operator::standing::subscribers::{PodTask, Subscriber, SubscriberState};
use timesten_operator::standing::{Incarnation, Irreversible, PodIntent, Standing, State};

const OBJECT: &str = "
apiVersion: timesten.oracle.com/v5
kind: TimesTenClassic
metadata: {name: sample, namespace: test, uid: 11111111-1111-4111-8111-111111111111}
spec:
  ttspec:
    image: registry.example/timesten:22.1.1.36.0
    storageClassName: fast
    agentAsyncTimeout: 60
    subscribers: {replicas: 1}
";

pub(crate) const NAME: &str = "sample-sub-0";
pub(crate) const LONG: Duration = Duration::from_secs(3600);
pub(crate) const SHORT: Duration = Duration::from_millis(10);

pub(crate) fn incarnation(name: &str, restarts: i32) -> Incarnation {
    Incarnation { uid: format!("uid-of-{name}"), restarts }
}

pub(crate) fn serving(state: RepState) -> Facts {
    Facts {
        meaningful: true,
        instance: Instance::Exists,
        daemon: Daemon::Up,
        db: Db::Loaded,
        rep_scheme: RepScheme::Exists,
        rep_agent: RunState::Running,
        rep_state: state,
        peer_state: PeerState::Start,
        open: Some(true),
        ..Facts::default()
    }
}

pub(crate) fn member(name: &str, facts: Facts, role: Option<Role>) -> Member {
    Member {
        name: name.into(),
        pod: Pod::Present(PodFacts {
            incarnation: incarnation(name, 0),
            terminating: false,
            tt: TtContainer::Running,
            cordoned: false,
            image: None,
            node_ready: Some(true),
            role,
            ready: false,
            phase: "Running".into(),
            ip: None,
        }),
        agent: Agent::Heard(Heard { facts, asked: SHORT, unchanged: LONG }),
        doing: None,
        failures: Vec::new(),
        markers: Markers { active: Some(role == Some(Role::Active)), ready: Some(role.is_some()) },
        quiet: Quiet::No,
        task: Task::NotAsked,
    }
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
    one.agent = agent.unwrap_or(Agent::Heard(Heard { facts, asked: SHORT, unchanged: LONG }));
    let intent_age = standing.intent.as_ref().map(|_| Duration::from_secs(1));
    Seen { member: one, standing, named, intent_age, task_age, rest_age }
}

/// A pair: in state Normal; alone, the active told or not; or left to a human.
pub(crate) fn seen(pair: &str, subscriber: Seen) -> Observation {
    let object: TimesTenClassic = serde_saphyr::from_str(OBJECT).unwrap();
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
    let standing = Standing {
        state,
        incarnations: Both {
            zero: Some(incarnation("sample-0", 0)),
            one: Some(incarnation("sample-1", 0)),
        },
        ..Standing::new()
    };
    Observation {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        desired: Ok(Arc::new(Desired::of(&object).unwrap())),
        refused: None,
        generation: 1,
        deleting: false,
        deleting_for: Duration::ZERO,
        finalized: false,
        standing,
        in_state: LONG,
        intent_age: None,
        task_age: Duration::ZERO,
        rebuild_age: Duration::ZERO,
        members: Both {
            zero: member("sample-0", active, Some(Role::Active)),
            one: member("sample-1", standby, Some(Role::Standby)),
        },
        subscribers: vec![subscriber],
        owned: Owned::default(),
        locked_out: None,
        fresh_id: "fresh".into(),
    }
}
