//! The pods and claims of a set, as they are made: names, labels, owners.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::View;

/// The label that names a pod's revision.
pub(super) const REVISION: &str = "controller-revision-hash";

/// The ordinal in a pod's name, if the pod could be one of the set.
pub(super) fn ordinal(set: &str, pod: &str) -> Option<i32> {
    let digits = pod.strip_prefix(set)?.strip_prefix('-')?;
    digits.parse().ok().filter(|ordinal: &i32| ordinal.to_string() == digits)
}

/// The reference to a set as the owner of what it makes.
pub(super) fn owner(set: &StatefulSet) -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "StatefulSet".to_owned(),
        name: set.name_any(),
        uid: set.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The pod of an ordinal, after a template.
pub(super) fn pod(view: &View<'_>, ordinal: i32, revision: &str, template: PodTemplateSpec) -> Pod {
    let name = format!("{}-{ordinal}", view.name);
    let meta = template.metadata.unwrap_or_default();
    let mut labels = meta.labels.unwrap_or_default();
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name.clone());
    labels.insert("apps.kubernetes.io/pod-index".to_owned(), ordinal.to_string());
    labels.insert(REVISION.to_owned(), revision.to_owned());
    let mut spec = template.spec.unwrap_or_default();
    spec.hostname = Some(name.clone());
    spec.subdomain = view.spec.service_name.clone().filter(|service| !service.is_empty());
    let claims = templates(view).map(|template| template.name_any()).collect::<Vec<_>>();
    let mut volumes: Vec<Volume> = claims
        .iter()
        .map(|template| Volume {
            name: template.clone(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: format!("{template}-{name}"),
                read_only: None,
            }),
            ..Volume::default()
        })
        .collect();
    volumes
        .extend(spec.volumes.into_iter().flatten().filter(|volume| !claims.contains(&volume.name)));
    spec.volumes = (!volumes.is_empty()).then_some(volumes);
    Pod {
        metadata: ObjectMeta {
            name: Some(name),
            generate_name: Some(format!("{}-", view.name)),
            namespace: Some(view.namespace.clone()),
            labels: Some(labels),
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![owner(view.set)]),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }
}

/// The claims of an ordinal, by the names they have to have.
pub(super) fn claims(view: &View<'_>, ordinal: i32) -> BTreeMap<String, PersistentVolumeClaim> {
    let labels = view.spec.selector.match_labels.clone().unwrap_or_default();
    templates(view)
        .map(|template| {
            let name = format!("{}-{}-{ordinal}", template.name_any(), view.name);
            let mut metadata = template.metadata.clone();
            metadata.name = Some(name.clone());
            metadata.namespace = Some(view.namespace.clone());
            metadata.labels.get_or_insert_default().extend(labels.clone());
            (name, PersistentVolumeClaim { metadata, spec: template.spec.clone(), status: None })
        })
        .collect()
}

fn templates<'a>(view: &'a View<'_>) -> impl Iterator<Item = &'a PersistentVolumeClaim> {
    view.spec.volume_claim_templates.iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("db-0", Some(0))]
    #[case("db-12", Some(12))]
    #[case("db-01", None)]
    #[case("db-x", None)]
    #[case("db", None)]
    #[case("other-0", None)]
    fn ordinals_are_read_strictly(#[case] pod: &str, #[case] expected: Option<i32>) {
        assert_eq!(ordinal("db", pod), expected);
    }
}
