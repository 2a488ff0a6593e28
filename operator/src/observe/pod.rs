//! A pod as an observation has it, and the image that it was made with.
//!
//! Never: reads anything.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1;
use kube::ResourceExt;

use crate::labels::{self, REVISION};
use crate::observation::{Member, Pod, PodFacts, TtContainer};
use crate::standing::Incarnation;

/// What Kubernetes says of containers that wait for an init container.
pub(super) const PENDING: &str = "PodInitializing";
/// The name of the container that TimesTen runs in.
const TT: &str = "tt";

/// A pod as an observation has it. `owner` is the UID of the object it has to belong to.
#[must_use]
pub fn pod(pod: Option<&v1::Pod>, owner: &str, node: Option<&v1::Node>) -> Pod {
    let Some(pod) = pod else { return Pod::Absent };
    if pod.annotations().get(labels::OWNER_UID).is_none_or(|uid| uid != owner) {
        return Pod::Foreign;
    }
    let status = pod.status.clone().unwrap_or_default();
    let tt = status.container_statuses.iter().flatten().find(|container| container.name == TT);
    let condition = |name: &str| {
        status.conditions.iter().flatten().find(|c| c.type_ == name).map(|c| c.status.clone())
    };
    Pod::Present(PodFacts {
        incarnation: Incarnation {
            uid: pod.uid().unwrap_or_default(),
            restarts: tt.map_or(0, |container| container.restart_count),
        },
        terminating: pod.metadata.deletion_timestamp.is_some(),
        tt: container(tt, held_up(&status).or(status.reason.as_deref())),
        node_ready: node.map(node_ready),
        cordoned: node.is_some_and(cordoned),
        role: pod.labels().get(labels::ROLE).and_then(|word| labels::role(word)),
        image: tt_image(pod.spec.as_ref()),
        ready: condition("Ready").as_deref() == Some("True"),
        phase: status.phase.unwrap_or_else(|| "Unknown".into()),
        ip: status.pod_ip,
    })
}

/// The image that a pod of this spec was made with.
fn tt_image(spec: Option<&v1::PodSpec>) -> Option<String> {
    spec?.containers.iter().find(|container| container.name == TT)?.image.clone()
}

/// The image that the controller of a StatefulSet makes pods with; unknown while it has not seen the
/// present template.
pub(super) fn made_with(set: &StatefulSet) -> Option<String> {
    let observed = set.status.as_ref()?.observed_generation;
    let current = observed.is_some() && observed >= set.metadata.generation;
    tt_image(set.spec.as_ref()?.template.spec.as_ref()).filter(|_| current)
}

/// Whoever rewrites images on their way into pods leaves them different from the template for good: a
/// pod that was made of the present template has its image.
pub(super) fn told_apart(member: &mut Member, pod: Option<&v1::Pod>, set: Option<&StatefulSet>) {
    let (Pod::Present(facts), Some(pod), Some(set)) = (&mut member.pod, pod, set) else { return };
    let made = pod.labels().get(REVISION);
    let present = set.status.as_ref().and_then(|status| status.update_revision.as_ref());
    if made.is_some()
        && made == present
        && let Some(image) = made_with(set)
    {
        facts.image = Some(image);
    }
}

/// Why an init container does not get done: the others say no more than that they wait for it.
fn held_up(status: &v1::PodStatus) -> Option<&str> {
    status.init_container_statuses.iter().flatten().find_map(|container| {
        let state = container.state.as_ref()?;
        let waits = state.waiting.as_ref().and_then(|waiting| waiting.reason.as_deref());
        waits.filter(|reason| *reason != PENDING)
    })
}

fn container(status: Option<&v1::ContainerStatus>, pod: Option<&str>) -> TtContainer {
    let state = status.and_then(|status| status.state.as_ref());
    if state.is_some_and(|state| state.running.is_some()) {
        return TtContainer::Running;
    }
    if let Some(ended) = state.and_then(|state| state.terminated.as_ref()) {
        let reason = ended.reason.clone().unwrap_or_else(|| format!("exit {}", ended.exit_code));
        return TtContainer::Ended { reason };
    }
    let waiting = state.and_then(|state| state.waiting.as_ref()?.reason.clone());
    let waiting = waiting.filter(|reason| reason != PENDING || pod.is_none());
    let reason = waiting.or_else(|| pod.map(ToOwned::to_owned));
    TtContainer::Waiting { reason: reason.unwrap_or_else(|| "Pending".into()) }
}

fn cordoned(node: &v1::Node) -> bool {
    node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true))
}

fn node_ready(node: &v1::Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|c| c.type_ == "Ready").any(|c| c.status == "True")
}
