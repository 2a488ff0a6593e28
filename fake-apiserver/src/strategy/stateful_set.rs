//! Stateful sets.

use serde_json::{Value, json};

use super::{check, claim, pod, workload};
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
    validate_strategy(spec, &mut causes);
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        check::non_negative(spec, field, "spec", &mut causes);
    }
    if let Some(ordinals) = json::at(spec, &["ordinals"]) {
        check::non_negative(ordinals, "start", "spec.ordinals", &mut causes);
    }
    workload::validate_selected_template(spec, "statefulset", &mut causes);
    workload::validate_always_restarted(spec, &mut causes);
    causes
}

fn validate_strategy(spec: &Value, causes: &mut Vec<Cause>) {
    let policy = json::text(spec, &["podManagementPolicy"]);
    if !["OrderedReady", "Parallel"].contains(&policy) {
        let why = "must be 'OrderedReady' or 'Parallel'";
        causes.push(Cause::invalid("spec.podManagementPolicy", &policy.into(), why));
    }
    let rolling = json::at(spec, &["updateStrategy", "rollingUpdate"]);
    let field = "spec.updateStrategy.rollingUpdate";
    match (json::text(spec, &["updateStrategy", "type"]), rolling) {
        ("RollingUpdate", Some(rolling)) => {
            check::non_negative(rolling, "partition", field, causes);
        }
        ("OnDelete", Some(rolling)) => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            causes.push(Cause::invalid(field, rolling, why));
        }
        ("RollingUpdate" | "OnDelete", None) => {}
        _ => {
            let strategy = json::at(spec, &["updateStrategy"]).unwrap_or(&Value::Null);
            let why = "must be 'RollingUpdate' or 'OnDelete'";
            causes.push(Cause::invalid("spec.updateStrategy", strategy, why));
        }
    }
    for when in ["whenDeleted", "whenScaled"] {
        let policy = json::text(spec, &["persistentVolumeClaimRetentionPolicy", when]);
        if !["Retain", "Delete"].contains(&policy) {
            let field = format!("spec.persistentVolumeClaimRetentionPolicy.{when}");
            causes.push(Cause::unsupported(field, &policy.into(), &["Retain", "Delete"]));
        }
    }
}
