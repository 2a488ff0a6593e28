//! Field ownership (`managedFields`) and server-side apply.
//!
//! Owns who set which field, conflicts, and merging a configuration into an object.

mod fieldset;
mod merge;

use serde_json::{Value, json};

use self::fieldset::FieldSet;
use crate::json;
use crate::refusal::{Cause, Refusal, quote};
use crate::registry::Resource;
use crate::schema::Schema;
use crate::state::time;
use crate::verbs::Call;

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
struct Manager {
    name: String,
    operation: String,
    api_version: String,
    subresource: String,
    time: String,
    fields: FieldSet,
}

impl Manager {
    fn read(entry: &Value) -> Self {
        let text = |key: &str| json::text(entry, &[key]).to_owned();
        Self {
            name: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: FieldSet::read(json::at(entry, &["fieldsV1"]).unwrap_or(&Value::Null)),
        }
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.name, "operation": self.operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.write(),
        });
        if !self.time.is_empty() {
            json::put(&mut entry, &["time"], self.time.as_str().into());
        }
        if !self.subresource.is_empty() {
            json::put(&mut entry, &["subresource"], self.subresource.as_str().into());
        }
        entry
    }

    fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == "Apply" || self.api_version == other.api_version)
    }

    fn shown(&self, by_version: bool) -> String {
        let mut text = quote(&self.name);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {}", quote(&self.subresource));
        }
        if self.operation == "Update" || by_version {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

fn managers(object: &Value) -> Vec<Manager> {
    json::list(object, &["metadata", "managedFields"]).iter().map(Manager::read).collect()
}

fn set_managers(object: &mut Value, mut managers: Vec<Manager>) {
    managers.retain(|manager| !manager.fields.is_empty());
    managers.sort_by(|a, b| {
        let order = |manager: &Manager| {
            (manager.operation == "Update", manager.time.clone(), manager.name.clone())
        };
        order(a).cmp(&order(b))
    });
    let metadata = json::metadata_mut(object);
    if managers.is_empty() {
        metadata.remove("managedFields");
    } else {
        let entries: Vec<Value> = managers.iter().map(Manager::write).collect();
        metadata.insert("managedFields".into(), entries.into());
    }
}

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

fn bare(object: &Value) -> Value {
    let mut value = object.clone();
    json::metadata_mut(&mut value).remove("managedFields");
    value
}

/// Whether two versions of an object differ in nothing but the times of their managers.
pub(crate) fn same_but_times(a: &Value, b: &Value) -> bool {
    let strip = |object: &Value| -> Vec<Manager> {
        let mut all = managers(object);
        all.iter_mut().for_each(|manager| manager.time.clear());
        all.sort_by(|a, b| {
            (&a.name, &a.operation, &a.subresource).cmp(&(&b.name, &b.operation, &b.subresource))
        });
        all
    };
    bare(a) == bare(b) && strip(a) == strip(b)
}

/// Records what an update or a create changed: the writer owns it from now on, others no longer.
pub(crate) fn track_update(old: Option<&Value>, new: &mut Value, call: &Call<'_>) {
    let told = json::at(new, &["metadata", "managedFields"]).cloned();
    let wiped = told.as_ref().is_some_and(|told| {
        let entries = told.as_array().map(Vec::as_slice).unwrap_or_default();
        entries.is_empty()
            || entries.iter().all(|entry| entry.as_object().is_some_and(serde_json::Map::is_empty))
    });
    if let (true, Some(_)) = (wiped, old) {
        json::metadata_mut(new).remove("managedFields");
        return;
    }
    let mut all = match (&told, old) {
        (Some(_), _) => managers(new),
        (None, Some(old)) => managers(old),
        (None, None) => Vec::new(),
    };
    let schema = tracked(&call.resource);
    let (before, after) = (old.map(bare), bare(new));
    let changed = owned_through(FieldSet::changed(before.as_ref(), &after, schema), call);
    let removed = before.map_or_else(FieldSet::default, |before| {
        FieldSet::whole(&before, schema).difference(&FieldSet::whole(&after, schema))
    });
    let mut writer = Manager {
        name: call.manager.clone(),
        operation: "Update".into(),
        api_version: call.resource.api_version(),
        subresource: call.subresource().unwrap_or_default().into(),
        time: time(call.now()),
        fields: changed.clone(),
    };
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
    set_managers(new, all);
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
    let empty = json!({
        "apiVersion": call.resource.api_version(), "kind": call.resource.kind,
        "metadata": {"name": call.name()},
    });
    let before = bare(live.unwrap_or(&empty));
    let mut config = config.clone();
    json::metadata_mut(&mut config).insert("name".into(), call.name().into());
    if !call.namespace().is_empty() && json::text(&config, &["metadata", "namespace"]).is_empty() {
        json::metadata_mut(&mut config).insert("namespace".into(), call.namespace().into());
    }
    let mut all = live.map(managers).unwrap_or_default();
    let mut writer = Manager {
        name: call.manager.clone(),
        operation: "Apply".into(),
        api_version: call.resource.api_version(),
        subresource: call.subresource().unwrap_or_default().into(),
        time: time(call.now()),
        fields: owned_through(FieldSet::of(&config, schema), call),
    };
    let mine = all.iter().position(|manager| manager.is(&writer));
    let last = mine.map(|index| all.remove(index));
    let mut merged = merge::merge(&before, &config, schema);
    if let Some(last) = &last {
        let others =
            all.iter().fold(writer.fields.clone(), |set, manager| set.union(&manager.fields));
        let dropped = last.fields.difference(&others);
        merge::remove(&mut merged, &dropped, &others, schema);
    }
    let changed = without_unowned(FieldSet::changed(Some(&before), &merged, schema));
    settle_conflicts(&mut all, &changed, force, call)?;
    let removed = FieldSet::whole(&before, schema).difference(&FieldSet::whole(&merged, schema));
    for manager in &mut all {
        manager.fields = manager.fields.difference(&removed);
    }
    // Only a writer that changes the object leaves its time.
    let unchanged = live.is_some() && merged == before;
    match last {
        Some(last) if unchanged || last.fields == writer.fields => writer.time = last.time,
        None if unchanged => writer.time = String::new(),
        _ => {}
    }
    all.push(writer);
    set_managers(&mut merged, all);
    Ok(merged)
}

/// Refuses to change what others own, or takes it over by force.
fn settle_conflicts(
    all: &mut [Manager],
    changed: &FieldSet,
    force: bool,
    call: &Call<'_>,
) -> Result<(), Refusal> {
    let version = call.resource.api_version();
    let mut found: Vec<(String, String)> = Vec::new();
    for manager in all.iter_mut() {
        let both = manager.fields.intersection(changed);
        if both.is_empty() {
            continue;
        }
        if force {
            manager.fields = manager.fields.difference(&both);
        } else {
            let who = manager.shown(manager.api_version != version);
            found.extend(both.paths().into_iter().map(|path| (who.clone(), path)));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    found.sort();
    let causes: Vec<Cause> = found
        .iter()
        .map(|(who, path)| {
            Cause::new("FieldManagerConflict", format!("conflict with {who}"), path.as_str())
        })
        .collect();
    let message = match found.as_slice() {
        [(who, path)] => format!("Apply failed with 1 conflict: conflict with {who}: {path}"),
        many => {
            let mut lines = format!("Apply failed with {} conflicts: ", many.len());
            let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
            for (who, path) in many {
                match groups.last_mut().filter(|(known, _)| known == who) {
                    Some((_, paths)) => paths.push(path),
                    None => groups.push((who, vec![path])),
                }
            }
            let texts: Vec<String> = groups
                .iter()
                .map(|(who, paths)| format!("conflicts with {who}:\n- {}", paths.join("\n- ")))
                .collect();
            lines += &texts.join("\n");
            lines
        }
    };
    Err(Refusal::apply_conflict(message, &causes))
}
