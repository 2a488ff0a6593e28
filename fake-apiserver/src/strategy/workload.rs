//! Deployments, daemon sets, replica sets, jobs and cron jobs: stored and complete, though nothing runs them.

use serde_json::{Value, json};

use super::pod;
use crate::json;

pub(crate) fn apply_defaults(value: &mut Value, kind: &str) {
    let spec = json::as_object(value).entry("spec").or_insert_with(|| json!({}));
    let template =
        if kind == "CronJob" { "/jobTemplate/spec/template/spec" } else { "/template/spec" };
    if let Some(template) = spec.pointer_mut(template) {
        pod::default_spec(template);
    }
    match kind {
        "Deployment" => default_deployment(spec),
        "DaemonSet" => default_daemon_set(spec),
        "ReplicaSet" => json::default_to(json::as_object(spec), "replicas", 1),
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
