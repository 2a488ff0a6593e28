//! Checking a configuration against the schema of its kind before it is merged.
//!
//! The wording is that of the real server's merge library. A null fits everywhere.

use serde_json::Value;

use super::fieldset::{element_key, shown};
use crate::json;
use crate::refusal::Refusal;
use crate::schema::{ListKind, Schema, Shape};
use crate::verbs::Call;

/// Refuses a configuration with unknown fields, values of the wrong type or elements that occur twice.
pub(super) fn check(config: &Value, schema: &Schema, call: &Call<'_>) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    walk(config, schema, "", &mut faults);
    if faults.is_empty() {
        return Ok(());
    }
    let metadata = |key: &str| json::text(config, &["metadata", key]);
    let text = match faults.as_slice() {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Err(Refusal::internal(format!(
        "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {text}",
        metadata("namespace"),
        metadata("name"),
        call.resource.group,
        call.resource.version,
        call.resource.kind,
    )))
}

fn walk(value: &Value, schema: &Schema, path: &str, faults: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let mut refuse = |wanted: &str, got: String| {
        faults.push(format!("{path}: expected {wanted}, got {got}"));
    };
    match &schema.resolved().shape {
        Shape::Object { properties, additional } => match value {
            Value::Object(map) => {
                let open =
                    schema.preserve_unknown || (properties.is_empty() && additional.is_none());
                for (key, value) in map {
                    let here = format!("{path}.{key}");
                    match schema.field(key) {
                        Some(field) => walk(value, field, &here, faults),
                        None if open || (schema.embedded && is_frame(key)) => {}
                        None => faults.push(format!("{here}: field not declared in schema")),
                    }
                }
            }
            other => refuse("map", format!("&{{{}}}", go_plain(other))),
        },
        Shape::List(_) => match value {
            Value::Array(items) => walk_list(items, schema, path, faults),
            other => refuse("list", format!("&{{{}}}", go_plain(other))),
        },
        Shape::String if !value.is_string() => {
            refuse("string", format!("&value.valueUnstructured{{Value:{}}}", go_syntax(value)));
        }
        Shape::Integer | Shape::Number if !value.is_number() => {
            refuse("numeric (int or float)", "*value.valueUnstructured".into());
        }
        Shape::Boolean if !value.is_boolean() => {
            refuse("boolean", format!("&{{{}}}", go_plain(value)));
        }
        Shape::IntOrString | Shape::Quantity if value.is_object() || value.is_array() => {
            refuse("any scalar", format!("&{{{}}}", go_plain(value)));
        }
        _ => {}
    }
}

fn is_frame(key: &str) -> bool {
    ["apiVersion", "kind", "metadata"].contains(&key)
}

fn walk_list(items: &[Value], schema: &Schema, path: &str, faults: &mut Vec<String>) {
    let mut seen: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if schema.list == ListKind::Atomic {
            walk(item, schema.element(), &format!("{path}[{index}]"), faults);
            continue;
        }
        if let Some(why) = unidentified(item, schema) {
            faults.push(format!("{path}: element {index}: {why}"));
            // Without an identity nothing below, nor after, can be told apart.
            return;
        }
        let key = element_key(item, schema);
        let here = shown(&key);
        if seen.contains(&key) {
            faults.push(format!("{path}: duplicate entries for key {here}"));
        }
        seen.push(key);
        walk(item, schema.element(), &format!("{path}{here}"), faults);
    }
}

/// Why an element cannot be told apart from others.
fn unidentified(item: &Value, schema: &Schema) -> Option<String> {
    let ListKind::Map(keys) = &schema.list else {
        return match item {
            Value::Null => {
                Some("associative list without keys has an element that's an explicit null")
            }
            Value::Object(_) => {
                Some("associative list without keys has an element that's a map type")
            }
            Value::Array(_) => Some("not supported: associative list with lists as elements"),
            _ => None,
        }
        .map(str::to_owned);
    };
    match item {
        Value::Null => Some("associative list with keys may not have a null element".into()),
        Value::Object(_) if element_key(item, schema) == "k:{}" => Some(format!(
            "associative list with keys has an element that omits key field {:?} (and doesn't have default value)",
            keys.first().map(String::as_str).unwrap_or_default()
        )),
        Value::Object(_) => None,
        _ => Some("associative list with keys may not have non-map elements".into()),
    }
}

/// A value as Go's `%v` prints it.
fn go_plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", go_plain(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        scalar => scalar.to_string(),
    }
}

/// A value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}
