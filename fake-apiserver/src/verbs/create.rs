//! Creating objects.

use serde_json::Value;

use super::{Call, body};
use crate::refusal::{Cause, Named, Refusal};
use crate::respond::Reply;
use crate::state::State;
use crate::store::Key;
use crate::{apply, json, meta, strategy};

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let mut warnings = Vec::new();
    let value = body::object(call, &mut warnings)?;
    let told = warnings.clone();
    insert(state, call, value, Origin::Create, warnings).map_err(|refusal| refusal.warned(told))
}

/// How an object that is not there yet came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Create,
    Apply,
}

/// Makes a new object of a decoded one.
pub(super) fn insert(
    state: &mut State,
    call: &Call<'_>,
    mut value: Value,
    origin: Origin,
    mut warnings: Vec<String>,
) -> Result<Reply, Refusal> {
    let resource = call.resource.clone();
    if resource.custom().is_some_and(|custom| custom.terminating) {
        let why = "create not allowed while custom resource definition is terminating";
        let name = json::text(&value, &["metadata", "name"]);
        return Err(Refusal::forbidden(resource.named(), name, why, &[]));
    }
    meta::settle_namespace(&mut value, call.namespace())?;
    let version = json::text(&value, &["metadata", "resourceVersion"]);
    if origin == Origin::Create && !["", "0"].contains(&version) {
        return Err(Refusal::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    admit_namespace(state, call, &value)?;
    meta::prepare_create(&mut value, state, &resource, call.now());
    strategy::prepare_create(&mut value, call, state)?;
    call.check_grant(state, None, &value)?;
    let mut causes = meta::validate(&value, &resource);
    causes.extend(strategy::validate(&value, None, &resource, None, &mut warnings));
    if !causes.is_empty() {
        let name = json::text(&value, &["metadata", "name"]);
        return Err(Refusal::invalid(resource.named_kind(), name, &causes));
    }
    if origin == Origin::Create {
        apply::track_update(None, &mut value, call);
    }
    let key = Key::new(call.namespace(), json::text(&value, &["metadata", "name"]));
    if state.store.get(&resource.id, &key).is_some() {
        return Err(Refusal::already_exists(resource.named(), &key.name));
    }
    if call.dry_run {
        return super::read::reply(call, 201, &std::sync::Arc::new(value), warnings);
    }
    body::to_storage(&mut value, &resource);
    let stored = state.store.put(&resource.id, key, value, &call.author);
    strategy::after_write(state, &resource);
    super::read::answer(call, 201, &stored, warnings)
}

/// Nothing is made in a namespace that is not there, or that is going away.
fn admit_namespace(state: &State, call: &Call<'_>, value: &Value) -> Result<(), Refusal> {
    let namespace = call.namespace();
    if namespace.is_empty() {
        return Ok(());
    }
    let id = crate::store::GroupResource { group: String::new(), resource: "namespaces".into() };
    let Some(found) = state.store.get(&id, &Key::new("", namespace)) else {
        return Err(Refusal::not_found(Named { group: "", resource: "namespaces" }, namespace));
    };
    if json::text(&found.value(), &["status", "phase"]) == "Terminating" {
        let cause = Cause::new(
            "NamespaceTerminating",
            format!("namespace {namespace} is being terminated"),
            "metadata.namespace",
        );
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let name = json::text(value, &["metadata", "name"]);
        return Err(Refusal::forbidden(call.resource.named(), name, &why, &[cause]));
    }
    Ok(())
}
