//! What stands in cells that take more than a path, one function a cell.

mod access;
mod events;
mod network;
mod storage;
mod workloads;

use jiff::Timestamp;
use serde_json::Value;

pub(super) use self::access::*;
pub(super) use self::events::*;
pub(super) use self::network::*;
pub(super) use self::storage::*;
pub(super) use self::workloads::*;
use crate::json;

pub(super) fn count(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Object(map)) => map.len(),
        Some(Value::Array(items)) => items.len(),
        _ => 0,
    }
}

pub(super) fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> Value {
    words.collect::<Vec<_>>().join(",").into()
}

/// Up to three of many, and how many more there are.
fn some_of(all: &[String]) -> Value {
    match all.get(..3) {
        Some(first) if all.len() > 3 => {
            format!("{} + {} more...", first.join(","), all.len() - 3).into()
        }
        _ => or_none(&all.join(",")),
    }
}

fn flag(item: &Value, path: &[&str]) -> bool {
    json::at(item, path) == Some(&Value::Bool(true))
}

fn labels(map: Option<&Value>) -> String {
    let pairs = map.and_then(Value::as_object).into_iter().flatten();
    let words = pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    words.collect::<Vec<_>>().join(",")
}

/// A label selector, or a bare map of labels, in the words of `kubectl -l`.
fn selector_at(item: &Value, path: &[&str]) -> Value {
    let Some(selector) = json::at(item, path) else { return "<none>".into() };
    let structured =
        ["matchLabels", "matchExpressions"].iter().any(|key| selector.get(key).is_some());
    if !structured {
        return or_none(&labels(Some(selector)));
    }
    let mut words = vec![labels(selector.get("matchLabels"))];
    words.retain(|word| !word.is_empty());
    for expression in json::list(selector, &["matchExpressions"]) {
        let key = json::text(expression, &["key"]);
        let values: Vec<&str> =
            json::list(expression, &["values"]).iter().filter_map(Value::as_str).collect();
        words.push(match json::text(expression, &["operator"]) {
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            operator => format!("{key} {} ({})", operator.to_lowercase(), values.join(",")),
        });
    }
    or_none(&words.join(","))
}

pub(super) fn name(item: &Value, _: Timestamp) -> Value {
    let name = json::text(item, &["metadata", "name"]);
    // Only storage classes carry this annotation.
    let key = "storageclass.kubernetes.io/is-default-class";
    match json::text(item, &["metadata", "annotations", key]) {
        "true" => format!("{name} (default)").into(),
        _ => name.into(),
    }
}

pub(super) fn selector(item: &Value, _: Timestamp) -> Value {
    selector_at(item, &["spec", "selector"])
}

pub(super) fn config_map_data(item: &Value, _: Timestamp) -> Value {
    (count(json::at(item, &["data"])) + count(json::at(item, &["binaryData"]))).into()
}
