//! Everything one pass knows of an object: an immutable value, and the only argument of `decide`.
//!
//! Never: asks anybody anything. What was not observed is absent here, never "as last time".
//! Lengths of time come from one process's monotonic clock; `now` is only for what people read.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::agent::{Facts, Verb};
use crate::credentials::keeping::Upkeep;
use crate::desired::{Desired, SpecProblem};
use crate::objects::{Unapplied, Write};
use crate::pair::Both;
use crate::standing::{Incarnation, Standing, replicas, subscribers};
use crate::writes::Trouble;

/// What one pass sees.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Wall-clock time, for timestamps in the status.
    pub now: Timestamp,
    /// The last spec that could be believed, or what is wrong with the only one there is.
    pub desired: Result<Arc<Desired>, SpecProblem>,
    /// What is wrong with the present spec; the last good one goes on to be used.
    pub refused: Option<SpecProblem>,
    /// `metadata.generation`.
    pub generation: i64,
    /// The object is being deleted.
    pub deleting: bool,
    /// How long this process has known that.
    pub deleting_for: Duration,
    /// The object has the finalizer of the clean-up.
    pub finalized: bool,
    /// The durable memory: what `status` says.
    pub standing: Standing,
    /// How long this process has known the object to be in its state.
    pub in_state: Duration,
    /// How long ago this process knows the present intent to have been recorded.
    pub intent_age: Option<Duration>,
    /// How long this process has known the present task.
    pub task_age: Duration,
    /// How long this process has known the present number of failed rebuilds.
    pub rebuild_age: Duration,
    /// The two pods and what their agents say.
    pub members: Both<Member>,
    /// The subscribers, by ordinal, and what their agents say.
    pub subscribers: Vec<Subscriber>,
    /// The objects that are made of it.
    pub owned: Owned,
    /// Why no agent can be spoken to: the credentials that the pods were started with are gone.
    pub locked_out: Option<String>,
    /// A request id for an asynchronous task that may be started in this pass.
    pub fresh_id: String,
}

/// A subscriber of the pair.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// Its pod.
    pub member: Member,
    /// The durable memory of it: what `status` says.
    pub standing: subscribers::Subscriber,
    /// The replication scheme names it.
    pub named: bool,
    /// How long ago this process knows its present intent to have been recorded.
    pub intent_age: Option<Duration>,
    /// How long this process has known its present task.
    pub task_age: Duration,
    /// How long this process has known the last copy to be begun, or to have ended.
    pub rest_age: Duration,
}

/// What one pass sees of an object whose databases do not replicate.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// Wall-clock time, for timestamps in the status.
    pub now: Timestamp,
    /// The last spec that could be believed.
    pub desired: Arc<Desired>,
    /// What is wrong with the present spec; the last good one goes on to be used.
    pub refused: Option<SpecProblem>,
    /// `metadata.generation`.
    pub generation: i64,
    /// The object is being deleted.
    pub deleting: bool,
    /// The object has the finalizer of the clean-up.
    pub finalized: bool,
    /// The durable memory: what `status` says.
    pub standing: replicas::Standing,
    /// The pods, by ordinal, and what their agents say.
    pub pods: Vec<Lone>,
    /// The objects that are made of it.
    pub owned: Owned,
    /// Why no agent can be spoken to: the credentials that the pods were started with are gone.
    pub locked_out: Option<String>,
}

/// A pod that is a state machine of its own.
#[derive(Clone, Debug)]
pub struct Lone {
    /// The pod.
    pub member: Member,
    /// How long this process has known it to be in its state.
    pub in_state: Duration,
}

/// What is seen of the objects that are made of one.
#[derive(Clone, Debug, Default)]
pub struct Owned {
    /// What has to be written so that they are as the spec wants them.
    pub drift: Vec<Write>,
    /// Why they are not, if something is wrong.
    pub trouble: Option<Trouble>,
    /// The image in the template of the StatefulSet, once its controller makes pods of it.
    pub image: Option<String>,
    /// What the spec asks for and no write brings about.
    pub unapplied: Vec<Unapplied>,
    /// How the agents' credentials are.
    pub credentials: Option<Upkeep>,
    /// Members whose volumes are on a lost node, if something might be done about it.
    pub stranded: Vec<Stranded>,
}

/// A pod that no node can take, because its volumes are on a node that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranded {
    /// Its name.
    pub pod: String,
    /// The node.
    pub node: String,
    /// The claims that have their volumes there: names and UIDs.
    pub claims: Vec<(String, String)>,
    /// How long this process has known the node to be lost.
    pub lost_for: Duration,
}

/// One pod of the pair.
#[derive(Clone, Debug)]
pub struct Member {
    /// The pod's name.
    pub name: String,
    /// What Kubernetes says of it.
    pub pod: Pod,
    /// What its agent says, or since when it says nothing.
    pub agent: Agent,
    /// The order under way in it, given by this process.
    pub doing: Option<Doing>,
    /// Orders that failed and have not succeeded since, in this incarnation of the pod.
    pub failures: Vec<Failure>,
    /// Marker files that this process knows to be set or removed in this incarnation.
    pub markers: Markers,
    /// How far this process has got its clients out.
    pub quiet: Quiet,
    /// What the agent says of the task that the status names, if it was asked.
    pub task: Task,
}

/// A pod, as Kubernetes has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pod {
    /// There is none of that name.
    Absent,
    /// There is one, but it belongs to an earlier object of the same name.
    Foreign,
    /// There is one, and it is ours.
    Present(PodFacts),
}

/// The facts about a pod that decisions need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// The pod's UID and how often its `tt` container was restarted.
    pub incarnation: Incarnation,
    /// It is being deleted.
    pub terminating: bool,
    /// Its `tt` container.
    pub tt: TtContainer,
    /// `False` when Kubernetes no longer hears from the pod's node.
    pub node_ready: Option<bool>,
    /// Its node is cordoned: it takes no pods any more.
    pub cordoned: bool,
    /// The role label it carries.
    pub role: Option<Role>,
    /// The image that it was made with.
    pub image: Option<String>,
    /// Kubernetes' own `Ready` condition.
    pub ready: bool,
    /// `status.phase`.
    pub phase: String,
    /// `status.podIP`.
    pub ip: Option<String>,
}

/// The `tt` container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TtContainer {
    /// It has not started, or waits to be started again.
    Waiting {
        /// Kubernetes' reason, such as `ContainerCreating` or `CrashLoopBackOff`.
        reason: String,
    },
    /// It runs.
    Running,
    /// It has ended.
    Ended {
        /// Kubernetes' reason, such as `OOMKilled`.
        reason: String,
    },
}

/// Values of the role label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The pod that clients write to.
    Active,
    /// The pod that follows it.
    Standby,
}

/// What an agent said.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are two of them in an observation")]
pub enum Agent {
    /// This incarnation of the pod has not been heard yet.
    NotYet {
        /// How long it has been known without a word from it.
        waited: Duration,
        /// What became of the last question, if it failed.
        how: Option<Silence>,
    },
    /// It answered the last question.
    Heard(Heard),
    /// It answered once, and no longer does.
    Silent {
        /// How long ago the first unanswered question was asked.
        since: Duration,
        /// What became of the last one.
        how: Silence,
    },
}

/// A status reply.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What it says.
    pub facts: Facts,
    /// How long ago the question was asked that it answers.
    pub asked: Duration,
    /// How long the facts that health is judged by have been the same.
    pub unchanged: Duration,
}

/// How an agent does not answer. The text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The connection was refused or broke: no agent process listens.
    Gone(String),
    /// Nothing comes back.
    Mute(String),
    /// It answers, but what it says is no status: HTTP 500, bad JSON.
    Babble(String),
    /// It does not accept our credentials.
    Refused(String),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone(text) | Self::Mute(text) | Self::Babble(text) | Self::Refused(text) => {
                f.write_str(text)
            }
        }
    }
}

/// An order under way.
#[derive(Clone, Debug)]
pub struct Doing {
    /// Its verb.
    pub verb: Verb,
    /// For how long.
    pub elapsed: Duration,
}

/// An order that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its verb.
    pub verb: Verb,
    /// How often in a row.
    pub count: u32,
    /// How long ago, last.
    pub ago: Duration,
    /// The agent said no; else the order or its reply was lost.
    pub said: bool,
    /// The agent took it and has not answered in time: it may be at work still.
    pub hung: bool,
    /// What the agent said, secrets masked.
    pub text: String,
}

/// Marker files in the `tt` container; `None` where this process does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Markers {
    /// `/tmp/active`.
    pub active: Option<bool>,
    /// `/tmp/readiness`.
    pub ready: Option<bool>,
}

/// How far a database that this process has closed is at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quiet {
    /// Nothing was done, or it is not known any more.
    #[default]
    No,
    /// Its clients were told so long ago to go when their transactions end.
    Asked(Duration),
    /// They were disconnected.
    Ended,
    /// The standby has acknowledged everything since.
    Drained,
}

/// What is known of an asynchronous task in a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// Nobody has asked yet, or there is no task.
    #[default]
    NotAsked,
    /// It goes on.
    Running,
    /// It is done.
    Complete,
    /// It ended with an error.
    Failed(String),
    /// The agent does not know it: it was never started, or the agent is a new one.
    Unknown,
}

impl Member {
    /// The pod, if it is there and ours.
    #[must_use]
    pub fn pod(&self) -> Option<&PodFacts> {
        match &self.pod {
            Pod::Present(facts) => Some(facts),
            Pod::Absent | Pod::Foreign => None,
        }
    }

    /// The last status reply, if the last question was answered and its container still runs.
    #[must_use]
    pub fn heard(&self) -> Option<&Heard> {
        let runs = self.pod().is_some_and(|pod| pod.tt == TtContainer::Running);
        match &self.agent {
            Agent::Heard(heard) if runs => Some(heard),
            Agent::Heard(_) | Agent::NotYet { .. } | Agent::Silent { .. } => None,
        }
    }

    /// What the last status reply says.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.heard().map(|heard| &heard.facts)
    }

    /// How long its agent has not answered.
    #[must_use]
    pub const fn silent_for(&self) -> Duration {
        match &self.agent {
            Agent::NotYet { waited: since, .. } | Agent::Silent { since, .. } => *since,
            Agent::Heard(_) => Duration::ZERO,
        }
    }

    /// The role label it carries.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.pod().and_then(|pod| pod.role)
    }

    /// The failure of a verb, if it failed when it was last given.
    #[must_use]
    pub fn failure(&self, verb: &Verb) -> Option<&Failure> {
        self.failures.iter().find(|failure| failure.verb.name() == verb.name())
    }

    /// How often the verb failed in a row, up to now.
    #[must_use]
    pub fn failed(&self, verb: &Verb) -> u32 {
        self.failure(verb).map_or(0, |failure| failure.count)
    }
}
