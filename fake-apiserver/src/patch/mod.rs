//! Patches: merge, JSON and strategic merge. Server-side apply is in `apply`.

mod strategic;

pub(crate) use self::strategic::go_map;

use serde_json::Value;

use crate::refusal::Refusal;
use crate::registry::Resource;
use crate::verbs::Call;

/// Which patch the content type says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

pub(crate) fn kind(call: &Call<'_>) -> Result<PatchKind, Refusal> {
    let custom = call.resource.custom().is_some();
    match call.request.media_type() {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" if !custom => Ok(PatchKind::Strategic),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        _ if custom => Err(Refusal::unsupported_media_type(
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )),
        _ => Err(Refusal::unsupported_patch()),
    }
}

/// Reads a patch.
pub(crate) fn parse(kind: PatchKind, body: &[u8]) -> Result<Value, Refusal> {
    let refused = |why: String| Refusal::bad_request(format!("error decoding patch: {why}"));
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        refused(if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        })
    })?;
    let found = match &value {
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => "null",
    };
    match (kind, &value) {
        (PatchKind::Json, Value::Array(_))
        | (PatchKind::Merge | PatchKind::Strategic, Value::Object(_)) => Ok(value),
        (PatchKind::Json, _) => Err(refused(format!(
            "json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
        ))),
        _ => Err(refused(format!(
            "json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        ))),
    }
}

/// An object after a patch.
pub(crate) fn patched(
    kind: PatchKind,
    object: &Value,
    patch: &Value,
    resource: &Resource,
) -> Result<Value, Refusal> {
    let mut value = object.clone();
    match kind {
        PatchKind::Merge => json_patch::merge(&mut value, patch),
        PatchKind::Strategic => strategic::merge(&mut value, patch, resource.schema())?,
        PatchKind::Json => json_operations(&mut value, patch)?,
        PatchKind::Apply => return Err(Refusal::internal("an apply is no patch of an object")),
    }
    Ok(value)
}

/// The real server's library takes a test for `null` to hold where there is nothing, if there could be something:
/// that is how clients put the first finalizer on an object.
fn tests_absence(operation: &Value, value: &Value) -> bool {
    let Some(path) = operation.get("path").and_then(Value::as_str) else { return false };
    let parent = path.rsplit_once('/').and_then(|(parent, _)| value.pointer(parent));
    operation.get("op").and_then(Value::as_str) == Some("test")
        && operation.get("value") == Some(&Value::Null)
        && value.pointer(path).is_none()
        && parent.is_some_and(Value::is_object)
}

fn json_operations(value: &mut Value, patch: &Value) -> Result<(), Refusal> {
    let Value::Array(operations) = patch else { return Err(Refusal::unprocessable()) };
    for operation in operations {
        if tests_absence(operation, value) {
            continue;
        }
        let mut operation = operation.clone();
        // The real server's library adds what a `replace` does not find, if its parent is there.
        if operation.get("op").and_then(Value::as_str) == Some("replace")
            && let Some(path) = operation.get("path").and_then(Value::as_str)
            && value.pointer(path).is_none()
            && let Value::Object(map) = &mut operation
        {
            map.insert("op".into(), "add".into());
        }
        let one: json_patch::PatchOperation =
            serde_json::from_value(operation).map_err(|_| Refusal::unprocessable())?;
        json_patch::patch(value, &[one]).map_err(|_| Refusal::unprocessable())?;
    }
    Ok(())
}
