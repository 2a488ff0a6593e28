//! What the schema of a definition may say, word by word, before its structure is looked at.

use serde_json::Value;

use super::structural::required_or_invalid;
use crate::json;
use crate::refusal::{Cause, quote};
use crate::schema::{Schema, cel_check, pattern};

/// Words of OpenAPI that a definition cannot use.
const UNSUPPORTED: [&str; 7] = [
    "id",
    "$schema",
    "definitions",
    "dependencies",
    "additionalItems",
    "patternProperties",
    "$ref",
];

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// The faults of a schema at a path, and of all that it holds.
pub(super) fn faults(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(schema, path, true, &mut causes);
    causes
}

fn walk(schema: &Value, path: &str, root: bool, causes: &mut Vec<Cause>) {
    for key in UNSUPPORTED {
        if schema.get(key).is_some() {
            causes.push(Cause::forbidden(
                format!("{path}.{key}"),
                &format!("{key} is not supported"),
            ));
        }
    }
    words(schema, path, causes);
    lists(schema, path, causes);
    rules(schema, path, root, causes);
    children(schema, path, causes);
}

fn children(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    match schema.get("items") {
        Some(Value::Array(_)) => causes.push(Cause::forbidden(
            format!("{path}.items"),
            "items must be a schema object and not an array",
        )),
        Some(items) => walk(items, &format!("{path}.items"), false, causes),
        None => {}
    }
    for (key, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(field, &format!("{path}.properties[{key}]"), false, causes);
    }
    if let Some(additional) = schema.get("additionalProperties").filter(|inner| inner.is_object()) {
        walk(additional, &format!("{path}.additionalProperties"), false, causes);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for (index, inner) in json::list(schema, &[key]).iter().enumerate() {
            walk(inner, &format!("{path}.{key}[{index}]"), false, causes);
        }
    }
    if let Some(not) = schema.get("not") {
        walk(not, &format!("{path}.not"), false, causes);
    }
}

fn words(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let yes = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    if yes("uniqueItems") {
        let why =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        causes.push(Cause::forbidden(format!("{path}.uniqueItems"), why));
    }
    let here = format!("{path}.additionalProperties");
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => {
            causes.push(Cause::forbidden(here, "additionalProperties cannot be set to false"));
        }
        Some(_)
            if schema
                .get("properties")
                .and_then(Value::as_object)
                .is_some_and(|map| !map.is_empty()) =>
        {
            let why = "additionalProperties and properties are mutual exclusive";
            causes.push(Cause::forbidden(here, why));
        }
        _ => {}
    }
    let told = json::text(schema, &["type"]);
    if told == "null" {
        let why = "type cannot be set to null, use nullable as an alternative";
        causes.push(Cause::forbidden(format!("{path}.type"), why));
    } else if !told.is_empty() && !TYPES.contains(&told) {
        causes.push(Cause::unsupported(format!("{path}.type"), &told.into(), &TYPES));
    }
    if yes("x-kubernetes-int-or-string") && !told.is_empty() {
        let why = "must be empty if x-kubernetes-int-or-string is true";
        causes.push(Cause::invalid(format!("{path}.type"), &told.into(), why));
    }
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let here = format!("{path}.x-kubernetes-preserve-unknown-fields");
        causes.push(Cause::invalid(here, &false.into(), "must be true or undefined"));
    }
    let text = json::text(schema, &["pattern"]);
    if let Some(why) = pattern::fault(text) {
        let why =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {why}");
        causes.push(Cause::invalid(format!("{path}.pattern"), &text.into(), &why));
    }
    let map_type = json::text(schema, &["x-kubernetes-map-type"]);
    if !map_type.is_empty() {
        let here = format!("{path}.x-kubernetes-map-type");
        if !["atomic", "granular"].contains(&map_type) {
            causes.push(Cause::unsupported(here, &map_type.into(), &["atomic", "granular"]));
        } else if told != "object" {
            let why = "must be object if x-kubernetes-map-type is specified";
            causes.push(Cause::invalid(format!("{path}.type"), &told.into(), why));
        }
    }
}

fn lists(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let list_type = json::text(schema, &["x-kubernetes-list-type"]);
    let keys_path = format!("{path}.x-kubernetes-list-map-keys");
    let keys: Vec<&str> = json::list(schema, &["x-kubernetes-list-map-keys"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if !list_type.is_empty() {
        let told = json::text(schema, &["type"]);
        if told != "array" {
            let here = format!("{path}.type");
            let why = "must be array if x-kubernetes-list-type is specified";
            causes.push(required_or_invalid(here, told, why));
        }
        if !["atomic", "map", "set"].contains(&list_type) {
            let here = format!("{path}.x-kubernetes-list-type");
            causes.push(Cause::unsupported(here, &list_type.into(), &["atomic", "map", "set"]));
        }
    }
    match (list_type, keys.as_slice()) {
        ("map", []) => {
            causes.push(Cause::required(
                keys_path,
                "must not be empty if x-kubernetes-list-type is map",
            ));
        }
        ("map", keys) => map_keys(schema, path, keys, causes),
        ("set", _) => set_items(schema, path, causes),
        (_, [_, ..]) => {
            let here = format!("{path}.x-kubernetes-list-type");
            let why = "must be map if x-kubernetes-list-map-keys is non-empty";
            causes.push(required_or_invalid(here, list_type, why));
        }
        _ => {}
    }
}

/// The keys of a map among lists are scalars that are required or have a default.
fn map_keys(schema: &Value, path: &str, keys: &[&str], causes: &mut Vec<Cause>) {
    let Some(items) = schema.get("items") else { return };
    let told = json::text(items, &["type"]);
    if told != "object" {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        causes.push(Cause::invalid(format!("{path}.items.type"), &told.into(), why));
        return;
    }
    for (index, key) in keys.iter().enumerate() {
        let here = format!("{path}.x-kubernetes-list-map-keys[{index}]");
        let Some(property) = json::at(items, &["properties", key]) else {
            causes.push(Cause::invalid(
                here,
                &(*key).into(),
                "entries must all be names of item properties",
            ));
            continue;
        };
        if ["array", "object"].contains(&json::text(property, &["type"])) {
            let here = format!("{path}.items.properties[{key}].type");
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            causes.push(Cause::invalid(here, &json::text(property, &["type"]).into(), why));
        }
        if keys.iter().take(index).any(|other| other == key) {
            causes.push(Cause::duplicate(here, &(*key).into()));
        }
        let required = json::list(items, &["required"]).iter().any(|required| required == key);
        if !required && property.get("default").is_none() {
            let here = format!("{path}.items.properties[{key}].default");
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            causes.push(Cause::required(here, why));
        }
    }
}

fn set_items(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(items) = schema.get("items") else { return };
    let here = format!("{path}.items");
    match json::text(items, &["type"]) {
        "object" if json::text(items, &["x-kubernetes-map-type"]) != "atomic" => {
            let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
            let told = json::text(items, &["x-kubernetes-map-type"]);
            let here = format!("{here}.x-kubernetes-map-type");
            causes.push(required_or_invalid(here, told, why));
        }
        "array" if !["", "atomic"].contains(&json::text(items, &["x-kubernetes-list-type"])) => {
            let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
            let told = json::text(items, &["x-kubernetes-list-type"]);
            causes.push(Cause::invalid(
                format!("{here}.x-kubernetes-list-type"),
                &told.into(),
                why,
            ));
        }
        _ => {}
    }
}

/// Reasons that a rule can give, sorted.
const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

fn rules(schema: &Value, path: &str, root: bool, causes: &mut Vec<Cause>) {
    let rules = json::list(schema, &["x-kubernetes-validations"]);
    if rules.is_empty() {
        return;
    }
    let typed = Schema::read(schema);
    for (index, rule) in rules.iter().enumerate() {
        let here = format!("{path}.x-kubernetes-validations[{index}]");
        let text = |key: &str| json::text(rule, &[key]);
        let blank = |key: &str| rule.get(key).is_some() && text(key).trim().is_empty();
        let before = causes.len();
        if text("rule").trim().is_empty() {
            causes.push(Cause::required(format!("{here}.rule"), "rule is not specified"));
        }
        if blank("message") && !text("message").is_empty() {
            let why = "message must be non-empty if specified";
            causes.push(Cause::invalid(format!("{here}.message"), &text("message").into(), why));
        } else if text("message").contains(['\n', '\r']) {
            let why = "message must not contain line breaks";
            causes.push(Cause::invalid(format!("{here}.message"), &text("message").into(), why));
        } else if text("rule").trim().contains(['\n', '\r']) && text("message").is_empty() {
            let why = "message must be specified if rule contains line breaks";
            causes.push(Cause::required(format!("{here}.message"), why));
        }
        if blank("messageExpression") && !text("messageExpression").is_empty() {
            let why = "messageExpression must be non-empty if specified";
            causes.push(Cause::required(format!("{here}.messageExpression"), why));
        }
        if !text("reason").is_empty() && !REASONS.contains(&text("reason")) {
            causes.push(Cause::unsupported(
                format!("{here}.reason"),
                &text("reason").into(),
                &REASONS,
            ));
        }
        if let Some(why) = field_path_fault(schema, text("fieldPath")) {
            causes.push(Cause::invalid(
                format!("{here}.fieldPath"),
                &text("fieldPath").into(),
                &why,
            ));
        }
        if causes.len() == before {
            compiled(rule, &typed, &here, root, causes);
        }
    }
}

fn compiled(rule: &Value, schema: &Schema, path: &str, root: bool, causes: &mut Vec<Cause>) {
    let shown = serde_json::json!({
        "Rule": json::text(rule, &["rule"]), "Message": json::text(rule, &["message"]),
        "MessageExpression": json::text(rule, &["messageExpression"]), "Reason": rule.get("reason"),
        "FieldPath": json::text(rule, &["fieldPath"]), "OptionalOldSelf": rule.get("optionalOldSelf"),
    });
    for (key, wanted) in
        [("rule", cel_check::Wanted::Bool), ("messageExpression", cel_check::Wanted::Text)]
    {
        let text = json::text(rule, &[key]);
        if text.is_empty() {
            continue;
        }
        let optional = rule.get("optionalOldSelf") == Some(&Value::Bool(true));
        let Some(why) = cel_check::fault(text, schema, root, optional, wanted) else { continue };
        let why = match key {
            "rule" => why,
            _ => format!("messageExpression {why}"),
        };
        causes.push(Cause::invalid(format!("{path}.{key}"), &shown, &why));
    }
}

/// Why the `fieldPath` of a rule leads nowhere.
fn field_path_fault(schema: &Value, path: &str) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    if !path.starts_with(['.', '[']) {
        return Some(format!("fieldPath must be a valid path: expected [ or . but got: {path}"));
    }
    let mut here = schema;
    for step in path.split('.').skip(1) {
        let name = step.split('[').next().unwrap_or(step);
        let found =
            json::at(here, &["properties", name]).or_else(|| here.get("additionalProperties"));
        match found {
            Some(found) => here = found,
            None => {
                return Some(format!(
                    "fieldPath must be a valid path: does not refer to a valid field: {}",
                    quote(name)
                ));
            }
        }
    }
    None
}
