//! Custom kinds: from a `CustomResourceDefinition` to served resources.
//!
//! Owns reading and checking a definition; what follows from one being stored or removed is in `settle`.

mod check;
mod openapi;
mod settle;
mod structural;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::json;
use crate::registry::{Family, Resource, Subresource, group_version};
use crate::schema::{Reference, Schema, Shape, defaulting, pruning};
use crate::state::State;
use crate::store::{GroupResource, Key};

pub(crate) use self::settle::{CLEANUP, after_object, initial_status, note_stored_version, settle};
use self::settle::{identity, is_established, is_going};

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
    /// Whether whole objects can be within an object.
    pub(crate) has_embedded: bool,
    /// The definition is going away: nothing new is made.
    pub(crate) terminating: bool,
    /// Which state of which definition this was read from.
    pub(crate) source: String,
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
        source: source(definition),
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
    let definition = definition.value();
    let versions = json::list(&definition, &["spec", "versions"]);
    let version =
        versions.iter().find(|version| json::text(version, &["name"]) == resource.version)?;
    json::at(version, &["schema", "openAPIV3Schema"]).cloned()
}

/// What all versions of a custom kind have in common.
struct Storage {
    version: String,
    schema: Arc<Schema>,
    terminating: bool,
    source: String,
}

/// What tells a definition, and a state of its spec, from others.
fn source(definition: &Value) -> String {
    let metadata = |key: &str| json::at(definition, &["metadata", key]).unwrap_or(&Value::Null);
    format!("{} {} {}", metadata("uid"), metadata("generation"), is_going(definition))
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
        has_embedded: pruning::has_embedded(&schema),
        terminating: storage.terminating,
        source: storage.source.clone(),
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
        let meta = Reference::new("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
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
