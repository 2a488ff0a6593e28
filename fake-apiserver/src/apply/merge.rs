//! Merging a configuration into an object, and taking fields out of one, list types respected.

use serde_json::Value;

use super::fieldset::{FieldSet, element_key};
use crate::schema::{ListKind, Schema};

/// The object with everything the configuration says.
pub(super) fn merge(live: &Value, config: &Value, schema: &Schema) -> Value {
    match (live, config) {
        (Value::Object(before), Value::Object(wanted)) if !schema.is_atomic() => {
            let mut merged = before.clone();
            for (key, value) in wanted {
                let field = schema.field(key).unwrap_or(Schema::any());
                let value =
                    before.get(key).map_or_else(|| value.clone(), |live| merge(live, value, field));
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(before), Value::Array(wanted)) if schema.list != ListKind::Atomic => {
            Value::Array(merge_lists(before, wanted, schema))
        }
        _ => config.clone(),
    }
}

/// Two lists in one order: that of both, and where they differ the new elements come first.
fn merge_lists(before: &[Value], wanted: &[Value], schema: &Schema) -> Vec<Value> {
    let keyed = |items: &[Value]| -> Vec<(String, Value)> {
        items.iter().map(|item| (element_key(item, schema), item.clone())).collect()
    };
    let (before, wanted) = (keyed(before), keyed(wanted));
    let find = |items: &[(String, Value)], key: &str| {
        items.iter().find(|(known, _)| known == key).map(|(_, item)| item.clone())
    };
    let mut shared =
        wanted.iter().filter(|(key, _)| find(&before, key).is_some()).map(|(key, _)| key);
    let mut next_shared = shared.next();
    let (mut left, mut right) = (before.iter().peekable(), wanted.iter().peekable());
    let mut done: Vec<&str> = Vec::new();
    let mut merged = Vec::new();
    while left.peek().is_some() || right.peek().is_some() {
        if let Some((key, item)) = left.peek().copied() {
            let meets = right.peek().is_some_and(|(other, _)| other == key);
            let kept = find(&wanted, key).is_none();
            let later = right.peek().is_some() && next_shared.is_some_and(|next| next != key);
            if !meets && kept {
                merged.push(item.clone());
            }
            if !meets && (kept || later || done.contains(&key.as_str())) {
                left.next();
                continue;
            }
        }
        let Some((key, item)) = right.next() else { continue };
        done.push(key);
        if next_shared == Some(key) {
            next_shared = shared.next();
        }
        merged.push(
            find(&before, key)
                .map_or_else(|| item.clone(), |live| merge(&live, item, schema.element())),
        );
    }
    merged
}

/// Takes fields out of an object, but for those (and what holds those) that are still owned.
pub(super) fn remove(value: &mut Value, fields: &FieldSet, owned: &FieldSet, schema: &Schema) {
    match value {
        Value::Object(map) if !schema.is_atomic() => {
            let keys: Vec<String> = map.keys().cloned().collect();
            for key in keys {
                let path = format!("f:{key}");
                let Some(gone) = fields.child(&path) else { continue };
                let kept = owned.child(&path);
                if gone.has_member() && kept.is_none() {
                    map.remove(&key);
                    continue;
                }
                let none = FieldSet::default();
                if let Some(child) = map.get_mut(&key) {
                    let was_hollow = is_hollow(child);
                    remove(
                        child,
                        gone,
                        kept.unwrap_or(&none),
                        schema.field(&key).unwrap_or(Schema::any()),
                    );
                    if is_hollow(child) && !was_hollow && kept.is_none() {
                        map.remove(&key);
                    }
                }
            }
        }
        Value::Array(items) if schema.list != ListKind::Atomic => {
            let none = FieldSet::default();
            items.retain_mut(|item| {
                let path = element_key(item, schema);
                let Some(gone) = fields.child(&path) else { return true };
                let kept = owned.child(&path);
                if gone.has_member() && kept.is_none() {
                    return false;
                }
                remove(item, gone, kept.unwrap_or(&none), schema.element());
                true
            });
        }
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
