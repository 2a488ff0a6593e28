//! Replies: an HTTP status and a JSON object.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::TtError;
use crate::script::Fault;

/// The JSON of a reply: built field by field, or a finished struct that need not be taken apart.
#[derive(Debug)]
enum Body {
    Object(Map<String, Value>),
    Text(Vec<u8>),
}

impl Body {
    fn into_map(self) -> Map<String, Value> {
        match self {
            Self::Object(map) => map,
            Self::Text(text) => serde_json::from_slice(&text).unwrap_or_default(),
        }
    }
}

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    body: Body,
}

/// A response in the making.
pub(crate) struct Rendered(Response<Bytes>);

impl Reply {
    /// `jsonVer` 1, `errno` 0.
    pub(crate) fn ok() -> Self {
        Self::failed_with(0, None)
    }

    /// The Generic shape: empty `stdout`, `stderr`.
    pub(crate) fn generic() -> Self {
        Self::ok().with("stdout", json!([])).with("stderr", json!([]))
    }

    /// HTTP 200 with an error.
    pub(crate) fn failed(errno: i64, message: impl Into<String>) -> Self {
        Self::failed_with(errno, Some(message.into()))
    }

    fn failed_with(errno: i64, message: Option<String>) -> Self {
        let mut body = Map::new();
        body.insert("jsonVer".to_owned(), json!(1));
        body.insert("errno".to_owned(), json!(errno));
        if let Some(message) = message {
            body.insert("errmsg".to_owned(), json!(message));
        }
        Self { status: 200, body: Body::Object(body) }
    }

    /// A reply without `errno`.
    pub(crate) fn object(fields: Value) -> Self {
        let body = match fields {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Self { status: 200, body: Body::Object(body) }
    }

    /// A finished struct.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => Self { status: 200, body: Body::Text(text) },
            Err(error) => Self::failed(999, format!("cannot render the reply: {error}")),
        }
    }

    pub(crate) fn with(self, field: &str, value: Value) -> Self {
        let mut map = self.body.into_map();
        map.insert(field.to_owned(), value);
        Self { status: self.status, body: Body::Object(map) }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The error number it carries; 0 if none.
    pub(crate) fn errno(&self) -> i64 {
        match &self.body {
            Body::Object(map) => map.get("errno").and_then(Value::as_i64).unwrap_or(0),
            Body::Text(_) => 0,
        }
    }

    /// Applies a fault that changes the answer.
    pub(crate) fn distorted(self, fault: Fault) -> Self {
        match fault {
            Fault::BadJsonVer => self.with("jsonVer", json!(99)),
            Fault::Lie(patch) => {
                let mut map = self.body.into_map();
                merge(&mut map, patch);
                Self { status: self.status, body: Body::Object(map) }
            }
            _ => self,
        }
    }

    pub(crate) fn render(self, request_id: Option<&HeaderValue>) -> Rendered {
        let text = match self.body {
            Body::Text(text) => text,
            Body::Object(map) => serde_json::to_vec(&map).unwrap_or_default(),
        };
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(id) = request_id {
            response.headers_mut().insert("x-request-id", id.clone());
        }
        Rendered(response)
    }
}

impl Rendered {
    pub(crate) fn finish(self) -> Response<Bytes> {
        self.0
    }

    pub(crate) fn with_challenge(mut self) -> Response<Bytes> {
        let challenge = HeaderValue::from_static("Basic realm=\"ttagent\"");
        self.0.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        self.0
    }
}

impl From<TtError> for Reply {
    fn from(error: TtError) -> Self {
        Self::failed(error.errno, error.message)
    }
}

/// A JSON merge patch (RFC 7396).
fn merge(target: &mut Map<String, Value>, patch: Value) {
    let Value::Object(patch) = patch else { return };
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(&key);
            }
            Value::Object(_) => {
                let slot = target.entry(key).or_insert_with(|| json!({}));
                if !slot.is_object() {
                    *slot = json!({});
                }
                if let Value::Object(inner) = slot {
                    merge(inner, value);
                }
            }
            other => {
                target.insert(key, other);
            }
        }
    }
}
