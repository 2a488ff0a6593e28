//! Texts of built-in kinds that are one of a few words, as the recorded documents list them.

use serde_json::Value;

use super::{Schema, Shape};
use crate::refusal::Cause;

/// Fields whose words are checked by the strategy of the kind, because the real server tells them differently.
const TOLD_ELSEWHERE: &[&str] = &[
    "podManagementPolicy",
    "updateStrategy",
    "restartPolicy",
    "operator",
    "scopes",
    "scopeName",
    // Not part of what a client says, or not validated.
    "status",
    "metadata",
    "volumeClaimTemplates",
];

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Adds a fault for each text that is none of the words that its field knows.
pub(crate) fn validate(value: &Value, schema: &Schema, causes: &mut Vec<Cause>) {
    walk(value, schema, &mut Vec::new(), causes);
}

fn walk<'a>(value: &'a Value, schema: &Schema, path: &mut Vec<Step<'a>>, causes: &mut Vec<Cause>) {
    match (&schema.resolved().shape, value) {
        (Shape::Object { properties, .. }, Value::Object(map)) => {
            for (key, value) in map {
                if let Some(field) = properties.get(key)
                    && !TOLD_ELSEWHERE.contains(&key.as_str())
                {
                    path.push(Step::Key(key));
                    walk(value, field, path, causes);
                    path.pop();
                }
            }
        }
        (Shape::List(element), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Index(index));
                walk(item, element, path, causes);
                path.pop();
            }
        }
        (_, Value::String(text)) if !text.is_empty() => {
            let words = &schema.rules.enumeration;
            if !words.is_empty() && !words.contains(value) {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                causes.push(Cause::unsupported(shown(path), value, &words));
            }
        }
        _ => {}
    }
}

/// A path as errors write it. Access modes are told without their place.
fn shown(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(_) if text.ends_with("accessModes") => {}
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}
