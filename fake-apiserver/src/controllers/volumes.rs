//! Volumes: makes a persistent volume for every claim that has none, binds them to each other, and
//! enlarges what a bound claim wants larger.
//!
//! Any storage class will do.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus,
    PersistentVolumeSpec, Pod,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::cache::{Again, Cluster, Snapshot, overtaken};
use crate::quantity;

const BOUND: &str = "pv.kubernetes.io/bind-completed";

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns();
    let mut pause = None;
    loop {
        let known = turns.next(pause).await;
        pause = pass(cluster, &known).await;
    }
}

async fn pass(cluster: &Cluster, known: &Snapshot) -> Option<Duration> {
    let mut again = Again::default();
    for claim in known.claims.iter() {
        if claim.metadata.deletion_timestamp.is_none() && !is_bound(claim) {
            again.note("binding a claim", bind(cluster, known, claim).await);
        }
        if let Some(size) = wants_more(claim) {
            again.note("enlarging a volume", enlarge(cluster, known, claim, size).await);
        }
    }
    for volume in known.volumes.iter() {
        again.note("reclaiming a volume", reclaim(cluster, known, volume).await);
    }
    again.pause()
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound")
}

/// The size that a bound claim asks for, if it has less.
fn wants_more(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    let asked = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?;
    let has = claim.status.as_ref()?.capacity.as_ref()?.get("storage")?;
    let size = |quantity: &Quantity| Some(quantity::Quantity::parse(&quantity.0)?.nanos());
    (is_bound(claim) && size(asked) > size(has)).then_some(asked)
}

/// Enlarges a claim's volume, and says so in both.
async fn enlarge(
    cluster: &Cluster,
    known: &Snapshot,
    claim: &PersistentVolumeClaim,
    size: &Quantity,
) -> kube::Result<()> {
    let Some(name) = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()) else {
        return Ok(());
    };
    if known.volumes.get("", &name).is_none() {
        return Ok(());
    }
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let larger = Patch::Merge(json!({ "spec": { "capacity": { "storage": size } } }));
    let Some(volume) = overtaken(volumes.patch(&name, &PatchParams::default(), &larger).await)?
    else {
        return Ok(());
    };
    cluster.saw(volume);
    let namespace = claim.namespace().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(cluster.client.clone(), &namespace);
    let larger = Patch::Merge(json!({ "status": { "capacity": { "storage": size } } }));
    let done = claims.patch_status(&claim.name_any(), &PatchParams::default(), &larger).await;
    if let Some(claim) = overtaken(done)? {
        cluster.saw(claim);
    }
    Ok(())
}

/// Makes a claim's volume if need be, and writes both ends of the binding.
async fn bind(
    cluster: &Cluster,
    known: &Snapshot,
    claim: &PersistentVolumeClaim,
) -> kube::Result<()> {
    let Some(spec) = &claim.spec else { return Ok(()) };
    let (namespace, name) = (claim.namespace().unwrap_or_default(), claim.name_any());
    let volume_name = spec
        .volume_name
        .clone()
        .unwrap_or_else(|| format!("pvc-{}", claim.uid().unwrap_or_default()));
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(cluster.client.clone(), &namespace);
    let volume = match known.volumes.get("", &volume_name) {
        Some(volume) => PersistentVolume::clone(volume),
        None if spec.volume_name.is_some() && claim.annotations().get(BOUND).is_none() => {
            return Ok(());
        }
        None => {
            let made = overtaken(
                volumes.create(&PostParams::default(), &volume(claim, &volume_name)).await,
            )?;
            let Some(made) = made else { return Ok(()) };
            cluster.saw(made.clone());
            made
        }
    };
    if spec.volume_name.is_none() {
        let body = json!({
            "metadata": { "annotations": { BOUND: "yes", "pv.kubernetes.io/bound-by-controller": "yes" } },
            "spec": { "volumeName": volume_name },
        });
        let Some(claim) =
            overtaken(claims.patch(&name, &PatchParams::default(), &Patch::Merge(body)).await)?
        else {
            return Ok(());
        };
        cluster.saw(claim);
    }
    let phase = json!({ "status": { "phase": "Bound" } });
    if let Some(volume) = overtaken(
        volumes.patch_status(&volume_name, &PatchParams::default(), &Patch::Merge(phase)).await,
    )? {
        cluster.saw(volume);
    }
    let status = PersistentVolumeClaimStatus {
        phase: Some("Bound".to_owned()),
        access_modes: spec.access_modes.clone(),
        capacity: volume.spec.as_ref().and_then(|s| s.capacity.clone()),
        ..PersistentVolumeClaimStatus::default()
    };
    let body = Patch::Merge(json!({ "status": status }));
    if let Some(claim) =
        overtaken(claims.patch_status(&name, &PatchParams::default(), &body).await)?
    {
        cluster.saw(claim);
    }
    Ok(())
}

fn volume(claim: &PersistentVolumeClaim, name: &str) -> PersistentVolume {
    let spec = claim.spec.clone().unwrap_or_default();
    let requests = spec.resources.and_then(|r| r.requests).unwrap_or_default();
    let storage = requests.get("storage").cloned().unwrap_or_default();
    let claim_ref = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        name: claim.metadata.name.clone(),
        namespace: claim.metadata.namespace.clone(),
        uid: claim.metadata.uid.clone(),
        ..ObjectReference::default()
    };
    PersistentVolume {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: Some(BTreeMap::from([("storage".to_owned(), storage)])),
            claim_ref: Some(claim_ref),
            host_path: Some(k8s_openapi::api::core::v1::HostPathVolumeSource {
                path: format!("/var/volumes/{name}"),
                type_: None,
            }),
            persistent_volume_reclaim_policy: Some("Delete".to_owned()),
            storage_class_name: spec.storage_class_name,
            volume_mode: spec.volume_mode,
            ..PersistentVolumeSpec::default()
        }),
        ..PersistentVolume::default()
    }
}

/// The claims a pod mounts.
pub(super) fn claims_of(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

/// Deletes a volume that was made for a claim that is gone.
async fn reclaim(
    cluster: &Cluster,
    known: &Snapshot,
    volume: &PersistentVolume,
) -> kube::Result<()> {
    let Some(spec) = &volume.spec else { return Ok(()) };
    let (Some(claim), Some("Delete")) =
        (&spec.claim_ref, spec.persistent_volume_reclaim_policy.as_deref())
    else {
        return Ok(());
    };
    let namespace = claim.namespace.as_deref().unwrap_or_default();
    let owner = known.claims.get(namespace, claim.name.as_deref().unwrap_or_default());
    let alive = owner.is_some_and(|owner| claim.uid.is_none() || owner.metadata.uid == claim.uid);
    if alive || volume.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    overtaken(volumes.delete(&volume.name_any(), &DeleteParams::default()).await).map(drop)
}
