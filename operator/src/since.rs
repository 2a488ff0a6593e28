//! Since when this process has known something that the status says.
//!
//! Never: outlives the process, so that no restart and no jump of a clock makes it longer (I14).

use std::time::Duration;

use tokio::time::Instant;

/// A value, and since when it has been known to be so.
#[derive(Debug)]
pub struct Since<T> {
    value: T,
    since: Instant,
}

impl<T: PartialEq> Since<T> {
    /// Known as of now.
    pub const fn new(value: T, now: Instant) -> Self {
        Self { value, since: now }
    }

    /// What is known now; the same as before is known since then.
    pub fn note(&mut self, value: T, now: Instant) {
        if self.value != value {
            *self = Self::new(value, now);
        }
    }

    /// The value.
    pub const fn known(&self) -> &T {
        &self.value
    }

    /// For how long it has been known.
    pub fn age(&self, now: Instant) -> Duration {
        now - self.since
    }
}
