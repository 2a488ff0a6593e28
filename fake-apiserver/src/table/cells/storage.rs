//! Cells of volumes, claims and classes.

use jiff::Timestamp;
use serde_json::Value;

use super::{flag, joined};
use crate::json;

fn modes(item: &Value, path: &[&str]) -> Value {
    joined(json::list(item, path).iter().map(|mode| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    }))
}

pub(in crate::table) fn claim_modes(item: &Value, _: Timestamp) -> Value {
    // An unbound claim has none yet.
    modes(item, &["status", "accessModes"])
}

pub(in crate::table) fn volume_modes(item: &Value, _: Timestamp) -> Value {
    modes(item, &["spec", "accessModes"])
}

fn phase(item: &Value) -> Value {
    let going = json::at(item, &["metadata", "deletionTimestamp"]).is_some();
    if going { "Terminating".into() } else { json::text(item, &["status", "phase"]).into() }
}

pub(in crate::table) fn claim_status(item: &Value, _: Timestamp) -> Value {
    phase(item)
}

pub(in crate::table) fn volume_status(item: &Value, _: Timestamp) -> Value {
    phase(item)
}

pub(in crate::table) fn volume_claim(item: &Value, _: Timestamp) -> Value {
    let text = |key: &str| json::text(item, &["spec", "claimRef", key]);
    match text("name") {
        "" => "".into(),
        name => format!("{}/{name}", text("namespace")).into(),
    }
}

pub(in crate::table) fn expansion(item: &Value, _: Timestamp) -> Value {
    flag(item, &["allowVolumeExpansion"]).to_string().into()
}

pub(in crate::table) fn attached(item: &Value, _: Timestamp) -> Value {
    flag(item, &["status", "attached"]).to_string().into()
}
