//! Health: from what is seen of a member to what that means for its role.
//!
//! Never: looks at the state of the pair, nor gives orders. Every "unknown" has a deadline (I6).

mod words;

use std::time::Duration;

use crate::agent::{Daemon, Db, Facts, Instance, PeerState, RepScheme, RepState, RunState, Verb};
use crate::desired::Timeouts;
use crate::observation::{Agent, Member, Pod, Silence, TtContainer};
use crate::standing::{Incarnation, State};

/// A silent agent whose peer has lost touch with it too counts as lost after this long.
/// Kept well under the 15 s in which the loss of a node must be answered.
pub const LOST_AFTER: Duration = Duration::from_secs(5);

/// How often an in-place repair is tried before the member counts as down.
pub const REPAIR_ATTEMPTS: u32 = 3;

/// How long to be patient, from the spec.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// `unreachableTimeout`: for an agent that does not answer.
    pub unreachable: Duration,
    /// `repStateTimeout`: for a database or replication state that is neither good nor bad.
    pub rep_state: Duration,
}

impl Patience {
    /// That of the spec.
    pub(super) const fn of(timeouts: &Timeouts) -> Self {
        Self { unreachable: timeouts.unreachable, rep_state: timeouts.rep_state }
    }
}

/// What a member is worth in its role.
#[derive(Clone, Debug, PartialEq)]
pub enum Health {
    /// All is well.
    Healthy,
    /// All is well here, but its database believes that the peer has failed or stopped.
    OtherDown,
    /// It works, but for something that one verb mends.
    Ailing(Ailment),
    /// It is a standby that applies what it has missed.
    CatchingUp,
    /// It cannot be told yet.
    Unknown(Puzzle),
    /// It does not work.
    Down(Why),
}

/// What one verb mends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// The replication agent has stopped.
    AgentStopped,
    /// The database is closed to users.
    Closed,
    /// Replication to the peer is paused.
    PeerPaused,
    /// The active counts it as failed, and sends it nothing.
    CountedOut,
}

/// What cannot be told yet, and why.
#[derive(Clone, Debug, PartialEq)]
pub enum Puzzle {
    /// The agent does not answer, and nothing else says that the database is gone.
    Unanswered(Silence),
    /// The agent has not answered yet since the container started.
    NotHeard,
    /// The agent lacks a fact that matters: its name.
    Missing(&'static str),
    /// The database is in a passing state.
    Passing(Db),
    /// Its replication state says neither yes nor no.
    RepState(RepState),
    /// A preStop hook is unloading the database.
    Quiescing,
}

/// Why a member does not work.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// There is no pod.
    NoPod,
    /// The pod belongs to an earlier object of the same name.
    ForeignPod,
    /// The pod is being deleted.
    Terminating,
    /// The `tt` container does not run.
    NoContainer(String),
    /// The `tt` container has restarted, and with it the database has left memory.
    Restarted,
    /// Its agent is silent, and its peer has lost touch with it too.
    Lost(Silence),
    /// Its agent is silent for longer than allowed.
    Unreachable(Silence),
    /// The TimesTen instance is missing.
    NoInstance,
    /// The TimesTen daemon is down.
    DaemonDown,
    /// There is no database.
    NoDatabase,
    /// The database is not in memory.
    NotLoaded,
    /// The replication agent does not start.
    AgentWillNotStart,
    /// The database does not open.
    WillNotOpen,
    /// The database has no replication scheme.
    NoScheme,
    /// Its replication state does not fit its role.
    WrongState(RepState),
    /// It could not be told for longer than allowed.
    Overdue(Puzzle),
}

impl Health {
    /// It does not work.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        matches!(self, Self::Down(_))
    }

    /// An active that serves its users.
    #[must_use]
    pub const fn serves(&self) -> bool {
        matches!(
            self,
            Self::Healthy
                | Self::OtherDown
                | Self::Ailing(Ailment::AgentStopped | Ailment::PeerPaused | Ailment::Closed)
        )
    }

    /// The word for `status.podStatus[].highLevelState`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Healthy | Self::Ailing(_) => "Healthy",
            Self::OtherDown => "OtherDown",
            Self::CatchingUp => "CatchingUp",
            Self::Unknown(_) => "Unknown",
            Self::Down(_) => "Down",
        }
    }
}

/// The health of the member that is the active.
#[must_use]
pub fn of_active(
    seen: &Member,
    peer: &Member,
    known: Option<&Incarnation>,
    patience: Patience,
) -> Health {
    let (facts, unchanged) = match reach(seen, Some(peer), known, patience) {
        Ok(reached) => reached,
        Err(health) => return health,
    };
    // Not being able to look is no failure while the peer still replicates with it: silence and
    // gaps are then said in a condition, and the deadline is the peer's opinion.
    let unchanged = if vouched(peer) && blind(facts) { Duration::ZERO } else { unchanged };
    if let Some(health) = database(facts, unchanged, patience) {
        return health;
    }
    let bounded = |puzzle| bounded(puzzle, unchanged, patience.rep_state);
    match (facts.rep_scheme, facts.rep_state) {
        (RepScheme::None, _) if unchanged > patience.rep_state => {
            return Health::Down(Why::NoScheme);
        }
        (RepScheme::None | RepScheme::Unknown, _) => return bounded(Puzzle::Missing("scheme")),
        (RepScheme::Exists, RepState::Active) => {}
        (_, state @ (RepState::Standby | RepState::Failed | RepState::Idle)) => {
            return Health::Down(Why::WrongState(state));
        }
        (_, state @ (RepState::Recovering | RepState::Unknown)) => {
            return bounded(Puzzle::RepState(state));
        }
    }
    match facts.rep_agent {
        RunState::NotRunning if seen.failed(&Verb::StartRepAgent) >= REPAIR_ATTEMPTS => {
            return Health::Down(Why::AgentWillNotStart);
        }
        RunState::NotRunning => return Health::Ailing(Ailment::AgentStopped),
        RunState::Unknown => return bounded(Puzzle::Missing("replication agent")),
        RunState::Running => {}
    }
    // Closed by a human, most likely for maintenance: said aloud, but no reason to fail over.
    if facts.open == Some(false) {
        return Health::Ailing(Ailment::Closed);
    }
    match facts.peer_state {
        PeerState::Start | PeerState::Unknown => Health::Healthy,
        PeerState::Pause => Health::Ailing(Ailment::PeerPaused),
        PeerState::Stop | PeerState::Failed => Health::OtherDown,
    }
}

/// The health of the member that is the standby.
#[must_use]
pub fn of_standby(
    seen: &Member,
    peer: &Member,
    known: Option<&Incarnation>,
    patience: Patience,
) -> Health {
    let (facts, unchanged) = match reach(seen, Some(peer), known, patience) {
        Ok(reached) => reached,
        Err(health) => return health,
    };
    if let Some(health) = database(facts, unchanged, patience) {
        return health;
    }
    let bounded = |puzzle| bounded(puzzle, unchanged, patience.rep_state);
    match facts.rep_scheme {
        RepScheme::None => return Health::Down(Why::NoScheme),
        RepScheme::Unknown => return bounded(Puzzle::Missing("scheme")),
        RepScheme::Exists => {}
    }
    match facts.rep_agent {
        RunState::NotRunning if seen.failed(&Verb::StartRepAgent) >= REPAIR_ATTEMPTS => {
            return Health::Down(Why::AgentWillNotStart);
        }
        RunState::NotRunning => return Health::Ailing(Ailment::AgentStopped),
        RunState::Unknown => return bounded(Puzzle::Missing("replication agent")),
        RunState::Running => {}
    }
    match facts.rep_state {
        RepState::Standby => {}
        RepState::Recovering | RepState::Idle => return Health::CatchingUp,
        RepState::Failed if unchanged <= patience.rep_state => {
            return Health::Ailing(Ailment::CountedOut);
        }
        state @ (RepState::Active | RepState::Failed) => {
            return Health::Down(Why::WrongState(state));
        }
        RepState::Unknown => return bounded(Puzzle::RepState(RepState::Unknown)),
    }
    if facts.open == Some(false) {
        return if seen.failed(&Verb::OpenDb) >= REPAIR_ATTEMPTS {
            Health::Down(Why::WillNotOpen)
        } else {
            Health::Ailing(Ailment::Closed)
        };
    }
    match facts.peer_state {
        PeerState::Start | PeerState::Unknown => Health::Healthy,
        PeerState::Pause => Health::Ailing(Ailment::PeerPaused),
        PeerState::Stop | PeerState::Failed => Health::OtherDown,
    }
}

/// The health of a database that nobody replicates with.
#[must_use]
pub fn of_lone(seen: &Member, known: Option<&Incarnation>, patience: Patience) -> Health {
    let (facts, unchanged) = match reach(seen, None, known, patience) {
        Ok(reached) => reached,
        Err(health) => return health,
    };
    if let Some(health) = database(facts, unchanged, patience) {
        return health;
    }
    if facts.open == Some(false) { Health::Ailing(Ailment::Closed) } else { Health::Healthy }
}

/// The health of a subscriber.
#[must_use]
pub fn of_subscriber(seen: &Member, known: Option<&Incarnation>, patience: Patience) -> Health {
    let (facts, unchanged) = match reach(seen, None, known, patience) {
        Ok(reached) => reached,
        Err(health) => return health,
    };
    if let Some(health) = database(facts, unchanged, patience) {
        return health;
    }
    let bounded = |puzzle| bounded(puzzle, unchanged, patience.rep_state);
    match (facts.rep_scheme, facts.rep_agent) {
        (RepScheme::None, _) => Health::Down(Why::NoScheme),
        (RepScheme::Unknown, _) => bounded(Puzzle::Missing("scheme")),
        (RepScheme::Exists, RunState::Unknown) => bounded(Puzzle::Missing("replication agent")),
        (RepScheme::Exists, RunState::NotRunning) => Health::Ailing(Ailment::AgentStopped),
        (RepScheme::Exists, RunState::Running) if facts.open == Some(false) => {
            Health::Ailing(Ailment::Closed)
        }
        (RepScheme::Exists, RunState::Running) => Health::Healthy,
    }
}

/// Whether the member can be asked at all: its facts, and for how long they have been the same.
fn reach<'a>(
    seen: &'a Member,
    peer: Option<&Member>,
    known: Option<&Incarnation>,
    patience: Patience,
) -> Result<(&'a Facts, Duration), Health> {
    let down = |why| Err(Health::Down(why));
    let pod = match &seen.pod {
        Pod::Absent => return down(Why::NoPod),
        Pod::Foreign => return down(Why::ForeignPod),
        Pod::Present(pod) => pod,
    };
    if pod.terminating {
        return down(Why::Terminating);
    }
    match &pod.tt {
        TtContainer::Running => {}
        TtContainer::Waiting { reason } | TtContainer::Ended { reason } => {
            return down(Why::NoContainer(reason.clone()));
        }
    }
    let dark = peer.is_some_and(dark) && pod.node_ready != Some(false);
    match &seen.agent {
        Agent::Heard(heard) => Ok((&heard.facts, heard.unchanged)),
        // A new life of the container is proof that the database is out of memory.
        Agent::NotYet { .. } if known.is_some_and(|known| *known != pod.incarnation) => {
            down(Why::Restarted)
        }
        Agent::NotYet { waited, how } => {
            let how = how.clone().unwrap_or_else(|| Silence::Mute("no answer yet".into()));
            silent(how, *waited, peer, patience, Puzzle::NotHeard)
        }
        // Both fall silent at once, while Kubernetes hears from their nodes: it is us who are deaf.
        Agent::Silent { how, .. } if dark => Err(Health::Unknown(Puzzle::Unanswered(how.clone()))),
        Agent::Silent { since, how } => {
            silent(how.clone(), *since, peer, patience, Puzzle::Unanswered(how.clone()))
        }
    }
}

/// An unreachable agent is not a dead database: the peer's replication has the second opinion.
fn silent<'a>(
    how: Silence,
    since: Duration,
    peer: Option<&Member>,
    patience: Patience,
    puzzle: Puzzle,
) -> Result<(&'a Facts, Duration), Health> {
    // Refused credentials say nothing of the database, however long they are refused.
    if matches!(how, Silence::Refused(_)) {
        return Err(Health::Unknown(puzzle));
    }
    Err(match peer.and_then(opinion) {
        Some(PeerState::Stop | PeerState::Failed) if since >= LOST_AFTER => {
            Health::Down(Why::Lost(how))
        }
        Some(PeerState::Start | PeerState::Pause) => Health::Unknown(puzzle),
        None | Some(_) if since >= patience.unreachable => Health::Down(Why::Unreachable(how)),
        None | Some(_) => Health::Unknown(puzzle),
    })
}

/// What the peer's replication says of a member, if it can tell: one that has no role has had no
/// contact, and says what it was last told.
fn opinion(peer: &Member) -> Option<PeerState> {
    let facts = peer.facts().filter(|facts| facts.rep_agent == RunState::Running)?;
    let in_touch =
        matches!(facts.rep_state, RepState::Active | RepState::Standby | RepState::Recovering);
    in_touch.then_some(facts.peer_state)
}

/// The member's container runs, and its agent is silent too.
fn dark(member: &Member) -> bool {
    let runs = member.pod().is_some_and(|pod| pod.tt == TtContainer::Running && !pod.terminating);
    runs && matches!(member.agent, Agent::Silent { .. })
}

/// The peer still replicates with the member.
fn vouched(peer: &Member) -> bool {
    matches!(opinion(peer), Some(PeerState::Start | PeerState::Pause))
}

/// The agent answers, but could not look: nothing it says is against the database.
fn blind(facts: &Facts) -> bool {
    facts.instance == Instance::Unknown
        || facts.daemon == Daemon::Unknown
        || facts.db == Db::Unknown
        || (facts.db == Db::Loaded && facts.rep_scheme == RepScheme::Unknown)
        || (facts.db == Db::Loaded && facts.rep_state == RepState::Unknown)
}

/// What keeps a database from being judged by its replication, if anything.
fn database(facts: &Facts, unchanged: Duration, patience: Patience) -> Option<Health> {
    let bounded = |puzzle| Some(bounded(puzzle, unchanged, patience.rep_state));
    if facts.quiescing {
        return Some(Health::Unknown(Puzzle::Quiescing));
    }
    match facts.instance {
        Instance::Missing => return Some(Health::Down(Why::NoInstance)),
        Instance::Unknown => return bounded(Puzzle::Missing("instance")),
        Instance::Exists => {}
    }
    match facts.daemon {
        Daemon::Down => return Some(Health::Down(Why::DaemonDown)),
        Daemon::Unknown => return bounded(Puzzle::Missing("daemon")),
        Daemon::Up => {}
    }
    match facts.db {
        Db::None => Some(Health::Down(Why::NoDatabase)),
        Db::Unloaded | Db::Unloading => Some(Health::Down(Why::NotLoaded)),
        passing @ (Db::Loading | Db::Transitioning | Db::Unknown) => {
            bounded(Puzzle::Passing(passing))
        }
        Db::Loaded => None,
    }
}

/// Unknown up to the deadline, down from there (I6).
fn bounded(puzzle: Puzzle, unchanged: Duration, limit: Duration) -> Health {
    if unchanged > limit { Health::Down(Why::Overdue(puzzle)) } else { Health::Unknown(puzzle) }
}

/// The state in which a pod's health is not yet expected to be good.
#[must_use]
pub const fn settling(state: State) -> bool {
    matches!(state, State::Initializing | State::StandbyStarting | State::StandbyCatchup)
}
