//! Where clients are sent: the endpoints of the Service that selects the active, as the API has
//! them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fake_apiserver::{Change, ChangeKind};
use serde_json::Value;

/// The label that names a slice's Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The endpoints of the active Services.
#[derive(Clone, Default)]
pub struct Routes(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Routes {
    /// Takes note of a change in the API.
    pub fn note(&self, change: &Change) {
        if change.resource != "endpointslices" {
            return;
        }
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
        let mut slices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.is_empty() {
            slices.remove(&change.name);
        } else {
            slices.insert(change.name.clone(), hosts);
        }
    }

    /// Every host that clients are sent to.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let slices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slices.values().flatten().cloned().collect()
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
        .map(|pod| format!("{pod}.{object}.{namespace}.svc.cluster.local"))
        .collect()
}
