//! Endpoints, the old form of endpoint slices: the addresses of a Service's pods, ready and not.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service, ServiceSpec,
};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, ResourceExt};

use super::cache::{Again, Cluster, Snapshot, overtaken, pod_is};
use super::endpointslice::{counts, endpoint_port, reference, selected, selecting};

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns();
    let mut pause = None;
    loop {
        let known = turns.next(pause).await;
        let mut again = Again::default();
        for service in known.services.iter() {
            again.note("endpoints", sync(cluster, &known, service).await);
        }
        for endpoints in known.endpoints.iter() {
            again.note("old endpoints", drop_old(cluster, &known, endpoints).await);
        }
        pause = again.pause();
    }
}

async fn sync(cluster: &Cluster, known: &Snapshot, service: &Service) -> kube::Result<()> {
    let Some(spec) = selecting(service) else { return Ok(()) };
    let namespace = service.namespace().unwrap_or_default();
    let wanted = endpoints(known, service, spec);
    let api: Api<Endpoints> = Api::namespaced(cluster.client.clone(), &namespace);
    let answer = match known.endpoints.get(&namespace, &service.name_any()) {
        None => api.create(&PostParams::default(), &wanted).await,
        Some(known) => {
            let subsets = |of: &Endpoints| of.subsets.clone().unwrap_or_default();
            let same = subsets(known) == subsets(&wanted)
                && known.metadata.labels == wanted.metadata.labels;
            if same {
                return Ok(());
            }
            let mut changed = Endpoints::clone(known);
            changed.metadata.labels = wanted.metadata.labels;
            changed.subsets = wanted.subsets;
            api.replace(&service.name_any(), &PostParams::default(), &changed).await
        }
    };
    if let Some(endpoints) = overtaken(answer)? {
        cluster.saw(endpoints);
    }
    Ok(())
}

/// Deletes endpoints of ours whose Service is gone: nothing owns them.
async fn drop_old(cluster: &Cluster, known: &Snapshot, endpoints: &Endpoints) -> kube::Result<()> {
    let (namespace, name) = (endpoints.namespace().unwrap_or_default(), endpoints.name_any());
    let ours = endpoints.labels().get(MANAGED_BY).is_some_and(|by| by == MANAGER);
    if !ours || known.services.get(&namespace, &name).is_some() {
        return Ok(());
    }
    let api: Api<Endpoints> = Api::namespaced(cluster.client.clone(), &namespace);
    overtaken(api.delete(&name, &kube::api::DeleteParams::default()).await).map(drop)
}

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";

fn endpoints(known: &Snapshot, service: &Service, spec: &ServiceSpec) -> Endpoints {
    let namespace = service.namespace().unwrap_or_default();
    let always = spec.publish_not_ready_addresses == Some(true);
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    if spec.cluster_ip.as_deref() == Some("None") {
        labels.insert("service.kubernetes.io/headless".to_owned(), String::new());
    }
    let pods: Vec<&Arc<Pod>> = known
        .pods
        .within(&namespace)
        .filter(|pod| selected(spec, pod) && counts(pod))
        .filter(|pod| always || pod.metadata.deletion_timestamp.is_none())
        .collect();
    let side = |ready: bool| {
        let mut found: Vec<EndpointAddress> = pods
            .iter()
            .filter(|pod| (always || pod_is(pod, "Ready")) == ready)
            .filter_map(|pod| address(service, pod))
            .collect();
        found.sort_by(|a, b| a.ip.cmp(&b.ip));
        (!found.is_empty()).then_some(found)
    };
    let port = |port| {
        let port = endpoint_port(port, pods.first()?)?;
        Some(EndpointPort {
            name: port.name.filter(|name| !name.is_empty()),
            port: port.port?,
            protocol: port.protocol,
            app_protocol: port.app_protocol,
        })
    };
    let ports: Vec<EndpointPort> = spec.ports.iter().flatten().filter_map(port).collect();
    let subset = EndpointSubset {
        addresses: side(true),
        not_ready_addresses: side(false),
        ports: (!ports.is_empty()).then_some(ports),
    };
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        subsets: (!pods.is_empty()).then(|| vec![subset]),
    }
}

fn address(service: &Service, pod: &Pod) -> Option<EndpointAddress> {
    let spec = pod.spec.as_ref()?;
    let own = spec.subdomain.as_deref() == service.metadata.name.as_deref();
    Some(EndpointAddress {
        ip: pod.status.as_ref()?.pod_ip.clone()?,
        hostname: spec.hostname.clone().filter(|_| own),
        node_name: spec.node_name.clone(),
        target_ref: Some(reference(pod)),
    })
}
