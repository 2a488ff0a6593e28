//! Cache groups: they are kept as long as their object is, and then it goes in bounded time, with
//! nothing left in the Oracle database that nobody was told of.

use std::time::Duration;

use timesten_operator::decide::cleanup;

use super::Oracles;

/// How long it takes to let an object go once its finalizer may go.
const LAST_STEPS: Duration = Duration::from_secs(10);

impl Oracles {
    /// What cache groups hold may be on its way to the Oracle database: they are dropped by nobody, and
    /// cleaned up only at the end.
    pub(super) fn uncached(&mut self, at: Duration, pod: &str, verb: &str, deleting: bool) {
        if verb == "dropCg" || !deleting {
            let details = vec![format!("{pod} is told {verb}")];
            self.broken(at, "cache-groups-kept", "cache groups of a living object go", details);
        }
    }

    /// No object is held up for longer than the clean-up may take, once nobody interferes.
    pub(super) fn gone(&mut self, at: Duration, object: &str, cleanup: bool) {
        self.unwanted |= !cleanup;
        let Some(since) = self.deleting.remove(object) else { return };
        let took = at.saturating_sub(since.max(self.interfered));
        if took > cleanup::LIMIT + LAST_STEPS {
            let details = vec![format!("{object}: {took:?}")];
            self.broken(at, "bounded-goodbye", "a deletion was held up for too long", details);
        }
    }

    /// At the end of an object: hosts whose cache groups have left something in the Oracle database.
    pub fn left_in_oracle(&mut self, at: Duration, hosts: &[String]) {
        let told = |host: &String| {
            let mut notes = self.notes.keys();
            notes.any(|(_, reason, note)| reason == "FailedFinalizer" && note.contains(host))
        };
        let untold: Vec<String> = hosts.iter().filter(|host| !told(host)).cloned().collect();
        if !untold.is_empty() && !self.unwanted {
            let message = "something is left in the Oracle database, and nobody was told";
            self.broken(at, "told-what-is-left", message, untold);
        }
    }
}
