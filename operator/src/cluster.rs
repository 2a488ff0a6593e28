//! The cluster, as the operator writes to it: a thin trait and its one implementation over kube.
//!
//! Never: decides, and never reads a cache. Every read here is a direct one, every write of a pod
//! carries the UID it was decided for, and a status write is guarded by the version it was made of.

use std::future::Future;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::crd::{TimesTenClassic, TimesTenClassicStatus};
use crate::decide::Finalizer;
use crate::labels;
use crate::objects::Write;
use crate::observation::Role;

/// The field manager of everything the operator applies.
pub const MANAGER: &str = "timesten-operator";

/// The finalizer of an object with cache groups, by the name that Oracle's operator gives it.
pub const FINALIZER: &str = "cleancache.finalizers.database.oracle.com";

/// The object has that finalizer.
#[must_use]
pub fn finalized(object: &TimesTenClassic) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// What the operator asks of Kubernetes.
pub trait Cluster: Send + Sync + 'static {
    /// The object as it is now.
    fn object(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Option<TimesTenClassic>, ClusterError>> + Send;

    /// A pod as it is now.
    fn pod(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Option<Pod>, ClusterError>> + Send;

    /// A secret's data as it is now.
    fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Option<k8s_openapi::api::core::v1::Secret>, ClusterError>> + Send;

    /// Records a status made from the version that `object` is.
    ///
    /// # Errors
    /// `Outdated` if the object has changed since; nothing is written then.
    fn record(
        &self,
        object: &TimesTenClassic,
        status: &TimesTenClassicStatus,
    ) -> impl Future<Output = Result<TimesTenClassic, ClusterError>> + Send;

    /// Gives the object its finalizer, or takes it away, if it still is the version that `object` is.
    ///
    /// # Errors
    /// `Outdated` if the object has changed since.
    fn finalize(
        &self,
        object: &TimesTenClassic,
        change: Finalizer,
    ) -> impl Future<Output = Result<TimesTenClassic, ClusterError>> + Send;

    /// Creates or changes an owned object.
    fn write(&self, write: &Write) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// The metadata of the object that has the name of one that is to be written.
    fn metadata(
        &self,
        write: &Write,
    ) -> impl Future<Output = Result<Option<ObjectMeta>, ClusterError>> + Send;

    /// Puts a role label on a pod, or takes it away, if the pod is still that one.
    fn label(
        &self,
        namespace: &str,
        pod: &str,
        uid: &str,
        role: Option<Role>,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Deletes a pod, if it is still that one.
    fn delete_pod(
        &self,
        namespace: &str,
        pod: &str,
        uid: &str,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Reads a node.
    fn node(&self, name: &str) -> impl Future<Output = Result<Option<Node>, ClusterError>> + Send;

    /// Deletes a volume claim, if it is still that one.
    fn delete_claim(
        &self,
        namespace: &str,
        claim: &str,
        uid: &str,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// There is an object of that name.
    fn exists<K>(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<bool, ClusterError>> + Send
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug;

    /// Creates an event.
    fn say(&self, event: &Event) -> impl Future<Output = Result<(), ClusterError>> + Send;
}

/// What Kubernetes answers instead.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// What was decided was decided on an old version: look again at once.
    #[error("the object has changed in the meantime; looking at it again")]
    Outdated,
    /// Another operator writes the same status: its word stands for a while, or the two would write
    /// over each other without end.
    #[error(
        "operator {0} writes the status too; run one, or let them elect a leader (without \
         --no-leader-election)"
    )]
    Rival(String),
    /// It is gone: look again.
    #[error("it is gone in the meantime; looking again")]
    Gone,
    /// The operator may not do that: its role has to be mended, then it goes on by itself.
    #[error("not allowed: {0}; check the operator's ClusterRole")]
    Forbidden(String),
    /// The API server refuses what was sent, and would again.
    #[error("refused: {0}")]
    Refused(String),
    /// No answer in time: try again later. It may have been done all the same.
    #[error("the API server does not answer; trying again")]
    Silent,
    /// No answer, or one that may be another next time: try again later.
    #[error("the API server does not answer as it should: {0}; trying again")]
    Unavailable(#[source] Box<kube::Error>),
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else { return Self::Unavailable(Box::new(error)) };
        match status.code {
            409 => Self::Outdated,
            404 => Self::Gone,
            401 | 403 => Self::Forbidden(status.message.clone()),
            400 | 405 | 413 | 415 | 422 => Self::Refused(status.message.clone()),
            _ => Self::Unavailable(Box::new(error)),
        }
    }
}

/// How long the API server may take for an answer: a pass must never wait for ever.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(15);

/// The answer, if it comes in time.
async fn answer<T>(asked: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ClusterError::Silent),
    }
}

/// Kubernetes, through kube's client.
#[derive(Clone)]
pub struct KubeCluster {
    client: kube::Client,
}

impl KubeCluster {
    /// Speaks through `client`.
    #[must_use]
    pub const fn new(client: kube::Client) -> Self {
        Self { client }
    }

    fn objects(&self, namespace: &str) -> Api<TimesTenClassic> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn owned(&self, write: &Write) -> Api<DynamicObject> {
        let namespace = write.object().metadata.namespace.clone().unwrap_or_default();
        Api::namespaced_with(self.client.clone(), &namespace, write.resource())
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

impl Cluster for KubeCluster {
    async fn object(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TimesTenClassic>, ClusterError> {
        answer(self.objects(namespace).get_opt(name)).await
    }

    async fn pod(&self, namespace: &str, name: &str) -> Result<Option<Pod>, ClusterError> {
        answer(self.pods(namespace).get_opt(name)).await
    }

    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<k8s_openapi::api::core::v1::Secret>, ClusterError> {
        let api: Api<k8s_openapi::api::core::v1::Secret> =
            Api::namespaced(self.client.clone(), namespace);
        answer(api.get_opt(name)).await
    }

    async fn record(
        &self,
        object: &TimesTenClassic,
        status: &TimesTenClassicStatus,
    ) -> Result<TimesTenClassic, ClusterError> {
        let mut object = object.clone();
        object.status = Some(status.clone());
        object.metadata.managed_fields = None;
        let api = self.objects(&object.namespace().unwrap_or_default());
        answer(api.replace_status(&object.name_any(), &PostParams::default(), &object)).await
    }

    async fn finalize(
        &self,
        object: &TimesTenClassic,
        change: Finalizer,
    ) -> Result<TimesTenClassic, ClusterError> {
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        if change == Finalizer::Add {
            finalizers.push(FINALIZER.to_owned());
        }
        let version = object.resource_version();
        let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
        let api = self.objects(&object.namespace().unwrap_or_default());
        let parameters = PatchParams::default();
        answer(api.patch(&object.name_any(), &parameters, &Patch::Merge(&patch))).await
    }

    async fn write(&self, write: &Write) -> Result<(), ClusterError> {
        let (object, api) = (write.object(), self.owned(write));
        match write {
            Write::Create(_) => {
                answer(api.create(&PostParams::default(), object)).await?;
            }
            Write::Apply(_) => {
                let parameters = PatchParams::apply(MANAGER).force();
                answer(api.patch(&object.name_any(), &parameters, &Patch::Apply(object))).await?;
            }
            Write::Replace(_) => {
                let parameters = PostParams::default();
                answer(api.replace(&object.name_any(), &parameters, object)).await?;
            }
        }
        Ok(())
    }

    async fn metadata(&self, write: &Write) -> Result<Option<ObjectMeta>, ClusterError> {
        let (api, name) = (self.owned(write), write.object().name_any());
        Ok(answer(api.get_metadata_opt(&name)).await?.map(|found| found.metadata))
    }

    async fn label(
        &self,
        namespace: &str,
        pod: &str,
        uid: &str,
        role: Option<Role>,
    ) -> Result<(), ClusterError> {
        let label = role.map(labels::role_word);
        // The UID is the precondition: another pod of the same name refuses to change it.
        let patch = json!({"metadata": {"uid": uid, "labels": {labels::ROLE: label}}});
        let pods = self.pods(namespace);
        answer(pods.patch(pod, &PatchParams::default(), &Patch::Merge(&patch))).await?;
        Ok(())
    }

    async fn delete_pod(&self, namespace: &str, pod: &str, uid: &str) -> Result<(), ClusterError> {
        deleted(answer(self.pods(namespace).delete(pod, &that(uid))).await)
    }

    async fn node(&self, name: &str) -> Result<Option<Node>, ClusterError> {
        answer(Api::all(self.client.clone()).get_opt(name)).await
    }

    async fn delete_claim(
        &self,
        namespace: &str,
        claim: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), namespace);
        deleted(answer(api.delete(claim, &that(uid))).await)
    }

    async fn exists<K>(&self, namespace: &str, name: &str) -> Result<bool, ClusterError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        Ok(answer(api.get_metadata_opt(name)).await?.is_some())
    }

    async fn say(&self, event: &Event) -> Result<(), ClusterError> {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        answer(api.create(&PostParams::default(), event)).await?;
        Ok(())
    }
}

/// Deletes what has that UID, and nothing else of its name.
fn that(uid: &str) -> DeleteParams {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

/// What is gone is deleted.
fn deleted<T>(answer: Result<T, ClusterError>) -> Result<(), ClusterError> {
    match answer {
        Ok(_) | Err(ClusterError::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The metadata of an object in a namespace.
#[must_use]
pub fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    }
}
