//! What a set does next: make, replace and delete pods, in order.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::revision::{is_of, template};
use super::status::{available, ready};
use super::{View, identity};
use crate::controllers::cache::{overtaken, phase};

/// Whether the pods that come after may be looked at in this pass.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    Wait,
}

/// Does what can be done now.
pub(super) async fn advance(view: &mut View<'_>) -> kube::Result<()> {
    let monotonic = view.spec.pod_management_policy.as_deref() != Some("Parallel");
    keep_claims(view).await?;
    for ordinal in view.ordinals() {
        if replica(view, ordinal, monotonic).await? == Next::Wait {
            return Ok(());
        }
    }
    let wanted = view.ordinals();
    let condemned: Vec<i32> =
        view.pods.keys().rev().copied().filter(|ordinal| !wanted.contains(ordinal)).collect();
    let first_sick =
        view.pods.iter().filter(|(_, pod)| !healthy(pod)).map(|(ordinal, _)| *ordinal).next();
    for ordinal in condemned {
        let Some(pod) = view.pods.get(&ordinal).cloned() else { continue };
        let out_of_turn = !healthy(&pod) && first_sick != Some(ordinal);
        if monotonic && (terminating(&pod) || out_of_turn) {
            return Ok(());
        }
        if !terminating(&pod) {
            delete(view, ordinal, &pod).await?;
        }
        if monotonic {
            return Ok(());
        }
    }
    roll(view).await
}

/// Brings one ordinal on its way.
async fn replica(view: &mut View<'_>, ordinal: i32, monotonic: bool) -> kube::Result<Next> {
    let Some(pod) = view.pods.get(&ordinal).cloned() else {
        create(view, ordinal).await?;
        return Ok(if monotonic { Next::Wait } else { Next::Go });
    };
    if matches!(phase(&pod), "Failed" | "Succeeded") {
        if !terminating(&pod) {
            delete(view, ordinal, &pod).await?;
        }
        // Its successor is made once it is gone.
        return Ok(Next::Wait);
    }
    if !terminating(&pod) && phase(&pod) == "Pending" {
        make_claims(view, ordinal).await?;
    }
    let hold = monotonic && (terminating(&pod) || !available(view, &pod));
    Ok(if hold { Next::Wait } else { Next::Go })
}

/// Replaces pods of other revisions, the highest first, one at a time.
async fn roll(view: &mut View<'_>) -> kube::Result<()> {
    let strategy = view.spec.update_strategy.as_ref();
    if strategy.and_then(|s| s.type_.as_deref()) == Some("OnDelete") {
        return Ok(());
    }
    let partition = partition(view);
    let wanted = view.ordinals();
    for ordinal in (wanted.start + partition..wanted.end).rev() {
        let Some(pod) = view.pods.get(&ordinal).cloned() else { return Ok(()) };
        if !is_of(&pod, &view.revisions.update) && !terminating(&pod) {
            return delete(view, ordinal, &pod).await;
        }
        if !healthy(&pod) {
            return Ok(());
        }
    }
    Ok(())
}

fn partition(view: &View<'_>) -> i32 {
    let rolling = view.spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
    rolling.and_then(|r| r.partition).unwrap_or(0).max(0)
}

fn terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn healthy(pod: &Pod) -> bool {
    ready(pod) && !terminating(pod)
}

async fn create(view: &mut View<'_>, ordinal: i32) -> kube::Result<()> {
    if !make_claims(view, ordinal).await? {
        return Ok(());
    }
    let on_delete =
        view.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref()) == Some("OnDelete");
    let held_back = !on_delete && ordinal < view.ordinals().start + partition(view);
    let revision = if held_back { &view.revisions.current } else { &view.revisions.update };
    let template = template(revision).unwrap_or_else(|| view.spec.template.clone());
    let pod = identity::pod(view, ordinal, &revision.name_any(), template);
    if let Some(pod) = overtaken(view.api().create(&PostParams::default(), &pod).await)? {
        view.cluster.saw(pod.clone());
        view.pods.insert(ordinal, Arc::new(pod));
    }
    Ok(())
}

/// Makes the claims an ordinal lacks; false while an old one of the same name is going.
async fn make_claims(view: &View<'_>, ordinal: i32) -> kube::Result<bool> {
    let api: Api<PersistentVolumeClaim> =
        Api::namespaced(view.cluster.client.clone(), &view.namespace);
    for (name, claim) in identity::claims(view, ordinal) {
        match view.known.claims.get(&view.namespace, &name) {
            Some(known) if known.metadata.deletion_timestamp.is_some() => return Ok(false),
            Some(_) => {}
            None => {
                if let Some(made) = overtaken(api.create(&PostParams::default(), &claim).await)? {
                    view.cluster.saw(made);
                }
            }
        }
    }
    Ok(true)
}

async fn delete(view: &mut View<'_>, ordinal: i32, pod: &Pod) -> kube::Result<()> {
    let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let answer = overtaken(view.api().delete(&pod.name_any(), &params).await)?;
    if let Some(pod) = answer.and_then(|either| either.left()) {
        view.cluster.saw(pod.clone());
        view.pods.insert(ordinal, Arc::new(pod));
    }
    Ok(())
}

/// Makes claims belong to whom the retention policy says: the set, a pod that is scaled away, or nobody.
async fn keep_claims(view: &View<'_>) -> kube::Result<()> {
    let policy = view.spec.persistent_volume_claim_retention_policy.as_ref();
    let deletes = |choice: Option<&String>| choice.is_some_and(|choice| choice == "Delete");
    let with_set = deletes(policy.and_then(|p| p.when_deleted.as_ref()));
    let with_scale = deletes(policy.and_then(|p| p.when_scaled.as_ref()));
    let api: Api<PersistentVolumeClaim> =
        Api::namespaced(view.cluster.client.clone(), &view.namespace);
    for (ordinal, pod) in &view.pods {
        let condemned = !view.ordinals().contains(ordinal);
        let owner = if condemned && with_scale {
            Some(pod_owner(pod))
        } else {
            with_set.then(|| identity::owner(view.set))
        };
        for name in identity::claims(view, *ordinal).into_keys() {
            let Some(claim) = view.known.claims.get(&view.namespace, &name) else { continue };
            let ours = |o: &OwnerReference| {
                o.kind == "StatefulSet" && o.name == view.name
                    || o.kind == "Pod" && o.name == pod.name_any()
            };
            let others = claim.owner_references().iter().filter(|o| !ours(o)).cloned();
            let owners: Vec<OwnerReference> = others.chain(owner.clone()).collect();
            if owners != claim.owner_references() {
                let body = json!({ "metadata": { "resourceVersion": claim.resource_version(), "ownerReferences": owners } });
                if let Some(claim) =
                    overtaken(api.patch(&name, &PatchParams::default(), &Patch::Merge(body)).await)?
                {
                    view.cluster.saw(claim);
                }
            }
        }
    }
    Ok(())
}

fn pod_owner(pod: &Pod) -> OwnerReference {
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
