//! Field ownership (`managedFields`) and server-side apply.
//!
//! Owns who set which field, conflicts, and merging a configuration into an object.

mod conflicts;
mod fieldset;
mod last_applied;
mod managers;
mod merge;
mod typed;

use serde_json::{Value, json};

use self::fieldset::FieldSet;
use self::managers::{Manager, cap, managers, set_managers};
use crate::json;
use crate::refusal::Refusal;
use crate::registry::Resource;
use crate::schema::Schema;
use crate::state::time;
use crate::verbs::Call;

/// The fields that nobody owns: what identifies an object, and what the server keeps.
fn without_unowned(set: FieldSet) -> FieldSet {
    let mut set = set.without(&["f:apiVersion"]).without(&["f:kind"]);
    for key in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "selfLink",
        "generation",
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        set = set.without(&["f:metadata", &format!("f:{key}")]);
    }
    set.without_frames()
}

/// The fields that a request can own: not the status of the main resource, nothing but the status of that one.
fn owned_through(set: FieldSet, call: &Call<'_>) -> FieldSet {
    let set = without_unowned(set);
    let resource = &call.resource;
    match call.subresource() {
        Some("status") if resource.custom().is_some() => set.only(&["f:status"]),
        Some("status") => set.without(&["f:spec"]),
        _ if resource.subresources.contains_key("status") => set.without(&["f:status"]),
        _ => set,
    }
}

/// The schema of a kind as field ownership sees it: with the metadata of every object.
fn tracked(resource: &Resource) -> &Schema {
    resource.custom().map_or_else(|| resource.schema(), |custom| &custom.tracked)
}

/// Whether two versions of an object differ in nothing but the times of their managers.
pub(crate) fn same_but_times(a: &Value, b: &Value) -> bool {
    let timeless = |object: &Value| -> Vec<Manager> {
        let mut all = managers(object);
        all.iter_mut().for_each(|manager| manager.time.clear());
        all.sort_by(|a, b| {
            (&a.name, &a.operation, &a.subresource).cmp(&(&b.name, &b.operation, &b.subresource))
        });
        all
    };
    let path = ["metadata", "managedFields"];
    let equal = || json::at(a, &path) == json::at(b, &path) || timeless(a) == timeless(b);
    same_but_managers(a, b) && equal()
}

fn same_but_managers(a: &Value, b: &Value) -> bool {
    let metadata = |object| json::at(object, &["metadata"]).unwrap_or(&Value::Null);
    same_but(a, b, "metadata") && same_but(metadata(a), metadata(b), "managedFields")
}

/// Whether two objects agree in all fields but one.
fn same_but(a: &Value, b: &Value, skipped: &str) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let counts = |(key, _): &(&String, &Value)| key.as_str() != skipped;
            a.iter().filter(counts).eq(b.iter().filter(counts))
        }
        _ => a == b,
    }
}

/// Records what an update or a create changed: the writer owns it from now on, others no longer.
///
/// Whoever emptied the list wants no ownership: it begins again with the next apply.
pub(crate) fn track_update(old: Option<&Value>, new: &mut Value, call: &Call<'_>) {
    let told = json::at(new, &["metadata", "managedFields"]).and_then(Value::as_array);
    let wiped = told.is_some_and(|told| {
        told.iter().all(|entry| entry.as_object().is_some_and(serde_json::Map::is_empty))
    });
    let had = old.map(|old| json::list(old, &["metadata", "managedFields"]));
    let entries = told.map(Vec::as_slice).or(had).unwrap_or_default();
    if old.is_some() && (wiped || entries.is_empty()) {
        json::metadata_mut(new).remove("managedFields");
        return;
    }
    let schema = tracked(&call.resource);
    let changed = owned_through(FieldSet::changed(old, new, schema), call);
    let removed = old.map_or_else(FieldSet::default, |old| FieldSet::removed(old, new, schema));
    let mut writer = writer(call, "Update", changed);
    if had == Some(entries) && stay(entries, &writer, &removed) {
        let entries = entries.to_vec();
        json::metadata_mut(new).insert("managedFields".into(), entries.into());
        return;
    }
    let mut all: Vec<Manager> = entries.iter().map(Manager::read).collect();
    let changed = writer.fields.clone();
    let mine = all.iter().position(|manager| manager.is(&writer));
    for (index, manager) in all.iter_mut().enumerate() {
        let kept = manager.fields.difference(&removed);
        manager.fields = if Some(index) == mine { kept } else { kept.difference(&changed) };
    }
    match mine.and_then(|index| all.get_mut(index)) {
        Some(entry) => {
            writer.fields = entry.fields.union(&changed);
            if writer.fields != entry.fields {
                *entry = writer;
            }
        }
        None => all.push(writer),
    }
    all.retain(|manager| !manager.fields.is_empty());
    cap(&mut all);
    set_managers(new, all);
}

/// Whether a write leaves all entries as they are: the writer owns what it changed already, nobody else any of it, and
/// nothing that somebody owns is gone. Most writes do, and need no more than a look.
fn stay(entries: &[Value], writer: &Manager, removed: &FieldSet) -> bool {
    let stays = |entry: &Value| {
        let fields = json::at(entry, &["fieldsV1"]).unwrap_or(&Value::Null);
        let as_it_is = match writer.wrote(entry) {
            true => writer.fields.is_within(fields),
            false => !writer.fields.overlaps(fields),
        };
        as_it_is && !removed.overlaps(fields)
    };
    entries.iter().all(stays) && entries.iter().any(|entry| writer.wrote(entry))
}

/// The entry of whoever makes a call.
fn writer(call: &Call<'_>, operation: &str, fields: FieldSet) -> Manager {
    Manager {
        name: call.manager.clone(),
        operation: operation.into(),
        api_version: call.resource.api_version(),
        subresource: call.subresource().unwrap_or_default().into(),
        time: time(call.now()),
        fields,
    }
}

/// Checks what an applied configuration must and must not say.
pub(crate) fn check_config(config: &Value, call: &Call<'_>) -> Result<(), Refusal> {
    let (version, kind) = (json::text(config, &["apiVersion"]), json::text(config, &["kind"]));
    if version != call.resource.api_version() || kind != call.resource.kind {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        return Err(Refusal::bad_request(format!(
            "invalid object type: {group}/{version}, Kind={kind}"
        )));
    }
    if json::at(config, &["metadata", "managedFields"])
        .is_some_and(|fields| fields.as_array().is_none_or(|l| !l.is_empty()))
    {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let told = json::text(config, &["metadata", "name"]);
    if !told.is_empty() && told != call.name() {
        let message = format!(
            "the name of the object ({told}) does not match the name on the URL ({})",
            call.name()
        );
        return Err(Refusal::bad_request(message));
    }
    Ok(())
}

/// The object after an apply, with its managers.
pub(crate) fn applied(
    live: Option<&Value>,
    config: &Value,
    call: &Call<'_>,
    force: bool,
) -> Result<Value, Refusal> {
    let schema = tracked(&call.resource);
    typed::check(config, schema, call)?;
    let allowed = last_applied::allowed(live, schema, call);
    let mut merged = merged(live, config, call, force, &allowed)?;
    last_applied::note(&mut merged, config, call);
    Ok(merged)
}

/// Who owned everything that was there before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Merges a configuration. Conflicts over the `allowed` fields alone are won by it.
fn merged(
    live: Option<&Value>,
    config: &Value,
    call: &Call<'_>,
    force: bool,
    allowed: &FieldSet,
) -> Result<Value, Refusal> {
    let schema = tracked(&call.resource);
    let empty = json!({
        "apiVersion": call.resource.api_version(), "kind": call.resource.kind,
        "metadata": {"name": call.name()},
    });
    let before = live.unwrap_or(&empty);
    let config = identified(config, call);
    let mut all = live.map(managers).unwrap_or_default();
    if let (Some(live), true) = (live, all.is_empty()) {
        let whole = owned_through(FieldSet::changed(None, live, schema), call);
        all.push(Manager { name: BEFORE_FIRST_APPLY.into(), ..writer(call, "Update", whole) });
    }
    let mut writer = writer(call, "Apply", owned_through(FieldSet::of(&config, schema), call));
    let mine = all.iter().position(|manager| manager.is(&writer));
    let last = mine.map(|index| all.remove(index));
    let mut merged = merge::merge(before, &config, schema);
    if let Some(last) = &last {
        let others =
            all.iter().fold(writer.fields.clone(), |set, manager| set.union(&manager.fields));
        let dropped = last.fields.difference(&others);
        merge::remove(&mut merged, &dropped, &others, schema);
    }
    let all_changed = FieldSet::changed(Some(before), &merged, schema);
    let no_change = all_changed.is_empty();
    let changed = without_unowned(all_changed);
    let removed = FieldSet::removed(before, &merged, schema);
    conflicts::settle(&mut all, &changed, allowed, force)?;
    for manager in &mut all {
        manager.fields = manager.fields.difference(&removed);
    }
    // Only a writer that changes the object leaves its time; another order in a list of elements is no change.
    if let (Some(live), true) = (live, no_change && removed.is_empty()) {
        writer.time = last.map(|last| last.time).unwrap_or_default();
        merged = live.clone();
    }
    all.push(writer);
    set_managers(&mut merged, all);
    Ok(merged)
}

/// A configuration with the name and the namespace of its path.
fn identified(config: &Value, call: &Call<'_>) -> Value {
    let mut config = config.clone();
    let metadata = json::metadata_mut(&mut config);
    metadata.insert("name".into(), call.name().into());
    let namespaced =
        metadata.get("namespace").and_then(Value::as_str).is_some_and(|n| !n.is_empty());
    if !call.namespace().is_empty() && !namespaced {
        metadata.insert("namespace".into(), call.namespace().into());
    }
    config
}
