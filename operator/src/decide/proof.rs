//! Proofs: values that only evidence can make, without which a dangerous order cannot be said.
//!
//! Never: gives an order. The types here are the safety argument: a promotion takes a `Fenced`
//! (I1) and a `Candidate` (I3), a destruction or a copy takes a `GoodSource` (I2, I4), and a clean-up
//! takes a `Condemned`.

use std::fmt;
use std::time::Duration;

use crate::agent::{Daemon, Db, PeerState, RepScheme, RepState, RunState};
use crate::desired::FencingPolicy;
use crate::observation::{Agent, Member, Observation, Pod, Role, Silence, TtContainer};
use crate::standing::{Incarnation, Rebuild, Standing};

/// How long a pod's deletion is given to be confirmed by its kubelet before the policy decides.
pub const FENCE_PATIENCE: Duration = Duration::from_secs(5);

/// Evidence that a member can no longer take a client's write.
#[derive(Clone, Debug, PartialEq)]
pub struct Fenced(Evidence);

/// What fences a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Its pod is gone, and everything in it.
    PodGone,
    /// Its container has ended, and the database's memory with it.
    ContainerDead,
    /// Its agent says that the database is not loaded.
    NotLoaded,
    /// Its agent says that the database is not ACTIVE.
    Demoted,
    /// It has been a standby in step all along: nobody ever made it the active.
    NeverActive,
    /// Clients are no longer sent there, its peer has lost touch with it, its deletion is ordered,
    /// and the policy does not ask for more.
    Unroutable,
}

/// Why a member does not count as fenced yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFenced {
    /// Its agent answers and its database is ACTIVE: it can be demoted.
    Serves,
    /// It cannot be asked, and its pod is not being deleted yet.
    DeletePod,
    /// Its pod is being deleted; nobody has confirmed its end yet.
    AwaitsEnd,
}

impl Fenced {
    /// It rests on routing alone: the old active may still take writes of those it has as clients.
    #[must_use]
    pub fn unproven(&self) -> bool {
        self.0 == Evidence::Unroutable
    }

    /// Looks for evidence. `known` is the incarnation in which the member last was the active.
    ///
    /// # Errors
    /// Says what is lacking.
    pub fn seen(
        old: &Member,
        peer: &Member,
        known: Option<&Incarnation>,
        policy: FencingPolicy,
    ) -> Result<Self, NotFenced> {
        let pod = match &old.pod {
            // A pod of an earlier object has never been our active.
            Pod::Absent | Pod::Foreign => return Ok(Self(Evidence::PodGone)),
            Pod::Present(pod) => pod,
        };
        if known.is_some_and(|known| known.uid != pod.incarnation.uid) {
            return Ok(Self(Evidence::PodGone));
        }
        if pod.tt != TtContainer::Running || known.is_some_and(|k| *k != pod.incarnation) {
            return Ok(Self(Evidence::ContainerDead));
        }
        let silence = match &old.agent {
            Agent::Heard(heard) => {
                let facts = &heard.facts;
                // A database that is being loaded comes up IDLE; an invalidated one takes nothing.
                let gone = facts.daemon == Daemon::Down
                    || matches!(
                        facts.db,
                        Db::None | Db::Unloaded | Db::Unloading | Db::Loading | Db::Transitioning
                    );
                return match facts.rep_state {
                    _ if gone => Ok(Self(Evidence::NotLoaded)),
                    RepState::Idle
                    | RepState::Standby
                    | RepState::Failed
                    | RepState::Recovering
                        if facts.db == Db::Loaded =>
                    {
                        Ok(Self(Evidence::Demoted))
                    }
                    _ => Err(NotFenced::Serves),
                };
            }
            Agent::NotYet { waited, .. } => *waited,
            Agent::Silent { since, .. } => *since,
        };
        if !pod.terminating {
            return Err(NotFenced::DeletePod);
        }
        let lost = peer
            .facts()
            .is_some_and(|facts| matches!(facts.peer_state, PeerState::Stop | PeerState::Failed));
        let unroutable = pod.role != Some(Role::Active) && lost && silence > FENCE_PATIENCE;
        match policy {
            FencingPolicy::RouteFenced if unroutable => Ok(Self(Evidence::Unroutable)),
            FencingPolicy::RouteFenced | FencingPolicy::Confirmed => Err(NotFenced::AwaitsEnd),
        }
    }
}

impl Fenced {
    /// Looks for evidence about the peer of a database that is to be made ACTIVE from rest.
    ///
    /// # Errors
    /// Says what is lacking.
    pub fn peer_of_activated(
        peer: &Member,
        chosen: &Member,
        standing: &Standing,
        policy: FencingPolicy,
    ) -> Result<Self, NotFenced> {
        let claims = peer.facts().is_some_and(|facts| facts.rep_state == RepState::Active);
        // Of a pair that was in step, only the one that was the active may ever have been ACTIVE.
        if standing.rebuild == Rebuild::Repair && !claims {
            return Ok(Self(Evidence::NeverActive));
        }
        Self::seen(peer, chosen, standing.incarnations[standing.standby()].as_ref(), policy)
    }
}

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Evidence::PodGone => "its pod is gone",
            Evidence::ContainerDead => "its container has ended",
            Evidence::NotLoaded => "its database is not loaded",
            Evidence::Demoted => "its database is not ACTIVE",
            Evidence::NeverActive => "it has never been the active",
            Evidence::Unroutable => {
                "clients no longer reach it and its peer has lost touch with it"
            }
        })
    }
}

/// A database that may be made the active: it was in step when last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate(String);

impl Candidate {
    /// The member, if its last reply shows a standby in step.
    #[must_use]
    pub fn seen(member: &Member) -> Option<Self> {
        let pod = member.pod().filter(|pod| !pod.terminating && pod.tt == TtContainer::Running)?;
        let facts = member.facts()?;
        let in_step = facts.db == Db::Loaded
            && facts.rep_scheme == RepScheme::Exists
            && facts.rep_state == RepState::Standby;
        in_step.then(|| Self(pod.incarnation.uid.clone()))
    }

    /// The pod it was seen in.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.0
    }
}

/// A complete copy that serves, seen after the decision to copy it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct GoodSource(());

impl GoodSource {
    /// The member as a source, if it was heard since `decided` ago.
    #[must_use]
    pub fn seen(member: &Member, decided: Option<Duration>) -> Option<Self> {
        (fresh(member, decided) && serves(member)).then_some(Self(()))
    }

    /// The member as the source of a subscriber, if it was heard since `decided` ago.
    #[must_use]
    pub fn of_subscriber(member: &Member, decided: Option<Duration>) -> Option<Self> {
        (fresh(member, decided) && feeds(member)).then_some(Self(()))
    }
}

/// An object that is to be no more: what its databases hold may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Condemned(());

impl Condemned {
    /// The object is being deleted, and waits for the clean-up that the spec wants.
    #[must_use]
    pub fn seen(seen: &Observation) -> Option<Self> {
        let wanted = seen.desired.as_ref().is_ok_and(|desired| desired.cache_cleanup);
        (seen.deleting && seen.finalized && wanted).then_some(Self(()))
    }
}

fn fresh(member: &Member, decided: Option<Duration>) -> bool {
    member.heard().zip(decided).is_some_and(|(heard, ago)| heard.asked < ago)
}

/// The member's last reply shows a database that subscribers are fed from: a standby in step, or
/// an active that serves without one.
#[must_use]
pub fn feeds(member: &Member) -> bool {
    let facts = member.facts();
    let in_step = facts.is_some_and(|facts| facts.rep_agent == RunState::Running)
        && Candidate::seen(member).is_some();
    let alone = facts.is_some_and(|facts| facts.peer_state == PeerState::Failed);
    in_step || (alone && serves(member))
}

/// The member's last reply shows an active that can be copied.
#[must_use]
pub fn serves(member: &Member) -> bool {
    let alive = member.pod().is_some_and(|pod| !pod.terminating && pod.tt == TtContainer::Running);
    alive
        && member.facts().is_some_and(|facts| {
            facts.db == Db::Loaded
                && facts.rep_scheme == RepScheme::Exists
                && facts.rep_agent == RunState::Running
                && facts.rep_state == RepState::Active
        })
}

/// The member cannot be asked, and what it says instead.
#[must_use]
pub fn silence(member: &Member) -> Option<&Silence> {
    match &member.agent {
        Agent::Silent { how, .. } | Agent::NotYet { how: Some(how), .. } => Some(how),
        Agent::Heard(_) | Agent::NotYet { how: None, .. } => None,
    }
}
