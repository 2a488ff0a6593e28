//! How fast the API is, and how small: `cargo bench -p fake-apiserver`.
//!
//! Measured in process and over HTTP. The same load goes to any other server with
//! `cargo bench -p fake-apiserver -- --server URL --token T`; it works in a namespace of its own, which it removes.

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::time::{Duration, Instant};

use fake_apiserver::{ApiServer, Options};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::{Api, Client};
use serde_json::json;

const NAMESPACE: &str = "fake-apiserver-bench";
/// How long each operation is repeated.
const EACH: Duration = Duration::from_millis(1500);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let (mut server, mut token) = (None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--server" => server = words.next(),
            "--token" => token = words.next(),
            other => {
                return Err(format!("unknown argument {other}: --server URL, --token T").into());
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(url) = server {
        let mut config = kube::Config::new(url.parse()?);
        config.accept_invalid_certs = true;
        config.auth_info.token = token.map(Into::into);
        return runtime.block_on(async { load(&url, Client::try_from(config)?).await });
    }
    runtime.block_on(async {
        // First, as long as nobody has used memory that could be used again.
        start_up().await?;
        memory().await?;
        load("in process", new_server().client()).await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        // The server has a thread of its own, as one in another process would have.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let listener = listener.into_std()?;
            runtime.block_on(async move {
                new_server().serve(tokio::net::TcpListener::from_std(listener)?).await
            })
        });
        load("over HTTP", Client::try_from(kube::Config::new(url.parse()?))?).await
    })
}

fn new_server() -> ApiServer {
    ApiServer::new(Options::at(jiff::Timestamp::UNIX_EPOCH, 1))
}

/// How long a server takes until it is there, and until it has answered: the first in the process, and each further
/// one. The first that answers reads the recorded schemas.
async fn start_up() -> Outcome {
    for (which, times) in [("the first", 1), ("each further one", 100)] {
        let (mut there, mut answered) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..times {
            let begun = Instant::now();
            let server = new_server();
            there += begun.elapsed();
            Api::<Namespace>::all(server.client()).get("default").await?;
            answered += begun.elapsed();
        }
        let (there, answered) = (there / times, answered / times);
        println!("start-up of {which}: {there:.1?}, with an answer {answered:.1?}");
    }
    Ok(())
}

fn map(name: &str, value: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"of": "bench"}},
        "data": {"value": value},
    })
}

/// Repeats an operation, which is told how often it was done before, and prints how often it can be done a second.
async fn repeat<F: Future<Output = Outcome>>(
    what: &str,
    mut operation: impl FnMut(u32) -> F,
) -> Outcome {
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < EACH {
        operation(done).await?;
        done += 1;
    }
    println!("  {what:<32} {:>9.0} a second", f64::from(done) / begun.elapsed().as_secs_f64());
    Ok(())
}

async fn load(place: &str, client: Client) -> Outcome {
    println!("{place}:");
    let namespaces = Api::<Namespace>::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    let measured = operations(&Api::namespaced(client, NAMESPACE)).await;
    namespaces.delete(NAMESPACE, &DeleteParams::default()).await?;
    measured
}

async fn operations(maps: &Api<ConfigMap>) -> Outcome {
    let post = PostParams::default();
    for index in 0..1000 {
        maps.create(&post, &serde_json::from_value(map(&format!("listed-{index}"), ""))?).await?;
    }
    repeat("get", async |_| Ok(maps.get("listed-7").await.map(drop)?)).await?;
    repeat("list 1,000", async |_| {
        Ok(maps.list(&ListParams::default().labels("of=bench")).await.map(drop)?)
    })
    .await?;
    for watchers in [10, 100] {
        let counts = watch(maps, watchers).await?;
        repeat(&format!("create, {watchers} watchers"), async |n| {
            let name = format!("made-{watchers}-{n}");
            Ok(maps.create(&post, &serde_json::from_value(map(&name, ""))?).await.map(drop)?)
        })
        .await?;
        repeat(&format!("patch, {watchers} watchers"), async |n| {
            let patch = Patch::Merge(json!({"data": {"value": n.to_string()}}));
            Ok(maps.patch("listed-1", &PatchParams::default(), &patch).await.map(drop)?)
        })
        .await?;
        fan_out(maps, counts).await?;
    }
    repeat("get and update", async |n| {
        let mut found = maps.get("listed-2").await?;
        found.data = Some([("value".to_owned(), n.to_string())].into());
        Ok(maps.replace("listed-2", &post, &found).await.map(drop)?)
    })
    .await?;
    repeat("apply", async |n| {
        let patch = Patch::Apply(map("listed-3", &n.to_string()));
        Ok(maps.patch("listed-3", &PatchParams::apply("bench").force(), &patch).await.map(drop)?)
    })
    .await
}

/// Watchers, each of which ends when it sees the object `last`.
type Watchers = Vec<tokio::task::JoinHandle<kube::Result<u32>>>;

async fn watch(maps: &Api<ConfigMap>, watchers: usize) -> Outcome<Watchers> {
    let now = maps.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
    let now = now.unwrap_or_default();
    let mut started = Vec::new();
    for _ in 0..watchers {
        let mut events = maps.watch(&WatchParams::default(), &now).await?.boxed();
        started.push(tokio::spawn(async move {
            let mut seen = 0;
            while let Some(event) = events.try_next().await? {
                seen += 1;
                if matches!(event, WatchEvent::Deleted(map) if map.metadata.name.as_deref() == Some("last")) {
                    break;
                }
            }
            Ok(seen)
        }));
    }
    Ok(started)
}

/// Waits until the watchers have seen everything.
async fn fan_out(maps: &Api<ConfigMap>, watchers: Watchers) -> Outcome {
    let begun = Instant::now();
    maps.create(&PostParams::default(), &serde_json::from_value(map("last", ""))?).await?;
    maps.delete("last", &DeleteParams::default()).await?;
    let (count, mut events) = (watchers.len(), 0);
    for watcher in watchers {
        events += watcher.await??;
    }
    let late = begun.elapsed();
    println!("  {count} watchers saw {events} events, the last {late:.1?} after the last write");
    Ok(())
}

/// What 10,000 small objects take, with the history of their making.
async fn memory() -> Outcome {
    let server = new_server();
    let maps = Api::<ConfigMap>::default_namespaced(server.client());
    maps.create(&PostParams::default(), &serde_json::from_value(map("first", ""))?).await?;
    let before = resident()?;
    for index in 0..10_000 {
        maps.create(
            &PostParams::default(),
            &serde_json::from_value(map(&format!("m-{index}"), "x"))?,
        )
        .await?;
    }
    let after = resident()?;
    let megabytes = after.saturating_sub(before) as f64 / 1024.0;
    println!("10,000 small objects: {megabytes:.1} MB");
    Ok(())
}

/// The resident memory of this process in KiB.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    Ok(words.ok_or("this system does not tell how much memory a process has")?.parse()?)
}
