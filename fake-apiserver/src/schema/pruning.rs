//! Dropping what the schema of a custom kind does not know.

use serde_json::Value;

use super::path::Path;
use super::{Schema, Shape, builtin, decode};

/// Removes unknown fields; their paths go to `unknown`. The keys every object has are kept at the root.
pub(crate) fn prune(value: &mut Value, schema: &Schema, root: bool, unknown: &mut Vec<String>) {
    prune_at(value, schema, root, &Path::Root, unknown);
}

fn prune_at(
    value: &mut Value,
    schema: &Schema,
    root: bool,
    path: &Path<'_>,
    unknown: &mut Vec<String>,
) {
    match (&schema.shape, value) {
        (Shape::Object { properties, additional }, Value::Object(map)) => {
            let whole = root || schema.embedded;
            let mut drop = Vec::new();
            for (key, value) in map.iter_mut() {
                let here = &Path::Key(path, key);
                if schema.embedded && key == "metadata" {
                    let mut found = Vec::new();
                    // Metadata that cannot be read was refused before.
                    let _ = decode::decode(value, builtin::object_meta(), "ObjectMeta", &mut found);
                    unknown.extend(found.into_iter().map(|field| format!("{here}.{field}")));
                }
                match properties.get(key).or(additional.as_deref()) {
                    _ if whole && ["apiVersion", "kind", "metadata"].contains(&key.as_str()) => {}
                    Some(field) => prune_at(value, field, false, here, unknown),
                    None if schema.preserve_unknown => {}
                    None => {
                        unknown.push(here.to_string());
                        drop.push(key.clone());
                    }
                }
            }
            for key in drop {
                map.remove(&key);
            }
        }
        (Shape::List(element), Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                prune_at(item, element, false, &Path::Index(path, index), unknown);
            }
        }
        _ => {}
    }
}

/// Whether any whole object can be within a value.
pub(crate) fn has_embedded(schema: &Schema) -> bool {
    let inner = match &schema.shape {
        Shape::List(element) => has_embedded(element),
        Shape::Object { properties, additional } => {
            properties.values().any(has_embedded) || additional.as_deref().is_some_and(has_embedded)
        }
        _ => false,
    };
    inner || schema.embedded
}

/// The text of the decoder for the first whole object within a value whose metadata cannot be read.
pub(crate) fn embedded_fault(value: &Value, schema: &Schema) -> Option<String> {
    embedded_fault_at(value, schema, &Path::Root)
}

fn embedded_fault_at(value: &Value, schema: &Schema, path: &Path<'_>) -> Option<String> {
    match (&schema.shape, value) {
        (Shape::Object { .. }, Value::Object(map)) => map.iter().find_map(|(key, value)| {
            let here = &Path::Key(path, key);
            if schema.embedded && key == "metadata" {
                let meta = builtin::object_meta();
                let read = decode::decode(&mut value.clone(), meta, "ObjectMeta", &mut Vec::new());
                return read.err().map(|why| format!("{here}: Invalid value: {value}: {why}"));
            }
            embedded_fault_at(value, schema.field(key)?, here)
        }),
        (Shape::List(element), Value::Array(items)) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| embedded_fault_at(item, element, &Path::Index(path, index))),
        _ => None,
    }
}
