//! A running `tt` container: daemon, database in memory, agents, markers, the one task.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::logs::Logs;
use crate::options::ContainerSpec;
use crate::protocol::tasks::Task;
use crate::view::{CommitId, DatabaseState, RepState};

/// Where the database of a container is. `None` on disk is `Volume::database`.
#[derive(Debug)]
pub(crate) enum Memory {
    Out,
    Loading,
    In(Loaded),
    Unloading,
    Transitioning,
}

/// Contact between the two replication agents, as one side knows it; of a subscriber, with the one
/// that feeds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contact {
    /// None yet since the database was loaded or the peer was set to start.
    Never,
    Now,
    LostAt(Instant),
}

/// The sending of log from an active to its standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub id: u64,
    pub peer: String,
    /// Backlog done: each commit travels by itself.
    pub caught_up: bool,
}

/// Log on its way to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    pub id: u64,
    pub from: String,
    /// The subscriber has everything up to here when it arrives.
    pub lsn: u64,
}

/// An application that waits for its commit to be acknowledged.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub id: CommitId,
    pub twosafe: bool,
    pub done: oneshot::Sender<Acknowledged>,
}

/// How a waiting commit was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    ByStandby,
    /// The standby was declared failed: committed here only.
    LocallyOnly,
}

/// A database in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub open: bool,
    /// Users are connected. Closing keeps out those to come; it does not end who is there.
    pub users: bool,
    pub rep_agent: bool,
    pub cache_agent: bool,
    pub state: RepState,
    pub contact: Contact,
    pub stream: Option<Stream>,
    /// Of a subscriber: log on its way to it.
    pub feed: Option<Feed>,
    pub waiters: Vec<Waiter>,
    /// Log positions given out to twosafe commits that are under way.
    pub reserved: u64,
}

impl Loaded {
    pub(crate) fn new(open: bool) -> Self {
        Self {
            open,
            users: false,
            rep_agent: false,
            cache_agent: false,
            state: RepState::Idle,
            contact: Contact::Never,
            stream: None,
            feed: None,
            waiters: Vec::new(),
            reserved: 0,
        }
    }
}

/// One incarnation of a container.
#[derive(Debug)]
pub(crate) struct Container {
    pub spec: ContainerSpec,
    /// Made once from the credentials; none without usable ones.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub generation: u64,
    pub listening: bool,
    pub daemon: bool,
    pub memory: Memory,
    pub markers: BTreeSet<String>,
    pub task: Option<Task>,
    pub quiescing: bool,
    pub flush_pending: bool,
    pub pid: u64,
    pub exit: watch::Sender<Option<i32>>,
    pub logs: Logs,
    pub seen: Digest,
}

/// The facts whose changes are told as events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    pub daemon: bool,
    pub database: DatabaseState,
    pub open: bool,
    pub rep_agent: bool,
    pub cache_agent: bool,
    pub rep_state: &'static str,
    pub peer: &'static str,
    pub contact: bool,
    pub writable: bool,
}

impl Container {
    pub(crate) fn loaded(&self) -> Option<&Loaded> {
        match &self.memory {
            Memory::In(loaded) => Some(loaded),
            Memory::Out | Memory::Loading | Memory::Unloading | Memory::Transitioning => None,
        }
    }

    pub(crate) fn loaded_mut(&mut self) -> Option<&mut Loaded> {
        match &mut self.memory {
            Memory::In(loaded) => Some(loaded),
            Memory::Out | Memory::Loading | Memory::Unloading | Memory::Transitioning => None,
        }
    }
}
