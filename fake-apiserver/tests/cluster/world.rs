//! A small cluster: server, controllers, and two nodes whose containers pause.

use std::sync::Arc;
use std::time::Duration;

use fake_apiserver::kubelet::{
    ContainerRuntime, Kubelet, NodeHandle, NodeSpec, PauseRuntime, Timings,
};
use fake_apiserver::{ApiServer, Clock, Options, controllers};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) client: Client,
    pub(crate) nodes: Vec<NodeHandle>,
    pub(crate) began: Instant,
}

/// A clock that follows tokio's, from a fixed moment on.
pub(crate) fn clock() -> Clock {
    let (start, epoch) =
        (Instant::now(), "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap());
    Arc::new(move || epoch + start.elapsed())
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime: Arc<dyn ContainerRuntime> = Arc::new(PauseRuntime);
        Self::with(2, &runtime)
    }

    pub(crate) fn with(nodes: u8, runtime: &Arc<dyn ContainerRuntime>) -> Self {
        let (began, clock) = (Instant::now(), clock());
        let server = ApiServer::new(Options { clock: Arc::clone(&clock), seed: 1 });
        let client = server.client();
        tokio::spawn(controllers::controllers(server.client(), Arc::clone(&clock)));
        let handles = (1..=nodes).map(|index| {
            let spec = NodeSpec::new(&format!("node-{index}"), index);
            let kubelet = Kubelet::new(
                server.client(),
                Arc::clone(&clock),
                spec,
                Arc::clone(runtime),
                Timings::default(),
            );
            let handle = kubelet.handle();
            server.reach(&handle);
            tokio::spawn(kubelet.run());
            handle
        });
        Self { nodes: handles.collect(), server, client, began }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        self.api()
            .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
            .await
            .unwrap()
    }

    /// Waits until an object is as wanted; brings it, and how long that took.
    pub(crate) async fn until<K>(
        &self,
        name: &str,
        mut wanted: impl FnMut(&K) -> bool,
    ) -> (K, Duration)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let start = Instant::now();
        let mut last = None;
        while start.elapsed() < Duration::from_secs(900) {
            last = self.api::<K>().get_opt(name).await.unwrap();
            if let Some(object) = last.as_ref().filter(|object| wanted(object)) {
                return (object.clone(), start.elapsed());
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("{name} never was as wanted: {last:?}\n{}", self.story());
    }

    /// Waits until there is no such object.
    pub(crate) async fn until_gone<K>(&self, name: &str) -> Duration
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(900) {
            if self.api::<K>().get_opt(name).await.unwrap().is_none() {
                return start.elapsed();
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("{name} never went");
    }

    /// The last changes, for a test that fails.
    pub(crate) fn story(&self) -> String {
        let changes = self.server.history(0);
        let lines = changes.iter().filter(|c| c.resource != "leases").map(|c| {
            format!(
                "{} {:?} {} {}/{} by {}",
                c.at, c.kind, c.resource, c.namespace, c.name, c.user_agent
            )
        });
        lines.chain([format!("{:?}", self.server.stats())]).collect::<Vec<_>>().join("\n")
    }

    /// The node a pod runs on.
    pub(crate) fn node_of(&self, pod: &Pod) -> &NodeHandle {
        let name = pod.spec.as_ref().unwrap().node_name.as_deref().unwrap();
        self.nodes.iter().find(|node| node.name() == name).unwrap()
    }
}

/// Whether a pod is ready.
pub(crate) fn ready(pod: &Pod) -> bool {
    condition(pod, "Ready")
}

pub(crate) fn condition(pod: &Pod, kind: &str) -> bool {
    let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.any(|c| c.type_ == kind && c.status == "True")
}

/// How often a pod's first container was restarted.
pub(crate) fn restarts(pod: &Pod) -> i32 {
    pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].restart_count
}

/// A set of pods with a claim each, which its nodes do not share.
pub(crate) fn set(name: &str, replicas: i32) -> Value {
    let labels = json!({ "app": name });
    json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas, "serviceName": name, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "terminationGracePeriodSeconds": 5, "containers": [{
                    "name": "main", "image": "example.com/main:1",
                    "readinessProbe": { "exec": { "command": ["ready"] }, "periodSeconds": 5 },
                    "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
                }] },
            },
            "volumeClaimTemplates": [{
                "metadata": { "name": "data" },
                "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
            }],
        },
    })
}
