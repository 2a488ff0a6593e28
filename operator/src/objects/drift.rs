//! Drift: what differs between the objects as they should be and as they are.
//!
//! Only what the operator sets counts: fields that the API server fills in, and what others add,
//! are not its business, so that a steady cluster is never written to. What cannot be changed, or
//! must not be changed under a running database, is left alone.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, NamespaceResourceScope, Resource};
use kube::ResourceExt;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Live, Wanted};

/// A write of an owned object.
#[derive(Clone, Debug)]
pub enum Write {
    /// There is none yet.
    Create(Target),
    /// There is one, and it differs.
    Apply(Target),
}

/// What is written.
#[derive(Clone, Debug)]
pub struct Target {
    object: DynamicObject,
    resource: ApiResource,
    shown: Option<String>,
}

impl Write {
    fn target(&self) -> &Target {
        match self {
            Self::Create(target) | Self::Apply(target) => target,
        }
    }

    /// The object to write.
    #[must_use]
    pub fn object(&self) -> &DynamicObject {
        &self.target().object
    }

    /// Where to write it.
    #[must_use]
    pub fn resource(&self) -> &ApiResource {
        &self.target().resource
    }

    /// Its kind and name.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.target().resource.kind, self.target().object.name_any())
    }

    /// The version in which the object was seen to differ; none if it was not there.
    #[must_use]
    pub fn seen_version(&self) -> Option<String> {
        self.target().shown.clone()
    }
}

/// What has to be written, in the order in which Kubernetes needs it.
#[must_use]
pub fn drift(wanted: &Wanted, live: &Live) -> Vec<Write> {
    let set = stateful_set(&wanted.stateful_set, live.stateful_set.as_deref());
    [
        // Credentials in use are never changed (I15): a Secret is made, and then left alone.
        missing(&wanted.secret, live.secret.as_ref()),
        differs(&wanted.headless_service, live.headless_service.as_ref()),
        wanted
            .active_service
            .as_ref()
            .and_then(|service| differs(service, live.active_service.as_ref())),
        differs(&wanted.disruption_budget, live.disruption_budget.as_ref()),
        differs(&set, live.stateful_set.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Of a StatefulSet that exists only the number of pods is the operator's to restore here: the
/// template belongs to upgrades, and the rest cannot be changed.
fn stateful_set(wanted: &StatefulSet, live: Option<&StatefulSet>) -> StatefulSet {
    let Some(live) = live else { return wanted.clone() };
    let mut set = live.clone();
    set.metadata = wanted.metadata.clone();
    set.status = None;
    if let (Some(spec), Some(wanted)) = (&mut set.spec, &wanted.spec) {
        spec.replicas = wanted.replicas;
    }
    set
}

fn missing<K>(wanted: &K, live: Option<&Arc<K>>) -> Option<Write>
where
    K: Resource<Scope = NamespaceResourceScope> + Metadata<Ty = ObjectMeta> + Serialize,
{
    if live.is_some() { None } else { Some(Write::Create(target(wanted, None)?)) }
}

fn differs<K>(wanted: &K, live: Option<&Arc<K>>) -> Option<Write>
where
    K: Resource<Scope = NamespaceResourceScope> + Metadata<Ty = ObjectMeta> + Serialize,
{
    let Some(live) = live else { return missing(wanted, None) };
    if belongs_to_another(wanted.metadata(), live.metadata()) {
        return None;
    }
    let (should, is) =
        (serde_json::to_value(wanted).ok()?, serde_json::to_value(live.as_ref()).ok()?);
    if within(&should, &is) {
        return None;
    }
    let shown = live.metadata().resource_version.clone();
    Some(Write::Apply(target(wanted, shown)?))
}

/// Another object's, or that of a namesake that was deleted and whose things are about to go.
fn belongs_to_another(wanted: &ObjectMeta, live: &ObjectMeta) -> bool {
    let controller = |metadata: &ObjectMeta| {
        let mut owners = metadata.owner_references.iter().flatten();
        owners.find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone())
    };
    controller(live).is_some_and(|owner| Some(owner) != controller(wanted))
}

fn target<K>(wanted: &K, shown: Option<String>) -> Option<Target>
where
    K: Resource<Scope = NamespaceResourceScope> + Metadata<Ty = ObjectMeta> + Serialize,
{
    let gvk = GroupVersionKind::gvk(K::GROUP, K::VERSION, K::KIND);
    let resource = ApiResource::from_gvk_with_plural(&gvk, K::URL_PATH_SEGMENT);
    let mut value = serde_json::to_value(wanted).ok()?;
    value["apiVersion"] = json!(K::API_VERSION);
    value["kind"] = json!(K::KIND);
    Some(Target { object: serde_json::from_value(value).ok()?, resource, shown })
}

/// Everything that `should` says, `is` says too. Lists may have more: applying would not take away
/// what others have added, so that writing on account of it would never end.
fn within(should: &Value, is: &Value) -> bool {
    match (should, is) {
        (Value::Object(should), Value::Object(is)) => {
            should.iter().all(|(key, value)| is.get(key).is_some_and(|is| within(value, is)))
        }
        (Value::Array(should), Value::Array(is)) => {
            should.iter().all(|should| is.iter().any(|is| within(should, is)))
        }
        (should, is) => should == is,
    }
}
