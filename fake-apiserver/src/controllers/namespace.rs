//! Namespaces: what every new one contains, and how one ends.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, NamespaceCondition, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{
    DeleteParams, ListParams, ObjectMeta, PartialObjectMeta, Patch, PatchParams, PostParams,
};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::time::Instant;

use super::cache::{Again, Cluster, RETRY, Snapshot, overtaken};
use super::served::served;

const ROOT: &str = "kube-root-ca.crt";
/// How long a namespace that goes away is left alone, so that everybody learns that nothing new is taken in it.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns();
    let mut pause = None;
    // When the end of a namespace was first seen, by its uid.
    let mut ending: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        let known = turns.next(pause).await;
        let mut again = Again::default();
        let mut still = BTreeMap::new();
        for namespace in known.namespaces.iter() {
            let result = if namespace.metadata.deletion_timestamp.is_some() {
                let uid = namespace.uid().unwrap_or_default();
                let seen = ending.remove(&uid).unwrap_or_else(Instant::now);
                still.insert(uid, seen);
                let left = GRACE.saturating_sub(seen.elapsed());
                if !left.is_zero() {
                    again.after(left);
                    continue;
                }
                end(cluster, namespace, &mut again).await
            } else {
                furnish(cluster, &known, &namespace.name_any()).await
            };
            again.note("a namespace", result);
        }
        ending = still;
        pause = again.pause();
    }
}

/// Makes what every namespace contains, where it is missing.
async fn furnish(cluster: &Cluster, known: &Snapshot, namespace: &str) -> kube::Result<()> {
    let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    if known.accounts.get(namespace, "default").is_none() {
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), namespace);
        let account = ServiceAccount { metadata: named("default"), ..ServiceAccount::default() };
        if let Some(account) = overtaken(accounts.create(&PostParams::default(), &account).await)? {
            cluster.saw(account);
        }
    }
    if known.maps.get(namespace, ROOT).is_none() {
        let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
        let data = BTreeMap::from([("ca.crt".to_owned(), String::new())]);
        let map = ConfigMap { metadata: named(ROOT), data: Some(data), ..ConfigMap::default() };
        if let Some(map) = overtaken(maps.create(&PostParams::default(), &map).await)? {
            cluster.saw(map);
        }
    }
    Ok(())
}

/// What is left in a namespace.
#[derive(Default)]
struct Rest {
    /// How many objects, by resource.
    objects: BTreeMap<String, usize>,
    /// How many objects each finalizer holds.
    finalizers: BTreeMap<String, usize>,
}

/// Deletes all that is in a namespace, and lets it go when nothing is left.
async fn end(cluster: &Cluster, namespace: &Namespace, again: &mut Again) -> kube::Result<()> {
    let name = namespace.name_any();
    let rest = empty(cluster, &name).await?;
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    if !rest.objects.is_empty() {
        again.after(RETRY);
        let Some(body) = conditions(cluster, namespace, &rest) else { return Ok(()) };
        let answer =
            namespaces.patch_status(&name, &PatchParams::default(), &Patch::Strategic(body)).await;
        if let Some(namespace) = overtaken(answer)? {
            cluster.saw(namespace);
        }
        return Ok(());
    }
    let mut last = namespace.clone();
    if let Some(spec) = &mut last.spec {
        spec.finalizers
            .iter_mut()
            .for_each(|list| list.retain(|finalizer| finalizer != "kubernetes"));
    }
    let answer =
        namespaces.replace_subresource("finalize", &name, &PostParams::default(), &last).await;
    overtaken(answer).map(|_: Option<Namespace>| ())
}

async fn empty(cluster: &Cluster, namespace: &str) -> kube::Result<Rest> {
    let mut rest = Rest::default();
    for kind in served(&cluster.client).await?.iter().filter(|kind| kind.namespaced) {
        let api: Api<PartialObjectMeta<DynamicObject>> =
            Api::namespaced_with(cluster.client.clone(), namespace, &kind.resource);
        let items = api.list(&ListParams::default()).await?.items;
        if items.iter().any(|item| item.metadata.deletion_timestamp.is_none()) {
            let objects: Api<DynamicObject> =
                Api::namespaced_with(cluster.client.clone(), namespace, &kind.resource);
            objects.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
        }
        let left =
            if items.is_empty() { items } else { api.list(&ListParams::default()).await?.items };
        for finalizer in left.iter().flat_map(|item| item.finalizers()) {
            *rest.finalizers.entry(finalizer.clone()).or_default() += 1;
        }
        if !left.is_empty() {
            let resource = &kind.resource;
            let name = if resource.group.is_empty() {
                resource.plural.clone()
            } else {
                format!("{}.{}", resource.plural, resource.group)
            };
            rest.objects.insert(name, left.len());
        }
    }
    Ok(rest)
}

/// The conditions to write, if they have changed.
fn conditions(cluster: &Cluster, namespace: &Namespace, rest: &Rest) -> Option<serde_json::Value> {
    let listed = |counts: &BTreeMap<String, usize>, what: &str| {
        counts
            .iter()
            .map(|(name, count)| format!("{name}{what} {count} resource instances"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let content = format!("Some resources are remaining: {}", listed(&rest.objects, " has"));
    let held = format!(
        "Some content in the namespace has finalizers remaining: {}",
        listed(&rest.finalizers, " in")
    );
    let known = namespace.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let condition = |kind: &str, status: bool, reason: &str, message: &str| {
        let status = if status { "True" } else { "False" };
        let same = known.iter().find(|c| c.type_ == kind && c.status == status);
        NamespaceCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: same
                .and_then(|c| c.last_transition_time.clone())
                .or_else(|| Some(Time((cluster.clock)()))),
        }
    };
    let found = |yes: &str, no: &str, is: bool| if is { yes.to_owned() } else { no.to_owned() };
    let blocked = !rest.finalizers.is_empty();
    let wanted = vec![
        condition(
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        condition(
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        condition("NamespaceContentRemaining", true, "SomeResourcesRemain", &content),
        condition(
            "NamespaceFinalizersRemaining",
            blocked,
            &found("SomeFinalizersRemain", "ContentHasNoFinalizers", blocked),
            &found(&held, "All content-preserving finalizers finished", blocked),
        ),
    ];
    (wanted != known).then(|| json!({ "status": { "conditions": wanted } }))
}
