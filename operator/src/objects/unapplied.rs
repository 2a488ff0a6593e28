//! What the spec asks for and the cluster does not have, because it takes effect later or never can.
//!
//! Never: lists what the next writes bring about.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, Pod};
use kube::ResourceExt;
use serde_json::json;

use super::difference::parts;
use super::edit::UPGRADED;
use super::{Live, Wanted, pod};
use crate::desired::{Desired, ImageUpgrades, Replaced, Topology};
use crate::labels::{self, REVISION};

/// A part of the spec that is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unapplied {
    /// These pods were made of an older template. The parts that differ, and what brings them in.
    OldPods(Vec<String>, Vec<String>, String),
    /// A volume grows to the size that the field asks for.
    Growing {
        /// The path of the field in the spec.
        field: String,
        /// The name of its claim.
        claim: String,
    },
    /// It cannot be changed: the field, what is so, and what can be done.
    Fixed {
        /// The path of the field in the spec.
        field: String,
        /// What is so.
        is: String,
        /// What can be done.
        cure: String,
    },
}

impl Unapplied {
    pub(super) fn fixed(
        field: impl Into<String>,
        is: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self::Fixed { field: field.into(), is: is.into(), cure: cure.into() }
    }
}

impl std::fmt::Display for Unapplied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OldPods(pods, parts, cure) => write!(
                f,
                "{} of the pod template: {} made before the edit; {cure}",
                parts.join(", "),
                match pods.as_slice() {
                    [pod] => format!("{pod} was"),
                    pods => format!("{} were", pods.join(" and ")),
                },
            ),
            Self::Growing { field, claim } => {
                write!(f, "spec.{field}: the volume of {claim} is being enlarged")
            }
            Self::Fixed { field, is, cure } => write!(f, "spec.{field}: {is}; {cure}"),
        }
    }
}

/// All of it. `scheme` is the statement that the replication scheme was created with.
#[must_use]
pub fn unapplied(
    desired: &Desired,
    wanted: &Wanted,
    live: &Live,
    pods: &[&Pod],
    scheme: Option<&str>,
) -> Vec<Unapplied> {
    let mut all = Vec::new();
    let (subscribers, members): (Vec<&Pod>, Vec<&Pod>) =
        pods.iter().partition(|pod| pod.labels().contains_key(labels::SUBSCRIBER));
    if let Some(live) = live.stateful_set.as_deref() {
        claims(&wanted.stateful_set, live, &mut all);
        // The operator says itself how far it is with an upgrade.
        let upgrades = desired.topology == Topology::ActiveStandbyPair
            && desired.image_upgrades == ImageUpgrades::Automatic;
        all.extend(old_pods(live, &members, upgrades, || cure(desired.topology)));
    }
    if let (Some(wanted), Some(live)) = (&wanted.subscribers, live.subscribers.as_deref()) {
        claims(wanted, live, &mut all);
        all.extend(old_pods(live, &subscribers, false, || CURE_OF_SUBSCRIBERS.into()));
    }
    super::claims::unapplied(wanted, live, &mut all);
    if scheme.is_some_and(|scheme| scheme != desired.rep_create_statement()) {
        all.push(Unapplied::fixed(
            "ttspec.repCreateStatement, repReturnServiceAttribute, repStoreAttribute, repPort or \
             subscribers",
            "the replication scheme was created with another statement, which \
             status.repCreateStatement has",
            "set it back; the present one is used when the scheme has to be made anew",
        ));
    }
    all.extend(
        desired.unsupported().map(|given| {
            Unapplied::fixed(given.field, "this version does not act on it", given.cure)
        }),
    );
    all
}

/// Pods that the present template did not make. With `upgrades` their images are the business of the
/// operator's own upgrades.
fn old_pods(
    live: &StatefulSet,
    pods: &[&Pod],
    upgrades: bool,
    cure: impl FnOnce() -> String,
) -> Option<Unapplied> {
    let status = live.status.as_ref()?;
    if status.observed_generation < live.metadata.generation {
        return None;
    }
    let revision = status.update_revision.as_ref()?;
    let old = |pod: &&&Pod| pod.labels().get(REVISION).is_some_and(|label| label != revision);
    let old: Vec<&Pod> = pods.iter().filter(old).copied().collect();
    let first = old.first()?;
    let template = json!(live.spec.as_ref()?.template);
    let mut parts = parts(&template, &json!(first));
    let upgraded = |part: &String| {
        let name = part.strip_suffix("].image").and_then(|part| part.rsplit_once('['));
        name.is_some_and(|(_, name)| UPGRADED.contains(&name))
    };
    if upgrades && parts.iter().any(upgraded) {
        parts.retain(|part| !upgraded(part));
        if parts.is_empty() {
            return None;
        }
    }
    if parts.is_empty() {
        // Something was taken away.
        parts.push("a part".into());
    }
    let names = old.iter().map(|pod| pod.name_any()).collect();
    Some(Unapplied::OldPods(names, parts, cure()))
}

/// What brings an edit of the template into the pods of subscribers that exist.
const CURE_OF_SUBSCRIBERS: &str = "it takes effect in a pod that is made anew: delete one, and the \
    next when the first follows again";

/// What brings an edit of the template into pods that exist.
fn cure(topology: Topology) -> String {
    match topology {
        Topology::ActiveStandbyPair => "it takes effect in a pod that is made anew: delete that \
            of the standby, and that of the active when the pair is Normal again"
            .into(),
        Topology::NonReplicated { replaced: Replaced::ByHand, .. } => "it takes effect in a pod \
            that is made anew: delete one, and the next when the first is ready again"
            .into(),
        Topology::NonReplicated { replaced: Replaced::DownTo(0), .. } => "Kubernetes replaces one \
            after the other from the highest ordinal down, each when the one before is ready"
            .into(),
        Topology::NonReplicated { replaced: Replaced::DownTo(ordinal), .. } => format!(
            "Kubernetes replaces those from ordinal {ordinal} on; for the others lower \
             spec.ttspec.rollingUpdatePartition"
        ),
    }
}

/// Templates of claims cannot be changed in a StatefulSet that exists.
fn claims(wanted: &StatefulSet, live: &StatefulSet, all: &mut Vec<Unapplied>) {
    let (wanted, live) = (templates(wanted), templates(live));
    for claim in wanted {
        let name = claim.name_any();
        match named(live, &name).and_then(|claim| claim.spec.as_ref()) {
            Some(is) => {
                all.extend(
                    claim.spec.as_ref().into_iter().flat_map(|s| claim_differs(&name, s, is)),
                );
            }
            None => all.push(Unapplied::fixed(
                field(&name, "Size"),
                "a volume cannot be added to pods that exist",
                "take it out, or create another object and bring the data over",
            )),
        }
    }
    for claim in live {
        let name = claim.name_any();
        if named(wanted, &name).is_none() {
            all.push(Unapplied::fixed(
                field(&name, "Size"),
                format!("the volume {name} cannot be taken from pods that exist"),
                "set it back, or create another object and bring the data over",
            ));
        }
    }
}

fn templates(set: &StatefulSet) -> &[PersistentVolumeClaim] {
    let templates = set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_deref());
    templates.unwrap_or_default()
}

fn named<'a>(claims: &'a [PersistentVolumeClaim], name: &str) -> Option<&'a PersistentVolumeClaim> {
    claims.iter().find(|claim| claim.metadata.name.as_deref() == Some(name))
}

fn claim_differs(
    name: &str,
    should: &PersistentVolumeClaimSpec,
    is: &PersistentVolumeClaimSpec,
) -> Vec<Unapplied> {
    let cure = "set it back, or create another object and bring the data over";
    let mut all = Vec::new();
    if should.storage_class_name != is.storage_class_name {
        let class = is.storage_class_name.as_deref().unwrap_or("the default");
        all.push(Unapplied::fixed(
            field(name, "ClassName"),
            format!("the class of volumes that exist ({class}) cannot be changed"),
            cure,
        ));
    }
    if should.selector != is.selector {
        all.push(Unapplied::fixed(field(name, "Selector"), "the volumes are bound already", cure));
    }
    all
}

/// The field of the spec that says this of a claim.
pub(super) fn field(claim: &str, what: &str) -> String {
    match claim {
        pod::PERSISTENT => format!("ttspec.storage{what}"),
        pod::LOG => format!("ttspec.logStorage{what}"),
        other => format!("volumeClaimTemplates[{other}]"),
    }
}
