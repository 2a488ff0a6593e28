//! What one process remembers of its writes of owned objects: what the watches have yet to show,
//! what stands in the way, and what went wrong.
//!
//! Never: decides.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::objects::Write;

/// How long something may go unconfirmed by the watches before it is written again.
const UNCONFIRMED: Duration = Duration::from_secs(10);
/// How long a name that another object has is left alone before it is tried again.
const TAKEN: Duration = Duration::from_secs(30);

/// Why an owned object is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The API server did not take a write: what it said.
    Failed(String),
    /// An object of somebody else has its name: which.
    Taken(String),
}

/// What is remembered of the writes for one object. Keys are kinds and names.
#[derive(Debug, Default)]
pub struct Writes {
    /// Written while the watch showed this version.
    recent: BTreeMap<String, (Option<String>, Instant)>,
    /// Found to be somebody else's, with the sentence for that.
    taken: BTreeMap<String, (String, Instant)>,
    /// The last write that failed, if none has succeeded since.
    pub trouble: Option<Trouble>,
}

impl Writes {
    /// An object was written.
    pub fn written(&mut self, write: &Write, now: Instant) {
        self.recent.insert(write.key(), (write.seen_version(), now));
        self.taken.remove(&write.key());
    }

    /// An object could not be created: another has its name.
    pub fn taken(&mut self, write: &Write, whose: String, now: Instant) {
        self.taken.insert(write.key(), (whose, now));
    }

    /// The write may be made: the watch has shown the last one, and the name was not found taken
    /// just now.
    #[must_use]
    pub fn due(&self, write: &Write, now: Instant) -> bool {
        let (key, shown) = (write.key(), write.seen_version());
        let awaited =
            self.recent.get(&key).is_some_and(|(b, at)| *b == shown && now - *at < UNCONFIRMED);
        let taken = self.taken.get(&key).is_some_and(|(_, at)| now - *at < TAKEN);
        !awaited && !taken
    }

    /// What is wrong, if anything is. `wanted` are the writes that would be made.
    #[must_use]
    pub fn wrong(&mut self, wanted: &[Write]) -> Option<Trouble> {
        self.taken.retain(|key, _| wanted.iter().any(|write| write.key() == *key));
        let taken = self.taken.values().next().map(|(whose, _)| Trouble::Taken(whose.clone()));
        taken.or_else(|| self.trouble.clone())
    }
}
