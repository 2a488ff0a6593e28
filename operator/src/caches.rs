//! Watch caches of the kinds that an observation reads, and the wake-ups that their changes give.
//!
//! Never: confirms anything. A cache is good enough to see that something changed; what cannot be
//! taken back is confirmed with a direct read first.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

use crate::crd::TimesTenClassic;
use crate::jobs::Jobs;
use crate::labels;

/// Watches end on the server's side after this long, well below kube's own limit, so that one
/// that has gone silent is noticed.
pub const WATCH_SECONDS: u32 = 230;

/// How long the first list of the storage classes is waited for.
const CLASSES_WITHIN: Duration = Duration::from_secs(5);

/// Tells the controller that an object should be looked at.
pub type Wake = UnboundedSender<ObjectRef<TimesTenClassic>>;

/// The caches.
#[derive(Clone)]
pub struct Caches {
    /// Pods that carry our label.
    pub pods: Store<Pod>,
    /// Stateful sets that carry our label.
    pub stateful_sets: Store<StatefulSet>,
    /// Services that carry our label.
    pub services: Store<Service>,
    /// Secrets that carry our label.
    pub secrets: Store<Secret>,
    /// Disruption budgets that carry our label.
    pub budgets: Store<PodDisruptionBudget>,
    /// Volume claims that carry our label.
    pub claims: Store<PersistentVolumeClaim>,
    /// All storage classes.
    pub classes: Store<StorageClass>,
    classes_waited_for: Arc<OnceCell<()>>,
    /// All nodes.
    pub nodes: Store<Node>,
}

impl Caches {
    /// Starts all watches.
    pub fn start(client: &kube::Client, namespace: Option<&str>, jobs: &Jobs, wake: &Wake) -> Self {
        let source = Source { client, namespace, jobs, wake };
        let pods = source.owned::<Pod>();
        let claims = source.owned::<PersistentVolumeClaim>();
        let nodes = source.beside(&pods, |pod| pod.spec.as_ref()?.node_name.as_deref());
        let classes =
            source.beside(&claims, |claim| claim.spec.as_ref()?.storage_class_name.as_deref());
        Self {
            pods,
            nodes,
            stateful_sets: source.owned(),
            services: source.owned(),
            secrets: source.owned(),
            budgets: source.owned(),
            claims,
            classes,
            classes_waited_for: Arc::default(),
        }
    }

    /// The names of the storage classes that let volumes grow; none where the classes cannot be read.
    #[must_use]
    pub fn growing_classes(&self) -> Option<BTreeSet<String>> {
        self.classes.wait_until_ready().now_or_never()?.ok()?;
        let classes = self.classes.state().into_iter();
        let growing = classes.filter(|class| class.allow_volume_expansion == Some(true));
        Some(growing.map(|class| class.name_any()).collect())
    }

    /// Waits until every cache has been filled once: an empty cache is not an empty cluster.
    pub async fn filled(&self) {
        // An error means that the watch has ended, and with it the operator.
        let _ = self.pods.wait_until_ready().await;
        let _ = self.stateful_sets.wait_until_ready().await;
        let _ = self.services.wait_until_ready().await;
        let _ = self.secrets.wait_until_ready().await;
        let _ = self.budgets.wait_until_ready().await;
        let _ = self.claims.wait_until_ready().await;
        let _ = self.nodes.wait_until_ready().await;
        // They tell which volumes can grow, and no more: who may not read them goes without.
        let classes = timeout(CLASSES_WITHIN, self.classes.wait_until_ready());
        self.classes_waited_for.get_or_init(|| classes.map(drop)).await;
    }
}

/// What a watch needs to start.
struct Source<'a> {
    client: &'a kube::Client,
    namespace: Option<&'a str>,
    jobs: &'a Jobs,
    wake: &'a Wake,
}

impl Source<'_> {
    /// Watches a namespaced kind as far as it carries our label; a change wakes its owner.
    fn owned<K>(&self) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let api = match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let config = watcher::Config::default().labels(labels::OBJECT);
        let wake = self.wake.clone();
        self.watch(api, config, move |object: &K| {
            let _ = owner(object).map(|owner| wake.send(owner));
        })
    }

    /// Watches all objects of a kind without owners; a change wakes the owners of those in `users` that
    /// name it.
    fn beside<K, U>(&self, users: &Store<U>, named: fn(&U) -> Option<&str>) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
        U: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    {
        let (wake, users) = (self.wake.clone(), users.clone());
        let api = Api::all(self.client.clone());
        self.watch(api, watcher::Config::default(), move |object: &K| {
            let name = object.name_any();
            for user in users.state() {
                if named(&user) == Some(name.as_str()) {
                    let _ = owner(user.as_ref()).map(|owner| wake.send(owner));
                }
            }
        })
    }

    fn watch<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
        changed: impl Fn(&K) + Send + 'static,
    ) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        K::DynamicType: Hash + Eq,
    {
        let (store, writer) = reflector::store();
        let stream = watcher(api, config.timeout(WATCH_SECONDS)).default_backoff();
        let stream = reflector::reflector(writer, stream);
        self.jobs.start(follow(stream, changed));
        store
    }
}

async fn follow<K>(
    stream: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    changed: impl Fn(&K),
) where
    K: Resource<DynamicType = ()>,
{
    futures::pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                changed(&object);
            }
            Ok(watcher::Event::Delete(object)) => changed(&object),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
            Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "watch failed; retrying"),
        }
    }
}

/// The `TimesTenClassic` that an object's labels name.
fn owner<K: Resource>(object: &K) -> Option<ObjectRef<TimesTenClassic>> {
    let name = object.labels().get(labels::OBJECT)?;
    Some(ObjectRef::new(name).within(object.namespace()?.as_str()))
}

/// Finds an object in a cache.
#[must_use]
pub fn find<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}
