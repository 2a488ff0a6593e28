//! Cells of accounts, roles, certificates and served APIs.

use jiff::Timestamp;
use serde_json::Value;

use crate::json;
use crate::table::age_of;
use crate::table::pod::{condition, is_true};

pub(in crate::table) fn account_secrets(item: &Value, _: Timestamp) -> Value {
    json::list(item, &["secrets"]).len().into()
}

pub(in crate::table) fn role(item: &Value, _: Timestamp) -> Value {
    let text = |key: &str| json::text(item, &["roleRef", key]);
    format!("{}/{}", text("kind"), text("name")).into()
}

fn subjects(item: &Value, kind: &str) -> Value {
    let subjects = json::list(item, &["subjects"]).iter();
    let names = subjects.filter(|subject| json::text(subject, &["kind"]) == kind).map(|subject| {
        let name = json::text(subject, &["name"]);
        if kind == "ServiceAccount" {
            format!("{}/{name}", json::text(subject, &["namespace"]))
        } else {
            name.to_owned()
        }
    });
    names.collect::<Vec<_>>().join(", ").into()
}

pub(in crate::table) fn users(item: &Value, _: Timestamp) -> Value {
    subjects(item, "User")
}

pub(in crate::table) fn groups(item: &Value, _: Timestamp) -> Value {
    subjects(item, "Group")
}

pub(in crate::table) fn service_accounts(item: &Value, _: Timestamp) -> Value {
    subjects(item, "ServiceAccount")
}

pub(in crate::table) fn requested_duration(item: &Value, now: Timestamp) -> Value {
    let seconds = json::int(item, &["spec", "expirationSeconds"]);
    let since = seconds.and_then(|seconds| Timestamp::from_second(now.as_second() - seconds).ok());
    since.map_or("<none>".into(), |since| age_of(&since.to_string(), now).into())
}

pub(in crate::table) fn approval(item: &Value, _: Timestamp) -> Value {
    let mut words = Vec::new();
    match (condition(item, "Denied"), condition(item, "Approved")) {
        (Some(_), _) => words.push("Denied"),
        (None, Some(_)) => words.push("Approved"),
        (None, None) if condition(item, "Failed").is_none() => words.push("Pending"),
        (None, None) => {}
    }
    if condition(item, "Failed").is_some() {
        words.push("Failed");
    }
    if !json::text(item, &["status", "certificate"]).is_empty() {
        words.push("Issued");
    }
    words.join(",").into()
}

pub(in crate::table) fn api_service(item: &Value, _: Timestamp) -> Value {
    let text = |key: &str| json::text(item, &["spec", "service", key]);
    match text("name") {
        "" => "Local".into(),
        name => format!("{}/{name}", text("namespace")).into(),
    }
}

pub(in crate::table) fn available(item: &Value, _: Timestamp) -> Value {
    if is_true(item, "Available") {
        return "True".into();
    }
    match condition(item, "Available") {
        Some(known) => {
            let text = |key: &str| json::text(known, &[key]);
            format!("{} ({})", text("status"), text("reason")).into()
        }
        None => "Unknown".into(),
    }
}
