//! Config maps and secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::json;
use crate::refusal::Cause;

const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
     'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const SETTLED: &str = "field is immutable when `immutable` is set";

/// `ValidateConfigMap` and `ValidateConfigMapUpdate`.
pub(super) fn validate_config_map(value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = settled(value, old);
    for key in keys(value, "data") {
        validate_key(key, "data", &mut causes);
        if json::at(value, &["binaryData", key]).is_some() {
            let why = "duplicate of key present in binaryData";
            causes.push(Cause::invalid(format!("data[{key}]"), &key.into(), why));
        }
    }
    for key in keys(value, "binaryData") {
        validate_key(key, "binaryData", &mut causes);
    }
    causes
}

/// `ValidateSecret` and `ValidateSecretUpdate`.
pub(super) fn validate_secret(value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kind = value.get("type").unwrap_or(&Value::Null);
    if old.is_some_and(|old| old.get("type") != value.get("type")) {
        causes.push(Cause::invalid("type", kind, "field is immutable"));
    }
    causes.extend(settled(value, old));
    for key in keys(value, "data") {
        validate_key(key, "data", &mut causes);
    }
    let has = |key: &str| json::at(value, &["data", key]).is_some();
    let required = |key: &str| Cause::required(format!("data[{key}]"), "");
    match kind.as_str().unwrap_or_default() {
        "kubernetes.io/tls" => {
            causes.extend(["tls.crt", "tls.key"].into_iter().filter(|k| !has(k)).map(required));
        }
        "kubernetes.io/ssh-auth" if !has("ssh-privatekey") => {
            causes.push(required("ssh-privatekey"));
        }
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            causes.extend(["username", "password"].map(required));
        }
        "kubernetes.io/dockercfg" => validate_json(value, ".dockercfg", &mut causes),
        "kubernetes.io/dockerconfigjson" => {
            validate_json(value, ".dockerconfigjson", &mut causes);
        }
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if json::text(value, &["metadata", "annotations", name]).is_empty() {
                causes.push(Cause::required(format!("metadata.annotations[{name}]"), ""));
            }
        }
        _ => {}
    }
    causes
}

fn keys<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    value.get(field).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.as_str())
}

/// What an object that is marked as immutable cannot change.
fn settled(value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let yes = Some(&Value::Bool(true));
    let Some(old) = old.filter(|old| old.get("immutable") == yes) else { return Vec::new() };
    let changed = ["immutable", "data", "binaryData"]
        .into_iter()
        .filter(|key| value.get(*key) != old.get(*key));
    changed.map(|key| Cause::forbidden(key, SETTLED)).collect()
}

/// `IsConfigMapKey`.
fn validate_key(key: &str, field: &str, causes: &mut Vec<Cause>) {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
    let why = match key {
        _ if key.len() > 253 => "must be no more than 253 characters",
        "." => "must not be '.'",
        ".." => "must not be '..'",
        _ if key.starts_with("..") => "must not start with '..'",
        _ if key.is_empty() || !key.bytes().all(fits) => KEY,
        _ => return,
    };
    causes.push(Cause::invalid(format!("{field}[{key}]"), &key.into(), why));
}

/// Credentials of a registry are JSON. Their text is never told.
fn validate_json(value: &Value, key: &str, causes: &mut Vec<Cause>) {
    let field = format!("data[{key}]");
    let Some(encoded) = json::at(value, &["data", key]) else {
        causes.push(Cause::required(field, ""));
        return;
    };
    let text = STANDARD.decode(encoded.as_str().unwrap_or_default()).unwrap_or_default();
    if serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok() {
        return;
    }
    let text = String::from_utf8_lossy(&text);
    let why = match text.trim_start().chars().next() {
        Some(first) if !"{[\"0123456789-tfn".contains(first) => {
            format!("invalid character '{first}' looking for beginning of value")
        }
        _ => "unexpected end of JSON input".to_owned(),
    };
    causes.push(Cause::invalid(field, &"<secret contents redacted>".into(), &why));
}
