//! Persistent volume claims.

use serde_json::{Value, json};

use super::check;
use crate::json;
use crate::quantity::Quantity;
use crate::refusal::{Cause, Refusal};
use crate::state::State;
use crate::store::Key;
use crate::verbs::Call;

pub(crate) fn apply_defaults(value: &mut Value) {
    default_spec(json::as_object(value).entry("spec").or_insert_with(|| json!({})));
    json::default_to(json::object_mut(value, "status"), "phase", "Pending");
}

pub(crate) fn default_spec(spec: &mut Value) {
    json::default_to(json::as_object(spec), "volumeMode", "Filesystem");
}

/// A claim is protected as long as a pod uses it.
pub(crate) fn prepare_create(value: &mut Value) {
    json::put(value, &["status"], json!({"phase": "Pending"}));
    let protection = json!("kubernetes.io/pvc-protection");
    let mut finalizers = json::list(value, &["metadata", "finalizers"]).to_vec();
    if !finalizers.contains(&protection) {
        finalizers.push(protection);
    }
    json::put(value, &["metadata", "finalizers"], finalizers.into());
}

fn requested(claim: &Value) -> Option<i128> {
    size(json::at(claim, &["spec", "resources", "requests", "storage"]))
}

fn capacity(claim: &Value) -> Option<i128> {
    size(json::at(claim, &["status", "capacity", "storage"]))
}

fn size(quantity: Option<&Value>) -> Option<i128> {
    Some(Quantity::parse(quantity?.as_str()?)?.nanos())
}

/// A volume grows only once it is bound, and only if its class says that volumes may.
pub(crate) fn check_growth(
    value: &Value,
    old: &Value,
    call: &Call<'_>,
    state: &State,
) -> Result<(), Refusal> {
    if requested(value) <= requested(old) {
        return Ok(());
    }
    let refuse = |why| Err(Refusal::forbidden(call.resource.named(), call.name(), why, &[]));
    if json::text(old, &["status", "phase"]) != "Bound" {
        return refuse("Only bound persistent volume claims can be expanded");
    }
    let key = Key::new("", json::text(value, &["spec", "storageClassName"]));
    let classes = state.registry.get("storage.k8s.io", "v1", "storageclasses");
    let class = classes.and_then(|classes| state.store.get(&classes.id, &key));
    let grows = class.is_some_and(|class| class.value()["allowVolumeExpansion"] == true);
    if grows {
        return Ok(());
    }
    refuse(
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the \
         pvc must support resize",
    )
}

pub(crate) fn validate(value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(old) = old else {
        if json::list(value, &["spec", "accessModes"]).is_empty() {
            causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
        }
        if json::at(value, &["spec", "resources", "requests", "storage"]).is_none() {
            causes.push(Cause::required("spec.resources[storage]", ""));
        } else if let Some(size) = json::at(value, &["spec", "resources", "requests", "storage"])
            && Quantity::parse(size.as_str().unwrap_or_default()).is_some_and(|q| q.nanos() <= 0)
        {
            causes.push(Cause::invalid(
                "spec.resources[storage]",
                size,
                "must be greater than zero",
            ));
        }
        if let Some(selector) = json::at(value, &["spec", "selector"]) {
            check::label_selector(selector, "spec.selector", &mut causes);
        }
        return causes;
    };
    let (size, was, is) = (requested(value), requested(old), capacity(old));
    if size < was && size <= is {
        let field = "spec.resources.requests.storage";
        causes.push(Cause::forbidden(field, "field can not be less than status.capacity"));
    }
    let mut comparable = json::at(value, &["spec"]).cloned().unwrap_or_default();
    let was = json::at(old, &["spec"]).cloned().unwrap_or_default();
    for key in ["volumeName", "storageClassName", "volumeAttributesClassName"] {
        // What the binder fills in once.
        if json::at(&was, &[key]).is_none() {
            json::take(&mut comparable, &[key]);
        }
    }
    if json::text(old, &["status", "phase"]) == "Bound"
        && let Some(resources) = json::at(&was, &["resources"]).cloned()
    {
        json::put(&mut comparable, &["resources"], resources);
    }
    if comparable != was {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        causes.push(Cause::forbidden("spec", why));
    }
    causes
}
