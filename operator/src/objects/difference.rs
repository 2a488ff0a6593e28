//! What an object says otherwise than it should.
//!
//! Never: minds what others add. Only what the operator sets is compared, as the API server
//! understands it: it drops what is empty, and writes quantities in its own way.

use serde_json::Value;

use crate::desired::Bytes;

/// Everything that `should` says, `is` says too. Lists may have more: applying would not take away
/// what others have added, so that writing on account of it would never end.
pub(super) fn within(should: &Value, is: &Value) -> bool {
    match (should, is) {
        (Value::Object(should), Value::Object(is)) => should
            .iter()
            .all(|(key, value)| empty(value) || is.get(key).is_some_and(|is| within(value, is))),
        (Value::Array(should), Value::Array(is)) => {
            should.iter().all(|should| is.iter().any(|is| within(should, is)))
        }
        (Value::String(should), Value::String(is)) => should == is || same_quantity(should, is),
        (should, is) => should == is,
    }
}

/// The parts of a pod that differ from its template: `containers[tt].env`, `volumes`.
pub(super) fn parts(template: &Value, pod: &Value) -> Vec<String> {
    let mut parts = Vec::new();
    for (name, should) in members(template, "metadata").chain(members(template, "spec")) {
        let is = ["metadata", "spec"].iter().find_map(|part| pod.get(part)?.get(name));
        match (name.as_str(), should, is) {
            ("containers" | "initContainers", Value::Array(should), Some(Value::Array(is))) => {
                containers(name, should, is, &mut parts);
            }
            (_, should, is) if !empty(should) && !is.is_some_and(|is| within(should, is)) => {
                parts.push(name.clone());
            }
            _ => {}
        }
    }
    parts
}

fn containers(list: &str, should: &[Value], is: &[Value], parts: &mut Vec<String>) {
    for should in should {
        let name = should.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some(is) = is.iter().find(|is| is.get("name") == should.get("name")) else {
            parts.push(format!("{list}[{name}]"));
            continue;
        };
        for (field, should) in should.as_object().into_iter().flatten() {
            if !empty(should) && !is.get(field).is_some_and(|is| within(should, is)) {
                parts.push(format!("{list}[{name}].{field}"));
            }
        }
    }
}

fn members<'a>(of: &'a Value, part: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    of.get(part).and_then(Value::as_object).into_iter().flatten()
}

/// The API server does not store it.
fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(empty),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// `1024Mi` and `1Gi`, `1000m` and `1`.
fn same_quantity(one: &str, other: &str) -> bool {
    let thousandths = |text: &str| match text.strip_suffix('m') {
        Some(number) => number.parse::<u64>().ok(),
        None => Bytes::parse(text).and_then(|Bytes(number)| number.checked_mul(1000)),
    };
    let digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    digit(one) && digit(other) && thousandths(one).is_some_and(|n| thousandths(other) == Some(n))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::more(json!({"a": 1}), json!({"a": 1, "b": 2}), true)]
    #[case::less(json!({"a": 1, "b": 2}), json!({"a": 1}), false)]
    #[case::empty(json!({"a": [], "b": {"c": {}}, "d": null}), json!({}), true)]
    #[case::size(json!("1024Mi"), json!("1Gi"), true)]
    #[case::processors(json!("1000m"), json!("1"), true)]
    #[case::other_size(json!("1Gi"), json!("2Gi"), false)]
    #[case::text(json!("m"), json!("0"), false)]
    #[case::list(json!([{"name": "a"}]), json!([{"name": "b"}, {"name": "a", "x": 1}]), true)]
    fn what_is_asked_for_is_there(#[case] should: Value, #[case] is: Value, #[case] wanted: bool) {
        assert_eq!(within(&should, &is), wanted);
    }

    #[test]
    fn the_parts_of_a_pod_that_differ() {
        let template = json!({
            "metadata": {"labels": {"team": "payments"}},
            "spec": {
                "containers": [{"name": "tt", "env": [{"name": "A"}], "image": "i"}, {"name": "mine"}],
                "volumes": [{"name": "v"}],
            },
        });
        let pod = json!({
            "metadata": {"labels": {"app": "x"}},
            "spec": {"containers": [{"name": "tt", "image": "i"}], "volumes": [{"name": "v"}, {"name": "w"}]},
        });
        let told = parts(&template, &pod);
        assert_eq!(told, ["labels", "containers[tt].env", "containers[mine]"]);
        assert!(parts(&template, &template).is_empty());
    }
}
