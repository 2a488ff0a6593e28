//! Defaults of custom kinds.

use serde_json::Value;

use super::{Schema, Shape};

/// Fills in what is missing, and what is null where null is not allowed.
pub(crate) fn fill(value: &mut Value, schema: &Schema) {
    match (&schema.shape, value) {
        (Shape::Object { properties, additional }, Value::Object(map)) => {
            for (key, field) in properties {
                let refill = match map.get(key) {
                    None => true,
                    Some(Value::Null) => !field.nullable,
                    Some(_) => false,
                };
                if let (true, Some(default)) = (refill, &field.default) {
                    map.insert(key.clone(), default.clone());
                }
                if let Some(value) = map.get_mut(key) {
                    fill(value, field);
                }
            }
            if let Some(element) = additional {
                let others = map.iter_mut().filter(|(key, _)| !properties.contains_key(*key));
                others.for_each(|(_, value)| fill(value, element));
            }
        }
        (Shape::List(element), Value::Array(items)) => {
            items.iter_mut().for_each(|item| fill(item, element));
        }
        _ => {}
    }
}

/// Drops nulls of fields that must not be null, before defaults are filled in.
pub(crate) fn drop_nulls(value: &mut Value, schema: &Schema) {
    match (&schema.shape, value) {
        (Shape::Object { properties, additional }, Value::Object(map)) => {
            map.retain(|key, value| {
                let field = properties.get(key);
                !(value.is_null() && field.is_some_and(|field| !field.nullable))
            });
            for (key, value) in map.iter_mut() {
                if let Some(field) = properties.get(key).or(additional.as_deref()) {
                    drop_nulls(value, field);
                }
            }
        }
        (Shape::List(element), Value::Array(items)) => {
            items.iter_mut().for_each(|item| drop_nulls(item, element));
        }
        _ => {}
    }
}

/// Whether any default is anywhere in a schema.
pub(crate) fn has_defaults(schema: &Schema) -> bool {
    let inner = match &schema.shape {
        Shape::List(element) => has_defaults(element),
        Shape::Object { properties, additional } => {
            properties.values().any(has_defaults) || additional.as_deref().is_some_and(has_defaults)
        }
        _ => false,
    };
    inner || schema.default.is_some()
}

/// Whether `fill` would change a value.
pub(crate) fn lacks(value: &Value, schema: &Schema) -> bool {
    match (&schema.shape, value) {
        (Shape::Object { properties, additional }, Value::Object(map)) => {
            let missing = properties.iter().any(|(key, field)| {
                field.default.is_some()
                    && map.get(key).is_none_or(|value| value.is_null() && !field.nullable)
            });
            missing
                || map.iter().any(|(key, value)| {
                    let field = properties.get(key).or(additional.as_deref());
                    field.is_some_and(|field| lacks(value, field))
                })
        }
        (Shape::List(element), Value::Array(items)) => {
            items.iter().any(|item| lacks(item, element))
        }
        _ => false,
    }
}
