//! Where databases without replication stand: the durable memory of an object whose pods are each
//! a small state machine of their own.
//!
//! Never: holds what can be observed again.

use std::collections::BTreeMap;
use std::fmt;

use super::{Incarnation, PodIntent};

/// The object's high level state; the words are TimesTen's (`status.highLevelState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No database has come up yet.
    Initializing,
    /// All of them serve.
    AllReplicasReady,
    /// Some of them do.
    SomeReplicasReady,
    /// None does.
    NoReplicasReady,
    /// A human says it is repaired; the operator looks.
    Reexamine,
    /// The operator keeps its hands off all pods until a human says `reexamine`.
    ManualInterventionRequired,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Initializing,
        Self::AllReplicasReady,
        Self::SomeReplicasReady,
        Self::NoReplicasReady,
        Self::Reexamine,
        Self::ManualInterventionRequired,
    ];

    /// The word in the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::AllReplicasReady => "AllReplicasReady",
            Self::SomeReplicasReady => "SomeReplicasReady",
            Self::NoReplicasReady => "NoReplicasReady",
            Self::Reexamine => "Reexamine",
            Self::ManualInterventionRequired => "ManualInterventionRequired",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The state of one pod (`status.podStatus[].highLevelState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplicaState {
    /// Its database is being made, or found on its volume.
    #[default]
    Initializing,
    /// Its database serves, as far as is known.
    Normal,
    /// It does not, and is being brought back.
    Down,
    /// A human says it is repaired; the operator looks.
    Reexamine,
    /// The operator keeps its hands off this pod until a human says `reexamine`.
    ManualInterventionRequired,
}

impl ReplicaState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Initializing,
        Self::Normal,
        Self::Down,
        Self::Reexamine,
        Self::ManualInterventionRequired,
    ];

    /// The word in the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Normal => "Normal",
            Self::Down => "Down",
            Self::Reexamine => "Reexamine",
            Self::ManualInterventionRequired => "ManualInterventionRequired",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// The durable memory of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where the object stands.
    pub state: State,
    /// Where it stood before.
    pub previous: State,
    /// Raised by every change of state, and by every pod that needs a human.
    pub term: i64,
    /// Its pods, by name.
    pub pods: BTreeMap<String, Replica>,
    /// The last value of `stopManaging` that was heeded.
    pub stop_managing: String,
    /// The last value of `reexamine` that was heeded.
    pub reexamine: String,
    /// Why a human is needed for the whole object: a reason in CamelCase and a sentence.
    pub manual: Option<(String, String)>,
}

impl Standing {
    /// That of an object that was never looked at.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Initializing,
            previous: State::Initializing,
            term: 0,
            pods: BTreeMap::new(),
            stop_managing: String::new(),
            reexamine: String::new(),
            manual: None,
        }
    }

    /// How many pods serve.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.pods.values().filter(|pod| pod.ready()).count()
    }
}

impl Default for Standing {
    fn default() -> Self {
        Self::new()
    }
}

/// The durable memory of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// Where it stands.
    pub state: ReplicaState,
    /// The incarnation in which its database was last good; none: it never was.
    pub known: Option<Incarnation>,
    /// `createDb` is about to be sent, or was being sent when the operator stopped.
    pub create: Option<PodIntent>,
    /// Why it needs a human: a reason in CamelCase and a sentence.
    pub manual: Option<(String, String)>,
}

impl Replica {
    /// It is fit for use.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.state == ReplicaState::Normal
    }
}
