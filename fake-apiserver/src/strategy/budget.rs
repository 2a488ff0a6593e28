//! Pod disruption budgets.

use serde_json::Value;

use super::check;
use crate::json;
use crate::refusal::Cause;

/// `ValidatePodDisruptionBudgetSpec`.
pub(super) fn validate(value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(spec) = value.get("spec") else { return causes };
    let bounds = ["minAvailable", "maxUnavailable"].map(|key| (key, json::at(spec, &[key])));
    if bounds.iter().all(|(_, bound)| bound.is_some()) {
        let why = "minAvailable and maxUnavailable cannot be both set";
        causes.push(Cause::invalid("spec", spec, why));
    }
    for (key, bound) in bounds {
        if let Some(bound) = bound {
            check::int_or_percent(bound, &format!("spec.{key}"), &mut causes);
        }
    }
    if let Some(selector) = json::at(spec, &["selector"]) {
        check::label_selector(selector, "spec.selector", &mut causes);
    }
    causes
}
