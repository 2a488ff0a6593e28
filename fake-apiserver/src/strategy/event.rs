//! Events: one storage, two views (`v1` and `events.k8s.io/v1`).

use serde_json::Value;

use crate::json;
use crate::registry::Resource;

/// Names of the fields in `v1` and in `events.k8s.io/v1`.
const NAMES: [(&str, &str); 6] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];
const CONTROLLER: (&str, &str) = ("reportingComponent", "reportingController");

/// Fields that an event always has, if only empty.
pub(crate) fn apply_defaults(value: &mut Value, resource: &Resource) {
    let map = json::as_object(value);
    map.entry("eventTime").or_insert(Value::Null);
    if resource.group.is_empty() {
        map.entry("reportingComponent").or_insert_with(|| "".into());
        map.entry("reportingInstance").or_insert_with(|| "".into());
    }
}

/// Renames the fields of an event to those of a group.
pub(crate) fn to_view(value: &mut Value, group: &str) {
    let map = json::as_object(value);
    for (core, new) in NAMES.iter().chain([&CONTROLLER]) {
        let (from, to) = if group.is_empty() { (new, core) } else { (core, new) };
        if let Some(found) = map.remove(*from) {
            map.insert((*to).into(), found);
        }
    }
}
