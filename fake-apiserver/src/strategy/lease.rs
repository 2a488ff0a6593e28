//! Leases.

use serde_json::Value;

use super::check;
use crate::json;
use crate::refusal::Cause;

/// `ValidateLeaseSpec`.
pub(super) fn validate(value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(spec) = value.get("spec") else { return causes };
    if let Some(seconds) = json::int(spec, &["leaseDurationSeconds"]).filter(|n| *n <= 0) {
        let field = "spec.leaseDurationSeconds";
        causes.push(Cause::invalid(field, &seconds.into(), "must be greater than 0"));
    }
    check::non_negative(spec, "leaseTransitions", "spec", &mut causes);
    causes
}
