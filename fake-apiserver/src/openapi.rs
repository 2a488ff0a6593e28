//! The OpenAPI v3 documents: the recorded ones of the built-in kinds, and those made from custom definitions.
//!
//! `kubectl` reads them to explain a kind, to learn that the server checks the fields of what it is sent, and to
//! learn which forms of patch a kind knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::refusal::Refusal;
use crate::registry::Resource;
use crate::respond::Reply;
use crate::schema::builtin;
use crate::state::State;
use crate::{crd, json};

const REFERENCE: &str = "#/components/schemas/";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

fn url_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The list of documents.
pub(crate) fn root(state: &State) -> Reply {
    let mut paths = json!({});
    let builtin =
        builtin::documented().map(|(group, version)| (group.to_owned(), version.to_owned()));
    let custom = state.registry.custom().map(|r| (r.group.clone(), r.version.clone()));
    for (group, version) in builtin.chain(custom) {
        let path = url_path(&group, &version);
        let url = format!("/openapi/v3/{path}");
        json::put(&mut paths, &[&path], json!({"serverRelativeURL": url}));
    }
    Reply {
        content_type: "text/plain; charset=utf-8",
        ..Reply::json(200, &json!({"paths": paths}))
    }
}

/// The document of a group version.
pub(crate) fn document(state: &State, group: &str, version: &str) -> Result<Reply, Refusal> {
    let made = || custom_document(state, group, version);
    let found = builtin::document(group, version).or_else(made);
    let mut document = found.ok_or_else(Refusal::page_not_found)?;
    let operations = json::take(&mut document, &["operations"]).unwrap_or_default();
    json::put(&mut document, &["openapi"], "3.0.0".into());
    json::put(&mut document, &["info"], json!({"title": "Kubernetes", "version": "v1.36.2"}));
    json::put(&mut document, &["paths"], paths(&operations));
    Ok(Reply::json(200, &document))
}

/// The recorded operations in the form of an OpenAPI document, as far as clients read it.
fn paths(operations: &Value) -> Value {
    let methods = |methods: &Value| -> Value {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(|(method, recorded)| (method.clone(), operation(method, recorded))).collect()
    };
    let entries = operations.as_object().into_iter().flatten();
    entries.map(|(path, described)| (path.clone(), methods(described))).collect()
}

fn operation(method: &str, recorded: &Value) -> Value {
    let text = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let parameters = match method {
        "post" | "put" | "patch" => {
            vec![text("dryRun"), text("fieldManager"), text("fieldValidation")]
        }
        "delete" => vec![text("dryRun")],
        _ => Vec::new(),
    };
    let mut described = json!({
        "operationId": format!("{method}{}", json::text(recorded, &["kind", "kind"])),
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
    });
    let types = json::list(recorded, &["consumes"]).iter().filter_map(Value::as_str);
    let content: Value = types.map(|media| (media.to_owned(), json!({}))).collect();
    if content.as_object().is_some_and(|content| !content.is_empty()) {
        json::put(&mut described, &["requestBody"], json!({"content": content}));
    }
    for (key, extension) in
        [("action", "x-kubernetes-action"), ("kind", "x-kubernetes-group-version-kind")]
    {
        if let Some(value) = recorded.get(key).filter(|value| !value.is_null()) {
            json::put(&mut described, &[extension], value.clone());
        }
    }
    described
}

/// The document of the custom kinds in a group version, in the form of the recorded ones.
fn custom_document(state: &State, group: &str, version: &str) -> Option<Value> {
    let resources: Vec<&Resource> = state
        .registry
        .custom()
        .filter(|resource| resource.group == group && resource.version == version)
        .map(AsRef::as_ref)
        .collect();
    if resources.is_empty() {
        return None;
    }
    let mut schemas = BTreeMap::new();
    let mut operations = Map::new();
    let shared = builtin::document("apps", "v1").unwrap_or_default();
    for name in [OBJECT_META, LIST_META] {
        add_referenced(name, &shared, &mut schemas);
    }
    for resource in resources {
        let prefix = definition_prefix(resource);
        let list = list_schema(resource, &format!("{prefix}.{}", resource.kind));
        schemas.insert(format!("{prefix}.{}", resource.kind), object_schema(state, resource));
        schemas.insert(format!("{prefix}.{}", resource.list_kind), list);
        add_operations(resource, &mut operations);
    }
    Some(json!({"components": {"schemas": schemas}, "operations": operations}))
}

/// `com.example.stable.v1`: the group backwards, then the version.
fn definition_prefix(resource: &Resource) -> String {
    let mut labels: Vec<&str> = resource.group.split('.').rev().collect();
    labels.push(&resource.version);
    labels.join(".")
}

/// Adds a definition of another document, and those it refers to.
fn add_referenced(name: &str, from: &Value, schemas: &mut BTreeMap<String, Value>) {
    let Some(schema) = json::at(from, &["components", "schemas", name]) else { return };
    if schemas.insert(name.to_owned(), schema.clone()).is_none() {
        for reference in references(schema) {
            add_referenced(reference, from, schemas);
        }
    }
}

fn references(schema: &Value) -> Vec<&str> {
    match schema {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match value.as_str().filter(|_| key == "$ref") {
                Some(path) => path.strip_prefix(REFERENCE).into_iter().collect(),
                None => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

const API_VERSION_TEXT: &str =
    "APIVersion defines the versioned schema of this representation of an object.";
const KIND_TEXT: &str =
    "Kind is a string value representing the REST resource this object represents.";
const METADATA_TEXT: &str = "Standard object's metadata.";

fn gvk(resource: &Resource, kind: &str) -> Value {
    json!([{"group": resource.group, "version": resource.version, "kind": kind}])
}

/// The schema in the definition, with the fields that every object has.
fn object_schema(state: &State, resource: &Resource) -> Value {
    let mut schema = crd::written_schema(state, resource).unwrap_or(json!({"type": "object"}));
    for (field, of_field) in [
        ("apiVersion", json!({"type": "string", "description": API_VERSION_TEXT})),
        ("kind", json!({"type": "string", "description": KIND_TEXT})),
        ("metadata", reference(OBJECT_META, METADATA_TEXT)),
    ] {
        json::put(&mut schema, &["properties", field], of_field);
    }
    let kind = gvk(resource, &resource.kind);
    json::put(&mut schema, &["x-kubernetes-group-version-kind"], kind);
    schema
}

fn reference(name: &str, description: &str) -> Value {
    json!({"allOf": [{"$ref": format!("{REFERENCE}{name}")}], "default": {}, "description": description})
}

fn list_schema(resource: &Resource, item: &str) -> Value {
    json!({
        "type": "object",
        "description": format!("{} is a list of {}", resource.list_kind, resource.kind),
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": API_VERSION_TEXT},
            "kind": {"type": "string", "description": KIND_TEXT},
            "metadata": reference(LIST_META, "Standard list metadata."),
            "items": {
                "type": "array",
                "description": format!("List of {}.", resource.plural),
                "items": {"$ref": format!("{REFERENCE}{item}")},
            },
        },
        "x-kubernetes-group-version-kind": gvk(resource, &resource.list_kind),
    })
}

/// What can be done with a custom resource and its subresources, by path and method.
fn add_operations(resource: &Resource, operations: &mut Map<String, Value>) {
    let own = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let one = |action: &str, kind: &Value, consumes: &[&str]| json!({"action": action, "kind": kind, "consumes": consumes});
    let object = ["application/json", "application/yaml"];
    let patch = [
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
    ];
    let root = format!("/{}", url_path(&resource.group, &resource.version));
    let everywhere = format!("{root}/{}", resource.plural);
    let collection = if resource.namespaced {
        operations.insert(everywhere, json!({"get": one("list", &own, &[])}));
        format!("{root}/namespaces/{{namespace}}/{}", resource.plural)
    } else {
        everywhere
    };
    let item = format!("{collection}/{{name}}");
    let on_collection = json!({
        "get": one("list", &own, &[]),
        "post": one("post", &own, &object),
        "delete": one("deletecollection", &own, &object),
    });
    operations.insert(collection, on_collection);
    let changes = |kind: &Value| {
        json!({
            "get": one("get", kind, &[]),
            "put": one("put", kind, &object),
            "patch": one("patch", kind, &patch),
        })
    };
    let mut on_item = changes(&own);
    json::put(&mut on_item, &["delete"], one("delete", &own, &object));
    for (name, sub) in &resource.subresources {
        let kind = if sub.version.is_empty() {
            own.clone()
        } else {
            json!({"group": sub.group, "version": sub.version, "kind": sub.kind})
        };
        operations.insert(format!("{item}/{name}"), changes(&kind));
    }
    operations.insert(item, on_item);
}
