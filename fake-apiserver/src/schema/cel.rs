//! Rules in CEL (`x-kubernetes-validations`).
//!
//! Owns evaluation and the functions that Kubernetes adds to the language. A rule that fails to run refuses the
//! object, as on the real server.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Value as Cel};
use serde_json::Value;

use super::Schema;
use super::rules::CelRule;
use super::validate::counterpart;
use crate::quantity::Quantity;
use crate::refusal::Cause;

/// Where faults go.
pub(crate) struct Findings<'a> {
    pub(crate) causes: &'a mut Vec<Cause>,
    /// Faults that were there before, in what an update leaves as it is.
    pub(crate) warnings: &'a mut Vec<String>,
}

/// Checks all rules of a schema on a value. `old` is the value it replaces, if it replaces one.
pub(crate) fn validate(
    value: &Value,
    old: Option<&Value>,
    schema: &Schema,
    path: &str,
    found: &mut Findings<'_>,
) {
    for rule in &schema.rules.cel {
        match check(rule, value, old, path) {
            Some(cause) if old == Some(value) && !mentions_old_self(&rule.rule) => {
                found.warnings.push(format!("{}: {}", cause.field, cause.message));
            }
            cause => found.causes.extend(cause),
        }
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(field) = schema.field(key) {
                    let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    validate(value, old.and_then(|old| old.get(key)), field, &here, found);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let before = old.and_then(|old| counterpart(item, old, &schema.list));
                validate(item, before, schema.element(), &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Whether any rule is anywhere in a schema.
pub(crate) fn has_rules(schema: &Schema) -> bool {
    let inner = match &schema.shape {
        super::Shape::List(element) => has_rules(element),
        super::Shape::Object { properties, additional } => {
            properties.values().any(has_rules) || additional.as_deref().is_some_and(has_rules)
        }
        _ => false,
    };
    inner || !schema.rules.cel.is_empty()
}

fn check(rule: &CelRule, value: &Value, old: Option<&Value>, path: &str) -> Option<Cause> {
    let field = match &rule.field_path {
        Some(field) => format!("{path}{field}").trim_start_matches('.').to_owned(),
        None if path.is_empty() => "<nil>".to_owned(),
        None => path.to_owned(),
    };
    let transition = mentions_old_self(&rule.rule);
    if transition && old.is_none() && !rule.optional_old_self {
        return None;
    }
    let failed = |detail: &str| Some(Cause::invalid(field.clone(), &shown(value), detail));
    let Some(program) = rule.program.of(&rule.rule) else {
        return failed(&format!("rule compile error: {}", rule.rule));
    };
    let context = context(value, old, rule.optional_old_self);
    match program.execute(&context) {
        Ok(Cel::Bool(true)) => None,
        Ok(_) => Some(refused(rule, value, &context, field)),
        Err(error) => failed(&format!("rule evaluation error: {error}: {}", rule.rule)),
    }
}

fn refused(rule: &CelRule, value: &Value, context: &Context<'_, '_>, field: String) -> Cause {
    let told = rule.message_expression.as_deref().and_then(|expression| {
        match rule.message_program.of(expression)?.execute(context) {
            Ok(Cel::String(text)) => Some(text.to_string()),
            _ => None,
        }
    });
    let message = told
        .or_else(|| rule.message.clone())
        .unwrap_or_else(|| format!("failed rule: {}", rule.rule.trim()));
    let (reason, head) = match rule.reason.as_deref() {
        Some("FieldValueForbidden") => ("FieldValueForbidden", format!("Forbidden: {message}")),
        Some("FieldValueRequired") => ("FieldValueRequired", format!("Required value: {message}")),
        Some("FieldValueDuplicate") => ("FieldValueDuplicate", "Duplicate value".to_owned()),
        // Only scalars are shown.
        _ if value.is_object() || value.is_array() => {
            ("FieldValueInvalid", format!("Invalid value: {message}"))
        }
        _ => ("FieldValueInvalid", format!("Invalid value: {value}: {message}")),
    };
    Cause::new(reason, head, field)
}

/// What an error shows of a value: scalars as they are, of others their type.
fn shown(value: &Value) -> Value {
    match value {
        Value::Object(_) => "object".into(),
        Value::Array(_) => "array".into(),
        scalar => scalar.clone(),
    }
}

fn mentions_old_self(rule: &str) -> bool {
    rule.match_indices("oldSelf").next().is_some()
}

fn context<'p, 'v>(value: &Value, old: Option<&Value>, optional_old: bool) -> Context<'p, 'v> {
    let mut context = Context::default();
    context.add_variable_from_value("self", to_cel(value));
    if optional_old {
        let old = match old {
            Some(old) => cel::objects::OptionalValue::of(to_cel(old)),
            None => cel::objects::OptionalValue::none(),
        };
        context.add_variable_from_value("oldSelf", Cel::Opaque(Arc::new(old)));
    } else if let Some(old) = old {
        context.add_variable_from_value("oldSelf", to_cel(old));
    }
    add_functions(&mut context);
    context
}

/// Amounts are numbers of 10^-9 inside of a rule.
fn add_functions(context: &mut Context<'_, '_>) {
    use cel::extractors::This;
    let parse =
        |text: Arc<String>| Quantity::parse(&text).map_or(0.0, |quantity| quantity.nanos() as f64);
    // Names that the language already has are refused, and need not be added.
    let _ = context.add_function("quantity", parse);
    let _ =
        context.add_function("isQuantity", |text: Arc<String>| Quantity::parse(&text).is_some());
    let _ = context.add_function("isGreaterThan", |This(this): This<f64>, other: f64| this > other);
    let _ = context.add_function("isLessThan", |This(this): This<f64>, other: f64| this < other);
    let _ = context.add_function("find", |This(this): This<Arc<String>>, pattern: Arc<String>| {
        let found = regex::Regex::new(&pattern)
            .ok()
            .and_then(|regex| regex.find(&this).map(|m| m.as_str().to_owned()));
        found.unwrap_or_default()
    });
}

fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(int) => Cel::Int(int),
            None => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(map) => {
            let entries: BTreeMap<_, _> = map.iter().collect();
            Cel::Map(Map {
                map: Arc::new(
                    entries
                        .into_iter()
                        .map(|(key, value)| (Key::String(Arc::new(key.clone())), to_cel(value)))
                        .collect(),
                ),
            })
        }
    }
}
