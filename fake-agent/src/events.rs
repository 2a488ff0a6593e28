//! What happens in a fleet, as a stream: for timelines and oracles. Never influences the model.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::view::CopyReport;

/// One happening.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, on tokio's clock.
    pub at: Instant,
    /// The host (pod FQDN) it happened on; empty for the loss of a volume that nobody used.
    pub host: String,
    /// What.
    pub what: Happening,
}

/// A fact of a container that can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The main daemon: `up`, `down`.
    Daemon,
    /// The database: `None`, `Unloaded`, `Loading`, `Loaded`, `Unloading`, `Transitioning`.
    Database,
    /// Open to user connections: `open`, `closed`.
    Open,
    /// Replication agent: `running`, `stopped`.
    RepAgent,
    /// Cache agent: `running`, `stopped`.
    CacheAgent,
    /// `ACTIVE`, `STANDBY`, `IDLE`, `FAILED`, `RECOVERING`, or `-` without a loaded database.
    RepState,
    /// The stored state of the peer: `start`, `pause`, `stop`, `failed`, `-`.
    Peer,
    /// Contact with the peer's replication agent: `yes`, `no`.
    Contact,
    /// Applications can write: `yes`, `no`.
    Writable,
}

/// The kinds of happening.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A container started.
    Started,
    /// The agent listens.
    Listening,
    /// The container ended.
    Ended {
        /// Exit code of the main process.
        code: i32,
    },
    /// A request reached the agent.
    Received {
        /// The verb, or `GET`, or `POLL`.
        verb: String,
        /// Query or form parameters.
        params: BTreeMap<String, String>,
    },
    /// A verb took effect or failed.
    Done {
        /// The verb.
        verb: String,
        /// 0 or the error.
        errno: i64,
    },
    /// A fact changed.
    Changed {
        /// Which.
        fact: Fact,
        /// Old value.
        from: &'static str,
        /// New value.
        to: &'static str,
    },
    /// This database was told to be ACTIVE.
    Activated,
    /// Two actives met and this older one lost.
    Invalidated {
        /// The host of the winner.
        by: String,
    },
    /// A copy of the database was destroyed (or its volume lost).
    Destroyed {
        /// What was destroyed.
        copy: CopyReport,
        /// All other copies at that moment, told relative to the destroyed one.
        others: Vec<CopyReport>,
    },
    /// A marker file appeared or vanished.
    Marker {
        /// Its path.
        path: String,
        /// It exists now.
        present: bool,
    },
    /// A fault was injected from outside.
    Fault(String),
}

impl Happening {
    /// For `Destroyed`: some other copy held everything the destroyed one held.
    #[must_use]
    pub fn destroyed_with_complete_copy_left(&self) -> Option<bool> {
        match self {
            Self::Destroyed { others, .. } => Some(others.iter().any(|copy| copy.complete)),
            _ => None,
        }
    }
}

/// A subscription; from the moment it was made, in order, nothing dropped.
#[derive(Debug)]
pub struct Events {
    pub(crate) receiver: mpsc::UnboundedReceiver<Event>,
}

impl Events {
    /// The next event; `None` when the fleet is gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The next event that is already there.
    pub fn try_next(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }
}
