//! What one process remembers of one object between passes: answers, silences, orders under way.
//!
//! Never: decides, and nothing here outlives the process or is needed after a restart. All times
//! are monotonic (I14) and start anew with the process.

pub mod keyring;
pub mod link;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::crd::TimesTenClassic;
use crate::credentials::Credentials;
use crate::desired::{Desired, SpecProblem};
use crate::direct::Reads;
use crate::objects::{Versions, Wanted, Write};
use crate::observe::Missing;
use crate::since::Since;
use crate::standing::replicas::ReplicaState;
use crate::standing::{Intent, PodIntent, Standing, State};
use crate::writes::Writes;

use self::keyring::Keyring;
use self::link::Link;

/// A spec that was read.
pub type Spec = Result<Arc<Desired>, SpecProblem>;

/// What is remembered of one object.
#[derive(Debug)]
pub struct Memory {
    /// The object as this process last wrote it: the watch may lag behind.
    pub written: Option<Arc<TimesTenClassic>>,
    /// The object that the spec was last read of, and what was read.
    read: Option<(Arc<TimesTenClassic>, Spec)>,
    /// The last spec that could be believed, and its generation.
    desired: Option<(i64, Arc<Desired>)>,
    /// What the agents are spoken to with.
    pub keyring: Keyring,
    /// What is remembered of each pod, by its name.
    pods: BTreeMap<String, Pod>,
    /// What became of the writes of owned objects.
    pub writes: Writes,
    /// The owned objects, as they were last compared with the spec.
    pub compared: Option<Compared>,
    /// This process has written the status.
    pub wrote: bool,
    /// When the finalizer could not be added or taken away last, and why.
    pub not_finalized: Option<(Instant, String)>,
    /// The object is being deleted.
    pub deleting: Since<bool>,
    /// The version that another operator wrote over ours.
    rival: Since<Option<String>>,
    /// State, term, and whether a copy is under way: what follows a copy has its own time.
    state: Since<(State, i64, bool)>,
    intent: Since<Option<Intent>>,
    task: Since<Option<String>>,
    rebuilds: Since<u32>,
}

/// What is remembered of one pod.
#[derive(Debug)]
pub struct Pod {
    /// What holds for its present incarnation.
    pub link: Link,
    /// What direct reads of it said.
    pub reads: Reads,
    /// The lost node that its volumes are on.
    pub lost_node: Since<Option<String>>,
    /// What its volumes lack.
    pub missing: Missing,
    /// The state that the status says it is in, if it has one of its own.
    pub state: Since<Option<ReplicaState>>,
    /// The irreversible act that the status says is about to be done in it.
    pub intent: Since<Option<PodIntent>>,
    /// The task that the status says is under way in it.
    pub task: Since<Option<String>>,
    /// How many copies it took, and whether one is under way.
    pub copies: Since<(u32, bool)>,
}

/// The versions of the objects, the image of pods, and what the Secret is to say.
pub type Of = (Versions, Option<String>, Arc<Credentials>);

/// The owned objects, compared with the spec.
#[derive(Debug)]
pub struct Compared {
    /// The spec that this holds for.
    pub desired: Arc<Desired>,
    /// What else it holds for.
    pub of: Of,
    /// The objects as the spec wants them.
    pub wanted: Wanted,
    /// What differed.
    pub drift: Vec<Write>,
}

/// Two versions of an object ask for the same. Generations do not count labels and annotations.
fn same_wish(one: &TimesTenClassic, other: &TimesTenClassic) -> bool {
    let (one, other) = (&one.metadata, &other.metadata);
    one.generation == other.generation
        && one.labels == other.labels
        && one.annotations == other.annotations
}

impl Memory {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            written: None,
            read: None,
            desired: None,
            keyring: Keyring::default(),
            pods: BTreeMap::new(),
            writes: Writes::default(),
            compared: None,
            wrote: false,
            not_finalized: None,
            deleting: Since::new(false, now),
            rival: Since::new(None, now),
            state: Since::new((State::Initializing, i64::MIN, false), now),
            intent: Since::new(None, now),
            task: Since::new(None, now),
            rebuilds: Since::new(0, now),
        }
    }

    /// What is remembered of the pod of that name.
    pub fn pod(&mut self, name: &str, now: Instant) -> &mut Pod {
        self.pods.entry(name.to_owned()).or_insert_with(|| Pod {
            link: Link::new(now),
            reads: Reads::default(),
            lost_node: Since::new(None, now),
            missing: Missing::default(),
            state: Since::new(None, now),
            intent: Since::new(None, now),
            task: Since::new(None, now),
            copies: Since::new((0, false), now),
        })
    }

    /// Forgets the pods that there are no more to be.
    pub fn keep(&mut self, names: &[String]) {
        self.pods.retain(|name, _| names.contains(name));
    }

    /// The spec of an object, which is read when something has changed that it is made of.
    pub fn spec(&mut self, object: &Arc<TimesTenClassic>) -> Spec {
        if let Some((known, spec)) = &self.read
            && same_wish(known, object)
        {
            return spec.clone();
        }
        let spec = Desired::of(object).map(Arc::new);
        if let Ok(desired) = &spec {
            let generation = object.metadata.generation.unwrap_or_default();
            self.desired = Some((generation, Arc::clone(desired)));
        }
        self.read = Some((Arc::clone(object), spec.clone()));
        spec
    }

    /// The last spec that could be believed, and its generation.
    #[must_use]
    pub fn believed(&self) -> Option<(i64, Arc<Desired>)> {
        self.desired.clone()
    }

    /// Notes what the status says, and since when this process knows it.
    pub fn note(&mut self, standing: &Standing, now: Instant) {
        self.state.note((standing.state, standing.term, standing.task.is_some()), now);
        self.intent.note(standing.intent.clone(), now);
        self.task.note(standing.task.as_ref().map(|task| task.id.clone()), now);
        self.rebuilds.note(standing.rebuild_failures, now);
    }

    /// For how long another operator's word has stood, if `version` of the object is one; `None` as
    /// long as this process has written nothing, for then the other was the leader before it.
    pub fn rival(&mut self, version: Option<String>, now: Instant) -> Option<Duration> {
        self.rival.note(version.filter(|_| self.wrote), now);
        self.rival.known().as_ref().map(|_| self.rival.age(now))
    }

    /// How long the object is known to be in its state, since the last copy began or ended in it.
    #[must_use]
    pub fn in_state(&self, now: Instant) -> Duration {
        self.state.age(now)
    }

    /// How long ago the intent was known to be on record.
    #[must_use]
    pub fn intent_age(&self, now: Instant) -> Option<Duration> {
        self.intent.known().as_ref().map(|_| self.intent.age(now))
    }

    /// How long the number of failed rebuilds has been known.
    #[must_use]
    pub fn rebuild_age(&self, now: Instant) -> Duration {
        self.rebuilds.age(now)
    }

    /// How long the task has been known.
    #[must_use]
    pub fn task_age(&self, now: Instant) -> Duration {
        self.task.known().as_ref().map_or(Duration::ZERO, |_| self.task.age(now))
    }
}
