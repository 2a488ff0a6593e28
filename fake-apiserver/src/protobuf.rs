//! Protobuf bodies: `kubectl create` and its like send built-in kinds in no other form.
//!
//! A body becomes the JSON of the same object as it arrives, so nothing else in the server knows of protobuf. The
//! numbers of the fields are data (`openapi/protobuf.py` tells where they are from). A kind or a field that is not in
//! them is refused by whoever reads the body, never dropped.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::refusal::Refusal;
use crate::schema::builtin;

pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const ENVELOPE: &[u8] = b"k8s\0";
/// How many bytes of a body that cannot be read are shown.
const SHOWN: usize = 30;

/// What a field holds.
#[derive(Debug)]
enum Kind {
    Text,
    Int,
    Bool,
    Bytes,
    /// A message around a list.
    TextList,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON in bytes.
    Raw,
    Message(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// Written even when empty, and means nothing then.
    Plain,
    /// Written only when set, also to nothing.
    Optional,
    List,
    Map,
    /// A message whose fields stand in the object itself.
    Inline,
}

#[derive(Debug)]
struct Field {
    name: String,
    shape: Shape,
    kind: Kind,
}

impl Field {
    fn read(json: &Value) -> Option<Self> {
        let text = |index: usize| json.get(index).and_then(Value::as_str);
        let (name, kind) = (text(0)?.to_owned(), text(1)?);
        let shapes =
            [("*", Shape::Optional), ("[]", Shape::List), ("{}", Shape::Map), ("^", Shape::Inline)];
        let found =
            shapes.into_iter().find_map(|(mark, shape)| Some((kind.strip_prefix(mark)?, shape)));
        let (kind, shape) = found.unwrap_or((kind, Shape::Plain));
        let kind = match kind {
            "text" => Kind::Text,
            "int" => Kind::Int,
            "bool" => Kind::Bool,
            "bytes" => Kind::Bytes,
            "list.text" => Kind::TextList,
            "meta.Time" => Kind::Time,
            "meta.MicroTime" => Kind::MicroTime,
            "Quantity" => Kind::Quantity,
            "IntOrString" => Kind::IntOrString,
            "Raw" => Kind::Raw,
            message => Kind::Message(message.to_owned()),
        };
        Some(Self { name, shape, kind })
    }
}

type Fields = BTreeMap<u64, Field>;

static MESSAGES: LazyLock<BTreeMap<String, Fields>> = LazyLock::new(|| {
    let recorded = builtin::unpack(include_bytes!("../openapi/protobuf.json.gz"));
    let messages = recorded.as_object().into_iter().flatten();
    messages
        .map(|(name, fields)| {
            let fields = fields.as_object().into_iter().flatten();
            let fields = fields
                .filter_map(|(number, json)| Some((number.parse().ok()?, Field::read(json)?)));
            (name.clone(), fields.collect())
        })
        .collect()
});

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
    let message_name = match kind.as_str() {
        "DeleteOptions" => "meta.DeleteOptions".to_owned(),
        kind => format!("{api_version}.{kind}"),
    };
    // Without an object it was cut short.
    let mut object = message(raw?, &message_name)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Some(Value::Object(object))
}

/// Why a body is no object of the kind that is wanted, in the words of the real server.
pub(crate) fn refusal(body: &[u8], wanted: &str) -> Refusal {
    let Some(envelope) = body.strip_prefix(ENVELOPE) else {
        let why = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
        return unrecognized(body, wanted, why);
    };
    let types = parts(envelope).and_then(|all| {
        all.into_iter().find_map(|part| match part {
            (1, Wire::Bytes(types)) => Some(types),
            _ => None,
        })
    });
    let text = |number: u64| {
        let found = parts(types?)?.into_iter().find(|(known, _)| *known == number)?;
        if let (_, Wire::Bytes(bytes)) = found { string(bytes) } else { None }
    };
    let (version, kind) = (text(1).unwrap_or_default(), text(2).unwrap_or_default());
    if kind.is_empty() {
        return unrecognized(body, wanted, "unexpected EOF");
    }
    let why = if MESSAGES.contains_key(&format!("{version}.{kind}")) {
        "unexpected EOF".to_owned()
    } else {
        let scheme = "pkg/api/legacyscheme/scheme.go:30";
        format!("no kind {kind:?} is registered for version {version:?} in scheme {scheme:?}")
    };
    let short = version.rsplit('/').next().unwrap_or_default();
    Refusal::bad_request(format!(
        "{kind} in version {short:?} cannot be handled as a {wanted}: {why}"
    ))
}

/// It is not even known what it is.
fn unrecognized(body: &[u8], wanted: &str, why: &str) -> Refusal {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let summary = match body {
        [] => "<empty>".to_owned(),
        [b'{', ..] if body.len() > SHOWN => {
            format!("{} ...", String::from_utf8_lossy(body.get(..SHOWN).unwrap_or_default()))
        }
        [b'{', ..] => String::from_utf8_lossy(body).into_owned(),
        _ if body.len() > SHOWN => format!("{} ...", hex(body.get(..SHOWN).unwrap_or_default())),
        _ => hex(body),
    };
    Refusal::bad_request(format!(
        "the object provided is unrecognized (must be of type {wanted}): {why} ({summary})"
    ))
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

fn message(bytes: &[u8], name: &str) -> Option<Map<String, Value>> {
    let fields = MESSAGES.get(name)?;
    let mut object = Map::new();
    for (number, wire) in parts(bytes)? {
        let field = fields.get(&number)?;
        let name = field.name.as_str();
        match field.shape {
            Shape::List => append(&mut object, name, value(&field.kind, &wire)?)?,
            Shape::Map => {
                let Wire::Bytes(entry) = wire else { return None };
                let (key, element) = map_entry(entry)?;
                insert(&mut object, name, key, value(&field.kind, &Wire::Bytes(element))?)?;
            }
            Shape::Inline => {
                let Value::Object(inner) = value(&field.kind, &wire)? else { return None };
                object.extend(inner);
            }
            Shape::Optional | Shape::Plain => {
                let value = value(&field.kind, &wire)?;
                if !value.is_null() && (field.shape == Shape::Optional || !is_empty(&value)) {
                    object.insert(name.into(), value);
                }
            }
        }
    }
    Some(object)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// What one occurrence of a field says; null is a time that is not set.
fn value(kind: &Kind, wire: &Wire<'_>) -> Option<Value> {
    Some(match (kind, wire) {
        (Kind::Int, Wire::Number(number)) => number.cast_signed().into(),
        (Kind::Bool, Wire::Number(number)) => (*number != 0).into(),
        (Kind::Text, Wire::Bytes(text)) => string(text)?.into(),
        (Kind::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Kind::Message(name), Wire::Bytes(inner)) => message(inner, name)?.into(),
        (Kind::Quantity, Wire::Bytes(inner)) => match parts(inner)?.as_slice() {
            [(1, Wire::Bytes(text))] => string(text)?.into(),
            _ => return None,
        },
        (Kind::Raw, Wire::Bytes(inner)) => match parts(inner)?.as_slice() {
            [(1, Wire::Bytes(json))] => serde_json::from_slice(json).ok()?,
            _ => return None,
        },
        (Kind::TextList, Wire::Bytes(inner)) => {
            let texts = parts(inner)?.into_iter().map(|part| match part {
                (1, Wire::Bytes(text)) => string(text).map(Value::from),
                _ => None,
            });
            Value::Array(texts.collect::<Option<_>>()?)
        }
        (Kind::IntOrString, Wire::Bytes(inner)) => int_or_string(inner)?,
        (Kind::Time, Wire::Bytes(inner)) => {
            time(inner)?.map_or(Value::Null, |at| crate::state::time(at).into())
        }
        (Kind::MicroTime, Wire::Bytes(inner)) => {
            time(inner)?.map_or(Value::Null, |at| format!("{at:.6}").into())
        }
        _ => return None,
    })
}

fn int_or_string(bytes: &[u8]) -> Option<Value> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for part in parts(bytes)? {
        match part {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(value)) => text = string(value)?,
            _ => return None,
        }
    }
    Some(if is_text { json!(text) } else { json!(number) })
}

/// A moment; `None` within if it is not set.
fn time(bytes: &[u8]) -> Option<Option<Timestamp>> {
    let (mut seconds, mut nanos) = (0, 0);
    for part in parts(bytes)? {
        match part {
            (1, Wire::Number(value)) => seconds = value.cast_signed(),
            (2, Wire::Number(value)) => nanos = i32::try_from(value).ok()?,
            _ => return None,
        }
    }
    // The unset time of Go is the first second of the year one, and is written as nothing.
    if bytes.is_empty() { Some(None) } else { Timestamp::new(seconds, nanos).ok().map(Some) }
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
    fn fields_have_the_shapes_of_their_types() {
        let port = field(5, &[[1 << 3, 1].to_vec(), field(3, b"web")].concat());
        let probe = field(1, &field(2, &[field(1, b"/"), field(2, &port[2..])].concat()));
        let limits = field(1, &[field(1, b"cpu"), field(2, &field(1, b"2"))].concat());
        let container = [field(1, b"c"), vec![0x80, 1, 0], field(8, &limits), field(11, &probe)];
        let spec = [field(2, &container.concat()), vec![4 << 3, 0], vec![11 << 3, 0]].concat();
        let time = field(8, &[1 << 3, 60]);
        let object = [field(1, &time), field(2, &spec), field(3, b"")].concat();
        let want = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"creationTimestamp": "1970-01-01T00:01:00Z"},
            "spec": {
                "containers": [{
                    "name": "c", "resources": {"limits": {"cpu": "2"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": "web"}},
                }],
                "terminationGracePeriodSeconds": 0,
            },
        });
        assert_eq!(decode(&body("v1", "Pod", &object)), Some(want));
    }

    #[test]
    fn every_message_that_a_field_names_is_there() {
        // Of scheduling groups only an alpha exists.
        let absent = |name: &str| name.contains("schedulingv1alpha");
        let named =
            MESSAGES.values().flat_map(BTreeMap::values).filter_map(|field| match &field.kind {
                Kind::Message(name) => Some(name.as_str()),
                _ => None,
            });
        let missing: Vec<&str> =
            named.filter(|name| !MESSAGES.contains_key(*name) && !absent(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
        assert!(MESSAGES.len() > 400, "{}", MESSAGES.len());
    }

    #[test]
    fn what_is_not_known_is_never_dropped() {
        assert_eq!(decode(&body("v1", "Nothing", b"")), None);
        assert_eq!(decode(&body("v1", "Secret", &field(15, b"new"))), None);
        assert_eq!(decode(&field(1, b"no envelope")), None);
        let whole = body("v1", "ConfigMap", &field(1, &field(1, b"x")));
        assert!(decode(&whole).is_some());
        for end in 0..whole.len() - 2 {
            assert_eq!(decode(whole.get(..end).unwrap()), None, "cut at {end}");
        }
    }
}
