//! Watching: the changes of a kind as they come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Answer, Call, body, read};
use crate::refusal::{Cause, Named, Refusal};
use crate::registry::Resource;
use crate::request::{Accept, Form, Wanted, negotiate};
use crate::selector::Selector;
use crate::state::State;
use crate::store::{Record, Stored};
use crate::{ApiServer, ChangeKind, json, meta, table};

/// How long a watch lasts when it does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// How long before its end a watch that allows bookmarks gets one.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// How many changes are made ready at once: a client that reads slowly holds so many and no more.
const AT_ONCE: usize = 100;

/// An open watch.
pub(crate) struct Watch {
    resource: Arc<Resource>,
    namespace: Option<String>,
    selector: Selector,
    accept: Accept,
    /// Everything up to here was told.
    cursor: u64,
    /// What is to be told before the changes.
    backlog: std::collections::VecDeque<Bytes>,
    pulse: watch::Receiver<u64>,
    ends: Instant,
    bookmark_at: Option<Instant>,
    finished: bool,
    /// Up to when the ages in tables count.
    now: Timestamp,
}

pub(super) fn open(state: &mut State, call: &Call<'_>) -> Result<Answer, Refusal> {
    let query = &call.request.query;
    let accept = call.request.accept.replace(";stream=watch", "");
    let accept = negotiate(&accept, &call.resource, Wanted::Watch)?;
    let mut selector = read::selector(call)?;
    if let Some(name) = &call.path.name {
        selector = Selector::parse(
            query.get("labelSelector").unwrap_or_default(),
            &format!("metadata.name={name}"),
            &call.resource,
        )?;
    }
    let bookmarks = query.flag("allowWatchBookmarks");
    let streaming = check_initial_events(call)?;
    let asked = read::parse_version(query.get("resourceVersion")).map_err(Refusal::internal)?;
    let timeout = match query.int("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()),
        _ => DEFAULT_TIMEOUT,
    };
    let now = Instant::now();
    let mut watch = Watch {
        resource: call.resource.clone(),
        namespace: call.path.namespace.clone(),
        selector,
        accept,
        cursor: asked.unwrap_or_else(|| state.store.revision()),
        backlog: std::collections::VecDeque::new(),
        pulse: state.store.pulse(&call.resource.id),
        ends: now + timeout,
        bookmark_at: bookmarks
            .then(|| now + timeout.saturating_sub(BOOKMARK_BEFORE_END).max(timeout / 2)),
        finished: false,
        now: call.now(),
    };
    let show_present = match streaming {
        Some(initial) => initial,
        None => asked.is_none(),
    };
    if show_present {
        watch.cursor = state.store.revision();
        watch.present(state);
        if streaming == Some(true) && bookmarks {
            watch.bookmark(true);
        }
    } else if streaming.is_none() && watch.cursor < state.store.compacted() {
        let oldest = state.store.compacted();
        let refusal =
            Refusal::expired(format!("too old resource version: {} ({oldest})", watch.cursor));
        watch.event("ERROR", &refusal.status());
        watch.finished = true;
    }
    Ok(Answer::Watch(Box::new(watch)))
}

/// `sendInitialEvents`, if it is told, and told rightly.
fn check_initial_events(call: &Call<'_>) -> Result<Option<bool>, Refusal> {
    let query = &call.request.query;
    let matching = query.get("resourceVersionMatch").unwrap_or_default();
    let initial = query.maybe_flag("sendInitialEvents");
    let mut causes = Vec::new();
    if initial.is_some() && matching.is_empty() {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(Cause::forbidden("resourceVersionMatch", why));
    } else if initial.is_some() && matching != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(Cause::forbidden("resourceVersionMatch", why));
        causes.push(Cause::unsupported(
            "resourceVersionMatch",
            &matching.into(),
            &["NotOlderThan"],
        ));
    } else if initial.is_none() && !matching.is_empty() {
        let why =
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        causes.push(Cause::forbidden("resourceVersionMatch", why));
    }
    if causes.is_empty() {
        return Ok(initial);
    }
    Err(Refusal::invalid(Named { group: "meta.k8s.io", resource: "ListOptions" }, "", &causes))
}

impl Watch {
    /// The events, one chunk each, until the watch ends.
    pub(crate) fn stream(self: Box<Self>, server: ApiServer) -> impl Stream<Item = Bytes> + Send {
        futures::stream::unfold((self, server), |(mut watch, server)| async move {
            let bytes = watch.next(&server).await?;
            Some((bytes, (watch, server)))
        })
    }

    async fn next(&mut self, server: &ApiServer) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.backlog.pop_front() {
                return Some(bytes);
            }
            if self.finished {
                return None;
            }
            self.pulse.mark_unchanged();
            let more = self.catch_up(&server.lock());
            if more || !self.backlog.is_empty() || self.finished {
                continue;
            }
            let wake = self.bookmark_at.unwrap_or(self.ends).min(self.ends);
            tokio::select! {
                biased;
                changed = self.pulse.changed() => self.finished = changed.is_err(),
                () = tokio::time::sleep_until(wake) => {
                    if self.bookmark_at.take().is_some_and(|at| at < self.ends) {
                        self.cursor = self.cursor.max(server.revision());
                        self.bookmark(false);
                    } else {
                        self.finished = true;
                    }
                }
            }
        }
    }

    /// Tells what is there now.
    fn present(&mut self, state: &State) {
        let namespace = self.namespace.clone();
        let objects: Vec<Arc<Stored>> = state
            .store
            .list(&self.resource.id, namespace.as_deref())
            .map(|(_, stored)| stored.clone())
            .collect();
        for stored in objects {
            let value = body::view(&stored, &self.resource);
            if self.selector.matches(&value) {
                self.tell("ADDED", &stored, &value);
            }
        }
    }

    /// Tells the next changes since the cursor, and whether there may be more of them.
    fn catch_up(&mut self, state: &State) -> bool {
        self.now = state.now();
        let Some(records) = state.store.changes_of(&self.resource.id, self.cursor, AT_ONCE) else {
            let refusal = Refusal::expired(format!("too old resource version: {}", self.cursor));
            self.event("ERROR", &refusal.status());
            self.finished = true;
            return false;
        };
        let more = records.len() == AT_ONCE;
        for record in records {
            self.cursor = record.revision;
            if self.namespace.as_ref().is_none_or(|namespace| record.key.namespace == *namespace) {
                self.tell_record(&record);
            }
        }
        more
    }

    /// A change as it looks through the selection: an object may come into it, or leave it.
    fn tell_record(&mut self, record: &Record) {
        let value = body::view(&record.object, &self.resource);
        let matches = record.kind != ChangeKind::Deleted && self.selector.matches(&value);
        let matched = record.previous.as_ref().is_some_and(|old| {
            self.selector.is_empty() || self.selector.matches(&body::view(old, &self.resource))
        });
        match (matched, matches) {
            (false, false) => {}
            (false, true) => self.tell("ADDED", &record.object, &value),
            (true, true) => self.tell("MODIFIED", &record.object, &value),
            (true, false) if record.kind == ChangeKind::Deleted => {
                self.tell("DELETED", &record.object, &value);
            }
            (true, false) => {
                // Who leaves is shown as it last was, with the version of the change.
                let Some(old) = &record.previous else { return };
                let mut last = (*body::view(old, &self.resource)).clone();
                json::metadata_mut(&mut last)
                    .insert("resourceVersion".into(), record.revision.to_string().into());
                self.event("DELETED", &last);
            }
        }
    }

    fn tell(&mut self, kind: &str, stored: &Stored, value: &Arc<Value>) {
        if self.accept.form == Form::Object && stored.reads(value) {
            self.push(kind, stored.bytes());
        } else {
            let value = value.clone();
            self.event(kind, &value);
        }
    }

    fn event(&mut self, kind: &str, value: &Value) {
        let shaped = match self.accept.form {
            _ if kind == "ERROR" => value.clone(),
            Form::Object => value.clone(),
            Form::Metadata => meta::partial(value, self.accept.beta),
            Form::Table => {
                let rows = [Arc::new(value.clone())];
                let version = json::text(value, &["metadata", "resourceVersion"]);
                table::table(&rows, &self.resource, "Metadata", self.now, version)
            }
        };
        self.push(kind, shaped.to_string().as_bytes());
    }

    fn push(&mut self, kind: &str, object: &[u8]) {
        let mut line = Vec::with_capacity(object.len() + 40);
        line.extend_from_slice(b"{\"type\":\"");
        line.extend_from_slice(kind.as_bytes());
        line.extend_from_slice(b"\",\"object\":");
        line.extend_from_slice(object);
        line.extend_from_slice(b"}\n");
        self.backlog.push_back(Bytes::from(line));
    }

    fn bookmark(&mut self, ends_initial_events: bool) {
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if ends_initial_events {
            json::put(
                &mut metadata,
                &["annotations"],
                json!({"k8s.io/initial-events-end": "true"}),
            );
        }
        let mut object = json!({
            "apiVersion": self.resource.api_version(), "kind": self.resource.kind, "metadata": metadata,
        });
        if self.resource.custom().is_none() {
            crate::schema::decode::fill(&mut object, self.resource.schema());
        }
        self.push("BOOKMARK", object.to_string().as_bytes());
    }
}
