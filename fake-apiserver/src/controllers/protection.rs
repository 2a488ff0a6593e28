//! Claim protection: a deleted claim stays as long as a pod uses it.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::cache::{Again, Cluster, Snapshot, overtaken, phase};
use super::volumes::claims_of;

const PROTECTION: &str = "kubernetes.io/pvc-protection";

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns();
    let mut pause = None;
    loop {
        let known = turns.next(pause).await;
        let mut again = Again::default();
        for claim in known.claims.iter().filter(|c| c.metadata.deletion_timestamp.is_some()) {
            again.note("releasing a claim", release(cluster, &known, claim).await);
        }
        pause = again.pause();
    }
}

/// Lets a deleted claim go once no pod uses it.
async fn release(
    cluster: &Cluster,
    known: &Snapshot,
    claim: &PersistentVolumeClaim,
) -> kube::Result<()> {
    let (namespace, name) = (claim.namespace().unwrap_or_default(), claim.name_any());
    let held = claim.finalizers().iter().any(|f| f == PROTECTION);
    if !held || known.pods.within(&namespace).any(|pod| uses(pod, &name)) {
        return Ok(());
    }
    let rest: Vec<_> = claim.finalizers().iter().filter(|f| *f != PROTECTION).collect();
    let body =
        json!({ "metadata": { "finalizers": rest, "resourceVersion": claim.resource_version() } });
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(cluster.client.clone(), &namespace);
    overtaken(claims.patch(&name, &PatchParams::default(), &Patch::Merge(body)).await).map(drop)
}

/// Whether a pod holds a claim: one that has ended, or was never given a node, does not.
fn uses(pod: &Pod, claim: &str) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let ended = matches!(phase(pod), "Succeeded" | "Failed");
    !ended && spec.node_name.is_some() && claims_of(pod).any(|name| name == claim)
}
