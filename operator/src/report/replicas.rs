//! The status of databases without replication: written by `status`, read back by `standing`.
//!
//! Never: writes what can be observed again.

use super::conditions::{self, MANAGED};
use super::pods::{self, Stand};
use super::{STANDALONE, memory, signed};
use crate::crd::{PodStatus, TimesTenClassicStatus};
use crate::decide::replicas::Plan;
use crate::observation::{Lone, Replicas};
use crate::operator::Identity;
use crate::standing::replicas::{Replica, ReplicaState, Standing, State};

/// The status that says what the plan knows. Times move only with what they are the times of.
#[must_use]
pub fn status(
    before: &TimesTenClassicStatus,
    seen: &Replicas,
    plan: &Plan,
    identity: &Identity,
) -> TimesTenClassicStatus {
    let (mut after, standing) = (before.clone(), &plan.standing);
    let switched = standing.state != seen.standing.state || before.high_level_state.is_none();
    after.status_version = Some("1.0".into());
    after.observed_generation = Some(seen.generation);
    after.active_pods = Some("N/A".into());
    after.high_level_state = Some(standing.state.word().into());
    after.prev_high_level_state = Some(standing.previous.word().into());
    if switched {
        after.last_high_level_state_switch = Some(seen.now.as_second());
    }
    after.term = Some(standing.term);
    after.prev_stop_managing = Some(standing.stop_managing.clone());
    after.prev_reexamine = Some(standing.reexamine.clone());
    after.pod_status = seen.pods.iter().map(|lone| pod(before, seen, plan, lone)).collect();
    after.conditions = conditions::of_replicas(&before.conditions, seen, plan);
    signed(before, after, identity, seen.now)
}

fn pod(
    before: &TimesTenClassicStatus,
    seen: &Replicas,
    plan: &Plan,
    Lone { member, .. }: &Lone,
) -> PodStatus {
    let new = Replica::default();
    let replica = plan.standing.pods.get(&member.name).unwrap_or(&new);
    let stand = Stand {
        kind: "Database",
        role: STANDALONE,
        state: replica.state.word(),
        ready: replica.ready(),
        active: false,
        known: replica.known.as_ref(),
    };
    let mut pod = pods::entry(before, member, &stand, seen.now);
    let (reason, message) = replica.manual.clone().unzip();
    (pod.reason, pod.message) = (reason, message);
    pod.non_rep_upgrade_failed = member.facts().map(|facts| facts.upgrade_failed);
    pod.intent = replica.create.as_ref().map(|create| memory::intent(create, &member.name));
    pod
}

/// Where the object and its pods stand, as the status says. What cannot be read is as in a new one.
#[must_use]
pub fn standing(status: Option<&TimesTenClassicStatus>) -> Standing {
    let mut standing = Standing::new();
    let Some(status) = status else { return standing };
    let state = |word: &Option<String>| word.as_deref().and_then(State::parse);
    standing.pods = status.pod_status.iter().filter_map(read).collect();
    let Some(now) = state(&status.high_level_state) else { return standing };
    standing.state = now;
    standing.previous = state(&status.prev_high_level_state).unwrap_or(now);
    standing.term = status.term.unwrap_or_default();
    standing.stop_managing = status.prev_stop_managing.clone().unwrap_or_default();
    standing.reexamine = status.prev_reexamine.clone().unwrap_or_default();
    if now == State::ManualInterventionRequired {
        let managed = status.conditions.iter().find(|condition| condition.type_ == MANAGED);
        standing.manual = managed.map(|c| (c.reason.clone(), c.message.clone()));
    }
    standing
}

fn read(pod: &PodStatus) -> Option<(String, Replica)> {
    let state = pod.high_level_state.as_deref().and_then(ReplicaState::parse).unwrap_or_default();
    let create = pod.intent.as_ref().and_then(memory::read_pod_intent);
    let manual = pod.reason.clone().zip(pod.message.clone());
    Some((pod.name.clone()?, Replica { state, known: memory::known(pod), create, manual }))
}
