//! Kinds that are only kept: their defaults and the checks that need more than their schema.

use serde_json::{Value, json};

use super::check;
use crate::json;
use crate::refusal::Cause;
use crate::registry::Resource;

/// Fills in the defaults of a kind without a controller.
pub(super) fn apply_defaults(value: &mut Value, resource: &Resource) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "PersistentVolume") => {
            let spec = json::object_mut(value, "spec");
            json::default_to(spec, "persistentVolumeReclaimPolicy", "Retain");
            json::default_to(spec, "volumeMode", "Filesystem");
            json::default_to(json::object_mut(value, "status"), "phase", "Pending");
        }
        ("storage.k8s.io", "StorageClass") => {
            let map = json::as_object(value);
            json::default_to(map, "reclaimPolicy", "Delete");
            json::default_to(map, "volumeBindingMode", "Immediate");
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            json::default_to(json::as_object(value), "preemptionPolicy", "PreemptLowerPriority");
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            let spec = json::object_mut(value, "spec");
            json::default_to(spec, "minReplicas", 1);
            let cpu = json!({"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}});
            json::default_to(spec, "metrics", json!([cpu]));
        }
        ("discovery.k8s.io", "EndpointSlice") => {
            for list in ["endpoints", "ports"] {
                json::as_object(value).entry(list).or_insert(Value::Null);
            }
            let ports = value.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten() {
                let port = json::as_object(port);
                json::default_to(port, "name", "");
                json::default_to(port, "protocol", "TCP");
            }
        }
        _ => {}
    }
}

/// The faults of a kind without a controller.
pub(super) fn validate(value: &Value, old: Option<&Value>, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    let fixed: &[&[&str]] = match (resource.group.as_str(), resource.kind.as_str()) {
        ("storage.k8s.io", "StorageClass") => {
            if json::text(value, &["provisioner"]).is_empty() {
                causes.push(Cause::required("provisioner", ""));
            }
            &[&["reclaimPolicy"], &["volumeBindingMode"]]
        }
        ("scheduling.k8s.io", "PriorityClass") => &[&["value"], &["preemptionPolicy"]],
        ("discovery.k8s.io", "EndpointSlice") => &[&["addressType"]],
        ("networking.k8s.io", "IngressClass") => &[&["spec", "controller"]],
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            if old.is_some_and(|old| old.get("roleRef") != value.get("roleRef")) {
                let role = value.get("roleRef").unwrap_or(&Value::Null);
                causes.push(Cause::invalid("roleRef", role, "cannot change roleRef"));
            }
            if json::text(value, &["roleRef", "name"]).is_empty() {
                causes.push(Cause::required("roleRef.name", ""));
            }
            &[]
        }
        ("networking.k8s.io", "NetworkPolicy") => {
            if let Some(selector) = json::at(value, &["spec", "podSelector"]) {
                check::label_selector(selector, "spec.podSelector", &mut causes);
            }
            &[]
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            validate_autoscaler(value, &mut causes);
            &[]
        }
        _ => &[],
    };
    for path in fixed {
        let now = json::at(value, path);
        if old.is_some_and(|old| json::at(old, path) != now) {
            let now = now.unwrap_or(&Value::Null);
            causes.push(Cause::invalid(path.join("."), now, "field is immutable"));
        }
    }
    causes
}

fn validate_autoscaler(value: &Value, causes: &mut Vec<Cause>) {
    let least = json::int(value, &["spec", "minReplicas"]).unwrap_or(1);
    let most = json::int(value, &["spec", "maxReplicas"]).unwrap_or_default();
    if least < 1 {
        let why = "must be greater than or equal to 1";
        causes.push(Cause::invalid("spec.minReplicas", &least.into(), why));
    }
    if most < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &most.into(), "must be greater than 0"));
    }
    if most < least {
        let why = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &most.into(), why));
    }
}
