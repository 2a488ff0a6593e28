//! Drift: what differs between the objects as they should be and as they are.
//!
//! Only what the operator sets counts: fields that the API server fills in, and what others add,
//! are not its business, so that a steady cluster is never written to. What cannot be changed, or
//! must not be changed under a running database, is left alone.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::{Metadata, NamespaceResourceScope, Resource};
use kube::ResourceExt;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde::Serialize;
use serde_json::json;

use super::difference::within;
use super::{Live, Wanted, claims, edit};
use crate::crd::KIND;
use crate::credentials::{FORMER_CERTIFICATE, is_entry};

/// A write of an owned object.
#[derive(Clone, Debug)]
pub enum Write {
    /// There is none yet.
    Create(Target),
    /// There is one, and it differs.
    Apply(Target),
    /// There is one, and it is written as a whole, so that what is taken out goes. Guarded by the
    /// version it was made of.
    Replace(Target),
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
            Self::Create(target) | Self::Apply(target) | Self::Replace(target) => target,
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

    /// It creates the Secret that the agents' credentials are in.
    #[must_use]
    pub fn makes_credentials(&self) -> bool {
        matches!(self, Self::Create(target) if target.resource.kind == "Secret")
    }

    /// Of the agents' Secret: whether it has the former certificate as well.
    #[must_use]
    pub fn has_former_certificate(&self) -> Option<bool> {
        let Target { object, resource, .. } = self.target();
        (resource.kind == "Secret").then(|| !object.data["data"][FORMER_CERTIFICATE].is_null())
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
    [
        secret(&wanted.secret, live.secret.as_ref()),
        differs(&wanted.headless_service, live.headless_service.as_ref()),
        wanted
            .active_service
            .as_ref()
            .and_then(|service| differs(service, live.active_service.as_ref())),
        differs(&wanted.disruption_budget, live.disruption_budget.as_ref()),
        stateful_set(&wanted.stateful_set, live.stateful_set.as_ref(), wanted.keeps_images),
        subscribers(wanted, live),
    ]
    .into_iter()
    .flatten()
    .chain(claims::drift(wanted, live))
    .collect()
}

/// A write of what is in an object that exists, and of nothing else in it.
pub(super) fn apply<K>(wanted: &K, shown: Option<String>) -> Option<Write>
where
    K: Resource<Scope = NamespaceResourceScope> + Metadata<Ty = ObjectMeta> + Serialize,
{
    Some(Write::Apply(target(wanted, shown)?))
}

/// The entries that are the operator's have to be as they should be; others are left alone.
fn secret(wanted: &Secret, live: Option<&Arc<Secret>>) -> Option<Write> {
    let Some(live) = live else { return missing(wanted, None) };
    if belongs_to_another(&wanted.metadata, &live.metadata) {
        return None;
    }
    let is = live.data.clone().unwrap_or_default();
    let mut should = is.clone();
    should.retain(|key, _| !is_entry(key));
    should.extend(wanted.data.clone().unwrap_or_default());
    if should == is {
        return None;
    }
    let mut secret = live.as_ref().clone();
    secret.data = Some(should);
    secret.metadata.managed_fields = None;
    Some(Write::Replace(target(&secret, live.resource_version())?))
}

fn stateful_set(
    set: &StatefulSet,
    live: Option<&Arc<StatefulSet>>,
    keeps_images: bool,
) -> Option<Write> {
    let Some(live) = live else { return missing(set, None) };
    if belongs_to_another(&set.metadata, &live.metadata) {
        return None;
    }
    let set = edit::edited(set, keeps_images, live)?;
    Some(Write::Replace(target(&set, live.resource_version())?))
}

/// Subscribers that are no longer wanted are scaled to none; their volumes stay.
fn subscribers(wanted: &Wanted, live: &Live) -> Option<Write> {
    if let Some(set) = &wanted.subscribers {
        return stateful_set(set, live.subscribers.as_ref(), wanted.keeps_images);
    }
    let live = live.subscribers.as_ref()?;
    let mut set = live.as_ref().clone();
    let spec = set.spec.as_mut().filter(|spec| spec.replicas != Some(0))?;
    spec.replicas = Some(0);
    set.status = None;
    set.metadata.managed_fields = None;
    Some(Write::Replace(target(&set, live.resource_version())?))
}

/// What an object of somebody else that has the name of one of ours says: whose it is, and what to
/// do. One of an earlier object of our name is about to go.
#[must_use]
pub fn whose(key: &str, metadata: &ObjectMeta, wanted: &ObjectMeta) -> Option<String> {
    let owner = match controller(metadata) {
        Some(owner) if is_namesake(owner, controller(wanted)) => return None,
        Some(owner) => format!("it belongs to {} {}", owner.kind, owner.name),
        None => "it belongs to no object".to_owned(),
    };
    Some(format!(
        "{key} is not of this object: {owner}; it is left alone: delete or rename it, or create this \
         object anew under another name"
    ))
}

/// The first object of somebody else that is seen to have the name of one of ours.
#[must_use]
pub fn taken(wanted: &Wanted, live: &Live) -> Option<String> {
    fn of<K>(wanted: &K, live: Option<&Arc<K>>) -> Option<String>
    where
        K: Resource<Scope = NamespaceResourceScope> + Metadata<Ty = ObjectMeta>,
    {
        let (wanted, live) = (wanted.metadata(), live?.metadata());
        let key = format!("{} {}", K::KIND, wanted.name.as_deref().unwrap_or_default());
        belongs_to_another(wanted, live).then(|| whose(&key, live, wanted)).flatten()
    }
    of(&wanted.secret, live.secret.as_ref())
        .or_else(|| of(&wanted.headless_service, live.headless_service.as_ref()))
        .or_else(|| of(wanted.active_service.as_ref()?, live.active_service.as_ref()))
        .or_else(|| of(&wanted.disruption_budget, live.disruption_budget.as_ref()))
        .or_else(|| of(&wanted.stateful_set, live.stateful_set.as_ref()))
        .or_else(|| of(wanted.subscribers.as_ref()?, live.subscribers.as_ref()))
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
    apply(wanted, live.metadata().resource_version.clone())
}

/// Another object's, or that of a namesake that was deleted and whose things are about to go.
fn belongs_to_another(wanted: &ObjectMeta, live: &ObjectMeta) -> bool {
    let ours = controller(wanted).map(|owner| &owner.uid);
    controller(live).is_some_and(|owner| Some(&owner.uid) != ours)
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The same object, or one that was deleted and had the same name.
fn is_namesake(owner: &OwnerReference, ours: Option<&OwnerReference>) -> bool {
    owner.kind == KIND && ours.is_some_and(|ours| ours.name == owner.name)
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
