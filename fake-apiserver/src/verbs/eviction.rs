//! `pods/eviction`: deletes a pod if its disruption budget has room.

use std::sync::Arc;

use serde_json::{Value, json};

use super::binding::{done, put_condition};
use super::delete::{self, Options};
use super::{Call, body};
use crate::json;
use crate::refusal::Refusal;
use crate::respond::Reply;
use crate::selector::label_selector_matches;
use crate::state::State;
use crate::store::{GroupResource, Key};

/// Evicts a pod.
pub(super) fn evict(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let eviction = body::parse(&call.request.body, "Eviction")?;
    if json::text(&eviction, &["metadata", "name"]) != call.name() {
        return Err(Refusal::bad_request("name in URL does not match name in Eviction object"));
    }
    let existing = call.get(state)?;
    let options = json::at(&eviction, &["deleteOptions"]).cloned().unwrap_or_default();
    let options = Options::of_body(&options, call.dry_run)?;
    let pod = existing.value();
    let unguarded = ["Pending", "Succeeded", "Failed"]
        .contains(&json::text(&pod, &["status", "phase"]))
        || json::at(&pod, &["metadata", "deletionTimestamp"]).is_some();
    delete::check_preconditions(&call.resource, call.name(), &pod, &options)?;
    if !unguarded {
        spend_budget(state, call, &pod, options.is_dry_run())?;
    }
    let existing = if options.is_dry_run() {
        existing
    } else {
        let mut value = (*pod).clone();
        put_condition(
            &mut value,
            json!({
                "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting", "lastProbeTime": null,
                "lastTransitionTime": crate::state::time(call.now()),
            }),
        );
        state.store.put(&call.resource.id, call.key(), value, &call.author)
    };
    delete::remove(state, call, &call.key(), &existing, &options.without_version())?;
    Ok(done())
}

/// Takes one disruption from the budget that covers a pod.
fn spend_budget(
    state: &mut State,
    call: &Call<'_>,
    pod: &Value,
    dry_run: bool,
) -> Result<(), Refusal> {
    let id =
        Arc::new(GroupResource { group: "policy".into(), resource: "poddisruptionbudgets".into() });
    let Some((key, budget)) = budget_of(state, call, &id, pod)? else { return Ok(()) };
    if goes_unhealthy(pod, &budget) {
        return Ok(());
    }
    let allowed = json::int(&budget, &["status", "disruptionsAllowed"]).unwrap_or_default();
    let observed = json::int(&budget, &["status", "observedGeneration"]).unwrap_or_default();
    if observed < json::int(&budget, &["metadata", "generation"]).unwrap_or_default() {
        let text =
            format!("The disruption budget {} is still being processed by the server.", key.name);
        return Err(violates(&text, Some(10)));
    }
    if allowed <= 0 {
        let healthy = json::int(&budget, &["status", "currentHealthy"]).unwrap_or_default();
        let needed = json::int(&budget, &["status", "desiredHealthy"]).unwrap_or_default();
        let text = format!(
            "The disruption budget {} needs {needed} healthy pods and has {healthy} currently",
            key.name
        );
        return Err(violates(&text, None));
    }
    if dry_run {
        return Ok(());
    }
    let mut spent = (*budget).clone();
    let now = crate::state::time(call.now());
    json::put(&mut spent, &["status", "disruptionsAllowed"], (allowed - 1).into());
    json::put(&mut spent, &["status", "disruptedPods", call.name()], now.clone().into());
    if allowed == 1 {
        let condition = json!({
            "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods",
            "message": "", "observedGeneration": observed, "lastTransitionTime": now,
        });
        put_condition(&mut spent, condition);
    }
    state.store.put(&id, key, spent, &call.author);
    Ok(())
}

/// The one budget that covers a pod.
fn budget_of(
    state: &State,
    call: &Call<'_>,
    id: &GroupResource,
    pod: &Value,
) -> Result<Option<(Key, Arc<Value>)>, Refusal> {
    let no_labels = json!({});
    let labels = json::at(pod, &["metadata", "labels"]).unwrap_or(&no_labels);
    let mut covering = state.store.list(id, Some(call.namespace())).filter(|(_, budget)| {
        json::at(&budget.value(), &["spec", "selector"])
            .is_some_and(|selector| label_selector_matches(selector, labels))
    });
    let first = covering.next().map(|(key, budget)| (key.clone(), budget.value()));
    if covering.next().is_some() {
        let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(Refusal::internal(message));
    }
    Ok(first)
}

/// Whether a pod that is not ready may go without spending anything.
fn goes_unhealthy(pod: &Value, budget: &Value) -> bool {
    let ready = json::list(pod, &["status", "conditions"])
        .iter()
        .any(|c| json::text(c, &["type"]) == "Ready" && json::text(c, &["status"]) == "True");
    let number = |key: &str| json::int(budget, &["status", key]).unwrap_or_default();
    let always = json::text(budget, &["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow";
    let needed = number("desiredHealthy");
    !ready && (always || needed > 0 && number("currentHealthy") >= needed)
}

fn violates(text: &str, retry_after: Option<u64>) -> Refusal {
    let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": text}]});
    if let Some(seconds) = retry_after {
        json::put(&mut details, &["retryAfterSeconds"], seconds.into());
    }
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    Refusal::too_many_requests(message, details)
}
