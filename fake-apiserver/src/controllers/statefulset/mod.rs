//! StatefulSets: their pods in order, their claims, their revisions, and their status.

mod identity;
mod progress;
mod revision;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use self::revision::Revisions;
use super::cache::{Again, Cluster, Snapshot, controller_uid, overtaken, selects};

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns();
    let mut pause: Option<Duration> = None;
    loop {
        let known = turns.next(pause).await;
        let mut again = Again::default();
        for set in known.sets.iter().filter(|set| set.metadata.deletion_timestamp.is_none()) {
            let result = sync(cluster, &known, set, &mut again).await;
            again.note("a StatefulSet", result);
        }
        pause = again.pause();
    }
}

/// A set and what belongs to it.
struct View<'a> {
    cluster: &'a Cluster,
    known: &'a Snapshot,
    set: &'a StatefulSet,
    spec: &'a StatefulSetSpec,
    namespace: String,
    name: String,
    /// Its pods, by ordinal.
    pods: BTreeMap<i32, Arc<Pod>>,
    revisions: Revisions,
}

impl View<'_> {
    /// The ordinals the set is to have.
    fn ordinals(&self) -> std::ops::Range<i32> {
        let start = self.spec.ordinals.as_ref().and_then(|o| o.start).unwrap_or(0);
        start..start + self.spec.replicas.unwrap_or(1)
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }
}

async fn sync(
    cluster: &Cluster,
    known: &Snapshot,
    set: &StatefulSet,
    again: &mut Again,
) -> kube::Result<()> {
    let Some(spec) = &set.spec else { return Ok(()) };
    let (namespace, name) = (set.namespace().unwrap_or_default(), set.name_any());
    let pods = claim_pods(cluster, known, set, spec).await?;
    let Some(revisions) = revision::settle(cluster, known, set, spec).await? else { return Ok(()) };
    let mut view = View { cluster, known, set, spec, namespace, name, pods, revisions };
    // What was done is counted, even if something else failed.
    let outcome = progress::advance(&mut view).await;
    status::write(&view, again).await?;
    revision::prune(&view).await?;
    outcome
}

/// The pods of a set, by ordinal. Orphans that fit are adopted; pods that no longer fit are let go.
async fn claim_pods(
    cluster: &Cluster,
    known: &Snapshot,
    set: &StatefulSet,
    spec: &StatefulSetSpec,
) -> kube::Result<BTreeMap<i32, Arc<Pod>>> {
    let (namespace, uid) = (set.namespace().unwrap_or_default(), set.uid().unwrap_or_default());
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
    let mut pods = BTreeMap::new();
    for pod in known.pods.within(&namespace) {
        let fits = selects(&spec.selector, pod.as_ref());
        let ordinal = identity::ordinal(&set.name_any(), &pod.name_any());
        let owner = controller_uid(pod.as_ref());
        let owners = match (owner, ordinal) {
            (Some(owner), Some(ordinal)) if owner == uid && fits => {
                pods.insert(ordinal, Arc::clone(pod));
                continue;
            }
            (Some(owner), _) if owner == uid && !fits => {
                json!(pod.owner_references().iter().filter(|o| o.uid != uid).collect::<Vec<_>>())
            }
            (None, Some(_)) if fits && pod.metadata.deletion_timestamp.is_none() => {
                json!(
                    pod.owner_references()
                        .iter()
                        .cloned()
                        .chain([identity::owner(set)])
                        .collect::<Vec<_>>()
                )
            }
            _ => continue,
        };
        let body = json!({ "metadata": { "uid": pod.uid(), "resourceVersion": pod.resource_version(), "ownerReferences": owners } });
        let changed = overtaken(
            api.patch(&pod.name_any(), &PatchParams::default(), &Patch::Merge(body)).await,
        )?;
        if let Some(pod) = changed {
            cluster.saw(pod);
        }
    }
    Ok(pods)
}
