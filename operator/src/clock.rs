//! The clock: the one place that knows what time it is.
//!
//! Never: is asked by a decision. Decisions get their times with the observation.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// Source of wall-clock time. Monotonic time is `tokio::time::Instant`, which tests can pause.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// Another clock, such as one that a test moves.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
