//! What is on a volume: the instance and, perhaps, a database with its log.

use super::history::History;
use super::oracle::CacheGroup;
use super::scheme::Scheme;
use crate::view::{PeerState, RepState};

/// What survives a container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Volume {
    /// Release of the instance, set up at first start.
    pub install_release: String,
    pub database: Option<Database>,
    /// The next start with an image of another release cannot upgrade the instance.
    pub resists_upgrade: bool,
    /// The marker that such a start leaves.
    pub upgrade_failed: bool,
}

impl Volume {
    /// The start-up script upgrades the instance to the release of the image. What it failed at is
    /// not tried again until its marker is gone.
    pub(crate) fn upgrade_to(&mut self, release: &str) {
        let differs = !self.install_release.is_empty() && self.install_release != release;
        if differs && std::mem::take(&mut self.resists_upgrade) {
            self.upgrade_failed = true;
        }
        if !self.upgrade_failed || self.install_release.is_empty() {
            release.clone_into(&mut self.install_release);
        }
    }
}

/// A database as it is on disk, log included.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub name: String,
    pub history: History,
    /// Log position that is safe on disk.
    pub flushed: u64,
    pub scheme: Option<Scheme>,
    /// The replication state it had last; what it may become depends on it.
    pub role: RepState,
    /// Number of its last activation in this fleet; 0 = never since the scheme was created.
    pub activation: u64,
    /// State of the peer (`TTREP.REPPEERS`).
    pub peer: PeerState,
    /// The log a failed peer would need is gone.
    pub log_dropped: bool,
    /// It was copied for a subscriber of the scheme.
    pub subscriber: bool,
    pub ping: i64,
    pub cache_groups: Vec<CacheGroup>,
    /// Log position up to which AWT cache groups are known to have sent their rows.
    pub sent: u64,
    pub cache_user_set: bool,
    /// PermSize in MB.
    pub perm_size: u64,
}

impl Database {
    pub(crate) fn new(name: &str, lineage: u64, perm_size: u64) -> Self {
        let mut history = History::default();
        history.fork(lineage);
        Self {
            name: name.to_owned(),
            history,
            flushed: 0,
            scheme: None,
            role: RepState::Idle,
            activation: 0,
            peer: PeerState::Start,
            log_dropped: false,
            subscriber: false,
            ping: 0,
            cache_groups: Vec::new(),
            sent: 0,
            cache_user_set: false,
            perm_size,
        }
    }

    /// The copy a duplicate makes of it: same commits and objects, no role yet.
    pub(crate) fn duplicate(&self) -> Self {
        let mut copy = self.clone();
        copy.role = RepState::Idle;
        copy.peer = PeerState::Start;
        copy.log_dropped = false;
        copy.flushed = copy.history.end();
        copy
    }

    /// `follower` can be brought up to this one by sending it log: it holds nothing else.
    pub(crate) fn can_feed(&self, follower: &Self) -> bool {
        follower.history.is_prefix_of(&self.history)
            || (self.history.is_prefix_of(&follower.history)
                && self.history.same_lineage(&follower.history))
    }

    /// Commits the follower still lacks.
    pub(crate) fn backlog(&self, follower: &Self) -> u64 {
        self.history.end().saturating_sub(follower.history.end())
    }
}
