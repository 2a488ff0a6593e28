//! What the real server does in code, kind by kind: defaults, immutable fields, checks.
//!
//! A kind without a module here has the behaviour of all kinds.

mod budget;
mod certificate;
mod check;
pub(crate) mod claim;
mod config;
mod container;
pub(crate) mod event;
mod lease;
pub(crate) mod pod;
mod pod_spec;
pub(crate) mod service;
pub(crate) mod stateful_set;
mod stored;
pub(crate) mod workload;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::refusal::{Cause, Refusal};
use crate::registry::Resource;
use crate::schema::{cel, enumeration, validate};
use crate::state::State;
use crate::verbs::Call;
use crate::{crd, json};

const CERTIFICATES: &str = "certificates.k8s.io";

/// Kinds whose generation counts changes of their spec.
pub(crate) fn counts_generations(resource: &Resource) -> bool {
    resource.custom().is_some()
        || matches!(
            resource.kind.as_str(),
            "StatefulSet"
                | "Deployment"
                | "DaemonSet"
                | "ReplicaSet"
                | "PodDisruptionBudget"
                | "NetworkPolicy"
                | "Ingress"
                | "Pod"
                | "Job"
                | "CronJob"
                | "CustomResourceDefinition"
        )
}

/// Kinds that a PUT creates.
pub(crate) fn put_creates(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_str(), resource.kind.as_str()),
        ("coordination.k8s.io", "Lease")
            | ("", "Service" | "Endpoints" | "Event" | "LimitRange")
            | ("events.k8s.io", "Event")
    )
}

/// Kinds that no update replaces without naming a version.
pub(crate) fn must_name_version(resource: &Resource) -> bool {
    resource.custom().is_some()
        || matches!(
            resource.kind.as_str(),
            "Lease" | "PodDisruptionBudget" | "CustomResourceDefinition"
        )
}

/// What every answer about a kind warns of.
pub(crate) fn deprecation(resource: &Resource) -> Option<&'static str> {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        ("", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}

/// Kinds whose deletion answers with the object.
pub(crate) fn delete_answers_object(resource: &Resource) -> bool {
    resource.group.is_empty()
        && matches!(
            resource.kind.as_str(),
            "Pod"
                | "Service"
                | "ServiceAccount"
                | "PersistentVolumeClaim"
                | "PersistentVolume"
                | "PodTemplate"
                | "ResourceQuota"
        )
}

/// Kinds with a graceful end: the last state of one shows its deletion mark.
pub(crate) fn is_graceful(resource: &Resource) -> bool {
    resource.is("", "Pod")
}

/// How long an object has before it is removed; `None` for kinds without a graceful end.
pub(crate) fn grace_period(object: &Value, resource: &Resource, asked: Option<i64>) -> Option<i64> {
    is_graceful(resource).then(|| pod::grace_period(object, asked))
}

/// Fills in the defaults that are code on the real server.
pub(crate) fn apply_defaults(value: &mut Value, resource: &Resource) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => pod::default_pod(value),
        ("", "Service") => service::apply_defaults(value),
        ("", "PersistentVolumeClaim") => claim::apply_defaults(value),
        ("", "Secret") => default_secret(value),
        ("", "Namespace") => {
            let name = json::text(value, &["metadata", "name"]).to_owned();
            json::put(value, &["metadata", "labels", "kubernetes.io/metadata.name"], name.into());
        }
        ("apps", "StatefulSet") => stateful_set::apply_defaults(value),
        ("apps", kind @ ("Deployment" | "DaemonSet" | "ReplicaSet"))
        | ("batch", kind @ ("Job" | "CronJob"))
        | ("", kind @ ("PodTemplate" | "ReplicationController")) => {
            workload::apply_defaults(value, kind);
        }
        ("networking.k8s.io", "NetworkPolicy") => {
            let mut types = vec![json!("Ingress")];
            if json::at(value, &["spec", "egress"]).is_some() {
                types.push(json!("Egress"));
            }
            json::default_to(json::object_mut(value, "spec"), "policyTypes", types);
            for side in ["ingress", "egress"] {
                for rule in value
                    .pointer_mut(&format!("/spec/{side}"))
                    .and_then(Value::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    for port in
                        rule.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten()
                    {
                        json::default_to(json::as_object(port), "protocol", "TCP");
                    }
                }
            }
        }
        ("", "Event") | ("events.k8s.io", "Event") => event::apply_defaults(value, resource),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            default_binding(value);
        }
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            json::as_object(value).entry("rules").or_insert(Value::Null);
        }
        _ => stored::apply_defaults(value, resource),
    }
}

/// Roles, users and groups are of one API group.
fn default_binding(value: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    json::default_to(json::object_mut(value, "roleRef"), "apiGroup", GROUP);
    for subject in
        value.pointer_mut("/subjects").and_then(Value::as_array_mut).into_iter().flatten()
    {
        if ["User", "Group"].contains(&json::text(subject, &["kind"])) {
            json::default_to(json::as_object(subject), "apiGroup", GROUP);
        }
    }
}

/// The text of a secret becomes data.
fn default_secret(value: &mut Value) {
    let text = json::take(value, &["stringData"]);
    for (key, text) in text.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
        json::put(value, &["data", key], encoded.into());
    }
    json::default_to(json::as_object(value), "type", "Opaque");
}

/// Finishes a new object: fields it cannot have yet, and what the server allots.
pub(crate) fn prepare_create(
    value: &mut Value,
    call: &Call<'_>,
    state: &mut State,
) -> Result<(), Refusal> {
    let resource = &call.resource;
    if resource.custom().is_some_and(|custom| custom.status_subresource) {
        json::take(value, &["status"]);
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => pod::prepare_create(value),
        ("", "Service") => service::prepare_create(value, state)?,
        ("", "Namespace") => {
            json::put(value, &["spec", "finalizers"], json!(["kubernetes"]));
            json::put(value, &["status"], json!({"phase": "Active"}));
        }
        ("", "PersistentVolumeClaim") => claim::prepare_create(value),
        ("apps", "StatefulSet") => {
            json::put(value, &["status"], json!({"replicas": 0, "availableReplicas": 0}));
        }
        ("", "PersistentVolume") => json::put(value, &["status"], json!({"phase": "Pending"})),
        ("apps", kind @ ("Deployment" | "DaemonSet" | "ReplicaSet"))
        | ("batch", kind @ ("Job" | "CronJob")) => workload::prepare_create(value, kind),
        ("policy", "PodDisruptionBudget") => {
            let zero = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
            json::put(value, &["status"], zero);
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            crd::initial_status(value);
        }
        (CERTIFICATES, "CertificateSigningRequest") => {
            certificate::prepare_create(value, &call.request.user)?;
        }
        _ => {}
    }
    Ok(())
}

/// Restores what the request cannot change, and counts the generation.
pub(crate) fn prepare_update(
    value: &mut Value,
    old: &Value,
    call: &Call<'_>,
    state: &mut State,
) -> Result<(), Refusal> {
    let resource = &call.resource;
    let custom = resource.custom().is_some();
    if resource.is(CERTIFICATES, "CertificateSigningRequest") {
        return certificate::prepare_update(value, old, call, state);
    }
    if prepare_subresource(value, old, call) {
        return Ok(());
    }
    let split_status = match resource.custom() {
        Some(custom) => custom.status_subresource,
        None => resource.subresources.contains_key("status"),
    };
    if split_status {
        restore(value, old, &["status"]);
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Namespace") => restore(value, old, &["spec"]),
        ("", "Pod") => pod::tolerate(value),
        ("", "Service") => service::prepare_update(value, old, state),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd::note_stored_version(value),
        _ => {}
    }
    if counts_generations(resource) && differs(value, old, custom, split_status) {
        let generation = json::int(old, &["metadata", "generation"]).unwrap_or_default();
        json::metadata_mut(value).insert("generation".into(), (generation + 1).into());
    }
    Ok(())
}

/// What the admission plugins of the real server refuse of an update that is valid.
pub(crate) fn admit_update(
    value: &Value,
    old: &Value,
    call: &Call<'_>,
    state: &State,
) -> Result<(), Refusal> {
    match call.resource.is("", "PersistentVolumeClaim") {
        true => claim::check_growth(value, old, call, state),
        false => Ok(()),
    }
}

/// Of what is not the subresource that is written, everything stays. Says whether it is one.
fn prepare_subresource(value: &mut Value, old: &Value, call: &Call<'_>) -> bool {
    match call.subresource() {
        Some("status") if call.resource.custom().is_some() => {
            let sent = std::mem::replace(value, old.clone());
            restore(value, &sent, &["status"]);
            restore(value, &sent, &["metadata", "managedFields"]);
        }
        Some("status") => {
            restore(value, old, &["spec"]);
            if call.resource.is("", "Pod")
                && json::at(old, &["metadata", "ownerReferences"]).is_some()
            {
                restore(value, old, &["metadata", "ownerReferences"]);
            }
        }
        Some("finalize") => restore(value, old, &["status"]),
        Some("ephemeralcontainers") => {
            let sent = std::mem::replace(value, old.clone());
            restore(value, &sent, &["spec", "ephemeralContainers"]);
            restore(value, &sent, &["metadata", "managedFields"]);
        }
        _ => return false,
    }
    true
}

/// Whether an update changes what the generation counts.
fn differs(value: &Value, old: &Value, custom: bool, split_status: bool) -> bool {
    let ignored = ["metadata", "apiVersion", if split_status { "status" } else { "apiVersion" }];
    if !custom {
        return json::at(value, &["spec"]) != json::at(old, &["spec"]);
    }
    let counted = |object: &Value| -> Vec<(String, Value)> {
        let map = object.as_object().into_iter().flatten();
        map.filter(|(key, _)| !ignored.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    counted(value) != counted(old)
}

/// The value at that place becomes the one that is in `of`.
fn restore(value: &mut Value, of: &Value, path: &[&str]) {
    match json::at(of, path).cloned() {
        Some(kept) => json::put(value, path, kept),
        None => {
            json::take(value, path);
        }
    }
}

/// The faults of an object beyond its metadata.
pub(crate) fn validate(
    value: &Value,
    old: Option<&Value>,
    resource: &Resource,
    subresource: Option<&str>,
    warnings: &mut Vec<String>,
) -> Vec<Cause> {
    if let Some(custom) = resource.custom() {
        return validate_custom(value, old, resource, custom, warnings);
    }
    if subresource == Some("status") && resource.is("", "Service") {
        return service::validate_status(value);
    }
    if resource.is(CERTIFICATES, "CertificateSigningRequest") {
        return certificate::validate(value, old, subresource);
    }
    match (subresource, old) {
        (Some("ephemeralcontainers"), Some(old)) => return pod::validate_ephemeral(value, old),
        (Some(_), _) => return Vec::new(),
        (None, _) => {}
    }
    let mut causes = match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => pod::validate(value, old),
        ("", "Service") => service::validate(value, old),
        ("", "PersistentVolumeClaim") => claim::validate(value, old),
        ("", "Secret") => config::validate_secret(value, old),
        ("", "ConfigMap") => config::validate_config_map(value, old),
        ("", "Event") | ("events.k8s.io", "Event") => event::validate(value, old, resource),
        ("apps", "StatefulSet") => stateful_set::validate(value, old),
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") | ("batch", "Job" | "CronJob") => {
            workload::validate(value, old, &resource.kind)
        }
        ("coordination.k8s.io", "Lease") => lease::validate(value),
        ("policy", "PodDisruptionBudget") => budget::validate(value),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => return crd::faults(value, old),
        _ => stored::validate(value, old, resource),
    };
    enumeration::validate(value, resource.schema(), &mut causes);
    causes
}

/// Faults after which rules are not run.
const BLOCKING: [&str; 5] = [
    "FieldValueRequired",
    "FieldValueTypeInvalid",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueNotSupported",
];

fn validate_custom(
    value: &Value,
    old: Option<&Value>,
    resource: &Resource,
    custom: &crd::Custom,
    warnings: &mut Vec<String>,
) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, wanted) in [("kind", &resource.kind), ("apiVersion", &resource.api_version())] {
        let told = json::at(value, &[key]).unwrap_or(&Value::Null);
        if told != wanted {
            causes.push(Cause::invalid(key, told, &format!("must be {wanted}")));
        }
    }
    if !causes.is_empty() {
        return causes;
    }
    validate::validate(value, &custom.schema, old, "", &mut causes);
    let blocked = causes.iter().any(|cause| BLOCKING.contains(&cause.reason));
    // What was there twice before may stay so.
    let twice = |value: &Value| {
        let mut found = Vec::new();
        validate::validate_uniqueness(value, &custom.schema, "", &mut found);
        found
    };
    let found = twice(value);
    if !found.is_empty() && old.is_none_or(|old| twice(old).is_empty()) {
        causes.extend(found);
    }
    if !custom.schema.ruled {
        return causes;
    }
    if blocked || json::text(value, &["metadata", "name"]).is_empty() {
        causes.push(skipped());
    } else {
        cel::validate(
            value,
            old,
            &custom.schema,
            &mut cel::Findings { causes: &mut causes, warnings },
        );
    }
    causes
}

fn skipped() -> Cause {
    let why = "some validation rules were not checked because the object was invalid; correct the existing errors to \
               complete validation";
    Cause::invalid("<nil>", &Value::Null, why)
}

/// What follows from an object having been stored.
pub(crate) fn after_write(state: &mut State, resource: &Resource) {
    if resource.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        crd::settle(state);
    }
}

/// What follows from an object having been removed: a definition may wait for its last one.
pub(crate) fn after_removal(state: &mut State, resource: &Resource) {
    if resource.custom().is_some() {
        crd::after_object(state, &resource.group, &resource.plural);
    } else {
        after_write(state, resource);
    }
}

/// Finalizers that a kind gets when its deletion begins.
pub(crate) fn deletion_finalizer(resource: &Resource) -> Option<&'static str> {
    resource.is("apiextensions.k8s.io", "CustomResourceDefinition").then_some(crd::CLEANUP)
}
