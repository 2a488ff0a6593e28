//! Disruption budgets: how many of the pods they cover are healthy, and how many may be evicted.
//!
//! The eviction itself is the API server's; it reads and lowers what is written here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{
    PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::cache::{Again, Cluster, Snapshot, controller_uid, overtaken, phase, pod_is, selects};

/// How long an evicted pod may take to be deleted.
const EVICTION: Duration = Duration::from_secs(120);

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns();
    let mut pause = None;
    loop {
        let known = turns.next(pause).await;
        let mut again = Again::default();
        for budget in known.budgets.iter().filter(|b| b.metadata.deletion_timestamp.is_none()) {
            let result = sync(cluster, &known, budget, &mut again).await;
            again.note("a disruption budget", result);
        }
        pause = again.pause();
    }
}

async fn sync(
    cluster: &Cluster,
    known: &Snapshot,
    budget: &PodDisruptionBudget,
    again: &mut Again,
) -> kube::Result<()> {
    let Some(spec) = &budget.spec else { return Ok(()) };
    let namespace = budget.namespace().unwrap_or_default();
    let now = (cluster.clock)();
    let covered = |pod: &&Arc<Pod>| {
        spec.selector.as_ref().is_some_and(|selector| selects(selector, pod.as_ref()))
    };
    let pods: Vec<&Pod> =
        known.pods.within(&namespace).filter(covered).map(AsRef::as_ref).collect();
    let pods: Vec<&Pod> =
        pods.into_iter().filter(|pod| !matches!(phase(pod), "Succeeded" | "Failed")).collect();
    let evicted = evicted(budget, &pods, now);
    if !evicted.is_empty() {
        again.after(EVICTION);
    }
    let healthy = |pod: &&&Pod| {
        let going =
            pod.metadata.deletion_timestamp.is_some() || evicted.contains_key(&pod.name_any());
        pod_is(pod, "Ready") && !going
    };
    let current = count(pods.iter().filter(healthy).count());
    let (expected, desired) = expectation(known, spec, &pods);
    let allowed = if expected == 0 { 0 } else { (current - desired).max(0) };
    let status = PodDisruptionBudgetStatus {
        conditions: Some(vec![condition(budget, allowed > 0, now)]),
        current_healthy: current,
        desired_healthy: desired,
        disruptions_allowed: allowed,
        expected_pods: expected,
        disrupted_pods: (!evicted.is_empty()).then_some(evicted),
        observed_generation: budget.metadata.generation,
    };
    if budget.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let api: Api<PodDisruptionBudget> = Api::namespaced(cluster.client.clone(), &namespace);
    let changed = PodDisruptionBudget { status: Some(status), ..budget.clone() };
    if let Some(budget) =
        overtaken(api.replace_status(&budget.name_any(), &PostParams::default(), &changed).await)?
    {
        cluster.saw(budget);
    }
    Ok(())
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The pods that were evicted and are not seen to be deleted yet.
fn evicted(budget: &PodDisruptionBudget, pods: &[&Pod], now: Timestamp) -> BTreeMap<String, Time> {
    let noted = budget.status.iter().flat_map(|s| s.disrupted_pods.iter().flatten());
    let waits = |name: &str, since: Timestamp| {
        let alive = pods
            .iter()
            .any(|pod| pod.name_any() == name && pod.metadata.deletion_timestamp.is_none());
        alive && now < since + EVICTION
    };
    noted
        .filter(|(name, time)| waits(name, time.0))
        .map(|(name, time)| (name.clone(), time.clone()))
        .collect()
}

/// How many pods there should be, and how many of them have to be healthy.
fn expectation(known: &Snapshot, spec: &PodDisruptionBudgetSpec, pods: &[&Pod]) -> (i32, i32) {
    let present = count(pods.len());
    if let Some(most) = &spec.max_unavailable {
        let expected = scale(known, pods);
        return (expected, (expected - share(most, expected)).max(0));
    }
    match &spec.min_available {
        Some(IntOrString::Int(least)) => (present, *least),
        Some(percent @ IntOrString::String(_)) => {
            let expected = scale(known, pods);
            (expected, share(percent, expected))
        }
        None => (present, 1),
    }
}

/// How many pods the controllers of some pods want; a pod without a controller we know counts for itself.
fn scale(known: &Snapshot, pods: &[&Pod]) -> i32 {
    let mut wanted: BTreeMap<&str, i32> = BTreeMap::new();
    for pod in pods {
        let owner = controller_uid(*pod);
        let set =
            known.sets.iter().find(|set| owner.is_some() && set.metadata.uid.as_deref() == owner);
        match set {
            Some(set) => {
                let replicas = set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
                wanted.insert(owner.unwrap_or_default(), replicas);
            }
            None => drop(wanted.insert(pod.metadata.uid.as_deref().unwrap_or_default(), 1)),
        }
    }
    wanted.values().sum()
}

/// A number, or a percentage of a total, rounded up.
fn share(part: &IntOrString, total: i32) -> i32 {
    match part {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            i32::try_from((percent * i64::from(total) + 99) / 100).unwrap_or(i32::MAX)
        }
    }
}

fn condition(budget: &PodDisruptionBudget, allowed: bool, now: Timestamp) -> Condition {
    let (status, reason) =
        if allowed { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let mut known = budget.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let same = known.find(|c| c.type_ == "DisruptionAllowed" && c.status == status);
    Condition {
        type_: "DisruptionAllowed".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: budget.metadata.generation,
        last_transition_time: same.map_or(Time(now), |c| c.last_transition_time.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(IntOrString::Int(1), 2, 1)]
    #[case(IntOrString::String("50%".to_owned()), 3, 2)]
    #[case(IntOrString::String("100%".to_owned()), 3, 3)]
    #[case(IntOrString::String("0%".to_owned()), 3, 0)]
    fn shares_round_up(#[case] part: IntOrString, #[case] total: i32, #[case] expected: i32) {
        assert_eq!(share(&part, total), expected);
    }
}
