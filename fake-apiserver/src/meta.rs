//! The metadata every object has: what the server fills in, and what it checks.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::refusal::{Cause, Refusal};
use crate::registry::Resource;
use crate::state::{State, time};
use crate::{json, strategy};

/// The longest name that is made from a prefix, without its five random characters.
const LONGEST_PREFIX: usize = 58;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const KEY_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const KEY: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
     'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
     for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Names by which something is known in DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameKind {
    Subdomain,
    Label,
    Label1035,
}

/// Why a text is no such name.
pub(crate) fn fault_of(kind: NameKind, text: &str) -> Option<&'static str> {
    let (pattern, longest, too_long, why) = match kind {
        NameKind::Subdomain => ("subdomain", 253, "must be no more than 253 bytes", SUBDOMAIN),
        NameKind::Label => ("label", 63, "must be no more than 63 bytes", LABEL),
        NameKind::Label1035 => ("label1035", 63, "must be no more than 63 bytes", LABEL_1035),
    };
    if text.len() > longest {
        return Some(too_long);
    }
    (!fits(pattern, text)).then_some(why)
}

static PATTERNS: LazyLock<BTreeMap<&'static str, Regex>> = LazyLock::new(|| {
    [
        ("subdomain", r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
        ("label", r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        ("label1035", r"^[a-z]([-a-z0-9]*[a-z0-9])?$"),
        ("key", r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"),
        ("value", r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"),
    ]
    .into_iter()
    .filter_map(|(name, pattern)| Some((name, Regex::new(pattern).ok()?)))
    .collect()
});

fn fits(pattern: &str, text: &str) -> bool {
    PATTERNS.get(pattern).is_some_and(|regex| regex.is_match(text))
}

/// Puts the namespace of the path into the object.
pub(crate) fn settle_namespace(value: &mut Value, namespace: &str) -> Result<(), Refusal> {
    let metadata = json::metadata_mut(value);
    let told = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    if !told.is_empty() && !namespace.is_empty() && told != namespace {
        let message =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad_request(message));
    }
    if namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".into(), namespace.into());
    }
    Ok(())
}

/// Fills in what the server owns of a new object's metadata.
pub(crate) fn prepare_create(
    value: &mut Value,
    state: &mut State,
    resource: &Resource,
    now: Timestamp,
) {
    let counts = strategy::counts_generations(resource);
    let metadata = json::metadata_mut(value);
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
        metadata.remove(key);
    }
    metadata.insert("uid".into(), state.seeds.uid().into());
    metadata.insert("creationTimestamp".into(), time(now).into());
    if counts {
        metadata.insert("generation".into(), 1.into());
    }
    let named = metadata.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let prefix =
        metadata.get("generateName").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !named && !prefix.is_empty() {
        let name: String =
            prefix.chars().take(LONGEST_PREFIX).chain(state.seeds.suffix().chars()).collect();
        metadata.insert("name".into(), name.into());
    }
}

/// Keeps what a client cannot change.
pub(crate) fn prepare_update(value: &mut Value, old: &Value) {
    let keep: Vec<(&str, Option<Value>)> = [
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "namespace",
        "generateName",
    ]
    .into_iter()
    .map(|key| (key, json::at(old, &["metadata", key]).cloned()))
    .collect();
    let metadata = json::metadata_mut(value);
    for (key, kept) in keep {
        let told = metadata.get(key).is_some_and(|told| !told.is_null());
        let checked = ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"].contains(&key);
        match kept {
            // A change of these is refused later.
            Some(_) | None if checked && told => {}
            Some(kept) => {
                if key != "generateName" || !told {
                    metadata.insert(key.into(), kept);
                }
            }
            None => {
                if key != "generateName" {
                    metadata.remove(key);
                }
            }
        }
    }
}

/// The faults in an object's metadata.
pub(crate) fn validate(value: &Value, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = json::text(value, &["metadata", "name"]);
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        causes.extend(
            name_fault(name, resource)
                .map(|why| Cause::invalid("metadata.name", &name.into(), &why)),
        );
    }
    let entries = |key: &str| json::at(value, &["metadata", key]).and_then(Value::as_object);
    if let Some(labels) = entries("labels") {
        validate_labels(labels, "metadata.labels", &mut causes);
    }
    for key in entries("annotations").into_iter().flat_map(Map::keys) {
        let fault = key_fault(&key.to_lowercase());
        causes.extend(
            fault.map(|why| Cause::invalid("metadata.annotations", &key.as_str().into(), why)),
        );
    }
    for (index, finalizer) in json::list(value, &["metadata", "finalizers"]).iter().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        // Custom kinds may have any: the real server only warns of those without a path.
        let known = resource.custom().is_some()
            || ["orphan", "foregroundDeletion", "kubernetes"].contains(&text);
        if key_fault(text).is_some() {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, KEY_NAME));
        } else if !text.contains('/') && !known {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{index}]"), finalizer, why));
        }
    }
    causes.extend(owner_faults(value));
    causes
}

fn owner_faults(value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let owners = json::list(value, &["metadata", "ownerReferences"]);
    for owner in owners {
        let field = "metadata.ownerReferences";
        for (key, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if json::text(owner, &[key]).is_empty() {
                causes.push(Cause::invalid(format!("{field}.{key}"), &"".into(), why));
            }
        }
    }
    let controllers =
        owners.iter().filter(|owner| owner.get("controller") == Some(&Value::Bool(true)));
    if controllers.count() > 1 {
        let why = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid("metadata.ownerReferences", &Value::Null, why));
    }
    causes
}

fn name_fault(name: &str, resource: &Resource) -> Option<String> {
    let rbac = resource.group == "rbac.authorization.k8s.io";
    let label =
        matches!((resource.group.as_str(), resource.kind.as_str()), ("", "Namespace" | "Service"));
    let (pattern, longest, why) = match (rbac, label) {
        (true, _) => return None,
        (_, true) => ("label", 63, LABEL),
        _ => ("subdomain", 253, SUBDOMAIN),
    };
    if name.len() > longest {
        return Some(format!("must be no more than {longest} characters"));
    }
    (!fits(pattern, name)).then(|| why.to_owned())
}

/// The faults in a map of labels.
pub(crate) fn validate_labels(labels: &Map<String, Value>, field: &str, causes: &mut Vec<Cause>) {
    for (key, label) in labels {
        causes.extend(key_fault(key).map(|why| Cause::invalid(field, &key.as_str().into(), why)));
        causes.extend(
            label_value_fault(label.as_str().unwrap_or_default())
                .map(|why| Cause::invalid(field, label, why)),
        );
    }
}

/// What is wrong with the value of a label.
pub(crate) fn label_value_fault(text: &str) -> Option<&'static str> {
    if text.len() > 63 {
        Some("must be no more than 63 bytes")
    } else {
        (!fits("value", text)).then_some(LABEL_VALUE)
    }
}

/// What is wrong with a qualified name, such as the key of a label.
pub(crate) fn key_fault(key: &str) -> Option<&'static str> {
    let parts: Vec<&str> = key.split('/').collect();
    match parts.as_slice() {
        [name] => (!fits("key", name)).then_some(KEY_NAME),
        [prefix, name] => (!fits("subdomain", prefix) || !fits("key", name)).then_some(KEY_NAME),
        _ => Some(KEY),
    }
}

/// The faults of an update: fields of the metadata that cannot change.
pub(crate) fn validate_update(value: &Value, old: &Value, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    for key in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (new, was) = (json::at(value, &["metadata", key]), json::at(old, &["metadata", key]));
        if new != was {
            let field = format!("metadata.{key}");
            causes.push(Cause::invalid(field, new.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
    if json::at(old, &["metadata", "deletionTimestamp"]).is_some() {
        let before = json::list(old, &["metadata", "finalizers"]);
        let added: Vec<String> = json::list(value, &["metadata", "finalizers"])
            .iter()
            .filter(|finalizer| !before.contains(finalizer))
            .map(Value::to_string)
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    // Built-in kinds check this twice, once for all kinds and once for their own.
    if resource.custom().is_none() {
        causes.extend(causes.clone());
    }
    causes.extend(validate(value, resource));
    causes
}

/// The metadata of an object alone.
pub(crate) fn partial(value: &Value, beta: bool) -> Value {
    let version = if beta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" };
    let metadata = json::at(value, &["metadata"]).cloned().unwrap_or_default();
    json!({"apiVersion": version, "kind": "PartialObjectMetadata", "metadata": metadata})
}
