//! What kube-rs's runtime asks of a server.

use std::time::Duration;

use fake_apiserver::{ApiServer, Options};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use serde_json::json;

use crate::world::clock;

fn api() -> (ApiServer, Api<ConfigMap>) {
    let server = ApiServer::new(Options { clock: clock(), seed: 1 });
    let api = Api::default_namespaced(server.client());
    (server, api)
}

async fn create(api: &Api<ConfigMap>, name: &str) {
    let map = json!({"metadata": {"name": name, "labels": {"on": "yes"}}, "data": {"k": "v"}});
    api.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pages_show_one_moment_while_writes_go_on() {
    let (_, api) = api();
    for name in ["a", "b", "c", "d"] {
        create(&api, name).await;
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    api.delete("c", &DeleteParams::default()).await.unwrap();
    create(&api, "bb").await;
    let token = first.metadata.continue_.clone().unwrap();
    let second = api.list(&ListParams::default().limit(9).continue_token(&token)).await.unwrap();
    let names: Vec<_> = second.items.iter().filter_map(|m| m.metadata.name.as_deref()).collect();
    assert_eq!(names, ["c", "d"]);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_forgotten_moment_is_refused() {
    let (server, api) = api();
    for name in ["a", "b"] {
        create(&api, name).await;
    }
    let first = api.list(&ListParams::default().limit(1)).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    create(&api, "c").await;
    server.compact(server.revision());
    let refused = api.list(&ListParams::default().continue_token(&token)).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 410));
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_begins_with_what_is_there() {
    let (_, api) = api();
    create(&api, "a").await;
    let mut events = watch(api.clone(), watcher::Config::default().streaming_lists()).boxed();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(match events.try_next().await.unwrap().unwrap() {
            Event::Init => "init".to_owned(),
            Event::InitApply(map) => format!("has {}", map.metadata.name.unwrap()),
            Event::InitDone => "done".to_owned(),
            Event::Apply(map) => format!("new {}", map.metadata.name.unwrap()),
            Event::Delete(_) => "gone".to_owned(),
        });
    }
    create(&api, "b").await;
    let event = events.try_next().await.unwrap().unwrap();
    assert!(matches!(event, Event::Apply(map) if map.metadata.name.as_deref() == Some("b")));
    assert_eq!(seen, ["init", "has a", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_goes_on_after_its_watch_timed_out() {
    let (_, api) = api();
    let config = watcher::Config::default().timeout(10);
    let mut events = watch(api.clone(), config).applied_objects().boxed();
    create(&api, "a").await;
    assert!(events.try_next().await.unwrap().is_some());
    let later = api.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(95)).await;
        create(&later, "b").await;
    });
    let next = events.try_next().await.unwrap().unwrap();
    assert_eq!(next.metadata.name.as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn metadata_alone_is_listed_watched_and_patched() {
    let (server, api) = api();
    create(&api, "a").await;
    let list = api.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.len(), 1);
    let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(server.client());
    let mut events = watch(metadata, watcher::Config::default()).applied_objects().boxed();
    assert!(events.try_next().await.unwrap().is_some());
    let body = json!({"metadata": {"finalizers": ["example.com/held"]}});
    let patched =
        api.patch_metadata("a", &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
    assert_eq!(patched.metadata.finalizers.as_deref().unwrap(), ["example.com/held"]);
    let told = events.try_next().await.unwrap().unwrap();
    assert_eq!(told.metadata.resource_version, patched.metadata.resource_version);
    assert!(told.metadata.deletion_timestamp.is_none());
    assert!(api.delete("a", &DeleteParams::default()).await.unwrap().left().is_some());
}
