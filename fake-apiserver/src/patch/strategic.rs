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
            let shown = go_map(&Value::Object(patch.clone()));
            return Err(Refusal::internal(format!("unknown patch type: {other} in map: {shown}")));
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
        // An order without changes reorders what is there.
        if let Some(list) = key.strip_prefix(SET_ORDER).filter(|list| !patch.contains_key(*list)) {
            let field = schema.field(list).unwrap_or(Schema::any());
            let order = change.as_array().map(Vec::as_slice);
            if let Some(Value::Array(items)) = target.get_mut(list) {
                merge_list(items, &[], field, order)?;
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
            let order = patch
                .get(&format!("{SET_ORDER}{key}"))
                .and_then(Value::as_array)
                .map(Vec::as_slice);
            if let Value::Array(present) = present {
                merge_list(present, items, field, order)?;
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
    order: Option<&[Value]>,
) -> Result<(), Refusal> {
    if changes.iter().any(|change| directive(change) == Some("replace")) {
        *present =
            changes.iter().filter(|change| directive(change) != Some("replace")).cloned().collect();
        return Ok(());
    }
    let before = present.clone();
    let key = field.merge.key.as_deref();
    let mut patched: Vec<Value> = Vec::new();
    for change in changes {
        let Some(key) = key else {
            if !present.contains(change) {
                present.push(change.clone());
            }
            patched.push(change.clone());
            continue;
        };
        let identity = change.get(key).cloned().ok_or_else(|| {
            Refusal::internal(format!(
                "map: {} does not contain declared merge key: {key}",
                go_map(change)
            ))
        })?;
        let found = present.iter_mut().find(|item| item.get(key) == Some(&identity));
        match (directive(change), found) {
            (Some("delete"), _) => present.retain(|item| item.get(key) != Some(&identity)),
            (_, Some(item)) => merge(item, change, field.element())?,
            (_, None) => {
                let mut new = Value::Object(Map::new());
                merge(&mut new, change, field.element())?;
                present.push(new);
            }
        }
        patched.push(identity);
    }
    let order = order
        .map_or(patched, |order| order.iter().filter_map(|item| identity(item, key)).collect());
    *present = ordered(std::mem::take(present), &before, &order, key);
    Ok(())
}

fn identity(item: &Value, key: Option<&str>) -> Option<Value> {
    key.map_or_else(|| Some(item.clone()), |key| item.get(key).cloned())
}

/// The elements that the patch names in its order, the others in theirs, as close to where they were as can be.
fn ordered(items: Vec<Value>, before: &[Value], order: &[Value], key: Option<&str>) -> Vec<Value> {
    let named = |item: &Value| {
        identity(item, key).and_then(|id| order.iter().position(|known| *known == id))
    };
    let place = |item: &Value| {
        let id = identity(item, key);
        before.iter().position(|known| identity(known, key) == id)
    };
    let (mut patched, kept): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| named(item).is_some());
    patched.sort_by_key(|item| named(item));
    let (mut patched, mut kept) = (patched.into_iter().peekable(), kept.into_iter().peekable());
    let mut all = Vec::new();
    loop {
        let later = match (patched.peek(), kept.peek()) {
            (Some(left), Some(right)) => {
                place(left).is_some_and(|left| place(right).is_some_and(|right| left > right))
            }
            (None, Some(_)) => true,
            _ => false,
        };
        match if later { kept.next() } else { patched.next() } {
            Some(item) => all.push(item),
            None => return all,
        }
    }
}

/// A map as Go prints it.
pub(crate) fn go_map(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten().map(|(key, value)| {
        format!("{key}:{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
}

fn directive(change: &Value) -> Option<&str> {
    change.get(DIRECTIVE)?.as_str()
}
