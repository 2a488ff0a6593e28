//! What no well-behaved client does: bodies that are broken or too large, strange paths and methods, very many watches,
//! and clients that do not read what they asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytes::Bytes;
use fake_apiserver::{ApiServer, Options};
use futures::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{PostParams, WatchEvent, WatchParams};
use rstest::rstest;
use serde_json::{Value, json};
use tower::ServiceExt;

fn server() -> ApiServer {
    ApiServer::new(Options::at("2026-01-01T00:00:00Z".parse().unwrap(), 7))
}

fn config_map(name: &str, text: String) -> ConfigMap {
    let mut map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    map.data = Some([("text".to_owned(), text)].into());
    map
}

async fn ask(method: &str, path: &str, media: &str, body: impl Into<Bytes>) -> (u16, Value) {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", media)
        .body(Full::new(body.into()))
        .unwrap();
    let reply = server().front().oneshot(request).await.unwrap();
    let code = reply.status().as_u16();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap_or_default())
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[rstest]
#[case::no_json("application/json", "{", 400)]
#[case::nothing("application/json", "", 400)]
#[case::not_an_object("application/json", "[]", 400)]
#[case::no_text("application/json", "\u{0}\u{1}", 400)]
#[case::no_protobuf("application/vnd.kubernetes.protobuf", "k8s\u{0}\u{ff}\u{ff}", 400)]
#[case::unknown_media("text/plain", "{}", 415)]
#[tokio::test]
async fn a_broken_body_is_refused(
    #[case] media: &str,
    #[case] body: &'static str,
    #[case] code: u16,
) {
    let (found, status) = ask("POST", MAPS, media, body).await;
    assert_eq!((found, &status["kind"]), (code, &json!("Status")), "{status}");
}

#[tokio::test]
async fn a_body_that_is_nested_without_end_is_refused() {
    let body = "{\"a\":".repeat(100_000);
    assert_eq!(ask("POST", MAPS, "application/json", body).await.0, 400);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_unread() {
    let body = vec![b' '; 3 * 1024 * 1024 + 1];
    let (code, status) = ask("POST", MAPS, "application/json", body).await;
    assert_eq!(code, 413);
    assert_eq!(status["reason"], "RequestEntityTooLarge");
    assert_eq!(status["message"], "Request entity too large: limit is 3145728");
}

#[rstest]
#[case("/api/v1/namespaces/../secrets")]
#[case("/api/v1/namespaces/%2e%2e/secrets/a")]
#[case("/api/v1/namespaces/default/configmaps/..%2fsecrets")]
#[case("/api/v1/namespaces/default/configmaps/%00")]
#[case("/api/v1/namespaces/default/configmaps/%ff")]
#[case("//api//v1//namespaces//default")]
#[case("/apis/apps/v1/namespaces/default/statefulsets/a/b/c/d/e/f")]
#[case("/apis////")]
#[tokio::test]
async fn a_strange_path_leads_nowhere(#[case] path: &str) {
    let (code, body) = ask("GET", path, "", "").await;
    let shows_nothing =
        body["items"].as_array().is_none_or(Vec::is_empty) && body["metadata"]["name"].is_null();
    assert!([200, 400, 404].contains(&code) && shows_nothing, "{path}: {code} {body}");
}

#[rstest]
#[case("TRACE")]
#[case("CONNECT")]
#[case("BREW")]
#[tokio::test]
async fn an_unknown_method_is_refused(#[case] method: &str) {
    assert_eq!(ask(method, MAPS, "", "").await.0, 405);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_watches_hear_of_a_change_each() {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    let mut watches = Vec::new();
    for _ in 0..1_000 {
        watches.push(maps.watch(&WatchParams::default(), "0").await.unwrap().boxed());
    }
    maps.create(&PostParams::default(), &config_map("a", String::new())).await.unwrap();
    for watch in &mut watches {
        loop {
            match watch.try_next().await.unwrap().unwrap() {
                WatchEvent::Added(map) if map.metadata.name.as_deref() == Some("a") => break,
                // What was there before.
                WatchEvent::Added(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Who does not read is told so when it reads again, if what it missed is forgotten by then; who reads, or watches what
/// does not change, is not.
#[tokio::test(start_paused = true)]
async fn a_watch_that_is_not_read_costs_no_memory_for_ever() {
    let server = server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    let secrets = Api::<k8s_openapi::api::core::v1::Secret>::default_namespaced(server.client());
    let from = server.revision().to_string();
    let mut unread = maps.watch(&WatchParams::default(), &from).await.unwrap().boxed();
    let mut quiet = secrets.watch(&WatchParams::default(), &from).await.unwrap().boxed();
    let mut map =
        maps.create(&PostParams::default(), &config_map("a", String::new())).await.unwrap();
    for round in 0..20_100 {
        map.data = Some([("round".to_owned(), round.to_string())].into());
        map = maps.replace("a", &PostParams::default(), &map).await.unwrap();
    }
    assert!(server.history(0).len() <= 20_000);
    let secret = serde_json::from_value(json!({"metadata": {"name": "b"}})).unwrap();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    assert!(matches!(quiet.try_next().await.unwrap().unwrap(), WatchEvent::Added(_)));
    let refusal = loop {
        match unread.try_next().await.unwrap().unwrap() {
            WatchEvent::Error(refusal) => break refusal,
            WatchEvent::Added(_) | WatchEvent::Modified(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((refusal.code, refusal.reason.as_str()), (410, "Expired"));
}
