//! The headless Service: DNS names for agents and replication, ready or not.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata;
use crate::desired::Desired;
use crate::labels;

/// The port of TimesTen's client/server.
pub(super) const CS_PORT: i32 = 6625;

/// Builds it.
pub(super) fn build(desired: &Desired) -> Service {
    let mut ports = vec![port("cs", CS_PORT)];
    ports.extend(desired.exporter.as_ref().map(|exporter| port("exporter", exporter.port)));
    let selector = (labels::APP.to_owned(), desired.name().to_owned());
    Service {
        metadata: metadata(desired, &desired.object_names().headless_service),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            publish_not_ready_addresses: Some(true),
            selector: Some([selector].into()),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// A TCP port that is forwarded to the same port.
pub(super) fn port(name: &str, number: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        protocol: Some("TCP".into()),
        target_port: Some(IntOrString::Int(number)),
        ..ServicePort::default()
    }
}
