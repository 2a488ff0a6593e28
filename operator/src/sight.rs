//! Sights: what was observed, with what is needed to act on it.
//!
//! Never: observes, or decides.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use kube::ResourceExt;
use tokio::time::Instant;

use crate::agent::{Endpoint, Limits, ObjectContext};
use crate::crd::{TimesTenClassic, TimesTenClassicStatus};
use crate::credentials::Credentials;
use crate::desired::Desired;
use crate::memory::Memory;
use crate::memory::link::Link;
use crate::observation::{Member, Observation, Replicas, TtContainer};
use crate::observe::lock;
use crate::operator::Key;
use crate::standing::Incarnation;

/// What was observed, by topology.
pub enum Look {
    /// An active standby pair, or an object of which nothing can be believed yet.
    Pair(Sight),
    /// Databases without replication.
    Replicas(Sight<Replicas>),
}

/// An observation, with what is needed to act on it.
pub struct Sight<Seen = Observation> {
    /// The object as it was observed.
    pub object: Arc<TimesTenClassic>,
    /// Which it is.
    pub key: Key,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// What `decide` gets.
    pub seen: Arc<Seen>,
    /// The last spec that could be believed.
    pub desired: Option<Arc<Desired>>,
    /// What the agents are spoken to with.
    pub(crate) credentials: Option<Arc<Credentials>>,
    /// The versions in which the watch showed the pods, by name.
    pub(crate) versions: BTreeMap<String, String>,
    /// What is remembered of the object.
    pub(crate) memory: Arc<Mutex<Memory>>,
}

impl<Seen> Clone for Sight<Seen> {
    fn clone(&self) -> Self {
        Self {
            object: Arc::clone(&self.object),
            key: self.key.clone(),
            namespace: self.namespace.clone(),
            uid: self.uid.clone(),
            seen: Arc::clone(&self.seen),
            desired: self.desired.clone(),
            credentials: self.credentials.clone(),
            versions: self.versions.clone(),
            memory: Arc::clone(&self.memory),
        }
    }
}

/// A pod that background work is about, as it was observed.
#[derive(Clone)]
pub struct Post {
    /// Its name.
    pub name: String,
    /// Its incarnation.
    pub incarnation: Option<Incarnation>,
    /// How to reach its agent, if it has a container that runs.
    pub endpoint: Option<Endpoint>,
}

impl Sight<()> {
    /// The same of what was seen.
    pub(crate) fn of<Seen>(self, seen: Seen, versions: BTreeMap<String, String>) -> Sight<Seen> {
        let Self { object, key, namespace, uid, desired, credentials, memory, .. } = self;
        let seen = Arc::new(seen);
        Sight { object, key, namespace, uid, seen, desired, credentials, versions, memory }
    }
}

impl<Seen> Sight<Seen> {
    /// The status that the object has; an empty one if it has none yet.
    #[must_use]
    pub fn status(&self) -> &TimesTenClassicStatus {
        static NONE_YET: LazyLock<TimesTenClassicStatus> = LazyLock::new(Default::default);
        self.object.status.as_ref().unwrap_or(&NONE_YET)
    }

    /// Works on the memory of the object.
    pub fn memory<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut lock(&self.memory))
    }

    /// Works on what is remembered of a pod, if it still is the incarnation that was observed.
    pub fn link<T>(&self, post: &Post, work: impl FnOnce(&mut Link) -> T) -> Option<T> {
        self.memory(|memory| {
            let link = &mut memory.pod(&post.name, Instant::now()).link;
            (link.incarnation() == post.incarnation.as_ref()).then(|| work(link))
        })
    }

    /// The full DNS name of a pod.
    #[must_use]
    pub fn host(&self, pod: &str) -> String {
        format!("{pod}.{}.{}.svc.cluster.local", self.object.name_any(), self.namespace)
    }

    /// The version in which the watch showed a pod.
    #[must_use]
    pub fn version(&self, pod: &str) -> Option<String> {
        self.versions.get(pod).cloned()
    }

    /// A pod for background work, as it was observed.
    #[must_use]
    pub fn post(&self, member: &Member) -> Post {
        Post {
            name: member.name.clone(),
            incarnation: member.pod().map(|pod| pod.incarnation.clone()),
            endpoint: self.endpoint(member),
        }
    }

    /// How to reach a pod's agent, if it has a container that runs.
    fn endpoint(&self, member: &Member) -> Option<Endpoint> {
        let pod = member.pod().filter(|pod| pod.tt == TtContainer::Running)?;
        let desired = self.desired.as_ref()?;
        let timeouts = &desired.timeouts;
        Some(Endpoint {
            host: self.host(&member.name),
            pod_uid: pod.incarnation.uid.clone(),
            object: ObjectContext {
                name: self.object.name_any(),
                namespace: self.namespace.clone(),
                uid: self.uid.clone(),
                db_name: desired.db_name().to_owned(),
                zz_test_info: desired.zz_test_info.clone(),
                zz_agent_debug_info: desired.zz_agent_debug_info,
            },
            credentials: Arc::clone(self.credentials.as_ref()?),
            limits: Limits {
                tcp: timeouts.tcp,
                tls: timeouts.tls,
                get: timeouts.get,
                post: timeouts.post,
            },
        })
    }
}
