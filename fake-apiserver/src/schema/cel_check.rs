//! Checking the types of a rule in CEL when it is defined.
//!
//! Knows the types of fields and of the common operators; what it does not know may be anything.

use std::collections::BTreeMap;

use cel::common::ast::SourceInfo;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr};

use super::{Schema, Shape, cel_functions};

/// What an expression must evaluate to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Bool,
    Text,
}

/// The type of an expression.
#[derive(Debug, Clone)]
enum Type<'a> {
    /// Anything.
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Null,
    List(Box<Type<'a>>),
    Map(Box<Type<'a>>),
    Object(&'a Schema, Frame),
}

/// Whether an object has the fields of a whole Kubernetes object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Plain,
    Whole,
    /// The metadata of a whole object.
    Metadata,
}

/// Namespaces and types that a rule can name besides its variables.
const NAMES: [&str; 20] = [
    "optional",
    "math",
    "sets",
    "base64",
    "strings",
    "format",
    "ip",
    "cidr",
    "url",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "google",
];

impl<'a> Type<'a> {
    fn of(schema: &'a Schema, root: bool) -> Self {
        match &schema.shape {
            Shape::Boolean => Self::Bool,
            Shape::Integer => Self::Int,
            Shape::Number => Self::Double,
            Shape::String => match schema.rules.format.as_deref() {
                Some("date" | "date-time" | "duration" | "byte") => Self::Dyn,
                _ => Self::Text,
            },
            Shape::List(element) => Self::List(Box::new(Self::of(element, false))),
            Shape::Object { properties, additional } => match additional {
                Some(element) if properties.is_empty() => {
                    Self::Map(Box::new(Self::of(element, false)))
                }
                _ if properties.is_empty() && schema.preserve_unknown => Self::Dyn,
                _ => {
                    let whole = root || schema.embedded;
                    Self::Object(schema, if whole { Frame::Whole } else { Frame::Plain })
                }
            },
            Shape::Any | Shape::IntOrString | Shape::Quantity | Shape::Ref(_) => Self::Dyn,
        }
    }

    fn name(&self) -> Option<&'static str> {
        match self {
            Self::Bool => Some("bool"),
            Self::Int => Some("int"),
            Self::Uint => Some("uint"),
            Self::Double => Some("double"),
            Self::Text => Some("string"),
            _ => None,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }
}

/// Why an expression cannot be a rule (or a message) of a schema, as the real server tells it.
pub(crate) fn fault(
    text: &str,
    schema: &Schema,
    root: bool,
    optional_old: bool,
    wanted: Wanted,
) -> Option<String> {
    let program = match cel_functions::compile(text) {
        Ok(program) => program,
        Err(errors) => {
            let first = errors.errors.first()?;
            let (line, column) = first.pos;
            return Some(format!("compilation failed: {}", at(text, line, column, &first.msg)));
        }
    };
    let own = Type::of(schema, root);
    let old = if optional_old { Type::Dyn } else { own.clone() };
    let mut checker = Checker {
        variables: BTreeMap::from([("self".to_owned(), own), ("oldSelf".to_owned(), old)]),
        faults: Vec::new(),
    };
    let found = checker.infer(program.expression());
    if !checker.faults.is_empty() {
        let lines: Vec<String> = checker
            .faults
            .iter()
            .map(|(id, why)| located(text, program.source_info(), *id, why))
            .collect();
        return Some(format!("compilation failed: {}", lines.join("\n")));
    }
    match (wanted, found) {
        (Wanted::Bool, Type::Bool | Type::Dyn) | (Wanted::Text, Type::Text | Type::Dyn) => None,
        (Wanted::Bool, _) => Some("cel expression must evaluate to a bool".into()),
        (Wanted::Text, _) => Some("must evaluate to a string".into()),
    }
}

fn located(text: &str, source: &SourceInfo, id: u64, why: &str) -> String {
    let start = source.offset_for(id).map_or(0, |(start, _)| start as usize);
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    at(text, line as isize, column as isize, why)
}

fn at(text: &str, line: isize, column: isize, why: &str) -> String {
    let index = usize::try_from(line - 1).unwrap_or_default();
    let shown = text.lines().nth(index).unwrap_or_default();
    let dots = ".".repeat(usize::try_from(column - 1).unwrap_or_default());
    format!("ERROR: <input>:{line}:{column}: {why}\n | {shown}\n | {dots}^")
}

struct Checker<'a> {
    variables: BTreeMap<String, Type<'a>>,
    faults: Vec<(u64, String)>,
}

impl<'a> Checker<'a> {
    fn infer(&mut self, expression: &IdedExpr) -> Type<'a> {
        match &expression.expr {
            Expr::Ident(name) => match self.variables.get(name) {
                Some(known) => known.clone(),
                None => {
                    if !NAMES.contains(&name.as_str()) && !name.starts_with('@') {
                        let why = format!("undeclared reference to '{name}' (in container '')");
                        self.faults.push((expression.id, why));
                    }
                    Type::Dyn
                }
            },
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Int(_) => Type::Int,
                LiteralValue::UInt(_) => Type::Uint,
                LiteralValue::Double(_) => Type::Double,
                LiteralValue::String(_) => Type::Text,
                LiteralValue::Null => Type::Null,
                LiteralValue::Bytes(_) => Type::Dyn,
            },
            Expr::Select(select) => self.select(expression.id, select),
            Expr::Call(call) => self.call(expression.id, call),
            Expr::List(list) => {
                let types: Vec<Type<'a>> = list.elements.iter().map(|e| self.infer(e)).collect();
                Type::List(Box::new(types.into_iter().next().unwrap_or(Type::Dyn)))
            }
            Expr::Comprehension(loops) => {
                let range = self.infer(&loops.iter_range);
                let element = match range {
                    Type::List(element) => *element,
                    Type::Map(_) => Type::Text,
                    _ => Type::Dyn,
                };
                let start = self.infer(&loops.accu_init);
                let start = if matches!(start, Type::List(_)) {
                    Type::List(Box::new(Type::Dyn))
                } else {
                    start
                };
                let outer = self.variables.clone();
                self.variables.insert(loops.iter_var.clone(), element);
                if let Some(second) = &loops.iter_var2 {
                    self.variables.insert(second.clone(), Type::Dyn);
                }
                self.variables.insert(loops.accu_var.clone(), start);
                self.infer(&loops.loop_cond);
                self.infer(&loops.loop_step);
                let result = self.infer(&loops.result);
                self.variables = outer;
                result
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Type::Dyn,
        }
    }

    fn select(&mut self, id: u64, select: &SelectExpr) -> Type<'a> {
        let found = match self.infer(&select.operand) {
            Type::Object(schema, frame) => {
                let found = property(schema, frame, &select.field);
                if found.is_none() {
                    self.faults.push((id, format!("undefined field '{}'", select.field)));
                }
                found.unwrap_or(Type::Dyn)
            }
            Type::Map(element) => *element,
            Type::Dyn | Type::Null => Type::Dyn,
            other => {
                if let Some(name) =
                    other.name().or(matches!(other, Type::List(_)).then_some("list"))
                {
                    let why = format!("type '{name}' does not support field selection");
                    self.faults.push((id, why));
                }
                Type::Dyn
            }
        };
        if select.test { Type::Bool } else { found }
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> Type<'a> {
        let target = call.target.as_deref().map(|target| self.infer(target));
        let types: Vec<Type<'a>> = call.args.iter().map(|arg| self.infer(arg)).collect();
        if let Some(why) = mismatch(&call.func_name, &types) {
            self.faults.push((id, why));
        }
        match call.func_name.as_str() {
            "_==_"
            | "_!=_"
            | "_<_"
            | "_<=_"
            | "_>_"
            | "_>=_"
            | "_&&_"
            | "_||_"
            | "!_"
            | "@in"
            | "@not_strictly_false"
            | "startsWith"
            | "endsWith"
            | "contains"
            | "matches"
            | "isSorted"
            | "isQuantity"
            | "isGreaterThan"
            | "isLessThan"
            | "hasValue"
            | "isIP"
            | "isCIDR"
            | "isURL" => Type::Bool,
            "size" | "indexOf" | "lastIndexOf" | "int" | "getSeconds" | "getHours" => Type::Int,
            "string" | "lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "join"
            | "find" => Type::Text,
            "double" => Type::Double,
            "_+_" | "_-_" | "_*_" | "_/_" | "_%_" | "-_" => {
                types.into_iter().next().unwrap_or(Type::Dyn)
            }
            "_?_:_" => types.into_iter().nth(1).unwrap_or(Type::Dyn),
            "_[_]" => match types.into_iter().next() {
                Some(Type::List(element) | Type::Map(element)) => *element,
                _ => Type::Dyn,
            },
            _ => {
                drop(target);
                Type::Dyn
            }
        }
    }
}

/// Why an operator does not take its operands.
fn mismatch(operator: &str, types: &[Type<'_>]) -> Option<String> {
    let names: Vec<&str> = types.iter().map(Type::name).collect::<Option<_>>()?;
    let wrong = match (operator, types) {
        ("_==_" | "_!=_", _) => names.iter().any(|name| Some(name) != names.first()),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
            names.first() != names.last() && !(a.is_number() && b.is_number())
        }
        ("_&&_" | "_||_" | "!_", _) => names.iter().any(|name| *name != "bool"),
        ("_+_" | "_-_" | "_*_" | "_/_", [_, _]) => names.first() != names.last(),
        _ => false,
    };
    wrong.then(|| {
        format!("found no matching overload for '{operator}' applied to '({})'", names.join(", "))
    })
}

/// The type of a field, whose name may be escaped.
fn property<'a>(schema: &'a Schema, frame: Frame, name: &str) -> Option<Type<'a>> {
    let Shape::Object { properties, .. } = &schema.shape else { return None };
    match (frame, name) {
        (Frame::Metadata, "name" | "generateName") | (Frame::Whole, "apiVersion" | "kind") => {
            return Some(Type::Text);
        }
        (Frame::Metadata, _) => return None,
        (Frame::Whole, "metadata") => return Some(Type::Object(schema, Frame::Metadata)),
        _ => {}
    }
    let name = unescaped(name);
    properties.get(&name).map(|field| Type::of(field, false))
}

/// The field that an escaped name stands for.
fn unescaped(name: &str) -> String {
    let plain = name
        .replace("__dot__", ".")
        .replace("__dash__", "-")
        .replace("__slash__", "/")
        .replace("__underscores__", "__");
    match plain.strip_prefix("__").and_then(|inner| inner.strip_suffix("__")) {
        Some(keyword) if !keyword.is_empty() => keyword.to_owned(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(
        "self.b == 1",
        "compilation failed: ERROR: <input>:1:5: undefined field 'b'\n | self.b == 1\n | ....^"
    )]
    #[case("self.a", "cel expression must evaluate to a bool")]
    #[case(
        "self.a == 1",
        "compilation failed: ERROR: <input>:1:8: found no matching overload for '_==_' applied to '(string, int)'\n | self.a == 1\n | .......^"
    )]
    #[case(
        "other == 1",
        "compilation failed: ERROR: <input>:1:1: undeclared reference to 'other' (in container '')\n | other == 1\n | ^"
    )]
    #[case(
        "self.metadata.labels == 1",
        "compilation failed: ERROR: <input>:1:14: undefined field 'labels'\n | self.metadata.labels == 1\n | .............^"
    )]
    fn a_rule_is_refused(#[case] rule: &str, #[case] why: &str) {
        assert_eq!(fault(rule, &schema(), true, false, Wanted::Bool).as_deref(), Some(why));
    }

    #[rstest]
    #[case("self.a == 'x' && oldSelf.n <= self.n")]
    #[case("self.list.all(x, x.startsWith('k')) || self.list.exists_one(x, x == 'a')")]
    #[case("has(self.n) ? self.n > 1.5 : true")]
    #[case("self.map['k'] > 1 && self.map.all(k, k != '')")]
    #[case("size(self.a) > 1 && self.metadata.name != '' && self.x__dash__y == ''")]
    #[case("quantity(self.a).isLessThan(quantity('1Gi'))")]
    fn a_rule_is_in_order(#[case] rule: &str) {
        assert_eq!(fault(rule, &schema(), true, false, Wanted::Bool), None);
    }

    fn schema() -> Schema {
        Schema::read(&json!({"type": "object", "properties": {
            "a": {"type": "string"}, "n": {"type": "integer"}, "x-y": {"type": "string"},
            "list": {"type": "array", "items": {"type": "string"}},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        }}))
    }
}
