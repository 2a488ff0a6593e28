//! Cells of sets, jobs, nodes and what guards them.

use jiff::Timestamp;
use serde_json::Value;

use super::{flag, joined, labels, or_none, selector_at};
use crate::json;
use crate::table::age_of;
use crate::table::pod::{condition, is_true};

fn template(item: &Value, path: &[&str], key: &str) -> Value {
    joined(json::list(item, path).iter().map(|container| json::text(container, &[key])))
}

const TEMPLATE: &[&str] = &["spec", "template", "spec", "containers"];
const JOB_TEMPLATE: &[&str] = &["spec", "jobTemplate", "spec", "template", "spec", "containers"];

pub(in crate::table) fn containers(item: &Value, _: Timestamp) -> Value {
    // The template of a PodTemplate stands outside of a spec.
    let bare = json::at(item, &["template"]).is_some();
    template(item, if bare { &["template", "spec", "containers"] } else { TEMPLATE }, "name")
}

pub(in crate::table) fn images(item: &Value, _: Timestamp) -> Value {
    let bare = json::at(item, &["template"]).is_some();
    template(item, if bare { &["template", "spec", "containers"] } else { TEMPLATE }, "image")
}

pub(in crate::table) fn job_containers(item: &Value, _: Timestamp) -> Value {
    template(item, JOB_TEMPLATE, "name")
}

pub(in crate::table) fn job_images(item: &Value, _: Timestamp) -> Value {
    template(item, JOB_TEMPLATE, "image")
}

pub(in crate::table) fn job_selector(item: &Value, _: Timestamp) -> Value {
    selector_at(item, &["spec", "jobTemplate", "spec", "selector"])
}

pub(in crate::table) fn template_labels(item: &Value, _: Timestamp) -> Value {
    or_none(&labels(json::at(item, &["template", "metadata", "labels"])))
}

pub(in crate::table) fn node_selector(item: &Value, _: Timestamp) -> Value {
    selector_at(item, &["spec", "template", "spec", "nodeSelector"])
}

pub(in crate::table) fn ready(item: &Value, _: Timestamp) -> Value {
    let ready = json::int(item, &["status", "readyReplicas"]).unwrap_or_default();
    format!("{ready}/{}", json::int(item, &["spec", "replicas"]).unwrap_or_default()).into()
}

pub(in crate::table) fn controller(item: &Value, _: Timestamp) -> Value {
    let owner = json::list(item, &["metadata", "ownerReferences"])
        .iter()
        .find(|owner| flag(owner, &["controller"]));
    let Some(owner) = owner else { return "<none>".into() };
    let kind = json::text(owner, &["kind"]).to_lowercase();
    let (group, _) = json::text(owner, &["apiVersion"]).split_once('/').unwrap_or_default();
    let kind = if group.is_empty() { kind } else { format!("{kind}.{group}") };
    format!("{kind}/{}", json::text(owner, &["name"])).into()
}

pub(in crate::table) fn job_status(item: &Value, _: Timestamp) -> Value {
    let ended = [("Complete", "Complete"), ("Failed", "Failed")];
    let going = json::at(item, &["metadata", "deletionTimestamp"]).is_some();
    let standing = [
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ];
    let holds = |states: &[(&str, &'static str)]| {
        states.iter().find(|(kind, _)| is_true(item, kind)).map(|(_, word)| *word)
    };
    let now = if going { Some("Terminating") } else { holds(&standing) };
    holds(&ended).or(now).unwrap_or("Running").into()
}

pub(in crate::table) fn completions(item: &Value, _: Timestamp) -> Value {
    let done = json::int(item, &["status", "succeeded"]).unwrap_or_default();
    let at_once = json::int(item, &["spec", "parallelism"]).unwrap_or_default();
    match json::int(item, &["spec", "completions"]) {
        Some(wanted) => format!("{done}/{wanted}").into(),
        None if at_once > 1 => format!("{done}/1 of {at_once}").into(),
        None => format!("{done}/1").into(),
    }
}

pub(in crate::table) fn job_duration(item: &Value, now: Timestamp) -> Value {
    let begun = json::text(item, &["status", "startTime"]);
    let ended = json::text(item, &["status", "completionTime"]).parse().unwrap_or(now);
    if begun.is_empty() { "".into() } else { age_of(begun, ended).into() }
}

pub(in crate::table) fn suspend(item: &Value, _: Timestamp) -> Value {
    let word = if flag(item, &["spec", "suspend"]) { "True" } else { "False" };
    word.into()
}

pub(in crate::table) fn active_jobs(item: &Value, _: Timestamp) -> Value {
    json::list(item, &["status", "active"]).len().into()
}

pub(in crate::table) fn last_schedule(item: &Value, now: Timestamp) -> Value {
    match json::text(item, &["status", "lastScheduleTime"]) {
        "" => "<none>".into(),
        time => age_of(time, now).into(),
    }
}

pub(in crate::table) fn scale_target(item: &Value, _: Timestamp) -> Value {
    let text = |key: &str| json::text(item, &["spec", "scaleTargetRef", key]);
    format!("{}/{}", text("kind"), text("name")).into()
}

/// What a scaler looks at. Nothing measures here, so the present values are unknown.
pub(in crate::table) fn scale_metrics(item: &Value, _: Timestamp) -> Value {
    let metrics = json::list(item, &["spec", "metrics"]).iter().map(|metric| {
        let target = |key: &str| json::at(metric, &["resource", "target", key]);
        let name = json::text(metric, &["resource", "name"]);
        let wanted = match (target("averageUtilization"), target("averageValue")) {
            (Some(share), _) => format!("{share}%"),
            (None, Some(value)) => value.as_str().unwrap_or_default().to_owned(),
            (None, None) => "<auto>".to_owned(),
        };
        if name.is_empty() { "<unknown>".to_owned() } else { format!("{name}: <unknown>/{wanted}") }
    });
    or_none(&metrics.collect::<Vec<_>>().join(", "))
}

fn bound(item: &Value, key: &str) -> Value {
    match json::at(item, &["spec", key]) {
        Some(Value::String(text)) => text.as_str().into(),
        Some(number) => number.to_string().into(),
        None => "N/A".into(),
    }
}

pub(in crate::table) fn min_available(item: &Value, _: Timestamp) -> Value {
    bound(item, "minAvailable")
}

pub(in crate::table) fn max_unavailable(item: &Value, _: Timestamp) -> Value {
    bound(item, "maxUnavailable")
}

pub(in crate::table) fn node_status(item: &Value, _: Timestamp) -> Value {
    let ready = condition(item, "Ready").map(|known| json::text(known, &["status"]));
    let word = match ready {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let closed = if flag(item, &["spec", "unschedulable"]) { ",SchedulingDisabled" } else { "" };
    format!("{word}{closed}").into()
}

pub(in crate::table) fn node_roles(item: &Value, _: Timestamp) -> Value {
    let labels = json::at(item, &["metadata", "labels"]).and_then(Value::as_object);
    let roles = labels.into_iter().flatten().filter_map(|(key, value)| match key.as_str() {
        "kubernetes.io/role" => value.as_str(),
        key => key.strip_prefix("node-role.kubernetes.io/"),
    });
    or_none(&roles.collect::<Vec<_>>().join(","))
}

fn node_address(item: &Value, kind: &str) -> Value {
    let found = json::list(item, &["status", "addresses"])
        .iter()
        .find(|address| json::text(address, &["type"]) == kind)
        .map(|address| json::text(address, &["address"]));
    or_none(found.unwrap_or_default())
}

pub(in crate::table) fn internal_ip(item: &Value, _: Timestamp) -> Value {
    node_address(item, "InternalIP")
}

pub(in crate::table) fn node_external_ip(item: &Value, _: Timestamp) -> Value {
    node_address(item, "ExternalIP")
}

fn node_info(item: &Value, key: &str) -> Value {
    match json::text(item, &["status", "nodeInfo", key]) {
        "" => "<unknown>".into(),
        text => text.into(),
    }
}

pub(in crate::table) fn os_image(item: &Value, _: Timestamp) -> Value {
    node_info(item, "osImage")
}

pub(in crate::table) fn kernel(item: &Value, _: Timestamp) -> Value {
    node_info(item, "kernelVersion")
}

pub(in crate::table) fn container_runtime(item: &Value, _: Timestamp) -> Value {
    node_info(item, "containerRuntimeVersion")
}

fn quota(item: &Value, limits: bool) -> Value {
    let hard = json::at(item, &["status", "hard"]).or(json::at(item, &["spec", "hard"]));
    let hard = hard.and_then(Value::as_object).into_iter().flatten();
    let words = hard.filter(|(key, _)| key.starts_with("limits") == limits).map(|(key, most)| {
        let used = json::text(item, &["status", "used", key]);
        let used = if used.is_empty() { "0" } else { used };
        format!("{key}: {used}/{}", most.as_str().unwrap_or_default())
    });
    words.collect::<Vec<_>>().join(", ").into()
}

pub(in crate::table) fn quota_requests(item: &Value, _: Timestamp) -> Value {
    quota(item, false)
}

pub(in crate::table) fn quota_limits(item: &Value, _: Timestamp) -> Value {
    quota(item, true)
}

pub(in crate::table) fn global_default(item: &Value, _: Timestamp) -> Value {
    flag(item, &["globalDefault"]).into()
}
