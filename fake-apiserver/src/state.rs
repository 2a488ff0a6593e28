//! Everything a server knows, behind one lock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use crate::Clock;
use crate::auth::Access;
use crate::kubelet::WeakNode;
use crate::registry::Registry;
use crate::store::{Author, GroupResource, Key, Store};

/// How many requests were answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// All of them.
    pub requests: u64,
    /// By verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `other`.
    pub by_verb: BTreeMap<&'static str, u64>,
    /// Those that were refused (status 400 and above).
    pub refused: u64,
}

/// A generator of names and uids (SplitMix64).
#[derive(Debug)]
pub(crate) struct Seeds(u64);

impl Seeds {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that makes none of the names and uids that this one has made.
    fn beyond(&self, seed: u64) -> Self {
        Self(seed.wrapping_add(self.0))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A version 4 UUID.
    pub(crate) fn uid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let digits = format!("{high:016x}{low:016x}");
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
        let variant = char::from(b"89ab".get(low as usize % 4).copied().unwrap_or(b'8'));
        format!(
            "{}-{}-4{}-{variant}{}-{}",
            part(0, 8),
            part(8, 12),
            part(13, 16),
            part(17, 20),
            part(20, 32)
        )
    }

    /// The five characters that make a generated name; none that spells a word.
    pub(crate) fn suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5)
            .filter_map(|_| ALPHABET.get((self.next() % ALPHABET.len() as u64) as usize))
            .map(|byte| char::from(*byte))
            .collect()
    }
}

/// The state of a server.
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) seeds: Seeds,
    pub(crate) stats: Stats,
    pub(crate) access: Access,
    /// Nodes that can be asked about their pods, by name.
    pub(crate) nodes: BTreeMap<String, WeakNode>,
    clock: Clock,
    next_address: u32,
    /// Addresses that services asked for by themselves.
    reserved: std::collections::BTreeSet<String>,
    next_port: u16,
}

impl State {
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        let mut state = Self {
            store: Store::new(),
            registry: Registry::default(),
            seeds: Seeds::new(seed),
            stats: Stats::default(),
            access: Access::new(seed),
            nodes: BTreeMap::new(),
            clock,
            next_address: 1,
            reserved: std::collections::BTreeSet::new(),
            next_port: 30000,
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            state.found_namespace(name);
        }
        state
    }

    /// A state that begins as this one is, of another time and chance.
    pub(crate) fn copy(&self, clock: Clock, seed: u64) -> Self {
        Self {
            store: self.store.copy(),
            registry: self.registry.clone(),
            seeds: self.seeds.beyond(seed),
            stats: Stats::default(),
            access: self.access.clone(),
            nodes: BTreeMap::new(),
            clock,
            next_address: self.next_address,
            reserved: self.reserved.clone(),
            next_port: self.next_port,
        }
    }

    fn found_namespace(&mut self, name: &str) {
        let now = (self.clock)();
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name, "uid": self.seeds.uid(), "creationTimestamp": time(now),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        let id = std::sync::Arc::new(GroupResource {
            group: String::new(),
            resource: "namespaces".into(),
        });
        self.store.put(
            &id,
            Key::new("", name),
            object,
            &Author { at: now, user_agent: "kube-apiserver".into() },
        );
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The next free address of 10.96.0.0/16.
    pub(crate) fn allocate_address(&mut self) -> String {
        loop {
            self.next_address += 1;
            let [_, _, high, low] = self.next_address.to_be_bytes();
            let address = format!("10.96.{high}.{low}");
            if !self.reserved.contains(&address) {
                return address;
            }
        }
    }

    /// Keeps an address from being allocated.
    pub(crate) fn reserve_address(&mut self, address: String) {
        self.reserved.insert(address);
    }

    /// The next free node port.
    pub(crate) fn allocate_port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }
}

/// A time as objects have it, to the second.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
