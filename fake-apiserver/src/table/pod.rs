//! What the table of pods tells: how many containers are ready, what the pod is doing, how often it began again.

use jiff::Timestamp;
use serde_json::Value;

use super::age_of;
use crate::json;

pub(super) fn ready(pod: &Value, _: Timestamp) -> Value {
    let all = json::list(pod, &["spec", "containers"]).len();
    let ready = containers(pod).iter().filter(|status| is(status, "ready")).count();
    let (sidecars, ready_sidecars) = json::list(pod, &["spec", "initContainers"])
        .iter()
        .filter(|container| json::text(container, &["restartPolicy"]) == "Always")
        .map(|container| json::text(container, &["name"]))
        .fold((0, 0), |(all, ready), name| {
            let status = json::list(pod, &["status", "initContainerStatuses"])
                .iter()
                .find(|status| json::text(status, &["name"]) == name);
            (all + 1, ready + usize::from(status.is_some_and(|status| is(status, "ready"))))
        });
    format!("{}/{}", ready + ready_sidecars, all + sidecars).into()
}

pub(super) fn restarts(pod: &Value, now: Timestamp) -> Value {
    let statuses =
        json::list(pod, &["status", "initContainerStatuses"]).iter().chain(containers(pod));
    let mut count = 0;
    let mut last = None;
    for status in statuses {
        count += json::int(status, &["restartCount"]).unwrap_or_default();
        let ended = json::text(status, &["lastState", "terminated", "finishedAt"]);
        last = last.max(ended.parse::<Timestamp>().ok());
    }
    match last {
        Some(at) if count > 0 => format!("{count} ({} ago)", age_of(&at.to_string(), now)).into(),
        _ => count.to_string().into(),
    }
}

pub(super) fn status(pod: &Value, _: Timestamp) -> Value {
    let said = json::text(pod, &["status", "reason"]);
    let phase = json::text(pod, &["status", "phase"]);
    let going = json::at(pod, &["metadata", "deletionTimestamp"]).is_some();
    if going && said == "NodeLost" {
        return "Unknown".into();
    }
    if going && !["Succeeded", "Failed"].contains(&phase) {
        return "Terminating".into();
    }
    let mut reason = if said.is_empty() { phase.to_owned() } else { said.to_owned() };
    let scheduled = condition(pod, "PodScheduled");
    if scheduled.is_some_and(|known| json::text(known, &["reason"]) == "SchedulingGated") {
        reason = "SchedulingGated".into();
    }
    let initializing = initializing(pod);
    if let Some(doing) = &initializing {
        reason.clone_from(doing);
    }
    if initializing.is_none() || is_true(pod, "Initialized") {
        reason = of_containers(pod).unwrap_or(reason);
    }
    reason.into()
}

/// What the first init container that has not done its work is doing.
fn initializing(pod: &Value) -> Option<String> {
    let all = json::list(pod, &["spec", "initContainers"]);
    let statuses = json::list(pod, &["status", "initContainerStatuses"]);
    for (index, status) in statuses.iter().enumerate() {
        let sidecar = all.iter().any(|container| {
            json::text(container, &["name"]) == json::text(status, &["name"])
                && json::text(container, &["restartPolicy"]) == "Always"
        });
        let ended = json::at(status, &["state", "terminated"]);
        let done = ended.is_some_and(|ended| json::int(ended, &["exitCode"]) == Some(0));
        if done || (sidecar && is(status, "started")) {
            continue;
        }
        let waits = json::text(status, &["state", "waiting", "reason"]);
        return Some(match ended {
            Some(ended) => format!("Init:{}", end_of(ended)),
            None if !waits.is_empty() && waits != "PodInitializing" => format!("Init:{waits}"),
            None => format!("Init:{index}/{}", all.len()),
        });
    }
    None
}

/// What the containers say of the pod, the first one last; `None` if they only run.
fn of_containers(pod: &Value) -> Option<String> {
    let mut reason = None;
    let mut runs = false;
    for status in containers(pod).iter().rev() {
        let waits = json::text(status, &["state", "waiting", "reason"]);
        if !waits.is_empty() {
            reason = Some(waits.to_owned());
        } else if let Some(ended) = json::at(status, &["state", "terminated"]) {
            reason = Some(end_of(ended));
        } else if is(status, "ready") && json::at(status, &["state", "running"]).is_some() {
            runs = true;
        }
    }
    if runs && reason.as_deref() == Some("Completed") {
        return Some(if is_true(pod, "Ready") { "Running" } else { "NotReady" }.into());
    }
    reason
}

/// How a container ended, in a word.
fn end_of(ended: &Value) -> String {
    let number = |key: &str| json::int(ended, &[key]).unwrap_or_default();
    match json::text(ended, &["reason"]) {
        "" if number("signal") != 0 => format!("Signal:{}", number("signal")),
        "" => format!("ExitCode:{}", number("exitCode")),
        reason => reason.to_owned(),
    }
}

pub(super) fn readiness_gates(pod: &Value, _: Timestamp) -> Value {
    let gates = json::list(pod, &["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".into();
    }
    let open =
        gates.iter().filter(|gate| is_true(pod, json::text(gate, &["conditionType"]))).count();
    format!("{open}/{}", gates.len()).into()
}

fn containers(pod: &Value) -> &[Value] {
    json::list(pod, &["status", "containerStatuses"])
}

fn is(status: &Value, key: &str) -> bool {
    status.get(key) == Some(&Value::Bool(true))
}

/// A condition of an object.
pub(super) fn condition<'a>(item: &'a Value, kind: &str) -> Option<&'a Value> {
    json::list(item, &["status", "conditions"])
        .iter()
        .find(|condition| json::text(condition, &["type"]) == kind)
}

/// Whether a condition of an object is true.
pub(super) fn is_true(item: &Value, kind: &str) -> bool {
    condition(item, kind).is_some_and(|known| json::text(known, &["status"]) == "True")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::runs(json!({"phase": "Running", "containerStatuses": [{"ready": true, "state": {"running": {}}}]}), "Running")]
    #[case::crashes(
        json!({"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
        "CrashLoopBackOff"
    )]
    #[case::killed(
        json!({"phase": "Running", "containerStatuses": [{"state": {"terminated": {"exitCode": 137, "signal": 9}}}]}),
        "Signal:9"
    )]
    #[case::one_done_one_runs(
        json!({
            "phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [
                {"state": {"terminated": {"reason": "Completed"}}}, {"ready": true, "state": {"running": {}}},
            ],
        }),
        "NotReady"
    )]
    #[case::first_init(json!({"phase": "Pending", "initContainerStatuses": [{"name": "a", "state": {"running": {}}}]}), "Init:0/1")]
    #[case::init_fails(
        json!({"phase": "Pending", "initContainerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 2}}}]}),
        "Init:ExitCode:2"
    )]
    #[case::evicted(json!({"phase": "Failed", "reason": "Evicted"}), "Evicted")]
    fn a_pod_is_what_its_containers_say(#[case] said: Value, #[case] shown: &str) {
        let pod = json!({"spec": {"containers": [{}], "initContainers": [{"name": "a"}]}, "status": said});
        assert_eq!(status(&pod, Timestamp::UNIX_EPOCH), shown);
    }

    #[test]
    fn restarts_tell_when_the_last_was() {
        let pod = json!({"status": {"containerStatuses": [
            {"restartCount": 2, "lastState": {"terminated": {"finishedAt": "1970-01-01T00:00:00Z"}}}, {"restartCount": 1},
        ]}});
        let now = Timestamp::from_second(30).unwrap();
        assert_eq!(restarts(&pod, now), "3 (30s ago)");
    }
}
