//! The life of one pod on its node: volumes, sandbox, init containers, containers, status, and its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{join, join_all};
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition, PodSpec, PodStatus};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::core::{Core, RETRY};
use super::state::{ContainerState, PodState, Role, Stand, init_role};
use super::volumes::Volumes;
use super::{Kill, node};

/// Runs one pod.
pub(super) struct PodWorker {
    pub(super) core: Arc<Core>,
    /// Never changes.
    pub(super) spec: PodSpec,
    pod: watch::Sender<Arc<Pod>>,
    state: Mutex<PodState>,
    /// Counts the changes of `state`.
    changes: watch::Sender<u64>,
    /// Set once the pod has to end: when what still runs is killed.
    end: watch::Sender<Option<Instant>>,
    /// The pod is no longer in the API.
    gone: watch::Sender<bool>,
    /// Kills asked for, by container.
    pub(super) kills: BTreeMap<String, watch::Sender<Option<Kill>>>,
}

impl PodWorker {
    /// A worker for a pod, and what is remembered of an earlier run; none for a pod without a spec.
    pub(super) fn new(core: Arc<Core>, pod: Pod, remembered: Option<PodState>) -> Option<Self> {
        let spec = pod.spec.clone()?;
        let state = remembered
            .unwrap_or_else(|| PodState::new(&spec, node::host_ip(&core), (core.clock)()));
        let kills =
            state.containers.iter().map(|c| (c.name.clone(), watch::channel(None).0)).collect();
        let worker = Self {
            core,
            spec,
            pod: watch::channel(Arc::new(Pod::default())).0,
            state: Mutex::new(state),
            changes: watch::channel(0).0,
            end: watch::channel(None).0,
            gone: watch::channel(false).0,
            kills,
        };
        worker.update(pod);
        Some(worker)
    }

    pub(super) fn is(&self, namespace: &str, name: &str) -> bool {
        let pod = self.pod();
        pod.metadata.namespace.as_deref() == Some(namespace)
            && pod.metadata.name.as_deref() == Some(name)
    }

    /// The pod as last seen in the API.
    pub(super) fn pod(&self) -> Arc<Pod> {
        Arc::clone(&self.pod.borrow())
    }

    /// Takes in a newer version of the pod.
    pub(super) fn update(&self, pod: Pod) {
        let deleted = pod.metadata.deletion_timestamp.is_some();
        let grace = pod.metadata.deletion_grace_period_seconds;
        self.pod.send_replace(Arc::new(pod));
        self.changes.send_modify(|count| *count += 1);
        if deleted {
            self.end_within(grace);
        }
    }

    /// The pod has vanished from the API: what runs is stopped, with the grace its spec allows.
    pub(super) fn removed(&self) {
        self.gone.send_replace(true);
        self.end_within(self.pod().metadata.deletion_grace_period_seconds);
    }

    fn end_within(&self, grace: Option<i64>) {
        let seconds = grace.or(self.spec.termination_grace_period_seconds).unwrap_or(30);
        let deadline = Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        self.end.send_if_modified(|end| {
            let sooner = end.is_none_or(|known| deadline < known);
            if sooner {
                *end = Some(deadline);
            }
            sooner
        });
    }

    /// Kills a container; false if it does not run.
    pub(super) fn kill(&self, container: &str, kill: Kill) -> bool {
        let runs =
            |c: &ContainerState| c.name == container && matches!(c.stand, Stand::Running { .. });
        let running = self.state().containers.iter().any(runs);
        let Some(sender) = self.kills.get(container).filter(|_| running) else { return false };
        sender.send_replace(Some(kill));
        true
    }

    pub(super) fn state(&self) -> MutexGuard<'_, PodState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and has the status written.
    pub(super) fn change(&self, change: impl FnOnce(&mut PodState)) {
        change(&mut self.state());
        self.changes.send_modify(|count| *count += 1);
    }

    /// Changes the state of one container.
    pub(super) fn change_container(&self, name: &str, change: impl FnOnce(&mut ContainerState)) {
        self.change(|state| {
            if let Some(container) = state.containers.iter_mut().find(|c| c.name == name) {
                change(container);
            }
        });
    }

    /// Whether the pod has to end.
    pub(super) fn ending(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Resolves when the pod has to end.
    pub(super) async fn until_ending(&self) {
        // The sender lives in `self`, so that this and the waits below cannot fail.
        let _ = self.end.subscribe().wait_for(Option::is_some).await;
    }

    /// Resolves when what still runs has to be killed.
    pub(super) async fn until_deadline(&self) {
        let mut end = self.end.subscribe();
        loop {
            let deadline = *end.borrow_and_update();
            tokio::select! {
                biased;
                _ = end.changed() => {}
                () = async {
                    match deadline {
                        Some(deadline) => tokio::time::sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                } => return,
            }
        }
    }

    /// Resolves when the state satisfies a condition.
    pub(super) async fn until_state(&self, wanted: impl Fn(&PodState) -> bool + Send) {
        let _ = self.changes.subscribe().wait_for(|_| wanted(&self.state())).await;
    }

    async fn until_gone(&self) {
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// Runs the pod until nothing of it is left.
    pub(super) async fn run(&self) {
        let life = async {
            if !self.over_before() {
                self.live().await;
            }
            self.change(|state| state.over = true);
        };
        join(life, self.report()).await;
        self.until_deleted().await;
        self.delete().await;
    }

    /// Resolves when the pod was deleted in the API, gracefully or altogether.
    async fn until_deleted(&self) {
        let mut pod = self.pod.subscribe();
        tokio::select! {
            biased;
            () = self.until_gone() => {}
            _ = pod.wait_for(|pod| pod.metadata.deletion_timestamp.is_some()) => {}
        }
    }

    /// Whether the pod had ended before the kubelet came to know it.
    fn over_before(&self) -> bool {
        let pod = self.pod();
        let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed")) || self.state().over
    }

    /// Runs the containers until none runs any more.
    async fn live(&self) {
        let volumes = tokio::select! {
            biased;
            () = self.until_ending() => return,
            volumes = Volumes::mount(self) => volumes,
        };
        sleep(self.core.timings.pull).await;
        let ip = self.core.pod_ip();
        self.change(|state| state.ip = Some(ip));
        let inits: Vec<&Container> = self.spec.init_containers.iter().flatten().collect();
        let sidecars = inits.iter().filter(|c| init_role(c) == Role::Sidecar);
        let sidecars = join_all(sidecars.map(|c| self.sidecar(c, &inits, &volumes)));
        let mains = async {
            if self.initialise(&inits, &volumes).await {
                join_all(
                    self.spec.containers.iter().map(|c| self.container(c, Role::Main, &volumes)),
                )
                .await;
            }
            // Sidecars outlive the containers they serve, and no longer.
            self.end_within(None);
        };
        join(sidecars, mains).await;
    }

    /// Runs the init containers in order; false if the pod ends before they are done.
    async fn initialise(&self, inits: &[&Container], volumes: &Volumes) -> bool {
        for container in inits {
            let done = match init_role(container) {
                Role::Sidecar | Role::Main => {
                    tokio::select! {
                        biased;
                        () = self.until_ending() => false,
                        () = self.until_state(|state| state.begun(&container.name)) => true,
                    }
                }
                Role::Init => self.container(container, Role::Init, volumes).await == Some(0),
            };
            if !done {
                return false;
            }
        }
        !self.ending()
    }

    /// Runs a sidecar once the init containers before it are done.
    async fn sidecar(&self, sidecar: &Container, inits: &[&Container], volumes: &Volumes) {
        let before: Vec<&str> = inits
            .iter()
            .map(|c| c.name.as_str())
            .take_while(|name| *name != sidecar.name)
            .collect();
        tokio::select! {
            biased;
            () = self.until_ending() => return,
            () = self.until_state(|state| before.iter().all(|name| state.begun(name))) => {}
        }
        self.container(sidecar, Role::Sidecar, volumes).await;
    }

    /// Writes the status whenever it changes, or others have changed it, until the pod is over and that is written.
    async fn report(&self) {
        let mut changes = self.changes.subscribe();
        let mut written: Option<(PodStatus, u64)> = None;
        loop {
            changes.borrow_and_update();
            let pod = self.pod();
            let (status, over) = {
                let mut state = self.state();
                (state.status(&pod, (self.core.clock)()), state.over)
            };
            let stands = |(known, since): &(PodStatus, u64)| {
                *known == status && !overruled(&pod, known, *since)
            };
            if !written.as_ref().is_some_and(stands) {
                let version = tokio::select! {
                    biased;
                    () = self.until_gone() => u64::MAX,
                    version = self.write(&status) => version,
                };
                written = Some((status, version));
            }
            if over {
                return;
            }
            let _ = changes.changed().await;
        }
    }

    /// Writes a status; gives up only when the pod is no longer there. Brings the version of the pod that has it.
    async fn write(&self, status: &PodStatus) -> u64 {
        let pod = self.pod();
        let body = Patch::Strategic(json!({ "metadata": { "uid": pod.uid() }, "status": status }));
        let api = self.api();
        loop {
            match self
                .core
                .call(api.patch_status(&pod.name_any(), &PatchParams::default(), &body))
                .await
            {
                Ok(pod) => return version(&pod),
                Err(error) if matches!(error.code(), Some(404 | 409)) => return u64::MAX,
                Err(error) => {
                    tracing::debug!(pod = pod.name_any(), %error, "writing a pod's status failed");
                }
            }
            sleep(RETRY).await;
        }
    }

    /// Takes the pod out of the API: nothing of it is left here.
    async fn delete(&self) {
        let pod = self.pod();
        let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
        let params = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default().grace_period(0)
        };
        let api = self.api();
        while !*self.gone.borrow() {
            match self.core.call(api.delete(&pod.name_any(), &params)).await {
                Ok(_) => return,
                Err(error) if matches!(error.code(), Some(404 | 409)) => return,
                Err(error) => {
                    tracing::debug!(pod = pod.name_any(), %error, "deleting a pod failed");
                }
            }
            sleep(RETRY).await;
        }
    }

    pub(super) fn namespace(&self) -> String {
        self.pod().namespace().unwrap_or_default()
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.core.client.clone(), &self.namespace())
    }
}

fn version(pod: &Pod) -> u64 {
    pod.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Whether others have changed a condition that was written with, or before, a version.
fn overruled(pod: &Pod, written: &PodStatus, since: u64) -> bool {
    let now: Vec<_> = pod.status.iter().flat_map(|s| s.conditions.iter().flatten()).collect();
    let changed = |c: &PodCondition| now.iter().any(|n| n.type_ == c.type_ && n.status != c.status);
    version(pod) > since && written.conditions.iter().flatten().any(changed)
}
