//! A StatefulSet that exists, brought in line with the spec as far as Kubernetes lets it be and the
//! databases that run in its pods allow.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use kube::ResourceExt;
use serde_json::json;

use super::difference::within;

/// Annotation of a StatefulSet: a number made of the template that was asked for. What an edit of the
/// spec takes away shows in nothing else.
const TEMPLATE: &str = "timesten.oracle.com/template";

/// Puts the number of its template on a set.
pub(super) fn number(mut set: StatefulSet) -> StatefulSet {
    let template = set.spec.as_ref().and_then(|spec| serde_json::to_string(&spec.template).ok());
    let mut hasher = DefaultHasher::new();
    template.unwrap_or_default().hash(&mut hasher);
    set.annotations_mut().insert(TEMPLATE.into(), format!("{:016x}", hasher.finish()));
    set
}

/// The set as it has to be written; nothing if it is as it should be.
pub(super) fn edited(
    wanted: &StatefulSet,
    keeps_images: bool,
    live: &StatefulSet,
) -> Option<StatefulSet> {
    let (should, is) = (wanted.spec.as_ref()?, live.spec.as_ref()?);
    let mut template = should.template.clone();
    if keeps_images {
        keep_images(&mut template, &is.template);
    }
    // Pods would mount volumes that they have not, or lose one that a database is on.
    if claims(should) != claims(is) {
        template = is.template.clone();
    }
    let should_be = json!({
        "metadata": wanted.metadata,
        "spec": {
            "replicas": should.replicas,
            "updateStrategy": should.update_strategy,
            "template": template,
        },
    });
    let is_so = serde_json::to_value(live).ok()?;
    if within(&should_be, &is_so) {
        return None;
    }
    let mut set = live.clone();
    set.status = None;
    set.metadata.managed_fields = None;
    set.labels_mut().extend(wanted.labels().clone());
    set.annotations_mut().extend(wanted.annotations().clone());
    set.metadata.owner_references.clone_from(&wanted.metadata.owner_references);
    let spec = set.spec.as_mut()?;
    spec.replicas = should.replicas;
    spec.update_strategy.clone_from(&should.update_strategy);
    // As it is, where it is as it should be: what the API server filled in is no change.
    if live.annotations().get(TEMPLATE) != wanted.annotations().get(TEMPLATE)
        || !within(&json!(template), &json!(is.template))
    {
        spec.template = template;
    }
    Some(set)
}

fn claims(spec: &StatefulSetSpec) -> Vec<String> {
    spec.volume_claim_templates.iter().flatten().map(ResourceExt::name_any).collect()
}

/// The image of pods that the operator replaces itself belongs to its upgrades.
fn keep_images(template: &mut PodTemplateSpec, live: &PodTemplateSpec) {
    let (Some(spec), Some(live)) = (&mut template.spec, &live.spec) else { return };
    let keep = |containers: &mut Vec<Container>, live: &[Container]| {
        for container in containers {
            let same = live.iter().find(|live| live.name == container.name);
            if let Some(same) = same.filter(|_| UPGRADED.contains(&container.name.as_str())) {
                container.image.clone_from(&same.image);
            }
        }
    };
    keep(&mut spec.containers, &live.containers);
    if let (Some(init), Some(live)) = (&mut spec.init_containers, &live.init_containers) {
        keep(init, live);
    }
}

/// Containers that run the TimesTen image.
pub(super) const UPGRADED: [&str; 4] = ["tt", "ttinit", "daemonlog", "exporter"];
