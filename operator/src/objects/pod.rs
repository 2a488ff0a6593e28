//! The pod template: the user's, with the operator's parts merged into it.

use k8s_openapi::api::core::v1::{
    Affinity, ConfigMapProjection, Container, LocalObjectReference, NodeAffinity, NodeSelector,
    NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, PodAntiAffinity,
    PodSecurityContext, PodSpec, PodTemplateSpec, ProjectedVolumeSource, SecretProjection,
    SecretVolumeSource, Volume, VolumeMount, VolumeProjection, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::containers;
use crate::desired::Desired;
use crate::labels;

/// The volume of the database.
pub(super) const PERSISTENT: &str = "tt-persistent";
/// The volume of its logs.
pub(super) const LOG: &str = "tt-log";
/// The volume of the agents' Secret.
pub(super) const AGENT: &str = "tt-agent";
/// The volume of the metadata files.
pub(super) const CONFIG: &str = "tt-config";
/// The group that official images run as (users' guide, "official TimesTen container images").
const TIMESTEN_GROUP: i64 = 3429;
/// The label of a node's architecture.
const ARCH: &str = "kubernetes.io/arch";
/// The label of a node's name.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// What runs in a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A database of the pair, or one without replication.
    Database,
    /// A subscriber of the pair.
    Subscriber,
}

/// Builds the template from the user's.
pub(super) fn template(desired: &Desired, kind: Kind, user: &PodTemplateSpec) -> PodTemplateSpec {
    let user = user.spec.clone().unwrap_or_default();
    let tt =
        containers::tt(desired, kind, named(&user.containers, "tt"), has_config(desired, &user));
    let mut all: Vec<Container> = user
        .containers
        .iter()
        .filter(|container| !containers::OURS.contains(&container.name.as_str()))
        .map(|container| with_volumes(desired, container))
        .collect();
    let inits = user.init_containers.iter().flatten().cloned();
    let inits = inits.chain([containers::ttinit(desired, &tt)]).collect();
    if desired.daemon_log {
        all.push(containers::daemonlog(desired, &tt, named(&user.containers, "daemonlog")));
    }
    if let Some(exporter) = &desired.exporter {
        all.push(containers::exporter(desired, exporter, &tt, named(&user.containers, "exporter")));
    }
    let place =
        all.len() - usize::from(desired.daemon_log) - usize::from(desired.exporter.is_some());
    all.insert(place, tt);
    let mut labels = labels::all(&desired.owner);
    labels.extend((kind == Kind::Subscriber).then(labels::subscriber));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(labels::annotations(&desired.owner)),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: all,
            init_containers: Some(inits),
            share_process_namespace: Some(true),
            termination_grace_period_seconds: Some(desired.grace),
            security_context: Some(security(user.security_context.clone().unwrap_or_default())),
            image_pull_secrets: pull_secrets(desired, &user),
            affinity: Some(affinity(desired, user.affinity.clone().unwrap_or_default())),
            volumes: Some(volumes(desired, &user)),
            ..user
        }),
    }
}

/// The volumes belong to the group of the official images, unless the user says otherwise.
fn security(user: PodSecurityContext) -> PodSecurityContext {
    PodSecurityContext { fs_group: user.fs_group.or(Some(TIMESTEN_GROUP)), ..user }
}

fn named<'a>(containers: &'a [Container], name: &str) -> Option<&'a Container> {
    containers.iter().find(|container| container.name == name)
}

/// There are metadata files: the user's own volume of that name, or ConfigMaps and Secrets.
fn has_config(desired: &Desired, user: &PodSpec) -> bool {
    let own = user.volumes.iter().flatten().any(|volume| volume.name == CONFIG);
    own || !desired.metadata.config_maps.is_empty() || !desired.metadata.secrets.is_empty()
}

/// A user's container sees the database's volumes.
fn with_volumes(desired: &Desired, container: &Container) -> Container {
    let mut container = container.clone();
    container.volume_mounts.get_or_insert_default().extend(data_mounts(desired));
    container
}

/// The mounts of the database's volumes.
pub(super) fn data_mounts(desired: &Desired) -> Vec<VolumeMount> {
    let mut mounts = vec![mount(PERSISTENT, "/tt")];
    mounts.extend(desired.log_storage.as_ref().map(|_| mount(LOG, "/ttlog")));
    mounts
}

/// A mount.
pub(super) fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.into(), mount_path: path.into(), ..VolumeMount::default() }
}

fn pull_secrets(desired: &Desired, user: &PodSpec) -> Option<Vec<LocalObjectReference>> {
    let ours = desired.image_pull_secret.clone().map(|name| LocalObjectReference { name });
    let all: Vec<_> = user.image_pull_secrets.iter().flatten().cloned().chain(ours).collect();
    (!all.is_empty()).then_some(all)
}

fn volumes(desired: &Desired, user: &PodSpec) -> Vec<Volume> {
    let mut volumes = user.volumes.clone().unwrap_or_default();
    let own_config = volumes.iter().any(|volume| volume.name == CONFIG);
    if let Some(secret) = desired.exporter.as_ref().and_then(|e| e.cert_secret.clone()) {
        volumes.push(secret_volume(&secret, &secret));
    }
    volumes.push(secret_volume(AGENT, &desired.object_names().secret));
    if !own_config && has_config(desired, user) {
        volumes.push(Volume {
            name: CONFIG.into(),
            projected: Some(ProjectedVolumeSource {
                sources: Some(projections(desired)),
                ..ProjectedVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    volumes
}

fn secret_volume(name: &str, secret: &str) -> Volume {
    Volume {
        name: name.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.into()),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn projections(desired: &Desired) -> Vec<VolumeProjection> {
    let config_map = |name: &String| VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: name.clone(),
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let secret = |name: &String| VolumeProjection {
        secret: Some(SecretProjection { name: name.clone(), ..SecretProjection::default() }),
        ..VolumeProjection::default()
    };
    let metadata = &desired.metadata;
    metadata.config_maps.iter().map(config_map).chain(metadata.secrets.iter().map(secret)).collect()
}

/// The user's affinity, with the architecture asked for in every term, and the two pods of a pair
/// kept on different nodes where the user says nothing of that.
fn affinity(desired: &Desired, mut user: Affinity) -> Affinity {
    let arch = NodeSelectorRequirement {
        key: ARCH.into(),
        operator: "In".into(),
        values: Some(vec![desired.arch.clone()]),
    };
    let nodes: &mut NodeAffinity = user.node_affinity.get_or_insert_default();
    let terms = &mut nodes
        .required_during_scheduling_ignored_during_execution
        .get_or_insert_with(NodeSelector::default)
        .node_selector_terms;
    if terms.is_empty() {
        terms.push(NodeSelectorTerm::default());
    }
    for term in terms {
        term.match_expressions.get_or_insert_default().push(arch.clone());
    }
    user.pod_anti_affinity.get_or_insert_with(|| PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
            weight: 100,
            pod_affinity_term: PodAffinityTerm {
                topology_key: HOSTNAME.into(),
                label_selector: Some(LabelSelector {
                    match_labels: Some(labels::selector(&desired.owner)),
                    ..LabelSelector::default()
                }),
                ..PodAffinityTerm::default()
            },
        }]),
        ..PodAntiAffinity::default()
    });
    user
}
