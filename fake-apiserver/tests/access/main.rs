//! Who asks, and what they may do, in virtual time: tokens, certificates and roles.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod certificates;
mod roles;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use fake_apiserver::{ApiServer, Clock, Options, controllers};
use http::header::{AUTHORIZATION, HeaderValue};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower::Service;

/// A server that asks everybody who they are, with its controllers.
struct Guarded {
    server: ApiServer,
    /// Who may do everything.
    master: Client,
    clock: Clock,
}

impl Guarded {
    fn new() -> Self {
        let (start, epoch) =
            (Instant::now(), "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap());
        let clock: Clock = Arc::new(move || epoch + start.elapsed());
        let server = ApiServer::new(Options { clock: Arc::clone(&clock), seed: 3 });
        server.require_token("master");
        tokio::spawn(controllers::controllers(server.client(), Arc::clone(&clock)));
        let master = with_token(&server, "master");
        Self { server, master, clock }
    }

    /// A client that shows a token.
    fn client(&self, token: &str) -> Client {
        with_token(&self.server, token)
    }

    /// A client that is taken for another user.
    fn user(&self, name: &'static str) -> Client {
        let front = self.server.front();
        client(
            front,
            vec![
                ("authorization", "Bearer master".to_owned()),
                ("impersonate-user", name.to_owned()),
            ],
        )
    }

    /// Sends JSON; the status and the answer.
    async fn post(&self, client: &Client, path: &str, body: &Value) -> (u16, Value) {
        send(client, "POST", path, "application/json", body).await
    }

    async fn create(&self, path: &str, body: Value) -> Value {
        let (code, made) = self.post(&self.master, path, &body).await;
        assert_eq!(code, 201, "{made}");
        made
    }

    /// A new token of a service account in `default`.
    async fn token(&self, account: &str, spec: Value) -> (u16, Value) {
        let path = format!("/api/v1/namespaces/default/serviceaccounts/{account}/token");
        self.post(&self.master, &path, &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})).await
    }

    /// What the server says of a token.
    async fn review(&self, token: &str) -> Value {
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        self.create("/apis/authentication.k8s.io/v1/tokenreviews", body).await["status"].take()
    }
}

fn with_token(server: &ApiServer, token: &str) -> Client {
    client(server.front(), vec![("authorization", format!("Bearer {token}"))])
}

fn client(front: fake_apiserver::Front, headers: Vec<(&'static str, String)>) -> Client {
    let service = tower::service_fn(move |mut request: http::Request<Body>| {
        for (name, value) in &headers {
            let mut value = HeaderValue::from_str(value).unwrap();
            value.set_sensitive(*name == AUTHORIZATION.as_str());
            request.headers_mut().insert(*name, value);
        }
        front.clone().call(request)
    });
    Client::new(service, "default")
}

async fn send(client: &Client, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
    let answer = client.send(request.body(Body::from(body)).unwrap()).await.unwrap();
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect_bytes().await.unwrap();
    (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn get(client: &Client, path: &str) -> (u16, Value) {
    send(client, "GET", path, "application/json", &Value::Null).await
}

/// Asks until the answer is as wanted.
async fn until(client: &Client, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..100 {
        let (_, found) = get(client, path).await;
        if wanted(&found) {
            return found;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} never was as wanted: {}", get(client, path).await.1);
}
