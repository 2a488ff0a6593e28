//! What a member can show, in abstract.

use std::time::Duration;

use timesten_operator::agent::{
    Daemon, Db, Facts, Files, Instance, PeerState, RepScheme, RepState, RunState,
};
use timesten_operator::observation::{
    Agent, Heard, Markers, Member, Pod, PodFacts, Quiet, Role, Silence, Task, TtContainer,
};
use timesten_operator::standing::Incarnation;

use super::SOON;

/// The abstract facts of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
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
pub(super) fn shown() -> Vec<Shown> {
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

pub(super) fn incarnation(name: &str, restarts: i32) -> Incarnation {
    Incarnation { uid: format!("uid-of-{name}"), restarts }
}

fn facts(db: Db) -> Facts {
    Facts {
        meaningful: true,
        instance: Instance::Exists,
        daemon: Daemon::Up,
        db,
        ..Facts::default()
    }
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
        node_ready: Some(true),
        cordoned: false,
        role,
        ready: false,
        image: None,
        phase: "Running".into(),
        ip: None,
    }
}

pub(super) fn member(name: &str, shown: Shown, role: Option<Role>, since: Duration) -> Member {
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
        Shown::DaemonDown => {
            heard(Facts { daemon: Daemon::Down, db: Db::Unknown, ..facts(Db::Unknown) })
        }
        Shown::NoDatabase => heard(facts(Db::None)),
        Shown::Unloaded => heard(facts(Db::Unloaded)),
        Shown::Loading => heard(facts(Db::Loading)),
        Shown::Closed => heard(Facts {
            rep_scheme: RepScheme::Exists,
            rep_state: RepState::Active,
            rep_agent: RunState::Running,
            peer_state: PeerState::Start,
            open: Some(false),
            ..facts(Db::Loaded)
        }),
        Shown::Uncached | Shown::Cached => heard(unreplicated(shown == Shown::Cached)),
        Shown::Says(rep_state, rep_agent, peer_state) => heard(Facts {
            rep_scheme: RepScheme::Exists,
            rep_state,
            rep_agent,
            peer_state,
            open: Some(true),
            ..facts(Db::Loaded)
        }),
    };
    Member {
        name: name.into(),
        pod: if shown == Shown::NoPod { Pod::Absent } else { Pod::Present(pod(name, shown, role)) },
        agent,
        doing: None,
        failures: Vec::new(),
        markers: Markers { active: Some(false), ready: Some(false) },
        quiet: Quiet::No,
        task: Task::NotAsked,
    }
}

/// A database before replication, with cachegroups.sql: with a cache group, or without.
fn unreplicated(cached: bool) -> Facts {
    Facts {
        files: Files { cache_groups: Some(true), ..Files::default() },
        n_cache_groups: Some(u64::from(cached)),
        rep_scheme: RepScheme::None,
        rep_state: RepState::Idle,
        rep_agent: RunState::NotRunning,
        cache_agent: RunState::NotRunning,
        open: Some(true),
        ..facts(Db::Loaded)
    }
}

/// The member's database may take writes, as far as it says.
pub(super) fn is_active(shown: Shown) -> bool {
    matches!(shown, Shown::Dying | Shown::Closed | Shown::Says(RepState::Active, ..))
}

/// The member can be copied: it is ACTIVE, and its replication agent runs.
pub(super) fn is_source(shown: Shown) -> bool {
    matches!(shown, Shown::Closed | Shown::Says(RepState::Active, RunState::Running, _))
}
