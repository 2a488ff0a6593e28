//! Types of objects: one `Schema` for built-in kinds (from the recorded OpenAPI documents) and custom ones (from
//! their definition).
//!
//! Owns reading a schema and what follows from it alone: defaults, pruning, decoding, validation. It knows no kind.

pub(crate) mod builtin;
pub(crate) mod cel;
pub(crate) mod cel_check;
mod cel_functions;
mod cel_reach;
pub(crate) mod decode;
pub(crate) mod defaulting;
pub(crate) mod enumeration;
mod go_time;
pub(crate) mod path;
pub(crate) mod pattern;
pub(crate) mod pruning;
pub(crate) mod rules;
pub(crate) mod validate;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use self::rules::Rules;

/// How the elements of a list are told apart when several write it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum ListKind {
    /// The list is one value.
    #[default]
    Atomic,
    /// Each (scalar) value is an element.
    Set,
    /// Elements are objects, told apart by these keys.
    Map(Vec<String>),
}

/// How a strategic merge patch treats a list or an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct MergeStrategy {
    pub(crate) merge: bool,
    pub(crate) replace: bool,
    pub(crate) key: Option<String>,
}

/// What a value may be.
#[derive(Debug, Clone, Default)]
pub(crate) enum Shape {
    /// Anything.
    #[default]
    Any,
    Boolean,
    Integer,
    Number,
    String,
    /// A number or a string.
    IntOrString,
    /// An amount, such as `1Gi`.
    Quantity,
    List(Box<Schema>),
    Object {
        properties: BTreeMap<String, Schema>,
        /// What other keys hold; without it there are no other keys.
        additional: Option<Box<Schema>>,
    },
    /// A definition of the built-in kinds.
    Ref(Reference),
}

impl Shape {
    fn is_ruled(&self) -> bool {
        match self {
            Self::List(element) => element.ruled,
            Self::Object { properties, additional } => {
                properties.values().chain(additional.as_deref()).any(|field| field.ruled)
            }
            _ => false,
        }
    }
}

/// The name of a definition of the built-in kinds, and the definition once it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) name: String,
    definition: OnceLock<&'static Schema>,
}

impl Reference {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), definition: OnceLock::new() }
    }

    fn definition(&self) -> &'static Schema {
        self.definition.get_or_init(|| builtin::definition(&self.name))
    }
}

/// The type of a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    pub(crate) shape: Shape,
    pub(crate) default: Option<Value>,
    pub(crate) nullable: bool,
    pub(crate) list: ListKind,
    /// The whole object is one value when several write it.
    pub(crate) atomic: bool,
    pub(crate) merge: MergeStrategy,
    pub(crate) preserve_unknown: bool,
    /// The object is a whole Kubernetes object.
    pub(crate) embedded: bool,
    pub(crate) rules: Rules,
    /// A rule in CEL is here or below.
    pub(crate) ruled: bool,
}

static ANY: Schema = Schema {
    shape: Shape::Any,
    default: None,
    nullable: true,
    list: ListKind::Atomic,
    atomic: false,
    merge: MergeStrategy { merge: false, replace: false, key: None },
    preserve_unknown: true,
    embedded: false,
    rules: Rules::none(),
    ruled: false,
};

impl Schema {
    /// The schema that allows everything.
    pub(crate) fn any() -> &'static Self {
        &ANY
    }

    /// Reads a schema; the parts it does not know are ignored.
    pub(crate) fn read(json: &Value) -> Self {
        let flag = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or_default();
        let word = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
        let strategy = word("x-kubernetes-patch-strategy");
        let (shape, rules) = (read_shape(json), Rules::read(json));
        Self {
            ruled: !rules.cel.is_empty() || shape.is_ruled(),
            shape,
            default: json.get("default").cloned(),
            nullable: flag("nullable"),
            list: read_list_kind(json),
            atomic: word("x-kubernetes-map-type") == "atomic",
            merge: MergeStrategy {
                merge: strategy.split(',').any(|part| part == "merge"),
                replace: strategy.split(',').any(|part| part == "replace"),
                key: json
                    .get("x-kubernetes-patch-merge-key")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            },
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            rules,
        }
    }

    /// The schema itself, or the definition that it stands for.
    pub(crate) fn resolved(&self) -> &Self {
        match &self.shape {
            Shape::Ref(reference) => reference.definition(),
            _ => self,
        }
    }

    /// The schema of a key of an object: its property, else that of any other key.
    pub(crate) fn field(&self, key: &str) -> Option<&Self> {
        match &self.resolved().shape {
            Shape::Object { properties, additional } => {
                properties.get(key).or(additional.as_deref())
            }
            _ => None,
        }
    }

    /// Whether a key is a property, as a field of a struct is, rather than an entry of a map.
    pub(crate) fn has_property(&self, key: &str) -> bool {
        matches!(&self.resolved().shape, Shape::Object { properties, .. } if properties.contains_key(key))
    }

    /// The schema of the elements of a list.
    pub(crate) fn element(&self) -> &Self {
        match &self.resolved().shape {
            Shape::List(element) => element,
            _ => Self::any(),
        }
    }

    /// Whether the object is written as a whole.
    pub(crate) fn is_atomic(&self) -> bool {
        self.atomic || self.resolved().atomic
    }
}

fn read_list_kind(json: &Value) -> ListKind {
    match json.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListKind::Set,
        Some("map") => {
            let keys = json.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
            ListKind::Map(
                keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            )
        }
        _ => ListKind::Atomic,
    }
}

fn read_shape(json: &Value) -> Shape {
    let reference =
        json.get("$ref").or_else(|| json.pointer("/allOf/0/$ref")).and_then(Value::as_str);
    if let Some(name) = reference.and_then(|path| path.rsplit('/').next()) {
        return Shape::Ref(Reference::new(name));
    }
    if json.get("x-kubernetes-int-or-string").and_then(Value::as_bool) == Some(true) {
        return Shape::IntOrString;
    }
    match json.get("type").and_then(Value::as_str) {
        Some("boolean") => Shape::Boolean,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("string") => Shape::String,
        Some("array") => {
            Shape::List(Box::new(json.get("items").map(Schema::read).unwrap_or_default()))
        }
        Some("object") => Shape::Object {
            properties: json
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(key, schema)| (key.clone(), Schema::read(schema)))
                .collect(),
            additional: match json.get("additionalProperties") {
                Some(Value::Bool(true)) => Some(Box::new(Schema::any().clone())),
                Some(schema @ Value::Object(_)) => Some(Box::new(Schema::read(schema))),
                _ => None,
            },
        },
        _ => read_scalar_union(json),
    }
}

/// The recorded documents write an amount or a port as `oneOf`.
fn read_scalar_union(json: &Value) -> Shape {
    let kinds: Vec<&str> = json
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|choice| choice.get("type").and_then(Value::as_str))
        .collect();
    match kinds.as_slice() {
        ["integer", "string"] => Shape::IntOrString,
        ["string", "number"] => Shape::Quantity,
        _ => Shape::Any,
    }
}
