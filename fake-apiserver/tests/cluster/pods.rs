use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use fake_apiserver::kubelet::{
    ContainerRef, ContainerRuntime, ContainerStart, Content, ExecResult, Kill, PauseRuntime,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::world::{World, condition, ready, restarts};

fn pod(name: &str, container: &Value) -> Value {
    let mut main = json!({ "name": "main", "image": "example.com/main:1" });
    main.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    json!({ "metadata": { "name": name }, "spec": { "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 20, "containers": [main] } })
}

/// Containers named after what they do, and a log of what happened.
#[derive(Default)]
struct Script {
    log: Mutex<Vec<(u64, String)>>,
    begun: Mutex<Option<Instant>>,
}

impl Script {
    fn note(&self, text: String) {
        let begun = *self.begun.lock().unwrap().get_or_insert_with(Instant::now);
        self.log.lock().unwrap().push((begun.elapsed().as_secs(), text));
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|(_, text)| text.clone()).collect()
    }
}

struct Scripted(Arc<Script>);

struct Fate(Arc<Script>, String);

impl Drop for Fate {
    fn drop(&mut self) {
        self.0.note(format!("{} gone", self.1));
    }
}

impl ContainerRuntime for Scripted {
    fn run(&self, start: ContainerStart) -> BoxFuture<'static, i32> {
        let script = Arc::clone(&self.0);
        async move {
            let command = start
                .pod
                .spec
                .as_ref()
                .unwrap()
                .containers
                .iter()
                .chain(start.pod.spec.as_ref().unwrap().init_containers.iter().flatten())
                .find(|c| c.name == start.container)
                .unwrap()
                .args
                .clone()
                .unwrap_or_default()
                .join(" ");
            script.note(format!("{} {} #{}", start.container, command, start.restart_count));
            for mount in &start.mounts {
                if let Content::Files(files) = &mount.content {
                    script.note(format!(
                        "{} has {:?}",
                        mount.path,
                        files.keys().collect::<Vec<_>>()
                    ));
                }
            }
            let _fate = Fate(Arc::clone(&script), start.container.clone());
            match command.as_str() {
                "crash" => {
                    sleep(Duration::from_secs(1)).await;
                    3
                }
                "end" => 0,
                "stubborn" => std::future::pending().await,
                _ => {
                    start.stop.requested().await;
                    script.note(format!("{} stops", start.container));
                    0
                }
            }
        }
        .boxed()
    }

    fn exec(&self, at: &ContainerRef, command: &[String]) -> BoxFuture<'static, ExecResult> {
        self.0.note(format!("{} runs {}", at.container, command.join(" ")));
        let code = i32::from(command.first().map(String::as_str) == Some("fail"));
        async move { ExecResult { code, output: Bytes::new() } }.boxed()
    }
}

fn scripted() -> (World, Arc<Script>) {
    let script = Arc::new(Script::default());
    let runtime: Arc<dyn ContainerRuntime> = Arc::new(Scripted(Arc::clone(&script)));
    (World::with(2, &runtime), script)
}

#[tokio::test(start_paused = true)]
async fn a_killed_container_starts_again() {
    let world = World::new();
    world.create::<Pod>(pod("p", &json!({}))).await;
    let (before, _) = world.until::<Pod>("p", ready).await;
    assert!(!world.node_of(&before).kill_container("default", "p", "other", Kill::Killed));
    assert!(world.node_of(&before).kill_container("default", "p", "main", Kill::OutOfMemory));
    let (after, took) = world.until::<Pod>("p", |pod| ready(pod) && restarts(pod) == 1).await;
    assert!(took <= Duration::from_millis(2200), "took {took:?}");
    let status = &after.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0];
    let last = status.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (137, Some("OOMKilled")));
    assert_eq!(after.uid(), before.uid());
}

#[tokio::test(start_paused = true)]
async fn a_container_that_keeps_failing_waits_ever_longer() {
    let (world, script) = scripted();
    world.create::<Pod>(pod("p", &json!({ "args": ["crash"] }))).await;
    let waits = |pod: &Pod| {
        let status = pod.status.as_ref().and_then(|s| s.container_statuses.as_ref()?.first());
        let waiting = status.and_then(|s| s.state.as_ref()?.waiting.as_ref()?.reason.clone());
        waiting.as_deref() == Some("CrashLoopBackOff")
    };
    world.until::<Pod>("p", waits).await;
    sleep(Duration::from_secs(200)).await;
    let starts: Vec<u64> = script
        .log
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, t)| t.contains('#'))
        .map(|(at, _)| *at)
        .collect();
    let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The kubelet looks once a second: later ends fall just behind a look, the first one between two.
    assert_eq!(gaps, [2, 13, 23, 43, 83]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_stops_with_hook_signal_and_grace() {
    let (world, script) = scripted();
    let hook = json!({ "lifecycle": { "preStop": { "exec": { "command": ["goodbye"] } } } });
    world.create::<Pod>(pod("gentle", &hook)).await;
    world.until::<Pod>("gentle", ready).await;
    world.api::<Pod>().delete("gentle", &DeleteParams::default()).await.unwrap();
    world.until_gone::<Pod>("gentle").await;
    assert_eq!(script.log(), ["main  #0", "main runs goodbye", "main stops", "main gone"]);

    world.create::<Pod>(pod("stubborn", &json!({ "args": ["stubborn"] }))).await;
    world.until::<Pod>("stubborn", ready).await;
    world.api::<Pod>().delete("stubborn", &DeleteParams::default()).await.unwrap();
    let took = world.until_gone::<Pod>("stubborn").await;
    assert_eq!(took.as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn init_containers_go_first_and_a_missing_secret_holds_the_pod() {
    let (world, script) = scripted();
    let mut wanted =
        pod("p", &json!({ "volumeMounts": [{ "name": "keys", "mountPath": "/keys" }] }));
    wanted["spec"]["initContainers"] = json!([
        { "name": "one", "image": "i", "args": ["end"] },
        { "name": "side", "image": "i", "restartPolicy": "Always" },
        { "name": "two", "image": "i", "args": ["end"] },
    ]);
    wanted["spec"]["volumes"] = json!([{ "name": "keys", "secret": { "secretName": "keys" } }]);
    world.create::<Pod>(wanted).await;
    sleep(Duration::from_secs(20)).await;
    let held: Pod = world.api().get("p").await.unwrap();
    assert_eq!(held.status.unwrap().phase.as_deref(), Some("Pending"));
    assert!(script.log().is_empty());
    world
        .create::<Secret>(json!({ "metadata": { "name": "keys" }, "stringData": { "a": "1" } }))
        .await;
    let (running, _) = world.until::<Pod>("p", ready).await;
    assert!(condition(&running, "Initialized") && condition(&running, "PodReadyToStartContainers"));
    assert_eq!(
        script.log(),
        [
            "one end #0",
            "one gone",
            "side  #0",
            "two end #0",
            "two gone",
            "main  #0",
            "/keys has [\"a\"]"
        ]
    );
    world.api::<Pod>().delete("p", &DeleteParams::default()).await.unwrap();
    world.until_gone::<Pod>("p").await;
    assert_eq!(script.log()[7..], ["main stops", "main gone", "side stops", "side gone"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_liveness_probe_restarts_and_readiness_decides() {
    let (world, script) = scripted();
    let probes = json!({
        "livenessProbe": { "exec": { "command": ["fail"] }, "periodSeconds": 10, "failureThreshold": 2 },
        "readinessProbe": { "exec": { "command": ["fail"] }, "periodSeconds": 600 },
    });
    world.create::<Pod>(pod("p", &probes)).await;
    let (after, _) = world
        .until::<Pod>("p", |pod| {
            pod.status.as_ref().is_some_and(|s| s.container_statuses.is_some())
                && restarts(pod) == 1
        })
        .await;
    assert!(!ready(&after));
    assert!(script.log().contains(&"main stops".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_starts_its_pods_anew_when_it_returns() {
    let (world, script) = scripted();
    world.create::<Pod>(pod("p", &json!({}))).await;
    let (before, _) = world.until::<Pod>("p", ready).await;
    let node = world.node_of(&before);
    node.lose();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(script.log(), ["main  #0", "main gone"]);
    assert!(ready(&world.api::<Pod>().get("p").await.unwrap()), "nobody has said otherwise yet");
    node.restore();
    let (after, _) = world.until::<Pod>("p", |pod| ready(pod) && restarts(pod) == 1).await;
    assert_eq!(after.uid(), before.uid());
    assert_ne!(after.status.unwrap().pod_ip, before.status.unwrap().pod_ip);
    assert_eq!(script.log()[2..], ["main  #1"]);
}

#[tokio::test(start_paused = true)]
async fn an_isolated_node_runs_on_and_catches_up() {
    let (world, script) = scripted();
    world.create::<Pod>(pod("p", &json!({}))).await;
    let (before, _) = world.until::<Pod>("p", ready).await;
    let node = world.node_of(&before);
    node.isolate();
    world.api::<Pod>().delete("p", &DeleteParams::default().grace_period(0)).await.unwrap();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(script.log(), ["main  #0"]);
    node.restore();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(script.log(), ["main  #0", "main stops", "main gone"]);
}

/// Containers that pause, of images that cannot be had at first.
struct Missing(Arc<Mutex<u32>>);

impl ContainerRuntime for Missing {
    fn run(&self, start: ContainerStart) -> BoxFuture<'static, i32> {
        PauseRuntime.run(start)
    }

    fn exec(&self, at: &ContainerRef, command: &[String]) -> BoxFuture<'static, ExecResult> {
        PauseRuntime.exec(at, command)
    }

    fn pull(&self, _image: &str, _node: &str) -> Option<String> {
        let mut tries = self.0.lock().unwrap();
        *tries += 1;
        (*tries < 4).then(|| "not found".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_is_tried_again_with_growing_pauses() {
    let tries = Arc::new(Mutex::new(0));
    let runtime: Arc<dyn ContainerRuntime> = Arc::new(Missing(Arc::clone(&tries)));
    let world = World::with(1, &runtime);
    world.create::<Pod>(pod("web", &json!({}))).await;
    let waits = |wanted: &'static str| {
        move |pod: &Pod| {
            let containers = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
            let state = containers.filter_map(|c| c.state.as_ref()?.waiting.as_ref()).next();
            state.is_some_and(|waiting| waiting.reason.as_deref() == Some(wanted))
        }
    };
    world.until::<Pod>("web", waits("ErrImagePull")).await;
    world.until::<Pod>("web", waits("ImagePullBackOff")).await;
    let (pod, took) = world.until::<Pod>("web", ready).await;
    assert!(took >= Duration::from_secs(70), "10, 20 and 40 s, and not {took:?}");
    assert_eq!((restarts(&pod), *tries.lock().unwrap()), (0, 4));
}
