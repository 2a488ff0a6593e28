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
            let find = |items: &[Value], key: &str| {
                items.iter().find(|item| element_key(item, schema) == key).cloned()
            };
            let mut merged: Vec<Value> = Vec::new();
            for item in before {
                let key = element_key(item, schema);
                let value = find(wanted, &key)
                    .map_or_else(|| item.clone(), |new| merge(item, &new, schema.element()));
                merged.push(value);
            }
            let new =
                wanted.iter().filter(|item| find(before, &element_key(item, schema)).is_none());
            merged.extend(new.cloned());
            Value::Array(merged)
        }
        _ => config.clone(),
    }
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
