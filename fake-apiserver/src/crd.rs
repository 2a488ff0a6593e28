//! Custom kinds: from a `CustomResourceDefinition` to served resources.
//!
//! Owns reading and checking a definition; what follows from one being stored or removed is in `settle`.

mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::json;
use crate::refusal::Cause;
use crate::registry::{Family, Resource, Subresource, group_version};
use crate::schema::{Schema, Shape};
use crate::state::State;
use crate::store::{GroupResource, Key};

pub(crate) use self::settle::{CLEANUP, after_object, initial_status, settle};
use self::settle::{identity, is_established};

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

/// The schema of a custom resource as it is written in the definition.
pub(crate) fn written_schema(state: &State, resource: &Resource) -> Option<Value> {
    let key = Key::new("", &format!("{}.{}", resource.plural, resource.group));
    let definition = state.store.get(&identity(), &key)?;
    let versions = json::list(&definition.value, &["spec", "versions"]);
    let version =
        versions.iter().find(|version| json::text(version, &["name"]) == resource.version)?;
    json::at(version, &["schema", "openAPIV3Schema"]).cloned()
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
        tracked: with_metadata(&schema),
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

/// The faults of a definition that can be told without compiling its schemas.
pub(crate) fn validate(definition: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |path: &[&str]| json::text(definition, path);
    let name = json::at(definition, &["metadata", "name"]).cloned().unwrap_or_default();
    let wanted = format!("{}.{}", text(&["spec", "names", "plural"]), text(&["spec", "group"]));
    if name != wanted {
        causes.push(Cause::invalid(
            "metadata.name",
            &name,
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    let scope = text(&["spec", "scope"]);
    if !["Cluster", "Namespaced"].contains(&scope) {
        causes.push(Cause::unsupported("spec.scope", &scope.into(), &["Cluster", "Namespaced"]));
    }
    let versions = json::list(definition, &["spec", "versions"]);
    for (index, version) in versions.iter().enumerate() {
        if json::at(version, &["schema", "openAPIV3Schema"]).is_none() {
            causes.push(Cause::required(
                format!("spec.versions[{index}].schema.openAPIV3Schema"),
                "",
            ));
        }
    }
    let storage = versions
        .iter()
        .filter(|version| version.get("storage") == Some(&Value::Bool(true)))
        .count();
    if storage != 1 {
        let text = "Invalid value: <any>: must have exactly one version marked as storage version"
            .to_owned();
        causes.push(Cause::new("FieldValueInvalid", text, "spec.versions"));
    }
    let Some(old) = old else { return causes };
    for path in [
        &["spec", "group"][..],
        &["spec", "scope"],
        &["spec", "names", "kind"],
        &["spec", "names", "plural"],
    ] {
        let new = json::at(definition, path).unwrap_or(&Value::Null);
        if Some(new) != json::at(old, path) && is_established(old) {
            causes.push(Cause::invalid(path.join("."), new, "field is immutable"));
        }
    }
    causes
}
