//! The status of a set.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::View;
use super::revision::is_of;
use crate::controllers::cache::{Again, overtaken, phase, pod_is};

/// Whether a pod runs and is ready.
pub(super) fn ready(pod: &Pod) -> bool {
    phase(pod) == "Running" && pod_is(pod, "Ready")
}

/// Whether a pod has been ready for as long as the set wants.
pub(super) fn available(view: &View<'_>, pod: &Pod) -> bool {
    ready(pod) && until_available(view, pod).is_zero()
}

/// How long a ready pod still has to stay ready.
fn until_available(view: &View<'_>, pod: &Pod) -> Duration {
    let wanted = view.spec.min_ready_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0);
    let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let since =
        conditions.find(|c| c.type_ == "Ready").and_then(|c| c.last_transition_time.as_ref());
    let passed = since
        .map(|since| (view.cluster.clock)().duration_since(since.0))
        .and_then(|d| Duration::try_from(d).ok());
    Duration::from_secs(wanted).saturating_sub(passed.unwrap_or_default())
}

/// Writes the status if it has changed.
pub(super) async fn write(view: &View<'_>, again: &mut Again) -> kube::Result<()> {
    for pod in view.pods.values().filter(|pod| ready(pod)) {
        let left = until_available(view, pod);
        if !left.is_zero() {
            again.after(left);
        }
    }
    let mut status = count(view);
    if completed(view, &status) {
        status.current_revision.clone_from(&status.update_revision);
        status.current_replicas = status.updated_replicas;
    }
    if view.set.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let api: Api<StatefulSet> = Api::namespaced(view.cluster.client.clone(), &view.namespace);
    let changed = StatefulSet { status: Some(status), ..view.set.clone() };
    if let Some(set) =
        overtaken(api.replace_status(&view.name, &PostParams::default(), &changed).await)?
    {
        view.cluster.saw(set);
    }
    Ok(())
}

fn count(view: &View<'_>) -> StatefulSetStatus {
    let some = |wanted: &dyn Fn(&Pod) -> bool| {
        i32::try_from(view.pods.values().filter(|pod| wanted(pod)).count()).unwrap_or(i32::MAX)
    };
    let staying = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
    let non_zero = |count: i32| (count > 0).then_some(count);
    StatefulSetStatus {
        replicas: some(&|_| true),
        ready_replicas: non_zero(some(&ready)),
        available_replicas: Some(some(&|pod| available(view, pod))),
        current_replicas: non_zero(some(&|pod| {
            staying(pod) && is_of(pod, &view.revisions.current)
        })),
        updated_replicas: non_zero(some(&|pod| staying(pod) && is_of(pod, &view.revisions.update))),
        current_revision: Some(view.revisions.current.name_any()),
        update_revision: Some(view.revisions.update.name_any()),
        observed_generation: view.set.metadata.generation,
        collision_count: Some(
            view.set.status.as_ref().and_then(|s| s.collision_count).unwrap_or(0),
        ),
        conditions: view.set.status.as_ref().and_then(|s| s.conditions.clone()),
    }
}

/// Whether a rolling update is through: every pod is new and ready.
fn completed(view: &View<'_>, status: &StatefulSetStatus) -> bool {
    let rolling =
        view.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref()) != Some("OnDelete");
    let all = |count: Option<i32>| count.unwrap_or(0) == status.replicas;
    rolling && all(status.updated_replicas) && all(status.ready_replicas)
}
