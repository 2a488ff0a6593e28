//! What the parts of one kubelet share: its node's identity and power, its way to the API, and its counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::pod::PodWorker;
use super::runtime::ContainerRuntime;
use super::state::{PodState, fingerprint};
use super::{NodeSpec, Power, Timings};
use crate::Clock;
use crate::named::named;

/// Shared by the parts of a kubelet.
pub(super) struct Core {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) spec: NodeSpec,
    pub(super) runtime: Arc<dyn ContainerRuntime>,
    pub(super) timings: Timings,
    began: Instant,
    pub(super) power: watch::Sender<Power>,
    workers: Mutex<BTreeMap<String, Arc<PodWorker>>>,
    remembered: Mutex<BTreeMap<String, PodState>>,
    counter: AtomicU64,
}

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the node lost its way to the API before the answer came")]
    Cut,
    #[error("the API refused or could not be reached: {0}")]
    Api(#[from] kube::Error),
}

impl Trouble {
    /// The HTTP status of a refusal.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Api(kube::Error::Api(status)) => Some(status.code),
            Self::Api(_) | Self::Cut => None,
        }
    }
}

/// How long to wait before a request that failed is sent again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn new(
        client: Client,
        clock: Clock,
        spec: NodeSpec,
        runtime: Arc<dyn ContainerRuntime>,
        timings: Timings,
    ) -> Self {
        Self {
            client: named(client, "kubelet"),
            clock,
            spec,
            runtime,
            timings,
            began: Instant::now(),
            power: watch::channel(Power::On).0,
            workers: Mutex::default(),
            remembered: Mutex::default(),
            counter: AtomicU64::new(0),
        }
    }

    /// Resolves when the power is as asked.
    pub(super) async fn until(&self, wanted: impl FnMut(&Power) -> bool) {
        let mut power = self.power.subscribe();
        // The sender lives in `self`, so that the wait cannot fail.
        let _ = power.wait_for(wanted).await;
    }

    /// Sends a request once the API can be reached, and gives up on it when the node is cut off meanwhile.
    pub(super) async fn call<T>(
        &self,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Trouble> {
        self.until(|power| *power == Power::On).await;
        tokio::select! {
            biased;
            () = self.until(|power| *power != Power::On) => Err(Trouble::Cut),
            answer = request => Ok(answer?),
        }
    }

    /// Waits until the kubelet next looks at what runs on its node. Nodes do not look all at once: when one
    /// does follows from its name.
    pub(super) async fn relist(&self) {
        let period = self.timings.relist.as_nanos();
        let phase = u128::from(fingerprint(&self.spec.name));
        if let Some(past) = (self.began.elapsed().as_nanos() + phase).checked_rem(period) {
            let left = u64::try_from(period - past).unwrap_or(u64::MAX);
            sleep(Duration::from_nanos(left)).await;
        }
    }

    /// A container id nobody else has.
    pub(super) fn container_id(&self) -> String {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let node = fingerprint(&self.spec.name);
        format!(
            "containerd://{node:016x}{:016x}{:032x}",
            fingerprint(&format!("{node}/{number}")),
            number
        )
    }

    /// A pod address nobody else has had.
    pub(super) fn pod_ip(&self) -> String {
        let number = self.counter.fetch_add(1, Ordering::Relaxed).wrapping_add(2);
        format!("10.{}.{}.{}", self.spec.index, (number / 250) % 250, number % 250 + 1)
    }

    pub(super) fn workers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<PodWorker>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of a pod that ran before the power was cut.
    pub(super) fn recall(&self, uid: &str) -> Option<PodState> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).remove(uid)
    }

    /// The power is cut: pods become memories.
    pub(super) fn power_cut(&self) {
        let workers = std::mem::take(&mut *self.workers());
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        for (uid, worker) in workers {
            let state = worker.state().clone();
            remembered.insert(uid, state);
        }
    }
}
