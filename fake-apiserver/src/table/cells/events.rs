//! Cells of events: each group of the API has other names for the same.

use jiff::Timestamp;
use serde_json::Value;

use crate::json;
use crate::table::age_of;

/// The first text that is there.
fn first<'a>(item: &'a Value, paths: &[&[&str]]) -> &'a str {
    let mut texts = paths.iter().map(|path| json::text(item, path));
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}

pub(in crate::table) fn last_seen(item: &Value, now: Timestamp) -> Value {
    let series: &[&str] = &["series", "lastObservedTime"];
    let paths = [series, &["lastTimestamp"], &["deprecatedLastTimestamp"], &["eventTime"]];
    age_of(first(item, &paths), now).into()
}

pub(in crate::table) fn first_seen(item: &Value, now: Timestamp) -> Value {
    let paths: [&[&str]; 3] = [&["firstTimestamp"], &["deprecatedFirstTimestamp"], &["eventTime"]];
    age_of(first(item, &paths), now).into()
}

pub(in crate::table) fn event_object(item: &Value, _: Timestamp) -> Value {
    let text = |key: &str| first(item, &[&["involvedObject", key], &["regarding", key]]);
    format!("{}/{}", text("kind").to_lowercase(), text("name")).into()
}

pub(in crate::table) fn event_source(item: &Value, _: Timestamp) -> Value {
    let host = first(item, &[&["source", "host"], &["deprecatedSource", "host"]]);
    let paths: [&[&str]; 4] = [
        &["source", "component"],
        &["deprecatedSource", "component"],
        &["reportingComponent"],
        &["reportingController"],
    ];
    let who = first(item, &paths);
    if host.is_empty() { who.into() } else { format!("{who}, {host}").into() }
}

pub(in crate::table) fn event_message(item: &Value, _: Timestamp) -> Value {
    first(item, &[&["message"], &["note"]]).trim().into()
}

pub(in crate::table) fn event_count(item: &Value, _: Timestamp) -> Value {
    let paths = [&["series", "count"][..], &["count"], &["deprecatedCount"]];
    paths.iter().find_map(|path| json::int(item, path)).unwrap_or(1).into()
}
