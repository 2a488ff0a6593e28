//! What rules do to single events of a watch: lose, delay, merge.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::target::Target;
use super::{Effect, Faults};
use crate::json;

/// Events that were held back, in the order in which they will be told.
#[derive(Default)]
pub(super) struct Held(VecDeque<Waiting>);

struct Waiting {
    due: Instant,
    /// Present only for events that may be merged.
    event: Option<Event>,
    bytes: Bytes,
}

/// An event of a watch, read.
struct Event {
    kind: String,
    object: Value,
}

impl Event {
    /// The event in a line of a watch; `None` for bookmarks, errors, and what is no event.
    fn read(line: &[u8]) -> Option<Self> {
        let mut value: Value = serde_json::from_slice(line).ok()?;
        let kind = json::text(&value, &["type"]).to_owned();
        let object = value.get_mut("object").map(Value::take)?;
        ["ADDED", "MODIFIED", "DELETED"].contains(&kind.as_str()).then_some(Self { kind, object })
    }

    fn name(&self) -> &str {
        json::text(&self.object, &["metadata", "name"])
    }

    fn is_about(&self, other: &Self) -> bool {
        self.name() == other.name()
            && json::text(&self.object, &["metadata", "namespace"])
                == json::text(&other.object, &["metadata", "namespace"])
    }

    fn line(&self) -> Bytes {
        Bytes::from(format!("{}\n", json!({ "type": self.kind, "object": self.object })))
    }

    /// The sum of an event and a later one about the same object; `None` if nothing is left to tell.
    fn then(self, later: Self) -> Option<Self> {
        let kind = match (self.kind.as_str(), later.kind.as_str()) {
            ("ADDED", "DELETED") => return None,
            ("ADDED", _) => "ADDED",
            ("DELETED", "ADDED") => "MODIFIED",
            (_, last) => last,
        };
        Some(Self { kind: kind.to_owned(), ..later })
    }
}

/// What becomes of an event.
enum Fate {
    Pass,
    Lost,
    Late(Duration),
    Merged(Duration),
}

impl Faults {
    /// What the rules make of an event: the first that is hit decides.
    fn fate(&self, target: &Target, event: &Event) -> Fate {
        for entry in self.rules().values_mut() {
            let fate = match entry.rule.effect {
                Effect::LoseEvents => Fate::Lost,
                Effect::DelayEvents(by) => Fate::Late(by),
                Effect::MergeEvents(window) => Fate::Merged(window),
                _ => continue,
            };
            let hit = entry.rule.matches_but_name(target) && entry.rule.matches_name(event.name());
            if hit && entry.takes_turn() {
                return fate;
            }
        }
        Fate::Pass
    }

    /// Whether a rule is about the events of a watch: only then are they read.
    fn reads_events(&self, target: &Target) -> bool {
        self.rules().values().any(|entry| {
            matches!(
                entry.rule.effect,
                Effect::LoseEvents | Effect::DelayEvents(_) | Effect::MergeEvents(_)
            ) && entry.rule.matches_but_name(target)
        })
    }
}

impl Held {
    /// When the next event is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.front().map(|waiting| waiting.due)
    }

    /// The next event, if it is due.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.due().filter(|due| *due <= Instant::now())?;
        self.0.pop_front().map(|waiting| waiting.bytes)
    }

    /// Takes in a line that came.
    pub(super) fn take(&mut self, faults: &Faults, target: &Target, bytes: Bytes) {
        let event = faults.reads_events(target).then(|| Event::read(&bytes)).flatten();
        let Some(event) = event else { return self.push(Duration::ZERO, None, bytes) };
        match faults.fate(target, &event) {
            Fate::Pass => self.push(Duration::ZERO, None, bytes),
            Fate::Lost => {}
            Fate::Late(by) => self.push(by, None, bytes),
            Fate::Merged(window) => self.merge(window, event),
        }
    }

    /// Nothing is told before what came earlier.
    fn push(&mut self, by: Duration, event: Option<Event>, bytes: Bytes) {
        let due = Instant::now() + by;
        let due = self.0.back().map_or(due, |last| last.due.max(due));
        self.0.push_back(Waiting { due, event, bytes });
    }

    /// The first event held opens the window; all others are told at its end.
    fn merge(&mut self, window: Duration, event: Event) {
        let about = |waiting: &Waiting| waiting.event.as_ref().is_some_and(|e| e.is_about(&event));
        let opened = self.0.iter().rev().find(|waiting| waiting.event.is_some()).map(|w| w.due);
        let left = opened.map_or(window, |due| due.saturating_duration_since(Instant::now()));
        let earlier = self.0.iter().position(about).and_then(|at| self.0.remove(at));
        let sum = match earlier.and_then(|waiting| waiting.event) {
            Some(earlier) => earlier.then(event),
            None => Some(event),
        };
        if let Some(sum) = sum {
            let line = sum.line();
            self.push(left, Some(sum), line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn event(kind: &str, version: u32) -> Event {
        let object = json!({"metadata": {"name": "a", "resourceVersion": version.to_string()}});
        Event { kind: kind.to_owned(), object }
    }

    #[rstest]
    #[case("ADDED", "MODIFIED", Some("ADDED"))]
    #[case("MODIFIED", "MODIFIED", Some("MODIFIED"))]
    #[case("MODIFIED", "DELETED", Some("DELETED"))]
    #[case("DELETED", "ADDED", Some("MODIFIED"))]
    #[case("ADDED", "DELETED", None)]
    fn events_add_up(#[case] first: &str, #[case] second: &str, #[case] sum: Option<&str>) {
        let merged = event(first, 1).then(event(second, 2));
        assert_eq!(merged.as_ref().map(|e| e.kind.as_str()), sum);
        if let Some(merged) = merged {
            assert_eq!(json::text(&merged.object, &["metadata", "resourceVersion"]), "2");
        }
    }
}
