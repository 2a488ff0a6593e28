use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake_apiserver::kubelet::{
    ContainerRef, ContainerRuntime, ContainerStart, ExecResult, LogLine, PauseRuntime,
};
use futures::future::BoxFuture;
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, EvictParams, LogParams};
use serde_json::{Value, json};

use crate::world::World;

/// Containers that wrote three lines, one a second, and then what they are told to.
#[derive(Default)]
struct Writers(Mutex<Vec<LogLine>>);

fn line(second: i64, text: &str) -> LogLine {
    let at: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    LogLine { at: at + Duration::from_secs(second.unsigned_abs()), text: text.to_owned() }
}

impl ContainerRuntime for Writers {
    fn run(&self, start: ContainerStart) -> BoxFuture<'static, i32> {
        PauseRuntime.run(start)
    }

    fn exec(&self, at: &ContainerRef, command: &[String]) -> BoxFuture<'static, ExecResult> {
        PauseRuntime.exec(at, command)
    }

    fn log(&self, at: &ContainerRef, _id: &str) -> Option<Vec<LogLine>> {
        let says = |n| line(n, &format!("{} of {} says {n}", at.container, at.pod));
        let more = self.0.lock().unwrap().clone();
        Some((1..=3).map(says).chain(more).collect())
    }
}

fn pod(name: &str, containers: &[&str]) -> Value {
    let containers: Vec<Value> =
        containers.iter().map(|name| json!({"name": name, "image": "x:1"})).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "a"}},
        "spec": {"containers": containers},
    })
}

async fn running(world: &World, name: &str) {
    let is = |pod: &Pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running");
    world.until::<Pod>(name, is).await;
}

/// The status and the message of a refusal.
fn refused<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.message.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn logs_come_from_the_node() {
    let runtime: Arc<dyn ContainerRuntime> = Arc::new(Writers::default());
    let world = World::with(1, &runtime);
    world.create::<Pod>(pod("one", &["main"])).await;
    world.create::<Pod>(pod("two", &["x", "y"])).await;
    running(&world, "one").await;
    running(&world, "two").await;
    let api: Api<Pod> = world.api();
    let all = LogParams::default();
    assert_eq!(api.logs("one", &all).await.unwrap().lines().count(), 3);
    let tail = LogParams { tail_lines: Some(1), container: Some("y".into()), ..all.clone() };
    assert_eq!(api.logs("two", &tail).await.unwrap(), "y of two says 3\n");
    let text = "a container name must be specified for pod two, choose one of: [x y]";
    assert_eq!(refused(api.logs("two", &all).await), (400, text.to_owned()));
    let wrong = LogParams { container: Some("z".into()), ..all.clone() };
    let text = "container z is not valid for pod two";
    assert_eq!(refused(api.logs("two", &wrong).await), (400, text.to_owned()));
    let before = LogParams { previous: true, ..all.clone() };
    let text = "previous terminated container \"main\" in pod \"one\" not found";
    assert_eq!(refused(api.logs("one", &before).await), (400, text.to_owned()));
    world.nodes.first().unwrap().lose();
    let (code, text) = refused(api.logs("one", &all).await);
    assert!(code == 500 && text.starts_with("error dialing backend"), "{code} {text}");
}

#[tokio::test(start_paused = true)]
async fn a_log_is_cut_and_stamped_as_it_is_asked_for() {
    let runtime: Arc<dyn ContainerRuntime> = Arc::new(Writers::default());
    let world = World::with(1, &runtime);
    world.create::<Pod>(pod("one", &["main"])).await;
    running(&world, "one").await;
    let api: Api<Pod> = world.api();
    // It is 00:00:10 now, and the lines are of the seconds 1 to 3.
    tokio::time::sleep_until(world.began + Duration::from_secs(10)).await;
    let some = LogParams { since_seconds: Some(8), timestamps: true, ..LogParams::default() };
    let stamped = "2026-01-01T00:00:02.000000000Z main of one says 2\n\
                   2026-01-01T00:00:03.000000000Z main of one says 3\n";
    assert_eq!(api.logs("one", &some).await.unwrap(), stamped);
    let since = "2026-01-01T00:00:03Z".parse().ok();
    let some = LogParams { since_time: since, limit_bytes: Some(4), ..LogParams::default() };
    assert_eq!(api.logs("one", &some).await.unwrap(), "main");
    let both =
        "/api/v1/namespaces/default/pods/one/log?sinceTime=2026-01-01T00:00:03Z&sinceSeconds=8";
    let request = http::Request::get(both).body(Vec::new()).unwrap();
    let (code, text) = refused(world.client.request_text(request).await);
    assert_eq!(code, 422);
    assert!(text.contains("at most one of `sinceTime` or `sinceSeconds`"), "{text}");
}

/// Containers that write the name of their run and fail after a minute.
#[derive(Default)]
struct Failing(Mutex<Vec<String>>);

impl ContainerRuntime for Failing {
    fn run(&self, start: ContainerStart) -> BoxFuture<'static, i32> {
        self.0.lock().unwrap().push(start.id);
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            1
        })
    }

    fn exec(&self, at: &ContainerRef, command: &[String]) -> BoxFuture<'static, ExecResult> {
        PauseRuntime.exec(at, command)
    }

    /// Only the last two are kept.
    fn log(&self, _at: &ContainerRef, id: &str) -> Option<Vec<LogLine>> {
        let all = self.0.lock().unwrap();
        let number = all.iter().position(|known| known == id)?;
        (number + 2 >= all.len()).then(|| vec![line(0, &format!("run {number}"))])
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_run_outlives_it() {
    let failing = Arc::new(Failing::default());
    let runtime: Arc<dyn ContainerRuntime> = Arc::clone(&failing) as _;
    let world = World::with(1, &runtime);
    world.create::<Pod>(pod("one", &["main"])).await;
    running(&world, "one").await;
    let api: Api<Pod> = world.api();
    let (now, before) =
        (LogParams::default(), LogParams { previous: true, ..LogParams::default() });
    assert_eq!(api.logs("one", &now).await.unwrap(), "run 0\n");
    let text = "previous terminated container \"main\" in pod \"one\" not found";
    assert_eq!(refused(api.logs("one", &before).await), (400, text.to_owned()));
    let stands = |restarts: i32, reason: Option<&'static str>| {
        move |pod: &Pod| {
            let status = pod.status.as_ref().and_then(|s| s.container_statuses.as_ref()).unwrap();
            let waits = status[0].state.as_ref().and_then(|state| state.waiting.as_ref());
            status[0].restart_count == restarts
                && waits.and_then(|waiting| waiting.reason.as_deref()) == reason
        }
    };
    world.until::<Pod>("one", stands(1, None)).await;
    assert_eq!(api.logs("one", &now).await.unwrap(), "run 1\n");
    assert_eq!(api.logs("one", &before).await.unwrap(), "run 0\n");
    // Between two runs both are the one that has ended, and nothing is there to be followed.
    world.until::<Pod>("one", stands(1, Some("CrashLoopBackOff"))).await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    for params in [now, before.clone(), follow] {
        assert_eq!(api.logs("one", &params).await.unwrap(), "run 1\n");
    }
    // A node that has thrown a log away says so.
    failing.0.lock().unwrap().extend(["other".to_owned(), "runs".to_owned()]);
    let text = api.logs("one", &before).await.unwrap();
    assert!(text.starts_with("unable to retrieve container logs for containerd://"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_log_is_followed_until_its_container_ends() {
    let writers = Arc::new(Writers::default());
    let runtime: Arc<dyn ContainerRuntime> = Arc::clone(&writers) as _;
    let world = World::with(1, &runtime);
    world.create::<Pod>(pod("one", &["main"])).await;
    running(&world, "one").await;
    let api: Api<Pod> = world.api();
    let params = LogParams { follow: true, tail_lines: Some(1), ..LogParams::default() };
    let mut lines = api.log_stream("one", &params).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("main of one says 3"));
    for text in ["four", "five"] {
        writers.0.lock().unwrap().push(line(4, text));
        assert_eq!(lines.try_next().await.unwrap().as_deref(), Some(text));
    }
    api.delete("one", &DeleteParams::default()).await.unwrap();
    assert_eq!(lines.try_next().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_a_budget_forbids_is_refused() {
    let world = World::new();
    world.create::<Pod>(pod("one", &["main"])).await;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}},
    });
    type Budget = k8s_openapi::api::policy::v1::PodDisruptionBudget;
    world.create::<Budget>(budget).await;
    running(&world, "one").await;
    let counted = |b: &Budget| b.status.as_ref().is_some_and(|s| s.current_healthy == 1);
    world.until::<Budget>("b", counted).await;
    let api: Api<Pod> = world.api();
    let (code, _) = refused(api.evict("one", &EvictParams::default()).await);
    assert_eq!(code, 429);
    world.api::<Budget>().delete("b", &DeleteParams::default()).await.unwrap();
    api.evict("one", &EvictParams::default()).await.unwrap();
    // The container ends at once, and soon the pod is gone: its history has the last of it.
    let last = world.server.history(0).into_iter().rfind(|change| change.name == "one").unwrap();
    assert!(last.object.pointer("/metadata/deletionTimestamp").is_some());
    let conditions = last.object.pointer("/status/conditions").and_then(Value::as_array).unwrap();
    assert!(conditions.iter().any(|c| c["type"] == "DisruptionTarget" && c["status"] == "True"));
}
