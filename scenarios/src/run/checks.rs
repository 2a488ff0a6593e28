//! Checks: whether what a scenario says is seen is what is there.

use std::sync::Arc;

use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::Value;
use timesten_operator::crd::{GROUP, KIND, STORED};

use crate::case::Seen;
use crate::world::{OBJECT, World};

/// The API of `TimesTenClassic` objects, as plain JSON.
pub(super) fn objects(client: Client) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(GROUP, STORED, KIND);
    let resource = ApiResource::from_gvk_with_plural(&gvk, "timestenclassics");
    Api::default_namespaced_with(client, &resource)
}

/// An object as it was committed last; nothing if it is not there.
pub(super) fn object(world: &World, name: &str) -> Option<Arc<Value>> {
    world.record.with(|record| record.objects.get(name).cloned())
}

/// What is not as `seen` says: expected and seen, a line each. Empty: all is.
pub(super) async fn differences(world: &World, seen: &Seen) -> Vec<String> {
    let name = seen.of.as_deref().unwrap_or(OBJECT);
    let object = object(world, name);
    let status = object.as_ref().and_then(|object| object.get("status"));
    let text = |key: &str| status.and_then(|s| s.get(key)?.as_str()).unwrap_or("-").to_owned();
    let mut wrong = Vec::new();
    let mut differ = |what: &str, wanted: &str, is: String| {
        if wanted != is {
            wrong.push(format!("{what}: expected {wanted}, seen {is}"));
        }
    };
    if let Some(state) = &seen.state {
        differ("state", state, text("highLevelState"));
    }
    if let Some(active) = &seen.active {
        differ("active", active, text("activePods"));
    }
    if let Some(routed) = &seen.routed {
        differ("routed", routed, routed_to(world, name));
    }
    if let Some(exists) = seen.exists {
        differ("exists", &exists.to_string(), object.is_some().to_string());
    }
    if let Some(serves) = seen.serves {
        differ("serves", &serves.to_string(), world.application.serves().to_string());
    }
    if let Some(left) = &seen.left_in_oracle {
        differ("left in Oracle", &left.join(", "), left_in_oracle(world));
    }
    for (pod, follows) in &seen.follows {
        differ(pod, word(*follows), word(super::members::follows(world, pod)).to_owned());
    }
    of_conditions(seen, status, &mut wrong);
    if let Some(message) = &seen.message {
        let all = messages(status);
        if !all.iter().any(|text| text.contains(message)) {
            wrong.push(format!("message: expected {message:?} in one of {all:?}"));
        }
    }
    if let Some(status) = status {
        lacking("status", &Value::Object(seen.status.clone()), status, &mut wrong);
    } else if !seen.status.is_empty() {
        wrong.push("status: expected one, seen none".into());
    }
    if let Some(event) = &seen.event {
        let said = world.record.with(|record| {
            let mut notes = record.timeline.0.iter().filter_map(|m| m.text.strip_prefix("event "));
            notes.any(|note| note.contains(event.as_str()))
        });
        if !said {
            wrong.push(format!("event: expected one with {event:?}, seen none"));
        }
    }
    of_objects(world, seen, &mut wrong).await;
    wrong
}

/// What is not as it is said of conditions.
fn of_conditions(seen: &Seen, status: Option<&Value>, wrong: &mut Vec<String>) {
    for (kind, wanted) in &seen.conditions {
        let (is, reason) = condition(status, kind);
        if *wanted != is && *wanted != reason {
            wrong.push(format!("condition {kind}: expected {wanted}, seen {is} ({reason})"));
        }
    }
}

/// What is not as it is said of objects other than the `TimesTenClassic`.
async fn of_objects(world: &World, seen: &Seen, wrong: &mut Vec<String>) {
    for (name, wanted) in &seen.has {
        let is = found(world, name).await.and_then(|object| serde_json::to_value(object).ok());
        lacking(name, wanted, &is.unwrap_or_default(), wrong);
    }
    if let Some(name) = &seen.object
        && !exists(world, name).await
    {
        wrong.push(format!("object: expected {name}, seen none"));
    }
}

/// What of `wanted` is not in `is`. `"*"` stands for anything that is there.
fn lacking(at: &str, wanted: &Value, is: &Value, wrong: &mut Vec<String>) {
    match (wanted, is) {
        (Value::Object(wanted), is) => {
            for (key, wanted) in wanted {
                let named =
                    |member: &&Value| member.get("name").and_then(Value::as_str) == Some(key);
                let is = match is {
                    Value::Array(members) => members.iter().find(named),
                    is => is.get(key),
                };
                let is = is.unwrap_or(&Value::Null);
                lacking(&format!("{at}.{key}"), wanted, is, wrong);
            }
        }
        (Value::String(any), is) if any == "*" && !is.is_null() => {}
        (wanted, is) if wanted == is => {}
        (wanted, is) => wrong.push(format!("{at}: expected {wanted}, seen {is}")),
    }
}

fn left_in_oracle(world: &World) -> String {
    let hosts = world.fleet.left_in_oracle();
    hosts.iter().map(|host| pod(host)).collect::<Vec<_>>().join(", ")
}

fn word(follows: bool) -> &'static str {
    if follows { "follows" } else { "lags" }
}

fn routed_to(world: &World, object: &str) -> String {
    let active = world.routes.active(object);
    active.map_or_else(|| "nobody".into(), |host| pod(&host).to_owned())
}

fn pod(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}

fn conditions(status: Option<&Value>) -> impl Iterator<Item = &Value> {
    status.and_then(|status| status.get("conditions")?.as_array()).into_iter().flatten()
}

fn condition(status: Option<&Value>, kind: &str) -> (String, String) {
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    conditions(status)
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
        .map_or_else(
            || ("-".into(), "-".into()),
            |condition| (text(condition, "status"), text(condition, "reason")),
        )
}

fn messages(status: Option<&Value>) -> Vec<&str> {
    conditions(status).filter_map(|condition| condition.get("message")?.as_str()).collect()
}

/// An object such as `service/sample` exists, and is not being deleted.
async fn exists(world: &World, name: &str) -> bool {
    let found = found(world, name).await;
    found.is_some_and(|object| object.metadata.deletion_timestamp.is_none())
}

/// The object of a kind and a name, such as `service/sample`.
async fn found(world: &World, name: &str) -> Option<DynamicObject> {
    let (kind, name) = name.split_once('/')?;
    api(world.client(), kind)?.get_opt(name).await.ok()?
}

/// The API of a kind, by its singular in lower case.
pub(super) fn api(client: Client, kind: &str) -> Option<Api<DynamicObject>> {
    let (group, kind, plural) = match kind {
        "pod" => ("", "Pod", "pods"),
        "service" => ("", "Service", "services"),
        "secret" => ("", "Secret", "secrets"),
        "configmap" => ("", "ConfigMap", "configmaps"),
        "persistentvolumeclaim" => ("", "PersistentVolumeClaim", "persistentvolumeclaims"),
        "statefulset" => ("apps", "StatefulSet", "statefulsets"),
        "poddisruptionbudget" => ("policy", "PodDisruptionBudget", "poddisruptionbudgets"),
        "timestenclassic" => return Some(objects(client)),
        "namespace" => {
            let gvk = GroupVersionKind::gvk("", "v1", "Namespace");
            return Some(Api::all_with(client, &ApiResource::from_gvk(&gvk)));
        }
        _ => return None,
    };
    let gvk = GroupVersionKind::gvk(group, "v1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    Some(Api::default_namespaced_with(client, &resource))
}
