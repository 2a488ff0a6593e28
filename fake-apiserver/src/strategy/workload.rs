//! Kinds that make pods of a template: deployments, daemon sets, replica sets, jobs and cron jobs.

use serde_json::{Value, json};

use super::{check, pod, pod_spec};
use crate::json;
use crate::refusal::Cause;

/// `SetDefaults_Deployment`, `SetDefaults_Job` and their like.
pub(super) fn apply_defaults(value: &mut Value, kind: &str) {
    if kind == "PodTemplate" {
        value.pointer_mut("/template/spec").map(pod::default_spec).unwrap_or_default();
        return;
    }
    let spec = json::as_object(value).entry("spec").or_insert_with(|| json!({}));
    match kind {
        "CronJob" => {
            let map = json::as_object(spec);
            json::default_to(map, "concurrencyPolicy", "Allow");
            json::default_to(map, "suspend", false);
            json::default_to(map, "successfulJobsHistoryLimit", 3);
            json::default_to(map, "failedJobsHistoryLimit", 1);
            if let Some(spec) = spec.pointer_mut("/jobTemplate/spec/template/spec") {
                pod::default_spec(spec);
            }
        }
        "Job" => default_job(spec),
        "Deployment" => {
            default_strategy(
                spec,
                "strategy",
                &json!({"maxSurge": "25%", "maxUnavailable": "25%"}),
            );
            let map = json::as_object(spec);
            json::default_to(map, "replicas", 1);
            json::default_to(map, "revisionHistoryLimit", 10);
            json::default_to(map, "progressDeadlineSeconds", 600);
        }
        "DaemonSet" => {
            default_strategy(spec, "updateStrategy", &json!({"maxSurge": 0, "maxUnavailable": 1}));
            json::default_to(json::as_object(spec), "revisionHistoryLimit", 10);
        }
        _ => json::default_to(json::as_object(spec), "replicas", 1),
    }
    if let Some(spec) = spec.pointer_mut("/template/spec") {
        pod::default_spec(spec);
    }
}

fn default_job(spec: &mut Value) {
    let map = json::as_object(spec);
    let unset = |key: &str, map: &serde_json::Map<String, Value>| !map.contains_key(key);
    if unset("completions", map) && unset("parallelism", map) {
        json::default_to(map, "completions", 1);
    }
    json::default_to(map, "parallelism", 1);
    let forever = map.contains_key("backoffLimitPerIndex");
    json::default_to(map, "backoffLimit", if forever { i32::MAX } else { 6 });
    json::default_to(map, "completionMode", "NonIndexed");
    json::default_to(map, "suspend", false);
    let policy =
        if map.contains_key("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    json::default_to(map, "podReplacementPolicy", policy);
}

fn default_strategy(spec: &mut Value, key: &str, bounds: &Value) {
    let strategy = json::object_mut(spec, key);
    json::default_to(strategy, "type", "RollingUpdate");
    if strategy.get("type").and_then(Value::as_str) != Some("RollingUpdate") {
        return;
    }
    let rolling = strategy.entry("rollingUpdate").or_insert_with(|| json!({}));
    for (key, bound) in bounds.as_object().into_iter().flatten() {
        json::default_to(json::as_object(rolling), key, bound.clone());
    }
}

/// `ValidateDeployment`, `ValidateJob` and their like.
pub(super) fn validate(value: &Value, old: Option<&Value>, kind: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let none = json!({});
    let spec = value.get("spec").unwrap_or(&none);
    if let Some(old) = old {
        let fixed: &[&str] = match kind {
            "Job" => &["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"],
            "CronJob" => &[],
            _ => &["selector"],
        };
        for key in fixed {
            let now = spec.get(*key);
            if now != json::at(old, &["spec", key]) {
                let now = now.unwrap_or(&Value::Null);
                causes.push(Cause::invalid(format!("spec.{key}"), now, "field is immutable"));
            }
        }
    }
    for key in [
        "replicas",
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
        "parallelism",
        "completions",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ] {
        check::non_negative(spec, key, "spec", &mut causes);
    }
    match kind {
        "Job" => validate_job_template(spec, "spec", &mut causes),
        "CronJob" => {
            if json::text(spec, &["schedule"]).is_empty() {
                causes.push(Cause::required("spec.schedule", ""));
            }
            let job = json::at(spec, &["jobTemplate", "spec"]).unwrap_or(&none);
            validate_job_template(job, "spec.jobTemplate.spec", &mut causes);
        }
        _ => {
            let owner = if kind == "DaemonSet" { "daemonset" } else { "deployment" };
            validate_rollout(spec, kind, &mut causes);
            validate_selected_template(spec, owner, &mut causes);
            validate_always_restarted(spec, &mut causes);
        }
    }
    causes
}

fn validate_job_template(job: &Value, path: &str, causes: &mut Vec<Cause>) {
    let none = json!({});
    let spec = json::at(job, &["template", "spec"]).unwrap_or(&none);
    let path = format!("{path}.template.spec");
    pod_spec::validate(spec, &path, &[], causes);
    if json::text(spec, &["restartPolicy"]) == "Always" {
        let why = "valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause::required(format!("{path}.restartPolicy"), why));
    }
}

fn validate_rollout(spec: &Value, kind: &str, causes: &mut Vec<Cause>) {
    let key = if kind == "DaemonSet" { "updateStrategy" } else { "strategy" };
    let Some(rolling) = json::at(spec, &[key, "rollingUpdate"]) else { return };
    let field = format!("spec.{key}.rollingUpdate");
    if json::text(spec, &[key, "type"]) == "Recreate" {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        causes.push(Cause::forbidden(field, why));
        return;
    }
    let bounds = ["maxUnavailable", "maxSurge"].map(|key| json::at(rolling, &[key]));
    for (key, bound) in ["maxUnavailable", "maxSurge"].iter().zip(bounds) {
        if let Some(bound) = bound {
            check::int_or_percent(bound, &format!("{field}.{key}"), causes);
        }
    }
    let is_zero = |bound: &Option<&Value>| {
        bound.is_some_and(|bound| bound.as_i64() == Some(0) || bound.as_str() == Some("0%"))
    };
    if kind == "Deployment" && bounds.iter().all(is_zero) {
        let why = "may not be 0 when `maxSurge` is 0";
        let [unavailable, _] = bounds;
        let shown = unavailable.unwrap_or(&Value::Null);
        causes.push(Cause::invalid(format!("{field}.maxUnavailable"), shown, why));
    }
}

/// A selector, and the template whose labels it must match.
pub(super) fn validate_selected_template(spec: &Value, owner: &str, causes: &mut Vec<Cause>) {
    let none = json!({});
    let labels = json::at(spec, &["template", "metadata", "labels"]);
    let selector = json::at(spec, &["selector"]);
    match selector {
        None => causes.push(Cause::required("spec.selector", "")),
        Some(selector) => {
            check::label_selector(selector, "spec.selector", causes);
            if selector.as_object().is_some_and(serde_json::Map::is_empty) {
                let why = format!("empty selector is invalid for {owner}");
                causes.push(Cause::invalid("spec.selector", selector, &why));
            }
        }
    }
    let matches = selector.is_some_and(|selector| {
        crate::selector::label_selector_matches(selector, labels.unwrap_or(&none))
    });
    if !matches {
        let why = "`selector` does not match template `labels`";
        let shown = labels.unwrap_or(&Value::Null);
        causes.push(Cause::invalid("spec.template.metadata.labels", shown, why));
    }
    let template = json::at(spec, &["template", "spec"]).unwrap_or(&none);
    pod_spec::validate(
        template,
        "spec.template.spec",
        json::list(spec, &["volumeClaimTemplates"]),
        causes,
    );
}

/// Pods that are kept running are always restarted.
pub(super) fn validate_always_restarted(spec: &Value, causes: &mut Vec<Cause>) {
    let policy = json::text(spec, &["template", "spec", "restartPolicy"]);
    if !policy.is_empty() && policy != "Always" {
        let field = "spec.template.spec.restartPolicy";
        causes.push(Cause::unsupported(field, &policy.into(), &["Always"]));
    }
}
