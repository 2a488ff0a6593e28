//! Storage classes and persistent volumes.

use serde_json::Value;

use crate::json;

pub(crate) fn default_class(value: &mut Value) {
    let class = json::as_object(value);
    json::default_to(class, "reclaimPolicy", "Delete");
    json::default_to(class, "volumeBindingMode", "Immediate");
}

pub(crate) fn default_volume(value: &mut Value) {
    let spec = json::object_mut(value, "spec");
    json::default_to(spec, "persistentVolumeReclaimPolicy", "Retain");
    json::default_to(spec, "volumeMode", "Filesystem");
    json::default_to(json::object_mut(value, "status"), "phase", "Pending");
}
