//! Volume claims of pods that exist, brought to the size that the spec asks for, as far as their
//! class lets volumes grow.
//!
//! Never: shrinks one, or touches the templates of a StatefulSet, which cannot be changed: a claim
//! that is made of them later is enlarged as well.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use super::drift::{Write, apply};
use super::{Live, Unapplied, Wanted, pod};
use crate::cluster::named;
use crate::desired::{Bytes, Desired};

/// The names of the claims of a pod.
#[must_use]
pub fn names(desired: &Desired, pod: &str) -> Vec<String> {
    let user = desired.claims.iter().map(ResourceExt::name_any);
    let log = desired.log_storage.iter().map(|_| pod::LOG.to_owned());
    let templates = user.chain([pod::PERSISTENT.to_owned()]).chain(log);
    templates.map(|template| format!("{template}-{pod}")).collect()
}

/// A claim that exists, beside the template that the spec has for it.
struct Beside<'a> {
    claim: &'a Arc<PersistentVolumeClaim>,
    template: String,
    wanted: &'a Quantity,
    /// How the size asked for compares with what the spec wants.
    asked: std::cmp::Ordering,
    /// The volume is as large as was asked for.
    done: bool,
    /// Its class lets it grow; none where that cannot be read.
    grows: Option<bool>,
}

/// All claims that exist and have a template in the spec.
fn all<'a>(wanted: &'a Wanted, live: &'a Live) -> Vec<Beside<'a>> {
    let sets = [Some(&wanted.stateful_set), wanted.subscribers.as_ref()];
    sets.into_iter().flatten().flat_map(|set| of_set(set, live)).collect()
}

fn of_set<'a>(set: &'a StatefulSet, live: &'a Live) -> Vec<Beside<'a>> {
    let templates = set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten());
    let beside = |template: &'a PersistentVolumeClaim| {
        let wanted = request(template)?;
        let prefix = format!("{}-{}-", template.name_any(), set.name_any());
        let ours = move |claim: &&Arc<PersistentVolumeClaim>| {
            let name = claim.name_any();
            name.strip_prefix(&prefix).is_some_and(|end| end.parse::<u32>().is_ok())
        };
        let claims = live.claims.iter().filter(ours);
        Some(claims.filter_map(|claim| compared(claim, template.name_any(), wanted, live)))
    };
    templates.filter_map(beside).flatten().collect()
}

fn compared<'a>(
    claim: &'a Arc<PersistentVolumeClaim>,
    template: String,
    wanted: &'a Quantity,
    live: &Live,
) -> Option<Beside<'a>> {
    let asked = Bytes::parse(&request(claim)?.0)?;
    let capacity =
        claim.status.as_ref().and_then(|status| status.capacity.as_ref()?.get("storage"));
    let class = claim.spec.as_ref()?.storage_class_name.as_ref();
    Some(Beside {
        claim,
        template,
        wanted,
        asked: asked.cmp(&Bytes::parse(&wanted.0)?),
        // A claim that has no volume yet gets one of the size that was asked for.
        done: capacity.is_none_or(|is| Bytes::parse(&is.0) >= Some(asked)),
        grows: match (class, &live.growing_classes) {
            (None, _) => Some(false),
            (Some(_), None) => None,
            (Some(class), Some(growing)) => Some(growing.contains(class)),
        },
    })
}

fn request(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

/// What has to be written so that volumes grow.
pub(super) fn drift(wanted: &Wanted, live: &Live) -> Vec<Write> {
    all(wanted, live)
        .into_iter()
        .filter(|beside| {
            beside.asked.is_lt() && beside.grows == Some(true) && is_bound(beside.claim)
        })
        .filter_map(|beside| {
            let size = ("storage".to_owned(), beside.wanted.clone());
            let claim = PersistentVolumeClaim {
                metadata: named(
                    &beside.claim.namespace().unwrap_or_default(),
                    &beside.claim.name_any(),
                ),
                spec: Some(PersistentVolumeClaimSpec {
                    resources: Some(VolumeResourceRequirements {
                        requests: Some([size].into()),
                        ..VolumeResourceRequirements::default()
                    }),
                    ..PersistentVolumeClaimSpec::default()
                }),
                ..PersistentVolumeClaim::default()
            };
            apply(&claim, beside.claim.resource_version())
        })
        .collect()
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
}

/// What of the sizes in the spec is not in force.
pub(super) fn unapplied(wanted: &Wanted, live: &Live, said: &mut Vec<Unapplied>) {
    let mut growing: Vec<(String, String)> = Vec::new();
    for beside in all(wanted, live) {
        let field = super::unapplied::field(&beside.template, "Size");
        let what = match (beside.asked.is_gt(), beside.asked.is_lt(), beside.grows) {
            (true, ..) => Unapplied::fixed(
                field,
                "volumes that exist cannot be made smaller",
                "set it back, or create another object and bring the data over",
            ),
            (_, true, Some(false)) => Unapplied::fixed(
                field,
                format!(
                    "the class of the volumes ({}) does not let them grow",
                    class(beside.claim).unwrap_or("none")
                ),
                "set allowVolumeExpansion in the class if its driver can do that, or set it back",
            ),
            (_, true, None) => Unapplied::fixed(
                field,
                "whether the class of the volumes lets them grow cannot be read",
                "let the operator list and watch storage classes, or set it back",
            ),
            (_, grows, _) => {
                if grows || !beside.done {
                    growing.push((field, beside.claim.name_any()));
                }
                continue;
            }
        };
        if !said.contains(&what) {
            said.push(what);
        }
    }
    said.extend(growing.into_iter().map(|(field, claim)| Unapplied::Growing { field, claim }));
}

fn class(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.storage_class_name.as_deref()
}
