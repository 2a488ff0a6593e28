//! Reasons: why a plan is what it is, one value for the condition, the event and the log (I12).
//!
//! Never: decides. Every reason has a word for machines and a sentence that says what is waited
//! for and, where a human can help, what to do.

use std::fmt;

use super::health::{Ailment, Puzzle, Why};
use super::proof::NotFenced;
use crate::desired::SpecProblem;

/// Why the plan is what it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Both databases serve and replicate.
    AllIsWell,
    /// A pod is on its way to a database: what is being done or waited for.
    Provisioning(String, String),
    /// The active does not work.
    ActiveFailed(String, Why),
    /// The standby does not work.
    StandbyFailed(String, Why),
    /// A member works but for something that is being mended.
    Mending(String, Ailment),
    /// The roles are being changed as planned: from, to, and what is being done.
    SwitchingOver(String, String, &'static str),
    /// The active is closed to users.
    ActiveClosed(String),
    /// The active says that its peer has failed, or the peer says that of the active.
    PeerEstranged(String),
    /// It cannot be told how a member is.
    Unclear(String, Puzzle),
    /// The old active has to be fenced before its peer is promoted.
    Fencing(String, NotFenced),
    /// A member is being promoted.
    Promoting(String, String),
    /// The standby is not fit to be promoted.
    NotFit(String),
    /// A member takes over as the active.
    TakingOver(String),
    /// The standby is being brought back: how.
    Rebuilding(String, String),
    /// The standby cannot be brought back; the active serves on.
    RebuildFailing {
        /// The standby.
        pod: String,
        /// How often it failed in a row.
        count: u32,
        /// What was said last.
        text: String,
    },
    /// The source of a copy is not good, so that nothing is destroyed.
    NoGoodSource(String),
    /// The standby applies what it has missed.
    CatchingUp(String),
    /// It has done so for long.
    StillBehind(String),
    /// Neither database works.
    BothFailed(String),
    /// The pod with the best database has to come up first.
    WaitingForActive(String, String),
    /// It does not come up for long: that pod, the other one, and how the first is.
    WaitingTooLong(String, String, String),
    /// The old active's database is kept, though it cannot follow the new one: why.
    DataKept(String, String),
    /// That database is being made the active.
    Configuring(String, String),
    /// The operator looks whether what a human did is good.
    Reexamining(String),
    /// A human is needed: word and sentence.
    Manual(String, String),
    /// The spec cannot be acted on.
    BadSpec(SpecProblem),
    /// All databases without replication serve.
    AllReplicasReady,
    /// Some of them do not: how many do, of how many, and how the others are.
    ReplicasNotReady(usize, usize, String),
    /// The object is being deleted.
    Deleting,
    /// It is, and waits until what its cache groups made is removed: what is done for that.
    CleaningUp(String),
}

impl Reason {
    /// The word for conditions.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::AllIsWell => "AllIsWell",
            Self::Provisioning(..) => "Provisioning",
            Self::ActiveFailed(..) => "ActiveFailed",
            Self::StandbyFailed(..) => "StandbyFailed",
            Self::Mending(..) => "Mending",
            Self::SwitchingOver(..) => "SwitchingOver",
            Self::ActiveClosed(_) => "DatabaseClosed",
            Self::PeerEstranged(_) => "PeerEstranged",
            Self::Unclear(..) => "Unclear",
            Self::Fencing(..) => "FencingActive",
            Self::Promoting(..) => "PromotingStandby",
            Self::NotFit(_) => "StandbyNotFit",
            Self::TakingOver(_) => "TakingOver",
            Self::Rebuilding(..) => "RebuildingStandby",
            Self::RebuildFailing { .. } => "StandbyRebuildFailing",
            Self::NoGoodSource(_) => "NoGoodSource",
            Self::CatchingUp(_) => "StandbyCatchingUp",
            Self::StillBehind(_) => "StandbyBehind",
            Self::BothFailed(_) => "BothFailed",
            Self::WaitingForActive(..) => "WaitingForActive",
            Self::WaitingTooLong(..) => "WaitingTooLong",
            Self::DataKept(..) => "TrappedDataKept",
            Self::Configuring(..) => "ConfiguringActive",
            Self::Reexamining(_) => "Reexamining",
            Self::Manual(word, _) => word,
            Self::BadSpec(_) => "InvalidSpec",
            Self::AllReplicasReady => "AllReplicasReady",
            Self::ReplicasNotReady(..) => "ReplicasNotReady",
            Self::Deleting => "Deleting",
            Self::CleaningUp(_) => "CleaningUpCache",
        }
    }
}

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "a table: one sentence for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllIsWell => f.write_str("both databases serve and replicate"),
            Self::Provisioning(pod, what) => write!(f, "{pod}: {what}"),
            Self::ActiveFailed(pod, why) => write!(f, "the active, {pod}, has failed: {why}"),
            Self::StandbyFailed(pod, why) => write!(f, "the standby, {pod}, has failed: {why}"),
            Self::Mending(pod, what) => write!(f, "{pod}: {what}; it is being mended in place"),
            Self::SwitchingOver(from, to, what) => {
                write!(f, "{to} is to be the active instead of {from}: {what}")
            }
            Self::ActiveClosed(pod) => write!(
                f,
                "the database of the active, {pod}, is closed to users; if that is not on \
                 purpose, open it with `ttAdmin -open` in container tt"
            ),
            Self::PeerEstranged(pod) => {
                write!(f, "{pod} serves, but its peer is marked failed; it is being set to start")
            }
            Self::Unclear(pod, puzzle) => write!(f, "waiting for {pod}: {puzzle}"),
            Self::Fencing(pod, lacking) => write!(f, "fencing the old active, {pod}: {lacking}"),
            Self::Promoting(pod, proof) => write!(f, "promoting {pod}; of its peer: {proof}"),
            Self::NotFit(pod) => {
                write!(f, "{pod} cannot be promoted: it is not known to be a standby in step")
            }
            Self::TakingOver(pod) => write!(f, "{pod} takes over as the active"),
            Self::Rebuilding(pod, how) => write!(f, "bringing back the standby, {pod}: {how}"),
            Self::RebuildFailing { pod, count, text } => write!(
                f,
                "the standby, {pod}, could not be brought back {count} times; the active serves \
                 on, and it is tried again with growing pauses; last error: {text}"
            ),
            Self::NoGoodSource(pod) => write!(
                f,
                "{pod} is not seen to be a good source, so that its peer is neither destroyed \
                 nor copied over"
            ),
            Self::CatchingUp(pod) => write!(f, "{pod} applies what it has missed"),
            Self::StillBehind(pod) => write!(
                f,
                "{pod} is still behind after minutes of catching up: the load may be more than it \
                 can apply; until it is in step it cannot take over"
            ),
            Self::BothFailed(why) => write!(f, "neither database works: {why}"),
            Self::WaitingForActive(pod, why) => {
                write!(f, "{pod} holds the best database and has to come up first: {why}")
            }
            Self::WaitingTooLong(best, other, why) => write!(
                f,
                "{best} holds the best database and does not come up: {why}; to go on with {other} \
                 and lose what only {best} holds, set spec.ttspec.waitingForActiveTimeout"
            ),
            Self::DataKept(pod, why) => write!(
                f,
                "{pod} was the active when its peer was promoted without proof of its end, and may \
                 hold commits that nobody else has ({why}); it is not destroyed; save what is \
                 worth saving, then set spec.ttspec.trappedData to Discard"
            ),
            Self::Configuring(pod, what) => write!(f, "making {pod} the active: {what}"),
            Self::Reexamining(what) => write!(f, "looking at what was repaired: {what}"),
            Self::Manual(_, sentence) => f.write_str(sentence),
            Self::BadSpec(problem) => write!(f, "{problem}"),
            Self::AllReplicasReady => f.write_str("all databases serve"),
            Self::ReplicasNotReady(ready, all, others) => {
                write!(f, "{ready} of {all} databases serve; {others}")
            }
            Self::Deleting => f.write_str("the object is being deleted"),
            Self::CleaningUp(what) => write!(
                f,
                "the object is being deleted; what its cache groups made in the Oracle database is \
                 removed first: {what}"
            ),
        }
    }
}

impl fmt::Display for NotFenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serves => "its database is still ACTIVE and is being demoted",
            Self::DeletePod => "it cannot be asked, so that its pod is deleted",
            Self::AwaitsEnd => {
                "its pod is being deleted; waiting for its node to confirm that it has ended, or \
                 for a human to say that the node is shut down (taint \
                 node.kubernetes.io/out-of-service)"
            }
        })
    }
}
