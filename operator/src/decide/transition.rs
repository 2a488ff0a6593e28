//! The state machine: from where the pair stands and how its members are, to where it stands next.
//!
//! Never: gives orders, waits, or asks the time. This is the table of the documentation
//! (docs/states.md); every state spells out its cases.

use super::health::{Ailment, Health, Why};
use super::proof::{self, Candidate};
use super::reason::Reason;
use crate::agent::{Db, RepScheme, RepState, RunState, Verb};
use crate::desired::{BothDownBehavior, Desired};
use crate::observation::{Member, Observation};
use crate::pair::Ordinal;
use crate::standing::{Rebuild, State};

/// Where the pair stands next, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The state.
    pub state: State,
    /// The member that is, or is to be, the active.
    pub active: Ordinal,
    /// How the standby is to be brought back.
    pub rebuild: Rebuild,
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
    fn a(&self) -> &Member {
        &self.seen.members[self.seen.standing.active]
    }

    fn s(&self) -> &Member {
        &self.seen.members[self.seen.standing.standby()]
    }

    fn step(&self, state: State, because: Reason) -> Step {
        let standing = &self.seen.standing;
        Step { state, active: standing.active, rebuild: standing.rebuild, because }
    }

    /// Stays where it is.
    pub(super) fn stay(&self, because: Reason) -> Step {
        self.step(self.seen.standing.state, because)
    }

    fn active_failed(&self, why: &Why) -> Reason {
        Reason::ActiveFailed(self.a().name.clone(), why.clone())
    }

    fn standby_failed(&self, why: &Why) -> Reason {
        Reason::StandbyFailed(self.s().name.clone(), why.clone())
    }

    /// The peer has become the active: the roles change, and what the old active holds beyond
    /// the new one's log is of another history, so that it has to be copied anew.
    fn swap(&self, state: State, because: Reason) -> Step {
        let active = self.seen.standing.standby();
        Step { state, active, rebuild: Rebuild::Copy, because }
    }
}

/// Where the pair stands next.
#[must_use]
pub fn next(scene: &Scene<'_>) -> Step {
    match scene.seen.standing.state {
        State::Initializing => initializing(scene),
        State::Normal => normal(scene),
        State::ActiveDown => active_down(scene),
        State::ActiveTakeover => active_takeover(scene),
        State::StandbyDown | State::StandbyStarting | State::StandbyCatchup => alone(scene),
        State::BothDown => both_down(scene),
        State::WaitingForActive => waiting_for_active(scene),
        State::ConfiguringActive => configuring_active(scene),
        State::Reexamine => reexamine(scene),
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
        return manual(
            scene,
            "CreateDbFailed",
            &format!(
                "{}: {}; correct the metadata files, delete this object and its volume claims, \
                 and create it again",
                scene.a().name,
                failure.text
            ),
        );
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
    match (scene.active, scene.standby) {
        (Health::Healthy, Health::Healthy) => scene.stay(Reason::AllIsWell),
        (Health::Down(why), Health::Down(too)) => {
            scene.step(State::BothDown, both_failed(scene, why, too))
        }
        (Health::Down(why), _) => scene.step(State::ActiveDown, scene.active_failed(why)),
        (Health::Unknown(puzzle), _) => scene.stay(Reason::Unclear(a(), puzzle.clone())),
        (_, Health::Down(why)) => scene.step(State::ActiveTakeover, scene.standby_failed(why)),
        (_, Health::CatchingUp) => scene.step(State::StandbyCatchup, Reason::CatchingUp(s())),
        (_, Health::Unknown(puzzle)) => scene.stay(Reason::Unclear(s(), puzzle.clone())),
        (_, Health::Ailing(what)) => scene.stay(Reason::Mending(s(), *what)),
        (Health::Ailing(Ailment::Closed), _) => scene.stay(Reason::ActiveClosed(a())),
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
        (Health::Down(why), _) => scene.stay(scene.active_failed(why)),
        (_, Health::Down(_)) if undecided => scene.step(State::Normal, Reason::AllIsWell),
        _ => scene.stay(Reason::NotFit(new.name.clone())),
    }
}

/// The new or surviving active takes over what its peer did.
fn active_takeover(scene: &Scene<'_>) -> Step {
    let (a, s) = (scene.a(), scene.s());
    match scene.active {
        Health::Down(why) => after_active(scene, why),
        Health::Unknown(puzzle) => scene.stay(Reason::Unclear(a.name.clone(), puzzle.clone())),
        // Said to TimesTen that the peer has failed, or no need to: the log is kept for it.
        _ if scene.seen.standing.rebuild == Rebuild::Repair && !scene.seen.standing.twosafe => {
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
    let copying = scene.seen.standing.task.is_some();
    if scene.seen.standing.rebuild == Rebuild::Copy || copying {
        let how = if copying { "copying the active's database" } else { "making room for a copy" };
        let because = Reason::Rebuilding(s.name.clone(), how.into());
        let state = if copying { State::StandbyStarting } else { State::StandbyDown };
        return scene.step(state, because);
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
            scene.step(State::StandbyCatchup, Reason::CatchingUp(s.name.clone()))
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

fn copy(scene: &Scene<'_>, why: &str) -> Step {
    let because = Reason::Rebuilding(scene.s().name.clone(), format!("it is copied: {why}"));
    Step { rebuild: Rebuild::Copy, ..scene.step(State::StandbyDown, because) }
}

/// The active has failed while it served alone. Only a standby in step may follow it.
fn after_active(scene: &Scene<'_>, why: &Why) -> Step {
    let in_step = scene.seen.standing.rebuild == Rebuild::Repair
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

/// The choice after a dual failure: what both say of themselves first, the documented rule else.
fn both_down(scene: &Scene<'_>) -> Step {
    let standing = &scene.seen.standing;
    if let Some(step) = still_alive(scene) {
        return step;
    }
    if scene.desired.both_down_behavior == BothDownBehavior::Manual {
        return manual(
            scene,
            "BothDown",
            "both databases have failed and bothDownBehavior is Manual",
        );
    }
    // The standby of a twosafe pair commits first (About the BothDown State); a standby that was
    // not in step is never chosen.
    let standby_leads = standing.twosafe
        && standing.rebuild == Rebuild::Repair
        && matches!(standing.previous, State::Normal | State::ActiveDown);
    if standby_leads {
        let because = Reason::WaitingForActive(scene.s().name.clone(), "it commits first".into());
        return scene.swap(State::WaitingForActive, because);
    }
    let because = Reason::WaitingForActive(scene.a().name.clone(), "it was the active".into());
    scene.step(State::WaitingForActive, because)
}

/// Both may only have been out of sight: an ACTIVE that serves is believed.
fn still_alive(scene: &Scene<'_>) -> Option<Step> {
    let standing = &scene.seen.standing;
    if scene.active.serves() {
        let because = Reason::TakingOver(scene.a().name.clone());
        let state = if *scene.standby == Health::Healthy && standing.rebuild == Rebuild::Repair {
            State::Normal
        } else {
            State::ActiveTakeover
        };
        return Some(scene.step(state, because));
    }
    let intended =
        standing.intent.as_ref().is_some_and(|intent| intent.member == standing.standby());
    (intended && promoted(scene.s()))
        .then(|| scene.swap(State::ActiveTakeover, Reason::TakingOver(scene.s().name.clone())))
}

fn waiting_for_active(scene: &Scene<'_>) -> Step {
    if let Some(step) = still_alive(scene) {
        return step;
    }
    let pod = || scene.a().name.clone();
    match scene.a().facts() {
        Some(_) => scene
            .step(State::ConfiguringActive, Reason::Configuring(pod(), "its agent answers".into())),
        None => scene.stay(Reason::WaitingForActive(pod(), sentence(scene.active))),
    }
}

fn configuring_active(scene: &Scene<'_>) -> Step {
    let (a, s) = (scene.a(), scene.s());
    match scene.active {
        Health::Healthy | Health::OtherDown => {
            // The old roles in good health mean that nothing was lost: nothing is copied.
            let whole =
                *scene.standby == Health::Healthy && scene.seen.standing.rebuild == Rebuild::Repair;
            let state = if whole { State::Normal } else { State::ActiveTakeover };
            scene.step(state, Reason::TakingOver(a.name.clone()))
        }
        Health::Down(why @ (Why::NoDatabase | Why::NoInstance)) => manual(
            scene,
            "BestDatabaseLost",
            &format!(
                "{}: {why}; the other copy, in {}, is untouched: make it the only database that \
                 is up (agent stopped, no replication scheme), or restore the volume",
                a.name, s.name
            ),
        ),
        Health::Down(
            why @ (Why::NoPod | Why::ForeignPod | Why::NoContainer(_) | Why::Unreachable(_)),
        ) => scene.step(
            State::WaitingForActive,
            Reason::WaitingForActive(a.name.clone(), why.to_string()),
        ),
        other => scene.stay(Reason::Configuring(a.name.clone(), sentence(other))),
    }
}

/// A human says that the pair is repaired: roles come from what the databases say.
fn reexamine(scene: &Scene<'_>) -> Step {
    let standing = &scene.seen.standing;
    let (a, s) = (scene.a(), scene.s());
    let patient = scene.seen.in_state <= scene.desired.timeouts.unreachable;
    match (scene.active, scene.standby) {
        (Health::Healthy, Health::Healthy) => scene.step(State::Normal, Reason::AllIsWell),
        _ if proof::serves(a) && proof::serves(s) => manual(
            scene,
            "TwoActives",
            &format!(
                "both {} and {} are ACTIVE: stop one of them and change `reexamine`",
                a.name, s.name
            ),
        ),
        _ if proof::serves(s) => Step {
            state: State::Reexamine,
            active: standing.standby(),
            rebuild: Rebuild::Repair,
            because: Reason::Reexamining(format!("{} is the active", s.name)),
        },
        (_, Health::Down(_)) if proof::serves(a) => {
            scene.step(State::ActiveTakeover, Reason::TakingOver(a.name.clone()))
        }
        (_, Health::Down(_)) if lone(a) => only(scene, standing.active),
        (Health::Down(_), _) if lone(s) => only(scene, standing.standby()),
        (active, standby) if patient => scene.stay(Reason::Reexamining(format!(
            "{} {}; {} {}",
            a.name,
            sentence(active),
            s.name,
            sentence(standby)
        ))),
        (active, standby) => manual(
            scene,
            "ReexamineFailed",
            &format!(
                "the pair is not repaired: {} {}; {} {}; bring up one ACTIVE and one STANDBY, or \
                 exactly one database, and change `reexamine` again",
                a.name,
                sentence(active),
                s.name,
                sentence(standby)
            ),
        ),
    }
}

fn only(scene: &Scene<'_>, active: Ordinal) -> Step {
    let because = Reason::Configuring(
        scene.seen.members[active].name.clone(),
        "it is the only database that is up".into(),
    );
    Step { active, rebuild: Rebuild::Copy, ..scene.step(State::ConfiguringActive, because) }
}

fn manual(scene: &Scene<'_>, word: &str, sentence: &str) -> Step {
    let because = Reason::Manual(word.into(), sentence.into());
    scene.step(State::ManualInterventionRequired, because)
}

fn both_failed(scene: &Scene<'_>, a: &Why, s: &Why) -> Reason {
    Reason::BothFailed(format!("{}: {a}; {}: {s}", scene.a().name, scene.s().name))
}

/// A loaded database without a scheme or an agent: a human chose it to be the only one.
fn lone(member: &Member) -> bool {
    member.facts().is_some_and(|facts| {
        facts.db == Db::Loaded
            && facts.rep_scheme == RepScheme::None
            && facts.rep_agent == RunState::NotRunning
            && facts.rep_state == RepState::Idle
    })
}

/// The member's database says that it is ACTIVE.
fn promoted(member: &Member) -> bool {
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
