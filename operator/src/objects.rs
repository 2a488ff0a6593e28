//! Everything the operator makes, and what has to be written so that it is as it should be.
//!
//! Never: writes. Builders are pure functions of the believed spec, one kind a file.

mod active_service;
mod claims;
mod containers;
mod difference;
mod disruption_budget;
mod drift;
mod edit;
mod headless_service;
mod pod;
mod resources;
mod secret;
mod stateful_set;
mod unapplied;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use claims::names as claim_names;
pub use drift::{Write, drift, taken, whose};
pub use unapplied::{Unapplied, unapplied};

use crate::desired::{Desired, ImageUpgrades, Topology};
use crate::labels;

/// What the builders need beside the spec.
#[derive(Clone, Default)]
pub struct Parts {
    /// The entries of the agents' Secret. The Oracle wallet that Oracle's own agent reads is to
    /// be one more entry, `cwallet.sso`.
    pub secret: BTreeMap<String, Vec<u8>>,
    /// The image that upgrades have come to, of pods that the operator replaces.
    pub image: Option<String>,
}

/// The objects as they should be.
#[derive(Clone)]
pub struct Wanted {
    /// The agents' Secret.
    pub secret: Secret,
    /// The headless Service.
    pub headless_service: Service,
    /// The Service that selects the active; only a pair has one.
    pub active_service: Option<Service>,
    /// The StatefulSet.
    pub stateful_set: StatefulSet,
    /// The StatefulSet of the subscribers.
    pub subscribers: Option<StatefulSet>,
    /// The PodDisruptionBudget.
    pub disruption_budget: PodDisruptionBudget,
    /// Nobody has said yet which image pods that exist are to have: it stays as it is.
    pub keeps_images: bool,
}

// There is a Secret among them.
impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted").finish_non_exhaustive()
    }
}

/// The objects as they are.
#[derive(Clone, Default)]
pub struct Live {
    /// The agents' Secret.
    pub secret: Option<Arc<Secret>>,
    /// The headless Service.
    pub headless_service: Option<Arc<Service>>,
    /// The Service that selects the active.
    pub active_service: Option<Arc<Service>>,
    /// The StatefulSet.
    pub stateful_set: Option<Arc<StatefulSet>>,
    /// The StatefulSet of the subscribers.
    pub subscribers: Option<Arc<StatefulSet>>,
    /// The PodDisruptionBudget.
    pub disruption_budget: Option<Arc<PodDisruptionBudget>>,
    /// The volume claims of its pods.
    pub claims: Vec<Arc<PersistentVolumeClaim>>,
    /// The storage classes that let volumes grow; none where the classes cannot be read.
    pub growing_classes: Option<BTreeSet<String>>,
}

/// The versions of objects; none where there is no object. Those of claims are one after the other,
/// and so are the names of classes.
pub type Versions = [Option<String>; 8];

impl Live {
    /// The versions of all of them.
    #[must_use]
    pub fn versions(&self) -> Versions {
        fn version<K: kube::ResourceExt>(object: Option<&Arc<K>>) -> Option<String> {
            object.and_then(|object| object.resource_version())
        }
        [
            version(self.secret.as_ref()),
            version(self.headless_service.as_ref()),
            version(self.active_service.as_ref()),
            version(self.stateful_set.as_ref()),
            version(self.subscribers.as_ref()),
            version(self.disruption_budget.as_ref()),
            Some(
                self.claims
                    .iter()
                    .filter_map(|claim| version(Some(claim)))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            self.growing_classes
                .as_ref()
                .map(|all| all.iter().map(String::as_str).collect::<Vec<_>>().join(" ")),
        ]
    }
}

/// The objects that the spec asks for.
#[must_use]
pub fn wanted(desired: &Desired, parts: &Parts) -> Wanted {
    let upgraded = desired.topology == Topology::ActiveStandbyPair
        && desired.image_upgrades == ImageUpgrades::Automatic;
    let image = parts.image.clone().filter(|_| upgraded);
    let keeps_images = upgraded && image.is_none();
    let mut of_pods = desired.clone();
    if let Some(image) = image {
        of_pods.image = image;
    }
    Wanted {
        secret: secret::build(desired, parts),
        headless_service: headless_service::build(desired),
        active_service: (desired.topology == Topology::ActiveStandbyPair)
            .then(|| active_service::build(desired)),
        stateful_set: edit::number(stateful_set::build(&of_pods)),
        subscribers: of_pods
            .subscribers
            .as_ref()
            .map(|subscribers| edit::number(stateful_set::subscribers(&of_pods, subscribers))),
        disruption_budget: disruption_budget::build(desired),
        keeps_images,
    }
}

/// The metadata of an object that is made.
fn metadata(desired: &Desired, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(desired.namespace().to_owned()),
        labels: Some(labels::all(&desired.owner)),
        owner_references: Some(vec![desired.owner.reference()]),
        ..ObjectMeta::default()
    }
}
