//! The Service that clients write to: it selects whichever pod carries the role `active`.
//!
//! It publishes pods that Kubernetes does not hold ready, because the role label is the faster and
//! the only true word on who is active: a readiness probe takes up to its period to notice.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::headless_service::{CS_PORT, port};
use super::metadata;
use crate::desired::Desired;
use crate::labels;
use crate::observation::Role;

/// Builds it.
pub(super) fn build(desired: &Desired) -> Service {
    let role = (labels::ROLE.to_owned(), labels::role_word(Role::Active).to_owned());
    let object = (labels::OBJECT.to_owned(), desired.name().to_owned());
    Service {
        metadata: metadata(desired, &desired.object_names().active_service),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            publish_not_ready_addresses: Some(true),
            selector: Some([role, object].into()),
            ports: Some(vec![port("cs", CS_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
