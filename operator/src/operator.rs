//! What a running operator has at hand, and what it keeps of each object.
//!
//! Never: decides.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use crate::agent::HttpsAgent;
use crate::caches::{Caches, Wake};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterError, KubeCluster};
use crate::crd::TimesTenClassic;
use crate::jobs::Jobs;
use crate::lease::Leadership;
use crate::memory::Memory;
use crate::observe::lock;
use crate::report::{self, Note};
use crate::sight::Sight;

/// Random bytes, for credentials and ids.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Who this operator is, in events and in the status.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name of its Deployment: `reportingController`.
    pub controller: String,
    /// The name of its pod: `reportingInstance`.
    pub instance: String,
}

/// An object, by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// That of an object.
    #[must_use]
    pub fn of(object: &TimesTenClassic) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }
}

impl Key {
    /// The object, for whoever wakes the controller.
    #[must_use]
    pub fn reference(&self) -> ObjectRef<TimesTenClassic> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

type Memories = BTreeMap<Key, (String, Arc<Mutex<Memory>>)>;

/// What a running operator has at hand.
pub struct Operator {
    /// Kubernetes, to write to.
    pub cluster: KubeCluster,
    /// The agents.
    pub agent: Arc<HttpsAgent>,
    /// Kubernetes, as last seen.
    pub caches: Caches,
    /// Background work.
    pub jobs: Jobs,
    /// Wakes the controller.
    pub wake: Wake,
    /// The time of day.
    pub clock: Clock,
    /// Random bytes.
    pub random: Random,
    /// Who we are.
    pub identity: Identity,
    /// Whether we may act, and for how long.
    pub leadership: Leadership,
    /// How many events were created: their names sort in the order they were told.
    pub said: AtomicU64,
    /// What is remembered of each object, by its UID.
    pub memories: Mutex<Memories>,
}

impl Operator {
    /// What is remembered of an object. Another UID is another object.
    pub fn memory(&self, key: &Key, uid: &str) -> Arc<Mutex<Memory>> {
        let mut memories = lock(&self.memories);
        match memories.get(key) {
            Some((known, memory)) if known == uid => Arc::clone(memory),
            _ => {
                let memory = Arc::new(Mutex::new(Memory::new(Instant::now())));
                memories.insert(key.clone(), (uid.to_owned(), Arc::clone(&memory)));
                memory
            }
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, key: &Key) {
        lock(&self.memories).remove(key);
    }

    /// Has an object looked at.
    pub fn wake(&self, key: &Key) {
        let _ = self.wake.send(key.reference());
    }

    /// Sixteen random bytes.
    #[must_use]
    pub fn random_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        (self.random)(&mut bytes);
        bytes
    }

    /// Creates an event in the background; what becomes of it matters to nobody (I9).
    pub fn tell<Seen>(&self, sight: &Sight<Seen>, note: &Note) {
        let event = report::event(
            &sight.object,
            note,
            &self.identity,
            self.clock.now(),
            self.said.fetch_add(1, Ordering::Relaxed),
        );
        let cluster = self.cluster.clone();
        self.jobs.start(async move {
            if let Err(error) = cluster.say(&event).await {
                tracing::debug!(%error, "event not created");
            }
        });
    }

    /// A pass has failed.
    pub fn complain(&self, object: &TimesTenClassic, error: &ClusterError) {
        tracing::warn!(object = %Key::of(object), %error, "pass failed");
    }
}
