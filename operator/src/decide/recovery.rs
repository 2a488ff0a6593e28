//! Recovery of a pair whose databases are both down: evidence first, the documented rule where the
//! evidence is even, a human where there is none.
//!
//! Never: loads, destroys or promotes anything; `orders` does, from what is decided here.

use std::time::Duration;

use super::cache;
use super::health::{Health, REPAIR_ATTEMPTS, Why};
use super::human::{Cause, manual};
use super::reason::Reason;
use super::transition::{Scene, Step, promoted, sentence};
use crate::agent::{Db, Instance, LogPosition, Verb};
use crate::desired::BothDownBehavior;
use crate::observation::Member;
use crate::standing::{Rebuild, State};

/// When waiting for the best database is said to take too long.
const LONG_WAIT: Duration = Duration::from_secs(600);

/// What is known of one copy of the database.
#[derive(Clone, Debug, PartialEq)]
enum Copy {
    /// It was read from disk: how far it goes.
    Read(Reach),
    /// It cannot be asked yet.
    Unread,
    /// There is none, or it cannot be loaded: why.
    Gone(String),
}

/// How far a copy goes: the newest ping row that it holds, which is replicated like any other, and
/// the end of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reach {
    ping: Option<i64>,
    log: Option<LogPosition>,
}

/// Which copy is to live.
#[derive(Clone, Debug, PartialEq)]
enum Best {
    Active(String),
    Standby(String),
    /// It is to be waited for this.
    NotYet(&'static str),
    /// No copy can be chosen without losing what was promised.
    Nobody(Cause, String),
}

/// The choice after a dual failure.
pub(super) fn both_down(scene: &Scene<'_>) -> Step {
    if let Some(step) = still_alive(scene) {
        return step;
    }
    let (a, s) = (copy_of(scene.a()), copy_of(scene.s()));
    let manually = scene.desired.both_down_behavior == BothDownBehavior::Manual;
    let best = if in_step(scene) { weigh(scene, &a, &s) } else { behind(scene, &a) };
    match best {
        Best::NotYet(what) if !patience_is_over(scene) || !manually => {
            scene.stay(Reason::BothFailed(what.into()))
        }
        Best::Nobody(cause, what) => manual(scene, cause, &what),
        _ if manually => {
            let what = "both databases have failed, and bothDownBehavior is Manual";
            manual(scene, Cause::BothDown, what)
        }
        Best::NotYet(what) => scene.stay(Reason::BothFailed(what.into())),
        Best::Active(why) => {
            let because = Reason::WaitingForActive(scene.a().name.clone(), why);
            scene.step(State::WaitingForActive, because)
        }
        Best::Standby(why) => {
            let because = Reason::WaitingForActive(scene.s().name.clone(), why);
            scene.swap(State::WaitingForActive, because)
        }
    }
}

/// The standby was in step when the active was seen last.
fn in_step(scene: &Scene<'_>) -> bool {
    let standing = &scene.seen.standing;
    standing.rebuild == Rebuild::Repair
        && matches!(standing.previous, State::Normal | State::Switchover | State::ActiveDown)
}

/// A standby that was not in step never takes the active's place.
fn behind(scene: &Scene<'_>, a: &Copy) -> Best {
    match a {
        Copy::Gone(why) => lost(scene, why),
        Copy::Read(_) | Copy::Unread => Best::Active("its peer was not in step".into()),
    }
}

fn lost(scene: &Scene<'_>, why: &str) -> Best {
    let what = format!("{}, whose database is ahead, has lost it: {why}", scene.a().name);
    Best::Nobody(Cause::BestDatabaseLost, what)
}

/// The table of docs/states.md: what both copies say, and what the return service promised.
fn weigh(scene: &Scene<'_>, a: &Copy, s: &Copy) -> Best {
    let standing = &scene.seen.standing;
    // With RETURN TWOSAFE, unless it was let go, either copy holds all that was acknowledged.
    let even = standing.twosafe && !standing.lax;
    let over = patience_is_over(scene);
    match (a, s) {
        (Copy::Read(a), Copy::Read(s)) if a > s => Best::Active("its log is ahead".into()),
        (Copy::Read(a), Copy::Read(s)) if a < s => Best::Standby("its log is ahead".into()),
        (Copy::Read(_), Copy::Read(_)) if even => {
            Best::Standby("both logs are even, and a twosafe standby commits first".into())
        }
        (Copy::Read(_), Copy::Read(_)) => {
            Best::Active("both logs are even, and it was the active".into())
        }
        (Copy::Read(_), Copy::Gone(why)) => Best::Active(format!("the other has none: {why}")),
        (Copy::Gone(why), Copy::Read(_)) if even => {
            Best::Standby(format!("it holds all that was acknowledged; the other has none: {why}"))
        }
        (Copy::Gone(why), Copy::Read(_) | Copy::Gone(_)) => lost(scene, why),
        (Copy::Gone(why), Copy::Unread) if over && !even => lost(scene, why),
        (Copy::Unread, _) | (_, Copy::Unread) if !over => {
            Best::NotYet("both databases are loaded, to see which one is ahead")
        }
        (Copy::Read(_), Copy::Unread) if !standing.twosafe || even => {
            Best::Active("the other cannot be asked".into())
        }
        (Copy::Unread, Copy::Read(_)) if even => Best::Standby("the other cannot be asked".into()),
        (Copy::Unread, _) if !standing.twosafe => {
            Best::Active("it was the active, and commits there came first".into())
        }
        (Copy::Read(_), Copy::Unread) | (Copy::Unread, Copy::Read(_)) => {
            let what = "RETURN TWOSAFE was let go at times, and only one of the databases can be \
                        asked how far it goes";
            Best::Nobody(Cause::BestDatabaseUnknown, what.into())
        }
        (Copy::Unread | Copy::Gone(_), Copy::Unread) | (Copy::Unread, Copy::Gone(_)) => {
            Best::NotYet("neither pod can be asked; the first that answers is looked at")
        }
    }
}

fn patience_is_over(scene: &Scene<'_>) -> bool {
    scene.seen.in_state > scene.desired.timeouts.unreachable
}

fn copy_of(member: &Member) -> Copy {
    let load = member.failure(&Verb::LoadDb).filter(|f| f.said && f.count >= REPAIR_ATTEMPTS);
    let Some(facts) = member.facts() else { return Copy::Unread };
    match (facts.instance, facts.db) {
        (Instance::Missing, _) => Copy::Gone(Why::NoInstance.to_string()),
        (_, Db::None) => Copy::Gone(Why::NoDatabase.to_string()),
        (_, Db::Loaded) => Copy::Read(Reach { ping: facts.db_id, log: facts.bookmark }),
        _ => load.map_or(Copy::Unread, |failure| {
            Copy::Gone(format!("its database does not load: {}", failure.text))
        }),
    }
}

/// The copies and how far each goes, for people.
pub(super) fn copies(scene: &Scene<'_>) -> String {
    let one = |member: &Member, role: &str, health: &Health| {
        let state = match copy_of(member) {
            Copy::Read(reach) => {
                let log = reach.log.map(|log| format!("log {}/{}", log.file, log.offset));
                let state = member.facts().map(|facts| facts.rep_state.to_string());
                let words = [state, log, reach.ping.map(|ping| format!("ping row {ping}"))];
                words.into_iter().flatten().collect::<Vec<_>>().join(", ")
            }
            Copy::Unread => format!("not read, {}", sentence(health)),
            Copy::Gone(why) => format!("none, {why}"),
        };
        format!("{} ({role}): {state}", member.name)
    };
    let (a, s) = (scene.a(), scene.s());
    format!("{}; {}", one(a, "active", scene.active), one(s, "standby", scene.standby))
}

/// Both may only have been out of sight: an ACTIVE that serves is believed.
pub(super) fn still_alive(scene: &Scene<'_>) -> Option<Step> {
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

pub(super) fn waiting_for_active(scene: &Scene<'_>) -> Step {
    if let Some(step) = still_alive(scene) {
        return step;
    }
    let (a, s) = (scene.a().name.clone(), scene.s().name.clone());
    let waited = scene.seen.in_state;
    if scene.a().facts().is_some() {
        let because = Reason::Configuring(a, "its agent answers".into());
        return scene.step(State::ConfiguringActive, because);
    }
    let overdue = scene.desired.timeouts.waiting.is_some_and(|limit| waited > limit);
    if overdue && scene.s().facts().is_some() {
        let why = format!("{a} did not come back in time; what only {a} holds is lost to users");
        let step = scene.swap(State::WaitingForActive, Reason::WaitingForActive(s, why));
        // What the better copy holds is not destroyed should it come back after all.
        return Step { rebuild: Rebuild::Keep, ..step };
    }
    if waited > LONG_WAIT {
        return scene.stay(Reason::WaitingTooLong(a, s, sentence(scene.active)));
    }
    scene.stay(Reason::WaitingForActive(a, sentence(scene.active)))
}

pub(super) fn configuring_active(scene: &Scene<'_>) -> Step {
    let a = scene.a();
    if let Copy::Gone(why) = copy_of(a) {
        let what = format!("{}, whose database was to be the active, has lost it: {why}", a.name);
        return manual(scene, Cause::BestDatabaseLost, &what);
    }
    if let Some(step) = cache::failed(scene) {
        return step;
    }
    match scene.active {
        Health::Healthy | Health::OtherDown => {
            // The old roles in good health mean that nothing was lost: nothing is copied.
            let whole =
                *scene.standby == Health::Healthy && scene.seen.standing.rebuild == Rebuild::Repair;
            let state = if whole { State::Normal } else { State::ActiveTakeover };
            scene.step(state, Reason::TakingOver(a.name.clone()))
        }
        Health::Down(
            why @ (Why::NoPod | Why::ForeignPod | Why::NoContainer(_) | Why::Unreachable(_)),
        ) => scene.step(
            State::WaitingForActive,
            Reason::WaitingForActive(a.name.clone(), why.to_string()),
        ),
        other => scene.stay(Reason::Configuring(a.name.clone(), sentence(other))),
    }
}
