//! The record of a world: timeline, trace hash, and what the oracles say, from everything that the
//! API server commits and that happens in TimesTen.
//!
//! Never: influences what it records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fake_agent::{Event, Events, Fact, Happening};
use fake_apiserver::{Change, ChangeKind, Changes};
use serde_json::Value;
use timesten_operator::clock::Clock;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{OBJECT, Routes};
use crate::determinism::TraceHash;
use crate::oracles::{DANGEROUS, Deed, Oracles, Sight, Violation};
use crate::timeline::{Moment, Timeline, Who};

/// What was recorded.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Everything, line by line.
    pub timeline: Timeline,
    /// The objects that are there, by name, as they were committed last.
    pub objects: BTreeMap<String, Arc<Value>>,
    /// The states that each object went through.
    pub states: BTreeMap<String, Vec<String>>,
    /// How often each verb was sent to an agent.
    pub verbs: BTreeMap<String, u32>,
    /// What the oracles know.
    pub oracles: Oracles,
    /// The intents on record: object, verb, pod.
    intents: BTreeSet<(String, String, String)>,
    hash: TraceHash,
}

/// Records, and tells when there is something new.
#[derive(Clone)]
pub struct Recorder {
    record: Arc<Mutex<Record>>,
    news: Arc<watch::Sender<u64>>,
    began: Instant,
}

/// One thing to record, from either source.
enum News {
    Change(Box<Change>),
    Event(Box<Event>),
}

impl Recorder {
    /// A record of a world that began then.
    #[must_use]
    pub fn new(began: Instant) -> Self {
        Self { record: Arc::default(), news: Arc::new(watch::channel(0).0), began }
    }

    /// Follows both sources for ever. What came at the same moment is taken in the order of time.
    pub async fn follow(
        self,
        mut changes: Changes,
        mut events: Events,
        routes: Routes,
        clock: Clock,
    ) {
        loop {
            let first = tokio::select! {
                biased;
                change = changes.next() => change.map(|change| News::Change(Box::new(change))),
                event = events.next() => event.map(|event| News::Event(Box::new(event))),
            };
            let Some(first) = first else { return };
            let mut batch = vec![first];
            while let Some(change) = changes.try_next() {
                batch.push(News::Change(Box::new(change)));
            }
            while let Some(event) = events.try_next() {
                batch.push(News::Event(Box::new(event)));
            }
            let (wall, now) = (clock.now(), Instant::now());
            let mut batch: Vec<(Duration, News)> = batch
                .into_iter()
                .map(|news| {
                    let at = match &news {
                        News::Change(change) => {
                            let ago = wall.duration_since(change.at).unsigned_abs();
                            (now - self.began).saturating_sub(ago)
                        }
                        News::Event(event) => event.at.saturating_duration_since(self.began),
                    };
                    (at, news)
                })
                .collect();
            batch.sort_by_key(|(at, _)| *at);
            for (at, news) in batch {
                match news {
                    News::Change(change) => self.change(at, &change, &routes),
                    News::Event(event) => self.event(at, &event),
                }
            }
            self.news.send_modify(|count| *count += 1);
        }
    }

    /// Tells when something is recorded.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Time since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes something that is neither in the API nor in TimesTen.
    pub fn say(&self, who: Who, text: impl Into<String>) {
        let at = self.now();
        self.with(|record| record.add(at, who, text.into()));
    }

    /// Works on the record.
    pub fn with<T>(&self, work: impl FnOnce(&mut Record) -> T) -> T {
        work(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first law that was broken.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.with(|record| record.oracles.violation.clone())
    }

    fn change(&self, at: Duration, change: &Change, routes: &Routes) {
        routes.note(change);
        self.with(|record| {
            record.hash.add(&(
                at,
                change.revision,
                &change.resource,
                &change.name,
                change.kind as u8,
            ));
            if change.resource == "endpointslices" {
                let hosts = routes.all();
                record.add(at, Who::Kubernetes, format!("routed to {}", short(&hosts)));
                let wrong = hosts.iter().find(|host| record.subscriber(host)).cloned();
                if let Some(host) = wrong {
                    record.oracles.see(at, Sight::Subscriber(host, Deed::Routed));
                }
                record.oracles.see(at, Sight::Routed(hosts));
                return;
            }
            record.api(at, change);
        });
    }

    fn event(&self, at: Duration, event: &Event) {
        self.with(|record| record.timesten(at, event));
    }
}

impl Record {
    /// The trace hash so far.
    #[must_use]
    pub fn trace_hash(&self) -> String {
        self.hash.digits()
    }

    fn add(&mut self, at: Duration, who: Who, text: String) {
        self.hash.add(&(at, who, &text));
        self.timeline.0.push(Moment { at, who, text });
    }

    fn api(&mut self, at: Duration, change: &Change) {
        let object = &change.object;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        match change.resource.as_str() {
            "timestenclassics" => {
                let name = &change.name;
                if change.kind == ChangeKind::Deleted {
                    self.objects.remove(name);
                    let wanted = object.pointer("/spec/ttspec/cacheCleanup");
                    let cleanup = wanted.and_then(Value::as_bool).unwrap_or(true);
                    self.oracles.see(at, Sight::Gone { object: name.clone(), cleanup });
                    self.add(at, Who::Kubernetes, format!("{name} is gone"));
                } else {
                    self.objects.insert(name.clone(), Arc::clone(object));
                    if is_going(object) {
                        self.oracles.see(at, Sight::Deleting(name.clone()));
                    }
                    self.state(at, name, object);
                }
                self.intents(at, name, object);
            }
            "events" if text("/involvedObject/kind") == "TimesTenClassic" => {
                let of = text("/involvedObject/name").to_owned();
                let (reason, note) = (text("/reason").to_owned(), text("/message").to_owned());
                if change.kind == ChangeKind::Added {
                    self.add(at, Who::Operator, format!("event {reason}: {note}"));
                    self.oracles.see(at, Sight::Event { of, reason, note });
                }
            }
            "pods" => self.add(at, Who::Kubernetes, pod(change)),
            "secrets" | "services" | "statefulsets" | "poddisruptionbudgets" => {
                if change.resource == "secrets" && change.kind != ChangeKind::Deleted {
                    self.credentials(at, change);
                }
                if change.kind == ChangeKind::Modified {
                    return;
                }
                let what = if change.kind == ChangeKind::Added { "created" } else { "deleted" };
                let name = volatile(&change.name);
                self.add(at, Who::Kubernetes, format!("{} {name} {what}", change.resource));
            }
            _ => {}
        }
    }

    /// What an object and its agents prove themselves with, if that is what the Secret holds.
    fn credentials(&mut self, at: Duration, change: &Change) {
        let text = |pointer: &str| change.object.pointer(pointer).and_then(Value::as_str);
        let set = |prefix: &str| -> Option<String> {
            let data = |key: &str| text(&format!("/data/{prefix}{key}"));
            let agent = text("/data/agentPassword")?;
            Some([data("httpUser")?, data("httpPassword")?, agent].join(" "))
        };
        let secrets: Vec<String> = ["", "former."].into_iter().filter_map(set).collect();
        let owner =
            |key: &str| text(&format!("/metadata/ownerReferences/0/{key}")).map(str::to_owned);
        if let (Some(of), Some(uid), false) = (owner("name"), owner("uid"), secrets.is_empty()) {
            let created = change.kind == ChangeKind::Added;
            self.oracles.see(at, Sight::Credentials { of, uid, secrets, created });
        }
    }

    /// The intents that an object has on record, if there are others than before.
    fn intents(&mut self, at: Duration, name: &str, object: &Value) {
        let pods = object.pointer("/status/podStatus").and_then(Value::as_array);
        let status = object.get("status").into_iter().chain(pods.into_iter().flatten());
        let intent = |status: &Value| {
            let (verb, pod) = intent(status)?;
            Some((name.to_owned(), verb, pod))
        };
        let now: Vec<_> = status.filter_map(intent).collect();
        let new = now.iter().filter(|intent| !self.intents.contains(intent)).cloned();
        for (_, verb, pod) in new.collect::<Vec<_>>() {
            self.add(at, Who::Operator, format!("intends {verb} in {pod}"));
        }
        self.intents.retain(|(of, ..)| of != name);
        self.intents.extend(now);
    }

    /// The state of an object, if it is another than before.
    fn state(&mut self, at: Duration, name: &str, object: &Value) {
        let state = object.pointer("/status/highLevelState").and_then(Value::as_str);
        let Some(state) = state.map(ToOwned::to_owned) else { return };
        let states = self.states.entry(name.to_owned()).or_default();
        if states.last() == Some(&state) {
            return;
        }
        let held = states.iter().any(|state| state == "Normal");
        states.push(state.clone());
        let whose = if name == OBJECT { String::new() } else { format!("of {name} ") };
        self.add(at, Who::Operator, format!("state {whose}{state}: {}", reason(object)));
        let (replicated, says) = (!is_lone(object), reason(object).to_owned());
        self.oracles.see(at, Sight::State { word: state, replicated, says, held });
    }

    /// The host is of an object whose databases do not replicate.
    fn lone(&self, host: &str) -> bool {
        let object = host.split('.').nth(1).and_then(|name| self.objects.get(name));
        object.is_some_and(|object| is_lone(object))
    }

    /// The host is a subscriber of a pair: it is not one of the two.
    fn subscriber(&self, host: &str) -> bool {
        let object = host.split('.').nth(1).unwrap_or_default();
        let ordinal = short_host(host).strip_prefix(object);
        !self.lone(host) && !matches!(ordinal, Some("-0" | "-1"))
    }

    /// A pod is told to do away with its cache groups.
    fn uncached(&mut self, at: Duration, host: &str, verb: &str) {
        if !["dropCg", "cleanupCache"].contains(&verb) {
            return;
        }
        let object = host.split('.').nth(1).and_then(|object| self.objects.get(object));
        let deleting = object.is_some_and(|object| is_going(object));
        let (pod, verb) = (short_host(host).to_owned(), verb.to_owned());
        self.oracles.see(at, Sight::Uncached { pod, verb, deleting });
    }

    /// A pod is told something: what the status says of it at that moment.
    fn ordered(&mut self, at: Duration, host: &str, verb: &str) {
        let object = host.split('.').nth(1).and_then(|object| self.objects.get(object));
        let (true, Some(object)) = (DANGEROUS.contains(&verb), object) else { return };
        let (pod, verb) = (short_host(host).to_owned(), verb.to_owned());
        let subscriber = self.subscriber(host);
        let status = if subscriber { entry(object, &pod) } else { object.get("status") };
        let intent = status.and_then(intent);
        let state = object.pointer("/status/highLevelState").and_then(Value::as_str);
        let state = state.unwrap_or_default().to_owned();
        self.oracles.see(at, Sight::Ordered { pod, subscriber, verb, intent, state });
    }

    fn timesten(&mut self, at: Duration, event: &Event) {
        let host = short_host(&event.host).to_owned();
        let mut tell = |text: String| self.add(at, Who::TimesTen, format!("{host} {text}"));
        match &event.what {
            Happening::Started => {
                tell("container starts".into());
                self.oracles.see(at, Sight::Agent(event.host.clone(), true));
            }
            Happening::Listening => tell("agent listens".into()),
            Happening::Ended { code } => {
                tell(format!("container ends with {code}"));
                self.oracles.see(at, Sight::Writable(event.host.clone(), false));
                self.oracles.see(at, Sight::Agent(event.host.clone(), false));
            }
            Happening::Received { verb, .. } => {
                self.hash.add(&(at, &event.host, verb));
                if !matches!(verb.as_str(), "GET" | "POLL") {
                    *self.verbs.entry(verb.clone()).or_default() += 1;
                    self.add(at, Who::TimesTen, format!("{host} is told {verb}"));
                    self.uncached(at, &event.host, verb);
                    if self.lone(&event.host) {
                        self.oracles.see(at, Sight::Lone(host, verb.clone()));
                    } else {
                        self.ordered(at, &event.host, verb);
                        if self.subscriber(&event.host) {
                            let deed = Deed::Told(verb.clone());
                            self.oracles.see(at, Sight::Subscriber(host, deed));
                        }
                    }
                }
            }
            Happening::Done { verb, errno } => {
                tell(format!("has done {verb}, errno {errno}"));
            }
            Happening::Changed { fact, from, to } => {
                tell(format!("{fact:?} was {from}, now {to}"));
                if *fact == Fact::Writable {
                    let writable = *to == "yes";
                    self.oracles.see(at, Sight::Writable(event.host.clone(), writable));
                    if writable && self.subscriber(&event.host) {
                        self.oracles.see(at, Sight::Subscriber(host, Deed::Writable));
                    }
                }
            }
            Happening::Activated => tell("is activated".into()),
            Happening::Invalidated { by } => {
                tell(format!("is invalidated by {}", short_host(by)));
            }
            Happening::Destroyed { copy, others } => {
                tell(format!("a copy at position {} is destroyed", copy.position));
                // Without replication only faults destroy: that the operator never does is judged
                // by the verbs.
                if !self.lone(&event.host) {
                    self.oracles.see(at, Sight::Destroyed(copy.clone(), others.clone()));
                }
            }
            Happening::Marker { path, present } => {
                tell(format!("{path} {}", if *present { "appears" } else { "vanishes" }));
            }
            Happening::Fault(text) => self.add(at, Who::Fault, format!("{host} {text}")),
        }
    }
}

/// The entry of a pod in the status.
fn entry<'a>(object: &'a Value, pod: &str) -> Option<&'a Value> {
    let mut pods = object.pointer("/status/podStatus")?.as_array()?.iter();
    pods.find(|entry| entry.get("name").and_then(Value::as_str) == Some(pod))
}

/// The intent in a status: the verb, and the pod.
fn intent(status: &Value) -> Option<(String, String)> {
    let intent = status.get("intent")?;
    let text = |key| intent.get(key)?.as_str().map(ToOwned::to_owned);
    text("verb").zip(text("pod"))
}

/// The object is being deleted.
fn is_going(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// The databases of an object do not replicate.
fn is_lone(object: &Value) -> bool {
    object.pointer("/spec/ttspec/replicationTopology").and_then(Value::as_str) == Some("none")
}

/// The message of the condition that says why.
fn reason(object: &Value) -> &str {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some("Managed"))
        .and_then(|condition| condition.get("message")?.as_str())
        .unwrap_or("")
}

/// A pod in one line.
fn pod(change: &Change) -> String {
    let object = &change.object;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    if change.kind == ChangeKind::Deleted {
        return format!("pod {} is gone", change.name);
    }
    let role = text("/metadata/labels/timesten.oracle.com~1role");
    let ready =
        object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten().any(
            |c| c.get("type") == Some(&"Ready".into()) && c.get("status") == Some(&"True".into()),
        );
    let dying = object.pointer("/metadata/deletionTimestamp").is_some();
    format!(
        "pod {} {} role {role}{}{}",
        change.name,
        text("/status/phase"),
        if ready { " ready" } else { "" },
        if dying { " terminating" } else { "" }
    )
}

/// A name without the UID that is in it.
fn volatile(name: &str) -> &str {
    match name.strip_prefix("tt") {
        Some(uid) if uid.len() == 36 => "tt<uid>",
        _ => name,
    }
}

fn short(hosts: &[String]) -> String {
    match hosts {
        [] => "nobody".into(),
        hosts => hosts.iter().map(|host| short_host(host)).collect::<Vec<_>>().join(", "),
    }
}

/// The pod's name in its host name.
#[must_use]
fn short_host(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}
