use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::{Guarded, get, send};

const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

async fn account(world: &Guarded, name: &str) {
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    world.create("/api/v1/namespaces/default/serviceaccounts", body).await;
}

async fn pod(world: &Guarded, account: &str) {
    let body = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"serviceAccountName": account, "containers": [{"name": "c", "image": "x:1"}]},
    });
    world.create("/api/v1/namespaces/default/pods", body).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_is_its_account_until_it_ends() {
    let world = Guarded::new();
    account(&world, "op").await;
    let (code, made) = world.token("op", json!({"expirationSeconds": 600})).await;
    assert_eq!(
        (code, made["status"]["expirationTimestamp"].as_str()),
        (201, Some("2026-01-01T00:10:00Z"))
    );
    let token = made["status"]["token"].as_str().unwrap();
    let who = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let (_, me) = world.post(&world.client(token), WHO, &who).await;
    assert_eq!(me["status"]["userInfo"]["username"], "system:serviceaccount:default:op");
    let review = world.review(token).await;
    assert_eq!(review["authenticated"], true);
    assert_eq!(review["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));
    let id = review["user"]["extra"]["authentication.kubernetes.io/credential-id"][0].as_str();
    assert!(id.unwrap().starts_with("JTI="), "{review}");
    // Clocks may differ by a minute.
    sleep(Duration::from_secs(655)).await;
    assert_eq!(world.review(token).await["authenticated"], true);
    sleep(Duration::from_secs(10)).await;
    let (code, _) = world.post(&world.client(token), WHO, &who).await;
    assert_eq!(code, 401);
    let ended = "[invalid bearer token, service account token has expired]";
    assert_eq!(world.review(token).await, json!({"user": {}, "error": ended}));
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_the_pod_it_is_bound_to() {
    let world = Guarded::new();
    account(&world, "op").await;
    pod(&world, "op").await;
    let bound = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}});
    let (code, made) = world.token("op", bound).await;
    assert_eq!(code, 201, "{made}");
    let token = made["status"]["token"].as_str().unwrap();
    let review = world.review(token).await;
    assert_eq!(review["user"]["extra"]["authentication.kubernetes.io/pod-name"], json!(["p"]));
    let place = "/api/v1/namespaces/default/pods/p?gracePeriodSeconds=0";
    send(&world.master, "DELETE", place, "application/json", &serde_json::Value::Null).await;
    let ended = "[invalid bearer token, service account token has been invalidated]";
    assert_eq!(world.review(token).await["error"], ended);
    assert_eq!(get(&world.client(token), "/version").await.0, 401);
    // Another pod of the same name is another one.
    pod(&world, "op").await;
    assert_eq!(world.review(token).await["error"], ended);
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_account() {
    let world = Guarded::new();
    account(&world, "op").await;
    let (_, made) = world.token("op", json!({})).await;
    let token = made["status"]["token"].as_str().unwrap();
    let place = "/api/v1/namespaces/default/serviceaccounts/op";
    send(&world.master, "DELETE", place, "application/json", &serde_json::Value::Null).await;
    let gone = "[invalid bearer token, serviceaccounts \"op\" not found]";
    assert_eq!(world.review(token).await["error"], gone);
    account(&world, "op").await;
    let error = world.review(token).await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("does not match claim"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_token_for_others_does_not_open_the_server() {
    let world = Guarded::new();
    account(&world, "op").await;
    let (_, made) = world.token("op", json!({"audiences": ["vault"]})).await;
    let token = made["status"]["token"].as_str().unwrap();
    assert_eq!(get(&world.client(token), "/version").await.0, 401);
    let error = world.review(token).await["error"].as_str().unwrap().to_owned();
    assert!(
        error.contains(r#"token audiences ["vault"] is invalid for the target audiences"#),
        "{error}"
    );
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": token, "audiences": ["vault", "other"]},
    });
    let review = world.create("/apis/authentication.k8s.io/v1/tokenreviews", body).await;
    assert_eq!(review["status"]["audiences"], json!(["vault"]));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_bound_is_refused() {
    let world = Guarded::new();
    account(&world, "op").await;
    pod(&world, "default").await;
    let bound = |kind: &str, name: &str| json!({"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name}});
    let (code, status) = world.token("op", bound("Pod", "p")).await;
    let text = "cannot bind token for serviceaccount \"op\" to pod running with different serviceaccount name.";
    assert_eq!((code, status["message"].as_str()), (400, Some(text)));
    let (code, status) = world.token("op", bound("Pod", "q")).await;
    assert_eq!((code, status["message"].as_str()), (404, Some("pods \"q\" not found")));
    let (code, status) = world.token("op", bound("Service", "s")).await;
    let text = "cannot bind token to object of type /v1, Kind=Service";
    assert_eq!((code, status["message"].as_str()), (400, Some(text)));
    let mut wrong = bound("Pod", "p");
    wrong["boundObjectRef"]["uid"] = "0".into();
    let (code, _) = world.token("default", wrong).await;
    assert_eq!(code, 409);
    let (code, _) = world.token("op", json!({"expirationSeconds": 599})).await;
    assert_eq!(code, 422);
}
