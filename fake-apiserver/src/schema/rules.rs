//! The constraints of a schema that only validation looks at.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::Schema;
use super::cel_reach::Reach;

/// A program that is compiled when it is first run, and once for a definition.
#[derive(Clone, Default)]
pub(crate) struct Compiled(Arc<OnceLock<Option<cel::Program>>>);

impl Compiled {
    /// The program of a text, always the same one; `None` if it is none.
    pub(crate) fn of(&self, text: &str) -> Option<&cel::Program> {
        self.0.get_or_init(|| super::cel_functions::compile(text).ok()).as_ref()
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compiled")
    }
}

/// One `x-kubernetes-validations` entry.
#[derive(Debug, Clone)]
pub(crate) struct CelRule {
    pub(crate) rule: String,
    pub(crate) program: Compiled,
    pub(crate) message_program: Compiled,
    pub(crate) message: Option<String>,
    pub(crate) message_expression: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) field_path: Option<String>,
    pub(crate) optional_old_self: bool,
    /// It compares with what was there before.
    pub(crate) transition: bool,
    reach: Arc<OnceLock<Reach>>,
}

/// The constraints on a value. Numbers are as JSON has them; lengths count characters.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) format: Option<String>,
    pub(crate) enumeration: Vec<Value>,
    pub(crate) pattern: Option<String>,
    pub(crate) minimum: Option<serde_json::Number>,
    pub(crate) maximum: Option<serde_json::Number>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<serde_json::Number>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) required: BTreeSet<String>,
    /// `required` in the order it was written.
    pub(crate) required_order: Vec<String>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Box<Schema>>,
    pub(crate) cel: Vec<CelRule>,
}

impl Default for Rules {
    fn default() -> Self {
        Self::none()
    }
}

impl Rules {
    /// No constraint at all.
    pub(crate) const fn none() -> Self {
        Self {
            format: None,
            enumeration: Vec::new(),
            pattern: None,
            minimum: None,
            maximum: None,
            exclusive_minimum: false,
            exclusive_maximum: false,
            multiple_of: None,
            min_length: None,
            max_length: None,
            min_items: None,
            max_items: None,
            min_properties: None,
            max_properties: None,
            required: BTreeSet::new(),
            required_order: Vec::new(),
            all_of: Vec::new(),
            any_of: Vec::new(),
            one_of: Vec::new(),
            not: None,
            cel: Vec::new(),
        }
    }

    pub(crate) fn read(json: &Value) -> Self {
        let number = |key: &str| json.get(key).and_then(Value::as_number).cloned();
        let count = |key: &str| json.get(key).and_then(Value::as_u64);
        let flag = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or_default();
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let items =
            |key: &str| json.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let schemas = |key: &str| items(key).iter().map(Schema::read).collect();
        let required_order: Vec<String> =
            items("required").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Self {
            format: text("format"),
            enumeration: items("enum"),
            pattern: text("pattern"),
            minimum: number("minimum"),
            maximum: number("maximum"),
            exclusive_minimum: flag("exclusiveMinimum"),
            exclusive_maximum: flag("exclusiveMaximum"),
            multiple_of: number("multipleOf"),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            required: required_order.iter().cloned().collect(),
            required_order,
            all_of: schemas("allOf"),
            any_of: schemas("anyOf"),
            one_of: schemas("oneOf"),
            not: json.get("not").map(|not| Box::new(Schema::read(not))),
            cel: items("x-kubernetes-validations").iter().map(CelRule::read).collect(),
        }
    }
}

impl CelRule {
    fn read(json: &Value) -> Self {
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let rule = text("rule").unwrap_or_default();
        Self {
            transition: rule.contains("oldSelf"),
            rule,
            program: Compiled::default(),
            message_program: Compiled::default(),
            message: text("message"),
            message_expression: text("messageExpression"),
            reason: text("reason"),
            field_path: text("fieldPath"),
            optional_old_self: json
                .get("optionalOldSelf")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
            reach: Arc::default(),
        }
    }

    /// What the rule and its message read of an object.
    pub(super) fn reach(&self) -> &Reach {
        self.reach.get_or_init(|| {
            let message = self.message_expression.as_deref();
            let message = message.and_then(|text| self.message_program.of(text));
            let programs = self.program.of(&self.rule).into_iter().chain(message);
            programs.fold(Reach::default(), |reach, program| reach.and(program.expression()))
        })
    }
}
