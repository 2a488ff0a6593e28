//! `pods/binding`: gives a pod to a node, once.

use serde_json::{Value, json};

use super::{Call, body};
use crate::json;
use crate::refusal::{Cause, Named, Refusal};
use crate::respond::Reply;
use crate::state::State;

/// Binds a pod to a node.
pub(super) fn bind(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let binding = body::parse(&call.request.body, "Binding")?;
    if json::text(&binding, &["metadata", "name"]) != call.name() {
        return Err(Refusal::bad_request("name in URL does not match name in Binding object"));
    }
    validate(&binding)?;
    let existing = call.get(state)?.value();
    let node = json::text(&binding, &["target", "name"]);
    let refused = |why: &str| {
        let of = Named { group: "", resource: "pods/binding" };
        Err(Refusal::conflict(of, call.name(), why))
    };
    let uid = json::text(&binding, &["metadata", "uid"]);
    if !uid.is_empty() && uid != json::text(&existing, &["metadata", "uid"]) {
        let has = json::text(&existing, &["metadata", "uid"]);
        return refused(&format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {has}"
        ));
    }
    if json::at(&existing, &["metadata", "deletionTimestamp"]).is_some() {
        return refused(&format!(
            "pod {} is being deleted, cannot be assigned to a host",
            call.name()
        ));
    }
    let bound = json::text(&existing, &["spec", "nodeName"]);
    if !bound.is_empty() {
        return refused(&format!("pod {} is already assigned to node {bound:?}", call.name()));
    }
    if !json::list(&existing, &["spec", "schedulingGates"]).is_empty() {
        return refused(&format!("pod {} has non-empty .spec.schedulingGates", call.name()));
    }
    let mut value = (*existing).clone();
    json::put(&mut value, &["spec", "nodeName"], node.into());
    let annotations = json::at(&binding, &["metadata", "annotations"]).and_then(Value::as_object);
    for (key, text) in annotations.into_iter().flatten() {
        json::put(&mut value, &["metadata", "annotations", key], text.clone());
    }
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null,
        "lastTransitionTime": crate::state::time(call.now()),
    });
    put_condition(&mut value, condition);
    if !call.dry_run {
        state.store.put(&call.resource.id, call.key(), value, &call.author);
    }
    Ok(done())
}

/// The real server does not wrap these faults in an `Invalid`: they come as a bare failure.
fn validate(binding: &Value) -> Result<(), Refusal> {
    let kind = json::at(binding, &["target", "kind"]).and_then(Value::as_str).unwrap_or_default();
    let mut causes = Vec::new();
    if !["", "Node"].contains(&kind) {
        causes.push(Cause::unsupported("target.kind", &kind.into(), &["Node", "<empty>"]));
    }
    if json::text(binding, &["target", "name"]).is_empty() {
        causes.push(Cause::required("target.name", ""));
    }
    let texts: Vec<String> =
        causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    match texts.as_slice() {
        [] => Ok(()),
        [one] => Err(Refusal::internal(one.clone())),
        many => Err(Refusal::internal(format!("[{}]", many.join(", ")))),
    }
}

/// Sets a condition of an object, in the place of one of the same type.
pub(super) fn put_condition(value: &mut Value, condition: Value) {
    let same = |known: &&Value| json::text(known, &["type"]) != json::text(&condition, &["type"]);
    let mut conditions: Vec<Value> =
        json::list(value, &["status", "conditions"]).iter().filter(same).cloned().collect();
    conditions.push(condition);
    json::put(value, &["status", "conditions"], conditions.into());
}

/// What a binding or an eviction that succeeded is answered with.
pub(super) fn done() -> Reply {
    Reply::json(
        201,
        &json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201}),
    )
}
