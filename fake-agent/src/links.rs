//! The network between replication agents: one-way links that can be cut, healed or delayed.
//! Says nothing of how requests reach the agents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::world::Shared;

/// State of all links.
#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    cut: BTreeSet<(String, String)>,
    latency: BTreeMap<(String, String), Duration>,
}

impl LinkTable {
    pub(crate) fn up(&self, from: &str, to: &str) -> bool {
        self.cut.is_empty() || !self.cut.contains(&(from.to_owned(), to.to_owned()))
    }

    pub(crate) fn latency(&self, from: &str, to: &str, default: Duration) -> Duration {
        if self.latency.is_empty() {
            return default;
        }
        self.latency.get(&(from.to_owned(), to.to_owned())).copied().unwrap_or(default)
    }
}

/// Handle on the links of a fleet.
#[derive(Clone)]
pub struct Links {
    pub(crate) shared: Arc<Shared>,
}

impl Links {
    /// Cuts one direction. Replication needs both.
    pub fn cut(&self, from: &str, to: &str) {
        let link = (from.to_owned(), to.to_owned());
        self.shared.with(|world| world.links.cut.insert(link));
    }

    /// Mends one direction.
    pub fn heal(&self, from: &str, to: &str) {
        let link = (from.to_owned(), to.to_owned());
        self.shared.with(|world| world.links.cut.remove(&link));
    }

    /// Mends everything.
    pub fn heal_all(&self) {
        self.shared.with(|world| world.links.cut.clear());
    }

    /// Sets the delay of one direction.
    pub fn set_latency(&self, from: &str, to: &str, latency: Duration) {
        let link = (from.to_owned(), to.to_owned());
        self.shared.with(|world| world.links.latency.insert(link, latency));
    }

    /// This direction is not cut.
    #[must_use]
    pub fn up(&self, from: &str, to: &str) -> bool {
        self.shared.with(|world| world.links.up(from, to))
    }
}
