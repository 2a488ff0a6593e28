//! Reading an object of a built-in kind as the real server's decoder does.
//!
//! Unknown fields are dropped and told, values of the wrong type refused, and what Go leaves out when it writes
//! (empty lists and maps, nulls) is left out.

use serde_json::{Map, Value};

use super::path::Path;
use super::{Reference, Schema, Shape, go_time};
use crate::quantity::Quantity;

/// Fields that Go holds without a pointer and omits when they are zero.
const OMITTED_WHEN_ZERO: &[&str] = &[
    "collisions",
    "count",
    "currentReplicas",
    "generation",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "initialDelaySeconds",
    "minReadySeconds",
    "nodePort",
    "observedGeneration",
    "publishNotReadyAddresses",
    "readOnly",
    "readyReplicas",
    "stdin",
    "stdinOnce",
    "tty",
    "unschedulable",
    "updatedReplicas",
];
/// Fields of text that Go holds with a pointer, so that they may be empty.
const MAY_BE_EMPTY: &[&str] = &[
    "storageClassName",
    "holderIdentity",
    "strategy",
    "volumeAttributesClassName",
    "preferredHolder",
    "appProtocol",
];

/// Decodes a value in place. `unknown` gets the paths of fields that are not known.
///
/// # Errors
/// The text of Go's decoder when a value has the wrong type.
pub(crate) fn decode(
    value: &mut Value,
    schema: &Schema,
    kind: &str,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let place = Place { owner: kind, fields: &Path::Root, path: &Path::Root };
    Decoder { unknown }.value(value, schema, place)
}

/// Where the decoder is.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The type that has the field.
    owner: &'a str,
    /// The fields on the way here, without keys of maps and places in lists.
    fields: &'a Path<'a>,
    path: &'a Path<'a>,
}

struct Decoder<'a> {
    unknown: &'a mut Vec<String>,
}

impl Decoder<'_> {
    fn value(&mut self, value: &mut Value, schema: &Schema, at: Place<'_>) -> Result<(), String> {
        let owner = match &schema.shape {
            Shape::Ref(reference) => reference.name.rsplit('.').next().unwrap_or(at.owner),
            _ => at.owner,
        };
        match &schema.resolved().shape {
            Shape::Object { properties, additional } if !value.is_null() => {
                let Value::Object(map) = value else {
                    return Err(mismatch(value, schema, at));
                };
                match additional {
                    Some(element) if properties.is_empty() => self.map(map, element, at),
                    _ if properties.is_empty() => Ok(()),
                    _ => self.object(map, schema, Place { owner, ..at }),
                }
            }
            Shape::String if value.is_string() => read_time(value, schema),
            Shape::Quantity if value.is_string() && !scalar_fits(value, schema) => {
                Err(QUANTITY.to_owned())
            }
            Shape::List(element) => {
                let Value::Array(items) = value else {
                    return Err(mismatch(value, schema, at));
                };
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, element, Place { path: &Path::Index(at.path, index), ..at })?;
                }
                Ok(())
            }
            _ if scalar_fits(value, schema) => Ok(()),
            _ => Err(mismatch(value, schema, at)),
        }
    }

    fn map(
        &mut self,
        map: &mut Map<String, Value>,
        element: &Schema,
        at: Place<'_>,
    ) -> Result<(), String> {
        for (key, value) in map.iter_mut() {
            if value.is_null() && matches!(element.resolved().shape, Shape::String) {
                *value = Value::from("");
            }
            self.value(value, element, Place { path: &Path::Key(at.path, key), ..at })?;
        }
        Ok(())
    }

    fn object(
        &mut self,
        map: &mut Map<String, Value>,
        schema: &Schema,
        at: Place<'_>,
    ) -> Result<(), String> {
        let required = &schema.resolved().rules.required;
        let mut drop = Vec::new();
        for (key, value) in map.iter_mut() {
            let path = &Path::Key(at.path, key);
            let Some(field) = schema.field(key) else {
                self.unknown.push(path.to_string());
                drop.push(key.clone());
                continue;
            };
            if value.is_null() {
                drop.push(key.clone());
                continue;
            }
            self.value(value, field, Place { fields: &Path::Key(at.fields, key), path, ..at })?;
            if !required.contains(key) && omitted(key, value, field) {
                drop.push(key.clone());
            }
        }
        for key in drop {
            map.remove(&key);
        }
        Ok(())
    }
}

fn mismatch(value: &Value, schema: &Schema, at: Place<'_>) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        // Only a number that is of the wrong kind is told.
        Value::Number(number) if matches!(schema.resolved().shape, Shape::Integer) => {
            &format!("number {number}")
        }
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let Place { owner, fields, .. } = at;
    format!(
        "json: cannot unmarshal {found} into Go struct field {owner}.{fields} of type {}",
        go_type(schema)
    )
}

const QUANTITY: &str = "quantities must match the regular expression \
     '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Times are read as they are decoded, and written in UTC; other texts are as they are.
fn read_time(value: &mut Value, schema: &Schema) -> Result<(), String> {
    let Shape::Ref(Reference { name, .. }) = &schema.shape else { return Ok(()) };
    let precision = match name.rsplit('.').next() {
        Some("Time") => go_time::Precision::Seconds,
        Some("MicroTime") => go_time::Precision::Micros,
        _ => return Ok(()),
    };
    let read = go_time::read(value.as_str().unwrap_or_default(), precision)?;
    *value = read.into();
    Ok(())
}

fn omitted(key: &str, value: &Value, field: &Schema) -> bool {
    match value {
        // An empty list of managers is a wish: to forget who owns what.
        Value::Array(items) => items.is_empty() && key != "managedFields",
        Value::Object(map) => {
            let is_map =
                matches!(&field.resolved().shape, Shape::Object { additional: Some(_), .. });
            map.is_empty() && is_map
        }
        Value::String(text) => text.is_empty() && !MAY_BE_EMPTY.contains(&key),
        Value::Bool(false) => OMITTED_WHEN_ZERO.contains(&key),
        Value::Number(number) => number.as_i64() == Some(0) && OMITTED_WHEN_ZERO.contains(&key),
        _ => false,
    }
}

fn scalar_fits(value: &mut Value, schema: &Schema) -> bool {
    match &schema.resolved().shape {
        Shape::Boolean => value.is_boolean(),
        Shape::Integer => value.is_i64() || value.is_u64(),
        Shape::Number => value.is_number(),
        Shape::String => value.is_string(),
        Shape::IntOrString => value.is_string() || value.is_i64(),
        Shape::Quantity => {
            let text = match &*value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return false,
            };
            match Quantity::parse(&text) {
                Some(quantity) => {
                    *value = quantity.canonical().into();
                    true
                }
                None => false,
            }
        }
        _ => true,
    }
}

fn go_type(schema: &Schema) -> String {
    match &schema.shape {
        Shape::Ref(Reference { name, .. }) => {
            let mut parts = name.rsplit('.');
            let (kind, package) =
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            format!("{package}.{kind}")
        }
        Shape::Boolean => "bool".into(),
        Shape::Integer => schema.rules.format.clone().unwrap_or_else(|| "int64".into()),
        Shape::Number => "float64".into(),
        Shape::String => match schema.rules.format.as_deref() {
            Some("byte") => "[]uint8".into(),
            _ => "string".into(),
        },
        Shape::List(element) => format!("[]{}", go_type(element)),
        Shape::Object { additional: Some(element), .. } => {
            format!("map[string]{}", go_type(element))
        }
        Shape::IntOrString => "intstr.IntOrString".into(),
        Shape::Quantity => "resource.Quantity".into(),
        Shape::Object { .. } | Shape::Any => "map[string]interface {}".into(),
    }
}

/// Keys that occur twice in a JSON text, with their paths.
///
/// `serde_json` keeps the last of them without a word, so the text is read again for this.
pub(crate) fn duplicates(text: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let seed = duplicate::Seed { path: &Path::Root, found: &mut found };
    // A text that cannot be read was refused already.
    let _ = serde::de::DeserializeSeed::deserialize(seed, &mut reader);
    found
}

mod duplicate {
    use std::borrow::Cow;
    use std::collections::BTreeSet;
    use std::fmt;

    use serde::Deserialize;
    use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

    use super::Path;

    pub(super) struct Seed<'a> {
        pub(super) path: &'a Path<'a>,
        pub(super) found: &'a mut Vec<String>,
    }

    #[derive(Deserialize)]
    struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

    impl<'de> DeserializeSeed<'de> for Seed<'_> {
        type Value = ();

        fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
            reader.deserialize_any(self)
        }
    }

    impl<'de> Visitor<'de> for Seed<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON")
        }

        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }

        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }

        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }

        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }

        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
            let mut index = 0_usize;
            loop {
                let path = &Path::Index(self.path, index);
                if items.next_element_seed(Seed { path, found: self.found })?.is_none() {
                    return Ok(());
                }
                index += 1;
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
            let mut seen = BTreeSet::new();
            while let Some(Key(key)) = entries.next_key()? {
                let path = &Path::Key(self.path, &key);
                if seen.contains(&key) {
                    self.found.push(path.to_string());
                }
                entries.next_value_seed(Seed { path, found: self.found })?;
                seen.insert(key);
            }
            Ok(())
        }
    }
}

/// Fills in the defaults that the recorded documents tell.
pub(crate) fn fill(value: &mut Value, schema: &Schema) {
    match (&schema.resolved().shape, value) {
        (Shape::Object { properties, additional }, Value::Object(map)) => {
            let required = &schema.resolved().rules.required;
            for (key, field) in properties {
                if let (None, Some(default)) = (map.get(key), &field.default) {
                    // An empty text is what Go holds where nothing was said; it writes it only where it must.
                    if default != "" || required.contains(key) {
                        map.insert(key.clone(), default.clone());
                    }
                }
                if let Some(value) = map.get_mut(key) {
                    fill(value, field);
                }
            }
            if let (Some(element), true) = (additional, properties.is_empty()) {
                map.values_mut().for_each(|value| fill(value, element));
            }
        }
        (Shape::List(element), Value::Array(items)) => {
            items.iter_mut().for_each(|item| fill(item, element));
        }
        _ => {}
    }
}
