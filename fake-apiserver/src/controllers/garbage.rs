//! Garbage collection: objects whose owners are gone go too; owners that are deleted in the foreground wait for
//! what blocks them; orphaned dependents forget their owner.
//!
//! Watches the metadata of every kind the API serves, custom resources too, but not Events.

mod graph;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, PartialObjectMeta, Patch, PatchParams, Preconditions};
use kube::core::{DynamicObject, DynamicResourceScope};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::json;

use self::graph::{Entry, Graph};
use super::cache::{Again, Cluster, RETRY, overtaken};
use super::served::{Served, served};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

type Meta = PartialObjectMeta<DynamicObject>;
/// News of a kind; none when it is no longer served.
type News = (usize, Option<Event<Meta>>);

/// The collector: what it knows, and what it has done and waits to see.
struct Collector<'a> {
    cluster: &'a Cluster,
    kinds: Vec<Served>,
    watched: Vec<bool>,
    graph: Graph,
    /// The versions acted on, by UID.
    acted: BTreeMap<String, String>,
}

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let (kinds, watched, graph, acted) =
        (Vec::new(), Vec::new(), Graph::default(), BTreeMap::new());
    let mut collector = Collector { cluster, kinds, watched, graph, acted };
    let mut watches = SelectAll::new();
    let mut discover = true;
    let mut pause: Option<Duration> = None;
    loop {
        let mut again = Again::default();
        if discover {
            match collector.discover(&mut watches).await {
                Ok(()) => discover = false,
                Err(error) => again.note("discovering kinds", Err(error)),
            }
        }
        if pause.take().is_none() && !watches.is_empty() {
            let news = watches.next().await;
            discover |= collector.take(news);
        }
        while let Some(news) = watches.next().now_or_never() {
            if news.is_none() {
                break;
            }
            discover |= collector.take(news);
        }
        if collector.graph.settled(collector.watched.len()) && collector.graph.stirred() {
            collector.collect(&mut again).await;
        }
        if let Some(wait) = again.pause() {
            tokio::time::sleep(wait).await;
            collector.graph.stir();
            pause = Some(wait);
        }
    }
}

impl Collector<'_> {
    /// Finds out what is served, and watches what is new.
    async fn discover(
        &mut self,
        watches: &mut SelectAll<BoxStream<'static, News>>,
    ) -> kube::Result<()> {
        for kind in served(&self.cluster.client).await? {
            if kind.resource.kind == "Event" {
                continue;
            }
            let index = self.kinds.iter().position(|known| known.resource == kind.resource);
            let index = index.unwrap_or_else(|| {
                self.kinds.push(kind.clone());
                self.watched.push(false);
                self.kinds.len() - 1
            });
            if let Some(watched) = self.watched.get_mut(index).filter(|watched| !**watched) {
                *watched = true;
                watches.push(watch(self.cluster, index, &kind));
            }
        }
        Ok(())
    }

    /// Takes in news; true if other kinds may be served now.
    fn take(&mut self, news: Option<News>) -> bool {
        let Some((index, event)) = news else { return true };
        let Some(event) = event else {
            self.graph.forget(index);
            if let Some(watched) = self.watched.get_mut(index) {
                *watched = false;
            }
            return false;
        };
        let definitions = self
            .kinds
            .get(index)
            .is_some_and(|kind| kind.resource.kind == "CustomResourceDefinition");
        let (changed, listed) =
            (matches!(event, Event::Apply(_)), matches!(event, Event::InitDone));
        self.graph.apply(index, event);
        definitions && (changed || listed && !self.graph.names(index).all(|name| self.knows(name)))
    }

    /// Whether a definition's kind was among what is served.
    fn knows(&self, definition: &str) -> bool {
        let named = |kind: &Served| {
            definition.strip_prefix(kind.resource.plural.as_str()).and_then(|r| r.strip_prefix('.'))
                == Some(kind.resource.group.as_str())
        };
        self.kinds.iter().any(named)
    }

    async fn collect(&mut self, again: &mut Again) {
        let entries: Vec<Entry> = self.graph.suspects();
        self.acted.retain(|uid, _| self.graph.get(uid).is_some());
        for entry in entries {
            if self.acted.get(&entry.uid) == Some(&entry.version) {
                continue;
            }
            let result = self.settle(&entry).await;
            if matches!(result, Ok(true)) {
                self.acted.insert(entry.uid.clone(), entry.version.clone());
            }
            again.note("collecting garbage", result.map(drop));
        }
    }

    /// Does what an object needs; true if that was something.
    async fn settle(&mut self, entry: &Entry) -> kube::Result<bool> {
        if !entry.deleted {
            return self.check_owners(entry).await;
        }
        if entry.holds(ORPHAN) {
            let dependents: Vec<Entry> = self.graph.dependents(&entry.uid).cloned().collect();
            for dependent in dependents {
                let left = dependent.owners.iter().filter(|owner| owner.uid != entry.uid).collect();
                self.own(&dependent, left).await?;
            }
            return self.unhold(entry, ORPHAN).await;
        }
        let blocks = |dependent: &Entry| {
            dependent
                .owners
                .iter()
                .any(|o| o.uid == entry.uid && o.block_owner_deletion == Some(true))
        };
        if entry.holds(FOREGROUND) && !self.graph.dependents(&entry.uid).any(blocks) {
            return self.unhold(entry, FOREGROUND).await;
        }
        Ok(false)
    }

    /// Deletes an object that no owner keeps, and takes from others the references to owners that are gone.
    async fn check_owners(&self, entry: &Entry) -> kube::Result<bool> {
        let (mut solid, mut dangling, mut waiting) = (0, Vec::new(), 0);
        for owner in &entry.owners {
            match self.owner(entry, owner).await? {
                Owner::Absent => dangling.push(owner.uid.clone()),
                Owner::Waiting => waiting += 1,
                Owner::Solid => solid += 1,
            }
        }
        if dangling.is_empty() && waiting == 0 {
            return Ok(false);
        }
        if solid > 0 {
            let waits =
                |owner: &OwnerReference| self.graph.get(&owner.uid).is_some_and(Entry::waits);
            let stays = |owner: &&OwnerReference| !dangling.contains(&owner.uid) && !waits(owner);
            self.own(entry, entry.owners.iter().filter(stays).collect()).await?;
            return Ok(true);
        }
        let has_dependents = self.graph.dependents(&entry.uid).next().is_some();
        let params = match () {
            () if entry.holds(ORPHAN) => DeleteParams::orphan(),
            () if entry.holds(FOREGROUND) || waiting > 0 && has_dependents => {
                DeleteParams::foreground()
            }
            () => DeleteParams::background(),
        };
        let preconditions = Preconditions {
            uid: Some(entry.uid.clone()),
            resource_version: Some(entry.version.clone()),
        };
        let params = DeleteParams { preconditions: Some(preconditions), ..params };
        let Some(api) = self.api::<DynamicObject>(entry.kind, &entry.namespace) else {
            return Ok(false);
        };
        overtaken(api.delete(&entry.name, &params).await)?;
        Ok(true)
    }

    /// How an owner stands; one that is not known is asked for.
    async fn owner(&self, entry: &Entry, owner: &OwnerReference) -> kube::Result<Owner> {
        if let Some(known) = self.graph.get(&owner.uid) {
            return Ok(if known.waits() { Owner::Waiting } else { Owner::Solid });
        }
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let kind = self
            .kinds
            .iter()
            .position(|k| k.resource.kind == owner.kind && k.resource.group == group);
        // An owner of a kind that is not served may come back with its kind.
        let Some(api) = kind.and_then(|kind| self.api::<Meta>(kind, &entry.namespace)) else {
            return Ok(Owner::Solid);
        };
        let found = api.get_opt(&owner.name).await?;
        let same = found.is_some_and(|found| found.metadata.uid.as_ref() == Some(&owner.uid));
        Ok(if same { Owner::Solid } else { Owner::Absent })
    }

    async fn own(&self, entry: &Entry, owners: Vec<&OwnerReference>) -> kube::Result<()> {
        let body = json!({ "metadata": { "uid": entry.uid, "resourceVersion": entry.version, "ownerReferences": owners } });
        self.patch(entry, body).await
    }

    async fn unhold(&self, entry: &Entry, finalizer: &str) -> kube::Result<bool> {
        let left: Vec<&String> = entry.finalizers.iter().filter(|f| *f != finalizer).collect();
        let body = json!({ "metadata": { "uid": entry.uid, "resourceVersion": entry.version, "finalizers": left } });
        self.patch(entry, body).await?;
        Ok(true)
    }

    async fn patch(&self, entry: &Entry, body: serde_json::Value) -> kube::Result<()> {
        let Some(api) = self.api::<DynamicObject>(entry.kind, &entry.namespace) else {
            return Ok(());
        };
        overtaken(api.patch(&entry.name, &PatchParams::default(), &Patch::Merge(body)).await)
            .map(drop)
    }

    fn api<K>(&self, kind: usize, namespace: &str) -> Option<Api<K>>
    where
        K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        let served = self.kinds.get(kind)?;
        let client = self.cluster.client.clone();
        Some(match served.namespaced {
            true => Api::namespaced_with(client, namespace, &served.resource),
            false => Api::all_with(client, &served.resource),
        })
    }
}

/// How an owner stands.
enum Owner {
    Solid,
    Absent,
    /// It is deleted in the foreground, and waits for its dependents.
    Waiting,
}

/// The news of a kind, until it is no longer served.
fn watch(cluster: &Cluster, index: usize, kind: &Served) -> BoxStream<'static, News> {
    let api: Api<Meta> = Api::all_with(cluster.client.clone(), &kind.resource);
    let events = watcher(api, watcher::Config::default()).boxed();
    stream::unfold(Some(events), move |events| async move {
        let mut events = events?;
        loop {
            match events.next().await? {
                Ok(event) => return Some(((index, Some(event)), Some(events))),
                Err(error) if is_gone(&error) => return Some(((index, None), None)),
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    })
    .boxed()
}

fn is_gone(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    matches!(error, InitialListFailed(kube::Error::Api(s)) | WatchStartFailed(kube::Error::Api(s)) if s.code == 404)
}
