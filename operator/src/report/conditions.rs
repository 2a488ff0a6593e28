//! Conditions: what the pair is waiting for, and what a human should do.
//!
//! Never: moves a time unless the status of its condition changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::About;
use crate::crd::Condition;
use crate::decide::health::Health;
use crate::decide::orders::REBUILD_BUDGET;
use crate::decide::{self, Plan, Reason, SubscriberPlan, proof, replicas, upgrade};
use crate::objects::Unapplied;
use crate::observation::{Observation, Replicas, Subscriber, TtContainer};
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
/// Reason of that: volumes are being enlarged.
pub(super) const GROWING: &str = "VolumesGrowing";
/// The owned objects are as they should be.
pub(super) const OBJECTS_APPLIED: &str = "ObjectsApplied";
/// The standby could not be brought back several times in a row.
pub(super) const REBUILD_FAILING: &str = "StandbyRebuildFailing";

/// All subscribers follow the pair.
const SUBSCRIBERS_READY: &str = "SubscribersReady";

/// A condition to say: its type, its status, and the word and sentence for it.
pub(super) struct Say {
    kind: &'static str,
    status: bool,
    why: (String, String),
}

/// All conditions of a pair.
pub(super) fn all(before: &[Condition], seen: &Observation, plan: &Plan) -> Vec<Condition> {
    let hands_off =
        matches!(plan.standing.state, State::ManualInterventionRequired | State::Failed);
    let managed = !hands_off && !seen.deleting && seen.desired.is_ok();
    let pair = pair(plan)
        .into_iter()
        .chain(super::cache::condition(seen, plan))
        .chain(subscribers(seen, plan))
        .collect();
    let desired = seen.desired.as_ref().ok();
    let upgrade = desired.and_then(|desired| upgrade::pending(&plan.standing, seen, desired));
    let about = About { upgrade, ..About::from(seen) };
    settled(before, &about, pair, managed, because(&plan.because))
}

/// All conditions of databases without replication.
pub(super) fn of_replicas(
    before: &[Condition],
    seen: &Replicas,
    plan: &replicas::Plan,
) -> Vec<Condition> {
    let managed = !matches!(plan.because, Reason::Manual(..));
    let serves = plan.standing.ready() > 0;
    let because = || because(&plan.because);
    let available = say(AVAILABLE, serves, ("ReplicasServe", "a database serves"), because());
    settled(before, &About::from(seen), vec![available], managed, because())
}

/// The conditions of the topology, and those that every object has.
fn settled(
    before: &[Condition],
    about: &About<'_>,
    topology: Vec<Say>,
    managed: bool,
    why: (String, String),
) -> Vec<Condition> {
    let managed = Say { kind: MANAGED, status: managed, why };
    [topology, vec![managed], operator(about), super::warnings::all(about)]
        .into_iter()
        .flatten()
        .chain(super::credentials::condition(about))
        .map(|say| condition(before, about, say))
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
            because(&plan.because),
        ),
        say(
            REDUNDANT,
            redundant,
            ("StandbyInStep", "the standby is in step and could take over"),
            because(&plan.because),
        ),
        say(
            REBUILD_FAILING,
            failing,
            ("RebuildFailing", &failures),
            words("NotFailing", "no rebuild of the standby has failed too often"),
        ),
    ]
}

/// What is so of the subscribers, if there are any.
fn subscribers(seen: &Observation, plan: &Plan) -> Option<Say> {
    let lack = |(seen, planned): (&Subscriber, &SubscriberPlan)| {
        let lacks = decide::subscribers::lacks(seen, planned, plan.feeds)?;
        Some(format!("{}: {lacks}", seen.member.name))
    };
    let lacking: Vec<String> =
        seen.subscribers.iter().zip(&plan.subscribers).filter_map(lack).collect();
    let fails = plan.subscribers.iter().any(decide::subscribers::fails);
    let word = if fails { "SubscriberCopyFailing" } else { "SubscribersNotReady" };
    let wrong = (!lacking.is_empty()).then(|| words(word, &lacking.join("; ")));
    let good = ("AllSubscribersReady", "all subscribers follow the pair");
    (!seen.subscribers.is_empty()).then(|| unless(SUBSCRIBERS_READY, wrong, good))
}

/// What is so of the operator's own work.
fn operator(about: &About<'_>) -> Vec<Say> {
    let silent = about.members.iter().find_map(|member| {
        let runs = member.pod().is_some_and(|pod| pod.tt == TtContainer::Running);
        let how = proof::silence(member).filter(|_| runs)?;
        let text = format!("the agent in {} does not answer: {how}", member.name);
        Some(words("AgentSilent", &text))
    });
    let invalid = about.refused.map(|problem| {
        words("InvalidSpec", &format!("{problem}; the last valid spec stays in force"))
    });
    let trouble = about.owned.trouble.as_ref().map(|trouble| match trouble {
        Trouble::Failed(text) => words("WriteFailed", text),
        Trouble::Taken(text) => words("NameTaken", text),
    });
    vec![
        unless(OBSERVED, silent, ("AgentsAnswer", "the agents of all pods that run answer")),
        unless(
            SPEC_APPLIED,
            invalid.clone().or_else(|| unapplied(about)),
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
fn unapplied(about: &About<'_>) -> Option<(String, String)> {
    let all = &about.owned.unapplied;
    let fixed = |unapplied: &&Unapplied| matches!(unapplied, Unapplied::Fixed { .. });
    let (fixed, later): (Vec<_>, Vec<_>) = all.iter().partition(fixed);
    let word = match &about.upgrade {
        _ if !fixed.is_empty() => "CannotBeChanged",
        Some((word, _)) => word,
        None if later.iter().any(|one| matches!(one, Unapplied::Growing { .. })) => GROWING,
        None => "PodsOutdated",
    };
    let upgrade = about.upgrade.iter().map(|(_, sentence)| sentence.clone());
    let later = later.into_iter().map(ToString::to_string);
    let sentences: Vec<String> =
        fixed.into_iter().map(ToString::to_string).chain(upgrade).chain(later).collect();
    (!sentences.is_empty()).then(|| words(word, &sentences.join("; ")))
}

fn because(reason: &Reason) -> (String, String) {
    words(reason.word(), &reason.to_string())
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

fn condition(before: &[Condition], about: &About<'_>, say: Say) -> Condition {
    let Say { kind, status, why: (reason, message) } = say;
    let status = if status { "True" } else { "False" };
    let old = before.iter().find(|condition| condition.type_ == kind);
    let since = old
        .filter(|old| old.status == status)
        .and_then(|old| old.last_transition_time.clone())
        .unwrap_or(Time(about.now));
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason,
        message,
        last_transition_time: Some(since),
        observed_generation: Some(about.generation),
    }
}
