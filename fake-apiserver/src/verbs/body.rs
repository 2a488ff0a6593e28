//! Reading the object in a request's body.

use std::sync::Arc;

use serde_json::Value;

use super::{Call, FieldValidation};
use crate::refusal::Refusal;
use crate::registry::Resource;
use crate::schema::{decode, defaulting, pruning};
use crate::store::Stored;
use crate::{crd, json, protobuf, strategy};

const OBJECT_TYPES: &str =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// The object of a create or an update, decoded and with its defaults.
pub(super) fn object(call: &Call<'_>, warnings: &mut Vec<String>) -> Result<Value, Refusal> {
    let body = &call.request.body;
    let mut value = match call.request.media_type() {
        "application/json" | "" => parse(body, &call.resource.kind)?,
        "application/yaml" => yaml(body, &call.resource.kind)?,
        // What could be read of it is JSON by now.
        protobuf::MEDIA_TYPE if call.resource.custom().is_none() => {
            return Err(protobuf::refusal(body, &call.resource.kind));
        }
        _ => return Err(Refusal::unsupported_media_type(OBJECT_TYPES)),
    };
    check_type(call, &mut value)?;
    let faults = strict_faults(&mut value, &call.resource, body)
        .map_err(|text| Refusal::bad_request(cannot_be_handled(&call.resource, &text)))?;
    report(call, faults, warnings)?;
    apply_defaults(&mut value, &call.resource);
    Ok(value)
}

fn cannot_be_handled(resource: &Resource, text: &str) -> String {
    format!(
        "{kind} in version {:?} cannot be handled as a {kind}: {text}",
        resource.version,
        kind = resource.kind
    )
}

/// Tells of unknown and duplicate fields as the request wants it.
pub(super) fn report(
    call: &Call<'_>,
    faults: Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    match call.validation {
        FieldValidation::Strict if !faults.is_empty() => {
            let text = format!("strict decoding error: {}", faults.join(", "));
            let message = cannot_be_handled(&call.resource, &text);
            return Err(Refusal::bad_request(message));
        }
        FieldValidation::Warn => warnings.extend(faults),
        FieldValidation::Strict | FieldValidation::Ignore => {}
    }
    Ok(())
}

/// Drops what the kind does not know. Returns what a strict reader would object to.
///
/// # Errors
/// The decoder's text when a field of a built-in kind has the wrong type.
pub(super) fn strict_faults(
    value: &mut Value,
    resource: &Resource,
    text: &[u8],
) -> Result<Vec<String>, String> {
    let mut faults: Vec<String> =
        decode::duplicates(text).iter().map(|path| format!("duplicate field {path:?}")).collect();
    let mut unknown = Vec::new();
    match resource.custom() {
        None => decode::decode(value, resource.schema(), &resource.kind, &mut unknown)?,
        Some(custom) => {
            let embedded = |value: &Value| pruning::embedded_fault(value, &custom.schema);
            if let Some(why) = Some(&*value).filter(|_| custom.has_embedded).and_then(embedded) {
                return Err(why);
            }
            pruning::prune(value, &custom.schema, true, &mut unknown);
            decode_metadata(value, &mut unknown);
        }
    }
    unknown.sort();
    faults.extend(unknown.iter().map(|path| format!("unknown field {path:?}")));
    Ok(faults)
}

fn decode_metadata(value: &mut Value, unknown: &mut Vec<String>) {
    if let Some(metadata) = value.get_mut("metadata") {
        let mut found = Vec::new();
        // Metadata that cannot be read is refused when it is checked.
        let _ = decode::decode(
            metadata,
            crate::schema::builtin::object_meta(),
            "ObjectMeta",
            &mut found,
        );
        unknown.extend(found.into_iter().map(|path| format!("metadata.{path}")));
    }
}

/// Fills in the defaults of a kind.
pub(super) fn apply_defaults(value: &mut Value, resource: &Resource) {
    match resource.custom() {
        None => {
            decode::fill(value, resource.schema());
            strategy::apply_defaults(value, resource);
            if resource.is("apiextensions.k8s.io", "CustomResourceDefinition") {
                crd::default_definition(value);
            }
        }
        Some(custom) => {
            defaulting::drop_nulls(value, &custom.schema);
            defaulting::fill(value, &custom.schema);
        }
    }
}

/// Parses JSON; what is none is refused as the real server refuses it.
pub(super) fn parse(body: &[u8], kind: &str) -> Result<Value, Refusal> {
    let refused = |why: &str| {
        let text = String::from_utf8_lossy(body);
        let shown = match text.chars().count() {
            0 => "<empty>".to_owned(),
            n if n > 30 => format!("{} ...", text.chars().take(30).collect::<String>()),
            _ => text.into_owned(),
        };
        Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; \
             json parse error: {why} ({shown})"
        ))
    };
    match serde_json::from_slice::<Value>(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(refused("json: cannot unmarshal array into Go value of type struct")),
        Err(error) if error.is_eof() => Err(refused("unexpected end of JSON input")),
        Err(error) => Err(refused(&error.to_string())),
    }
}

/// Parses YAML.
pub(super) fn yaml(body: &[u8], kind: &str) -> Result<Value, Refusal> {
    yaml_object(body).map_err(|why| {
        Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why}"
        ))
    })
}

/// The object of a YAML text.
///
/// # Errors
/// Why it is none, as the real server's reader tells it.
pub(super) fn yaml_object(body: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(body);
    let options = serde_saphyr::options! { duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins };
    let found = match serde_saphyr::from_str_with_options::<Value>(&text, options) {
        Ok(value @ Value::Object(_)) => return Ok(value),
        Ok(Value::Array(_)) => "array",
        Ok(Value::String(_)) => "string",
        Ok(Value::Number(_)) => "number",
        Ok(Value::Bool(_)) => "bool",
        Ok(Value::Null) => return Ok(Value::Object(serde_json::Map::new())),
        Err(error) => return Err(format!("error converting YAML to JSON: yaml: {}", told(&error))),
    };
    Err(format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type \
         map[string]interface {{}}"
    ))
}

/// An error of the reader in a line.
fn told(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let what = text.split_once(": ").map_or(text, |(_, rest)| rest);
    let what = what.rsplit(": ").next().unwrap_or(what);
    match error.location() {
        Some(location) => format!("line {}: {what}", location.line()),
        None => what.to_owned(),
    }
}

fn check_type(call: &Call<'_>, value: &mut Value) -> Result<(), Refusal> {
    let resource = &call.resource;
    let wanted = resource.api_version();
    let (version, kind) =
        (json::text(value, &["apiVersion"]).to_owned(), json::text(value, &["kind"]).to_owned());
    if resource.custom().is_some() {
        if kind.is_empty() {
            let text = String::from_utf8_lossy(&call.request.body);
            let head: String = text.chars().take(30).collect();
            return Err(Refusal::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' ({head} ...)",
                resource.kind
            )));
        }
        if version != wanted {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({wanted})"
            )));
        }
        if kind != resource.kind {
            return Err(Refusal::bad_request(format!(
                "the kind in the data ({kind}) does not match the expected kind ({})",
                resource.kind
            )));
        }
        return Ok(());
    }
    if (!kind.is_empty() && kind != resource.kind) || (!version.is_empty() && version != wanted) {
        let why = wrong_type(value, resource);
        let short = version.rsplit('/').next().unwrap_or_default();
        return Err(Refusal::bad_request(format!(
            "{kind} in version {short:?} cannot be handled as a {}: {why}",
            resource.kind
        )));
    }
    json::put(value, &["apiVersion"], wanted.into());
    json::put(value, &["kind"], resource.kind.as_str().into());
    Ok(())
}

/// Why an object of another type cannot be one of a built-in kind.
pub(super) fn wrong_type(value: &Value, resource: &Resource) -> String {
    let (version, kind) = (json::text(value, &["apiVersion"]), json::text(value, &["kind"]));
    if kind == resource.kind {
        let scheme = "pkg/api/legacyscheme/scheme.go:30";
        return format!(
            "no kind {kind:?} is registered for version {version:?} in scheme {scheme:?}"
        );
    }
    let package = if resource.group.is_empty() {
        "core"
    } else {
        resource.group.split('.').next().unwrap_or("")
    };
    let short = version.rsplit('/').next().unwrap_or_default();
    format!("converting ({short}.{kind}) to ({package}.{}): unknown conversion", resource.kind)
}

/// Whether an object is shown as it is stored.
pub(super) fn is_as_stored(stored: &Stored, resource: &Resource) -> bool {
    let has_defaults = resource.custom().is_some_and(|custom| custom.has_defaults);
    stored.api_version() == resource.api_version()
        && !(has_defaults && lacks_defaults(&stored.value(), resource))
}

fn lacks_defaults(stored: &Value, resource: &Resource) -> bool {
    resource.custom().is_some_and(|custom| {
        custom.has_defaults && defaulting::lacks(stored, &custom.storage_schema)
    })
}

/// A stored object in the version of a resource.
///
/// A custom one is read in the version that it is stored in, with the defaults that this one has by now; what another
/// version does not know is left out then.
pub(crate) fn view(stored: &Stored, resource: &Resource) -> Arc<Value> {
    let wanted = resource.api_version();
    let stored = stored.value();
    let same = json::text(&stored, &["apiVersion"]) == wanted;
    let lacking = lacks_defaults(&stored, resource);
    if same && !lacking {
        return stored;
    }
    let mut value = (*stored).clone();
    if let (Some(custom), true) = (resource.custom(), lacking) {
        defaulting::fill(&mut value, &custom.storage_schema);
    }
    if same {
        return Arc::new(value);
    }
    if resource.kind == "Event" {
        strategy::event::to_view(&mut value, &resource.group);
    }
    json::put(&mut value, &["apiVersion"], wanted.into());
    if let Some(custom) = resource.custom() {
        pruning::prune(&mut value, &custom.schema, true, &mut Vec::new());
    }
    Arc::new(value)
}

/// An object of a request in the version it is stored in.
pub(super) fn to_storage(value: &mut Value, resource: &Resource) {
    if let Some(custom) = resource.custom() {
        if resource.version != custom.storage_version {
            let version = crate::registry::group_version(&resource.group, &custom.storage_version);
            json::put(value, &["apiVersion"], version.into());
            pruning::prune(value, &custom.storage_schema, true, &mut Vec::new());
        }
    } else if resource.is("events.k8s.io", "Event") {
        strategy::event::to_view(value, "");
        json::put(value, &["apiVersion"], "v1".into());
    }
}
