//! The Secret that agents and operator know each other by.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::{Parts, metadata};
use crate::desired::Desired;

/// Builds it.
pub(super) fn build(desired: &Desired, parts: &Parts) -> Secret {
    let data = parts.secret.iter().map(|(key, value)| (key.clone(), ByteString(value.clone())));
    Secret {
        metadata: metadata(desired, &desired.object_names().secret),
        type_: Some("Opaque".into()),
        data: Some(data.collect()),
        ..Secret::default()
    }
}
