//! The server through a `kube::Client`, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use fake_apiserver::{ApiServer, ChangeKind, Options};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

fn server() -> ApiServer {
    ApiServer::new(Options::at("2026-01-01T00:00:00Z".parse().unwrap(), 7))
}

fn of<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

#[allow(clippy::needless_pass_by_value, reason = "called with literals")]
fn config_map(name: &str, data: Value) -> ConfigMap {
    of(json!({"metadata": {"name": name}, "data": data}))
}

fn pod(name: &str, node: Option<&str>) -> Pod {
    let spec =
        json!({"nodeName": node, "containers": [{"name": "main", "image": "example.com/main:1"}]});
    of(json!({"metadata": {"name": name, "labels": {"app": "db"}}, "spec": spec}))
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("no answer of the server: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_update_is_refused() {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    let first =
        maps.create(&PostParams::default(), &config_map("a", json!({"n": "0"}))).await.unwrap();
    let mut next = first.clone();
    next.data = Some([("n".to_owned(), "1".to_owned())].into());
    maps.replace("a", &PostParams::default(), &next).await.unwrap();
    let error = maps.replace("a", &PostParams::default(), &next).await.unwrap_err();
    assert_eq!(code(&error), 409);
    assert_eq!(maps.get("a").await.unwrap().data, next.data);
}

#[tokio::test(start_paused = true)]
async fn a_copy_begins_with_all_there_is_and_goes_its_own_way() {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    let post = PostParams::default();
    let first = maps.create(&post, &config_map("a", json!({"n": "0"}))).await.unwrap();
    let mut changes = server.changes();
    let later = "2026-01-02T00:00:00Z".parse().unwrap();
    // The same seed: what it makes must differ all the same from what is there.
    let copy = server.copy(Options::at(later, 7));
    assert_eq!(copy.revision(), server.revision());
    let copied = Api::<ConfigMap>::default_namespaced(copy.client());
    assert_eq!(copied.get("a").await.unwrap(), first);
    let made = copied.create(&post, &config_map("b", json!({}))).await.unwrap();
    assert_ne!(made.uid(), first.uid());
    assert_eq!(made.creation_timestamp().unwrap().0.to_string(), "2026-01-02T00:00:00Z");
    copied.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items, [first]);
    assert!(changes.try_next().is_none(), "what happens in the copy is told elsewhere");
    let told: Vec<_> = copy.history(server.revision()).iter().map(|change| change.kind).collect();
    assert_eq!(told, [ChangeKind::Added, ChangeKind::Deleted]);
}

#[tokio::test]
#[rstest]
#[case::no_protobuf(
    b"{}",
    "the object provided is unrecognized (must be of type Pod): provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({})"
)]
#[case::unknown_kind(
    b"k8s\0\x0a\x07\x0a\x02v1\x12\x01X\x12\0",
    "X in version \"v1\" cannot be handled as a Pod: no kind \"X\" is registered for version \"v1\" in scheme \"pkg/api/legacyscheme/scheme.go:30\""
)]
#[case::cut_short(
    b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x0a\x09",
    "Pod in version \"v1\" cannot be handled as a Pod: unexpected EOF"
)]
async fn protobuf_that_cannot_be_read_is_refused(#[case] body: &[u8], #[case] message: &str) {
    let request = http::Request::post("/api/v1/namespaces/default/pods")
        .header("content-type", "application/vnd.kubernetes.protobuf")
        .body(body.to_vec())
        .unwrap();
    let error = server().client().request_text(request).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(s) if s.code == 400 && s.message == message),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_writes_nothing() {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    maps.create(&PostParams::default(), &config_map("a", json!({"n": "0"}))).await.unwrap();
    let before = server.revision();
    let patch = Patch::Merge(json!({"data": {"n": "0"}}));
    maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(server.revision(), before);
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_objects_that_enter_and_leave_its_selection() {
    let server = server();
    let secrets = Api::<Secret>::default_namespaced(server.client());
    let since = server.revision().to_string();
    secrets.create(&PostParams::default(), &of(json!({"metadata": {"name": "a"}}))).await.unwrap();
    for labels in [json!({"app": "db"}), json!({"app": "db", "more": "1"}), json!({"app": "web"})] {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        secrets.patch("a", &PatchParams::default(), &patch).await.unwrap();
    }
    let params = WatchParams::default().labels("app=db").timeout(1).disable_bookmarks();
    let events: Vec<WatchEvent<Secret>> =
        secrets.watch(&params, &since).await.unwrap().try_collect().await.unwrap();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event {
            WatchEvent::Added(_) => "added",
            WatchEvent::Modified(_) => "modified",
            WatchEvent::Deleted(_) => "deleted",
            WatchEvent::Bookmark(_) | WatchEvent::Error(_) => "other",
        })
        .collect();
    assert_eq!(kinds, ["added", "modified", "deleted"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_forgotten_version_is_told_so() {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    let since = server.revision().to_string();
    maps.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    server.compact(server.revision());
    let events: Vec<_> =
        maps.watch(&WatchParams::default(), &since).await.unwrap().try_collect().await.unwrap();
    assert!(
        matches!(events.as_slice(), [WatchEvent::Error(status)] if status.code == 410),
        "{events:?}"
    );
}

#[rstest]
#[case::list_watch(watcher::Config::default())]
#[case::streaming_list(watcher::Config::default().streaming_lists())]
#[tokio::test(start_paused = true)]
async fn the_watcher_of_kube_runtime_follows(#[case] config: watcher::Config) {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    maps.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let mut seen = Box::pin(watcher(maps.clone(), config).applied_objects());
    assert_eq!(seen.next().await.unwrap().unwrap().name_any(), "a");
    maps.create(&PostParams::default(), &config_map("b", json!({}))).await.unwrap();
    assert_eq!(seen.next().await.unwrap().unwrap().name_any(), "b");
    // A day of re-opened watches loses nothing.
    sleep(Duration::from_secs(86_400)).await;
    maps.create(&PostParams::default(), &config_map("c", json!({}))).await.unwrap();
    assert_eq!(seen.next().await.unwrap().unwrap().name_any(), "c");
}

#[tokio::test(start_paused = true)]
async fn a_bound_pod_is_marked_and_goes_when_its_node_agrees() {
    let server = server();
    let pods = Api::<Pod>::default_namespaced(server.client());
    pods.create(&PostParams::default(), &pod("p", Some("n1"))).await.unwrap();
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    let marked = pods.get("p").await.unwrap();
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(30));
    pods.delete("p", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert_eq!(code(&pods.get("p").await.unwrap_err()), 404);
    let kinds: Vec<ChangeKind> = server
        .history(0)
        .iter()
        .filter(|change| change.name == "p")
        .map(|change| change.kind)
        .collect();
    let wanted =
        [ChangeKind::Added, ChangeKind::Modified, ChangeKind::Modified, ChangeKind::Deleted];
    assert_eq!(kinds, wanted);
}

#[tokio::test(start_paused = true)]
async fn an_apply_owns_fields_and_conflicts_with_other_owners() {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    let apply = |data: Value| {
        Patch::Apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}),
        )
    };
    maps.patch("a", &PatchParams::apply("one"), &apply(json!({"k": "1", "x": "1"}))).await.unwrap();
    let error =
        maps.patch("a", &PatchParams::apply("two"), &apply(json!({"k": "2"}))).await.unwrap_err();
    assert_eq!(code(&error), 409);
    maps.patch("a", &PatchParams::apply("two").force(), &apply(json!({"k": "2"}))).await.unwrap();
    let left = maps.patch("a", &PatchParams::apply("one"), &apply(json!({}))).await.unwrap();
    assert_eq!(left.data, Some([("k".to_owned(), "2".to_owned())].into()));
}

#[tokio::test(start_paused = true)]
async fn pages_show_one_moment() {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &config_map(name, json!({}))).await.unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let second = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    let names: Vec<String> = first.iter().chain(second.iter()).map(ResourceExt::name_any).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn most_of_a_stateful_set_cannot_change() {
    let server = server();
    let sets = Api::<StatefulSet>::default_namespaced(server.client());
    let template = json!({
        "metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "main", "image": "i"}]},
    });
    let spec = json!({"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template});
    sets.create(&PostParams::default(), &of(json!({"metadata": {"name": "db"}, "spec": spec})))
        .await
        .unwrap();
    let patch = |spec: Value| Patch::Strategic(json!({"spec": spec}));
    let grown =
        sets.patch("db", &PatchParams::default(), &patch(json!({"replicas": 2}))).await.unwrap();
    assert_eq!(grown.metadata.generation, Some(2));
    let error = sets
        .patch("db", &PatchParams::default(), &patch(json!({"serviceName": "x"})))
        .await
        .unwrap_err();
    assert_eq!(code(&error), 422);
}

/// What happens in a small world, as text.
async fn trace(seed: u64) -> String {
    let server = ApiServer::new(Options::at("2026-01-01T00:00:00Z".parse().unwrap(), seed));
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    for _ in 0..5 {
        let map: ConfigMap = of(json!({"metadata": {"generateName": "part-"}}));
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    server
        .history(0)
        .iter()
        .map(|change| format!("{} {}\n", change.revision, change.object))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(trace(3).await, trace(3).await);
    assert_ne!(trace(3).await, trace(4).await);
}

/// The answer to a GET of the front, as JSON.
async fn get(server: &ApiServer, path: &str, accept: &str) -> Value {
    let request = http::Request::get(path).header("Accept", accept);
    let request = request.body(kube::client::Body::empty()).unwrap();
    let mut front = server.front();
    let response = tower::Service::call(&mut front, request).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON at {path}: {body:?}"))
}

#[tokio::test(start_paused = true)]
async fn a_custom_kind_is_documented() {
    let server = server();
    let definition = json!({
        "metadata": {"name": "wells.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Well", "plural": "wells"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "description": "What it is to be.", "properties": {"depth": {"type": "integer"}}},
                }}},
            }],
        },
    });
    let api = Api::<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition>::all(server.client());
    api.create(&PostParams::default(), &of(definition)).await.unwrap();
    let root = get(&server, "/openapi/v3", "application/json").await;
    let url = root["paths"]["apis/example.com/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = get(&server, url, "application/json").await;
    let kind = &document["components"]["schemas"]["com.example.v1.Well"];
    assert_eq!(kind["properties"]["spec"]["description"], "What it is to be.");
    let metadata = kind["properties"]["metadata"]["allOf"][0]["$ref"].as_str().unwrap();
    assert!(document.pointer(metadata.trim_start_matches('#')).is_some(), "{metadata}");
    let item = "/apis/example.com/v1/namespaces/{namespace}/wells/{name}";
    let patch = &document["paths"][item]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Well");
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    assert!(
        patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_none()
    );
    assert!(document["paths"].get(format!("{item}/status")).is_some());
}

#[tokio::test(start_paused = true)]
async fn tables_show_events_by_what_they_tell() {
    let server = server();
    let events = Api::<k8s_openapi::api::core::v1::Event>::default_namespaced(server.client());
    let event = json!({
        "metadata": {"name": "e", "namespace": "default"}, "type": "Normal", "reason": "Create",
        "message": "made it", "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "lastTimestamp": "2025-12-31T23:59:00Z",
    });
    events.create(&PostParams::default(), &of(event)).await.unwrap();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = get(&server, "/api/v1/namespaces/default/events", accept).await;
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    let cells = table["rows"][0]["cells"].as_array().unwrap().iter();
    let narrow: Vec<&Value> = columns
        .zip(cells)
        .filter(|(column, _)| column["priority"] == 0)
        .map(|(_, cell)| cell)
        .collect();
    assert_eq!(narrow, ["60s", "Normal", "Create", "pod/p", "made it"]);
}

#[tokio::test(start_paused = true)]
async fn a_watched_table_has_the_age_of_the_moment() {
    let (start, began) =
        ("2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap(), Instant::now());
    let clock = std::sync::Arc::new(move || start + began.elapsed());
    let server = ApiServer::new(Options { clock, seed: 7 });
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    maps.create(&PostParams::default(), &config_map("a", json!({"n": "0"}))).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    let request = http::Request::get("/api/v1/namespaces/default/configmaps?watch=true")
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    let events = server.client().request_events::<Value>(request).await.unwrap();
    let age = |event: kube::Result<WatchEvent<Value>>| match event.unwrap() {
        WatchEvent::Added(table) | WatchEvent::Modified(table) => {
            table["rows"][0]["cells"][2].clone()
        }
        other => panic!("{other:?}"),
    };
    let mut ages = std::pin::pin!(events.map(age));
    assert_eq!(ages.next().await, Some(json!("30s")));
    sleep(Duration::from_secs(15)).await;
    let patch = Patch::Merge(json!({"data": {"n": "1"}}));
    maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(ages.next().await, Some(json!("45s")));
}
