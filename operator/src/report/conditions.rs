//! Conditions: what the pair is waiting for, and what a human should do.
//!
//! Never: moves a time unless the status of its condition changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::crd::Condition;
use crate::decide::health::Health;
use crate::decide::orders::REBUILD_BUDGET;
use crate::decide::{Plan, Reason, proof};
use crate::objects::Unapplied;
use crate::observation::{Observation, TtContainer};
use crate::standing::State;
use crate::writes::Trouble;

/// An active database serves, and clients are sent to it.
pub(super) const AVAILABLE: &str = "Available";
/// A standby is in step and could take over.
pub(super) const REDUNDANT: &str = "Redundant";
/// The operator guards the pair.
pub(super) const MANAGED: &str = "Managed";
/// Both agents answer.
const OBSERVED: &str = "Observed";
/// The spec can be acted on.
pub(super) const SPEC_VALID: &str = "SpecValid";
/// The whole spec is in force.
pub(super) const SPEC_APPLIED: &str = "SpecApplied";
/// The owned objects are as they should be.
pub(super) const OBJECTS_APPLIED: &str = "ObjectsApplied";
/// The standby could not be brought back several times in a row.
pub(super) const REBUILD_FAILING: &str = "StandbyRebuildFailing";

/// A condition to say: its type, its status, and the word and sentence for it.
pub(super) struct Say {
    kind: &'static str,
    status: bool,
    why: (String, String),
}

/// All conditions.
pub(super) fn all(before: &[Condition], seen: &Observation, plan: &Plan) -> Vec<Condition> {
    [pair(plan), operator(seen, plan), super::warnings::all(seen)]
        .into_iter()
        .flatten()
        .map(|say| condition(before, seen, say))
        .collect()
}

/// What is so of the pair.
fn pair(plan: &Plan) -> Vec<Say> {
    let state = plan.standing.state;
    let routed = state.has_active() && plan.ready[plan.standing.active];
    let closed = matches!(plan.because, Reason::ActiveClosed(_));
    let standby = &plan.health[plan.standing.standby()];
    let redundant = state == State::Normal && *standby == Health::Healthy;
    let failing = plan.standing.rebuild_failures >= REBUILD_BUDGET;
    let failures = format!("{} rebuilds failed in a row", plan.standing.rebuild_failures);
    vec![
        say(
            AVAILABLE,
            routed && !closed,
            ("ActiveServes", "clients are sent to the active database"),
            because(plan),
        ),
        say(
            REDUNDANT,
            redundant,
            ("StandbyInStep", "the standby is in step and could take over"),
            because(plan),
        ),
        say(
            REBUILD_FAILING,
            failing,
            ("RebuildFailing", &failures),
            words("NotFailing", "no rebuild of the standby has failed too often"),
        ),
    ]
}

/// What is so of the operator's own work.
fn operator(seen: &Observation, plan: &Plan) -> Vec<Say> {
    let hands_off =
        matches!(plan.standing.state, State::ManualInterventionRequired | State::Failed);
    let silent = seen.members.iter().find_map(|(_, member)| {
        let runs = member.pod().is_some_and(|pod| pod.tt == TtContainer::Running);
        let how = proof::silence(member).filter(|_| runs)?;
        let text = format!("the agent in {} does not answer: {how}", member.name);
        Some(words("AgentSilent", &text))
    });
    let invalid = seen.refused.as_ref().map(|problem| {
        words("InvalidSpec", &format!("{problem}; the last valid spec stays in force"))
    });
    let trouble = seen.owned.trouble.as_ref().map(|trouble| match trouble {
        Trouble::Failed(text) => words("WriteFailed", text),
        Trouble::Taken(text) => words("NameTaken", text),
    });
    vec![
        Say { kind: MANAGED, status: !hands_off && seen.desired.is_ok(), why: because(plan) },
        unless(OBSERVED, silent, ("AgentsAnswer", "the agents of all pods that run answer")),
        unless(
            SPEC_APPLIED,
            invalid.clone().or_else(|| unapplied(seen)),
            ("Applied", "the whole spec is in force"),
        ),
        unless(SPEC_VALID, invalid, ("Valid", "the spec is acted on")),
        unless(
            OBJECTS_APPLIED,
            trouble,
            ("Applied", "the owned objects are as the spec wants them"),
        ),
    ]
}

/// What of the spec is not in force: what cannot be is said before what takes effect later.
fn unapplied(seen: &Observation) -> Option<(String, String)> {
    let all = &seen.owned.unapplied;
    let fixed = |unapplied: &&Unapplied| matches!(unapplied, Unapplied::Fixed { .. });
    let (fixed, later): (Vec<_>, Vec<_>) = all.iter().partition(fixed);
    let word = if fixed.is_empty() { "PodsOutdated" } else { "CannotBeChanged" };
    let sentences: Vec<String> = fixed.iter().chain(&later).map(ToString::to_string).collect();
    (!sentences.is_empty()).then(|| words(word, &sentences.join("; ")))
}

fn because(plan: &Plan) -> (String, String) {
    words(plan.because.word(), &plan.because.to_string())
}

/// It is so, unless something is wrong.
pub(super) fn unless(
    kind: &'static str,
    wrong: Option<(String, String)>,
    good: (&str, &str),
) -> Say {
    say(kind, wrong.is_none(), good, wrong.unwrap_or_default())
}

pub(super) fn words(word: &str, sentence: &str) -> (String, String) {
    (word.to_owned(), sentence.to_owned())
}

fn say(kind: &'static str, status: bool, yes: (&str, &str), no: (String, String)) -> Say {
    Say { kind, status, why: if status { words(yes.0, yes.1) } else { no } }
}

fn condition(before: &[Condition], seen: &Observation, say: Say) -> Condition {
    let Say { kind, status, why: (reason, message) } = say;
    let status = if status { "True" } else { "False" };
    let old = before.iter().find(|condition| condition.type_ == kind);
    let since = old
        .filter(|old| old.status == status)
        .and_then(|old| old.last_transition_time.clone())
        .unwrap_or(Time(seen.now));
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason,
        message,
        last_transition_time: Some(since),
        observed_generation: Some(seen.generation),
    }
}
