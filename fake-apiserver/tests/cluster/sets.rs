use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::world::{World, ready, set};

fn all_ready(count: i32) -> impl Fn(&StatefulSet) -> bool {
    move |set| {
        set.status
            .as_ref()
            .is_some_and(|s| s.replicas == count && s.ready_replicas.unwrap_or(0) == count)
    }
}

#[tokio::test(start_paused = true)]
async fn two_pods_become_ready_one_after_the_other_on_two_nodes() {
    let world = World::new();
    world.create::<StatefulSet>(set("db", 2)).await;
    let (first, _) = world.until::<Pod>("db-0", ready).await;
    assert!(world.api::<Pod>().get_opt("db-1").await.unwrap().is_none_or(|pod| !ready(&pod)));
    let (second, _) = world.until::<Pod>("db-1", ready).await;
    let (set, _) = world.until("db", all_ready(2)).await;
    let node = |pod: &Pod| pod.spec.as_ref().unwrap().node_name.clone().unwrap();
    assert_ne!(node(&first), node(&second));
    let status = set.status.unwrap();
    assert_eq!((status.current_replicas, status.updated_replicas), (Some(2), Some(2)));
    assert_eq!(status.current_revision, status.update_revision);
    let claim: PersistentVolumeClaim = world.api().get("data-db-1").await.unwrap();
    assert_eq!(claim.status.unwrap().phase.as_deref(), Some("Bound"));
    let now = world.server.history(0).last().unwrap().at.to_string();
    assert!(now.as_str() < "2026-01-01T00:00:04Z", "took until {now}");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_comes_back_with_its_claim() {
    let world = World::new();
    world.create::<StatefulSet>(set("db", 2)).await;
    world.until("db", all_ready(2)).await;
    let before: Pod = world.api().get("db-1").await.unwrap();
    let claim: PersistentVolumeClaim = world.api().get("data-db-1").await.unwrap();
    world.api::<Pod>().delete("db-1", &DeleteParams::default()).await.unwrap();
    let (after, took) =
        world.until::<Pod>("db-1", |pod| pod.uid() != before.uid() && ready(pod)).await;
    assert!(took < Duration::from_secs(3), "took {took:?}");
    assert_ne!(after.status.unwrap().pod_ip, before.status.unwrap().pod_ip);
    let kept: PersistentVolumeClaim = world.api().get("data-db-1").await.unwrap();
    assert_eq!(kept.uid(), claim.uid());
}

async fn change_image(world: &World) {
    let change = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "example.com/main:2" }] } } } });
    world
        .api::<StatefulSet>()
        .patch("db", &PatchParams::default(), &Patch::Strategic(change))
        .await
        .unwrap();
}

fn image(pod: &Pod) -> &str {
    pod.spec.as_ref().unwrap().containers[0].image.as_deref().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_back_lower_ordinals() {
    let world = World::new();
    let mut wanted = set("db", 2);
    wanted["spec"]["updateStrategy"] =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } });
    world.create::<StatefulSet>(wanted).await;
    world.until("db", all_ready(2)).await;
    change_image(&world).await;
    world.until::<Pod>("db-1", |pod| ready(pod) && image(pod).ends_with(":2")).await;
    let (set, _) = world.until("db", all_ready(2)).await;
    let status = set.status.unwrap();
    assert_eq!((status.current_replicas, status.updated_replicas), (Some(1), Some(1)));
    assert_ne!(status.current_revision, status.update_revision);
    // A held back pod comes back as it was.
    world.api::<Pod>().delete("db-0", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (pod, _) = world.until::<Pod>("db-0", ready).await;
    assert_eq!(image(&pod), "example.com/main:1");
    let through = json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": 0 } } } });
    world
        .api::<StatefulSet>()
        .patch("db", &PatchParams::default(), &Patch::Merge(through))
        .await
        .unwrap();
    world.until::<Pod>("db-0", |pod| ready(pod) && image(pod).ends_with(":2")).await;
    world
        .until::<StatefulSet>("db", |set| {
            let status = set.status.as_ref().unwrap();
            status.current_revision == status.update_revision && status.current_replicas == Some(2)
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn on_delete_waits_for_a_deletion() {
    let world = World::new();
    let mut wanted = set("db", 2);
    wanted["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
    world.create::<StatefulSet>(wanted).await;
    world.until("db", all_ready(2)).await;
    change_image(&world).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    for name in ["db-0", "db-1"] {
        assert_eq!(image(&world.api::<Pod>().get(name).await.unwrap()), "example.com/main:1");
    }
    world.api::<Pod>().delete("db-0", &DeleteParams::default()).await.unwrap();
    world.until::<Pod>("db-0", |pod| ready(pod) && image(pod).ends_with(":2")).await;
    assert_eq!(image(&world.api::<Pod>().get("db-1").await.unwrap()), "example.com/main:1");
}

#[tokio::test(start_paused = true)]
async fn scaling_down_takes_the_highest_and_keeps_its_claim() {
    let world = World::new();
    world.create::<StatefulSet>(set("db", 3)).await;
    world.until("db", all_ready(3)).await;
    let scale = json!({ "spec": { "replicas": 1 } });
    world
        .api::<StatefulSet>()
        .patch("db", &PatchParams::default(), &Patch::Merge(scale))
        .await
        .unwrap();
    world.until_gone::<Pod>("db-2").await;
    world.until_gone::<Pod>("db-1").await;
    world.until("db", all_ready(1)).await;
    assert!(world.api::<PersistentVolumeClaim>().get_opt("data-db-2").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_hour_costs_only_lease_renewals() {
    let world = World::new();
    world.create::<StatefulSet>(set("db", 2)).await;
    world.until("db", all_ready(2)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = world.server.revision();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let changes = world.server.history(before);
    assert!(
        changes.iter().all(|change| change.resource == "leases"),
        "{:?}",
        changes.iter().find(|c| c.resource != "leases")
    );
    assert_eq!(changes.len(), 2 * 360);
}
