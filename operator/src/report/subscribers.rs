//! The subscribers in the status: written by `keep`, read back by `standing`.
//!
//! Never: changes what is said of the pair.

use std::collections::BTreeMap;

use super::pods::{self, Stand};
use super::{SUBSCRIBER, memory};
use crate::crd::{AsyncStatus, PodStatus, SubscriberStatus, TimesTenClassicStatus};
use crate::decide::{Plan, SubscriberPlan};
use crate::observation::{Observation, Subscriber as Seen};
use crate::standing::Incarnation;
use crate::standing::subscribers::{PodTask, Subscriber, SubscriberState};

/// Keeps what is planned for the subscribers.
pub(super) fn keep(
    status: &mut TimesTenClassicStatus,
    before: &TimesTenClassicStatus,
    seen: &Observation,
    plan: &Plan,
) {
    let pods = seen.subscribers.iter().zip(&plan.subscribers);
    status.pod_status.extend(pods.map(|(subscriber, plan)| pod(before, seen, subscriber, plan)));
    let all = plan.subscribers.len();
    let word = match plan.subscribers.iter().filter(|plan| plan.standing.ready()).count() {
        _ if all == 0 => "None",
        0 => "NoSubscribersReady",
        ready if ready == all => "AllSubscribersReady",
        _ => "SomeSubscribersReady",
    };
    if all == 0 && before.subscriber.is_none() {
        return;
    }
    let old = before.subscriber.clone().unwrap_or_default();
    if old.state.as_deref() != Some(word) {
        status.subscriber = Some(SubscriberStatus {
            state: Some(word.into()),
            prev_state: old.state,
            last_state_switch: Some(seen.now.as_second()),
        });
    }
}

fn pod(
    before: &TimesTenClassicStatus,
    seen: &Observation,
    Seen { member, .. }: &Seen,
    SubscriberPlan { standing, .. }: &SubscriberPlan,
) -> PodStatus {
    let stand = Stand {
        kind: SUBSCRIBER,
        role: SUBSCRIBER,
        state: standing.state.word(),
        ready: standing.ready(),
        active: false,
        known: standing.known.as_ref(),
    };
    let mut pod = pods::entry(before, member, &stand, seen.now);
    pod.intent = standing.intent.as_ref().map(|intent| memory::intent(intent, &member.name));
    pod.task = standing.task.as_ref().map(|task| AsyncStatus {
        id: Some(task.id.clone()),
        type_: Some("repDuplicate".into()),
        pod_uid: Some(task.incarnation.uid.clone()),
        restarts: Some(task.incarnation.restarts),
        running: Some(true),
        started: Some(task.started),
        ..AsyncStatus::default()
    });
    pod.copies = Some(standing.copies).filter(|copies| *copies > 0);
    pod
}

/// Where each subscriber stands, as the status says. What cannot be read is as in a new one.
#[must_use]
pub fn standing(status: Option<&TimesTenClassicStatus>) -> BTreeMap<String, Subscriber> {
    let pods = status.into_iter().flat_map(|status| &status.pod_status);
    pods.filter(|pod| is_subscriber(pod)).filter_map(read).collect()
}

/// The entry is that of a subscriber.
pub(super) fn is_subscriber(pod: &PodStatus) -> bool {
    pod.tt_pod_type.as_deref() == Some(SUBSCRIBER)
}

fn read(pod: &PodStatus) -> Option<(String, Subscriber)> {
    let state = pod.high_level_state.as_deref().and_then(SubscriberState::parse);
    let task = |task: &AsyncStatus| {
        Some(PodTask {
            id: task.id.clone()?,
            incarnation: Incarnation {
                uid: task.pod_uid.clone()?,
                restarts: task.restarts.unwrap_or_default(),
            },
            started: task.started.unwrap_or_default(),
        })
    };
    let subscriber = Subscriber {
        state: state.unwrap_or_default(),
        known: memory::known(pod),
        intent: pod.intent.as_ref().and_then(memory::read_pod_intent),
        task: pod.task.as_ref().and_then(task),
        copies: pod.copies.unwrap_or_default(),
    };
    Some((pod.name.clone()?, subscriber))
}
