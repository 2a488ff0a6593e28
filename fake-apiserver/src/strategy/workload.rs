//! Kinds that make pods of a template, stored and complete, though nothing runs them: deployments, daemon sets,
//! replica sets, jobs, cron jobs and their like.

use serde_json::{Value, json};

use super::{check, pod, pod_spec};
use crate::json;
use crate::refusal::Cause;

/// `SetDefaults_Deployment`, `SetDefaults_Job` and their like.
pub(crate) fn apply_defaults(value: &mut Value, kind: &str) {
    if kind == "PodTemplate" {
        value.pointer_mut("/template/spec").map(pod::default_spec).unwrap_or_default();
        return;
    }
    let spec = json::as_object(value).entry("spec").or_insert_with(|| json!({}));
    let template =
        if kind == "CronJob" { "/jobTemplate/spec/template/spec" } else { "/template/spec" };
    if let Some(template) = spec.pointer_mut(template) {
        pod::default_spec(template);
    }
    match kind {
        "Deployment" => default_deployment(spec),
        "DaemonSet" => default_daemon_set(spec),
        "ReplicaSet" | "ReplicationController" => {
            json::default_to(json::as_object(spec), "replicas", 1);
        }
        "Job" => default_job(spec),
        "CronJob" => {
            let spec = json::as_object(spec);
            json::default_to(spec, "concurrencyPolicy", "Allow");
            json::default_to(spec, "suspend", false);
            json::default_to(spec, "successfulJobsHistoryLimit", 3);
            json::default_to(spec, "failedJobsHistoryLimit", 1);
        }
        _ => {}
    }
}

/// How pods are replaced, if it is step by step.
fn default_rolling(spec: &mut Value, key: &str, unavailable: Value, surge: Value) {
    let strategy = json::object_mut(spec, key);
    json::default_to(strategy, "type", "RollingUpdate");
    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
        let rolling = strategy.entry("rollingUpdate").or_insert_with(|| json!({}));
        json::default_to(json::as_object(rolling), "maxUnavailable", unavailable);
        json::default_to(json::as_object(rolling), "maxSurge", surge);
    }
}

fn default_deployment(spec: &mut Value) {
    default_rolling(spec, "strategy", "25%".into(), "25%".into());
    let spec = json::as_object(spec);
    json::default_to(spec, "replicas", 1);
    json::default_to(spec, "revisionHistoryLimit", 10);
    json::default_to(spec, "progressDeadlineSeconds", 600);
}

fn default_daemon_set(spec: &mut Value) {
    default_rolling(spec, "updateStrategy", 1.into(), 0.into());
    json::default_to(json::as_object(spec), "revisionHistoryLimit", 10);
}

fn default_job(spec: &mut Value) {
    let replaced = match json::at(spec, &["podFailurePolicy"]) {
        Some(_) => "Failed",
        None => "TerminatingOrFailed",
    };
    let indexed = json::at(spec, &["backoffLimitPerIndex"]).is_some();
    let spec = json::as_object(spec);
    // Without either number a job is one pod; with only one of them the other keeps its meaning.
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        json::default_to(spec, "completions", 1);
    }
    json::default_to(spec, "parallelism", 1);
    json::default_to(spec, "backoffLimit", if indexed { i64::from(i32::MAX) } else { 6 });
    json::default_to(spec, "completionMode", "NonIndexed");
    json::default_to(spec, "suspend", false);
    json::default_to(spec, "manualSelector", false);
    json::default_to(spec, "podReplacementPolicy", replaced);
}

/// What a new object reports.
pub(crate) fn prepare_create(value: &mut Value, kind: &str) {
    let status = match kind {
        "DaemonSet" => json!({
            "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
        }),
        "ReplicaSet" => json!({"replicas": 0}),
        _ => json!({}),
    };
    json::put(value, &["status"], status);
    if kind == "Job" {
        select_own_pods(value);
    }
}

/// A job finds its pods by its uid, unless it was told how.
fn select_own_pods(job: &mut Value) {
    if json::at(job, &["spec", "manualSelector"]) == Some(&Value::Bool(true)) {
        return;
    }
    let uid = json::text(job, &["metadata", "uid"]).to_owned();
    let name = json::text(job, &["metadata", "name"]).to_owned();
    for (label, text) in [
        ("controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        let path = ["spec", "template", "metadata", "labels", label];
        json::put(job, &path, text.as_str().into());
    }
    let selector = ["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"];
    json::put(job, &selector, uid.into());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_one_pod_that_it_finds_by_its_uid() {
        let mut job =
            json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"template": {"spec": {}}}});
        apply_defaults(&mut job, "Job");
        prepare_create(&mut job, "Job");
        assert_eq!(job["spec"]["completions"], 1);
        assert_eq!(
            job["spec"]["selector"],
            json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}})
        );
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
        let mut queue = json!({"spec": {"parallelism": 3, "podFailurePolicy": {}}});
        apply_defaults(&mut queue, "Job");
        assert_eq!(queue["spec"].get("completions"), None);
        assert_eq!(queue["spec"]["podReplacementPolicy"], "Failed");
    }

    #[test]
    fn pods_are_replaced_step_by_step_unless_said_otherwise() {
        let mut one = json!({"spec": {"strategy": {"type": "Recreate"}}});
        apply_defaults(&mut one, "Deployment");
        assert_eq!(one["spec"]["strategy"], json!({"type": "Recreate"}));
        let mut other = json!({"spec": {}});
        apply_defaults(&mut other, "DaemonSet");
        let want =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}});
        assert_eq!(other["spec"]["updateStrategy"], want);
    }
}
