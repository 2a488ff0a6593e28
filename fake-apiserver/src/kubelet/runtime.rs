//! The seam between the kubelet and what runs inside containers.
//!
//! The kubelet decides when a container starts and stops; a [`ContainerRuntime`] decides what it does meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;

/// What runs inside containers. The kubelet decides when; the implementor decides what.
pub trait ContainerRuntime: Send + Sync + 'static {
    /// Runs a container. The future ends with its exit code. Dropping it is SIGKILL; `start.stop` resolves at SIGTERM.
    fn run(&self, start: ContainerStart) -> BoxFuture<'static, i32>;

    /// Runs a command in a running container (probes, hooks): exit code and output. Dropping it abandons the command.
    fn exec(&self, at: &ContainerRef, command: &[String]) -> BoxFuture<'static, ExecResult>;

    /// Why an image cannot be had on a node. Unless overridden, all can.
    fn pull(&self, _image: &str, _node: &str) -> Option<String> {
        None
    }

    /// What a container wrote in the run with this [id](ContainerStart::id), line by line, while it runs and
    /// afterwards. `None` if that is not known any more. Unless overridden, containers are silent.
    fn log(&self, _at: &ContainerRef, _id: &str) -> Option<Vec<LogLine>> {
        Some(Vec::new())
    }

    /// Answers an HTTP or TCP probe: whether the port answers well. Unless overridden, every port does.
    fn reach(&self, _at: &ContainerRef, _target: &ProbeTarget) -> BoxFuture<'static, bool> {
        futures::future::ready(true).boxed()
    }
}

/// A line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// What, without the end of the line.
    pub text: String,
}

/// Where a network probe goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTarget {
    /// An HTTP GET of a path.
    Http {
        /// The port, a number or the name of a container port.
        port: String,
        /// The path, with its leading slash.
        path: String,
    },
    /// A TCP connection.
    Tcp {
        /// The port, a number or the name of a container port.
        port: String,
    },
}

/// Everything a container is started with.
#[derive(Debug, Clone)]
pub struct ContainerStart {
    /// The pod as the kubelet last saw it.
    pub pod: Arc<Pod>,
    /// The container's name.
    pub container: String,
    /// The id of this run, as the container's status has it: each restart has another.
    pub id: String,
    /// Whether it is an init container.
    pub init: bool,
    /// How often this container was restarted before, in this pod.
    pub restart_count: i32,
    /// The node it runs on.
    pub node: String,
    /// The address of the pod.
    pub pod_ip: String,
    /// Its volumes, in the order of `volumeMounts`.
    pub mounts: Vec<Mount>,
    /// Its environment: literals, and references to Secrets, ConfigMaps and fields of the pod, resolved.
    pub env: BTreeMap<String, String>,
    /// Resolves at SIGTERM.
    pub stop: StopSignal,
}

/// A volume as a container sees it.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Where it is mounted.
    pub path: String,
    /// The part of the volume that is mounted, if not all of it.
    pub sub_path: Option<String>,
    /// What is in it.
    pub content: Content,
}

/// What a volume holds.
#[derive(Clone)]
pub enum Content {
    /// Files by relative path: Secret, `ConfigMap`, downward API and projected volumes, read when the container starts.
    Files(Arc<BTreeMap<String, Bytes>>),
    /// A persistent volume claim.
    Claim {
        /// Its name, in the pod's namespace.
        name: String,
        /// Its UID: the identity of the data.
        uid: String,
    },
    /// Storage that lives on the node: emptyDir (dies with the pod), hostPath and the like. Equal ids are the same storage.
    Empty {
        /// The identity of the data.
        id: String,
    },
}

/// Files are shown without their bytes: they may be secrets.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(files) => {
                f.debug_tuple("Files").field(&files.keys().collect::<Vec<_>>()).finish()
            }
            Self::Claim { name, uid } => {
                f.debug_struct("Claim").field("name", name).field("uid", uid).finish()
            }
            Self::Empty { id } => f.debug_struct("Empty").field("id", id).finish(),
        }
    }
}

/// Names a container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerRef {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID.
    pub uid: String,
    /// The container's name.
    pub container: String,
    /// The node it runs on.
    pub node: String,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecResult {
    /// Its exit code.
    pub code: i32,
    /// What it wrote, both streams.
    pub output: Bytes,
}

/// SIGTERM, as a container sees it.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// A signal that was not sent yet, and the end that sends it by storing `true`.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Resolves when the container is asked to stop; never, if it never is.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            futures::future::pending::<()>().await;
        }
    }

    /// Whether the container has been asked to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Containers that run until they are asked to stop; init containers end at once, and every command succeeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct PauseRuntime;

impl ContainerRuntime for PauseRuntime {
    fn run(&self, start: ContainerStart) -> BoxFuture<'static, i32> {
        async move {
            if !start.init {
                start.stop.requested().await;
            }
            0
        }
        .boxed()
    }

    fn exec(&self, _at: &ContainerRef, _command: &[String]) -> BoxFuture<'static, ExecResult> {
        futures::future::ready(ExecResult { code: 0, output: Bytes::new() }).boxed()
    }
}
