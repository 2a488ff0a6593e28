//! Observing: one immutable value from the caches, the memory and the object itself.
//!
//! Never: waits for an agent, and fails only when the API server does.

mod credentials;
mod missing;
mod pod;
mod stranded;
mod subscribers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::agent::{AgentError, Facts, How, StatusReply, TaskId};
use crate::caches::find;
use crate::cluster::{self, ClusterError};
use crate::crd::TimesTenClassic;
use crate::credentials::Credentials;
use crate::desired::{Desired, SpecProblem, Topology};
use crate::memory::{Compared, Memory};
use crate::objects::{self, Live, Parts};
use crate::observation::{
    Lone, Member, Observation, Owned, Pod, Replicas, Role, Silence, TtContainer,
};
use crate::operator::{Key, Operator};
use crate::pair::Both;
use crate::report;
use crate::sight::{Look, Sight};
use crate::standing::Incarnation;
use crate::writes::Trouble;

pub use self::missing::Missing;
pub use self::pod::{node_ready, pod};

use self::pod::{made_with, told_apart};

impl Operator {
    /// Looks at an object.
    ///
    /// # Errors
    /// When the API server has to be asked directly and does not answer.
    pub async fn observe(&self, cached: &Arc<TimesTenClassic>) -> Result<Look, ClusterError> {
        let uid = cached.uid().unwrap_or_default();
        let key = Key::of(cached);
        let memory = self.memory(&key, &uid);
        let object = newest(&memory, cached);
        let namespace = object.namespace().unwrap_or_default();
        let (read, desired) = {
            let mut memory = lock(&memory);
            (memory.spec(&object), memory.believed())
        };
        let credentials = match &desired {
            Some((_, desired)) => self.credentials(&memory, desired, has_pods(&object)).await?,
            None => None,
        };
        let sight = Sight {
            seen: Arc::new(()),
            desired: desired.as_ref().map(|(_, desired)| Arc::clone(desired)),
            credentials,
            versions: BTreeMap::new(),
            object,
            key,
            namespace,
            uid,
            memory,
        };
        Ok(match &sight.desired {
            Some(spec) if spec.topology != Topology::ActiveStandbyPair => {
                let (spec, refused) = (Arc::clone(spec), read.err());
                Look::Replicas(self.replicas(sight, spec, desired.as_ref(), refused))
            }
            _ => Look::Pair(self.pair(sight, desired.as_ref(), read)),
        })
    }

    /// Looks at a pair.
    fn pair(
        &self,
        sight: Sight<()>,
        desired: Option<&(i64, Arc<Desired>)>,
        read: Result<Arc<Desired>, SpecProblem>,
    ) -> Sight {
        let object = Arc::clone(&sight.object);
        let now = Instant::now();
        let standing = report::standing(object.status.as_ref());
        let memory = Arc::clone(&sight.memory);
        let mut guard = lock(&memory);
        guard.note(&standing, now);
        guard.deleting.note(object.metadata.deletion_timestamp.is_some(), now);
        let names = Both::each(|ordinal| format!("{}-{ordinal}", object.name_any()));
        let pods = names.map(|name| self.freshest(&mut guard, &sight.namespace, name, now));
        let readers = self.pods_of_subscribers(&mut guard, &sight, desired, now);
        let shown: Vec<&v1::Pod> = pods
            .iter()
            .filter_map(|(_, pod)| pod.as_deref())
            .chain(readers.iter().filter_map(|(_, pod)| pod.as_deref()))
            .collect();
        let versions = versions(&shown);
        let owned = self.owned_of(&mut guard, &sight, desired, &shown, now);
        let subscribers = self.subscribers(&mut guard, &sight, &readers, now);
        let set = find(&self.caches.stateful_sets, &sight.namespace, &object.name_any());
        let members = Both::each(|ordinal| {
            let task = standing.task_of(ordinal);
            let name = names[ordinal].clone();
            let pod = pods[ordinal].as_deref();
            let mut member = self.member(&mut guard, &sight, name, pod, task);
            told_apart(&mut member, pod, set.as_deref());
            member
        });
        let seen = Observation {
            now: self.clock.now(),
            refused: read.as_ref().err().cloned(),
            desired: desired.map_or(read, |(_, desired)| Ok(Arc::clone(desired))),
            generation: object.metadata.generation.unwrap_or_default(),
            deleting: guard.deleting.known().to_owned(),
            deleting_for: guard.deleting.age(now),
            finalized: cluster::finalized(&object),
            in_state: guard.in_state(now),
            intent_age: guard.intent_age(now),
            task_age: guard.task_age(now),
            rebuild_age: guard.rebuild_age(now),
            standing,
            members,
            subscribers,
            owned,
            locked_out: guard.keyring.locked_out.clone(),
            fresh_id: TaskId::from_random(self.random_bytes()).to_string(),
        };
        drop(guard);
        sight.of(seen, versions)
    }

    /// Looks at databases without replication.
    fn replicas(
        &self,
        sight: Sight<()>,
        spec: Arc<Desired>,
        desired: Option<&(i64, Arc<Desired>)>,
        refused: Option<SpecProblem>,
    ) -> Sight<Replicas> {
        let object = Arc::clone(&sight.object);
        let now = Instant::now();
        let standing = report::standing_of_replicas(object.status.as_ref());
        let memory = Arc::clone(&sight.memory);
        let mut guard = lock(&memory);
        let names: Vec<String> = (0..spec.replicas())
            .map(|ordinal| format!("{}-{ordinal}", object.name_any()))
            .collect();
        guard.keep(&names);
        let pods: Vec<Option<Arc<v1::Pod>>> = names
            .iter()
            .map(|name| self.freshest(&mut guard, &sight.namespace, name, now))
            .collect();
        let shown: Vec<&v1::Pod> = pods.iter().filter_map(Option::as_deref).collect();
        let versions = versions(&shown);
        let owned = self.owned_of(&mut guard, &sight, desired, &shown, now);
        let pods = names.into_iter().zip(&pods).map(|(name, pod)| {
            let state = standing.pods.get(&name).map(|replica| replica.state);
            let known = &mut guard.pod(&name, now).state;
            known.note(state, now);
            let in_state = known.age(now);
            Lone { member: self.member(&mut guard, &sight, name, pod.as_deref(), None), in_state }
        });
        let seen = Replicas {
            now: self.clock.now(),
            refused,
            desired: spec,
            generation: object.metadata.generation.unwrap_or_default(),
            deleting: object.metadata.deletion_timestamp.is_some(),
            finalized: cluster::finalized(&object),
            pods: pods.collect(),
            standing,
            owned,
            locked_out: guard.keyring.locked_out.clone(),
        };
        drop(guard);
        sight.of(seen, versions)
    }

    /// The freshest that is known of a pod.
    fn freshest(
        &self,
        memory: &mut Memory,
        namespace: &str,
        name: &str,
        now: Instant,
    ) -> Option<Arc<v1::Pod>> {
        memory.pod(name, now).reads.freshest(self.shown(namespace, name))
    }

    /// What is seen of the owned objects, if there are any yet.
    fn owned_of(
        &self,
        memory: &mut Memory,
        sight: &Sight<()>,
        desired: Option<&(i64, Arc<Desired>)>,
        pods: &[&v1::Pod],
        now: Instant,
    ) -> Owned {
        match Asked::of(&sight.object, desired, memory.keyring.to_write()) {
            Some(asked) => self.owned(memory, &asked, pods, now),
            None => Owned { trouble: memory.writes.trouble.clone(), ..Owned::default() },
        }
    }

    /// One pod, and what its agent says.
    fn member(
        &self,
        memory: &mut Memory,
        sight: &Sight<()>,
        name: String,
        known: Option<&v1::Pod>,
        task: Option<&str>,
    ) -> Member {
        let now = Instant::now();
        let mut pod = pod(known, &sight.uid, self.node_of(known).as_deref());
        let link = &mut memory.pod(&name, now).link;
        if let Pod::Present(facts) = &mut pod {
            link.meet(Some(&facts.incarnation), now);
            let version = known.and_then(ResourceExt::resource_version);
            facts.role = link.role(facts.role, version.as_deref());
        } else {
            link.meet(None, now);
        }
        let mut member = Member {
            agent: link.agent(now),
            doing: link.doing(now),
            failures: link.failures(now),
            markers: link.markers(),
            quiet: link.quiet(now),
            task: link.task(task),
            name,
            pod,
        };
        self.tell_missing(memory, sight, &mut member, known, now);
        member
    }

    /// The node that a pod runs on, as the watch shows it.
    fn node_of(&self, pod: Option<&v1::Pod>) -> Option<Arc<v1::Node>> {
        let node = pod?.spec.as_ref()?.node_name.clone()?;
        self.caches.nodes.get(&kube::runtime::reflector::ObjectRef::new(&node))
    }

    /// A pod as the watch shows it.
    pub(crate) fn shown(&self, namespace: &str, name: &str) -> Option<Arc<v1::Pod>> {
        find(&self.caches.pods, namespace, name)
    }

    /// The objects that are made of one, and what differs from what the spec wants.
    fn owned(
        &self,
        memory: &mut Memory,
        asked: &Asked<'_>,
        pods: &[&v1::Pod],
        now: Instant,
    ) -> Owned {
        let desired = asked.desired;
        let (namespace, names) = (desired.namespace(), desired.object_names());
        let live = Live {
            secret: find(&self.caches.secrets, namespace, &names.secret),
            headless_service: find(&self.caches.services, namespace, &names.headless_service),
            active_service: find(&self.caches.services, namespace, &names.active_service),
            stateful_set: find(&self.caches.stateful_sets, namespace, &names.stateful_set),
            subscribers: self.set_of_subscribers(desired),
            disruption_budget: find(&self.caches.budgets, namespace, &names.disruption_budget),
            claims: desired
                .pods()
                .flat_map(|pod| objects::claim_names(desired, &pod))
                .filter_map(|name| find(&self.caches.claims, namespace, &name))
                .collect(),
            growing_classes: self.caches.growing_classes(),
        };
        // Building and comparing costs more than all else in a pass: once for each version.
        let credentials = Arc::clone(&asked.credentials);
        let of = (live.versions(), asked.image.clone(), credentials);
        let compared = match memory.compared.take() {
            Some(compared) if Arc::ptr_eq(&compared.desired, desired) && compared.of == of => {
                compared
            }
            _ => {
                let parts = Parts {
                    secret: asked.credentials.to_secret_data(),
                    image: asked.image.clone(),
                };
                let wanted = objects::wanted(desired, &parts);
                let (desired, drift) = (Arc::clone(desired), objects::drift(&wanted, &live));
                Compared { desired, of, drift, wanted }
            }
        };
        let wanted = &compared.wanted;
        let unapplied = objects::unapplied(desired, wanted, &live, pods, asked.scheme);
        let taken = objects::taken(wanted, &live).map(Trouble::Taken);
        let owned = Owned {
            trouble: taken.or_else(|| memory.writes.wrong(&compared.drift)),
            image: live.stateful_set.as_deref().and_then(made_with),
            drift: compared.drift.iter().filter(|w| memory.writes.due(w, now)).cloned().collect(),
            unapplied,
            credentials: memory.keyring.upkeep.clone(),
            stranded: self.stranded(memory, desired, now),
        };
        memory.compared = Some(compared);
        owned
    }
}

/// What the owned objects are compared with.
struct Asked<'a> {
    desired: &'a Arc<Desired>,
    /// What the Secret is to say.
    credentials: Arc<Credentials>,
    /// The statement that the replication scheme was created with.
    scheme: Option<&'a str>,
    /// The image that upgrades have come to.
    image: Option<String>,
}

impl<'a> Asked<'a> {
    fn of(
        object: &'a TimesTenClassic,
        desired: Option<&'a (i64, Arc<Desired>)>,
        credentials: Option<Arc<Credentials>>,
    ) -> Option<Self> {
        let (_, desired) = desired?;
        let scheme = object.status.as_ref().and_then(|s| s.rep_create_statement.as_deref());
        let image = object.status.as_ref().and_then(report::image);
        Some(Self { desired, credentials: credentials?, scheme, image })
    }
}

/// Pods were seen that were started with the credentials of this object.
fn has_pods(object: &TimesTenClassic) -> bool {
    let pods = object.status.iter().flat_map(|status| &status.pod_status);
    pods.into_iter().any(|pod| pod.has_been_seen == Some(true))
}

/// The version of the object to go by: the watch may lag behind what this process wrote itself.
fn newest(memory: &Mutex<Memory>, cached: &Arc<TimesTenClassic>) -> Arc<TimesTenClassic> {
    let version = |object: &TimesTenClassic| {
        object.resource_version().and_then(|version| version.parse::<u64>().ok())
    };
    let mut memory = lock(memory);
    match &memory.written {
        Some(written) if version(written) > version(cached) => Arc::clone(written),
        _ => {
            memory.written = None;
            Arc::clone(cached)
        }
    }
}

/// What a direct read has to confirm of a pod.
#[must_use]
pub fn essence(pod: &Pod) -> Option<(&Incarnation, bool, &TtContainer, Option<Role>)> {
    match pod {
        Pod::Absent | Pod::Foreign => None,
        Pod::Present(pod) => Some((&pod.incarnation, pod.terminating, &pod.tt, pod.role)),
    }
}

/// What an agent's answer says, or how it does not answer.
///
/// # Errors
/// How it does not answer.
pub fn answer(reply: Result<StatusReply, AgentError>, db_name: &str) -> Result<Facts, Silence> {
    match reply {
        Ok(reply) => Ok(Facts::of(&reply, db_name)),
        Err(error) => {
            let text = error.to_string();
            Err(match error {
                // A process listens, and is not to be known by what we hold: its database may be well.
                AgentError::Unreachable { how: How::Tls, .. } => Silence::Refused(text),
                AgentError::Unreachable { .. } => Silence::Gone(text),
                AgentError::TimedOut { .. } => Silence::Mute(text),
                AgentError::Unauthorized { .. } => Silence::Refused(text),
                AgentError::HttpStatus { .. }
                | AgentError::BadReply { .. }
                | AgentError::Verb { .. } => Silence::Babble(text),
            })
        }
    }
}

/// The versions of pods, by name.
fn versions(pods: &[&v1::Pod]) -> BTreeMap<String, String> {
    pods.iter().filter_map(|pod| Some((pod.name_any(), pod.resource_version()?))).collect()
}

/// Locks, whatever happened to another holder: nothing is left half done under these locks.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
