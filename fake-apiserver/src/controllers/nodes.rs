//! Nodes that are not heard of: after 40 seconds without a renewal of its lease a node is unreachable, its pods are
//! no longer ready, and those that do not tolerate that are deleted, each after the time it does tolerate it.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, PodCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::time::Instant;

use super::cache::{Again, Cluster, Snapshot, overtaken, phase, pod_is};

/// How long a node may be silent.
const GRACE: Duration = Duration::from_secs(40);
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// When a node's lease was last seen to change: by our own clock, as nobody's clocks agree.
#[derive(Default)]
struct Heard(BTreeMap<String, (String, Instant)>);

impl Heard {
    /// How long a node has been silent.
    fn silence(&mut self, known: &Snapshot, node: &str) -> Duration {
        let lease = known.leases.get("kube-node-lease", node);
        let version = lease.and_then(|lease| lease.resource_version()).unwrap_or_default();
        let now = Instant::now();
        let heard = self.0.entry(node.to_owned()).or_insert_with(|| (version.clone(), now));
        if heard.0 != version {
            *heard = (version, now);
        }
        now - heard.1
    }
}

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns_at_beats();
    let mut pause = None;
    let mut heard = Heard::default();
    loop {
        let known = turns.next(pause).await;
        heard.0.retain(|name, _| known.nodes.get("", name).is_some());
        let mut again = Again::default();
        for node in known.nodes.iter() {
            let silence = heard.silence(&known, &node.name_any());
            let lost = silence >= GRACE;
            if !lost {
                again.after(GRACE - silence);
            }
            let result = judge(cluster, &known, node, lost, &mut again).await;
            again.note("judging a node", result);
        }
        pause = again.pause();
    }
}

/// Writes what silence means: to the node, and to its pods.
async fn judge(
    cluster: &Cluster,
    known: &Snapshot,
    node: &Node,
    lost: bool,
    again: &mut Again,
) -> kube::Result<()> {
    let ready = condition(node, "Ready");
    if lost && ready.is_none_or(|c| c.status != "Unknown") {
        mark_unknown(cluster, node).await?;
    }
    let status = if lost { Some("Unknown") } else { ready.map(|c| c.status.as_str()) };
    // A node that has never reported is not judged before its time.
    let Some(status) = status else { return Ok(()) };
    taint(cluster, node, status).await?;
    for pod in known.pods.iter().filter(|pod| runs_on(pod, node)) {
        if status != "True" && pod_is(pod, "Ready") {
            mark_unready(cluster, pod).await?;
        }
        evict(cluster, node, pod, again).await?;
        if status != "True" && out_of_service(node) && pod.metadata.deletion_timestamp.is_some() {
            force(cluster, pod).await?;
        }
    }
    Ok(())
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.iter().flat_map(|s| s.conditions.iter().flatten()).find(|c| c.type_ == kind)
}

fn runs_on(pod: &Pod, node: &Node) -> bool {
    let bound = pod.spec.as_ref().and_then(|s| s.node_name.as_ref());
    bound == node.metadata.name.as_ref() && !matches!(phase(pod), "Succeeded" | "Failed")
}

async fn mark_unknown(cluster: &Cluster, node: &Node) -> kube::Result<()> {
    let now = (cluster.clock)();
    let conditions: Vec<NodeCondition> = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
        .into_iter()
        .map(|kind| NodeCondition {
            type_: kind.to_owned(),
            status: "Unknown".to_owned(),
            reason: Some("NodeStatusUnknown".to_owned()),
            message: Some("Kubelet stopped posting node status.".to_owned()),
            last_heartbeat_time: condition(node, kind).and_then(|c| c.last_heartbeat_time.clone()),
            last_transition_time: Some(Time(now)),
        })
        .collect();
    let body = Patch::Strategic(json!({ "status": { "conditions": conditions } }));
    let api: Api<Node> = Api::all(cluster.client.clone());
    if let Some(node) =
        overtaken(api.patch_status(&node.name_any(), &PatchParams::default(), &body).await)?
    {
        cluster.saw(node);
    }
    Ok(())
}

/// Gives a node the taints its readiness calls for, and takes away the others.
async fn taint(cluster: &Cluster, node: &Node, status: &str) -> kube::Result<()> {
    let key = match status {
        "True" => None,
        "Unknown" => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    let taints: Vec<Taint> =
        node.spec.iter().flat_map(|s| s.taints.iter().flatten()).cloned().collect();
    let wanted: Vec<(&str, &str)> =
        key.map_or(vec![], |key| vec![(key, "NoSchedule"), (key, "NoExecute")]);
    let ours = |taint: &Taint| [UNREACHABLE, NOT_READY].contains(&taint.key.as_str());
    let is = |taint: &Taint| wanted.contains(&(taint.key.as_str(), taint.effect.as_str()));
    let mut next: Vec<Taint> =
        taints.iter().filter(|taint| !ours(taint) || is(taint)).cloned().collect();
    for (key, effect) in &wanted {
        if !next.iter().any(|taint| taint.key == *key && taint.effect == *effect) {
            // As the real one: only what has NoExecute has a beginning.
            let time_added = (*effect == "NoExecute").then(|| Time((cluster.clock)()));
            next.push(Taint {
                key: (*key).to_owned(),
                effect: (*effect).to_owned(),
                time_added,
                value: None,
            });
        }
    }
    if next == taints {
        return Ok(());
    }
    let next = (!next.is_empty()).then_some(next);
    let body = json!({ "metadata": { "resourceVersion": node.resource_version() }, "spec": { "taints": next } });
    let api: Api<Node> = Api::all(cluster.client.clone());
    if let Some(node) =
        overtaken(api.patch(&node.name_any(), &PatchParams::default(), &Patch::Merge(body)).await)?
    {
        cluster.saw(node);
    }
    Ok(())
}

async fn mark_unready(cluster: &Cluster, pod: &Pod) -> kube::Result<()> {
    let condition = PodCondition {
        type_: "Ready".to_owned(),
        status: "False".to_owned(),
        last_transition_time: Some(Time((cluster.clock)())),
        ..PodCondition::default()
    };
    let body = Patch::Strategic(
        json!({ "metadata": { "uid": pod.uid() }, "status": { "conditions": [condition] } }),
    );
    if let Some(pod) = overtaken(
        api(cluster, pod).patch_status(&pod.name_any(), &PatchParams::default(), &body).await,
    )? {
        cluster.saw(pod);
    }
    Ok(())
}

/// Deletes a pod once it has been on a tainted node for as long as it tolerates.
async fn evict(cluster: &Cluster, node: &Node, pod: &Pod, again: &mut Again) -> kube::Result<()> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    let now = (cluster.clock)();
    let due = taints
        .filter(|taint| taint.effect == "NoExecute")
        .filter_map(|taint| due(pod, taint, now))
        .min();
    let Some(due) = due else { return Ok(()) };
    let left = Duration::try_from(due.duration_since(now)).unwrap_or_default();
    if !left.is_zero() {
        again.after(left);
        return Ok(());
    }
    let condition = PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("DeletionByTaintManager".to_owned()),
        message: Some("Taint manager: deleting due to NoExecute taint".to_owned()),
        last_transition_time: Some(Time(now)),
        ..PodCondition::default()
    };
    let (api, name) = (api(cluster, pod), pod.name_any());
    let body = Patch::Strategic(
        json!({ "metadata": { "uid": pod.uid() }, "status": { "conditions": [condition] } }),
    );
    overtaken(api.patch_status(&name, &PatchParams::default(), &body).await)?;
    let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    if let Some(pod) = overtaken(api.delete(&name, &params).await)?.and_then(|answer| answer.left())
    {
        cluster.saw(pod);
    }
    Ok(())
}

/// A human says that the node is shut down, and that nothing runs on it.
fn out_of_service(node: &Node) -> bool {
    let mut taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    taints.any(|taint| taint.key == OUT_OF_SERVICE)
}

/// Takes away a pod that no kubelet will confirm the end of.
async fn force(cluster: &Cluster, pod: &Pod) -> kube::Result<()> {
    let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
    let params = DeleteParams {
        preconditions: Some(preconditions),
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    overtaken(api(cluster, pod).delete(&pod.name_any(), &params).await).map(drop)
}

/// When a pod has to leave for a taint; never, if it tolerates it for good.
fn due(pod: &Pod, taint: &Taint, now: Timestamp) -> Option<Timestamp> {
    let tolerations = pod.spec.iter().flat_map(|s| s.tolerations.iter().flatten());
    let matching: Vec<_> =
        tolerations.filter(|toleration| super::scheduler::matches(toleration, taint)).collect();
    let since = taint.time_added.as_ref().map_or(now, |time| time.0);
    if matching.is_empty() {
        return Some(since);
    }
    let seconds = matching.iter().filter_map(|toleration| toleration.toleration_seconds).min()?;
    Some(since + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn api(cluster: &Cluster, pod: &Pod) -> Api<Pod> {
    Api::namespaced(cluster.client.clone(), &pod.namespace().unwrap_or_default())
}
