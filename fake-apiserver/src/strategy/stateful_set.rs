//! Stateful sets.

use serde_json::{Value, json};

use super::{claim, pod};
use crate::json;
use crate::refusal::Cause;

/// The fields of the spec that can change.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(crate) fn apply_defaults(value: &mut Value) {
    let spec = json::object_mut(value, "spec");
    json::default_to(spec, "replicas", 1);
    json::default_to(spec, "podManagementPolicy", "OrderedReady");
    json::default_to(spec, "revisionHistoryLimit", 10);
    json::default_to(spec, "serviceName", "");
    json::default_to(spec, "persistentVolumeClaimRetentionPolicy", json!({}));
    let spec = json::as_object(value).entry("spec").or_insert_with(|| json!({}));
    let retention = json::object_mut(spec, "persistentVolumeClaimRetentionPolicy");
    json::default_to(retention, "whenDeleted", "Retain");
    json::default_to(retention, "whenScaled", "Retain");
    let strategy = json::object_mut(spec, "updateStrategy");
    json::default_to(strategy, "type", "RollingUpdate");
    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
        let strategy = json::as_object(spec).entry("updateStrategy").or_insert_with(|| json!({}));
        json::default_to(json::object_mut(strategy, "rollingUpdate"), "partition", 0);
    }
    if let Some(pod) = spec.pointer_mut("/template/spec") {
        pod::default_spec(pod);
    }
    if let Some(Value::Array(claims)) = spec.get_mut("volumeClaimTemplates") {
        for template in claims {
            json::default_to(json::as_object(template), "apiVersion", "v1");
            json::default_to(json::as_object(template), "kind", "PersistentVolumeClaim");
            claim::apply_defaults(template);
        }
    }
}

pub(crate) fn validate(value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let none = json!({});
    let spec = json::at(value, &["spec"]).unwrap_or(&none);
    if let Some(old) = old {
        let was = json::at(old, &["spec"]).unwrap_or(&none);
        let fixed = |spec: &Value| -> Value {
            let map = spec.as_object().into_iter().flatten();
            map.filter(|(key, _)| !MUTABLE.contains(&key.as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        };
        if fixed(spec) != fixed(was) {
            let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                       'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                       'minReadySeconds' are forbidden";
            causes.push(Cause::forbidden("spec", why));
        }
    }
    let selector = json::at(spec, &["selector"]);
    let told = json::at(spec, &["template", "metadata", "labels"]);
    let labels = told.unwrap_or(&none);
    match selector {
        // No selector selects nothing, not even the template.
        None => {
            causes.push(Cause::required("spec.selector", ""));
            let why = "`selector` does not match template `labels`";
            let field = "spec.template.metadata.labels";
            causes.push(Cause::invalid(field, told.unwrap_or(&Value::Null), why));
        }
        Some(selector) if selector.as_object().is_some_and(serde_json::Map::is_empty) => {
            let why = "empty selector is invalid for statefulset";
            causes.push(Cause::invalid("spec.selector", selector, why));
        }
        Some(selector) if !crate::selector::label_selector_matches(selector, labels) => {
            let why = "`selector` does not match template `labels`";
            causes.push(Cause::invalid("spec.template.metadata.labels", labels, why));
        }
        Some(_) => {}
    }
    if let Some(replicas) = json::int(spec, &["replicas"]).filter(|replicas| *replicas < 0) {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid("spec.replicas", &replicas.into(), why));
    }
    pod::validate_spec(
        json::at(spec, &["template", "spec"]).unwrap_or(&none),
        "spec.template.spec",
        &mut causes,
    );
    let policy = json::text(spec, &["template", "spec", "restartPolicy"]);
    if !policy.is_empty() && policy != "Always" {
        causes.push(Cause::unsupported(
            "spec.template.spec.restartPolicy",
            &policy.into(),
            &["Always"],
        ));
    }
    causes
}
