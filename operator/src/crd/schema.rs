//! What the schema says beyond the types: rules across fields, and what must not change.
//!
//! Never: rejects an edit that Oracle's operator tolerates by ignoring it; such edits are reported
//! in a condition instead.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, ValidationRule,
};
use schemars::{Schema, SchemaGenerator, json_schema};

/// Anything at all: a Kubernetes type whose schema is Kubernetes' own.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true
    })
}

/// A list of anything at all.
pub(super) fn any_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "nullable": true,
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
    })
}

/// An integer or a text such as `25%`.
pub(super) fn int_or_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true, "nullable": true})
}

/// A time as Kubernetes writes it.
pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

/// (the property that the rule is for, the rule, what to tell the user)
const RULES: &[(&[&str], &str, &str)] = &[
    (
        &[],
        "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$')",
        "metadata.name may have at most 50 lower case letters, digits and '-', and starts with a \
         letter: Services are called by it",
    ),
    (
        &["spec", "ttspec"],
        "self.replicationTopology == oldSelf.replicationTopology",
        "replicationTopology cannot be changed; create another object with the other topology",
    ),
    (
        &["spec", "ttspec", "subscribers"],
        "!has(self.maxReplicas) || !has(self.replicas) || self.replicas <= self.maxReplicas",
        "subscribers.replicas must not be greater than subscribers.maxReplicas",
    ),
    (
        &["spec", "ttspec", "subscribers"],
        "has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",
        "subscribers.name cannot be changed; it names pods that exist",
    ),
];

/// Completes the schema that the types give.
pub(super) fn finish(root: &mut JSONSchemaProps) {
    for (path, rule, message) in RULES {
        let Some(schema) = descend(root, path) else { continue };
        schema.x_kubernetes_validations.get_or_insert_default().push(ValidationRule {
            rule: (*rule).to_owned(),
            message: Some((*message).to_owned()),
            ..ValidationRule::default()
        });
    }
    // A null of theirs would not compare. Kubernetes drops a null that may not be there, which is
    // what it means.
    for name in ["replicas", "maxReplicas", "name"] {
        if let Some(field) = descend(root, &["spec", "ttspec", "subscribers", name]) {
            field.nullable = None;
        }
    }
    if let Some(status) = descend(root, &["status"]) {
        status.x_kubernetes_preserve_unknown_fields = Some(true);
    }
    if let Some(conditions) = descend(root, &["status", "conditions"]) {
        conditions.x_kubernetes_list_type = Some("map".into());
        conditions.x_kubernetes_list_map_keys = Some(vec!["type".into()]);
    }
}

fn descend<'a>(schema: &'a mut JSONSchemaProps, path: &[&str]) -> Option<&'a mut JSONSchemaProps> {
    path.iter().try_fold(schema, |schema, name| schema.properties.as_mut()?.get_mut(*name))
}
