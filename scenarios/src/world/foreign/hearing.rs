//! Hearing of changes on a server that tells them by watches alone, kind by kind.
//!
//! What the operator writes of an object is taken from the answer that it gets, before it gets it: by a watch it could
//! be heard after the orders that follow from it, and the oracles would see orders that nobody has recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fake_apiserver::faults::{Target, Verb};
use fake_apiserver::{Change, ChangeKind, ChangeSender, Changes};
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use kube::api::{ApiResource, DynamicObject};
use kube::client::Body;
use kube::core::GroupVersionKind;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::Value;
use timesten_operator::clock::Clock;
use timesten_operator::crd::{GROUP, KIND, STORED};
use tokio::task::JoinSet;

/// The plural of the objects whose writers are overheard.
const OBJECTS: &str = "timestenclassics";
/// How long a watch that failed waits.
const RETRY: Duration = Duration::from_secs(1);

/// The kinds that are made of an object: group, version, kind and plural.
const KINDS: [(&str, &str, &str, &str); 8] = [
    (GROUP, STORED, KIND, OBJECTS),
    ("", "v1", "Pod", "pods"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    ("", "v1", "Event", "events"),
    ("", "v1", "Secret", "secrets"),
    ("", "v1", "Service", "services"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
];

/// A kind: its group and its plural.
type Plural<'a> = (&'a str, &'a str);

/// Hears of changes.
#[derive(Clone)]
pub(super) struct Hearing {
    known: Arc<Mutex<Known>>,
    _watches: Arc<JoinSet<()>>,
}

struct Known {
    clock: Clock,
    /// The version of every object heard of, and whether it is there, by plural and name.
    versions: BTreeMap<(String, String), (u64, bool)>,
    listeners: Vec<ChangeSender>,
}

/// The request is a write of an object whose writers are overheard.
pub(super) fn about(request: &Request<Body>) -> bool {
    let target = Target::of(request.method(), request.uri());
    target.resource == OBJECTS
        && matches!(target.subresource.as_str(), "" | "status")
        && matches!(target.verb, Verb::Create | Verb::Update | Verb::Patch)
}

impl Hearing {
    /// Watches a namespace.
    pub(super) fn start(client: &Client, namespace: &str, clock: Clock) -> Self {
        let known = Arc::new(Mutex::new(Known::new(clock)));
        let mut watches = JoinSet::new();
        for (group, version, kind, plural) in KINDS {
            let gvk = GroupVersionKind::gvk(group, version, kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
            let api = Api::namespaced_with(client.clone(), namespace, &resource);
            watches.spawn(follow(api, (group, plural), Arc::clone(&known)));
        }
        Self { known, _watches: Arc::new(watches) }
    }

    /// Every change from now on.
    pub(super) fn changes(&self) -> Changes {
        let (sender, changes) = Changes::channel();
        with(&self.known, |known| known.listeners.push(sender));
        changes
    }

    /// Takes what a write has made of an object from its answer, and passes the answer on.
    pub(super) async fn overhear(&self, answer: Response<Body>) -> kube::Result<Response<Body>> {
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await?.to_bytes();
        if let Ok(object) = serde_json::from_slice::<Value>(&bytes) {
            with(&self.known, |known| known.is((GROUP, OBJECTS), object));
        }
        Ok(Response::from_parts(head, Body::from(bytes)))
    }
}

/// Follows a kind for ever.
async fn follow(api: Api<DynamicObject>, kind: Plural<'static>, known: Arc<Mutex<Known>>) {
    let mut events = watcher(api, watcher::Config::default()).boxed();
    // What was there when a list began, and has not come up in it.
    let mut missing = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => missing = with(&known, |known| known.there(kind.1)),
            Ok(Event::InitApply(object)) => {
                missing.remove(object.metadata.name.as_deref().unwrap_or_default());
                is(&known, kind, &object);
            }
            Ok(Event::InitDone) => {
                for name in std::mem::take(&mut missing) {
                    with(&known, |known| known.gone(kind, &name, Value::Null));
                }
            }
            Ok(Event::Apply(object)) => is(&known, kind, &object),
            Ok(Event::Delete(object)) => {
                let name = object.metadata.name.clone().unwrap_or_default();
                let last = serde_json::to_value(&object).unwrap_or_default();
                with(&known, |known| known.gone(kind, &name, last));
            }
            Err(error) => {
                tracing::debug!(plural = kind.1, %error, "a watch failed");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn is(known: &Mutex<Known>, kind: Plural<'_>, object: &DynamicObject) {
    if let Ok(object) = serde_json::to_value(object) {
        with(known, |known| known.is(kind, object));
    }
}

fn with<T>(known: &Mutex<Known>, work: impl FnOnce(&mut Known) -> T) -> T {
    work(&mut known.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Known {
    fn new(clock: Clock) -> Self {
        Self { clock, versions: BTreeMap::new(), listeners: Vec::new() }
    }

    /// The names of all objects of a kind that are there.
    fn there(&self, plural: &str) -> BTreeSet<String> {
        let of_kind =
            self.versions.iter().filter(|((kind, _), (_, there))| kind == plural && *there);
        of_kind.map(|((_, name), _)| name.clone()).collect()
    }

    /// An object is like this. What was heard before is not news.
    fn is(&mut self, (group, plural): Plural<'_>, object: Value) {
        let name = text(&object, "/metadata/name").to_owned();
        let version = text(&object, "/metadata/resourceVersion").parse().unwrap_or_default();
        let before = self.versions.get(&(plural.to_owned(), name.clone())).copied();
        if before.is_some_and(|(before, _)| before >= version) {
            return;
        }
        self.versions.insert((plural.to_owned(), name.clone()), (version, true));
        let kind = match before {
            Some((_, true)) => ChangeKind::Modified,
            Some((_, false)) | None => ChangeKind::Added,
        };
        self.tell((version, kind), (group, plural), &name, object);
    }

    /// An object is no more.
    fn gone(&mut self, (group, plural): Plural<'_>, name: &str, last: Value) {
        let key = (plural.to_owned(), name.to_owned());
        let Some((before, true)) = self.versions.get(&key).copied() else { return };
        let version = text(&last, "/metadata/resourceVersion").parse().unwrap_or_default();
        let version = before.max(version);
        self.versions.insert(key, (version, false));
        self.tell((version, ChangeKind::Deleted), (group, plural), name, last);
    }

    fn tell(
        &mut self,
        (revision, kind): (u64, ChangeKind),
        (group, plural): Plural<'_>,
        name: &str,
        object: Value,
    ) {
        let change = Change {
            revision,
            at: self.clock.now(),
            kind,
            group: group.to_owned(),
            resource: plural.to_owned(),
            namespace: text(&object, "/metadata/namespace").to_owned(),
            name: name.to_owned(),
            object: Arc::new(object),
            user_agent: "".into(),
        };
        self.listeners.retain(|listener| listener.send(change.clone()));
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(version: u64) -> Value {
        json!({"metadata": {"name": "a", "namespace": "n", "resourceVersion": version.to_string()}})
    }

    #[test]
    fn what_is_heard_twice_is_told_once_and_in_order() {
        let known = Arc::new(Mutex::new(Known::new(Clock::system())));
        let hearing = Hearing { known, _watches: Arc::default() };
        let mut changes = hearing.changes();
        with(&hearing.known, |known| {
            known.is(("", "pods"), object(1));
            known.is(("", "pods"), object(3));
            known.is(("", "pods"), object(2));
            known.gone(("", "pods"), "a", object(5));
            known.gone(("", "pods"), "a", object(5));
            known.is(("", "pods"), object(4));
            known.is(("", "pods"), object(6));
        });
        let told: Vec<_> = std::iter::from_fn(|| changes.try_next()).collect();
        let told: Vec<_> = told.iter().map(|change| (change.revision, change.kind)).collect();
        let (added, modified) = (ChangeKind::Added, ChangeKind::Modified);
        assert_eq!(told, [(1, added), (3, modified), (5, ChangeKind::Deleted), (6, added)]);
    }
}
