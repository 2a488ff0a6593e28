//! Custom kinds: from a `CustomResourceDefinition` to served resources.
//!
//! Owns reading a definition, its `status`, and what else follows from one being stored or removed.

mod check;
mod openapi;
mod structural;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::json;
use crate::registry::{Family, Resource, Subresource, group_version};
use crate::schema::{Schema, Shape, defaulting, pruning};
use crate::state::{State, time};
use crate::store::{Author, GroupResource, Key};

pub(crate) use self::check::faults;

/// A printer column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
}

/// Where the scale subresource finds its numbers.
#[derive(Debug, Clone)]
pub(crate) struct ScalePaths {
    pub(crate) spec: Vec<String>,
    pub(crate) status: Vec<String>,
    pub(crate) selector: Option<Vec<String>>,
}

/// What is known of a version of a custom kind besides its names.
#[derive(Debug, Clone)]
pub(crate) struct Custom {
    pub(crate) schema: Schema,
    /// The schema with that of the metadata of every object, for field ownership.
    pub(crate) tracked: Schema,
    /// The schema of the version that objects are stored in.
    pub(crate) storage_schema: Arc<Schema>,
    /// Whether that one has defaults.
    pub(crate) has_defaults: bool,
    pub(crate) has_rules: bool,
    /// Whether whole objects can be within an object.
    pub(crate) has_embedded: bool,
    /// The definition is going away: nothing new is made.
    pub(crate) terminating: bool,
    pub(crate) status_subresource: bool,
    pub(crate) scale: Option<ScalePaths>,
    pub(crate) columns: Vec<Column>,
    pub(crate) selectable_fields: Vec<String>,
    pub(crate) storage_version: String,
    /// What to warn with if the version is deprecated.
    pub(crate) deprecation: Option<String>,
}

fn strings(value: &Value, path: &[&str]) -> Vec<String> {
    json::list(value, path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The served resources of an established definition.
pub(crate) fn resources(definition: &Value) -> Vec<Resource> {
    let text = |path: &[&str]| json::text(definition, path).to_owned();
    let group = text(&["spec", "group"]);
    let plural = text(&["spec", "names", "plural"]);
    let kind = text(&["spec", "names", "kind"]);
    let id = Arc::new(GroupResource { group: group.clone(), resource: plural.clone() });
    let versions = json::list(definition, &["spec", "versions"]);
    let stored = versions
        .iter()
        .find(|version| json::at(version, &["storage"]) == Some(&Value::Bool(true)))
        .unwrap_or(&Value::Null);
    let storage = Storage {
        version: json::text(stored, &["name"]).to_owned(),
        schema: Arc::new(read_schema(stored)),
        terminating: is_going(definition),
    };
    versions
        .iter()
        .filter(|version| json::at(version, &["served"]) == Some(&Value::Bool(true)))
        .map(|version| {
            let name = json::text(version, &["name"]);
            let mut custom = read_version(version, &group, name, &kind, &storage);
            let better = newest_version(versions).filter(|best| *best != name);
            if let (Some(best), Some(text)) = (better, &mut custom.deprecation)
                && json::text(version, &["deprecationWarning"]).is_empty()
            {
                text.push_str(&format!("; use {group}/{best} {kind}"));
            }
            Resource {
                id: id.clone(),
                group: group.clone(),
                version: name.into(),
                plural: plural.clone(),
                singular: text(&["spec", "names", "singular"]),
                kind: kind.clone(),
                list_kind: text(&["spec", "names", "listKind"]),
                namespaced: json::text(definition, &["spec", "scope"]) == "Namespaced",
                short_names: strings(definition, &["spec", "names", "shortNames"]),
                categories: strings(definition, &["spec", "names", "categories"]),
                verbs: [
                    "delete",
                    "deletecollection",
                    "get",
                    "list",
                    "patch",
                    "create",
                    "update",
                    "watch",
                ]
                .map(str::to_owned)
                .to_vec(),
                subresources: subresources(&custom, &kind),
                family: Family::Custom(Arc::new(custom)),
            }
        })
        .collect()
}

/// The schema of a custom resource as it is written in the definition.
pub(crate) fn written_schema(state: &State, resource: &Resource) -> Option<Value> {
    let key = Key::new("", &format!("{}.{}", resource.plural, resource.group));
    let definition = state.store.get(&identity(), &key)?;
    let versions = json::list(&definition.value, &["spec", "versions"]);
    let version =
        versions.iter().find(|version| json::text(version, &["name"]) == resource.version)?;
    json::at(version, &["schema", "openAPIV3Schema"]).cloned()
}

/// What all versions of a custom kind have in common.
struct Storage {
    version: String,
    schema: Arc<Schema>,
    terminating: bool,
}

fn read_schema(version: &Value) -> Schema {
    json::at(version, &["schema", "openAPIV3Schema"]).map(Schema::read).unwrap_or_default()
}

fn read_version(version: &Value, group: &str, name: &str, kind: &str, storage: &Storage) -> Custom {
    let schema = read_schema(version);
    let path = |key: &str| -> Option<Vec<String>> {
        let path = json::text(version, &["subresources", "scale", key]);
        (!path.is_empty())
            .then(|| path.trim_start_matches('.').split('.').map(str::to_owned).collect())
    };
    let scale = path("specReplicasPath").map(|spec| ScalePaths {
        spec,
        status: path("statusReplicasPath").unwrap_or_default(),
        selector: path("labelSelectorPath"),
    });
    let columns = json::list(version, &["additionalPrinterColumns"]).iter().map(|column| Column {
        name: json::text(column, &["name"]).into(),
        kind: json::text(column, &["type"]).into(),
        format: json::text(column, &["format"]).into(),
        priority: json::int(column, &["priority"]).unwrap_or_default(),
        path: json::text(column, &["jsonPath"]).into(),
    });
    let deprecated = json::at(version, &["deprecated"]) == Some(&Value::Bool(true));
    let warning =
        json::at(version, &["deprecationWarning"]).and_then(Value::as_str).map(str::to_owned);
    Custom {
        tracked: with_metadata(&schema),
        storage_schema: storage.schema.clone(),
        has_defaults: defaulting::has_defaults(&storage.schema),
        has_rules: crate::schema::cel::has_rules(&schema),
        has_embedded: pruning::has_embedded(&schema),
        terminating: storage.terminating,
        schema,
        status_subresource: json::at(version, &["subresources", "status"]).is_some(),
        scale,
        columns: columns.collect(),
        selectable_fields: json::list(version, &["selectableFields"])
            .iter()
            .map(|field| json::text(field, &["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        storage_version: storage.version.clone(),
        deprecation: deprecated.then(|| {
            warning
                .unwrap_or_else(|| format!("{} {kind} is deprecated", group_version(group, name)))
        }),
    }
}

/// The newest served version that is not deprecated.
fn newest_version(versions: &[Value]) -> Option<&str> {
    versions
        .iter()
        .filter(|version| version.get("served") == Some(&Value::Bool(true)))
        .filter(|version| version.get("deprecated") != Some(&Value::Bool(true)))
        .map(|version| json::text(version, &["name"]))
        .max_by_key(|name| crate::discovery::priority(name))
}

fn with_metadata(schema: &Schema) -> Schema {
    let mut root = schema.clone();
    if let Shape::Object { properties, .. } = &mut root.shape {
        let meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta".to_owned();
        let reference = Schema { shape: Shape::Ref(meta), ..Schema::default() };
        properties.insert("metadata".into(), reference);
        for key in ["apiVersion", "kind"] {
            properties.insert(key.into(), Schema { shape: Shape::String, ..Schema::default() });
        }
    }
    root
}

fn subresources(custom: &Custom, kind: &str) -> BTreeMap<String, Subresource> {
    let verbs = ["get", "patch", "update"].map(str::to_owned).to_vec();
    let mut found = BTreeMap::new();
    if custom.status_subresource {
        let sub = Subresource {
            group: String::new(),
            version: String::new(),
            kind: kind.into(),
            verbs: verbs.clone(),
        };
        found.insert("status".to_owned(), sub);
    }
    if custom.scale.is_some() {
        let sub = Subresource {
            group: "autoscaling".into(),
            version: "v1".into(),
            kind: "Scale".into(),
            verbs,
        };
        found.insert("scale".to_owned(), sub);
    }
    found
}

/// Makes up the names a definition leaves out, and what else it gets by default.
pub(crate) fn default_definition(definition: &mut Value) {
    let kind = json::text(definition, &["spec", "names", "kind"]).to_owned();
    if json::text(definition, &["spec", "names", "singular"]).is_empty() {
        json::put(definition, &["spec", "names", "singular"], kind.to_lowercase().into());
    }
    if json::text(definition, &["spec", "names", "listKind"]).is_empty() {
        json::put(definition, &["spec", "names", "listKind"], format!("{kind}List").into());
    }
    if json::at(definition, &["spec", "conversion"]).is_none() {
        json::put(definition, &["spec", "conversion"], json!({"strategy": "None"}));
    }
}

/// The finalizer that keeps a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Notes the version that objects are stored in from now on.
pub(crate) fn keep_status(definition: &mut Value) {
    note_stored_version(definition);
}

/// The status of a definition that was just made.
pub(crate) fn initial_status(definition: &mut Value) {
    let status = json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": []});
    json::put(definition, &["status"], status);
    note_stored_version(definition);
}

fn note_stored_version(definition: &mut Value) {
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
    let stored: Vec<(Key, Arc<Value>)> = state
        .store
        .list(&id, None)
        .map(|(key, stored)| (key.clone(), stored.value.clone()))
        .collect();
    for (key, definition) in stored {
        if is_going(&definition) {
            let group = json::text(&definition, &["spec", "group"]);
            let plural = json::text(&definition, &["spec", "names", "plural"]);
            if is_established(&definition) {
                state.registry.set_custom(group, plural, resources(&definition));
            }
            finish_deletion(state, &id, &key, &definition, &author);
            continue;
        }
        let mut settled = (*definition).clone();
        accept(state, &mut settled);
        let served = if is_established(&settled) { resources(&settled) } else { Vec::new() };
        let (group, plural) = (
            json::text(&settled, &["spec", "group"]),
            json::text(&settled, &["spec", "names", "plural"]),
        );
        state.registry.set_custom(group, plural, served);
        if settled != *definition {
            state.store.put(&id, key, settled, &author);
        }
    }
}

fn identity() -> Arc<GroupResource> {
    Arc::new(GroupResource {
        group: "apiextensions.k8s.io".into(),
        resource: "customresourcedefinitions".into(),
    })
}

fn is_going(definition: &Value) -> bool {
    json::at(definition, &["metadata", "deletionTimestamp"]).is_some()
}

/// Lets a definition go whose last object went.
pub(crate) fn after_object(state: &mut State, group: &str, plural: &str) {
    let key = Key::new("", &format!("{plural}.{group}"));
    let definition = state.store.get(&identity(), &key);
    if definition.is_some_and(|definition| is_going(&definition.value)) {
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
        .map(|(key, stored)| (key.clone(), stored.value.clone()))
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
    let terminating = |condition: &Value| json::text(condition, &["type"]) == "Terminating";
    let mut conditions = json::list(definition, &["status", "conditions"]).to_vec();
    if !conditions.iter().any(terminating) {
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
fn is_established(definition: &Value) -> bool {
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
