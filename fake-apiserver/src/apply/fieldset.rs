//! Sets of fields, as `fieldsV1` writes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::schema::{ListKind, Schema, Shape};

/// A set of fields of an object: a tree whose keys are `f:field`, `k:{...}` or `v:value`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSet {
    /// Whether the value here is itself in the set.
    member: bool,
    children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    pub(crate) fn read(json: &Value) -> Self {
        let mut set = Self::default();
        for (key, child) in json.as_object().into_iter().flatten() {
            if key == "." {
                set.member = true;
                continue;
            }
            let mut child_set = Self::read(child);
            if child.as_object().is_some_and(Map::is_empty) {
                child_set.member = true;
            }
            set.children.insert(key.clone(), child_set);
        }
        set
    }

    pub(crate) fn write(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".into(), Value::Object(Map::new()));
        }
        for (key, child) in &self.children {
            map.insert(key.clone(), child.write());
        }
        Value::Object(map)
    }

    /// Whether some field of the set is in another one, as `fieldsV1` writes it.
    pub(crate) fn overlaps(&self, written: &Value) -> bool {
        (self.member && is_written(written))
            || self
                .children
                .iter()
                .any(|(key, child)| written.get(key).is_some_and(|written| child.overlaps(written)))
    }

    /// Whether all fields of the set are in another one, as `fieldsV1` writes it.
    pub(crate) fn is_within(&self, written: &Value) -> bool {
        (!self.member || is_written(written))
            && self.children.iter().all(|(key, child)| {
                written.get(key).is_some_and(|written| child.is_within(written))
            })
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.member |= other.member;
        for (key, child) in &other.children {
            let merged =
                set.children.get(key).map_or_else(|| child.clone(), |mine| mine.union(child));
            set.children.insert(key.clone(), merged);
        }
        set
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(key, child)| {
            let both = child.intersection(other.children.get(key)?);
            (!both.is_empty()).then(|| (key.clone(), both))
        });
        Self { member: self.member && other.member, children: children.collect() }
    }

    /// What is here and not in the other set.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(key, child)| {
            let left = other
                .children
                .get(key)
                .map_or_else(|| child.clone(), |theirs| child.difference(theirs));
            (!left.is_empty()).then(|| (key.clone(), left))
        });
        Self { member: self.member && !other.member, children: children.collect() }
    }

    /// The set without what is at or below a field at the root.
    pub(crate) fn without(mut self, path: &[&str]) -> Self {
        match path {
            [] => {}
            [last] => {
                self.children.remove(*last);
            }
            [first, rest @ ..] => {
                if let Some(child) = self.children.remove(*first) {
                    let left = child.without(rest);
                    if !left.is_empty() {
                        self.children.insert((*first).to_owned(), left);
                    }
                }
            }
        }
        self
    }

    /// The part of the set at some fields of the root.
    pub(crate) fn only(&self, keys: &[&str]) -> Self {
        let children = self.children.iter().filter(|(key, _)| keys.contains(&key.as_str()));
        Self {
            member: false,
            children: children.map(|(key, child)| (key.clone(), child.clone())).collect(),
        }
    }

    pub(crate) fn child(&self, key: &str) -> Option<&Self> {
        self.children.get(key)
    }

    /// The set without the root and its metadata themselves; what they hold stays.
    pub(crate) fn without_frames(mut self) -> Self {
        self.member = false;
        if let Some(metadata) = self.children.get_mut("f:metadata") {
            metadata.member = false;
            if metadata.is_empty() {
                self.children.remove("f:metadata");
            }
        }
        self
    }

    pub(crate) fn has_member(&self) -> bool {
        self.member
    }

    fn mark(mut self) -> Self {
        self.member = true;
        self
    }

    fn insert(&mut self, key: String, child: Self) {
        let merged = match self.children.get(&key) {
            Some(known) => known.union(&child),
            None => child,
        };
        if !merged.is_empty() {
            self.children.insert(key, merged);
        }
    }

    /// The paths of the members, as conflicts show them (`.spec.containers[name="a"].image`).
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_paths("", &mut found);
        found
    }

    fn collect_paths(&self, prefix: &str, found: &mut Vec<String>) {
        if self.member && !prefix.is_empty() {
            found.push(prefix.to_owned());
        }
        for (key, child) in &self.children {
            child.collect_paths(&format!("{prefix}{}", shown(key)), found);
        }
    }

    /// All fields of a value.
    pub(crate) fn of(value: &Value, schema: &Schema) -> Self {
        let leaf = || Self::default().mark();
        match value {
            Value::Object(map) if !schema.is_atomic() => {
                let mut set = Self::default();
                for (key, value) in map {
                    let field = schema.field(key).unwrap_or(Schema::any());
                    let mut child = Self::of(value, field);
                    if is_hollow(value) || !schema.has_property(key) {
                        child = child.mark();
                    }
                    set.insert(format!("f:{key}"), child);
                }
                set
            }
            Value::Array(items) if schema.list != ListKind::Atomic => {
                let mut set = Self::default();
                for item in items {
                    let child = match schema.list {
                        ListKind::Map(_) => Self::of(item, schema.element()).mark(),
                        _ => leaf(),
                    };
                    set.insert(element_key(item, schema), child);
                }
                set
            }
            _ => leaf(),
        }
    }

    /// All fields of a value, and all that hold them.
    pub(crate) fn whole(value: &Value, schema: &Schema) -> Self {
        let mut set = Self::default();
        match value {
            Value::Object(map) if !schema.is_atomic() => {
                for (key, value) in map {
                    let field = schema.field(key).unwrap_or(Schema::any());
                    set.insert(format!("f:{key}"), Self::whole(value, field));
                }
            }
            Value::Array(items) if schema.list != ListKind::Atomic => {
                for item in items {
                    let child = match schema.list {
                        ListKind::Map(_) => Self::whole(item, schema.element()),
                        _ => Self::default().mark(),
                    };
                    set.insert(element_key(item, schema), child);
                }
            }
            _ => {}
        }
        set.mark()
    }

    /// The fields, and all that hold some, that one value has and another has not. What is equal is not looked into.
    pub(crate) fn removed(old: &Value, new: &Value, schema: &Schema) -> Self {
        let mut set = Self::default();
        if old == new {
            return set;
        }
        match old {
            Value::Object(before) if !schema.is_atomic() => {
                for (key, value) in before {
                    let now = new.get(key);
                    if now == Some(value) {
                        continue;
                    }
                    let field = schema.field(key).unwrap_or(Schema::any());
                    let child = match now {
                        None => Self::whole(value, field),
                        Some(now) => Self::removed(value, now, field),
                    };
                    set.insert(format!("f:{key}"), child);
                }
            }
            Value::Array(before) if schema.list != ListKind::Atomic => {
                let after = new.as_array().map(Vec::as_slice).unwrap_or_default();
                for item in before {
                    let key = element_key(item, schema);
                    let child = match after.iter().find(|now| element_key(now, schema) == key) {
                        None => Self::whole(item, schema.element()),
                        Some(now) => Self::removed(item, now, schema.element()),
                    };
                    set.insert(key, child);
                }
            }
            _ => {}
        }
        set
    }

    /// The fields that one value has and another has not, or has with another value.
    pub(crate) fn changed(old: Option<&Value>, new: &Value, schema: &Schema) -> Self {
        let Some(old) = old else { return Self::whole(new, schema) };
        if old == new {
            return Self::default();
        }
        match (old, new) {
            (Value::Object(before), Value::Object(after)) if !schema.is_atomic() => {
                let mut set = Self::default();
                for (key, value) in after {
                    let was = before.get(key);
                    if was == Some(value) {
                        continue;
                    }
                    let field = schema.field(key).unwrap_or(Schema::any());
                    set.insert(format!("f:{key}"), Self::changed(was, value, field));
                }
                set
            }
            (Value::Array(before), Value::Array(after)) if schema.list != ListKind::Atomic => {
                let mut set = Self::default();
                for item in after {
                    let key = element_key(item, schema);
                    let was = before.iter().find(|candidate| element_key(candidate, schema) == key);
                    set.insert(key, Self::changed(was, item, schema.element()));
                }
                set
            }
            _ => Self::default().mark(),
        }
    }
}

/// Whether the field here is itself in a set, as `fieldsV1` writes it: without children, or with a dot.
fn is_written(written: &Value) -> bool {
    written.as_object().is_some_and(|fields| fields.is_empty() || fields.contains_key("."))
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// How an element of a list is told apart.
pub(crate) fn element_key(item: &Value, schema: &Schema) -> String {
    match &schema.list {
        ListKind::Map(keys) => {
            let key: Map<String, Value> = keys
                .iter()
                .filter_map(|key| {
                    let default = match &schema.element().resolved().shape {
                        Shape::Object { properties, .. } => {
                            properties.get(key).and_then(|field| field.default.clone())
                        }
                        _ => None,
                    };
                    Some((key.clone(), item.get(key).cloned().or(default)?))
                })
                .collect();
            format!("k:{}", Value::Object(key))
        }
        _ => format!("v:{item}"),
    }
}

/// A key of the tree as paths show it.
pub(crate) fn shown(key: &str) -> String {
    match key.split_once(':') {
        Some(("f", field)) => format!(".{field}"),
        Some(("k", json)) => {
            let map: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        _ => key.to_owned(),
    }
}
