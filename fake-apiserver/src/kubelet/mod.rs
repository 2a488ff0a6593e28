//! A simulated kubelet: an ordinary client of the API that runs pods through a [`ContainerRuntime`].
//!
//! Owns a Node and its lease, and the status of the pods bound to it. It never decides where pods go.
//! Network probes succeed unless the runtime says otherwise. Unlike the real one it writes no Events, and
//! leaves the Node alone while nothing changes (the real one repeats its status every five minutes).

mod container;
mod core;
mod environment;
mod node;
mod pod;
mod probe;
mod runtime;
mod state;
mod volumes;

pub use runtime::{
    ContainerRef, ContainerRuntime, ContainerStart, Content, ExecResult, LogLine, Mount,
    PauseRuntime, ProbeTarget, StopSignal,
};
pub(crate) use state::fingerprint;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, FuturesUnordered};
use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};

use self::core::{Core, RETRY};
use self::pod::PodWorker;
use crate::Clock;

/// A node.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name, also its hostname.
    pub name: String,
    /// A number no other node has, from 1 to 255: its addresses are made from it.
    pub index: u8,
    /// Labels beside those every node has.
    pub labels: BTreeMap<String, String>,
    /// How many pods it takes.
    pub pods: u32,
}

impl NodeSpec {
    /// A node for 110 pods.
    #[must_use]
    pub fn new(name: &str, index: u8) -> Self {
        Self { name: name.to_owned(), index, labels: BTreeMap::new(), pods: 110 }
    }
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// Pulling an image, before a pod's first container.
    pub pull: Duration,
    /// Starting a container.
    pub start: Duration,
    /// Between two looks at what runs on the node, which is how a kubelet notices that a container exited by
    /// itself: the real one looks once a second (its pod lifecycle event generator's relist period).
    pub relist: Duration,
    /// Between two renewals of the node's lease.
    pub heartbeat: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            pull: Duration::ZERO,
            start: Duration::from_secs(1),
            relist: Duration::from_secs(1),
            heartbeat: Duration::from_secs(10),
        }
    }
}

/// Whether a node runs and is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    On,
    /// It runs, and has no way to the API.
    Isolated,
    /// It has no power: nothing runs.
    Lost,
}

/// How a container is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// SIGKILL.
    Killed,
    /// SIGKILL, by the kernel, for want of memory.
    OutOfMemory,
}

/// A kubelet and its node.
pub struct Kubelet {
    core: Arc<Core>,
}

/// Controls a node while its kubelet runs.
#[derive(Clone)]
pub struct NodeHandle {
    core: Arc<Core>,
}

/// A node as long as it is there: what a server that the node is itself a client of may keep.
pub(crate) struct WeakNode(Weak<Core>);

impl WeakNode {
    pub(crate) fn upgrade(&self) -> Option<NodeHandle> {
        self.0.upgrade().map(|core| NodeHandle { core })
    }
}

impl NodeHandle {
    pub(crate) fn downgrade(&self) -> WeakNode {
        WeakNode(Arc::downgrade(&self.core))
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.spec.name
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        node::host_ip(&self.core)
    }

    /// What a container here wrote in the run with this id; `None` if that is not known.
    pub(crate) fn log(&self, at: &ContainerRef, id: &str) -> Option<Vec<LogLine>> {
        self.core.runtime.log(at, id)
    }

    /// Whether it runs and is heard of.
    #[must_use]
    pub fn power(&self) -> Power {
        *self.core.power.borrow()
    }

    /// Cuts the power: containers are dropped, and the API hears nothing more.
    pub fn lose(&self) {
        self.core.power.send_replace(Power::Lost);
    }

    /// Cuts the way to the API: containers run on.
    pub fn isolate(&self) {
        self.core.power.send_if_modified(|power| {
            let running = *power == Power::On;
            if running {
                *power = Power::Isolated;
            }
            running
        });
    }

    /// Ends either: after a power cut, the containers of pods still bound here are started anew.
    pub fn restore(&self) {
        self.core.power.send_replace(Power::On);
    }

    /// Kills a container; false if no such container runs here.
    #[must_use]
    pub fn kill_container(&self, namespace: &str, pod: &str, container: &str, kill: Kill) -> bool {
        let workers = self.core.workers();
        workers.values().any(|worker| worker.is(namespace, pod) && worker.kill(container, kill))
    }
}

impl Kubelet {
    /// A kubelet that does nothing until it is run.
    #[must_use]
    pub fn new(
        client: Client,
        clock: Clock,
        spec: NodeSpec,
        runtime: Arc<dyn ContainerRuntime>,
        timings: Timings,
    ) -> Self {
        Self { core: Arc::new(Core::new(client, clock, spec, runtime, timings)) }
    }

    /// Controls of the node.
    #[must_use]
    pub fn handle(&self) -> NodeHandle {
        NodeHandle { core: Arc::clone(&self.core) }
    }

    /// Runs the node; never ends. Dropping the future is a power cut.
    pub async fn run(self) {
        loop {
            self.core.until(|power| *power != Power::Lost).await;
            tokio::select! {
                biased;
                () = self.core.until(|power| *power == Power::Lost) => {}
                () = powered(&self.core) => {}
            }
            self.core.power_cut();
        }
    }
}

/// Runs the node while it has power; never ends by itself.
async fn powered(core: &Arc<Core>) {
    let mut running: FuturesUnordered<BoxFuture<'static, String>> = FuturesUnordered::new();
    let mut pods = Box::pin(pods(Arc::clone(core)));
    let mut heartbeat = Box::pin(node::keep(core));
    let mut listed = BTreeSet::new();
    let boot = (core.clock)();
    loop {
        tokio::select! {
            biased;
            event = pods.next() => match event {
                Some(Event::Init) => listed.clear(),
                Some(Event::InitApply(pod)) => {
                    listed.insert(pod.uid().unwrap_or_default());
                    running.extend(apply(core, pod, boot));
                }
                Some(Event::InitDone) => {
                    let gone = |uid: &&String| !listed.contains(*uid);
                    core.workers().iter().filter(|(uid, _)| gone(uid)).for_each(|(_, worker)| worker.removed());
                }
                Some(Event::Apply(pod)) => running.extend(apply(core, pod, boot)),
                Some(Event::Delete(pod)) => {
                    if let Some(worker) = core.workers().get(&pod.uid().unwrap_or_default()) {
                        worker.removed();
                    }
                }
                None => return,
            },
            Some(uid) = running.next() => {
                core.workers().remove(&uid);
            }
            () = &mut heartbeat => return,
        }
    }
}

/// Takes in a version of a pod; a pod not seen before brings the future that runs it.
fn apply(core: &Arc<Core>, pod: Pod, boot: jiff::Timestamp) -> Option<BoxFuture<'static, String>> {
    let uid = pod.uid().unwrap_or_default();
    let mut workers = core.workers();
    if let Some(worker) = workers.get(&uid) {
        worker.update(pod);
        return None;
    }
    let state = core.recall(&uid).map(|mut state| {
        if !state.over {
            state.after_power_cut(boot);
        }
        state
    });
    let worker = Arc::new(PodWorker::new(Arc::clone(core), pod, state)?);
    workers.insert(uid.clone(), Arc::clone(&worker));
    Some(
        async move {
            worker.run().await;
            uid
        }
        .boxed(),
    )
}

/// The pods bound to this node, listed and watched anew after each isolation.
fn pods(core: Arc<Core>) -> impl Stream<Item = Event<Pod>> {
    type Watch = BoxStream<'static, watcher::Result<Event<Pod>>>;
    stream::unfold((core, None::<Watch>), |(core, mut watch)| async move {
        loop {
            core.until(|power| *power == Power::On).await;
            let stream = watch.get_or_insert_with(|| {
                let here = format!("spec.nodeName={}", core.spec.name);
                watcher(
                    Api::<Pod>::all(core.client.clone()),
                    watcher::Config::default().fields(&here),
                )
                .boxed()
            });
            let event = tokio::select! {
                biased;
                () = core.until(|power| *power != Power::On) => None,
                event = stream.next() => Some(event),
            };
            match event {
                Some(Some(Ok(event))) => return Some((event, (core, watch))),
                Some(Some(Err(error))) => {
                    tracing::debug!(node = core.spec.name, %error, "watching pods failed");
                    tokio::time::sleep(RETRY).await;
                }
                Some(None) | None => watch = None,
            }
        }
    })
}
