//! The PodDisruptionBudget: a drain takes one pod at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata;
use crate::desired::Desired;
use crate::labels;

/// Builds it. Subscribers do not count: what becomes of them must not keep a node from being drained.
pub(super) fn build(desired: &Desired) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(desired, &desired.object_names().disruption_budget),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(labels::selector(&desired.owner)),
                match_expressions: desired.subscribers.as_ref().map(|_| {
                    vec![LabelSelectorRequirement {
                        key: labels::SUBSCRIBER.into(),
                        operator: "DoesNotExist".into(),
                        values: None,
                    }]
                }),
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
