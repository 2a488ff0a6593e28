//! Subresources with a kind of their own: scale, binding, eviction.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::delete::{self, Options};
use super::update::{self, Writer};
use super::{Call, body};
use crate::patch::{self, PatchKind};
use crate::refusal::{Named, Refusal};
use crate::registry::Resource;
use crate::respond::Reply;
use crate::selector::label_selector_matches;
use crate::state::State;
use crate::store::{GroupResource, Key, Stored};
use crate::{apply, crd, json};

fn scale_paths(resource: &Resource) -> crd::ScalePaths {
    let words = |path: &[&str]| path.iter().map(|word| (*word).to_owned()).collect();
    resource.custom().and_then(|custom| custom.scale.clone()).unwrap_or_else(|| crd::ScalePaths {
        spec: words(&["spec", "replicas"]),
        status: words(&["status", "replicas"]),
        selector: None,
    })
}

fn find<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// The `Scale` of an object.
fn scale_of(object: &Value, resource: &Resource) -> Value {
    let paths = scale_paths(resource);
    let keep = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata: Value = keep
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), json::at(object, &["metadata", key])?.clone())))
        .collect();
    let number = |path: &[String]| find(object, path).and_then(Value::as_i64).unwrap_or_default();
    let mut spec = json!({});
    if number(&paths.spec) != 0 {
        json::put(&mut spec, &["replicas"], number(&paths.spec).into());
    }
    let mut status = json!({"replicas": number(&paths.status)});
    let selector = match &paths.selector {
        Some(path) => find(object, path).and_then(Value::as_str).map(str::to_owned),
        None if resource.custom().is_none() => {
            Some(selector_text(json::at(object, &["spec", "selector"])))
        }
        None => None,
    };
    if let Some(selector) = selector.filter(|text| !text.is_empty()) {
        json::put(&mut status, &["selector"], selector.into());
    }
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec, "status": status})
}

fn selector_text(selector: Option<&Value>) -> String {
    let labels =
        selector.and_then(|selector| selector.get("matchLabels")).and_then(Value::as_object);
    let pairs = labels.into_iter().flatten();
    pairs
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(",")
}

pub(super) fn scale(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let existing = call.get(state)?;
    let object = body::view(&existing, &call.resource);
    let present = scale_of(&object, &call.resource);
    let wanted = match call.request.method {
        Method::GET => return Ok(Reply::json(200, &present)),
        Method::PUT => body::parse(&call.request.body, "Scale")?,
        _ => {
            let kind = patch::kind(call)?;
            if kind == PatchKind::Apply {
                return apply_scale(state, call, &existing, &object);
            }
            let patch = patch::parse(kind, &call.request.body)?;
            // A scale has no lists, so that strategic merging is plain merging.
            patch::patched(
                if kind == PatchKind::Json { kind } else { PatchKind::Merge },
                &present,
                &patch,
                &call.resource,
            )?
        }
    };
    let replicas = json::int(&wanted, &["spec", "replicas"]).unwrap_or_default();
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let cause = crate::refusal::Cause::invalid("spec.replicas", &replicas.into(), why);
        return Err(Refusal::invalid(
            Named { group: "autoscaling", resource: "Scale" },
            call.name(),
            &[cause],
        ));
    }
    let mut value = (*object).clone();
    let paths = scale_paths(&call.resource);
    let spec: Vec<&str> = paths.spec.iter().map(String::as_str).collect();
    json::put(&mut value, &spec, replicas.into());
    let version = json::text(&wanted, &["metadata", "resourceVersion"]).to_owned();
    json::metadata_mut(&mut value).insert("resourceVersion".into(), version.into());
    update::replace(state, call, &existing, value, Writer::Update, Vec::new())?;
    let stored = call.get(state)?;
    Ok(Reply::json(200, &scale_of(&body::view(&stored, &call.resource), &call.resource)))
}

/// Applies a `Scale`: its replicas are those of the object, and owned there.
fn apply_scale(
    state: &mut State,
    call: &Call<'_>,
    existing: &Arc<Stored>,
    object: &Value,
) -> Result<Reply, Refusal> {
    let wanted = update::configuration(call)?;
    let (version, kind) = (json::text(&wanted, &["apiVersion"]), json::text(&wanted, &["kind"]));
    if version != "autoscaling/v1" || kind != "Scale" {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let message = format!("invalid object type: {group}/{version}, Kind={kind}");
        return Err(Refusal::bad_request(message));
    }
    let mut config = json!({
        "apiVersion": call.resource.api_version(), "kind": call.resource.kind,
        "metadata": {"name": call.name()},
    });
    if let Some(replicas) = json::at(&wanted, &["spec", "replicas"]) {
        let paths = scale_paths(&call.resource);
        let spec: Vec<&str> = paths.spec.iter().map(String::as_str).collect();
        json::put(&mut config, &spec, replicas.clone());
    }
    let force = call.request.query.flag("force");
    let value = apply::applied(Some(object), &config, call, force)?;
    update::replace(state, call, existing, value, Writer::Apply, Vec::new())?;
    let stored = call.get(state)?;
    Ok(Reply::json(200, &scale_of(&body::view(&stored, &call.resource), &call.resource)))
}

/// Binds a pod to a node, once.
pub(super) fn bind(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let binding = body::parse(&call.request.body, "Binding")?;
    let existing = call.get(state)?;
    let node = json::text(&binding, &["target", "name"]);
    if node.is_empty() {
        let cause = crate::refusal::Cause::required("target.name", "");
        return Err(Refusal::invalid(
            Named { group: "", resource: "Binding" },
            call.name(),
            &[cause],
        ));
    }
    let bound = json::text(&existing.value, &["spec", "nodeName"]);
    let of = Named { group: "", resource: "pods/binding" };
    if !bound.is_empty() {
        let why = format!("pod {} is already assigned to node {bound:?}", call.name());
        return Err(Refusal::conflict(of, call.name(), &why));
    }
    if json::at(&existing.value, &["metadata", "deletionTimestamp"]).is_some() {
        let why = format!("pod {} is being deleted, cannot be assigned to a host", call.name());
        return Err(Refusal::conflict(of, call.name(), &why));
    }
    let mut value = (*existing.value).clone();
    json::put(&mut value, &["spec", "nodeName"], node.into());
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null,
        "lastTransitionTime": crate::state::time(call.now()),
    });
    let mut conditions: Vec<Value> = json::list(&value, &["status", "conditions"])
        .iter()
        .filter(|known| json::text(known, &["type"]) != "PodScheduled")
        .cloned()
        .collect();
    conditions.push(condition);
    json::put(&mut value, &["status", "conditions"], conditions.into());
    if !call.dry_run {
        state.store.put(&call.resource.id, call.key(), value, &call.author);
    }
    Ok(Reply::json(
        201,
        &json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

/// Deletes a pod if its disruption budget has room.
pub(super) fn evict(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let eviction = body::parse(&call.request.body, "Eviction")?;
    let existing = call.get(state)?;
    let options = json::at(&eviction, &["deleteOptions"]).cloned().unwrap_or_default();
    let options = Options::of_body(&options, call.dry_run)?;
    let pod = existing.value.clone();
    let unguarded = ["Pending", "Succeeded", "Failed"]
        .contains(&json::text(&pod, &["status", "phase"]))
        || json::at(&pod, &["metadata", "deletionTimestamp"]).is_some();
    if !unguarded {
        spend_budget(state, call, &pod)?;
    }
    delete::remove(state, call, &call.key(), &existing, &options)?;
    Ok(Reply::json(
        201,
        &json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

fn spend_budget(state: &mut State, call: &Call<'_>, pod: &Value) -> Result<(), Refusal> {
    let id =
        Arc::new(GroupResource { group: "policy".into(), resource: "poddisruptionbudgets".into() });
    let no_labels = json!({});
    let labels = json::at(pod, &["metadata", "labels"]).unwrap_or(&no_labels);
    let covering: Vec<(Key, Arc<Value>)> = state
        .store
        .list(&id, Some(call.namespace()))
        .filter(|(_, budget)| {
            json::at(&budget.value, &["spec", "selector"])
                .is_some_and(|s| label_selector_matches(s, labels))
        })
        .map(|(key, budget)| (key.clone(), budget.value.clone()))
        .collect();
    let (key, budget) = match covering.as_slice() {
        [] => return Ok(()),
        [one] => one,
        _ => {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Refusal::internal(message));
        }
    };
    let allowed = json::int(budget, &["status", "disruptionsAllowed"]).unwrap_or_default();
    let observed = json::int(budget, &["status", "observedGeneration"]).unwrap_or_default();
    let stale = observed < json::int(budget, &["metadata", "generation"]).unwrap_or_default();
    if allowed <= 0 || stale {
        let healthy = json::int(budget, &["status", "currentHealthy"]).unwrap_or_default();
        let needed = json::int(budget, &["status", "desiredHealthy"]).unwrap_or_default();
        let text = if stale {
            format!("The disruption budget {} is still being processed by the server.", key.name)
        } else {
            format!(
                "The disruption budget {} needs {needed} healthy pods and has {healthy} currently",
                key.name
            )
        };
        let details = if stale {
            json!({"causes": [{"reason": "DisruptionBudget", "message": text}], "retryAfterSeconds": 10})
        } else {
            json!({"causes": [{"reason": "DisruptionBudget", "message": text}]})
        };
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        return Err(Refusal::too_many_requests(message, details));
    }
    let mut spent = (**budget).clone();
    json::put(&mut spent, &["status", "disruptionsAllowed"], (allowed - 1).into());
    let now = crate::state::time(call.now());
    json::put(&mut spent, &["status", "disruptedPods", call.name()], now.into());
    if !call.dry_run {
        state.store.put(&id, key.clone(), spent, &call.author);
    }
    Ok(())
}
