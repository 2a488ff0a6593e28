//! The StatefulSet of the database pods, and that of subscribers.

use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::metadata;
use super::pod::{self, Kind};
use crate::desired::{Desired, Replaced, Storage, Subscribers, Topology};
use crate::labels;

/// Builds that of the databases.
pub(super) fn build(desired: &Desired) -> StatefulSet {
    let name = desired.object_names().stateful_set;
    set(desired, &name, desired.replicas(), Kind::Database, &desired.template)
}

/// Builds that of the subscribers.
pub(super) fn subscribers(desired: &Desired, subscribers: &Subscribers) -> StatefulSet {
    let template = subscribers.template.as_ref().unwrap_or(&desired.template);
    set(desired, &subscribers.name, subscribers.replicas, Kind::Subscriber, template)
}

fn set(
    desired: &Desired,
    name: &str,
    replicas: i32,
    kind: Kind,
    template: &PodTemplateSpec,
) -> StatefulSet {
    let mut metadata = metadata(desired, name);
    let mut selector = labels::selector(&desired.owner);
    if kind == Kind::Subscriber {
        metadata.labels.get_or_insert_default().extend([labels::subscriber()]);
        selector.extend([labels::subscriber()]);
    }
    metadata.annotations = Some(labels::annotations(&desired.owner));
    let mut claims = desired.claims.clone();
    claims.push(claim(pod::PERSISTENT, &desired.storage));
    claims.extend(desired.log_storage.as_ref().map(|storage| claim(pod::LOG, storage)));
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            service_name: Some(desired.object_names().headless_service),
            replicas: Some(replicas),
            pod_management_policy: Some("Parallel".into()),
            update_strategy: Some(strategy(desired.topology)),
            selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
            template: pod::template(desired, kind, template),
            volume_claim_templates: Some(claims),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// A pair's pods are replaced by the operator, one after the other; others by Kubernetes or by hand.
fn strategy(topology: Topology) -> StatefulSetUpdateStrategy {
    let partition = match topology {
        Topology::ActiveStandbyPair
        | Topology::NonReplicated { replaced: Replaced::ByHand, .. } => None,
        Topology::NonReplicated { replaced: Replaced::DownTo(ordinal), .. } => Some(ordinal),
    };
    let kind = if partition.is_some() { "RollingUpdate" } else { "OnDelete" };
    StatefulSetUpdateStrategy {
        type_: Some(kind.into()),
        rolling_update: partition.map(|ordinal| RollingUpdateStatefulSetStrategy {
            partition: Some(ordinal),
            ..RollingUpdateStatefulSetStrategy::default()
        }),
    }
}

fn claim(name: &str, storage: &Storage) -> PersistentVolumeClaim {
    let size = ("storage".to_owned(), Quantity(storage.size.clone()));
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: storage.class.clone(),
            selector: storage.selector.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([size].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
