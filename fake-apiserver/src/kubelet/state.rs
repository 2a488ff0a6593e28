//! What the kubelet knows of one pod's containers, and the pod status that follows from it: a pure function.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState as ApiState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) code: i32,
    pub(super) reason: &'static str,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) id: String,
}

/// Where a container stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stand {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp, id: String },
    Ended(Exit),
}

/// The part a container has in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Init,
    /// An init container that keeps running.
    Sidecar,
    Main,
}

/// One container.
#[derive(Debug, Clone)]
pub(super) struct ContainerState {
    pub(super) name: String,
    image: String,
    pub(super) role: Role,
    pub(super) stand: Stand,
    pub(super) last: Option<Exit>,
    pub(super) restarts: i32,
    pub(super) started: bool,
    pub(super) ready: bool,
}

/// One pod.
#[derive(Debug, Clone)]
pub(super) struct PodState {
    pub(super) containers: Vec<ContainerState>,
    pub(super) ip: Option<String>,
    pub(super) host_ip: String,
    pub(super) since: Timestamp,
    /// No container runs or will run again.
    pub(super) over: bool,
    conditions: Vec<PodCondition>,
}

impl PodState {
    /// A pod of which nothing was started.
    pub(super) fn new(spec: &PodSpec, host_ip: String, now: Timestamp) -> Self {
        let waiting =
            if spec.init_containers.is_some() { "PodInitializing" } else { "ContainerCreating" };
        let inits = spec.init_containers.iter().flatten().map(|c| (c, init_role(c)));
        let mains = spec.containers.iter().map(|c| (c, Role::Main));
        let containers = inits
            .chain(mains)
            .map(|(container, role)| ContainerState {
                name: container.name.clone(),
                image: container.image.clone().unwrap_or_default(),
                role,
                stand: Stand::Waiting { reason: waiting, message: String::new() },
                last: None,
                restarts: 0,
                started: false,
                ready: false,
            })
            .collect();
        Self { containers, ip: None, host_ip, since: now, over: false, conditions: Vec::new() }
    }

    /// The state after the node was without power: every container that ran has died and will be started anew.
    pub(super) fn after_power_cut(&mut self, now: Timestamp) {
        self.ip = None;
        let inits = self.containers.iter().any(|c| c.role != Role::Main);
        let reason = if inits { "PodInitializing" } else { "ContainerCreating" };
        for container in &mut self.containers {
            let exit = match &container.stand {
                Stand::Waiting { .. } => continue,
                Stand::Running { since, id } => Exit {
                    code: 255,
                    reason: "Unknown",
                    started: *since,
                    finished: now,
                    id: id.clone(),
                },
                Stand::Ended(exit) => exit.clone(),
            };
            container.last = Some(exit);
            container.restarts += 1;
            container.started = false;
            container.ready = false;
            container.stand = Stand::Waiting { reason, message: String::new() };
        }
    }

    /// The status to write, with the transition times of the conditions kept where nothing changed.
    pub(super) fn status(&mut self, pod: &Pod, now: Timestamp) -> PodStatus {
        let wanted = self.wanted_conditions(pod);
        self.conditions = wanted
            .into_iter()
            .map(|mut condition| {
                let known = self
                    .conditions
                    .iter()
                    .find(|c| c.type_ == condition.type_ && c.status == condition.status);
                condition.last_transition_time =
                    known.and_then(|c| c.last_transition_time.clone()).or(Some(Time(now)));
                condition
            })
            .collect();
        let (inits, mains): (Vec<_>, Vec<_>) =
            self.containers.iter().partition(|c| c.role != Role::Main);
        PodStatus {
            phase: Some(self.phase(pod).to_owned()),
            conditions: Some(self.conditions.clone()),
            container_statuses: Some(mains.into_iter().map(ContainerState::status).collect()),
            init_container_statuses: (!inits.is_empty())
                .then(|| inits.into_iter().map(ContainerState::status).collect()),
            host_ip: Some(self.host_ip.clone()),
            host_ips: Some(vec![HostIP { ip: self.host_ip.clone() }]),
            pod_ip: self.ip.clone(),
            pod_ips: self.ip.clone().map(|ip| vec![PodIP { ip }]),
            start_time: Some(Time(self.since)),
            ..PodStatus::default()
        }
    }

    /// Whether an init container of this name holds up no other.
    pub(super) fn begun(&self, name: &str) -> bool {
        self.containers.iter().any(|c| c.name == name && c.done())
    }

    fn mains(&self) -> impl Iterator<Item = &ContainerState> {
        self.containers.iter().filter(|c| c.role == Role::Main)
    }

    /// Whether every init container has done its part.
    fn initialised(&self) -> bool {
        self.containers.iter().all(|c| match c.role {
            Role::Init => matches!(&c.stand, Stand::Ended(exit) if exit.code == 0),
            Role::Sidecar => c.started || self.over,
            Role::Main => true,
        })
    }

    /// The phase: Pending, Running, Succeeded or Failed.
    pub(super) fn phase(&self, pod: &Pod) -> &'static str {
        if self.over {
            let failed = |c: &ContainerState| match &c.stand {
                Stand::Ended(exit) => exit.code != 0,
                Stand::Waiting { .. } | Stand::Running { .. } => c.role == Role::Main,
            };
            let bad = self.containers.iter().any(|c| c.role != Role::Sidecar && failed(c));
            return if bad { "Failed" } else { "Succeeded" };
        }
        let begun =
            |c: &ContainerState| c.last.is_some() || !matches!(c.stand, Stand::Waiting { .. });
        let deleted = pod.metadata.deletion_timestamp.is_some();
        if self.initialised() && self.mains().any(begun) || deleted && self.mains().any(begun) {
            "Running"
        } else {
            "Pending"
        }
    }

    fn wanted_conditions(&self, pod: &Pod) -> Vec<PodCondition> {
        let done = self
            .over
            .then(|| if self.phase(pod) == "Failed" { "PodFailed" } else { "PodCompleted" });
        let initialised = self.initialised();
        let unready: Vec<&str> =
            self.mains().filter(|c| !c.ready).map(|c| c.name.as_str()).collect();
        let pending: Vec<&str> = self
            .containers
            .iter()
            .filter(|c| c.role != Role::Main && !c.done())
            .map(|c| c.name.as_str())
            .collect();
        let containers = match done {
            Some(reason) => condition("ContainersReady", false, Some(reason), None),
            None if initialised && unready.is_empty() => {
                condition("ContainersReady", true, None, None)
            }
            None => {
                let message = format!("containers with unready status: [{}]", unready.join(" "));
                condition("ContainersReady", false, Some("ContainersNotReady"), Some(message))
            }
        };
        let ready = PodCondition { type_: "Ready".to_owned(), ..containers.clone() };
        let initialised = match (initialised, done) {
            (true, Some("PodCompleted")) => {
                condition("Initialized", true, Some("PodCompleted"), None)
            }
            (true, _) => condition("Initialized", true, None, None),
            (false, _) => {
                let message = format!("containers with incomplete status: [{}]", pending.join(" "));
                condition("Initialized", false, Some("ContainersNotInitialized"), Some(message))
            }
        };
        let mut conditions = vec![
            condition("PodReadyToStartContainers", self.ip.is_some() && !self.over, None, None),
            initialised,
            ready,
            containers,
        ];
        let known = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.push(
            known
                .clone()
                .find(|c| c.type_ == "PodScheduled")
                .cloned()
                .unwrap_or_else(|| condition("PodScheduled", true, None, None)),
        );
        if let Some(generation) = pod.metadata.generation {
            for condition in &mut conditions {
                condition.observed_generation = Some(generation);
            }
        }
        conditions
    }
}

impl ContainerState {
    /// Whether an init container no longer holds up the ones after it.
    fn done(&self) -> bool {
        match self.role {
            Role::Init => matches!(&self.stand, Stand::Ended(exit) if exit.code == 0),
            Role::Sidecar | Role::Main => self.started,
        }
    }

    /// Whether it waits for this reason.
    pub(super) fn stand_is(&self, wanted: &str) -> bool {
        matches!(self.stand, Stand::Waiting { reason, .. } if reason == wanted)
    }

    fn status(&self) -> ContainerStatus {
        let running = matches!(self.stand, Stand::Running { .. });
        let id = match &self.stand {
            Stand::Running { id, .. } => Some(id.clone()),
            Stand::Ended(exit) => Some(exit.id.clone()),
            Stand::Waiting { .. } => self.last.as_ref().map(|exit| exit.id.clone()),
        };
        let succeeded = self.role == Role::Init && self.done();
        ContainerStatus {
            name: self.name.clone(),
            image: self.image.clone(),
            image_id: id
                .as_ref()
                .map(|_| format!("{}@sha256:{:064x}", self.image, fingerprint(&self.image)))
                .unwrap_or_default(),
            container_id: id,
            ready: running && self.ready || succeeded,
            started: Some(running && self.started),
            restart_count: self.restarts,
            state: Some(match &self.stand {
                Stand::Waiting { reason, message } => waiting(reason, message),
                Stand::Running { since, .. } => ApiState {
                    running: Some(ContainerStateRunning { started_at: Some(Time(*since)) }),
                    ..ApiState::default()
                },
                Stand::Ended(exit) => ended(exit),
            }),
            last_state: Some(self.last.as_ref().map(ended).unwrap_or_default()),
            ..ContainerStatus::default()
        }
    }
}

/// Whether an init container ends or stays.
pub(super) fn init_role(container: &Container) -> Role {
    if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init }
}

fn condition(
    kind: &str,
    status: bool,
    reason: Option<&str>,
    message: Option<String>,
) -> PodCondition {
    PodCondition {
        type_: kind.to_owned(),
        status: if status { "True" } else { "False" }.to_owned(),
        reason: reason.map(str::to_owned),
        message,
        ..PodCondition::default()
    }
}

fn waiting(reason: &str, message: &str) -> ApiState {
    let message = (!message.is_empty()).then(|| message.to_owned());
    ApiState {
        waiting: Some(ContainerStateWaiting { reason: Some(reason.to_owned()), message }),
        ..ApiState::default()
    }
}

fn ended(exit: &Exit) -> ApiState {
    ApiState {
        terminated: Some(ContainerStateTerminated {
            exit_code: exit.code,
            reason: Some(exit.reason.to_owned()),
            started_at: Some(Time(exit.started)),
            finished_at: Some(Time(exit.finished)),
            container_id: Some(exit.id.clone()),
            ..ContainerStateTerminated::default()
        }),
        ..ApiState::default()
    }
}

/// A stable number for a text (FNV-1a).
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
