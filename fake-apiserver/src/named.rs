//! Clients that say who they are.

use http::Request;
use http::header::{HeaderValue, USER_AGENT};
use kube::Client;
use kube::client::Body;

/// A client that names itself in requests that name nobody: the server notes who wrote what.
pub(crate) fn named(client: Client, agent: &'static str) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(agent));
        let client = client.clone();
        async move { client.send(request).await }
    });
    Client::new(service, namespace)
}
