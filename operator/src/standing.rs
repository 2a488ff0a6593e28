//! Where the pair stands: the durable memory, kept in `status`.
//!
//! Never: holds what can be observed again. A restarted operator reads this, looks at the pods and
//! the agents, and goes on; nothing else is remembered across restarts.

pub mod cache;
pub mod replicas;
pub mod subscribers;
mod switchover;
pub mod upgrade;

use std::fmt;

use jiff::Timestamp;

pub use self::switchover::{Ending, Occasion, Outcome, Stage, Switchover};

use self::cache::Cache;
use self::upgrade::Upgrades;
use crate::pair::{Both, Ordinal};

/// The object's high level state; the words are TimesTen's (`status.highLevelState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Kubernetes objects and databases are being made.
    Initializing,
    /// Both databases are up and replicate.
    Normal,
    /// The roles are being changed as planned: clients are kept out until nothing can be lost.
    Switchover,
    /// The active has failed; its peer is about to be promoted.
    ActiveDown,
    /// The new or surviving active takes over.
    ActiveTakeover,
    /// The active serves alone.
    StandbyDown,
    /// The standby is being repaired or copied.
    StandbyStarting,
    /// The standby applies what it has missed.
    StandbyCatchup,
    /// Neither database works.
    BothDown,
    /// The pod with the best database must come up first.
    WaitingForActive,
    /// That database is being made the active.
    ConfiguringActive,
    /// A human says it is repaired; the operator looks.
    Reexamine,
    /// The operator keeps its hands off until a human says `reexamine`.
    ManualInterventionRequired,
    /// Nothing could be made of the object, before it held any data.
    Failed,
}

impl State {
    /// All states, in the order of the documentation's table.
    pub const ALL: [Self; 14] = [
        Self::Initializing,
        Self::Normal,
        Self::Switchover,
        Self::ActiveDown,
        Self::ActiveTakeover,
        Self::StandbyDown,
        Self::StandbyStarting,
        Self::StandbyCatchup,
        Self::BothDown,
        Self::WaitingForActive,
        Self::ConfiguringActive,
        Self::Reexamine,
        Self::ManualInterventionRequired,
        Self::Failed,
    ];

    /// The word in the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Normal => "Normal",
            Self::Switchover => "Switchover",
            Self::ActiveDown => "ActiveDown",
            Self::ActiveTakeover => "ActiveTakeover",
            Self::StandbyDown => "StandbyDown",
            Self::StandbyStarting => "StandbyStarting",
            Self::StandbyCatchup => "StandbyCatchup",
            Self::BothDown => "BothDown",
            Self::WaitingForActive => "WaitingForActive",
            Self::ConfiguringActive => "ConfiguringActive",
            Self::Reexamine => "Reexamine",
            Self::ManualInterventionRequired => "ManualInterventionRequired",
            Self::Failed => "Failed",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// An active database serves in this state.
    #[must_use]
    pub const fn has_active(self) -> bool {
        match self {
            Self::Normal
            | Self::ActiveTakeover
            | Self::StandbyDown
            | Self::StandbyStarting
            | Self::StandbyCatchup => true,
            Self::Initializing
            | Self::Switchover
            | Self::ActiveDown
            | Self::BothDown
            | Self::WaitingForActive
            | Self::ConfiguringActive
            | Self::Reexamine
            | Self::ManualInterventionRequired
            | Self::Failed => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The durable memory of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where the pair stands.
    pub state: State,
    /// Where it stood before.
    pub previous: State,
    /// The member that is, or is to be, the active.
    pub active: Ordinal,
    /// Raised by every change of state; an order belongs to the term it was decided in.
    pub term: i64,
    /// The incarnation of each pod when its member was last in good health.
    pub incarnations: Both<Option<Incarnation>>,
    /// What irreversible thing is about to be done, or was being done when the operator stopped.
    pub intent: Option<Intent>,
    /// The asynchronous task under way.
    pub task: Option<TaskRecord>,
    /// How the standby is brought back.
    pub rebuild: Rebuild,
    /// Rebuilds of the standby that failed in a row.
    pub rebuild_failures: u32,
    /// The standby was copied since the pair was whole: another copy would be a second try.
    pub copied: bool,
    /// The last value of `stopManaging` that was heeded.
    pub stop_managing: String,
    /// The last value of `reexamine` that was heeded.
    pub reexamine: String,
    /// The scheme was seen to use RETURN TWOSAFE.
    pub twosafe: bool,
    /// It was seen to let commits pass unacknowledged: DISABLE RETURN or LOCAL COMMIT.
    pub lax: bool,
    /// The planned change of roles that is under way, or being undone.
    pub switchover: Option<Switchover>,
    /// How the last one ended.
    pub switched: Option<Ending>,
    /// The last value of `switchover` that was heeded.
    pub switchover_asked: String,
    /// Upgrades of the image.
    pub upgrades: Upgrades,
    /// Cache groups.
    pub cache: Cache,
    /// The last failover.
    pub failover: Option<Failover>,
    /// Why a human is needed: a reason in CamelCase and a sentence.
    pub manual: Option<(String, String)>,
}

impl Standing {
    /// That of an object that was never looked at.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Initializing,
            previous: State::Initializing,
            active: Ordinal::Zero,
            term: 0,
            incarnations: Both::default(),
            intent: None,
            task: None,
            rebuild: Rebuild::Repair,
            rebuild_failures: 0,
            copied: false,
            stop_managing: String::new(),
            reexamine: String::new(),
            twosafe: false,
            lax: false,
            switchover: None,
            switched: None,
            switchover_asked: String::new(),
            upgrades: Upgrades::default(),
            cache: Cache::default(),
            failover: None,
            manual: None,
        }
    }

    /// The id of the task that was recorded for a member.
    #[must_use]
    pub fn task_of(&self, member: Ordinal) -> Option<&str> {
        let task = self.task.as_ref().filter(|task| task.member == member)?;
        Some(&task.id)
    }

    /// A task of that work is on record.
    #[must_use]
    pub fn works(&self, work: Work) -> bool {
        self.task.as_ref().is_some_and(|task| task.work == work)
    }

    /// How far a planned change of roles is, if there is one.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.switchover.as_ref().map(|switchover| switchover.stage)
    }

    /// The member that is, or is to be, the standby.
    #[must_use]
    pub const fn standby(&self) -> Ordinal {
        self.active.other()
    }
}

impl Default for Standing {
    fn default() -> Self {
        Self::new()
    }
}

/// One life of a pod's `tt` container: what was said to it does not hold for the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation {
    /// The pod's UID.
    pub uid: String,
    /// How often the container was restarted.
    pub restarts: i32,
}

/// An irreversible act, recorded before it is done (invariant I7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What.
    pub act: Irreversible,
    /// In which member.
    pub member: Ordinal,
    /// The UID of the pod it was decided for (I13).
    pub uid: String,
    /// The term it was decided in.
    pub term: i64,
    /// A promotion for which the end of the old active is not proven.
    pub unproven: bool,
    /// Why, for people.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// An irreversible act in a pod beside the pair, recorded before it is done (I7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIntent {
    /// What.
    pub act: Irreversible,
    /// The UID of the pod it was decided for (I13).
    pub uid: String,
    /// When.
    pub at: Timestamp,
}

/// Acts that cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irreversible {
    /// `createDb`: runs the user's SQL, which must not run twice.
    Create,
    /// `repStateSetActive`.
    Promote,
    /// `destroyDb`.
    Destroy,
    /// `repDuplicate`.
    Duplicate,
    /// `createCg`: runs the user's SQL, which must not run twice.
    CreateCacheGroups,
    /// `cleanupCache`.
    CleanUp,
}

impl Irreversible {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Promote,
        Self::Destroy,
        Self::Duplicate,
        Self::CreateCacheGroups,
        Self::CleanUp,
    ];

    /// The word in `status.intent.verb`: the verb that is to be sent.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "createDb",
            Self::Promote => "repStateSetActive",
            Self::Destroy => "destroyDb",
            Self::Duplicate => "repDuplicate",
            Self::CreateCacheGroups => "createCg",
            Self::CleanUp => "cleanupCache",
        }
    }
}

/// An asynchronous task, recorded before it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its request id.
    pub id: String,
    /// What it does.
    pub work: Work,
    /// In which member.
    pub member: Ordinal,
    /// The incarnation it was started in: another one does not know it (I13).
    pub incarnation: Incarnation,
    /// When it was started, seconds since 1970.
    pub started: i64,
}

/// What an asynchronous task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// `repDuplicate`.
    Copy,
    /// `createCg`.
    CacheGroups,
}

impl Work {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Copy, Self::CacheGroups];

    /// The word in `status.asyncStatus.type`: the verb.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Copy => Irreversible::Duplicate.word(),
            Self::CacheGroups => Irreversible::CreateCacheGroups.word(),
        }
    }
}

/// How the standby is brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// By starting what has stopped: nothing is destroyed (W10).
    Repair,
    /// By destroying its database and copying the active's.
    Copy,
    /// By starting what has stopped. It was the active when its peer was promoted without proof of
    /// its end: what it took since then is kept until the policy or a human lets it go.
    Keep,
}

/// Times of a failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// The pod that was the active.
    pub from: String,
    /// The pod that became it.
    pub to: String,
    /// Why.
    pub reason: String,
    /// When the failure was detected.
    pub detected: Timestamp,
    /// When the old active was known to be fenced.
    pub fenced: Option<Timestamp>,
    /// When the new one was seen to be ACTIVE.
    pub promoted: Option<Timestamp>,
    /// When clients were sent to it.
    pub routed: Option<Timestamp>,
    /// When the pair was whole again.
    pub restored: Option<Timestamp>,
}
