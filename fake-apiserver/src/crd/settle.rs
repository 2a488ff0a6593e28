//! What follows from a definition being stored or removed: its `status`, what is served, the end of its objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{resources, strings};
use crate::json;
use crate::registry::Resource;
use crate::state::{State, time};
use crate::store::{Author, GroupResource, Key};

/// The finalizer that keeps a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The status of a definition that was just made.
pub(crate) fn initial_status(definition: &mut Value) {
    let status = json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": []});
    json::put(definition, &["status"], status);
    note_stored_version(definition);
}

/// Notes the version that objects are stored in from now on.
pub(crate) fn note_stored_version(definition: &mut Value) {
    let storage = json::list(definition, &["spec", "versions"])
        .iter()
        .find(|version| json::at(version, &["storage"]) == Some(&Value::Bool(true)))
        .map(|version| json::text(version, &["name"]).to_owned());
    let mut stored = strings(definition, &["status", "storedVersions"]);
    if let Some(storage) = storage.filter(|name| !stored.contains(name)) {
        stored.push(storage);
        json::put(definition, &["status", "storedVersions"], stored.into());
    }
}

/// Brings what is served in line with the stored definitions, and tells so in their status.
///
/// On a real server controllers do this a moment later; here it follows each write of a definition.
pub(crate) fn settle(state: &mut State) {
    let id = identity();
    let author = Author { at: state.now(), user_agent: "kube-apiserver".into() };
    let stored: Vec<(Key, Arc<Value>)> =
        state.store.list(&id, None).map(|(key, stored)| (key.clone(), stored.value())).collect();
    for (key, definition) in stored {
        if is_going(&definition) {
            serve(state, &definition);
            finish_deletion(state, &id, &key, &definition, &author);
            continue;
        }
        let mut settled = (*definition).clone();
        accept(state, &mut settled);
        serve(state, &settled);
        if settled != *definition {
            state.store.put(&id, key, settled, &author);
        }
    }
}

/// Serves what a definition defines. It is read again only when it has changed.
fn serve(state: &mut State, definition: &Value) {
    let (group, plural) = (
        json::text(definition, &["spec", "group"]),
        json::text(definition, &["spec", "names", "plural"]),
    );
    let source = super::source(definition);
    let known = |resource: &Arc<Resource>| {
        resource.group == group
            && resource.plural == plural
            && resource.custom().is_some_and(|custom| custom.source == source)
    };
    if !is_established(definition) {
        state.registry.set_custom(group, plural, Vec::new());
    } else if !state.registry.custom().any(known) {
        state.registry.set_custom(group, plural, resources(definition));
    }
}

pub(super) fn identity() -> Arc<GroupResource> {
    Arc::new(GroupResource {
        group: "apiextensions.k8s.io".into(),
        resource: "customresourcedefinitions".into(),
    })
}

pub(super) fn is_going(definition: &Value) -> bool {
    json::at(definition, &["metadata", "deletionTimestamp"]).is_some()
}

/// Lets a definition go whose last object went.
pub(crate) fn after_object(state: &mut State, group: &str, plural: &str) {
    let key = Key::new("", &format!("{plural}.{group}"));
    let definition = state.store.get(&identity(), &key);
    if definition.is_some_and(|definition| is_going(&definition.value())) {
        settle(state);
    }
}

/// Deletes the objects of a definition that is going away, then the definition.
fn finish_deletion(
    state: &mut State,
    id: &Arc<GroupResource>,
    key: &Key,
    definition: &Value,
    author: &Author,
) {
    let group = json::text(definition, &["spec", "group"]);
    let plural = json::text(definition, &["spec", "names", "plural"]);
    let objects = Arc::new(GroupResource { group: group.into(), resource: plural.into() });
    let present: Vec<(Key, Arc<Value>)> = state
        .store
        .list(&objects, None)
        .map(|(key, stored)| (key.clone(), stored.value()))
        .collect();
    for (key, object) in present {
        let marked = json::at(&object, &["metadata", "deletionTimestamp"]).is_some();
        let mut last = (*object).clone();
        if json::list(&object, &["metadata", "finalizers"]).is_empty() {
            state.store.remove(&objects, key, last, author);
        } else if !marked {
            let metadata = json::metadata_mut(&mut last);
            metadata.insert("deletionTimestamp".into(), time(author.at).into());
            metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
            state.store.put(&objects, key, last, author);
        }
    }
    let only_cleanup =
        json::list(definition, &["metadata", "finalizers"]).iter().all(|known| known == CLEANUP);
    if only_cleanup && state.store.list(&objects, None).next().is_none() {
        state.registry.set_custom(group, plural, Vec::new());
        state.store.remove(id, key.clone(), definition.clone(), author);
        settle(state);
        return;
    }
    let mut conditions = json::list(definition, &["status", "conditions"]).to_vec();
    if !conditions.iter().any(|known| json::text(known, &["type"]) == "Terminating") {
        conditions.push(json!({
            "type": "Terminating", "status": "True", "reason": "InstanceDeletionInProgress",
            "message": "CustomResource deletion is in progress", "lastTransitionTime": time(author.at),
        }));
        let mut told = definition.clone();
        json::put(&mut told, &["status", "conditions"], conditions.into());
        state.store.put(id, key.clone(), told, author);
    }
}

/// Works out which names of a definition are accepted, and whether it is established.
fn accept(state: &State, definition: &mut Value) {
    let (accepted, conflict) = accepted_names(state, definition);
    let was = json::list(definition, &["status", "conditions"]).to_vec();
    let now = time(state.now());
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let before = was.iter().find(|known| json::text(known, &["type"]) == kind);
        let since = match before {
            Some(known) if json::text(known, &["status"]) == status => {
                json::text(known, &["lastTransitionTime"])
            }
            _ => now.as_str(),
        };
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
    };
    let established = condition(
        "Established",
        "True",
        "InitialNamesAccepted",
        "the initial names have been accepted",
    );
    let conditions = match &conflict {
        None => json!([
            condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            established
        ]),
        Some((reason, message)) => json!([
            condition("NamesAccepted", "False", reason, message),
            if is_established(definition) {
                established
            } else {
                condition("Established", "False", "NotAccepted", "not all names are accepted")
            },
        ]),
    };
    json::put(definition, &["status", "conditions"], conditions);
    json::put(definition, &["status", "acceptedNames"], accepted);
    note_stored_version(definition);
}

/// Whether a definition is established.
pub(super) fn is_established(definition: &Value) -> bool {
    json::list(definition, &["status", "conditions"]).iter().any(|known| {
        json::text(known, &["type"]) == "Established" && json::text(known, &["status"]) == "True"
    })
}

/// The names that are free, and the last conflict found.
fn accepted_names(state: &State, definition: &Value) -> (Value, Option<(&'static str, String)>) {
    let group = json::text(definition, &["spec", "group"]);
    let names = json::at(definition, &["spec", "names"]).cloned().unwrap_or_default();
    let plural = json::text(&names, &["plural"]);
    let others: Vec<&Arc<Resource>> = state
        .registry
        .custom()
        .filter(|other| other.group == group && other.plural != plural)
        .collect();
    let taken = |name: &str| {
        others.iter().any(|other| {
            other.plural == name
                || other.singular == name
                || other.short_names.iter().any(|short| short == name)
        })
    };
    let kind_taken =
        |kind: &str| others.iter().any(|other| other.kind == kind || other.list_kind == kind);
    let mut accepted = names.clone();
    let mut conflict = None;
    for (key, reason) in [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("kind", "KindConflict"),
        ("listKind", "ListKindConflict"),
    ] {
        let name = json::text(&names, &[key]);
        let clash =
            if key.to_lowercase().contains("kind") { kind_taken(name) } else { taken(name) };
        if !name.is_empty() && clash {
            conflict = Some((reason, format!("{name:?} is already in use")));
            if key == "kind" || key == "plural" {
                json::put(&mut accepted, &[key], "".into());
            } else {
                json::take(&mut accepted, &[key]);
            }
        }
    }
    if let Some(short) = strings(&names, &["shortNames"]).into_iter().find(|short| taken(short)) {
        conflict = Some(("ShortNamesConflict", format!("{short:?} is already in use")));
        json::take(&mut accepted, &["shortNames"]);
    }
    (accepted, conflict)
}
