//! What the tests of the decision core build: facts, members, and what is observed of a pair. All
//! of it good, long since and undisturbed, for a test to change what it is about.
#![allow(dead_code, reason = "each test needs its part")]

pub(crate) mod census;

use std::sync::Arc;
use std::time::Duration;

use timesten_operator::agent::{
    Daemon, Db, Facts, Instance, PeerState, RepScheme, RepState, RunState,
};
use timesten_operator::crd::TimesTenClassic;
use timesten_operator::desired::Desired;
use timesten_operator::observation::{
    Agent, Heard, Markers, Member, Observation, Owned, Pod, PodFacts, Quiet, Role, Task,
    TtContainer,
};
use timesten_operator::pair::Both;
use timesten_operator::standing::{Incarnation, Standing, State};

pub(crate) const LONG: Duration = Duration::from_secs(3600);
pub(crate) const SHORT: Duration = Duration::from_millis(10);
pub(crate) const NAMES: [&str; 2] = ["sample-0", "sample-1"];

/// The object `sample` with these fields of `spec.ttspec`, in YAML's flow style.
pub(crate) fn desired(ttspec: &str) -> Desired {
    let object: TimesTenClassic = serde_saphyr::from_str(&format!(
        "
apiVersion: timesten.oracle.com/v5
kind: TimesTenClassic
metadata: {{name: sample, namespace: test, uid: 11111111-1111-4111-8111-111111111111}}
spec: {{ttspec: {{storageClassName: fast, {ttspec}}}}}
"
    ))
    .unwrap();
    Desired::of(&object).unwrap()
}

/// The image of most tests.
pub(crate) const IMAGE: &str = "image: 'registry.example/timesten:22.1.1.36.0'";

pub(crate) fn incarnation(name: &str, restarts: i32) -> Incarnation {
    Incarnation { uid: format!("uid-of-{name}"), restarts }
}

/// An instance whose daemon is up, with a database in this state.
pub(crate) fn facts(db: Db) -> Facts {
    Facts {
        meaningful: true,
        instance: Instance::Exists,
        daemon: Daemon::Up,
        db,
        ..Facts::default()
    }
}

/// A database that serves in its pair.
pub(crate) fn serving(state: RepState) -> Facts {
    Facts {
        rep_scheme: RepScheme::Exists,
        rep_agent: RunState::Running,
        rep_state: state,
        peer_state: PeerState::Start,
        open: Some(true),
        ..facts(Db::Loaded)
    }
}

/// Said just now, and the same for long.
pub(crate) fn heard(facts: Facts) -> Agent {
    Agent::Heard(Heard { facts, asked: SHORT, unchanged: LONG })
}

pub(crate) fn pod(name: &str, role: Option<Role>) -> PodFacts {
    PodFacts {
        incarnation: incarnation(name, 0),
        terminating: false,
        tt: TtContainer::Running,
        node_ready: Some(true),
        cordoned: false,
        role,
        ready: false,
        image: None,
        phase: "Running".into(),
        ip: None,
    }
}

/// A member whose pod runs, with the markers of its role.
pub(crate) fn member(name: &str, agent: Agent, role: Option<Role>) -> Member {
    Member {
        name: name.into(),
        pod: Pod::Present(pod(name, role)),
        agent,
        doing: None,
        failures: Vec::new(),
        markers: Markers { active: Some(role == Some(Role::Active)), ready: Some(role.is_some()) },
        quiet: Quiet::No,
        task: Task::NotAsked,
    }
}

/// A pair in this state, both of whose incarnations are known.
pub(crate) fn standing(state: State) -> Standing {
    let [zero, one] = NAMES.map(|name| Some(incarnation(name, 0)));
    Standing {
        state,
        previous: State::Normal,
        term: 7,
        incarnations: Both { zero, one },
        ..Standing::new()
    }
}

/// What is observed of a pair.
pub(crate) fn seen(
    desired: Arc<Desired>,
    standing: Standing,
    members: Both<Member>,
) -> Observation {
    Observation {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        desired: Ok(desired),
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
        members,
        subscribers: Vec::new(),
        owned: Owned::default(),
        locked_out: None,
        fresh_id: "fresh".into(),
    }
}

/// A sentence for a human names the next step, in words that are not missing.
pub(crate) fn says_what_to_do(sentence: &str) -> bool {
    sentence.contains(". Next: ") && !sentence.contains("  ")
}
