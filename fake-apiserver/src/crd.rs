//! Custom kinds: from a `CustomResourceDefinition` to served resources.
//!
//! Owns reading a definition, its `status`, and what else follows from one being stored or removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::json;
use crate::registry::{Family, Resource, Subresource, group_version};
use crate::schema::Schema;
use crate::state::{State, time};
use crate::store::GroupResource;

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
    pub(crate) has_rules: bool,
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
    let storage_version = versions
        .iter()
        .find(|version| json::at(version, &["storage"]) == Some(&Value::Bool(true)))
        .map(|version| json::text(version, &["name"]).to_owned())
        .unwrap_or_default();
    versions
        .iter()
        .filter(|version| json::at(version, &["served"]) == Some(&Value::Bool(true)))
        .map(|version| {
            let name = json::text(version, &["name"]);
            let mut custom = read_version(version, &group, name, &kind, &storage_version);
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

fn read_version(
    version: &Value,
    group: &str,
    name: &str,
    kind: &str,
    storage_version: &str,
) -> Custom {
    let schema =
        json::at(version, &["schema", "openAPIV3Schema"]).map(Schema::read).unwrap_or_default();
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
        has_rules: crate::schema::cel::has_rules(&schema),
        schema,
        status_subresource: json::at(version, &["subresources", "status"]).is_some(),
        scale,
        columns: columns.collect(),
        selectable_fields: json::list(version, &["selectableFields"])
            .iter()
            .map(|field| json::text(field, &["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        storage_version: storage_version.to_owned(),
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

/// Serves what a stored definition defines, if its names are free, and tells so in its status.
pub(crate) fn accept(state: &State, definition: &mut Value) {
    let names = json::at(definition, &["spec", "names"]).cloned().unwrap_or_default();
    let conflict = conflict(state, definition);
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
    let was_established = was.iter().any(|known| {
        json::text(known, &["type"]) == "Established" && json::text(known, &["status"]) == "True"
    });
    let conditions = match &conflict {
        None => json!([
            condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ),
        ]),
        Some((reason, message)) if !was_established => json!([
            condition("NamesAccepted", "False", reason, message),
            condition("Established", "False", "NotAccepted", "not all names are accepted"),
        ]),
        Some((reason, message)) => json!([
            condition("NamesAccepted", "False", reason, message),
            condition(
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ),
        ]),
    };
    json::put(definition, &["status", "conditions"], conditions);
    if conflict.is_none() {
        json::put(definition, &["status", "acceptedNames"], names);
    } else if json::at(definition, &["status", "acceptedNames"]).is_none() {
        json::put(definition, &["status", "acceptedNames"], json!({"kind": "", "plural": ""}));
    }
    let storage = json::list(definition, &["spec", "versions"])
        .iter()
        .find(|version| json::at(version, &["storage"]) == Some(&Value::Bool(true)))
        .map(|version| json::text(version, &["name"]).to_owned());
    let mut stored = strings(definition, &["status", "storedVersions"]);
    if let Some(storage) = storage.filter(|name| !stored.contains(name)) {
        stored.push(storage);
    }
    json::put(definition, &["status", "storedVersions"], stored.into());
}

/// Whether a definition is established.
pub(crate) fn is_established(definition: &Value) -> bool {
    json::list(definition, &["status", "conditions"]).iter().any(|known| {
        json::text(known, &["type"]) == "Established" && json::text(known, &["status"]) == "True"
    })
}

/// The name that another definition of the group has taken.
fn conflict(state: &State, definition: &Value) -> Option<(&'static str, String)> {
    let group = json::text(definition, &["spec", "group"]);
    let plural = json::text(definition, &["spec", "names", "plural"]);
    let names = |path: &str| json::text(definition, &["spec", "names", path]).to_owned();
    let others =
        || state.registry.custom().filter(|other| other.group == group && other.plural != plural);
    let taken = |name: &str| {
        others().any(|other| {
            other.plural == name
                || other.singular == name
                || other.short_names.iter().any(|short| short == name)
        })
    };
    if taken(plural) {
        return Some(("PluralConflict", format!("{plural:?} is already in use")));
    }
    let singular = names("singular");
    if taken(&singular) {
        return Some(("SingularConflict", format!("{singular:?} is already in use")));
    }
    for short in strings(definition, &["spec", "names", "shortNames"]) {
        if taken(&short) {
            return Some(("ShortNamesConflict", format!("{short:?} is already in use")));
        }
    }
    let kind = names("kind");
    if others().any(|other| other.kind == kind || other.list_kind == kind) {
        return Some(("KindConflict", format!("{kind:?} is already in use")));
    }
    let list_kind = names("listKind");
    if others().any(|other| other.kind == list_kind || other.list_kind == list_kind) {
        return Some(("ListKindConflict", format!("{list_kind:?} is already in use")));
    }
    None
}
