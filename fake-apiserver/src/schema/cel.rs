//! Rules in CEL (`x-kubernetes-validations`).
//!
//! Owns evaluation. A rule that fails to run refuses the object, as on the real server.

use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, ExecutionError, Value as Cel};
use serde_json::Value;

use super::cel_reach::Reach;
use super::path::Path;
use super::rules::CelRule;
use super::validate::counterpart;
use super::{Schema, Shape, cel_functions};
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
    found: &mut Findings<'_>,
) {
    let functions = cel_functions::context();
    walk(&functions, (value, old, schema), &Path::Root, found);
}

/// A value, what it replaces, and their schema.
type Node<'a> = (&'a Value, Option<&'a Value>, &'a Schema);

fn walk(functions: &Context<'_, '_>, node: Node<'_>, path: &Path<'_>, found: &mut Findings<'_>) {
    let (value, old, schema) = node;
    if !schema.ruled {
        return;
    }
    for rule in &schema.rules.cel {
        match check(functions, rule, node, path) {
            Some(cause) if old == Some(value) && !rule.transition => {
                found.warnings.push(format!("{}: {}", cause.field, cause.message));
            }
            cause => found.causes.extend(cause),
        }
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(field) = schema.field(key) {
                    let old = old.and_then(|old| old.get(key));
                    walk(functions, (value, old, field), &Path::Key(path, key), found);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let before = old.and_then(|old| counterpart(item, old, &schema.list));
                let here = &Path::Index(path, index);
                walk(functions, (item, before, schema.element()), here, found);
            }
        }
        _ => {}
    }
}

fn check(
    functions: &Context<'_, '_>,
    rule: &CelRule,
    (value, old, schema): Node<'_>,
    path: &Path<'_>,
) -> Option<Cause> {
    let field = match &rule.field_path {
        Some(field) => format!("{path}{field}").trim_start_matches('.').to_owned(),
        None if path.is_root() => "<nil>".to_owned(),
        None => path.to_string(),
    };
    if rule.transition && old.is_none() && !rule.optional_old_self {
        return None;
    }
    let failed = |detail: &str| Some(Cause::invalid(field.clone(), &shown(value), detail));
    let Some(program) = rule.program.of(&rule.rule) else {
        return failed(&format!("rule compile error: {}", rule.rule));
    };
    let mut context = functions.new_inner_scope();
    let view = View { schema, reach: rule.reach(), whole: path.is_root() || schema.embedded };
    add_variables(&mut context, (value, old), &view, rule.optional_old_self);
    match program.execute(&context) {
        Ok(Cel::Bool(true)) => None,
        Ok(_) => Some(refused(rule, value, &context, field)),
        Err(error) => {
            let shown = rule.message.as_deref().unwrap_or(&rule.rule).trim();
            failed(&match error {
                ExecutionError::NoSuchKey(key) => {
                    format!("no such key: {key} evaluating rule: {shown}")
                }
                ExecutionError::IndexOutOfBounds(index) => {
                    format!("index out of bounds: {index:?} evaluating rule: {shown}")
                }
                ExecutionError::DivisionByZero(_) => {
                    format!("division by zero evaluating rule: {shown}")
                }
                ExecutionError::Overflow(..) => {
                    format!("integer overflow evaluating rule: {shown}")
                }
                ExecutionError::FunctionError { message, .. } => {
                    format!("{message} evaluating rule: {shown}")
                }
                error => format!("{error} evaluating rule: {shown}"),
            })
        }
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

/// How much of an object a rule is shown.
struct View<'a> {
    schema: &'a Schema,
    reach: &'a Reach,
    /// It is a whole Kubernetes object: of its metadata rules know the names alone.
    whole: bool,
}

impl View<'_> {
    fn of(&self, value: &Value) -> Cel {
        let Value::Object(map) = value else { return to_cel(value, self.schema) };
        let named = |key: &str| matches!(key, "name" | "generateName");
        let entries = map.iter().filter_map(|(key, value)| {
            let (name, field) = known_as(key, self.schema);
            if !self.reach.includes(&name) {
                return None;
            }
            let value = match value {
                Value::Object(metadata) if self.whole && key == "metadata" => {
                    let names = metadata.iter().filter(|(key, _)| named(key));
                    cel_map(names.map(|(key, value)| (key.clone(), to_cel(value, Schema::any()))))
                }
                value => to_cel(value, field),
            };
            Some((name, value))
        });
        cel_map(entries)
    }
}

fn add_variables(
    context: &mut Context<'_, '_>,
    (value, old): (&Value, Option<&Value>),
    view: &View<'_>,
    optional_old: bool,
) {
    context.add_variable_from_value("self", view.of(value));
    let old = old.map(|old| view.of(old));
    if optional_old {
        let old = match old {
            Some(old) => cel::objects::OptionalValue::of(old),
            None => cel::objects::OptionalValue::none(),
        };
        context.add_variable_from_value("oldSelf", Cel::Opaque(Arc::new(old)));
    } else if let Some(old) = old {
        context.add_variable_from_value("oldSelf", old);
    }
}

fn to_cel(value: &Value, schema: &Schema) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(int) if !matches!(schema.shape, Shape::Number) => Cel::Int(int),
            _ => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => {
            let element = schema.element();
            Cel::List(Arc::new(items.iter().map(|item| to_cel(item, element)).collect()))
        }
        Value::Object(map) => cel_map(map.iter().map(|(key, value)| {
            let (name, field) = known_as(key, schema);
            (name, to_cel(value, field))
        })),
    }
}

fn cel_map(entries: impl Iterator<Item = (String, Cel)>) -> Cel {
    let entries = entries.map(|(key, value)| (Key::String(Arc::new(key)), value));
    Cel::Map(Map { map: Arc::new(entries.collect()) })
}

/// The name by which rules know a key of an object, and its schema.
fn known_as<'a>(key: &str, schema: &'a Schema) -> (String, &'a Schema) {
    let name = if schema.has_property(key) { escaped(key) } else { key.to_owned() };
    (name, schema.field(key).unwrap_or(Schema::any()))
}

/// Words that the language keeps for itself.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// The name by which rules know a field.
fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/', '_']) {
        return name.to_owned();
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}
