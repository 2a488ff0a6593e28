//! Strategic merge patches: objects merge, and lists merge by the keys that the schema names.

use serde_json::{Map, Value};

use crate::refusal::Refusal;
use crate::schema::{Schema, Shape};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Applies a patch to a value.
pub(crate) fn merge(value: &mut Value, patch: &Value, schema: &Schema) -> Result<(), Refusal> {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return Ok(());
    };
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            *value =
                Value::Object(patch.iter().filter(|(key, _)| *key != DIRECTIVE).map(own).collect());
            return Ok(());
        }
        Some("delete") => {
            *value = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            let message = format!("Unknown patch type: {other:?}");
            return Err(Refusal::internal(message));
        }
    }
    let target = crate::json::as_object(value);
    if let Some(retained) = patch.get(RETAIN_KEYS).and_then(Value::as_array) {
        target.retain(|key, _| retained.iter().any(|known| known == key.as_str()));
    }
    for (key, change) in patch {
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            let gone = change.as_array().cloned().unwrap_or_default();
            if let Some(Value::Array(items)) = target.get_mut(list) {
                items.retain(|item| !gone.contains(item));
            }
        } else if !key.starts_with('$') {
            merge_key(target, key, change, patch, schema)?;
        }
    }
    for (key, order) in patch {
        if let (Some(list), Some(order)) = (key.strip_prefix(SET_ORDER), order.as_array()) {
            let merge_key = schema.field(list).and_then(|field| field.merge.key.clone());
            if let Some(Value::Array(items)) = target.get_mut(list) {
                reorder(items, order, merge_key.as_deref());
            }
        }
    }
    Ok(())
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn merge_key(
    target: &mut Map<String, Value>,
    key: &str,
    change: &Value,
    patch: &Map<String, Value>,
    schema: &Schema,
) -> Result<(), Refusal> {
    let field = schema.field(key).unwrap_or(Schema::any());
    match change {
        Value::Null => {
            target.remove(key);
        }
        Value::Array(items)
            if field.merge.merge && matches!(field.resolved().shape, Shape::List(_)) =>
        {
            let present = target.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            if !present.is_array() {
                *present = Value::Array(Vec::new());
            }
            let ordered = patch.contains_key(&format!("{SET_ORDER}{key}"));
            if let Value::Array(present) = present {
                merge_list(present, items, field, ordered)?;
            }
        }
        Value::Object(_) if !field.merge.replace => {
            let present = target.entry(key).or_insert_with(|| Value::Object(Map::new()));
            merge(present, change, field)?;
        }
        change => {
            target.insert(key.to_owned(), change.clone());
        }
    }
    Ok(())
}

fn merge_list(
    present: &mut Vec<Value>,
    changes: &[Value],
    field: &Schema,
    ordered: bool,
) -> Result<(), Refusal> {
    if changes.iter().any(|change| directive(change) == Some("replace")) {
        *present =
            changes.iter().filter(|change| directive(change) != Some("replace")).cloned().collect();
        return Ok(());
    }
    let Some(key) = &field.merge.key else {
        for change in changes {
            if !present.contains(change) {
                present.push(change.clone());
            }
        }
        return Ok(());
    };
    let mut added = Vec::new();
    for change in changes {
        let identity = change.get(key).cloned().ok_or_else(|| {
            Refusal::bad_request(format!(
                "map: {change} does not contain declared merge key: {key}"
            ))
        })?;
        let found = present.iter().position(|item| item.get(key) == Some(&identity));
        match (directive(change), found) {
            (Some("delete"), _) => present.retain(|item| item.get(key) != Some(&identity)),
            (_, Some(index)) => {
                if let Some(item) = present.get_mut(index) {
                    merge(item, change, field.element())?;
                }
            }
            (_, None) => {
                let mut new = Value::Object(Map::new());
                merge(&mut new, change, field.element())?;
                added.push(new);
            }
        }
    }
    // What is new comes first, unless an order is told: the real server sorts by the order of the patch.
    if ordered {
        present.extend(added);
    } else if !added.is_empty() {
        let in_patch: Vec<&Value> = changes.iter().filter_map(|change| change.get(key)).collect();
        let (touched, rest): (Vec<Value>, Vec<Value>) = present
            .drain(..)
            .chain(added)
            .partition(|item| item.get(key).is_some_and(|id| in_patch.contains(&id)));
        let mut touched = touched;
        touched.sort_by_key(|item| in_patch.iter().position(|id| item.get(key) == Some(*id)));
        *present = interleave(touched, rest);
    }
    Ok(())
}

/// Items of the patch in its order before the others.
fn interleave(touched: Vec<Value>, rest: Vec<Value>) -> Vec<Value> {
    touched.into_iter().chain(rest).collect()
}

fn directive(change: &Value) -> Option<&str> {
    change.get(DIRECTIVE)?.as_str()
}

fn reorder(items: &mut [Value], order: &[Value], key: Option<&str>) {
    let place = |item: &Value| {
        order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
            None => wanted == item,
        })
    };
    items.sort_by_key(|item| place(item).unwrap_or(usize::MAX));
}
