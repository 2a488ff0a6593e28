//! Events: one storage, two views (`v1` and `events.k8s.io/v1`).

use serde_json::Value;

use crate::json;
use crate::refusal::Cause;
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
    for (core, new) in [NAMES[3], NAMES[4]] {
        let key = if resource.group.is_empty() { core } else { new };
        map.entry(key).or_insert(Value::Null);
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
    // The older view writes these always, the newer one only when they say something.
    for (core, new) in [CONTROLLER, ("reportingInstance", "reportingInstance")] {
        if group.is_empty() {
            map.entry(core).or_insert_with(|| "".into());
        } else if map.get(new).and_then(Value::as_str) == Some("") {
            map.remove(new);
        }
    }
}

/// `ValidateEventCreate` and `ValidateEventUpdate`. Faults are told by the names of the older view.
pub(crate) fn validate(value: &Value, old: Option<&Value>, resource: &Resource) -> Vec<Cause> {
    let newer = !resource.group.is_empty();
    let read = |object: &'_ Value, core: &str| -> Value {
        let renamed = NAMES.iter().chain([&CONTROLLER]).find(|(known, _)| *known == core);
        let key = renamed.map_or(core, |(_, new)| if newer { new } else { core });
        object.get(key).cloned().unwrap_or(Value::Null)
    };
    let mut causes = Vec::new();
    if let (true, Some(old)) = (newer, old) {
        for key in IMMUTABLE {
            let now = read(value, key);
            if now != read(old, key) {
                causes.push(Cause::invalid(key, &now, "field is immutable"));
            }
        }
        return causes;
    }
    let about = read(value, "involvedObject");
    let (namespace, own) =
        (json::text(&about, &["namespace"]), json::text(value, &["metadata", "namespace"]));
    let dated = !read(value, "eventTime").is_null();
    let elsewhere = match (dated, namespace) {
        (true, "") => own != "kube-system" && own != "default",
        (false, "") => own != "default",
        _ => namespace != own,
    };
    if elsewhere {
        let why = "does not match event.namespace";
        causes.push(Cause::invalid("involvedObject.namespace", &namespace.into(), why));
    }
    if dated {
        for key in ["reportingController", "reportingInstance", "action", "reason"] {
            let source = if key == "reportingController" { CONTROLLER.0 } else { key };
            let told = read(value, source);
            let text = told.as_str().unwrap_or_default();
            if text.is_empty() {
                causes.push(Cause::required(key, ""));
            } else if text.len() > 128 {
                causes.push(Cause::invalid(key, &"".into(), "can have at most 128 characters"));
            }
        }
    } else if newer {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = json::text(value, &["type"]);
    if newer && !["Normal", "Warning"].contains(&kind) {
        causes.push(Cause::invalid("type", &"".into(), &format!("has invalid value: {kind}")));
    }
    causes
}

/// What an update through the newer view cannot change.
const IMMUTABLE: [&str; 12] = [
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingInstance",
];
