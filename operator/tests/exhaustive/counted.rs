//! What of a pair's plan is counted.

use timesten_operator::decide::Plan;
use timesten_operator::observation::Observation;
use timesten_operator::pair::Ordinal;

use super::common::census::Census;

const FIELDS: [&str; 24] = [
    "goes to",
    "active is",
    "because",
    "health of the active",
    "health of the standby",
    "tells sample-0",
    "tells sample-1",
    "puts on record",
    "standby is brought back by",
    "change of roles is at",
    "last change of roles ended",
    "upgrade is at",
    "role of sample-0's pod becomes",
    "role of sample-1's pod becomes",
    "ready",
    "deletes as a fence",
    "makes anew",
    "asks at once",
    "looks again after",
    "finalizer is to",
    "clean-up is",
    "gives up volumes",
    "subscriber goes to",
    "tells the subscriber",
];

/// Nothing is counted yet.
pub(crate) fn census() -> Census {
    Census::new(&FIELDS)
}

/// Counts a plan.
pub(crate) fn count(census: &mut Census, seen: &Observation, plan: &Plan) {
    let now = &plan.standing;
    let role = |member| {
        let label = plan.labels.iter().find(|label| label.member == member);
        label.map(|label| label.role)
    };
    let intent = (now.intent != seen.standing.intent).then_some(&now.intent);
    census.take(&[
        &now.state,
        &now.active,
        &plan.because,
        &plan.health[now.active],
        &plan.health[now.standby()],
        &plan.give.zero,
        &plan.give.one,
        &intent.map(|intent| intent.as_ref().map(|intent| (intent.act, intent.member))),
        &(now.rebuild, now.rebuild_failures),
        &now.stage(),
        &now.switched.as_ref().map(|ending| ending.outcome),
        &now.upgrades.now.as_ref().map(|upgrade| (upgrade.phase, upgrade.tries)),
        &role(Ordinal::Zero),
        &role(Ordinal::One),
        &(plan.ready.zero, plan.ready.one),
        &plan.delete,
        &plan.replace,
        &(plan.ask.zero, plan.ask.one),
        &plan.interval,
        &plan.finalizer,
        &(&now.cache.cleanup.zero, &now.cache.cleanup.one),
        &plan.abandon.is_some(),
        &plan.subscribers.first().map(|subscriber| subscriber.standing.state),
        &plan.subscribers.first().map(|subscriber| &subscriber.give),
    ]);
}
