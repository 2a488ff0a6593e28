//! Routing: which pod carries which role label and which marker files.
//!
//! Never: writes. Level-triggered: it says what should be, whatever was sent before (I10).

use super::health::{Ailment, Health};
use crate::agent::Verb;
use crate::observation::{Member, Observation, Role};
use crate::pair::{Both, Ordinal};
use crate::standing::{Stage, Standing, State};

/// A role label to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// On which member's pod.
    pub member: Ordinal,
    /// The UID of that pod.
    pub uid: String,
    /// The role, or none: the label is taken away.
    pub role: Option<Role>,
}

/// The role labels that differ from what they should be, those to be taken away first.
///
/// A pod becomes the active only when no other carries that label, as seen in the API (I1).
pub(super) fn labels(seen: &Observation, now: &Standing, health: &Both<Health>) -> Vec<Label> {
    let wanted = Both::each(|member| role(seen, now, health, member));
    let mut labels: Vec<Label> = Ordinal::ALL
        .into_iter()
        .filter_map(|member| {
            let pod = seen.members[member].pod()?;
            let role = wanted[member];
            let taken = seen.members[member.other()].role() == Some(Role::Active);
            let allowed = role != Some(Role::Active) || !taken;
            (pod.role != role && allowed).then(|| Label {
                member,
                uid: pod.incarnation.uid.clone(),
                role,
            })
        })
        .collect();
    labels.sort_by_key(|label| label.role == Some(Role::Active));
    labels
}

/// The role that a member's pod should carry.
pub(super) fn role(
    seen: &Observation,
    now: &Standing,
    health: &Both<Health>,
    member: Ordinal,
) -> Option<Role> {
    let carried = seen.members[member].role();
    let hands_off = matches!(now.state, State::ManualInterventionRequired | State::Reexamine);
    match &health[member] {
        _ if hands_off => carried,
        // It was taken off the road for a change of roles that was given up.
        Health::Unknown(_) if member == now.active && now.stage() == Some(Stage::Undo) => {
            now.state.has_active().then_some(Role::Active)
        }
        // Unknown changes nothing, as long as the role is still the member's.
        Health::Unknown(_) => carried.filter(|role| {
            let intended = if member == now.active { Role::Active } else { Role::Standby };
            *role == intended
        }),
        health if member == now.active => {
            let shut = now.switchover.is_some() && *health == Health::Ailing(Ailment::Closed);
            (now.state.has_active() && health.serves() && !shut).then_some(Role::Active)
        }
        Health::Healthy | Health::OtherDown | Health::Ailing(_) if followed(now) => {
            Some(Role::Standby)
        }
        Health::Healthy
        | Health::OtherDown
        | Health::Ailing(_)
        | Health::CatchingUp
        | Health::Down(_) => None,
    }
}

/// The standby is one that could take over.
const fn followed(now: &Standing) -> bool {
    matches!(now.state, State::Normal | State::Switchover | State::ActiveDown)
}

/// The member is fit for use in its role: TimesTen's `ready`. Unknown changes nothing.
pub(super) fn ready(
    seen: &Observation,
    now: &Standing,
    health: &Both<Health>,
    member: Ordinal,
) -> bool {
    let carried = seen.members[member].role();
    match &health[member] {
        Health::Unknown(_) if member == now.active => carried == Some(Role::Active),
        Health::Unknown(_) => carried == Some(Role::Standby),
        // Until it gives up its role its pod stays ready, which protects it from being evicted.
        health if member == now.active => {
            let quiesces = now.stage() == Some(Stage::Quiesce);
            (now.state.has_active() || quiesces) && health.serves()
        }
        Health::Healthy | Health::OtherDown | Health::Ailing(_) => followed(now),
        Health::CatchingUp | Health::Down(_) => false,
    }
}

/// The verb that brings a marker file in line, if one is out of line.
pub(super) fn marker(member: &Member, active: bool, ready: bool) -> Option<Verb> {
    member.facts()?;
    if out_of_line(member, member.markers.active, active) {
        return Some(if active { Verb::SetActive } else { Verb::ClearActive });
    }
    readiness(member, ready)
}

/// The verb that brings `/tmp/readiness` in line, if it is out of line.
pub(super) fn readiness(member: &Member, ready: bool) -> Option<Verb> {
    member.facts()?;
    out_of_line(member, member.markers.ready, ready).then_some(if ready {
        Verb::SetReadiness
    } else {
        Verb::ClearReadiness
    })
}

/// A pod that Kubernetes holds ready may carry a marker of a time that nobody remembers.
fn out_of_line(member: &Member, known: Option<bool>, wanted: bool) -> bool {
    match known {
        Some(known) => known != wanted,
        None => wanted || member.pod().is_some_and(|pod| pod.ready),
    }
}
