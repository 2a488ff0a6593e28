//! What an expression in CEL reads of the object it is about.
//!
//! A rule is shown no more than that: most look at a field or two, and to show them a whole object costs more than to
//! run them.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// The variables that stand for the object, as it is and as it was.
const OBJECT: [&str; 2] = ["self", "oldSelf"];

/// The fields of an object that expressions read, by the names that they know them by.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Reach {
    #[default]
    Nothing,
    Fields(BTreeSet<String>),
    Whole,
}

impl Reach {
    /// Whether a field is read.
    pub(super) fn includes(&self, field: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Fields(fields) => fields.contains(field),
            Self::Whole => true,
        }
    }

    /// With what an expression reads.
    pub(super) fn and(self, expression: &IdedExpr) -> Self {
        match &expression.expr {
            Expr::Ident(name) if OBJECT.contains(&name.as_str()) => Self::Whole,
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => self,
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if OBJECT.contains(&name.as_str()) => self.field(&select.field),
                _ => self.and(&select.operand),
            },
            Expr::Call(call) => {
                call.target.as_deref().into_iter().chain(&call.args).fold(self, Self::and)
            }
            Expr::List(list) => list.elements.iter().fold(self, Self::and),
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr)),
            Expr::Struct(made) => self.entries(made.entries.iter().map(|entry| &entry.expr)),
            Expr::Comprehension(loops) => [
                &loops.iter_range,
                &loops.accu_init,
                &loops.loop_cond,
                &loops.loop_step,
                &loops.result,
            ]
            .into_iter()
            .fold(self, Self::and),
        }
    }

    fn entries<'a>(self, entries: impl Iterator<Item = &'a EntryExpr>) -> Self {
        entries.fold(self, |reach, entry| match entry {
            EntryExpr::StructField(field) => reach.and(&field.value),
            EntryExpr::MapEntry(entry) => reach.and(&entry.key).and(&entry.value),
        })
    }

    fn field(self, name: &str) -> Self {
        match self {
            Self::Nothing => Self::Fields(BTreeSet::from([name.to_owned()])),
            Self::Fields(mut fields) => {
                fields.insert(name.to_owned());
                Self::Fields(fields)
            }
            Self::Whole => Self::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::schema::cel_functions::compile;

    #[rstest]
    #[case("self.a == oldSelf.b", Reach::Fields(["a", "b"].map(str::to_owned).into()))]
    #[case("has(self.a) && self.b.c.all(x, x > 1)", Reach::Fields(["a", "b"].map(str::to_owned).into()))]
    #[case("self.map(key, self[key])", Reach::Whole)]
    #[case("self == oldSelf", Reach::Whole)]
    #[case("{'a': self.x}['a'] == 1", Reach::Fields(["x"].map(str::to_owned).into()))]
    #[case("1 == 1", Reach::Nothing)]
    fn is_what_an_expression_reads(#[case] text: &str, #[case] reach: Reach) {
        assert_eq!(Reach::default().and(compile(text).unwrap().expression()), reach);
    }
}
