//! Checking a value of a custom kind against its schema.
//!
//! The wording is that of the real server's validator. Rules in CEL are in `cel`.

use serde_json::{Number, Value};

use super::pattern;
use super::rules::Rules;
use super::{ListKind, Schema, Shape};
use crate::refusal::Cause;

/// Checks a value; faults go to `causes`. `path` is empty at the root.
///
/// What an update leaves as it is in `old` is not looked at: a schema may have become stricter since.
pub(crate) fn validate(
    value: &Value,
    schema: &Schema,
    old: Option<&Value>,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    if (value.is_null() && schema.nullable) || old == Some(value) {
        return;
    }
    let rules = &schema.rules;
    if !type_fits(value, schema) {
        causes.push(wrong_type(value, schema, path));
    }
    if !rules.enumeration.is_empty() && !rules.enumeration.contains(value) {
        let supported: Vec<String> = rules.enumeration.iter().map(plain).collect();
        let supported: Vec<&str> = supported.iter().map(String::as_str).collect();
        causes.push(Cause::unsupported(root(path), value, &supported));
    }
    match value {
        Value::String(text) => validate_text(text, rules, path, causes),
        Value::Number(number) => validate_number(number, schema, path, causes),
        Value::Array(items) => validate_list(items, schema, old, path, causes),
        Value::Object(_) => validate_object(value, schema, old, path, causes),
        _ => {}
    }
    validate_combinations(value, rules, old, path, causes);
}

/// A format counts as a type, but for texts and lists.
fn wrong_type(value: &Value, schema: &Schema, path: &str) -> Cause {
    let format = schema.rules.format.as_deref().filter(|_| !value.is_string() && !value.is_array());
    let (wanted, found) = match (format, value) {
        (Some(format), Value::Number(number)) => {
            (format, if number.is_f64() { "float64" } else { "int64" })
        }
        (Some(format), Value::Bool(_) | Value::Object(_)) => (format, ""),
        _ => (wanted_type(schema), type_name(value)),
    };
    let shown = path.strip_prefix("status.").unwrap_or(path);
    let detail = format!("{shown} in body must be of type {wanted}: {found:?}");
    Cause::wrong_type(root(path), &found.into(), &detail)
}

fn root(path: &str) -> &str {
    if path.is_empty() { "<nil>" } else { path }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wanted_type(schema: &Schema) -> &'static str {
    match &schema.shape {
        Shape::Boolean => "boolean",
        Shape::Integer => "integer",
        Shape::Number => "number",
        Shape::String | Shape::Quantity => "string",
        Shape::IntOrString => "integer,string",
        Shape::List(_) => "array",
        Shape::Object { .. } | Shape::Ref(_) => "object",
        Shape::Any => "",
    }
}

fn type_fits(value: &Value, schema: &Schema) -> bool {
    match &schema.shape {
        Shape::Boolean => value.is_boolean(),
        Shape::Integer => match value {
            Value::Number(number) => {
                !number.is_f64() || number.as_f64().is_some_and(|f| f.fract() == 0.0)
            }
            _ => false,
        },
        Shape::Number => value.is_number(),
        Shape::String | Shape::Quantity => value.is_string(),
        Shape::IntOrString => value.is_string() || value.is_i64() || value.is_u64(),
        Shape::List(_) => value.is_array(),
        Shape::Object { .. } => value.is_object(),
        Shape::Ref(_) | Shape::Any => true,
    }
}

fn in_body(path: &str, rule: &str) -> String {
    format!("{path} in body {rule}")
}

fn validate_text(text: &str, rules: &Rules, path: &str, causes: &mut Vec<Cause>) {
    let value = Value::from(text);
    let length = text.chars().count() as u64;
    if let Some(max) = rules.max_length.filter(|max| length > *max) {
        let detail = format!("Too long: may not be more than {max} bytes");
        causes.push(Cause::new("FieldValueTooLong", detail, root(path)));
    }
    if let Some(min) = rules.min_length.filter(|min| length < *min) {
        let detail = in_body(path, &format!("should be at least {min} chars long"));
        causes.push(Cause::invalid(root(path), &value, &detail));
    }
    if let Some(pattern) = &rules.pattern
        && !pattern::matches(pattern, text)
    {
        causes.push(Cause::invalid(
            root(path),
            &value,
            &in_body(path, &format!("should match '{pattern}'")),
        ));
    }
    if let Some(format) = &rules.format
        && !format_fits(text, format)
    {
        let detail = in_body(path, &format!("must be of type {format}: {value}"));
        causes.push(Cause::wrong_type(root(path), &value, &detail));
    }
}

/// Whether a text has one of the formats that are checked; others always fit.
fn format_fits(text: &str, format: &str) -> bool {
    let matches = |pattern: &str| pattern::matches(pattern, text);
    match format {
        "date-time" | "datetime" => {
            text.parse::<jiff::Timestamp>().is_ok()
                && matches(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d")
        }
        "date" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        "email" => matches(r"^[^@\s]+@[^@\s]+$"),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(ip, bits)| {
            ip.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok()
        }),
        "uuid" => {
            matches(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
        }
        "uri" => matches(r"^([a-zA-Z][a-zA-Z0-9+.-]*:\S*|/\S*)$"),
        "hostname" => matches(
            r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$",
        ),
        "byte" => base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).is_ok(),
        "duration" => {
            matches(r"^[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$")
                || text == "0"
                || matches(r"^\d+ ?[a-z]+$")
        }
        _ => true,
    }
}

fn validate_number(number: &Number, schema: &Schema, path: &str, causes: &mut Vec<Cause>) {
    let rules = &schema.rules;
    let value = Value::Number(number.clone());
    let found = number.as_f64().unwrap_or_default();
    let format = rules.format.as_deref();
    let whole = number.as_i64().or_else(|| (found.fract() == 0.0).then_some(found as i64));
    let fits = match whole {
        _ if !matches!(schema.shape, Shape::Integer) => true,
        Some(whole) => format != Some("int32") || i32::try_from(whole).is_ok(),
        None => false,
    };
    if !fits {
        let kind = match format {
            Some(format) => format!("with format {format}"),
            None => "(default format)".to_owned(),
        };
        let text =
            format!("Invalid value: \"\": Checked value must be of type integer {kind} in {path}");
        causes.push(Cause::new("FieldValueInvalid", text, "<nil>"));
    }
    let mut refuse =
        |detail: String| causes.push(Cause::invalid(root(path), &value, &in_body(path, &detail)));
    let bound = |bound: &Option<Number>| {
        bound.as_ref().map(|bound| (bound.clone(), bound.as_f64().unwrap_or_default()))
    };
    if let Some((bound, limit)) = bound(&rules.minimum) {
        if rules.exclusive_minimum && found <= limit {
            refuse(format!("should be greater than {bound}"));
        } else if found < limit {
            refuse(format!("should be greater than or equal to {bound}"));
        }
    }
    if let Some((bound, limit)) = bound(&rules.maximum) {
        if rules.exclusive_maximum && found >= limit {
            refuse(format!("should be less than {bound}"));
        } else if found > limit {
            refuse(format!("should be less than or equal to {bound}"));
        }
    }
    if let Some((unit, size)) = bound(&rules.multiple_of)
        && found % size != 0.0
    {
        refuse(format!("should be a multiple of {unit}"));
    }
}

fn validate_list(
    items: &[Value],
    schema: &Schema,
    old: Option<&Value>,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let rules = &schema.rules;
    let count = items.len() as u64;
    if let Some(max) = rules.max_items.filter(|max| count > *max) {
        let detail = format!("Too many: {count}: must have at most {max} items");
        causes.push(Cause::new("FieldValueTooMany", detail, root(path)));
    }
    if let Some(min) = rules.min_items.filter(|min| count < *min) {
        let detail = in_body(path, &format!("should have at least {min} items"));
        causes.push(Cause::invalid(root(path), &Value::from(count), &detail));
    }
    for (index, item) in items.iter().enumerate() {
        let before = old.and_then(|old| counterpart(item, old, &schema.list));
        validate(item, schema.element(), before, &format!("{path}[{index}]"), causes);
    }
}

/// The element of the old list that an element of the new one replaces: only maps among lists have one.
pub(super) fn counterpart<'a>(item: &Value, old: &'a Value, kind: &ListKind) -> Option<&'a Value> {
    let ListKind::Map(keys) = kind else { return None };
    old.as_array()?
        .iter()
        .find(|candidate| keys.iter().all(|key| candidate.get(key) == item.get(key)))
}

/// Checks that the elements of sets and maps among lists differ, everywhere in a value.
pub(crate) fn validate_uniqueness(
    value: &Value,
    schema: &Schema,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    match value {
        Value::Array(items) => {
            let mut seen: Vec<Value> = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let here = format!("{path}[{index}]");
                let identity = match &schema.list {
                    ListKind::Atomic => None,
                    ListKind::Set => Some(item.clone()),
                    ListKind::Map(keys) => Some(
                        keys.iter()
                            .filter_map(|key| Some((key.clone(), item.get(key)?.clone())))
                            .collect::<Value>(),
                    ),
                };
                if let Some(identity) = identity {
                    if seen.contains(&identity) {
                        causes.push(Cause::duplicate(here.clone(), &identity));
                    } else {
                        seen.push(identity);
                    }
                }
                validate_uniqueness(item, schema.element(), &here, causes);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(field) = schema.field(key) {
                    validate_uniqueness(value, field, &join(path, key), causes);
                }
            }
        }
        _ => {}
    }
}

/// The path of a key: entries of maps are joined with a dot too, as the real validator does.
fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn validate_object(
    value: &Value,
    schema: &Schema,
    old: Option<&Value>,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let Value::Object(map) = value else { return };
    let rules = &schema.rules;
    let count = map.len() as u64;
    if let Some(max) = rules.max_properties.filter(|max| count > *max) {
        let detail = format!("Too many: {count}: must have at most {max} items");
        causes.push(Cause::new("FieldValueTooMany", detail, root(path)));
    }
    if let Some(min) = rules.min_properties.filter(|min| count < *min) {
        let detail = in_body(path, &format!("should have at least {min} properties"));
        causes.push(Cause::invalid(root(path), &Value::from(count), &detail));
    }
    for key in ["apiVersion", "kind"].iter().filter(|_| schema.embedded) {
        if !map.contains_key(*key) {
            causes.push(Cause::required(join(path, key), ""));
        }
    }
    for key in &rules.required_order {
        if !map.contains_key(key) {
            causes.push(Cause::required(join(path, key), ""));
        }
    }
    for (key, value) in map {
        if let Some(field) = schema.field(key) {
            validate(value, field, old.and_then(|old| old.get(key)), &join(path, key), causes);
        }
    }
}

fn validate_combinations(
    value: &Value,
    rules: &Rules,
    old: Option<&Value>,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let faults = |schema: &Schema| {
        let mut faults = Vec::new();
        validate(value, schema, None, path, &mut faults);
        faults
    };
    let refusal = |rule: &str| {
        Cause::new("FieldValueInvalid", format!("Invalid value: \"\": {path:?} {rule}"), "<nil>")
    };
    for schema in &rules.all_of {
        validate(value, schema, old, path, causes);
    }
    if !rules.any_of.is_empty() && !rules.any_of.iter().any(|schema| faults(schema).is_empty()) {
        causes.push(refusal("must validate at least one schema (anyOf)"));
        causes.extend(rules.any_of.first().map(faults).unwrap_or_default());
    }
    if !rules.one_of.is_empty() {
        let matching = rules.one_of.iter().filter(|schema| faults(schema).is_empty()).count();
        if matching != 1 {
            let found =
                if matching == 0 { "Found none valid" } else { "Found 2 valid alternatives" };
            causes
                .push(refusal(&format!("must validate one and only one schema (oneOf). {found}")));
            if matching == 0 {
                causes.extend(rules.one_of.first().map(faults).unwrap_or_default());
            }
        }
    }
    if rules.not.as_ref().is_some_and(|not| faults(not).is_empty()) {
        causes.push(refusal("must not validate the schema (not)"));
    }
}
