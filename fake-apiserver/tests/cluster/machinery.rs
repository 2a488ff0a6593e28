//! What kube-rs's runtime builds on the API: reflectors, recorders, finalizers, and the calls that only pods have.

use std::convert::Infallible;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::events::v1::Event as Written;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Turn, finalizer};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Resource};
use serde_json::{Value, json};

use crate::world::World;

fn map(name: &str, value: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"k": value}})
}

/// Waits until a store holds an object, or holds it no longer.
async fn holds(store: &Store<ConfigMap>, name: &str, value: Option<&str>) {
    let key = ObjectRef::new(name).within("default");
    loop {
        let held = store.get(&key).and_then(|map| map.data.clone()?.remove("k"));
        if held.as_deref() == value {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reflector_holds_what_is_there() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let world = World::new();
        let api: Api<ConfigMap> = world.api();
        world.create::<ConfigMap>(map("a", "1")).await;
        let (store, writer) = reflector::store();
        let reflecting = reflector(writer, watcher(api.clone(), config)).touched_objects();
        tokio::spawn(reflecting.for_each(|_| std::future::ready(())));
        store.wait_until_ready().await.unwrap();
        holds(&store, "a", Some("1")).await;
        world.create::<ConfigMap>(map("b", "2")).await;
        let patch = Patch::Apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "3"},
        }));
        api.patch("a", &PatchParams::apply("test").force(), &patch).await.unwrap();
        holds(&store, "b", Some("2")).await;
        holds(&store, "a", Some("3")).await;
        world.server.compact(world.server.revision());
        api.delete("b", &DeleteParams::default()).await.unwrap();
        holds(&store, "b", None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_counts_what_it_says_again() {
    let world = World::new();
    let about = world.create::<ConfigMap>(map("a", "1")).await.object_ref(&());
    let reporter = Reporter { controller: "test".into(), instance: Some("test-0".into()) };
    let recorder = Recorder::new(world.client.clone(), reporter);
    let event = Event {
        type_: EventType::Warning,
        reason: "Failed".into(),
        note: Some("it did not work".into()),
        action: "Trying".into(),
        secondary: None,
    };
    recorder.publish(&event, &about).await.unwrap();
    recorder.publish(&event, &about).await.unwrap();
    let written = world.api::<Written>().list(&ListParams::default()).await.unwrap().items;
    let [written] = written.as_slice() else { panic!("{written:?}") };
    assert_eq!(written.series.as_ref().map(|series| series.count), Some(2));
    let core: Api<k8s_openapi::api::core::v1::Event> = world.api();
    let old = core.get(written.metadata.name.as_deref().unwrap()).await.unwrap();
    assert_eq!(old.message.as_deref(), Some("it did not work"));
    assert_eq!(old.involved_object.name.as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_is_put_on_heeded_and_taken_off() {
    const NAME: &str = "example.com/held";
    let world = World::new();
    let api: Api<ConfigMap> = world.api();
    world.create::<ConfigMap>(map("a", "1")).await;
    let mut turns = Vec::new();
    // It is put on, the object is applied, and is cleaned up after it was deleted.
    for round in 0..3 {
        if round == 2 {
            api.delete("a", &DeleteParams::default()).await.unwrap();
        }
        let object = Arc::new(api.get("a").await.unwrap());
        let turn = |turn| {
            turns.push(match turn {
                Turn::Apply(_) => "apply",
                Turn::Cleanup(_) => "cleanup",
            });
            std::future::ready(Ok::<_, Infallible>(Action::await_change()))
        };
        finalizer(&api, NAME, object, turn).await.unwrap();
    }
    assert_eq!(turns, ["apply", "cleanup"]);
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_ephemeral_container_is_added_and_stays() {
    let world = World::new();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "x:1"}]}});
    world.create::<Pod>(pod).await;
    let api: Api<Pod> = world.api();
    let debug = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "y:1"}]}});
    let params = PatchParams::default();
    api.patch_ephemeral_containers("p", &params, &Patch::Strategic(debug)).await.unwrap();
    let mut pod = api.get_ephemeral_containers("p").await.unwrap();
    let names = |pod: &Pod| -> Vec<String> {
        let spec = pod.spec.as_ref().unwrap();
        let all = spec.ephemeral_containers.iter().flatten();
        all.map(|container| container.name.clone()).collect()
    };
    assert_eq!(names(&pod), ["debug"]);
    pod.spec.as_mut().unwrap().ephemeral_containers = None;
    let refused = api.replace_ephemeral_containers("p", &PostParams::default(), &pod).await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 422));
    assert_eq!(names(&api.get("p").await.unwrap()), ["debug"]);
}
