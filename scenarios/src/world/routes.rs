//! Where clients are sent: the endpoints of the Service that selects the active, as the API has
//! them; without replication, every pod that is ready.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fake_apiserver::{Change, ChangeKind};
use serde_json::Value;

/// The label that names a slice's Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Where clients are sent.
#[derive(Clone, Default)]
pub struct Routes(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// The endpoints of the active Services, by slice.
    slices: BTreeMap<String, Vec<String>>,
    /// The objects whose databases do not replicate.
    lone: BTreeSet<String>,
    /// The hosts of pods that are ready, by object.
    ready: BTreeMap<String, BTreeSet<String>>,
}

impl Routes {
    /// Takes note of a change in the API.
    pub fn note(&self, change: &Change) {
        match change.resource.as_str() {
            "endpointslices" => self.slice(change),
            "pods" => self.pod(change),
            "timestenclassics" => {
                let topology = change.object.pointer("/spec/ttspec/replicationTopology");
                if topology.and_then(Value::as_str) == Some("none") {
                    self.known().lone.insert(change.name.clone());
                }
            }
            _ => {}
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pod(&self, change: &Change) {
        let object = &change.object;
        let label = object.pointer("/metadata/labels/app").and_then(Value::as_str);
        let Some(name) = label else { return };
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let is_ready = conditions.into_iter().flatten().any(|condition| {
            let is = |key: &str, value: &str| condition.get(key) == Some(&value.into());
            is("type", "Ready") && is("status", "True")
        });
        let dying = object.pointer("/metadata/deletionTimestamp").is_some();
        let host = host(&change.name, name, &change.namespace);
        let mut known = self.known();
        let hosts = known.ready.entry(name.to_owned()).or_default();
        if is_ready && !dying && change.kind != ChangeKind::Deleted {
            hosts.insert(host);
        } else {
            hosts.remove(&host);
        }
    }

    fn slice(&self, change: &Change) {
        let service = change.object.pointer("/metadata/labels").and_then(|l| l.get(SERVICE_NAME));
        let Some(object) = service.and_then(Value::as_str).and_then(|s| s.strip_suffix("-active"))
        else {
            return;
        };
        let hosts = match change.kind {
            ChangeKind::Deleted => Vec::new(),
            ChangeKind::Added | ChangeKind::Modified => {
                hosts(&change.object, object, &change.namespace)
            }
        };
        let slices = &mut self.known().slices;
        if hosts.is_empty() {
            slices.remove(&change.name);
        } else {
            slices.insert(change.name.clone(), hosts);
        }
    }

    /// Every host that clients are sent to.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.known().slices.values().flatten().cloned().collect()
    }

    /// The hosts that clients of an object use: the active, and without replication all that are
    /// ready.
    #[must_use]
    pub fn used(&self, object: &str) -> Vec<String> {
        let active = self.active(object);
        let known = self.known();
        let lone = known.ready.get(object).filter(|_| known.lone.contains(object));
        active.into_iter().chain(lone.into_iter().flatten().cloned()).collect()
    }

    /// The object's databases do not replicate.
    #[must_use]
    pub fn lone(&self, object: &str) -> bool {
        self.known().lone.contains(object)
    }

    /// The host that a client of an object is sent to.
    #[must_use]
    pub fn active(&self, object: &str) -> Option<String> {
        let of_it = |host: &String| host.split('.').nth(1) == Some(object);
        self.all().into_iter().find(of_it)
    }
}

/// The pods behind a slice that get traffic, by their DNS names.
fn hosts(slice: &Value, object: &str, namespace: &str) -> Vec<String> {
    let endpoints = slice.get("endpoints").and_then(Value::as_array).into_iter().flatten();
    endpoints
        .filter(|endpoint| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false)))
        .filter_map(|endpoint| endpoint.pointer("/targetRef/name")?.as_str())
        .map(|pod| host(pod, object, namespace))
        .collect()
}

fn host(pod: &str, object: &str, namespace: &str) -> String {
    format!("{pod}.{object}.{namespace}.svc.cluster.local")
}
