//! Storage: every object under one revision counter, and the log of all versions.
//!
//! Owns revisions, the log and who is woken by it. It never looks into objects, but for `metadata.resourceVersion`,
//! which it writes.

mod stored;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

pub(crate) use self::stored::Stored;
use crate::{Change, ChangeKind, json};

/// A real server's versions are well beyond 1 when anyone can ask, and the oldest are compacted.
const FIRST_REVISION: u64 = 1000;
/// How many changes are kept for watches, lists at a revision, and `history`.
const RETAINED_CHANGES: usize = 20_000;
/// How many of the last changes are kept as trees, ready to be read. What is older is text, a tenth as large.
const KEPT_AS_TREES: usize = 1_000;

/// The identity of a kind in storage; all its versions share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupResource {
    pub(crate) group: String,
    pub(crate) resource: String,
}

/// Where an object is among those of its kind. Cluster-wide objects have an empty namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// One committed change.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) revision: u64,
    pub(crate) at: Timestamp,
    pub(crate) kind: ChangeKind,
    pub(crate) resource: Arc<GroupResource>,
    pub(crate) key: Key,
    /// The object after the change; for a deletion its last state, with the version of the deletion.
    pub(crate) object: Arc<Stored>,
    pub(crate) previous: Option<Arc<Stored>>,
    pub(crate) user_agent: Arc<str>,
}

impl Record {
    pub(crate) fn change(&self) -> Change {
        Change {
            revision: self.revision,
            at: self.at,
            kind: self.kind,
            group: self.resource.group.clone(),
            resource: self.resource.resource.clone(),
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            object: self.object.value(),
            user_agent: self.user_agent.clone(),
        }
    }
}

/// Who writes, and when.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) at: Timestamp,
    pub(crate) user_agent: Arc<str>,
}

#[derive(Debug)]
struct Table {
    objects: BTreeMap<Key, Arc<Stored>>,
    log: VecDeque<Arc<Record>>,
    /// The last change that is no longer in the log.
    forgotten: u64,
    pulse: watch::Sender<u64>,
}

impl Table {
    fn copy(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            log: self.log.clone(),
            forgotten: self.forgotten,
            pulse: watch::Sender::new(*self.pulse.borrow()),
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            forgotten: 0,
            pulse: watch::Sender::new(0),
        }
    }
}

/// All objects and their history.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    /// Nothing at or before this revision can be replayed.
    compacted: u64,
    tables: BTreeMap<Arc<GroupResource>, Table>,
    log: VecDeque<Arc<Record>>,
    listeners: Vec<mpsc::UnboundedSender<Change>>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            revision: FIRST_REVISION,
            compacted: FIRST_REVISION - 1,
            tables: BTreeMap::new(),
            log: VecDeque::new(),
            listeners: Vec::new(),
        }
    }

    /// The same objects and the same history, and nobody who listens.
    pub(crate) fn copy(&self) -> Self {
        let tables = self.tables.iter().map(|(id, table)| (id.clone(), table.copy()));
        Self {
            revision: self.revision,
            compacted: self.compacted,
            tables: tables.collect(),
            log: self.log.clone(),
            listeners: Vec::new(),
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The current version of an object.
    pub(crate) fn get(&self, resource: &GroupResource, key: &Key) -> Option<Arc<Stored>> {
        self.tables.get(resource)?.objects.get(key).cloned()
    }

    /// An object as it was at a revision, or as far back as is known.
    pub(crate) fn get_at(
        &self,
        resource: &GroupResource,
        key: &Key,
        revision: u64,
    ) -> Option<Arc<Stored>> {
        let table = self.tables.get(resource)?;
        let later = table.log.range(table.log.partition_point(|r| r.revision <= revision)..);
        match later.into_iter().find(|record| record.key == *key) {
            Some(first) => first.previous.clone(),
            None => table.objects.get(key).cloned(),
        }
    }

    /// The current objects of a kind in order of namespace and name; of one namespace, or of all.
    pub(crate) fn list<'a>(
        &'a self,
        resource: &GroupResource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Stored>)> + 'a {
        let from = Bound::Included(Key::new(namespace.unwrap_or_default(), ""));
        self.tables
            .get(resource)
            .into_iter()
            .flat_map(move |table| table.objects.range((from.clone(), Bound::Unbounded)))
            .take_while(move |(key, _)| {
                namespace.is_none_or(|namespace| key.namespace == namespace)
            })
    }

    /// The objects of a kind as they were at a revision, which must not be compacted.
    pub(crate) fn list_at(
        &self,
        resource: &GroupResource,
        revision: u64,
    ) -> BTreeMap<Key, Arc<Stored>> {
        let Some(table) = self.tables.get(resource) else { return BTreeMap::new() };
        let mut objects = table.objects.clone();
        for record in table.log.iter().rev().take_while(|record| record.revision > revision) {
            match &record.previous {
                Some(previous) => objects.insert(record.key.clone(), previous.clone()),
                None => objects.remove(&record.key),
            };
        }
        objects
    }

    /// Stores a version of an object, new or old, under a new revision.
    pub(crate) fn put(
        &mut self,
        resource: &Arc<GroupResource>,
        key: Key,
        mut value: Value,
        author: &Author,
    ) -> Arc<Stored> {
        self.revision += 1;
        stamp(&mut value, self.revision);
        let stored = Stored::new(value, self.revision);
        let table = self.tables.entry(resource.clone()).or_default();
        let previous = table.objects.insert(key.clone(), stored.clone());
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.append(resource, key, (kind, stored.clone()), previous, author);
        stored
    }

    /// Removes an object; `last` is its last state. Returns that state under the revision of the deletion.
    pub(crate) fn remove(
        &mut self,
        resource: &Arc<GroupResource>,
        key: Key,
        mut last: Value,
        author: &Author,
    ) -> Option<Arc<Stored>> {
        let previous = self.tables.get_mut(resource)?.objects.remove(&key)?;
        self.revision += 1;
        stamp(&mut last, self.revision);
        let stored = Stored::new(last, self.revision);
        self.append(resource, key, (ChangeKind::Deleted, stored.clone()), Some(previous), author);
        Some(stored)
    }

    fn append(
        &mut self,
        resource: &Arc<GroupResource>,
        key: Key,
        (kind, object): (ChangeKind, Arc<Stored>),
        previous: Option<Arc<Stored>>,
        author: &Author,
    ) {
        let record = Arc::new(Record {
            revision: self.revision,
            at: author.at,
            kind,
            resource: resource.clone(),
            key,
            object,
            previous,
            user_agent: author.user_agent.clone(),
        });
        self.listeners
            .retain(|listener| !listener.is_closed() && listener.send(record.change()).is_ok());
        self.log.push_back(record.clone());
        if let Some(old) = self.log.len().checked_sub(KEPT_AS_TREES + 1) {
            self.log.get(old).inspect(|record| record.object.fold());
        }
        if let Some(table) = self.tables.get_mut(resource) {
            table.log.push_back(record);
            table.pulse.send_replace(self.revision);
        }
        if self.log.len() > RETAINED_CHANGES
            && let Some(oldest) = self.log.front()
        {
            self.compact(oldest.revision);
        }
    }

    /// Forgets the history up to and including a revision.
    pub(crate) fn compact(&mut self, revision: u64) {
        self.compacted = self.compacted.max(revision.min(self.revision));
        let floor = self.compacted;
        drop_until(&mut self.log, floor);
        for table in self.tables.values_mut() {
            let gone = drop_until(&mut table.log, floor);
            table.forgotten = gone.unwrap_or(table.forgotten);
        }
    }

    /// Every retained change after a revision, in order.
    pub(crate) fn since(&self, revision: u64) -> impl Iterator<Item = &Arc<Record>> {
        self.log.range(self.log.partition_point(|record| record.revision <= revision)..)
    }

    /// The changes of one kind after a revision, in order, at most so many; `None` when some of them are forgotten.
    pub(crate) fn changes_of(
        &self,
        resource: &GroupResource,
        revision: u64,
        most: usize,
    ) -> Option<Vec<Arc<Record>>> {
        let Some(table) = self.tables.get(resource) else { return Some(Vec::new()) };
        if table.forgotten > revision {
            return None;
        }
        let from = table.log.partition_point(|record| record.revision <= revision);
        Some(table.log.range(from..).take(most).cloned().collect())
    }

    /// Wakes at each change of a kind.
    pub(crate) fn pulse(&mut self, resource: &Arc<GroupResource>) -> watch::Receiver<u64> {
        self.tables.entry(resource.clone()).or_default().pulse.subscribe()
    }

    /// Receives every change from now on.
    pub(crate) fn listen(&mut self) -> mpsc::UnboundedReceiver<Change> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.push(sender);
        receiver
    }
}

/// Drops what is not after a revision, and tells the last that is dropped.
fn drop_until(log: &mut VecDeque<Arc<Record>>, floor: u64) -> Option<u64> {
    let keep_from = log.partition_point(|record| record.revision <= floor);
    let mut last = None;
    for record in log.drain(..keep_from) {
        record.object.fold();
        last = Some(record.revision);
    }
    last
}

fn stamp(value: &mut Value, revision: u64) {
    json::metadata_mut(value).insert("resourceVersion".into(), revision.to_string().into());
}
