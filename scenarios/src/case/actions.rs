//! The steps of a scenario: what happens, what goes wrong, and what must be seen.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    BreakImage, Crash, Evict, Files, Invalidate, Link, Reach, Scale, SetClock, SetPeer,
    SetRepState, Sidecar, Span,
};

/// One step. The key says what is done.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Waits until all of this is true at once.
    Eventually(Seen),
    /// For so long none of this may become true.
    Never(Seen),
    /// For so long all of this has to be true.
    Always(Seen),
    /// What must have happened up to now, in this order.
    History(History),
    /// The world must look as it does at the end of the same story without its faults.
    SameAsReference(Nothing),
    /// Lets time pass, in which the operator must not write.
    Quiet(Span),
    /// Merged into the object's spec, as with `kubectl patch`.
    Patch(Map<String, Value>),
    /// Sets labels of the object.
    Label(BTreeMap<String, String>),
    /// Merged into the object's spec; the API server must refuse it with a message that contains
    /// the text.
    Refused(Refused),
    /// Deletes an object.
    Delete(Delete),
    /// Kills the `tt` container with SIGKILL.
    KillContainer(Member),
    /// Deletes a pod, as with `kubectl delete pod`.
    DeletePod(Member),
    /// Cuts the power of the node that a pod runs on.
    LoseNode(Member),
    /// Cuts the network of the node that a pod runs on; what runs there goes on.
    IsolateNode(Member),
    /// Says of the node of a pod that it is shut down, with the taint `out-of-service`.
    OutOfService(Member),
    /// Brings back all nodes that were lost or isolated.
    RestoreNodes(Nothing),
    /// Kills the TimesTen daemon.
    KillDaemon(Member),
    /// Closes the database, as a human would with `ttAdmin -close`.
    CloseDatabase(Member),
    /// Stops the replication agent.
    StopRepAgent(Member),
    /// Stops the cache agent.
    StopCacheAgent(Member),
    /// The Oracle database behind cache groups can be reached by nobody, or by all again.
    Oracle(Reach),
    /// Throws the database out of memory.
    Invalidate(Invalidate),
    /// The process that held invalid memory lets go.
    Release(Member),
    /// Deletes the database's files.
    WipeDatabase(Member),
    /// Takes the database out of memory, as a human would with `ttAdmin -ramUnload`.
    UnloadDatabase(Member),
    /// Loses the volume of a pod, and all that is on it.
    LoseVolume(Member),
    /// The next upgrade of the instance on a pod's volume fails, and leaves its marker there.
    FailUpgrade(Member),
    /// Sets what a database believes of its peer.
    SetPeer(SetPeer),
    /// Forces a replication state.
    SetRepState(SetRepState),
    /// Stops the replication agent and drops the scheme, as a human does who keeps this database.
    DropScheme(Member),
    /// Kills a container beside `tt`.
    KillSidecar(Sidecar),
    /// An image cannot be pulled, or its containers end as soon as they are started.
    BreakImage(BreakImage),
    /// All images can be used again.
    MendImages(Nothing),
    /// Cordons the node that a pod runs on, as with `kubectl cordon`.
    Cordon(Member),
    /// Cordons the node that a pod runs on, and evicts the pod as soon as its budget lets it go, as
    /// with `kubectl drain`.
    Drain(Member),
    /// Uncordons all nodes.
    Uncordon(Nothing),
    /// Evicts a pod.
    Evict(Evict),
    /// Scales the StatefulSet by hand.
    Scale(Scale),
    /// Deletes the Secret that the agents' credentials are in.
    DeleteCredentials(Nothing),
    /// Puts that Secret back, as it was before it was deleted or first edited.
    RestoreCredentials(Nothing),
    /// Edits entries of that Secret; `null` takes one out.
    EditCredentials(BTreeMap<String, Option<String>>),
    /// Puts a certificate into that Secret that is good for the pods, with its key and HTTP user.
    ReplaceCertificate(Nothing),
    /// Empties the object's status.
    WipeStatus(Nothing),
    /// Creates the object again, as it was at first.
    Recreate(Nothing),
    /// Creates a ConfigMap or Secret with metadata files.
    CreateFiles(Files),
    /// The class of the volumes lets them grow from now on.
    AllowGrowth(Nothing),
    /// Sets the operator's wall clock.
    SetClock(SetClock),
    /// Makes an agent misbehave.
    Agent(AgentMisbehaves),
    /// Makes all agents behave again.
    AgentsBehave(Nothing),
    /// Makes the API server misbehave towards the operator.
    Api(ApiMisbehaves),
    /// Makes the API server behave again.
    ApiBehaves(Nothing),
    /// Cuts the network in one direction.
    Cut(Link),
    /// Mends all cuts.
    MendCuts(Nothing),
    /// Stops the operator, the leader if there are several, and starts a new one, which knows nothing but what is written.
    CrashOperator(Crash),
    /// Cuts the operator that leads off from the API server and from all agents for so long. It
    /// goes on, and does not know.
    IsolateOperator(Span),
}

impl Step {
    /// Whom a fault befalls, if it is one of the pods alone.
    #[must_use]
    pub const fn victim(&self) -> Option<&Member> {
        match self {
            Self::KillContainer(of)
            | Self::DeletePod(of)
            | Self::KillDaemon(of)
            | Self::CloseDatabase(of)
            | Self::StopRepAgent(of)
            | Self::StopCacheAgent(of)
            | Self::Release(of)
            | Self::WipeDatabase(of)
            | Self::UnloadDatabase(of)
            | Self::LoseVolume(of)
            | Self::DropScheme(of)
            | Self::Invalidate(Invalidate { of, .. })
            | Self::KillSidecar(Sidecar { of, .. })
            | Self::Evict(Evict { of, .. })
            | Self::Agent(AgentMisbehaves { of, .. }) => Some(of),
            _ => None,
        }
    }
}

/// Written as `{}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A member of a pair: `active`, `standby` (as of now), `second/active` of another object, or a pod's
/// name, such as `sample-sub-0` of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Member(pub String);

/// What is seen of the object.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Seen {
    /// Whose state, active, route, status, conditions and existence are meant. Default: `sample`.
    #[serde(default)]
    pub of: Option<String>,
    /// `status.highLevelState`.
    #[serde(default)]
    pub state: Option<String>,
    /// `status.activePods`.
    #[serde(default)]
    pub active: Option<String>,
    /// The host that clients are routed to: a pod's name, or `nobody`.
    #[serde(default)]
    pub routed: Option<String>,
    /// Conditions by type: `True`, `False`, or a reason.
    #[serde(default)]
    pub conditions: BTreeMap<String, String>,
    /// A text in a condition's message.
    #[serde(default)]
    pub message: Option<String>,
    /// The object exists.
    #[serde(default)]
    pub exists: Option<bool>,
    /// This object exists: `service/sample`, `pod/sample-0`.
    #[serde(default)]
    pub object: Option<String>,
    /// What is in objects, by kind and name: a part of each, where `"*"` stands for anything. The
    /// members of a list are named by their `name`.
    #[serde(default)]
    pub has: BTreeMap<String, Value>,
    /// An event with this text exists.
    #[serde(default)]
    pub event: Option<String>,
    /// What is in the status: a part of it, where `"*"` stands for anything.
    #[serde(default)]
    pub status: Map<String, Value>,
    /// Subscribers by their pods' names: whether their copies hold all that the active's holds.
    #[serde(default)]
    pub follows: BTreeMap<String, bool>,
    /// The pods whose cache groups have objects in the Oracle database: all of them, in order.
    #[serde(default)]
    pub left_in_oracle: Option<Vec<String>>,
    /// The application can write.
    #[serde(default)]
    pub serves: Option<bool>,
    /// With `eventually`: until when. Default: 1m.
    #[serde(default)]
    pub within: Option<Span>,
    /// With `never` and `always`: for how long.
    #[serde(default, rename = "for")]
    pub span: Option<Span>,
}

/// What must have happened.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct History {
    /// The states that the object went through, all of them, from the first.
    #[serde(default)]
    pub state: Option<Vec<String>>,
    /// How often each verb was sent, over all agents.
    #[serde(default)]
    pub verbs: BTreeMap<String, u32>,
}

/// An edit that has to be refused.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Refused {
    /// Merged into the object's spec.
    pub patch: Map<String, Value>,
    /// What the refusal has to say.
    pub message: String,
}

/// An object to delete.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Delete {
    /// `service`, `secret`, `statefulset`, `poddisruptionbudget`, `timestenclassic`.
    pub kind: String,
    /// Its name. Default: `sample`.
    #[serde(default)]
    pub name: Option<String>,
}

/// How an agent misbehaves.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AgentMisbehaves {
    /// Whose agent.
    pub of: Member,
    /// `any`, `get`, `poll`, `post`, or a verb.
    pub on: String,
    /// What it does.
    pub does: AgentFault,
    /// How often. Default: until it is ended.
    #[serde(default)]
    pub times: Option<u32>,
    /// Lets so many pass first.
    #[serde(default)]
    pub after: u32,
    /// Ends by itself after so long.
    #[serde(default)]
    pub until: Option<Span>,
}

/// What an agent can be asked.
pub(super) const OCCASIONS: [&str; 35] = [
    "any",
    "get",
    "poll",
    "post",
    "startDaemon",
    "stopDaemon",
    "createDb",
    "loadDb",
    "openDb",
    "closeDb",
    "doForceDisconnect",
    "doRepAdminWait",
    "destroyDb",
    "repDuplicate",
    "createCg",
    "dropCg",
    "createRepScheme",
    "dropRepScheme",
    "createRepEpilog",
    "startRepAgent",
    "stopRepAgent",
    "repStateSetActive",
    "repStateSave",
    "repDeactivate",
    "setSubStateStart",
    "startCacheAgent",
    "stopCacheAgent",
    "cleanupCache",
    "setReadiness",
    "clearReadiness",
    "setActive",
    "clearActive",
    "removeNonRepUpgradeFailedFile",
    "die",
    "checkNonRepQuiesce",
];

/// It is something that an agent can be asked.
pub(super) fn known_occasion(on: &str) -> bool {
    OCCASIONS.contains(&on)
}

/// What an agent does instead of what it should.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentFault {
    /// Refuses connections.
    Refuse,
    /// Takes the request and never answers.
    Hang,
    /// Is slower by so much.
    Slow(Span),
    /// Answers with an HTTP status.
    Http(u16),
    /// Answers with something that is not JSON.
    BadJson,
    /// Says no, with an error number.
    Errno(i64),
    /// Answers, with these members changed.
    Lie(Map<String, Value>),
    /// Does it, and loses the answer.
    LoseReply,
    /// Does not do it, and closes the connection.
    LoseRequest,
    /// Starts the task, which ends with an error.
    FailTask(i64),
    /// Starts the task, which never ends.
    StuckTask,
    /// Forgets the task.
    ForgetTask,
    /// Its container dies before it does it.
    CrashBefore,
    /// Its container dies after it has done it.
    CrashAfter,
}

/// How the API server misbehaves towards the operator.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ApiMisbehaves {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, or `write` for all of the
    /// last four. Default: all.
    #[serde(default)]
    pub verb: Option<String>,
    /// A resource, such as `pods`. Default: all.
    #[serde(default)]
    pub resource: Option<String>,
    /// A subresource, such as `status`. Default: all, and none.
    #[serde(default)]
    pub subresource: Option<String>,
    /// The name of an object; of events, that of the object they are about. Default: all.
    #[serde(default)]
    pub name: Option<String>,
    /// What it does.
    pub does: ApiFault,
    /// How often. Default: until it is ended.
    #[serde(default)]
    pub times: Option<u32>,
    /// Lets so many requests, or events, pass first.
    #[serde(default)]
    pub after: u32,
    /// Ends by itself after so long.
    #[serde(default)]
    pub until: Option<Span>,
}

/// What the API server does instead of what it should.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApiFault {
    /// Answers with an HTTP status.
    Status(u16),
    /// Is slower by so much.
    Slow(Span),
    /// Never answers.
    Hang,
    /// Breaks the connection before anything is done.
    LoseRequest,
    /// Does it, and breaks the connection.
    LoseReply,
    /// Reads and lists show the world as it is now, whatever happens from here on.
    Stale,
    /// Ends watches that are open.
    CutWatches,
    /// Ends watches that are open with 410: what is missed has to be listed again.
    ExpireWatches,
    /// Watches stay open and say nothing; what they did not say comes when this ends.
    SilenceWatches,
    /// Watches lose events for good.
    LoseEvents,
    /// Events come so much later. Of one resource only: events of others overtake them.
    DelayEvents(Span),
    /// Events are held back for so long, and only the sum of those about one object is told.
    MergeEvents(Span),
}
