//! What runs in the containers of the fake cluster: TimesTen in `tt`, nothing much in the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fake_agent::{ContainerSpec, Credentials, Fleet, Running};
use fake_apiserver::kubelet::{
    ContainerRef, ContainerRuntime, ContainerStart, Content, ExecResult, LogLine,
};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::written::Written;
use crate::network::{Network, OPERATOR};

/// The name of the container that TimesTen runs in.
pub const TT: &str = "tt";

/// Running agents, by the pod's UID and the container's name.
type ByContainer = BTreeMap<(String, String), Arc<Running>>;

/// Runs fake agents in the containers named `tt`.
#[derive(Clone)]
pub struct Containers {
    fleet: Fleet,
    network: Network,
    running: Arc<Mutex<ByContainer>>,
    written: Arc<Mutex<Written>>,
    broken: Arc<Mutex<BTreeMap<String, Broken>>>,
    /// Hosts that cannot be reached because of the node that they are on.
    cut_off: Arc<Mutex<BTreeMap<String, String>>>,
}

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It cannot be pulled.
    Pull,
    /// Its containers end as soon as they are started.
    Crash,
}

impl Containers {
    /// With agents of that fleet, reached through that network.
    #[must_use]
    pub fn new(fleet: &Fleet, network: &Network) -> Self {
        Self {
            fleet: fleet.clone(),
            network: network.clone(),
            running: Arc::default(),
            written: Arc::default(),
            broken: Arc::default(),
            cut_off: Arc::default(),
        }
    }

    /// Cuts or mends every way to and from a host, as that of its node. A container of that name on
    /// another node can be reached.
    pub fn set_node_network(&self, host: &str, node: &str, up: bool) {
        let mut cut_off = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        if up {
            cut_off.remove(host);
        } else {
            cut_off.insert(host.to_owned(), node.to_owned());
        }
        drop(cut_off);
        for other in self.fleet.hosts() {
            for (from, to) in [(other.as_str(), host), (host, other.as_str())] {
                if up {
                    self.fleet.links().heal(from, to);
                } else if from != to {
                    self.fleet.links().cut(from, to);
                }
            }
        }
        for (from, to) in [(OPERATOR, host), (host, OPERATOR)] {
            if up {
                self.network.mend(from, to);
            } else {
                self.network.cut(from, to);
            }
        }
    }

    /// A container of this name starts on a node.
    fn arrives(&self, host: &str, node: &str) {
        let cut_off =
            self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned();
        if cut_off.is_some_and(|cut_off| cut_off != node) {
            self.set_node_network(host, node, true);
        }
    }

    /// Something is wrong with an image from now on.
    pub fn break_image(&self, image: &str, broken: Broken) {
        let mut all = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(image.to_owned(), broken);
    }

    /// All images can be used again.
    pub fn mend_images(&self) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn broken(&self, image: &str) -> Option<Broken> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get(image).copied()
    }

    fn find(&self, at: &ContainerRef) -> Option<Arc<Running>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(&(at.uid.clone(), at.container.clone())).cloned()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn timesten(self, start: ContainerStart) -> i32 {
        let spec = match specification(&start) {
            Ok(spec) => spec,
            Err(problem) => {
                tracing::warn!(container = start.container, problem, "cannot start");
                return 1;
            }
        };
        let host = spec.host.clone();
        self.arrives(&host, &start.node);
        let uid = start.pod.metadata.uid.clone().unwrap_or_default();
        let running = Arc::new(self.fleet.start(spec));
        self.written().begins(&start, running.logs());
        let container =
            Stay { key: (uid, start.container.clone()), running, host, containers: self };
        container.enter();
        let ended = container.running.ended();
        tokio::pin!(ended);
        tokio::select! {
            biased;
            code = &mut ended => return code,
            () = start.stop.requested() => container.running.stop(),
        }
        ended.await
    }
}

/// A container's stay in the network: whatever ends it, its name goes.
struct Stay {
    key: (String, String),
    host: String,
    running: Arc<Running>,
    containers: Containers,
}

impl Stay {
    fn enter(&self) {
        self.containers.network.join(&self.host, &self.running);
        let mut running = self.containers.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(self.key.clone(), Arc::clone(&self.running));
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.containers.network.leave(&self.host, &self.running);
        let mut running = self.containers.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.get(&self.key).is_some_and(|known| Arc::ptr_eq(known, &self.running)) {
            running.remove(&self.key);
        }
    }
}

impl ContainerRuntime for Containers {
    fn run(&self, start: ContainerStart) -> BoxFuture<'static, i32> {
        let crashes = image(&start).is_some_and(|image| self.broken(image) == Some(Broken::Crash));
        if start.container == TT && !crashes {
            return self.clone().timesten(start).boxed();
        }
        async move {
            if crashes {
                return 1;
            }
            if !start.init {
                start.stop.requested().await;
            }
            0
        }
        .boxed()
    }

    fn pull(&self, image: &str, _node: &str) -> Option<String> {
        (self.broken(image) == Some(Broken::Pull)).then(|| "not found".to_owned())
    }

    fn log(&self, at: &ContainerRef, id: &str) -> Option<Vec<LogLine>> {
        self.written().log(at, id)
    }

    fn exec(&self, at: &ContainerRef, command: &[String]) -> BoxFuture<'static, ExecResult> {
        let (code, output) = match self.find(at) {
            Some(running) => running.exec(command),
            None => (0, String::new()),
        };
        futures::future::ready(ExecResult { code, output: Bytes::from(output) }).boxed()
    }
}

/// What the fake agent has to know of its container.
fn specification(start: &ContainerStart) -> Result<ContainerSpec, String> {
    let pod = &start.pod.metadata;
    let name = pod.name.clone().unwrap_or_default();
    let namespace = pod.namespace.clone().unwrap_or_default();
    let service = start.pod.spec.as_ref().and_then(|spec| spec.subdomain.clone());
    let service = service.unwrap_or_else(|| {
        pod.labels.as_ref().and_then(|labels| labels.get("app").cloned()).unwrap_or_default()
    });
    let mut volume = format!("{namespace}/{name}");
    let (mut config, mut secret) = (BTreeMap::new(), BTreeMap::new());
    for mount in &start.mounts {
        match (mount.path.as_str(), &mount.content) {
            ("/tt", Content::Claim { uid, .. }) => volume.clone_from(uid),
            ("/ttconfig", Content::Files(files)) => config = plain(files),
            ("/ttagent", Content::Files(files)) => secret = plain(files),
            _ => {}
        }
    }
    let credentials = Credentials::from_files(&secret).map_err(|error| error.to_string())?;
    // An agent that cannot listen ends, and its container with it.
    fake_agent::server_config(&credentials).map_err(|error| error.to_string())?;
    let host = format!("{name}.{service}.{namespace}.svc.cluster.local");
    let mut spec = ContainerSpec::new(&host, &volume);
    spec.config = config;
    spec.credentials = Some(credentials);
    spec.env.clone_from(&start.env);
    if let Some(release) = release(start) {
        spec.release = release;
    }
    Ok(spec)
}

fn plain(files: &BTreeMap<String, Bytes>) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect()
}

/// The image of a container that is started.
fn image(start: &ContainerStart) -> Option<&str> {
    let containers = &start.pod.spec.as_ref()?.containers;
    containers.iter().find(|container| container.name == start.container)?.image.as_deref()
}

/// The release that the image's tag names.
fn release(start: &ContainerStart) -> Option<String> {
    let tag = image(start)?.rsplit_once(':')?.1;
    let dotted = tag.split('.').all(|part| part.parse::<u32>().is_ok());
    (dotted && tag.contains('.')).then(|| tag.to_owned())
}
