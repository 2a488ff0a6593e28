//! Conditions: what the pair is waiting for, and what a human should do.
//!
//! Never: moves a time unless the status of its condition changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::crd::Condition;
use crate::decide::health::Health;
use crate::decide::orders::REBUILD_BUDGET;
use crate::decide::{Plan, Reason, proof};
use crate::observation::{Observation, TtContainer};
use crate::standing::State;

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
/// The owned objects are as they should be.
pub(super) const OBJECTS_APPLIED: &str = "ObjectsApplied";
/// The standby could not be brought back several times in a row.
pub(super) const REBUILD_FAILING: &str = "StandbyRebuildFailing";

/// All conditions.
pub(super) fn all(before: &[Condition], seen: &Observation, plan: &Plan) -> Vec<Condition> {
    let because = (plan.because.word().to_owned(), plan.because.to_string());
    let state = plan.standing.state;
    let routed = state.has_active() && plan.ready[plan.standing.active];
    let closed = matches!(plan.because, Reason::ActiveClosed(_));
    let redundant =
        state == State::Normal && plan.health[plan.standing.standby()] == Health::Healthy;
    let managed =
        !matches!(state, State::ManualInterventionRequired | State::Failed) && seen.desired.is_ok();
    let invalid = seen.refused.as_ref().map(|problem| {
        let note = "the last valid spec stays in force";
        ("InvalidSpec".to_owned(), format!("{problem}; {note}"))
    });
    let trouble = seen.trouble.clone().map(|text| ("WriteFailed".to_owned(), text));
    let silent = seen.members.iter().find_map(|(_, member)| {
        let runs = member.pod().is_some_and(|pod| pod.tt == TtContainer::Running);
        let how = proof::silence(member).filter(|_| runs)?;
        Some(("AgentSilent".to_owned(), format!("the agent in {} does not answer: {how}", member.name)))
    });
    let failing = plan.standing.rebuild_failures >= REBUILD_BUDGET;
    let good = |word: &str, text: &str| (word.to_owned(), text.to_owned());
    let say = |kind: &str, status: bool, yes: (String, String), no: (String, String)| {
        condition(before, seen, kind, status, if status { yes } else { no })
    };
    vec![
        say(
            AVAILABLE,
            routed && !closed,
            good("ActiveServes", "clients are sent to the active database"),
            because.clone(),
        ),
        say(
            REDUNDANT,
            redundant,
            good("StandbyInStep", "the standby is in step and could take over"),
            because.clone(),
        ),
        say(MANAGED, managed, because.clone(), because),
        say(
            OBSERVED,
            silent.is_none(),
            good("AgentsAnswer", "the agents of all pods that run answer"),
            silent.unwrap_or_default(),
        ),
        say(
            SPEC_VALID,
            invalid.is_none(),
            good("Valid", "the spec is acted on"),
            invalid.unwrap_or_default(),
        ),
        say(
            OBJECTS_APPLIED,
            trouble.is_none(),
            good("Applied", "the owned objects are as the spec wants them"),
            trouble.unwrap_or_default(),
        ),
        say(
            REBUILD_FAILING,
            failing,
            good(
                "RebuildFailing",
                &format!("{} rebuilds failed in a row", plan.standing.rebuild_failures),
            ),
            good("NotFailing", "no rebuild of the standby has failed too often"),
        ),
    ]
}

fn condition(
    before: &[Condition],
    seen: &Observation,
    kind: &str,
    status: bool,
    (reason, message): (String, String),
) -> Condition {
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
