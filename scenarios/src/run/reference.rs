//! The reference: the same story without its faults, and what the world looks like at its end. A
//! pair that has healed must look the same, whichever of its pods is the active now.

use std::time::Duration;

use kube::api::ListParams;
use serde_json::Value;

use super::checks;
use crate::case::{Case, Seen, Span, Step};
use crate::world::{OBJECT, World};

/// How long the reference may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long it stays there before it is looked at.
const SETTLE: Duration = Duration::from_secs(30);

/// The kinds that are made of an object.
const KINDS: [&str; 6] =
    ["pod", "service", "secret", "statefulset", "poddisruptionbudget", "persistentvolumeclaim"];

/// The story without faults and checks: what the user does. Nothing if nobody compares with it.
pub(super) fn of(case: &Case) -> Option<Case> {
    let compares = case.steps.iter().any(|step| matches!(step, Step::SameAsReference(_)));
    compares.then(|| {
        let user =
            |step: &&Step| matches!(step, Step::Patch(_) | Step::Delete(_) | Step::Recreate(_));
        let mut steps: Vec<Step> = case.steps.iter().filter(user).cloned().collect();
        let state = || Seen { state: Some(case.ends.clone()), ..Seen::default() };
        steps.push(Step::Eventually(Seen { within: Some(Span(PATIENCE)), ..state() }));
        steps.push(Step::Always(Seen { span: Some(Span(SETTLE)), ..state() }));
        Case { name: format!("{} (reference)", case.name), steps, recovery: None, ..case.clone() }
    })
}

/// What the world looks like, a line a thing, in order.
pub(super) async fn shape(world: &World) -> Vec<String> {
    let mut shape = Vec::new();
    for kind in KINDS {
        let Some(api) = checks::api(world.client(), kind) else { continue };
        let objects = api.list(&ListParams::default()).await.map(|l| l.items).unwrap_or_default();
        for object in objects {
            let name = object.metadata.name.clone().unwrap_or_default();
            // The agents' Secret is named after a UID.
            let name = if name.len() == 38 { "tt<uid>".to_owned() } else { name };
            shape.push(format!("{kind} {name}"));
            let labels = object.metadata.labels.unwrap_or_default();
            if let Some(role) = labels.get("timesten.oracle.com/role") {
                shape.push(format!("a pod has the role {role}"));
            }
        }
    }
    let object = checks::object(world, OBJECT).unwrap_or_default();
    let state = object.pointer("/status/highLevelState").and_then(Value::as_str).unwrap_or("-");
    shape.push(format!("{OBJECT} is {state}"));
    let list = |pointer| object.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    for condition in list("/status/conditions") {
        let text = |key| condition.get(key).and_then(Value::as_str).unwrap_or("-");
        shape.push(format!("{} is {}", text("type"), text("status")));
    }
    for pod in list("/status/podStatus") {
        let text = |pointer| pod.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
        shape.push(format!(
            "a member is {} {} {}",
            text("/intendedState"),
            text("/highLevelState"),
            text("/replicationStatus/repState")
        ));
    }
    shape.sort();
    shape
}

/// What differs: a line for each thing that only one of them has.
pub(super) fn difference(reference: &[String], seen: &[String]) -> Vec<String> {
    let only = |ours: &[String], theirs: &[String], word: &str| -> Vec<String> {
        ours.iter().filter(|l| !theirs.contains(l)).map(|l| format!("{word} {l}")).collect()
    };
    let mut lines = only(reference, seen, "expected");
    lines.extend(only(seen, reference, "seen    "));
    if lines.is_empty() && reference.len() != seen.len() {
        lines.push(format!("expected {} things, seen {}", reference.len(), seen.len()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn what_only_one_of_them_has_is_told() {
        let lines = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        assert!(difference(&lines(&["a", "b"]), &lines(&["a", "b"])).is_empty());
        let told = difference(&lines(&["a", "b"]), &lines(&["a", "c"]));
        assert_eq!(told, ["expected b", "seen     c"]);
        assert_eq!(difference(&lines(&["a", "a"]), &lines(&["a"])).len(), 1, "one is missing");
    }
}
