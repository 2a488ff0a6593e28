//! Watching a world: what people see of it while it lives.

use std::collections::BTreeMap;
use std::time::Duration;

use fake_apiserver::{Change, ChangeKind};
use serde_json::Value;

/// What is known of the objects of a world, and the lines to show of each change.
#[derive(Default)]
pub(crate) struct Watcher {
    states: BTreeMap<String, String>,
    pods: BTreeMap<String, String>,
}

impl Watcher {
    /// The line of a change, if it is worth one.
    pub(crate) fn line(&mut self, at: Duration, change: &Change) -> Option<String> {
        let text = |pointer: &str| {
            change.object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned()
        };
        let stamp = format!("{:>8.2}s", at.as_secs_f64());
        match change.resource.as_str() {
            "timestenclassics" if change.kind == ChangeKind::Deleted => {
                Some(format!("{stamp}  {:<14} deleted", change.name))
            }
            "timestenclassics" => {
                let state = text("/status/highLevelState");
                let before = self.states.insert(change.name.clone(), state.clone());
                let changed = !state.is_empty() && before.as_deref() != Some(state.as_str());
                changed.then(|| {
                    let active = text("/status/activePods");
                    format!(
                        "{stamp}  {:<14} {state:<16} active {active}  {}",
                        change.name,
                        why(change)
                    )
                })
            }
            "events" if text("/involvedObject/kind") == "TimesTenClassic" => {
                let (reason, note) = (text("/reason"), text("/message"));
                let name = text("/involvedObject/name");
                let own = note.starts_with("TimesTenClassic was");
                (change.kind == ChangeKind::Added && !own)
                    .then(|| format!("{stamp}  {name:<14} {reason:<12} {note}"))
            }
            "pods" => {
                let phase = match change.kind {
                    ChangeKind::Deleted => "gone".to_owned(),
                    _ if change.object.pointer("/metadata/deletionTimestamp").is_some() => {
                        "Terminating".to_owned()
                    }
                    _ => text("/status/phase"),
                };
                let role = text("/metadata/labels/timesten.oracle.com~1role");
                let line = format!("{phase} {role}");
                let before = self.pods.insert(change.name.clone(), line.clone());
                (before.as_ref() != Some(&line))
                    .then(|| format!("{stamp}  {:<14} pod {line}", change.name))
            }
            _ => None,
        }
    }
}

fn why(change: &Change) -> String {
    let conditions = change.object.pointer("/status/conditions").and_then(Value::as_array);
    let message = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type") == Some(&Value::from("Managed")))
        .and_then(|condition| condition.get("message")?.as_str());
    message.map(|message| format!("({message})")).unwrap_or_default()
}
