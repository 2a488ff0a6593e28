//! From what a verb found to the bytes of an answer.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::refusal::Refusal;

/// An answer that is complete.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) warnings: Vec<String>,
    /// Seconds after which to try again.
    pub(crate) retry_after: Option<u64>,
}

impl Reply {
    pub(crate) fn json(code: u16, value: &Value) -> Self {
        Self::bytes(code, Bytes::from(value.to_string()))
    }

    pub(crate) fn bytes(code: u16, body: Bytes) -> Self {
        Self {
            code,
            content_type: "application/json",
            body,
            warnings: Vec::new(),
            retry_after: None,
        }
    }

    pub(crate) fn text(code: u16, text: &str) -> Self {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Self {
            code,
            content_type: "text/plain; charset=utf-8",
            body,
            warnings: Vec::new(),
            retry_after: None,
        }
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        if refusal.plain {
            return Self::text(refusal.code, &refusal.message);
        }
        let status = refusal.status();
        let retry_after = status.pointer("/details/retryAfterSeconds").and_then(Value::as_u64);
        let warnings = refusal.warnings.clone();
        Self { retry_after, warnings, ..Self::json(refusal.code, &status) }
    }

    /// The same answer as YAML.
    pub(crate) fn into_yaml(self) -> Self {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match serde_saphyr::to_string(&value) {
            Ok(text) => Self { body: Bytes::from(text), content_type: "application/yaml", ..self },
            Err(_) => self,
        }
    }
}

/// The `Status` of a deletion that left nothing behind.
pub(crate) fn deleted(group: &str, resource: &str, name: &str, uid: &str) -> Value {
    let mut details = json!({"kind": resource, "name": name, "uid": uid});
    if let (Value::Object(details), false) = (&mut details, group.is_empty()) {
        details.insert("group".into(), group.into());
    }
    json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "details": details})
}
