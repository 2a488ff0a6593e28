//! Reads and writes a second in process, with ten watchers: `cargo run --release -p fake-apiserver --example throughput`.

#![allow(clippy::disallowed_methods, clippy::expect_used, reason = "it measures real time")]

use std::time::Instant;

use fake_apiserver::{ApiServer, Options};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams, WatchParams};
use serde_json::json;

const ROUNDS: u32 = 20_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), kube::Error> {
    let begun = Instant::now();
    let server = ApiServer::new(Options::at(jiff::Timestamp::UNIX_EPOCH, 1));
    println!("start-up: {:?}", begun.elapsed());
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    let map = serde_json::from_value(json!({"metadata": {"name": "a"}})).expect("a config map");
    maps.create(&PostParams::default(), &map).await?;
    for _ in 0..10 {
        let events = maps.watch(&WatchParams::default(), &server.revision().to_string()).await?;
        tokio::spawn(events.boxed().for_each(|_| std::future::ready(())));
    }
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        maps.get("a").await?;
    }
    println!("reads a second: {:.0}", f64::from(ROUNDS) / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    for round in 0..ROUNDS {
        let patch = Patch::Merge(json!({"data": {"n": round.to_string()}}));
        maps.patch("a", &PatchParams::default(), &patch).await?;
        tokio::task::yield_now().await;
    }
    println!("writes a second: {:.0}", f64::from(ROUNDS) / begun.elapsed().as_secs_f64());
    Ok(())
}
