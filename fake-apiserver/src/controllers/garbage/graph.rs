//! Who owns whom.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::runtime::watcher::Event;

use super::{FOREGROUND, Meta, ORPHAN};

/// What matters of an object.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The index of its kind.
    pub(super) kind: usize,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) finalizers: Vec<String>,
    pub(super) deleted: bool,
}

impl Entry {
    fn of(kind: usize, object: &Meta) -> Self {
        Self {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            version: object.resource_version().unwrap_or_default(),
            owners: object.owner_references().to_vec(),
            finalizers: object.finalizers().to_vec(),
            deleted: object.metadata.deletion_timestamp.is_some(),
        }
    }

    pub(super) fn holds(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|f| f == finalizer)
    }

    /// Whether it is deleted in the foreground, and waits for its dependents.
    pub(super) fn waits(&self) -> bool {
        self.deleted && self.holds(FOREGROUND)
    }

    /// Whether the same has to be done about both.
    fn matters_as(&self, other: &Self) -> bool {
        self.owners == other.owners
            && self.finalizers == other.finalizers
            && self.deleted == other.deleted
    }
}

/// All objects, and the owners they name.
#[derive(Default)]
pub(super) struct Graph {
    entries: BTreeMap<String, Entry>,
    dependents: BTreeMap<String, BTreeSet<String>>,
    listing: BTreeMap<usize, BTreeSet<String>>,
    listed: BTreeSet<usize>,
    stirred: bool,
}

impl Graph {
    pub(super) fn apply(&mut self, kind: usize, event: Event<Meta>) {
        match event {
            Event::Init => drop(self.listing.insert(kind, BTreeSet::new())),
            Event::InitApply(object) => {
                self.listing.entry(kind).or_default().insert(object.uid().unwrap_or_default());
                self.put(Entry::of(kind, &object));
            }
            Event::InitDone => {
                let seen = self.listing.remove(&kind).unwrap_or_default();
                let gone = |entry: &&Entry| entry.kind == kind && !seen.contains(&entry.uid);
                let gone: Vec<String> =
                    self.entries.values().filter(gone).map(|e| e.uid.clone()).collect();
                gone.iter().for_each(|uid| self.remove(uid));
                self.listed.insert(kind);
                self.stirred = true;
            }
            Event::Apply(object) => self.put(Entry::of(kind, &object)),
            Event::Delete(object) => self.remove(&object.uid().unwrap_or_default()),
        }
    }

    /// Forgets a kind that is no longer served.
    pub(super) fn forget(&mut self, kind: usize) {
        self.apply(kind, Event::Init);
        self.apply(kind, Event::InitDone);
    }

    fn put(&mut self, entry: Entry) {
        let old = self.entries.get(&entry.uid);
        self.stirred |= old.is_none_or(|old| !old.matters_as(&entry));
        if old.is_some_and(|old| old.owners != entry.owners) {
            self.unlink(&entry.uid);
        }
        for owner in &entry.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(entry.uid.clone());
        }
        self.entries.insert(entry.uid.clone(), entry);
    }

    fn remove(&mut self, uid: &str) {
        self.unlink(uid);
        self.stirred |= self.entries.remove(uid).is_some();
    }

    fn unlink(&mut self, uid: &str) {
        let Some(entry) = self.entries.get(uid) else { return };
        for owner in &entry.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }

    /// Whether all kinds have been listed once: before, owners only seem to be absent.
    pub(super) fn settled(&self, kinds: usize) -> bool {
        kinds > 0 && (0..kinds).all(|kind| self.listed.contains(&kind))
    }

    /// Whether something has changed since this was last asked.
    pub(super) fn stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    /// Has everything looked at again.
    pub(super) fn stir(&mut self) {
        self.stirred = true;
    }

    /// The names of the objects of a kind.
    pub(super) fn names(&self, kind: usize) -> impl Iterator<Item = &str> {
        self.entries.values().filter(move |entry| entry.kind == kind).map(|e| e.name.as_str())
    }

    pub(super) fn get(&self, uid: &str) -> Option<&Entry> {
        self.entries.get(uid)
    }

    pub(super) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Entry> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|uid| self.entries.get(uid))
    }

    /// The objects something may have to be done about: those an owner is missing or waits for, and owners that wait.
    pub(super) fn suspects(&self) -> Vec<Entry> {
        let owned =
            |entry: &Entry| entry.owners.iter().any(|o| self.get(&o.uid).is_none_or(Entry::waits));
        let waits = |entry: &Entry| entry.waits() || entry.deleted && entry.holds(ORPHAN);
        self.entries
            .values()
            .filter(|e| if e.deleted { waits(e) } else { owned(e) })
            .cloned()
            .collect()
    }
}
