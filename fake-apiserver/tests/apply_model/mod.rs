//! What server-side apply must do, as a small model, and a world to compare it with.
//!
//! An object is a map of leaves, each with a value and its owners. The tests and the fuzz target share it.

use fake_apiserver::{ApiServer, Options};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::OnceCell;

/// What one manager wants: a map, a set, a list of elements with a key, and a list that is one value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) map: BTreeMap<u8, u8>,
    pub(crate) set: BTreeSet<u8>,
    pub(crate) items: BTreeMap<u8, Option<u8>>,
    pub(crate) atomic: Vec<u8>,
}

/// One apply.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) manager: u8,
    pub(crate) force: bool,
    pub(crate) config: Config,
}

type Leaves = BTreeMap<String, String>;

impl Config {
    fn leaves(&self) -> Leaves {
        let mut leaves = Leaves::new();
        leaves
            .extend(self.map.iter().map(|(key, value)| (format!("map k{key}"), value.to_string())));
        leaves.extend(self.set.iter().map(|value| (format!("set {value}"), String::new())));
        for (id, size) in &self.items {
            leaves.insert(format!("item {id}"), String::new());
            leaves.extend(size.map(|size| (format!("item {id} size"), size.to_string())));
        }
        if !self.atomic.is_empty() {
            leaves.insert("atomic".into(), json!(self.atomic).to_string());
        }
        leaves
    }

    fn object(&self) -> Value {
        let mut spec = Map::new();
        if !self.map.is_empty() {
            let map: Map<String, Value> =
                self.map.iter().map(|(key, value)| (format!("k{key}"), json!(value))).collect();
            spec.insert("map".into(), map.into());
        }
        if !self.set.is_empty() {
            spec.insert("set".into(), json!(self.set));
        }
        if !self.items.is_empty() {
            let item = |(id, size): (&u8, &Option<u8>)| match size {
                Some(size) => json!({"id": id, "size": size}),
                None => json!({"id": id}),
            };
            spec.insert("items".into(), self.items.iter().map(item).collect());
        }
        if !self.atomic.is_empty() {
            spec.insert("atomic".into(), json!(self.atomic));
        }
        let mut object = json!({
            "apiVersion": "law.example.com/v1", "kind": "Law", "metadata": {"name": "a"},
        });
        if let (false, Some(object)) = (spec.is_empty(), object.as_object_mut()) {
            object.insert("spec".into(), spec.into());
        }
        object
    }
}

/// The leaves of an object as it was read.
fn read(spec: &Value) -> Leaves {
    let mut leaves = Leaves::new();
    let list = |key: &str| spec.get(key).and_then(Value::as_array).into_iter().flatten();
    for (key, value) in spec.get("map").and_then(Value::as_object).into_iter().flatten() {
        leaves.insert(format!("map {key}"), value.to_string());
    }
    leaves.extend(list("set").map(|value| (format!("set {value}"), String::new())));
    for item in list("items") {
        let id = &item["id"];
        leaves.insert(format!("item {id}"), String::new());
        leaves.extend(item.get("size").map(|size| (format!("item {id} size"), size.to_string())));
    }
    leaves.extend(spec.get("atomic").map(|list| ("atomic".to_owned(), list.to_string())));
    leaves
}

/// Leaves with their values and owners.
#[derive(Debug, Default)]
struct Model(BTreeMap<String, (String, BTreeSet<u8>)>);

impl Model {
    /// Applies; `false` if somebody else's leaf is in the way.
    fn apply(&mut self, step: &Step) -> bool {
        let wanted = step.config.leaves();
        let disputed = wanted.iter().any(|(leaf, value)| {
            self.0.get(leaf).is_some_and(|(known, owners)| {
                known != value && owners.iter().any(|owner| *owner != step.manager)
            })
        });
        if disputed && !step.force {
            return false;
        }
        self.0.retain(|leaf, (_, owners)| {
            if !wanted.contains_key(leaf) {
                owners.remove(&step.manager);
            }
            !owners.is_empty()
        });
        for (leaf, value) in wanted {
            let (known, owners) = self.0.entry(leaf).or_insert((value.clone(), BTreeSet::new()));
            if *known != value {
                *known = value;
                owners.clear();
            }
            owners.insert(step.manager);
        }
        true
    }

    fn leaves(&self) -> Leaves {
        self.0.iter().map(|(leaf, (value, _))| (leaf.clone(), value.clone())).collect()
    }

    fn owners(&self) -> BTreeSet<String> {
        self.0
            .values()
            .flat_map(|(_, owners)| owners.iter().map(|owner| format!("m{owner}")))
            .collect()
    }
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "laws.law.example.com"},
        "spec": {
            "group": "law.example.com", "scope": "Namespaced",
            "names": {"plural": "laws", "singular": "law", "kind": "Law", "listKind": "LawList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {
                    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "set": {"type": "array", "items": {"type": "integer"}, "x-kubernetes-list-type": "set"},
                    "items": {"type": "array", "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["id"],
                        "items": {"type": "object", "required": ["id"], "properties": {
                            "id": {"type": "integer"}, "size": {"type": "integer"}}}},
                    "atomic": {"type": "array", "items": {"type": "integer"}},
                }}},
            }}}],
        },
    })
}

fn options() -> Options {
    Options::at("2026-01-01T00:00:00Z".parse().expect("a time"), 7)
}

/// A server that knows the kind. Each comparison has a copy, which costs next to nothing.
async fn furnished() -> &'static ApiServer {
    static FURNISHED: OnceCell<ApiServer> = OnceCell::const_new();
    let furnish = || async {
        let server = ApiServer::new(options());
        let definition: CustomResourceDefinition =
            serde_json::from_value(definition()).expect("a definition");
        let definitions = Api::<CustomResourceDefinition>::all(server.client());
        definitions.create(&PostParams::default(), &definition).await.expect("the definition");
        server
    };
    FURNISHED.get_or_init(furnish).await
}

/// Applies the steps to a server and to the model, and compares after each.
///
/// # Panics
/// When they differ.
pub(crate) async fn compare(steps: &[Step]) {
    let server = furnished().await.copy(options());
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("law.example.com", "v1", "Law"),
        "laws",
    );
    let laws = Api::<DynamicObject>::default_namespaced_with(server.client(), &kind);
    let mut model = Model::default();
    for step in steps {
        let mut params = PatchParams::apply(&format!("m{}", step.manager));
        params.force = step.force;
        let config = step.config.object();
        let patch = Patch::Apply(&config);
        let answer = laws.patch("a", &params, &patch).await;
        if !model.apply(step) {
            let error = answer.expect_err("a conflict");
            assert!(matches!(&error, kube::Error::Api(status) if status.code == 409), "{error}");
            continue;
        }
        let told = answer.expect("an object");
        let again = laws.patch("a", &params, &patch).await.expect("the same object");
        assert_eq!(told, again, "applying again changes nothing");
        let stored = laws.get("a").await.expect("the stored object");
        assert_eq!(read(stored.data.get("spec").unwrap_or(&Value::Null)), model.leaves());
        let managers = stored.metadata.managed_fields.unwrap_or_default();
        let managers: BTreeSet<String> =
            managers.into_iter().filter_map(|entry| entry.manager).collect();
        assert_eq!(managers, model.owners());
    }
}
