//! The scale subresource.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::update::{self, Writer};
use super::{Call, body};
use crate::patch::{self, PatchKind};
use crate::refusal::{Cause, Named, Refusal};
use crate::registry::Resource;
use crate::respond::Reply;
use crate::schema::{Reference, Schema, Shape, decode};
use crate::state::State;
use crate::store::Stored;
use crate::{apply, crd, json};

fn scale_paths(resource: &Resource) -> crd::ScalePaths {
    let words = |path: &[&str]| path.iter().map(|word| (*word).to_owned()).collect();
    resource.custom().and_then(|custom| custom.scale.clone()).unwrap_or_else(|| crd::ScalePaths {
        spec: words(&["spec", "replicas"]),
        status: words(&["status", "replicas"]),
        selector: None,
    })
}

fn find<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// The `Scale` of an object.
fn scale_of(object: &Value, resource: &Resource) -> Value {
    let paths = scale_paths(resource);
    let keep = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata: Value = keep
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), json::at(object, &["metadata", key])?.clone())))
        .collect();
    let number = |path: &[String]| find(object, path).and_then(Value::as_i64).unwrap_or_default();
    let mut spec = json!({});
    if number(&paths.spec) != 0 {
        json::put(&mut spec, &["replicas"], number(&paths.spec).into());
    }
    let mut status = json!({"replicas": number(&paths.status)});
    let selector = match &paths.selector {
        Some(path) => find(object, path).and_then(Value::as_str).map(str::to_owned),
        None if resource.custom().is_none() => {
            Some(selector_text(json::at(object, &["spec", "selector"])))
        }
        None => None,
    };
    if let Some(selector) = selector.filter(|text| !text.is_empty()) {
        json::put(&mut status, &["selector"], selector.into());
    }
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec, "status": status})
}

fn selector_text(selector: Option<&Value>) -> String {
    let labels =
        selector.and_then(|selector| selector.get("matchLabels")).and_then(Value::as_object);
    let pairs = labels.into_iter().flatten();
    pairs
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(",")
}

pub(super) fn scale(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let existing = call.get(state)?;
    let object = body::view(&existing, &call.resource);
    let present = scale_of(&object, &call.resource);
    let wanted = match call.request.method {
        Method::GET => return Ok(Reply::json(200, &present)),
        Method::PUT => body::parse(&call.request.body, "Scale")?,
        _ => {
            let kind = patch::kind(call)?;
            if kind == PatchKind::Apply {
                return apply_scale(state, call, &existing, &object);
            }
            let patch = patch::parse(kind, &call.request.body)?;
            // A scale has no lists, so that strategic merging is plain merging.
            patch::patched(
                if kind == PatchKind::Json { kind } else { PatchKind::Merge },
                &present,
                &patch,
                &call.resource,
            )?
        }
    };
    let wanted = decoded(wanted)?;
    let mut value = (*object).clone();
    let replicas = json::int(&wanted, &["spec", "replicas"]).unwrap_or_default();
    put_replicas(&mut value, call, replicas)?;
    let version = json::text(&wanted, &["metadata", "resourceVersion"]).to_owned();
    json::metadata_mut(&mut value).insert("resourceVersion".into(), version.into());
    written(state, call, &existing, value, Writer::Update)
}

/// A `Scale` of a request, read as the schema of its kind has it.
fn decoded(mut scale: Value) -> Result<Value, Refusal> {
    let schema = Schema {
        shape: Shape::Ref(Reference::new("io.k8s.api.autoscaling.v1.Scale")),
        ..Schema::default()
    };
    match decode::decode(&mut scale, &schema, "Scale", &mut Vec::new()) {
        Ok(()) => Ok(scale),
        Err(why) => Err(Refusal::bad_request(format!(
            "Scale in version \"v1\" cannot be handled as a Scale: {why}"
        ))),
    }
}

/// Sets the replicas of the object behind a `Scale`.
fn put_replicas(object: &mut Value, call: &Call<'_>, replicas: i64) -> Result<(), Refusal> {
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let cause = Cause::invalid("spec.replicas", &replicas.into(), why);
        let of = Named { group: "autoscaling", resource: "Scale" };
        return Err(Refusal::invalid(of, call.name(), &[cause]));
    }
    let paths = scale_paths(&call.resource);
    let spec: Vec<&str> = paths.spec.iter().map(String::as_str).collect();
    json::put(object, &spec, replicas.into());
    Ok(())
}

/// Writes the object and answers with its `Scale`.
fn written(
    state: &mut State,
    call: &Call<'_>,
    existing: &Arc<Stored>,
    value: Value,
    writer: Writer,
) -> Result<Reply, Refusal> {
    update::replace(state, call, existing, value, writer, Vec::new())?;
    let stored = call.get(state)?;
    Ok(Reply::json(200, &scale_of(&body::view(&stored, &call.resource), &call.resource)))
}

/// Applies a `Scale`: its replicas are those of the object, and owned there.
fn apply_scale(
    state: &mut State,
    call: &Call<'_>,
    existing: &Arc<Stored>,
    object: &Value,
) -> Result<Reply, Refusal> {
    let wanted = decoded(update::configuration(call)?)?;
    let (version, kind) = (json::text(&wanted, &["apiVersion"]), json::text(&wanted, &["kind"]));
    if version != "autoscaling/v1" || kind != "Scale" {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let message = format!("invalid object type: {group}/{version}, Kind={kind}");
        return Err(Refusal::bad_request(message));
    }
    let mut config = json!({
        "apiVersion": call.resource.api_version(), "kind": call.resource.kind,
        "metadata": {"name": call.name()},
    });
    if let Some(replicas) = json::int(&wanted, &["spec", "replicas"]) {
        put_replicas(&mut config, call, replicas)?;
    }
    let force = call.request.query.flag("force");
    let value = apply::applied(Some(object), &config, call, force)?;
    written(state, call, existing, value, Writer::Apply)
}
