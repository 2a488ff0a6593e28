//! What the controllers know of the cluster: one watch a kind, shared by all of them.
//!
//! Owns the watches. A controller takes a [`Snapshot`], acts, and waits for the next change.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, join_all};
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service,
    ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::Clock;

/// How long a controller waits before it tries again what failed.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The objects of one kind, by namespace and name.
#[derive(Clone)]
pub(super) struct Table<K> {
    rows: Arc<BTreeMap<(String, String), Arc<K>>>,
    listed: bool,
    /// The newest resource version the watch has brought.
    newest: u64,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { rows: Arc::default(), listed: false, newest: 0 }
    }
}

impl<K: Kind> Table<K> {
    /// All objects, in the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<K>> {
        self.rows.values()
    }

    /// The objects of a namespace.
    pub(super) fn within<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<K>> {
        let first = (namespace.to_owned(), String::new());
        self.rows.range(first..).take_while(move |((of, _), _)| of == namespace).map(|(_, row)| row)
    }

    /// One object; the namespace of a cluster-wide one is empty.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.rows.get(&(namespace.to_owned(), name.to_owned()))
    }

    fn put(&mut self, object: K) {
        Arc::make_mut(&mut self.rows).insert(key(&object), Arc::new(object));
    }

    fn apply(&mut self, event: Event<K>, listing: &mut Vec<K>) {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => listing.push(object),
            Event::InitDone => {
                let objects = std::mem::take(listing);
                self.newest = objects.iter().map(version).max().unwrap_or(0).max(self.newest);
                self.rows = Arc::new(objects.into_iter().map(|o| (key(&o), Arc::new(o))).collect());
                self.listed = true;
            }
            Event::Apply(object) => {
                self.newest = self.newest.max(version(&object));
                self.put(object);
            }
            Event::Delete(object) => {
                self.newest = self.newest.max(version(&object));
                Arc::make_mut(&mut self.rows).remove(&key(&object));
            }
        }
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn version<K: Resource>(object: &K) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// A kind that is kept.
pub(super) trait Kind:
    Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
    /// Its objects are written all the time, to tell that somebody is there.
    const HEARTBEAT: bool;

    /// Its table.
    fn table(snapshot: &mut Snapshot) -> &mut Table<Self>;
}

macro_rules! kinds {
    (@heartbeat) => { false };
    (@heartbeat heartbeat) => { true };
    ($($table:ident: $kind:ty $(, $heartbeat:ident)?);* $(;)?) => {
        /// What was known at a moment. Clones are cheap.
        #[derive(Clone, Default)]
        pub(super) struct Snapshot { $(pub(super) $table: Table<$kind>),* }

        impl Snapshot {
            fn listed(&self) -> bool { true $(&& self.$table.listed)* }
        }

        $(impl Kind for $kind {
            const HEARTBEAT: bool = kinds!(@heartbeat $($heartbeat)?);

            fn table(snapshot: &mut Snapshot) -> &mut Table<Self> { &mut snapshot.$table }
        })*

        fn feeds(cluster: &Cluster) -> Vec<BoxFuture<'_, ()>> {
            vec![$(cluster.feed::<$kind>().boxed()),*]
        }
    };
}

kinds! {
    namespaces: Namespace;
    accounts: ServiceAccount;
    maps: ConfigMap;
    nodes: Node;
    leases: Lease, heartbeat;
    pods: Pod;
    claims: PersistentVolumeClaim;
    volumes: PersistentVolume;
    classes: StorageClass;
    services: Service;
    endpoints: Endpoints;
    slices: EndpointSlice;
    sets: StatefulSet;
    revisions: ControllerRevision;
    budgets: PodDisruptionBudget;
}

/// The cluster as the controllers see it.
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) clock: Clock,
    known: Mutex<Snapshot>,
    changes: watch::Sender<u64>,
    /// Changes with those of kinds that are heartbeats.
    beats: watch::Sender<u64>,
}

impl Cluster {
    pub(super) fn new(client: Client, clock: Clock) -> Self {
        Self {
            client,
            clock,
            known: Mutex::default(),
            changes: watch::channel(0).0,
            beats: watch::channel(0).0,
        }
    }

    /// Watches everything; never ends.
    pub(super) async fn watch(&self) {
        join_all(feeds(self)).await;
    }

    /// Takes in the answer to an own write, so that nobody acts on what it changed.
    pub(super) fn saw<K: Kind>(&self, object: K) {
        let mut known = self.known();
        let table = K::table(&mut known);
        if version(&object) > table.newest {
            table.put(object);
            drop(known);
            self.wake(K::HEARTBEAT);
        }
    }

    /// Turns of a controller: one for each change, or several changes, but for heartbeats.
    pub(super) fn turns(&self) -> Turns<'_> {
        self.turns_at(&self.changes)
    }

    /// Turns of a controller that listens to heartbeats too.
    pub(super) fn turns_at_beats(&self) -> Turns<'_> {
        self.turns_at(&self.beats)
    }

    fn turns_at(&self, changes: &watch::Sender<u64>) -> Turns<'_> {
        let mut changes = changes.subscribe();
        changes.mark_changed();
        Turns { cluster: self, changes }
    }

    fn wake(&self, heartbeat: bool) {
        if !heartbeat {
            self.changes.send_modify(|count| *count += 1);
        }
        self.beats.send_modify(|count| *count += 1);
    }

    fn known(&self) -> MutexGuard<'_, Snapshot> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn feed<K: Kind>(&self) {
        let mut stream =
            Box::pin(watcher(Api::<K>::all(self.client.clone()), watcher::Config::default()));
        let mut listing = Vec::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    let partial = matches!(event, Event::Init | Event::InitApply(_));
                    // All wait for the first lists of all kinds.
                    let heartbeat = K::HEARTBEAT && !matches!(event, Event::InitDone);
                    K::table(&mut self.known()).apply(event, &mut listing);
                    if !partial {
                        self.wake(heartbeat);
                    }
                }
                Err(error) => {
                    tracing::debug!(kind = %K::kind(&()), %error, "watching failed");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// The turns of a controller.
pub(super) struct Turns<'a> {
    cluster: &'a Cluster,
    changes: watch::Receiver<u64>,
}

impl Turns<'_> {
    /// Waits for a change, but no longer than asked; brings what is known by then.
    pub(super) async fn next(&mut self, again: Option<Duration>) -> Snapshot {
        let pause = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // The cluster holds the sender: this cannot fail.
            _ = self.changes.changed() => {}
            () = pause => {}
        }
        loop {
            let known = self.cluster.known().clone();
            if known.listed() {
                return known;
            }
            let _ = self.changes.changed().await;
        }
    }
}

/// Gathers when a controller has to look again: the soonest of all that was asked for.
#[derive(Debug, Default)]
pub(super) struct Again(Option<Duration>);

impl Again {
    /// Has it look again after a while.
    pub(super) fn after(&mut self, pause: Duration) {
        self.0 = Some(self.0.map_or(pause, |known| known.min(pause)));
    }

    /// Takes in how a piece of work went: what failed is tried again.
    pub(super) fn note(&mut self, what: &str, result: Result<(), kube::Error>) {
        if let Err(error) = result {
            tracing::debug!(what, %error, "a controller could not do its work");
            self.after(RETRY);
        }
    }

    pub(super) fn pause(self) -> Option<Duration> {
        self.0
    }
}

/// Whether an object carries the labels asked for; nothing matches a selector that says nothing useful.
pub(super) fn selects<K: Resource>(selector: &LabelSelector, object: &K) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(object.labels()))
}

/// The UID of an object's controller.
pub(super) fn controller_uid<K: Resource>(object: &K) -> Option<&str> {
    let owners = object.owner_references().iter();
    owners.filter(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str()).next()
}

/// Whether a write was refused because the object is gone or has changed: then the news are on their way.
pub(super) fn overtaken<T>(result: kube::Result<T>) -> kube::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a pod's condition of this type is true.
pub(super) fn pod_is(pod: &Pod, condition: &str) -> bool {
    let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.any(|c| c.type_ == condition && c.status == "True")
}

/// A pod's phase.
pub(super) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("Pending")
}
