//! The state machine: from where the pair stands and how its members are, to where it stands next.
//!
//! Never: gives orders, waits, or asks the time. This is the table of the documentation
//! (docs/states.md); every state spells out its cases.

use std::time::Duration;

use super::health::{Ailment, Health, Why};
use super::human::Cause;
use super::proof::{self, Candidate};
use super::reason::Reason;
use super::{cache, human, recovery, switchover, takeover};
use crate::agent::{Db, RepState, RunState, Verb};
use crate::desired::{Desired, TrappedData};
use crate::observation::{Member, Observation};
use crate::pair::Ordinal;
use crate::standing::{Ending, Rebuild, State, Switchover, Work};

/// When catching up is said to take long.
const LONG_CATCHUP: Duration = Duration::from_secs(300);

/// Where the pair stands next, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The state.
    pub state: State,
    /// The member that is, or is to be, the active.
    pub active: Ordinal,
    /// How the standby is to be brought back.
    pub rebuild: Rebuild,
    /// The planned change of roles that goes on.
    pub switchover: Option<Switchover>,
    /// How one has ended in this step.
    pub ended: Option<Ending>,
    /// Why.
    pub because: Reason,
}

/// The members as the table sees them: the one that is to be active, and its peer.
pub struct Scene<'a> {
    /// All that was seen.
    pub seen: &'a Observation,
    /// The spec.
    pub desired: &'a Desired,
    /// The health of the active.
    pub active: &'a Health,
    /// The health of the standby.
    pub standby: &'a Health,
}

impl Scene<'_> {
    pub(super) fn a(&self) -> &Member {
        &self.seen.members[self.seen.standing.active]
    }

    pub(super) fn s(&self) -> &Member {
        &self.seen.members[self.seen.standing.standby()]
    }

    pub(super) fn step(&self, state: State, because: Reason) -> Step {
        let standing = &self.seen.standing;
        Step {
            state,
            active: standing.active,
            rebuild: standing.rebuild,
            switchover: standing.switchover,
            ended: None,
            because,
        }
    }

    /// Stays where it is.
    pub(super) fn stay(&self, because: Reason) -> Step {
        self.step(self.seen.standing.state, because)
    }

    pub(super) fn active_failed(&self, why: &Why) -> Reason {
        Reason::ActiveFailed(self.a().name.clone(), why.clone())
    }

    fn standby_failed(&self, why: &Why) -> Reason {
        Reason::StandbyFailed(self.s().name.clone(), why.clone())
    }

    /// The peer has become the active: the roles change, and what the old active holds beyond
    /// the new one's log is of another history, so that it has to be copied anew; unless nothing
    /// proves that it took no writes meanwhile.
    pub(super) fn swap(&self, state: State, because: Reason) -> Step {
        let standing = &self.seen.standing;
        let unproven = standing.intent.as_ref().is_some_and(|intent| intent.unproven);
        let rebuild = if unproven { Rebuild::Keep } else { Rebuild::Copy };
        Step { active: standing.standby(), rebuild, ..self.step(state, because) }
    }
}

/// Where the pair stands next.
#[must_use]
pub fn next(scene: &Scene<'_>) -> Step {
    if let Some(step) = human::refused(scene) {
        return step;
    }
    match scene.seen.standing.state {
        State::Initializing => initializing(scene),
        State::Normal => normal(scene),
        State::Switchover => switchover::next(scene),
        State::ActiveDown => active_down(scene),
        State::ActiveTakeover => active_takeover(scene),
        State::StandbyDown | State::StandbyStarting | State::StandbyCatchup => alone(scene),
        State::BothDown => recovery::both_down(scene),
        State::WaitingForActive => recovery::waiting_for_active(scene),
        State::ConfiguringActive => recovery::configuring_active(scene),
        State::Reexamine => human::reexamine(scene),
        State::ManualInterventionRequired | State::Failed => {
            let (word, sentence) = scene.seen.standing.manual.clone().unwrap_or_else(|| {
                ("ManualInterventionRequired".into(), "change `reexamine` when repaired".into())
            });
            scene.stay(Reason::Manual(word, sentence))
        }
    }
}

/// Everything that is not yet good is made good by orders; nothing here is a failure of the pair.
fn initializing(scene: &Scene<'_>) -> Step {
    // The databases know better than an empty status who is the active (a wiped status, W7).
    if !proof::serves(scene.a()) && proof::serves(scene.s()) {
        let mut step = scene.swap(State::Initializing, Reason::TakingOver(scene.s().name.clone()));
        step.rebuild = Rebuild::Repair;
        return step;
    }
    // The user's SQL must not run twice: what it left behind is for a human to see.
    let refused = scene.a().failure(&Verb::CreateDb).filter(|f| f.said);
    if let Some(failure) = refused.filter(|f| f.ago < scene.seen.in_state) {
        let what = format!("{}: {}", scene.a().name, failure.text);
        return human::manual(scene, Cause::CreateDbFailed, &what);
    }
    if let Some(step) = cache::failed(scene) {
        return step;
    }
    match (scene.active, scene.standby) {
        (Health::Healthy | Health::OtherDown, Health::Healthy) => {
            scene.step(State::Normal, Reason::AllIsWell)
        }
        (Health::Healthy | Health::OtherDown | Health::Ailing(_), standby) => {
            scene.stay(Reason::Provisioning(scene.s().name.clone(), sentence(standby)))
        }
        (active, _) => scene.stay(Reason::Provisioning(scene.a().name.clone(), sentence(active))),
    }
}

fn normal(scene: &Scene<'_>) -> Step {
    let (a, s) = (|| scene.a().name.clone(), || scene.s().name.clone());
    // With a standby that is down nobody could take over, and the pair would come back at once.
    if !scene.standby.is_down()
        && let Some(why) = switchover::stranded(scene)
    {
        return scene.step(State::ActiveDown, scene.active_failed(&why));
    }
    let left_closed = scene.seen.standing.switchover.is_none();
    match (scene.active, scene.standby) {
        (Health::Healthy, Health::Healthy) => {
            switchover::begin(scene).unwrap_or_else(|| scene.stay(Reason::AllIsWell))
        }
        (Health::Down(why), Health::Down(too)) => {
            scene.step(State::BothDown, both_failed(scene, why, too))
        }
        (Health::Down(why), _) => scene.step(State::ActiveDown, scene.active_failed(why)),
        (Health::Unknown(puzzle), _) => scene.stay(Reason::Unclear(a(), puzzle.clone())),
        (_, Health::Down(why)) => scene.step(State::ActiveTakeover, scene.standby_failed(why)),
        (_, Health::CatchingUp) => scene.step(State::StandbyCatchup, Reason::CatchingUp(s())),
        (_, Health::Unknown(puzzle)) => scene.stay(Reason::Unclear(s(), puzzle.clone())),
        (_, Health::Ailing(what)) => scene.stay(Reason::Mending(s(), *what)),
        (Health::Ailing(Ailment::Closed), _) if left_closed => {
            scene.stay(Reason::ActiveClosed(a()))
        }
        (Health::Ailing(what), _) => scene.stay(Reason::Mending(a(), *what)),
        (Health::OtherDown, _) if estranged_for_long(scene) => {
            scene.step(State::ActiveTakeover, Reason::PeerEstranged(a()))
        }
        (Health::OtherDown | Health::CatchingUp, _) | (Health::Healthy, Health::OtherDown) => {
            scene.stay(Reason::PeerEstranged(a()))
        }
    }
}

/// The standby is promoted as soon as the old active is fenced (orders do both).
fn active_down(scene: &Scene<'_>) -> Step {
    let new = scene.s();
    if promoted(new) {
        return scene.swap(State::ActiveTakeover, Reason::TakingOver(new.name.clone()));
    }
    let undecided = scene.seen.standing.intent.is_none() && new.doing.is_none();
    match (scene.active, scene.standby) {
        (Health::Healthy | Health::OtherDown, _) if undecided => {
            scene.step(State::Normal, Reason::AllIsWell)
        }
        (Health::Down(why), Health::Down(too)) if new.doing.is_none() => {
            scene.step(State::BothDown, both_failed(scene, why, too))
        }
        // A standby that does not come into step has a deadline: then both count as down (I6).
        (Health::Down(why), standby) if never_fit(scene) => {
            let because =
                format!("{}; {} {}", scene.active_failed(why), new.name, sentence(standby));
            scene.step(State::BothDown, Reason::BothFailed(because))
        }
        (Health::Down(why), _) => scene.stay(scene.active_failed(why)),
        (_, Health::Down(_)) if undecided => scene.step(State::Normal, Reason::AllIsWell),
        _ => scene.stay(Reason::NotFit(new.name.clone())),
    }
}

/// The standby is none that could be promoted, for longer than is to be waited.
fn never_fit(scene: &Scene<'_>) -> bool {
    let standby = scene.s();
    Candidate::seen(standby).is_none()
        && standby.doing.is_none()
        && scene.seen.in_state > scene.desired.timeouts.rep_state
}

/// The new or surviving active takes over what its peer did.
fn active_takeover(scene: &Scene<'_>) -> Step {
    let (a, s) = (scene.a(), scene.s());
    match scene.active {
        Health::Down(why) => after_active(scene, why),
        Health::Unknown(puzzle) => scene.stay(Reason::Unclear(a.name.clone(), puzzle.clone())),
        // Said to TimesTen that the peer has failed, or no need to: the log is kept for it.
        _ if !takeover::declares(&scene.seen.standing) => {
            scene.step(State::StandbyDown, Reason::Rebuilding(s.name.clone(), "starting it".into()))
        }
        Health::OtherDown => {
            scene.step(State::StandbyDown, Reason::Rebuilding(s.name.clone(), "starting it".into()))
        }
        _ if a.failed(&Verb::RepStateSave) > 0 => {
            scene.step(State::StandbyDown, Reason::Rebuilding(s.name.clone(), "starting it".into()))
        }
        _ => scene.stay(Reason::TakingOver(a.name.clone())),
    }
}

/// The active serves alone: `StandbyDown`, `StandbyStarting`, `StandbyCatchup`.
fn alone(scene: &Scene<'_>) -> Step {
    let (state, s) = (scene.seen.standing.state, scene.s());
    match scene.active {
        Health::Down(why) => return after_active(scene, why),
        Health::Unknown(puzzle) => {
            return scene.stay(Reason::Unclear(scene.a().name.clone(), puzzle.clone()));
        }
        _ => {}
    }
    let copying = scene.seen.standing.works(Work::Copy);
    if scene.seen.standing.rebuild == Rebuild::Copy || copying {
        let how = if copying { "copying the active's database" } else { "making room for a copy" };
        let because = Reason::Rebuilding(s.name.clone(), how.into());
        let state = if copying { State::StandbyStarting } else { State::StandbyDown };
        return scene.step(state, because);
    }
    if trapped(scene) {
        return copy(scene, "it stays IDLE");
    }
    match (state, scene.standby) {
        (State::StandbyCatchup, Health::Healthy) => match scene.active {
            Health::Healthy => scene.step(State::Normal, Reason::AllIsWell),
            _ => scene.stay(Reason::PeerEstranged(scene.a().name.clone())),
        },
        (State::StandbyStarting, Health::Healthy | Health::CatchingUp)
        | (State::StandbyCatchup, Health::CatchingUp) => {
            if scene.seen.in_state > scene.desired.timeouts.rep_state && idle(s) {
                return copy(scene, "it stays IDLE");
            }
            let name = s.name.clone();
            let long = state == State::StandbyCatchup && scene.seen.in_state > LONG_CATCHUP;
            let because = if long { Reason::StillBehind(name) } else { Reason::CatchingUp(name) };
            scene.step(State::StandbyCatchup, because)
        }
        (State::StandbyCatchup, Health::Ailing(what)) => {
            scene.stay(Reason::Mending(s.name.clone(), *what))
        }
        (State::StandbyCatchup, Health::OtherDown) => {
            scene.stay(Reason::PeerEstranged(s.name.clone()))
        }
        (_, Health::Healthy | Health::CatchingUp | Health::OtherDown | Health::Ailing(_)) => {
            let because = Reason::Rebuilding(s.name.clone(), sentence(scene.standby));
            scene.step(State::StandbyStarting, because)
        }
        (_, Health::Unknown(puzzle)) => scene.stay(Reason::Unclear(s.name.clone(), puzzle.clone())),
        (_, Health::Down(why)) => standby_is_down(scene, why),
    }
}

/// A standby that is down: mended in place if it can be, else copied.
fn standby_is_down(scene: &Scene<'_>, why: &Why) -> Step {
    match why {
        Why::WrongState(RepState::Failed | RepState::Active)
        | Why::AgentWillNotStart
        | Why::WillNotOpen
        | Why::NoScheme
        | Why::Overdue(_) => copy(scene, &why.to_string()),
        Why::NotLoaded if scene.s().failed(&Verb::LoadDb) > 1 => {
            copy(scene, "its database does not load")
        }
        _ => scene.step(State::StandbyDown, scene.standby_failed(why)),
    }
}

/// The old active runs again and TimesTen does not make it a standby: it has commits of its own.
fn trapped(scene: &Scene<'_>) -> bool {
    let long = |member: &Member| {
        member.heard().is_some_and(|heard| {
            heard.facts.rep_agent == RunState::Running
                && heard.unchanged > scene.desired.timeouts.rep_state
        })
    };
    scene.seen.standing.rebuild == Rebuild::Keep && idle(scene.s()) && long(scene.s())
}

fn copy(scene: &Scene<'_>, why: &str) -> Step {
    let kept = scene.desired.trapped_data == TrappedData::Keep;
    if scene.seen.standing.rebuild == Rebuild::Keep && kept {
        let because = Reason::DataKept(scene.s().name.clone(), why.to_owned());
        return scene.step(State::StandbyDown, because);
    }
    let because = Reason::Rebuilding(scene.s().name.clone(), format!("it is copied: {why}"));
    Step { rebuild: Rebuild::Copy, ..scene.step(State::StandbyDown, because) }
}

/// The active has failed while it served alone. Only a standby in step may follow it.
fn after_active(scene: &Scene<'_>, why: &Why) -> Step {
    let in_step = scene.seen.standing.rebuild != Rebuild::Copy
        && scene.seen.standing.task.is_none()
        && Candidate::seen(scene.s()).is_some();
    if in_step {
        return scene.step(State::ActiveDown, scene.active_failed(why));
    }
    let because = Reason::BothFailed(format!(
        "{}; {} is not in step and must not take its place",
        scene.active_failed(why),
        scene.s().name
    ));
    scene.step(State::BothDown, because)
}

pub(super) fn both_failed(scene: &Scene<'_>, a: &Why, s: &Why) -> Reason {
    Reason::BothFailed(format!("{}: {a}; {}: {s}", scene.a().name, scene.s().name))
}

/// The member's database says that it is ACTIVE.
pub(super) fn promoted(member: &Member) -> bool {
    member
        .facts()
        .is_some_and(|facts| facts.db == Db::Loaded && facts.rep_state == RepState::Active)
}

fn idle(member: &Member) -> bool {
    member.facts().is_some_and(|facts| facts.rep_state == RepState::Idle)
}

fn estranged_for_long(scene: &Scene<'_>) -> bool {
    scene.a().heard().is_some_and(|heard| heard.unchanged > scene.desired.timeouts.rep_state)
}

/// What a health means, in words that follow a pod's name.
#[must_use]
pub fn sentence(health: &Health) -> String {
    match health {
        Health::Healthy => "is in good health".into(),
        Health::OtherDown => "is good, but believes that its peer has failed".into(),
        Health::Ailing(what) => what.to_string(),
        Health::CatchingUp => "applies what it has missed".into(),
        Health::Unknown(puzzle) => puzzle.to_string(),
        Health::Down(why) => why.to_string(),
    }
}
