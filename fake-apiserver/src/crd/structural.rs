//! Whether a schema of a definition is structural: each field has a type, said once, outside of `allOf` and its like.
//!
//! Works on the schema as it is written. Faults come sorted by their text.

use serde_json::{Value, json};

use crate::json;
use crate::refusal::Cause;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// The faults of a schema at a path.
pub(super) fn faults(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    invariants(schema, Level::Root, path, &mut causes);
    completeness(schema, path, &mut causes);
    causes.sort_by_key(|cause| format!("{}: {}", cause.field, cause.message));
    causes
}

fn flag(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn kind(schema: &Value) -> &str {
    json::text(schema, &["type"])
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn invariants(schema: &Value, level: Level, path: &str, causes: &mut Vec<Cause>) {
    match schema.get("items") {
        Some(items) => invariants(items, Level::Item, &format!("{path}.items"), causes),
        None if kind(schema) == "array" => {
            causes.push(Cause::required(format!("{path}.items"), "must be specified"));
        }
        None => {}
    }
    for (key, field) in properties(schema) {
        let here = format!("{path}.properties[{key}]");
        if key == "metadata" {
            metadata(field, level, flag(schema, "x-kubernetes-embedded-resource"), &here, causes);
        }
        invariants(field, Level::Field, &here, causes);
    }
    if let Some(additional) = schema.get("additionalProperties") {
        let here = format!("{path}.additionalProperties");
        if level == Level::Root {
            causes.push(Cause::forbidden(here.clone(), "must not be used at the root"));
        }
        if additional.is_object() {
            invariants(additional, Level::Field, &here, causes);
        }
    }
    extensions(schema, path, causes);
    types(schema, level, path, causes);
    junctors(schema, path, is_int_or_string(schema), causes);
}

fn extensions(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let embedded = flag(schema, "x-kubernetes-embedded-resource");
    let preserving = flag(schema, "x-kubernetes-preserve-unknown-fields");
    for key in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if flag(schema, "x-kubernetes-int-or-string") && flag(schema, key) {
            let why = "must be false if x-kubernetes-int-or-string is true";
            causes.push(Cause::invalid(format!("{path}.{key}"), &true.into(), why));
        }
    }
    if embedded && schema.get("additionalProperties").is_some() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        causes.push(Cause::forbidden(format!("{path}.additionalProperties"), why));
    }
    if embedded && !preserving && properties(schema).next().is_none() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                   x-kubernetes-preserve-unknown-fields";
        causes.push(Cause::required(format!("{path}.properties"), why));
    }
}

fn types(schema: &Value, level: Level, path: &str, causes: &mut Vec<Cause>) {
    let here = format!("{path}.type");
    let told = kind(schema);
    let embedded = flag(schema, "x-kubernetes-embedded-resource");
    let free = flag(schema, "x-kubernetes-int-or-string")
        || flag(schema, "x-kubernetes-preserve-unknown-fields");
    if embedded && told != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        causes.push(required_or_invalid(here.clone(), told, why));
    } else if told.is_empty() && !free {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        causes.push(Cause::required(here.clone(), why));
    }
    if level == Level::Root && !told.is_empty() && told != "object" {
        causes.push(Cause::invalid(here, &told.into(), "must be object at the root"));
    }
    for key in ["kind", "apiVersion"] {
        let told =
            json::at(schema, &["properties", key]).map(kind).filter(|told| *told != "string");
        if let (true, Some(told)) = (embedded || level == Level::Root, told) {
            let here = format!("{path}.properties[{key}].type");
            causes.push(Cause::invalid(here, &told.into(), "must be string"));
        }
    }
}

/// A word that is missing, or that is another.
pub(super) fn required_or_invalid(field: String, told: &str, why: &str) -> Cause {
    if told.is_empty() {
        Cause::required(field, why)
    } else {
        Cause::invalid(field, &told.into(), why)
    }
}

/// At the root, only the names in the metadata can be restricted.
fn metadata(schema: &Value, level: Level, embedded: bool, path: &str, causes: &mut Vec<Cause>) {
    let root = level == Level::Root;
    if (root || embedded) && kind(schema) != "object" {
        causes.push(Cause::invalid(format!("{path}.type"), &kind(schema).into(), "must be object"));
    }
    let names_alone = properties(schema).all(|(key, _)| key == "name" || key == "generateName");
    let bare = schema.as_object().is_none_or(|map| {
        map.keys().all(|key| ["type", "properties", "default"].contains(&key.as_str()))
    });
    if root && !(names_alone && bare) {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        causes.push(Cause::forbidden(path, why));
    }
}

/// The two ways to say "a number or a text" that may name types within `anyOf`.
fn is_int_or_string(schema: &Value) -> bool {
    let pattern = json!([{"type": "integer"}, {"type": "string"}]);
    schema.get("anyOf") == Some(&pattern) || schema.pointer("/allOf/0/anyOf") == Some(&pattern)
}

/// The schemas in `allOf` and its like, with their steps.
fn inner(schema: &Value) -> impl Iterator<Item = (String, &Value)> {
    let lists = ["anyOf", "allOf", "oneOf"].into_iter().flat_map(move |key| {
        json::list(schema, &[key])
            .iter()
            .enumerate()
            .map(move |(index, inner)| (format!("{key}[{index}]"), inner))
    });
    lists.chain(schema.get("not").map(|not| ("not".to_owned(), not)))
}

fn junctors(schema: &Value, path: &str, int_or_string: bool, causes: &mut Vec<Cause>) {
    for (step, schema) in inner(schema) {
        if !(int_or_string && step.starts_with("anyOf")) {
            let exempt = int_or_string && step == "allOf[0]";
            nested(schema, &format!("{path}.{step}"), exempt, causes);
        }
    }
}

/// What must not be said within `allOf` and its like.
const FORBIDDEN: [(&str, &str); 14] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("externalDocs", "must be undefined to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
];

fn nested(schema: &Value, path: &str, int_or_string: bool, causes: &mut Vec<Cause>) {
    junctors(schema, path, int_or_string, causes);
    if let Some(items) = schema.get("items") {
        nested(items, &format!("{path}.items"), false, causes);
    }
    for (key, field) in properties(schema) {
        let here = format!("{path}.properties[{key}]");
        if key == "metadata" {
            let why = "must not be specified in a nested context";
            causes.push(Cause::forbidden(here.clone(), why));
        }
        nested(field, &here, false, causes);
    }
    for (key, why) in FORBIDDEN {
        let said = schema.get(key).is_some_and(|value| match value {
            Value::Bool(flag) => *flag,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Null => false,
            _ => true,
        });
        if said {
            causes.push(Cause::forbidden(format!("{path}.{key}"), why));
        }
    }
}

/// Each field that `allOf` and its like speak of must be there outside of them.
fn completeness(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (step, schema_inside) in inner(schema) {
        mentioned(schema_inside, Some(schema), path, &format!("{path}.{step}"), causes);
    }
    for (key, field) in properties(schema) {
        completeness(field, &format!("{path}.properties[{key}]"), causes);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(field) = schema.get(key).filter(|field| field.is_object()) {
            completeness(field, &format!("{path}.{key}"), causes);
        }
    }
}

/// `place` is where the schema outside is, `from` where it is spoken of.
fn mentioned(
    schema: &Value,
    outside: Option<&Value>,
    place: &str,
    from: &str,
    causes: &mut Vec<Cause>,
) {
    let Some(outside) = outside else {
        causes.push(Cause::required(place, &format!("because it is defined in {from}")));
        return;
    };
    for (step, schema) in inner(schema) {
        mentioned(schema, Some(outside), place, &format!("{from}.{step}"), causes);
    }
    for (key, field) in properties(schema) {
        let step = format!("properties[{key}]");
        let known = json::at(outside, &["properties", key]);
        mentioned(field, known, &format!("{place}.{step}"), &format!("{from}.{step}"), causes);
    }
    if let Some(items) = schema.get("items") {
        let known = outside.get("items");
        mentioned(items, known, &format!("{place}.items"), &format!("{from}.items"), causes);
    }
}
