//! Protobuf bodies: the few kinds that `kubectl` sends in no other form (`kubectl create configmap`, `drain`).
//!
//! A body becomes the JSON of the same object as it arrives, so nothing else in the server knows of protobuf. A kind
//! or a field that is not in the tables is refused by whoever reads the body, never dropped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What a field holds. Those that are not `Optional` are written even when empty, and mean nothing then.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    OptionalInt,
    OptionalBool,
    Texts,
    TextMap,
    BytesMap,
    Message(&'static [Field]),
    Messages(&'static [Field]),
}

type Field = (u64, &'static str, Kind);

const OWNER: &[Field] = &[
    (1, "kind", Kind::Text),
    (3, "name", Kind::Text),
    (4, "uid", Kind::Text),
    (5, "apiVersion", Kind::Text),
    (6, "controller", Kind::OptionalBool),
    (7, "blockOwnerDeletion", Kind::OptionalBool),
];
/// A time, in which only the unset one can be read.
const UNSET_TIME: &[Field] = &[];
const METADATA: &[Field] = &[
    (1, "name", Kind::Text),
    (2, "generateName", Kind::Text),
    (3, "namespace", Kind::Text),
    (4, "selfLink", Kind::Text),
    (5, "uid", Kind::Text),
    (6, "resourceVersion", Kind::Text),
    (7, "generation", Kind::Int),
    (8, "creationTimestamp", Kind::Message(UNSET_TIME)),
    (11, "labels", Kind::TextMap),
    (12, "annotations", Kind::TextMap),
    (13, "ownerReferences", Kind::Messages(OWNER)),
    (14, "finalizers", Kind::Texts),
];
const CONFIG_MAP: &[Field] = &[
    (1, "metadata", Kind::Message(METADATA)),
    (2, "data", Kind::TextMap),
    (3, "binaryData", Kind::BytesMap),
    (4, "immutable", Kind::OptionalBool),
];
const SECRET: &[Field] = &[
    (1, "metadata", Kind::Message(METADATA)),
    (2, "data", Kind::BytesMap),
    (3, "type", Kind::Text),
    (4, "stringData", Kind::TextMap),
    (5, "immutable", Kind::OptionalBool),
];
const NAMESPACE: &[Field] = &[
    (1, "metadata", Kind::Message(METADATA)),
    (2, "spec", Kind::Message(&[(1, "finalizers", Kind::Texts)])),
    (3, "status", Kind::Message(&[(1, "phase", Kind::Text)])),
];
const NAMED: &[Field] = &[(1, "name", Kind::Text)];
const SERVICE_ACCOUNT: &[Field] = &[
    (1, "metadata", Kind::Message(METADATA)),
    (3, "imagePullSecrets", Kind::Messages(NAMED)),
    (4, "automountServiceAccountToken", Kind::OptionalBool),
];
const DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Kind::OptionalInt),
    (
        2,
        "preconditions",
        Kind::Message(&[(1, "uid", Kind::Text), (2, "resourceVersion", Kind::Text)]),
    ),
    (3, "orphanDependents", Kind::OptionalBool),
    (4, "propagationPolicy", Kind::Text),
    (5, "dryRun", Kind::Texts),
];
const EVICTION: &[Field] = &[
    (1, "metadata", Kind::Message(METADATA)),
    (2, "deleteOptions", Kind::Message(DELETE_OPTIONS)),
];
const ENVELOPE: &[u8] = b"k8s\0";

fn fields_of(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    Some(match (api_version, kind) {
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "Secret") => SECRET,
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "ServiceAccount") => SERVICE_ACCOUNT,
        ("policy/v1", "Eviction") => EVICTION,
        (_, "DeleteOptions") => DELETE_OPTIONS,
        _ => return None,
    })
}

/// The object in an enveloped body; `None` if it is malformed, or has a kind or field that is not known here.
pub(crate) fn decode(body: &[u8]) -> Option<Value> {
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), None);
    for part in parts(body.strip_prefix(ENVELOPE)?)? {
        match part {
            (1, Wire::Bytes(types)) => {
                for part in parts(types)? {
                    match part {
                        (1, Wire::Bytes(text)) => api_version = string(text)?,
                        (2, Wire::Bytes(text)) => kind = string(text)?,
                        _ => return None,
                    }
                }
            }
            (2, Wire::Bytes(object)) => raw = Some(object),
            _ => {}
        }
    }
    // Without an object it was cut short.
    let mut object = message(raw?, fields_of(&api_version, &kind)?)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Some(Value::Object(object))
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, by number, in order.
fn parts(mut rest: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Wire::Number(varint(&mut rest)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (bytes, tail) = rest.split_at_checked(length)?;
                rest = tail;
                Wire::Bytes(bytes)
            }
            _ => return None,
        };
        found.push((tag >> 3, value));
    }
    Some(found)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn string(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn message(bytes: &[u8], fields: &[Field]) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    for (number, wire) in parts(bytes)? {
        let (_, name, kind) = fields.iter().find(|(known, _, _)| *known == number)?;
        match (*kind, wire) {
            (Kind::Text, Wire::Bytes(text)) => {
                let text = string(text)?;
                if !text.is_empty() {
                    object.insert((*name).into(), text.into());
                }
            }
            (Kind::Int, Wire::Number(0)) => {}
            (Kind::Int | Kind::OptionalInt, Wire::Number(value)) => {
                object.insert((*name).into(), value.cast_signed().into());
            }
            (Kind::OptionalBool, Wire::Number(value)) => {
                object.insert((*name).into(), (value != 0).into());
            }
            (Kind::Texts, Wire::Bytes(text)) => append(&mut object, name, string(text)?.into())?,
            (Kind::Messages(fields), Wire::Bytes(element)) => {
                append(&mut object, name, message(element, fields)?.into())?;
            }
            (Kind::Message(fields), Wire::Bytes(inner)) => {
                let inner = message(inner, fields)?;
                if !inner.is_empty() {
                    object.insert((*name).into(), inner.into());
                }
            }
            (Kind::TextMap, Wire::Bytes(entry)) => {
                let (key, value) = map_entry(entry)?;
                insert(&mut object, name, key, string(value)?.into())?;
            }
            (Kind::BytesMap, Wire::Bytes(entry)) => {
                let (key, value) = map_entry(entry)?;
                insert(&mut object, name, key, STANDARD.encode(value).into())?;
            }
            _ => return None,
        }
    }
    Some(object)
}

fn map_entry(entry: &[u8]) -> Option<(String, &[u8])> {
    let (mut key, mut value) = (String::new(), &[][..]);
    for part in parts(entry)? {
        match part {
            (1, Wire::Bytes(text)) => key = string(text)?,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => return None,
        }
    }
    Some((key, value))
}

fn append(object: &mut Map<String, Value>, name: &str, element: Value) -> Option<()> {
    let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    list.as_array_mut()?.push(element);
    Some(())
}

fn insert(object: &mut Map<String, Value>, name: &str, key: String, value: Value) -> Option<()> {
    let map = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
    map.as_object_mut()?.insert(key, value);
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend(bytes);
        out
    }

    fn body(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
        let types = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [ENVELOPE.to_vec(), field(1, &types), field(2, object), field(3, b"")].concat()
    }

    #[test]
    fn a_secret_becomes_json() {
        let metadata = [field(1, b"y"), field(2, b""), field(8, b""), vec![7 << 3, 0]].concat();
        let entry = [field(1, b"a"), field(2, &[0xff, 0])].concat();
        let object = [field(1, &metadata), field(2, &entry), field(3, b"Opaque"), vec![5 << 3, 0]];
        let want = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "y"}, "data": {"a": "/wA="},
            "type": "Opaque", "immutable": false,
        });
        assert_eq!(decode(&body("v1", "Secret", &object.concat())), Some(want));
    }

    #[test]
    fn what_is_not_known_is_never_dropped() {
        assert_eq!(decode(&body("v1", "Pod", b"")), None);
        assert_eq!(decode(&body("v1", "Secret", &field(9, b"new"))), None);
        assert_eq!(decode(&field(1, b"no envelope")), None);
        let whole = body("v1", "ConfigMap", &field(1, &field(1, b"x")));
        assert!(decode(&whole).is_some());
        for end in 0..whole.len() - 2 {
            assert_eq!(decode(whole.get(..end).unwrap()), None, "cut at {end}");
        }
    }
}
