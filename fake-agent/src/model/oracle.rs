//! The Oracle database behind cache groups, as far as agents have to do with it: whether it can be
//! reached, what has reached it, and what cache groups have made in it.
//!
//! As modelled: rows of AWT cache groups are sent by the standby as long as it follows, else by the
//! active, all at once as soon as the Oracle database can be reached.

use std::collections::BTreeSet;

use super::{TtError, TtResult};
use crate::view::RepState;
use crate::world::World;

/// The one Oracle database of a fleet.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Nobody reaches it.
    pub down: bool,
    /// The hosts whose cache groups have objects of their own in it.
    pub made: BTreeSet<String>,
}

/// A cache group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheGroup {
    pub name: String,
    pub kind: Kind,
}

/// What a cache group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Asynchronous writethrough: commits are sent to the Oracle database afterwards.
    Awt,
    /// Read-only, refreshed from there.
    ReadOnly,
    Other,
}

impl World {
    pub(crate) fn need_oracle(&self) -> TtResult {
        if !self.oracle.down {
            return Ok(());
        }
        let text = "Permanent Oracle connection failure error in OCIServerAttach(): ORA-12541: \
                    TNS:no listener";
        Err(TtError::tt(5220, text))
    }

    fn caches(&self, host: &str) -> bool {
        self.database(host).is_some_and(|database| {
            database.cache_groups.iter().any(|group| group.kind == Kind::Awt)
        })
    }

    /// Rows of AWT cache groups reach the Oracle database.
    pub(crate) fn propagate(&mut self) {
        let hosts: Vec<String> =
            self.containers.keys().filter(|host| self.caches(host)).cloned().collect();
        for host in &hosts {
            let Some(loaded) = self.loaded(host) else { continue };
            let sends = match (&loaded.stream, loaded.state) {
                (None, RepState::Active) | (_, RepState::Standby) => loaded.rep_agent,
                _ => false,
            };
            if sends && loaded.cache_agent && !self.oracle.down {
                self.know_sent(host, u64::MAX);
            }
        }
        // The active keeps its log until the standby has sent it.
        for host in &hosts {
            let peer = self.loaded(host).and_then(|loaded| loaded.stream.as_ref());
            let sent = peer.and_then(|stream| self.database(&stream.peer)).map(|copy| copy.sent);
            if let Some(sent) = sent {
                self.know_sent(host, sent);
            }
        }
    }

    fn know_sent(&mut self, host: &str, up_to: u64) {
        if let Some(database) = self.database_mut(host) {
            database.sent = database.sent.max(up_to.min(database.history.end()));
        }
    }

    /// How much log of a host has not reached the Oracle database, in megabytes; none without AWT.
    pub(crate) fn awt_behind(&self, host: &str) -> Option<f32> {
        let database = self.database(host).filter(|_| self.caches(host))?;
        let commits = database.history.end().saturating_sub(database.sent);
        let bytes = commits.saturating_mul(self.options.commit_bytes);
        Some(bytes as f32 / (1024.0 * 1024.0))
    }

    /// What `cleanupCache` does: the scheme and the cache groups go, and what they made in the Oracle
    /// database; with its script also what those of `other` made.
    pub(crate) fn clean_up(&mut self, host: &str, other: Option<&String>) -> TtResult {
        self.need_loaded(host)?;
        self.need_oracle()?;
        self.drop_scheme(host)?;
        self.drop_cache_groups(host)?;
        self.oracle.made.remove(host);
        if let (Some(other), Some((_, domain))) = (other, host.split_once('.')) {
            self.oracle.made.remove(&format!("{other}.{domain}"));
        }
        Ok(())
    }
}
