//! Endpoint slices: which pods a Service leads to, and whether they are ready.
//!
//! One slice a Service and IPv4 only.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, ResourceExt};

use super::cache::{Again, Cluster, Snapshot, controller_uid, overtaken, phase, pod_is};

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns();
    let mut pause: Option<Duration> = None;
    loop {
        let known = turns.next(pause).await;
        let mut again = Again::default();
        for service in known.services.iter() {
            again.note("endpoint slices", sync(cluster, &known, service).await);
        }
        pause = again.pause();
    }
}

async fn sync(cluster: &Cluster, known: &Snapshot, service: &Service) -> kube::Result<()> {
    let Some(spec) = selecting(service) else { return Ok(()) };
    let namespace = service.namespace().unwrap_or_default();
    let wanted = slice(known, service, spec);
    let api: Api<EndpointSlice> = Api::namespaced(cluster.client.clone(), &namespace);
    let uid = service.metadata.uid.as_deref();
    let ours = known
        .slices
        .within(&namespace)
        .find(|slice| uid.is_some() && controller_uid(slice.as_ref()) == uid);
    let answer = match ours {
        None => api.create(&PostParams::default(), &wanted).await,
        Some(known) => {
            let same = known.endpoints == wanted.endpoints
                && known.ports.as_deref().unwrap_or_default()
                    == wanted.ports.as_deref().unwrap_or_default()
                && known.metadata.labels == wanted.metadata.labels;
            if same {
                return Ok(());
            }
            let mut changed = EndpointSlice::clone(known);
            changed.metadata.labels = wanted.metadata.labels;
            changed.endpoints = wanted.endpoints;
            changed.ports = wanted.ports;
            api.replace(&known.name_any(), &PostParams::default(), &changed).await
        }
    };
    if let Some(slice) = overtaken(answer)? {
        cluster.saw(slice);
    }
    Ok(())
}

fn slice(known: &Snapshot, service: &Service, spec: &ServiceSpec) -> EndpointSlice {
    let namespace = service.namespace().unwrap_or_default();
    let pods: Vec<&Pod> = known
        .pods
        .within(&namespace)
        .map(AsRef::as_ref)
        .filter(|pod| selected(spec, pod) && counts(pod))
        .collect();
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert("kubernetes.io/service-name".to_owned(), service.name_any());
    labels.insert(
        "endpointslice.kubernetes.io/managed-by".to_owned(),
        "endpointslice-controller.k8s.io".to_owned(),
    );
    if spec.cluster_ip.as_deref() == Some("None") {
        labels.insert("service.kubernetes.io/headless".to_owned(), String::new());
    }
    let ports = spec.ports.iter().flatten();
    let ports: Vec<EndpointPort> =
        ports.filter_map(|port| endpoint_port(port, pods.first().copied()?)).collect();
    EndpointSlice {
        address_type: "IPv4".to_owned(),
        endpoints: pods.iter().filter_map(|pod| endpoint(service, spec, pod)).collect(),
        ports: (!ports.is_empty()).then_some(ports),
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name_any())),
            namespace: Some(namespace),
            labels: Some(labels),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Service".to_owned(),
                name: service.name_any(),
                uid: service.uid().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        },
    }
}

/// The spec of a Service that has endpoints: it selects pods, and stays.
pub(super) fn selecting(service: &Service) -> Option<&ServiceSpec> {
    let spec = service.spec.as_ref()?;
    let selects = spec.selector.as_ref().is_some_and(|selector| !selector.is_empty());
    (selects && service.metadata.deletion_timestamp.is_none()).then_some(spec)
}

/// Whether a Service selects a pod.
pub(super) fn selected(spec: &ServiceSpec, pod: &Pod) -> bool {
    let mut wanted = spec.selector.iter().flatten();
    wanted.all(|(key, value)| pod.labels().get(key) == Some(value))
}

/// Whether a pod can be an endpoint: it has an address, and has not ended.
pub(super) fn counts(pod: &Pod) -> bool {
    let addressed =
        pod.status.as_ref().is_some_and(|s| s.pod_ip.as_deref().is_some_and(|ip| !ip.is_empty()));
    addressed && !matches!(phase(pod), "Succeeded" | "Failed")
}

fn endpoint(service: &Service, spec: &ServiceSpec, pod: &Pod) -> Option<Endpoint> {
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let serving = pod_is(pod, "Ready");
    let always = spec.publish_not_ready_addresses == Some(true);
    let pod_spec = pod.spec.as_ref()?;
    let own = pod_spec.subdomain.as_deref() == service.metadata.name.as_deref();
    Some(Endpoint {
        addresses: vec![pod.status.as_ref()?.pod_ip.clone()?],
        conditions: Some(EndpointConditions {
            ready: Some(always || serving && !terminating),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: pod_spec.hostname.clone().filter(|_| own),
        node_name: pod_spec.node_name.clone(),
        target_ref: Some(reference(pod)),
        ..Endpoint::default()
    })
}

/// The pod behind an endpoint.
pub(super) fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// The port a Service's port leads to, in pods like this one.
pub(super) fn endpoint_port(port: &ServicePort, pod: &Pod) -> Option<EndpointPort> {
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            let mut ports =
                pod.spec.iter().flat_map(|s| &s.containers).flat_map(|c| c.ports.iter().flatten());
            ports.find(|p| p.name.as_ref() == Some(name))?.container_port
        }
    };
    Some(EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(number),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    })
}
