//! JSON pointers with `*` (each) and `[key=value]` (those whose key is that string) as segments, and shaping an answer
//! with them before it is compared.

use serde_json::{Map, Value};

use super::ConformanceError;

/// A segment of a path to one value.
#[derive(Debug, Clone, PartialEq, PartialOrd, Eq, Ord)]
enum Spot {
    Key(String),
    Index(usize),
}

/// The first value that a pointer names.
pub(super) fn lookup<'a>(
    value: &'a Value,
    pointer: &str,
) -> Result<Option<&'a Value>, ConformanceError> {
    Ok(find(value, pointer)?.first().and_then(|path| follow(value, path)))
}

/// What a step compares of an answer.
pub(super) fn shape(
    mut body: Value,
    step: &Value,
    case: &Value,
    status: u16,
) -> Result<Value, ConformanceError> {
    let managed = step.get("managedFields").or_else(|| case.get("managedFields"));
    let keep = managed.and_then(Value::as_bool).unwrap_or_default();
    visit_managed_fields(&mut body, keep);
    for pointer in pointers(step, "ignore") {
        for path in find(&body, pointer)?.iter().rev() {
            remove(&mut body, path);
        }
    }
    for pointer in pointers(step, "unordered") {
        for path in find(&body, pointer)? {
            if let Some(Value::Array(items)) = follow_mut(&mut body, &path) {
                items.sort_by_cached_key(Value::to_string);
            }
        }
    }
    if step.get("only").is_none() || status >= 400 {
        return Ok(body);
    }
    let mut picked = Map::new();
    for pointer in pointers(step, "only") {
        if let Some(value) = lookup(&body, pointer)? {
            picked.insert(pointer.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(picked))
}

fn pointers<'a>(step: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    let list = step.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str)
}

/// Sorts every `metadata.managedFields`, or removes it.
fn visit_managed_fields(value: &mut Value, keep: bool) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(metadata)) = map.get_mut("metadata")
                && !keep
            {
                metadata.remove("managedFields");
            }
            if let Some(Value::Array(entries)) = map.get_mut("managedFields")
                && keep
            {
                entries.sort_by_cached_key(|entry| {
                    let part = |key| crate::json::text(entry, &[key]).to_owned();
                    ["manager", "operation", "apiVersion", "subresource"].map(part)
                });
            }
            map.values_mut().for_each(|child| visit_managed_fields(child, keep));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| visit_managed_fields(item, keep)),
        _ => {}
    }
}

/// The paths to every value that a pointer names, in order.
fn find(value: &Value, pointer: &str) -> Result<Vec<Vec<Spot>>, ConformanceError> {
    let mut found = vec![(value, Vec::new())];
    for segment in segments(pointer)? {
        found = found
            .into_iter()
            .flat_map(|(value, path)| {
                children(value, &segment).into_iter().map(move |(spot, child)| {
                    let mut path = path.clone();
                    path.push(spot);
                    (child, path)
                })
            })
            .collect();
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The segments of a pointer; one in brackets may hold slashes.
fn segments(pointer: &str) -> Result<Vec<String>, ConformanceError> {
    let mut segments = Vec::new();
    let mut rest = pointer;
    while !rest.is_empty() {
        let Some(tail) = rest.strip_prefix('/') else {
            return Err(ConformanceError::Step(format!("{pointer:?} is no JSON pointer")));
        };
        let from = if tail.starts_with('[') { tail.find(']').unwrap_or_default() } else { 0 };
        let end =
            tail.get(from..).and_then(|tail| tail.find('/')).map_or(tail.len(), |at| from + at);
        let (segment, after) = tail.split_at_checked(end).unwrap_or((tail, ""));
        segments.push(segment.replace("~1", "/").replace("~0", "~"));
        rest = after;
    }
    Ok(segments)
}

fn children<'a>(value: &'a Value, segment: &str) -> Vec<(Spot, &'a Value)> {
    match value {
        Value::Object(map) if segment == "*" => {
            map.iter().map(|(key, child)| (Spot::Key(key.clone()), child)).collect()
        }
        Value::Object(map) => map
            .get(segment)
            .map(|child| (Spot::Key(segment.to_owned()), child))
            .into_iter()
            .collect(),
        Value::Array(items) => {
            let wanted = segment.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            let wanted = wanted.and_then(|text| text.split_once('='));
            let index = segment.parse().ok();
            let meant = |at: usize, item: &Value| match wanted {
                Some((path, text)) => {
                    let path: Vec<&str> = path.split('.').collect();
                    crate::json::at(item, &path).and_then(Value::as_str) == Some(text)
                }
                None => segment == "*" || index == Some(at),
            };
            let spots = items.iter().enumerate().filter(|(at, item)| meant(*at, item));
            spots.map(|(at, item)| (Spot::Index(at), item)).collect()
        }
        _ => Vec::new(),
    }
}

fn follow<'a>(value: &'a Value, path: &[Spot]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, spot| match spot {
        Spot::Key(key) => value.get(key),
        Spot::Index(at) => value.get(*at),
    })
}

fn follow_mut<'a>(value: &'a mut Value, path: &[Spot]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, spot| match spot {
        Spot::Key(key) => value.get_mut(key),
        Spot::Index(at) => value.get_mut(*at),
    })
}

fn remove(value: &mut Value, path: &[Spot]) {
    let Some((last, parent)) = path.split_last() else { return };
    match (follow_mut(value, parent), last) {
        (Some(Value::Object(map)), Spot::Key(key)) => {
            map.remove(key);
        }
        (Some(Value::Array(items)), Spot::Index(at)) if *at < items.len() => {
            items.remove(*at);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_name_each_and_those_with_a_key() {
        let value = json!({"a": [{"n": {"x/y": "1"}, "v": 1}, {"n": {"x/y": "2"}, "v": 2}]});
        assert_eq!(lookup(&value, "/a/*/v").unwrap(), Some(&json!(1)));
        assert_eq!(lookup(&value, "/a/[n.x/y=2]/v").unwrap(), Some(&json!(2)));
        assert_eq!(lookup(&value, "/a/1/v").unwrap(), Some(&json!(2)));
        assert_eq!(lookup(&value, "/a/2/v").unwrap(), None);
        assert_eq!(find(&value, "/a/*/v").unwrap().len(), 2);
        lookup(&value, "a").unwrap_err();
    }

    #[test]
    fn what_is_not_compared_is_taken_away() {
        let body = json!({"l": [3, 1, 2], "x": 1, "metadata": {"managedFields": [], "name": "n"}});
        let step = json!({"unordered": ["/l"], "ignore": ["/x"]});
        let shaped = shape(body.clone(), &step, &json!({}), 200).unwrap();
        assert_eq!(shaped, json!({"l": [1, 2, 3], "metadata": {"name": "n"}}));
        let only = shape(body, &json!({"only": ["/x", "/none"]}), &json!({}), 200).unwrap();
        assert_eq!(only, json!({"/x": 1}));
    }
}
