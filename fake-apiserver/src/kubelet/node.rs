//! The Node object and its lease.

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::Power;
use super::core::{Core, RETRY, Trouble};

/// Registers the node, renews its lease, and puts its Ready condition right; never ends.
pub(super) async fn keep(core: &Core) {
    let node = loop {
        match register(core).await {
            Ok(node) => break node,
            Err(error) => {
                tracing::debug!(node = core.spec.name, %error, "registering the node failed");
            }
        }
        tokio::time::sleep(RETRY).await;
    };
    futures::future::join(renew(core, &node), stay_ready(core)).await;
}

async fn register(core: &Core) -> Result<Node, Trouble> {
    let api: Api<Node> = Api::all(core.client.clone());
    match core.call(api.create(&PostParams::default(), &node(core))).await {
        Err(error) if error.code() == Some(409) => report(core).await,
        answer => answer,
    }
}

/// Writes the node's status.
async fn report(core: &Core) -> Result<Node, Trouble> {
    let api: Api<Node> = Api::all(core.client.clone());
    let patch = Patch::Strategic(json!({ "status": node(core).status }));
    core.call(api.patch_status(&core.spec.name, &PatchParams::default(), &patch)).await
}

fn node(core: &Core) -> Node {
    let spec = &core.spec;
    let fixed = [
        ("kubernetes.io/hostname", spec.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
    ];
    let mut labels = spec.labels.clone();
    labels.extend(fixed.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let amounts =
        [("cpu", "8".to_owned()), ("memory", "32Gi".to_owned()), ("pods", spec.pods.to_string())];
    let capacity = amounts.map(|(name, amount)| (name.to_owned(), Quantity(amount)));
    let address = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
    let status = NodeStatus {
        addresses: Some(vec![
            address("InternalIP", host_ip(core)),
            address("Hostname", spec.name.clone()),
        ]),
        capacity: Some(capacity.clone().into()),
        allocatable: Some(capacity.into()),
        conditions: Some(conditions((core.clock)())),
        node_info: Some(NodeSystemInfo {
            architecture: "amd64".to_owned(),
            operating_system: "linux".to_owned(),
            kubelet_version: "v1.36.2".to_owned(),
            container_runtime_version: "containerd://2.0.0".to_owned(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    };
    Node {
        metadata: ObjectMeta {
            name: Some(spec.name.clone()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        status: Some(status),
        ..Node::default()
    }
}

/// The address of the node.
pub(super) fn host_ip(core: &Core) -> String {
    format!("192.168.0.{}", core.spec.index)
}

fn conditions(now: jiff::Timestamp) -> Vec<NodeCondition> {
    [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    .into_iter()
    .map(|(kind, status, reason, message)| NodeCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    })
    .collect()
}

/// Renews the lease, one request a time; never ends.
async fn renew(core: &Core, node: &Node) {
    let api: Api<Lease> = Api::namespaced(core.client.clone(), "kube-node-lease");
    let mut held: Option<Lease> = None;
    loop {
        match renew_once(core, &api, node, held.take()).await {
            Ok(lease) => {
                held = Some(lease);
                tokio::select! {
                    biased;
                    () = core.until(|power| *power != Power::On) => {}
                    () = tokio::time::sleep(core.timings.heartbeat) => {}
                }
            }
            Err(error) => {
                tracing::debug!(node = core.spec.name, %error, "renewing the lease failed");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn renew_once(
    core: &Core,
    api: &Api<Lease>,
    node: &Node,
    held: Option<Lease>,
) -> Result<Lease, Trouble> {
    let name = &core.spec.name;
    let known = match held {
        Some(lease) => Some(lease),
        None => core.call(api.get_opt(name)).await?,
    };
    // Time of writing: an isolated node waits in here.
    core.until(|power| *power == Power::On).await;
    let spec = LeaseSpec {
        holder_identity: Some(name.clone()),
        lease_duration_seconds: Some(40),
        renew_time: Some(MicroTime((core.clock)())),
        ..LeaseSpec::default()
    };
    if let Some(mut lease) = known {
        lease.spec = Some(spec);
        return core.call(api.replace(name, &PostParams::default(), &lease)).await;
    }
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.clone(),
        uid: node.uid().unwrap_or_default(),
        ..OwnerReference::default()
    };
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    };
    core.call(api.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) })).await
}

/// Watches the own Node: a Ready condition that others made false while the node was not heard of is put right.
async fn stay_ready(core: &Core) {
    loop {
        core.until(|power| *power == Power::On).await;
        let own = watcher::Config::default().fields(&format!("metadata.name={}", core.spec.name));
        let mut stream = Box::pin(watcher(Api::<Node>::all(core.client.clone()), own));
        loop {
            let event = tokio::select! {
                biased;
                () = core.until(|power| *power != Power::On) => break,
                event = stream.next() => event,
            };
            let outcome = match event {
                Some(Ok(Event::Apply(node) | Event::InitApply(node))) if !is_ready(&node) => {
                    report(core).await.map(drop)
                }
                Some(Ok(Event::Delete(_))) => register(core).await.map(drop),
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => {
                    tracing::debug!(node = core.spec.name, %error, "watching the node failed");
                    tokio::time::sleep(RETRY).await;
                    Ok(())
                }
                None => break,
            };
            if let Err(error) = outcome {
                tracing::debug!(node = core.spec.name, %error, "writing the node's status failed");
                tokio::time::sleep(RETRY).await;
                break;
            }
        }
    }
}

fn is_ready(node: &Node) -> bool {
    let mut conditions = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.any(|c| c.type_ == "Ready" && c.status == "True")
}
