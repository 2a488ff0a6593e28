//! Any bytes as any patch: answered, never a panic, and what is stored can be read again.

#![no_main]

use fake_apiserver::{ApiServer, Options};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tokio::sync::OnceCell;

const TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

fn options() -> Options {
    Options::at("2026-01-01T00:00:00Z".parse().expect("a time"), 7)
}

/// A server with a pod. Each input has a copy, which costs next to nothing.
async fn furnished() -> &'static ApiServer {
    static FURNISHED: OnceCell<ApiServer> = OnceCell::const_new();
    let furnish = || async {
        let server = ApiServer::new(options());
        let pod = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let pods = Api::<Pod>::default_namespaced(server.client());
        pods.create(&PostParams::default(), &pod).await.expect("the pod");
        server
    };
    FURNISHED.get_or_init(furnish).await
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (kind, body) = input;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = furnished().await.copy(options()).client();
        let pods = Api::<Pod>::default_namespaced(client.clone());
        let request = http::Request::patch("/api/v1/namespaces/default/pods/a?fieldManager=fuzz")
            .header("content-type", TYPES[usize::from(kind) % TYPES.len()])
            .body(body)
            .expect("a request");
        let _ = client.request::<serde_json::Value>(request).await;
        pods.get("a").await.expect("a pod that can be read");
    });
});
