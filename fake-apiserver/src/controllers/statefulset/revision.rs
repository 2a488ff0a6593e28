//! Revisions: one for each template a set has had.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::View;
use super::identity::{REVISION, owner};
use crate::controllers::cache::{Cluster, Snapshot, controller_uid, overtaken};
use crate::kubelet::fingerprint;

/// The revision pods come from, and the one they go to.
pub(super) struct Revisions {
    pub(super) current: ControllerRevision,
    pub(super) update: ControllerRevision,
}

/// Finds the revisions of a set, and makes the one its template needs; none, if the cache is behind.
pub(super) async fn settle(
    cluster: &Cluster,
    known: &Snapshot,
    set: &StatefulSet,
    spec: &StatefulSetSpec,
) -> kube::Result<Option<Revisions>> {
    let namespace = set.namespace().unwrap_or_default();
    let api: Api<ControllerRevision> = Api::namespaced(cluster.client.clone(), &namespace);
    let owned = owned(known, set);
    let data = data(&spec.template)?;
    let newest = owned.last().map_or(0, |revision| revision.revision);
    let same = owned.iter().rev().find(|r| r.data.as_ref().is_some_and(|d| d.0 == data));
    let update = match same {
        Some(revision) if revision.revision == newest => Some((*revision).clone()),
        Some(revision) => {
            let body = Patch::Merge(json!({ "revision": newest + 1 }));
            overtaken(api.patch(&revision.name_any(), &PatchParams::default(), &body).await)?
        }
        None => {
            let collisions = set.status.as_ref().and_then(|s| s.collision_count).unwrap_or(0);
            let revision = revision(set, spec, data, newest + 1, collisions);
            overtaken(api.create(&PostParams::default(), &revision).await)?
        }
    };
    let Some(update) = update else { return Ok(None) };
    cluster.saw(update.clone());
    let status = set.status.as_ref().and_then(|s| s.current_revision.as_deref());
    let current = owned
        .iter()
        .find(|r| Some(r.name_any().as_str()) == status)
        .map_or_else(|| update.clone(), |r| (*r).clone());
    Ok(Some(Revisions { current, update }))
}

/// The revisions of a set, oldest first.
fn owned<'a>(known: &'a Snapshot, set: &StatefulSet) -> Vec<&'a ControllerRevision> {
    let (namespace, uid) = (set.namespace().unwrap_or_default(), set.metadata.uid.as_deref());
    let all: Vec<_> = known.revisions.iter().map(AsRef::as_ref).collect();
    let mut owned: Vec<&ControllerRevision> = all;
    owned.retain(|r: &&ControllerRevision| {
        r.metadata.namespace.as_deref() == Some(&namespace)
            && uid.is_some()
            && controller_uid(*r) == uid
    });
    owned.sort_by_key(|revision| revision.revision);
    owned
}

fn data(template: &PodTemplateSpec) -> kube::Result<Value> {
    let mut template = serde_json::to_value(template).map_err(kube::Error::SerdeError)?;
    if let Some(fields) = template.as_object_mut() {
        fields.insert("$patch".to_owned(), json!("replace"));
    }
    Ok(json!({ "spec": { "template": template } }))
}

fn revision(
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    data: Value,
    number: i64,
    collisions: i32,
) -> ControllerRevision {
    let hash = hash(&format!("{data}{collisions}"));
    let mut labels =
        spec.template.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    labels.insert("controller.kubernetes.io/hash".to_owned(), hash.clone());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", set.name_any())),
            namespace: set.namespace(),
            labels: Some(labels),
            owner_references: Some(vec![owner(set)]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(data)),
        revision: number,
    }
}

/// A short name for a text, of letters and digits that make no words.
fn hash(text: &str) -> String {
    const LETTERS: &[char] = &['b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm'];
    let number = fingerprint(text) % 10_000_000_000;
    let digits = format!("{number:010}");
    digits.bytes().filter_map(|digit| LETTERS.get(usize::from(digit.wrapping_sub(b'0')))).collect()
}

/// The template a revision holds.
pub(super) fn template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let template = revision.data.as_ref()?.0.pointer("/spec/template")?.clone();
    serde_json::from_value(template).ok()
}

/// Deletes the oldest revisions that nothing uses, beyond the number the set keeps.
pub(super) async fn prune(view: &View<'_>) -> kube::Result<()> {
    let limit = usize::try_from(view.spec.revision_history_limit.unwrap_or(10)).unwrap_or(10);
    let live = |name: &str| {
        let used = |r: &ControllerRevision| r.metadata.name.as_deref() == Some(name);
        let labelled = |pod: &k8s_openapi::api::core::v1::Pod| {
            pod.labels().get(REVISION).is_some_and(|l| l == name)
        };
        used(&view.revisions.current)
            || used(&view.revisions.update)
            || view.pods.values().any(|pod| labelled(pod))
    };
    let idle: Vec<_> =
        owned(view.known, view.set).into_iter().filter(|r| !live(&r.name_any())).collect();
    let api: Api<ControllerRevision> =
        Api::namespaced(view.cluster.client.clone(), &view.namespace);
    for revision in idle.iter().take(idle.len().saturating_sub(limit)) {
        overtaken(api.delete(&revision.name_any(), &DeleteParams::default()).await)?;
    }
    Ok(())
}

/// Whether a pod was made after a revision.
pub(super) fn is_of(pod: &k8s_openapi::api::core::v1::Pod, revision: &ControllerRevision) -> bool {
    pod.labels().get(REVISION) == revision.metadata.name.as_ref()
}
