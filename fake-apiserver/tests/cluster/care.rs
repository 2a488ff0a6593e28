//! Garbage, endpoints, budgets, namespaces, and nodes that fall silent.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::world::{World, ready, set};

async fn family(world: &World, block: bool, finalizers: Value) -> ConfigMap {
    let owner: ConfigMap = world.create(json!({ "metadata": { "name": "owner" } })).await;
    let reference = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid(), "blockOwnerDeletion": block,
    });
    let child = json!({ "metadata": { "name": "child", "ownerReferences": [reference], "finalizers": finalizers } });
    world.create(child).await
}

async fn release(world: &World) {
    let body = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    world.api::<ConfigMap>().patch("child", &PatchParams::default(), &body).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn in_the_background_the_owner_goes_first() {
    let world = World::new();
    family(&world, true, json!(["example.com/hold"])).await;
    world.api::<ConfigMap>().delete("owner", &DeleteParams::background()).await.unwrap();
    world.until_gone::<ConfigMap>("owner").await;
    world.until::<ConfigMap>("child", |child| child.metadata.deletion_timestamp.is_some()).await;
    release(&world).await;
    world.until_gone::<ConfigMap>("child").await;
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_the_owner_waits_for_what_blocks_it() {
    let world = World::new();
    family(&world, true, json!(["example.com/hold"])).await;
    world.api::<ConfigMap>().delete("owner", &DeleteParams::foreground()).await.unwrap();
    world.until::<ConfigMap>("child", |child| child.metadata.deletion_timestamp.is_some()).await;
    sleep(Duration::from_secs(5)).await;
    assert!(world.api::<ConfigMap>().get_opt("owner").await.unwrap().is_some());
    release(&world).await;
    world.until_gone::<ConfigMap>("owner").await;
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_without_an_owner() {
    let world = World::new();
    family(&world, true, json!([])).await;
    world.api::<ConfigMap>().delete("owner", &DeleteParams::orphan()).await.unwrap();
    world.until_gone::<ConfigMap>("owner").await;
    sleep(Duration::from_secs(5)).await;
    let child: ConfigMap = world.api().get("child").await.unwrap();
    assert!(child.owner_references().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_never_was_takes_its_dependents_along() {
    let world = World::new();
    let reference =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "none" });
    world
        .create::<ConfigMap>(
            json!({ "metadata": { "name": "child", "ownerReferences": [reference] } }),
        )
        .await;
    world.until_gone::<ConfigMap>("child").await;
}

async fn endpoints(world: &World) -> Vec<(String, bool, bool, bool)> {
    let slices = world.api::<EndpointSlice>().list(&ListParams::default()).await.unwrap().items;
    assert!(slices.len() <= 1, "{slices:?}");
    let mut endpoints: Vec<_> = slices
        .into_iter()
        .flat_map(|s| s.endpoints)
        .map(|endpoint| {
            let is = endpoint.conditions.unwrap();
            (
                endpoint.hostname.unwrap(),
                is.ready.unwrap(),
                is.serving.unwrap(),
                is.terminating.unwrap(),
            )
        })
        .collect();
    endpoints.sort();
    endpoints
}

#[tokio::test(start_paused = true)]
async fn endpoints_follow_readiness_and_deletion() {
    let world = World::new();
    world.create::<Service>(json!({
        "metadata": { "name": "db" },
        "spec": { "clusterIP": "None", "selector": { "app": "db" }, "ports": [{ "name": "tt", "port": 6624 }] },
    })).await;
    let mut wanted = set("db", 2);
    wanted["spec"]["template"]["spec"]["containers"][0]["lifecycle"] =
        json!({ "preStop": { "sleep": { "seconds": 3 } } });
    world.create::<StatefulSet>(wanted).await;
    world.until::<Pod>("db-1", ready).await;
    sleep(Duration::from_millis(10)).await;
    let both = [("db-0".to_owned(), true, true, false), ("db-1".to_owned(), true, true, false)];
    assert_eq!(endpoints(&world).await, both);
    world.api::<Pod>().delete("db-1", &DeleteParams::default()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(endpoints(&world).await[1], ("db-1".to_owned(), false, true, true));
    let (service, _) = world
        .until::<Pod>("db-1", |pod| pod.metadata.deletion_timestamp.is_none() && ready(pod))
        .await;
    drop(service);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(endpoints(&world).await, both);
}

#[tokio::test(start_paused = true)]
async fn a_budget_allows_one_eviction_at_a_time() {
    let world = World::new();
    world.create::<PodDisruptionBudget>(json!({
        "metadata": { "name": "db" }, "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "db" } } },
    })).await;
    world.create::<StatefulSet>(set("db", 2)).await;
    let allows = |budget: &PodDisruptionBudget| {
        budget.status.as_ref().is_some_and(|s| s.disruptions_allowed == 1)
    };
    let (budget, _) = world.until("db", allows).await;
    let status = budget.status.unwrap();
    assert_eq!((status.current_healthy, status.desired_healthy, status.expected_pods), (2, 1, 2));
    let pods = world.api::<Pod>();
    pods.evict("db-0", &EvictParams::default()).await.unwrap();
    let refused = pods.evict("db-1", &EvictParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 429));
    world.until("db", allows).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_loses_its_pods_and_is_welcome_again() {
    let world = World::new();
    world.create::<StatefulSet>(set("db", 2)).await;
    let (before, _) = world.until::<Pod>("db-1", ready).await;
    let node = world.node_of(&before);
    node.lose();
    let (_, took) = world.until::<Pod>("db-1", |pod| !ready(pod)).await;
    assert!((30..=41).contains(&took.as_secs()), "noticed after {took:?}");
    let nodes: Api<Node> = Api::all(world.client.clone());
    let taints =
        |node: &Node| node.spec.as_ref().map_or(0, |s| s.taints.as_ref().map_or(0, Vec::len));
    assert_eq!(taints(&nodes.get(node.name()).await.unwrap()), 2);
    let (_, took) =
        world.until::<Pod>("db-1", |pod| pod.metadata.deletion_timestamp.is_some()).await;
    assert!((299..=301).contains(&took.as_secs()), "deleted after {took:?}");
    // Nobody confirms that the pod has ended: it stays, and so does its place.
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.api::<Pod>().get("db-1").await.unwrap().uid(), before.uid());
    node.restore();
    let (after, _) =
        world.until::<Pod>("db-1", |pod| ready(pod) && pod.uid() != before.uid()).await;
    assert!(after.metadata.deletion_timestamp.is_none());
    assert_eq!(taints(&nodes.get(node.name()).await.unwrap()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_cut_off_for_a_while_reports_its_pods_ready_again() {
    let world = World::new();
    world.create::<StatefulSet>(set("db", 1)).await;
    let (before, _) = world.until::<Pod>("db-0", ready).await;
    let node = world.node_of(&before);
    node.isolate();
    world.until::<Pod>("db-0", |pod| !ready(pod)).await;
    node.restore();
    let (after, took) = world.until::<Pod>("db-0", ready).await;
    assert!(took <= Duration::from_secs(1), "took {took:?}");
    assert_eq!(crate::world::restarts(&after), 0);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_when_all_in_it_has_gone() {
    let world = World::new();
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let wanted = serde_json::from_value(json!({ "metadata": { "name": "x" } })).unwrap();
    namespaces.create(&PostParams::default(), &wanted).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "x");
    let held = json!({ "metadata": { "name": "a", "finalizers": ["example.com/f"] } });
    maps.create(&PostParams::default(), &serde_json::from_value(held).unwrap()).await.unwrap();
    namespaces.delete("x", &DeleteParams::default()).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    let left = namespaces.get("x").await.unwrap();
    let conditions = left.status.unwrap().conditions.unwrap();
    assert!(
        conditions.iter().any(|c| c.type_ == "NamespaceFinalizersRemaining" && c.status == "True")
    );
    let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    maps.patch("a", &PatchParams::default(), &free).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert!(namespaces.get_opt("x").await.unwrap().is_none());
}
