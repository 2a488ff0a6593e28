//! Reporting: what people and tools read. Standing and health become `status`, differences become
//! events.
//!
//! Never: decides. `standing` and `status` are each other's inverse as far as memory goes.

mod cache;
mod conditions;
mod credentials;
mod events;
mod memory;
mod pods;
mod replicas;
mod subscribers;
mod upgrade;
mod warnings;

pub use self::events::{
    Note, abandoned, between as events, event, order_failed, replaced, task_said, written,
};
pub use self::memory::standing;
pub use self::replicas::{standing as standing_of_replicas, status as status_of_replicas};
pub use self::subscribers::standing as standing_of_subscribers;
pub use self::upgrade::image;

use jiff::Timestamp;

use crate::agent::{Db, Facts, RepScheme};
use crate::crd::TimesTenClassicStatus;
use crate::decide::Plan;
use crate::desired::SpecProblem;
use crate::observation::{Member, Observation, Owned, Replicas};
use crate::operator::Identity;
use crate::pair::Ordinal;

/// The role of a pod without replication.
const STANDALONE: &str = "Standalone";
/// The kind and the role of a subscriber.
const SUBSCRIBER: &str = "Subscriber";

/// What is told of an object of any topology.
struct About<'a> {
    now: Timestamp,
    generation: i64,
    refused: Option<&'a SpecProblem>,
    owned: &'a Owned,
    members: Vec<&'a Member>,
    /// What is said of an image that the pods do not have.
    upgrade: Option<(&'static str, String)>,
}

impl<'a> From<&'a Observation> for About<'a> {
    fn from(seen: &'a Observation) -> Self {
        let Observation { now, generation, refused, owned, members, subscribers, .. } = seen;
        let subscribers = subscribers.iter().map(|subscriber| &subscriber.member);
        let members = members.iter().map(|(_, member)| member).chain(subscribers).collect();
        Self {
            now: *now,
            generation: *generation,
            refused: refused.as_ref(),
            owned,
            members,
            upgrade: None,
        }
    }
}

impl<'a> From<&'a Replicas> for About<'a> {
    fn from(seen: &'a Replicas) -> Self {
        let Replicas { now, generation, refused, owned, pods, .. } = seen;
        let members = pods.iter().map(|pod| &pod.member).collect();
        Self {
            now: *now,
            generation: *generation,
            refused: refused.as_ref(),
            owned,
            members,
            upgrade: None,
        }
    }
}

/// The status that says what the plan knows. Times move only with what they are the times of, so
/// that an unchanged pair has an unchanged status.
#[must_use]
pub fn status(
    before: &TimesTenClassicStatus,
    seen: &Observation,
    plan: &Plan,
    identity: &Identity,
) -> TimesTenClassicStatus {
    let mut after = before.clone();
    memory::keep(&mut after, &plan.standing, &seen.standing, seen);
    after.status_version = Some("1.0".into());
    after.observed_generation = Some(seen.generation);
    after.active_pods = Some(active_pods(seen, plan));
    after.pod_status =
        Ordinal::ALL.into_iter().map(|ordinal| pods::status(before, seen, plan, ordinal)).collect();
    subscribers::keep(&mut after, before, seen, plan);
    if let Ok(desired) = &seen.desired
        && (after.rep_create_statement.is_none() || may_be_created(seen, plan))
    {
        after.rep_port = Some(desired.rep_port.into());
        after.rep_create_statement = Some(desired.rep_create_statement());
    }
    pods::roles(&mut after, plan);
    cache::keep(&mut after, seen, plan);
    after.conditions = conditions::all(&before.conditions, seen, plan);
    signed(before, after, identity, seen.now)
}

/// The status with the time of writing and the writer, if there is something to write.
fn signed(
    before: &TimesTenClassicStatus,
    mut after: TimesTenClassicStatus,
    identity: &Identity,
    now: Timestamp,
) -> TimesTenClassicStatus {
    if differs(before, &after) {
        after.last_reconcile = Some(now.as_millisecond());
        after.last_reconciling_operator = Some(identity.instance.clone());
    }
    after
}

/// Two statuses differ in more than what passes by: counters, sizes, and the time of writing.
#[must_use]
pub fn differs(before: &TimesTenClassicStatus, after: &TimesTenClassicStatus) -> bool {
    before != after && *before != passed(before, after)
}

/// A status as it would be if nothing but what passes by had changed since another.
fn passed(before: &TimesTenClassicStatus, after: &TimesTenClassicStatus) -> TimesTenClassicStatus {
    let mut status = after.clone();
    status.last_reconcile = before.last_reconcile;
    status.last_reconciling_operator.clone_from(&before.last_reconciling_operator);
    let magnitude = |status: &TimesTenClassicStatus| status.awt_behind_mb.map(cache::magnitude);
    if magnitude(before) == magnitude(after) {
        status.awt_behind_mb = before.awt_behind_mb;
    }
    status.active_perm_in_use = before.active_perm_in_use;
    status.standby_perm_in_use = before.standby_perm_in_use;
    for (pod, before) in status.pod_status.iter_mut().zip(&before.pod_status) {
        pods::still(pod, before);
    }
    status
}

/// The active has no replication scheme, and none is being created: the next will be that of the spec.
fn may_be_created(seen: &Observation, plan: &Plan) -> bool {
    let active = &seen.members[plan.standing.active];
    let none = |f: &Facts| f.db == Db::None || f.rep_scheme == RepScheme::None;
    active.doing.is_none() && active.facts().is_some_and(none)
}

/// The ACTIVE column: the pod that clients write to.
fn active_pods(seen: &Observation, plan: &Plan) -> String {
    if plan.standing.state.has_active() {
        seen.members[plan.standing.active].name.clone()
    } else {
        "None".into()
    }
}
