//! What holds of every answer, beyond what a case says.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json::{at, text};

/// What a case saw so far.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    /// The highest resourceVersion of anything.
    top: u64,
    /// By uid: the highest resourceVersion, and when it was created.
    seen: BTreeMap<String, (u64, String)>,
}

impl Invariants {
    /// What an answer to a request breaks.
    pub(super) fn check(
        &mut self,
        method: &str,
        status: u16,
        body: &Value,
        step: &Value,
    ) -> Vec<String> {
        if !body.is_object() || status >= 300 {
            return Vec::new();
        }
        let stale = step.get("stale").and_then(Value::as_bool).unwrap_or_default();
        let version = version(body);
        let mut broken = Vec::new();
        if let Some(items) = body.get("items").and_then(Value::as_array) {
            for item in items {
                let own = self::version(item);
                if version > 0 && own > version {
                    broken.push(format!(
                        "an item's resourceVersion {own} is beyond the list's {version}"
                    ));
                }
                if !stale {
                    self.grown(item, &mut broken);
                }
            }
            return broken;
        }
        let tried = text(step, &["do"]).contains("dryRun");
        if method == "POST" && status == 201 && version > 0 && !tried && version <= self.top {
            broken.push(format!(
                "resourceVersion {version} of a new object is not beyond {}",
                self.top
            ));
        }
        if !stale {
            self.grown(body, &mut broken);
        }
        broken
    }

    /// What the events of a watch break.
    pub(super) fn check_events(&mut self, events: &[Value], initial: bool) -> Vec<String> {
        let mut broken = Vec::new();
        let mut last = 0;
        for event in events {
            let version = event.get("object").map(version).unwrap_or_default();
            let grows = version > last || (version == last && text(event, &["type"]) == "BOOKMARK");
            if !initial && version > 0 && !grows {
                broken.push(format!("event's resourceVersion {version} does not grow past {last}"));
            }
            last = last.max(version);
            self.top = self.top.max(version);
        }
        broken
    }

    fn grown(&mut self, object: &Value, broken: &mut Vec<String>) {
        let version = version(object);
        self.top = self.top.max(version);
        let (uid, created) =
            (text(object, &["metadata", "uid"]), text(object, &["metadata", "creationTimestamp"]));
        if uid.is_empty() {
            return;
        }
        let (highest, first) =
            self.seen.entry(uid.to_owned()).or_insert_with(|| (version, created.to_owned()));
        if version > 0 && version < *highest {
            broken.push(format!("resourceVersion went back from {highest} to {version}"));
        }
        *highest = version.max(*highest);
        if !created.is_empty() && created != first {
            broken.push("creationTimestamp changed".to_owned());
        }
    }
}

/// The resourceVersion as a number; 0 if it has none.
fn version(object: &Value) -> u64 {
    let version = at(object, &["metadata", "resourceVersion"]).and_then(Value::as_str);
    version.and_then(|text| text.parse().ok()).unwrap_or_default()
}
