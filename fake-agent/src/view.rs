//! The truth about a host, for oracles: read from the model, not through the protocol.

use std::collections::BTreeSet;
use std::fmt;

/// Where a database is between disk and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatabaseState {
    /// There is none.
    None,
    /// On disk only.
    Unloaded,
    /// Being read into memory.
    Loading,
    /// In memory.
    Loaded,
    /// Being written back.
    Unloading,
    /// Invalidated, with connections that still hold the old memory.
    Transitioning,
}

impl DatabaseState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Unloaded => "Unloaded",
            Self::Loading => "Loading",
            Self::Loaded => "Loaded",
            Self::Unloading => "Unloading",
            Self::Transitioning => "Transitioning",
        }
    }
}

/// Replication state of a loaded database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepState {
    /// Applications may write.
    Active,
    /// Follows the active.
    Standby,
    /// No role yet.
    Idle,
    /// Declared failed by the active.
    Failed,
    /// Catching up with the active.
    Recovering,
}

impl RepState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Standby => "STANDBY",
            Self::Idle => "IDLE",
            Self::Failed => "FAILED",
            Self::Recovering => "RECOVERING",
        }
    }
}

/// State of the peer as a database sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// Updates are sent.
    Start,
    /// Updates are kept, not sent.
    Pause,
    /// Updates are neither kept nor sent.
    Stop,
    /// Declared failed.
    Failed,
}

impl PeerState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Stop => "stop",
            Self::Failed => "failed",
        }
    }
}

/// A commit, unique in a fleet: the activation it was made under and its log position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitId {
    /// Number of the creation or activation after which it was made.
    pub lineage: u64,
    /// Log position.
    pub lsn: u64,
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lineage, self.lsn)
    }
}

/// One copy of the database, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyReport {
    /// The volume it is on.
    pub volume: String,
    /// The host that has the volume, if a container runs there.
    pub host: Option<String>,
    /// Last log position.
    pub position: u64,
    /// Its replication state, if loaded.
    pub rep_state: Option<RepState>,
    /// It was copied for a subscriber: it can never become a member of the pair.
    pub subscriber: bool,
    /// It holds every commit of the copy it is compared with.
    pub complete: bool,
    /// It can be duplicated from now: loaded, ACTIVE, agent running, scheme present.
    pub source: bool,
}

/// The truth about one running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Pod FQDN.
    pub host: String,
    /// Volume id.
    pub volume: String,
    /// The agent has started.
    pub listening: bool,
    /// Main daemon up.
    pub daemon: bool,
    /// The database.
    pub database: DatabaseState,
    /// Open to user connections.
    pub open: bool,
    /// Replication agent runs.
    pub rep_agent: bool,
    /// Cache agent runs.
    pub cache_agent: bool,
    /// Replication state, if loaded.
    pub rep_state: Option<RepState>,
    /// Stored state of the peer, if there is a scheme.
    pub peer: Option<PeerState>,
    /// It is a subscriber's copy.
    pub subscriber: bool,
    /// The two replication agents talk; of a subscriber, its own and that of whoever feeds it.
    pub contact: bool,
    /// A replication scheme exists.
    pub scheme: bool,
    /// Applications can write.
    pub writable: bool,
    /// Last log position of the copy; 0 for none.
    pub position: u64,
    /// Number of the activation that made it active last; 0 for never.
    pub activation: u64,
    /// Cache groups defined.
    pub cache_groups: usize,
    /// Marker files that exist.
    pub markers: BTreeSet<String>,
    /// Verb of the running asynchronous task.
    pub task: Option<String>,
}
