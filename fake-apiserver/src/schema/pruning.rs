//! Dropping what the schema of a custom kind does not know.

use serde_json::Value;

use super::{Schema, Shape};

/// Removes unknown fields; their paths go to `unknown`. The keys every object has are kept at the root.
pub(crate) fn prune(
    value: &mut Value,
    schema: &Schema,
    root: bool,
    path: &str,
    unknown: &mut Vec<String>,
) {
    match (&schema.shape, value) {
        (Shape::Object { properties, additional }, Value::Object(map)) => {
            let whole = root || schema.embedded;
            let mut drop = Vec::new();
            for (key, value) in map.iter_mut() {
                let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if whole && ["apiVersion", "kind", "metadata"].contains(&key.as_str()) {
                    continue;
                }
                match properties.get(key).or(additional.as_deref()) {
                    Some(field) => prune(value, field, false, &here, unknown),
                    None if schema.preserve_unknown => {}
                    None => {
                        unknown.push(here);
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
                prune(item, element, false, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}
