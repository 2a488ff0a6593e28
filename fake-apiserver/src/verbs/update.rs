//! Changing objects: replacing them (PUT) and patching them.

use std::sync::Arc;

use serde_json::Value;

use super::create::Origin;
use super::{Call, body, create, read};
use crate::patch::{self, PatchKind};
use crate::refusal::{Cause, Named, Refusal, quote};
use crate::respond::Reply;
use crate::state::State;
use crate::store::Stored;
use crate::{apply, json, meta, strategy};

pub(super) fn put(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let mut warnings = Vec::new();
    let mut value = body::object(call, &mut warnings)?;
    check_name(call, &value)?;
    meta::settle_namespace(&mut value, call.namespace())?;
    let told = warnings.clone();
    let reply = match call.get(state) {
        Ok(existing) => replace(state, call, &existing, value, Writer::Update, warnings),
        Err(_) if strategy::put_creates(&call.resource) && call.subresource().is_none() => {
            create::insert(state, call, value, Origin::Create, warnings)
        }
        Err(missing) => Err(missing),
    };
    reply.map_err(|refusal| refusal.warned(told))
}

fn check_name(call: &Call<'_>, value: &Value) -> Result<(), Refusal> {
    let (told, wanted) = (json::text(value, &["metadata", "name"]), call.name());
    if told.is_empty() {
        let message = format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        );
        return Err(Refusal::bad_request(message));
    }
    if told != wanted {
        let message = format!(
            "the name of the object ({told}) does not match the name on the URL ({wanted})"
        );
        return Err(Refusal::bad_request(message));
    }
    Ok(())
}

pub(super) fn patch(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let kind = patch::kind(call)?;
    if kind == PatchKind::Apply {
        return apply_patch(state, call);
    }
    if call.request.query.get("force").is_some() {
        let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
        return Err(Refusal::invalid(
            Named { group: "meta.k8s.io", resource: "PatchOptions" },
            "",
            &[cause],
        ));
    }
    let patch = patch::parse(kind, &call.request.body)?;
    let existing = call.get(state)?;
    let before = body::view(&existing, &call.resource);
    let mut value = patch::patched(kind, &before, &patch, &call.resource)?;
    let mut warnings = Vec::new();
    settle_type(&mut value, call)?;
    // A patch may lead to another version of a custom kind: it is read as such, and refused when it is checked.
    let version = json::text(&value, &["apiVersion"]);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let read_as = state.registry.get(group, version, &call.resource.plural);
    let read_as = read_as.unwrap_or_else(|| call.resource.clone());
    let faults = body::strict_faults(&mut value, &read_as, &call.request.body)
        .map_err(|text| unfit(&text))?;
    body::report(call, faults, &mut warnings).map_err(|refusal| unfit_strict(&refusal, &patch))?;
    body::apply_defaults(&mut value, &call.resource);
    check_identity(call, &value)?;
    let told = warnings.clone();
    replace(state, call, &existing, value, Writer::Update, warnings)
        .map_err(|refusal| refusal.warned(told))
}

/// A patch that leads to an object the decoder refuses.
fn unfit(text: &str) -> Refusal {
    unfit_patch("\"<any>\"", text)
}

fn unfit_patch(shown: &str, text: &str) -> Refusal {
    let cause = Cause::new("FieldValueInvalid", format!("Invalid value: {shown}: {text}"), "patch");
    Refusal::invalid(Named { group: "", resource: "" }, "", &[cause])
}

fn unfit_strict(refusal: &Refusal, patch: &Value) -> Refusal {
    let text = refusal.message.split("strict decoding error: ").nth(1).unwrap_or(&refusal.message);
    unfit_patch(&quote(&patch::go_map(patch)), &format!("strict decoding error: {text}"))
}

fn settle_type(value: &mut Value, call: &Call<'_>) -> Result<(), Refusal> {
    let (version, kind) = (call.resource.api_version(), call.resource.kind.as_str());
    for (key, wanted) in [("apiVersion", version.as_str()), ("kind", kind)] {
        let told = json::text(value, &[key]).to_owned();
        if !told.is_empty() && told != wanted {
            if call.resource.custom().is_none() {
                return Err(unfit(&body::wrong_type(value, &call.resource)));
            }
            continue;
        }
        json::put(value, &[key], wanted.into());
    }
    Ok(())
}

fn check_identity(call: &Call<'_>, value: &Value) -> Result<(), Refusal> {
    check_name(call, value)?;
    let namespace = json::text(value, &["metadata", "namespace"]);
    if namespace != call.namespace() {
        let message =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad_request(message));
    }
    Ok(())
}

/// The configuration of an apply, by a manager who tells its name.
pub(super) fn configuration(call: &Call<'_>) -> Result<Value, Refusal> {
    if call.request.query.get("fieldManager").is_none_or(str::is_empty) {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::invalid(
            Named { group: "meta.k8s.io", resource: "PatchOptions" },
            "",
            &[cause],
        ));
    }
    body::yaml_object(&call.request.body)
        .map_err(|why| Refusal::bad_request(format!("error decoding YAML: {why}")))
}

fn apply_patch(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let force = call.request.query.flag("force");
    let config = configuration(call)?;
    apply::check_config(&config, call)?;
    let existing = call.get(state).ok();
    match &existing {
        None if call.subresource().is_some() => return Err(call.not_found()),
        None if !json::text(&config, &["metadata", "uid"]).is_empty() => {
            return Err(Refusal::conflict(call.resource.named(), call.name(), &uid_gone(&config)));
        }
        _ => {}
    }
    let live = existing.as_ref().map(|stored| body::view(stored, &call.resource));
    let mut value = apply::applied(live.as_deref(), &config, call, force)?;
    body::strict_faults(&mut value, &call.resource, &[]).map_err(Refusal::internal)?;
    body::apply_defaults(&mut value, &call.resource);
    match existing {
        Some(existing) => replace(state, call, &existing, value, Writer::Apply, Vec::new()),
        None => create::insert(state, call, value, Origin::Apply, Vec::new()),
    }
}

fn uid_gone(config: &Value) -> String {
    let uid = json::text(config, &["metadata", "uid"]);
    format!(
        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
    )
}

/// Whether field ownership is still to be worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    Update,
    /// The object carries its managers already.
    Apply,
}

/// Stores a new version of an object, if it differs from the present one.
pub(super) fn replace(
    state: &mut State,
    call: &Call<'_>,
    existing: &Arc<Stored>,
    mut value: Value,
    writer: Writer,
    mut warnings: Vec<String>,
) -> Result<Reply, Refusal> {
    let resource = call.resource.clone();
    let old = body::view(existing, &resource);
    check_preconditions(call, &value, &old, writer)?;
    let uid_unset = json::text(&value, &["metadata", "uid"]).is_empty();
    if uid_unset {
        json::metadata_mut(&mut value).remove("uid");
    }
    meta::prepare_update(&mut value, &old);
    let same_uid = json::at(&old, &["metadata", "uid"]).cloned();
    if let (true, Some(uid)) = (uid_unset, same_uid) {
        json::metadata_mut(&mut value).insert("uid".into(), uid);
    }
    keep_marks(&mut value, &old);
    strategy::prepare_update(&mut value, &old, call, state)?;
    call.check_grant(state, Some(&old), &value)?;
    let mut causes = meta::validate_update(&value, &old, &resource);
    causes.extend(strategy::validate(
        &value,
        Some(&old),
        &resource,
        call.subresource(),
        &mut warnings,
    ));
    if !causes.is_empty() {
        return Err(Refusal::invalid(resource.named_kind(), call.name(), &causes));
    }
    strategy::admit_update(&value, &old, call, state)?;
    if writer == Writer::Update {
        apply::track_update(Some(&old), &mut value, call);
    }
    json::metadata_mut(&mut value)
        .insert("resourceVersion".into(), existing.revision.to_string().into());
    if apply::same_but_times(&value, &old) {
        return read::reply(call, 200, &old, warnings);
    }
    if call.dry_run {
        return read::reply(call, 200, &Arc::new(value), warnings);
    }
    let answer = Arc::new(value);
    let mut stored_value = (*answer).clone();
    body::to_storage(&mut stored_value, &resource);
    if deletion_is_complete(&answer) {
        state.store.remove(&resource.id, call.key(), (*existing.value()).clone(), &call.author);
        strategy::after_removal(state, &resource);
        return read::reply(call, 200, &answer, warnings);
    }
    let stored = state.store.put(&resource.id, call.key(), stored_value, &call.author);
    strategy::after_write(state, &resource);
    read::answer(call, 200, &stored, warnings)
}

/// A deletion mark that an update leaves out or sets to null stays.
fn keep_marks(value: &mut Value, old: &Value) {
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        let kept = json::at(old, &["metadata", key]).cloned();
        let metadata = json::metadata_mut(value);
        if let (Some(kept), None | Some(Value::Null)) = (kept, metadata.get(key)) {
            metadata.insert(key.into(), kept);
        }
    }
}

/// An object that is going away goes with its last finalizer.
fn deletion_is_complete(value: &Value) -> bool {
    json::at(value, &["metadata", "deletionTimestamp"]).is_some()
        && json::list(value, &["metadata", "finalizers"]).is_empty()
        && json::list(value, &["spec", "finalizers"]).is_empty()
        && json::int(value, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or_default() == 0
}

fn check_preconditions(
    call: &Call<'_>,
    value: &Value,
    old: &Value,
    writer: Writer,
) -> Result<(), Refusal> {
    let resource = &call.resource;
    let told_uid = json::text(value, &["metadata", "uid"]);
    let has_uid = json::text(old, &["metadata", "uid"]);
    let put = call.request.method == http::Method::PUT;
    if put && !told_uid.is_empty() && told_uid != has_uid {
        let mut place =
            format!("/registry/{}/{}/{}", resource.plural, call.namespace(), call.name());
        if !resource.group.is_empty() && resource.custom().is_some() {
            place = format!(
                "/registry/{}/{}/{}/{}",
                resource.group,
                resource.plural,
                call.namespace(),
                call.name()
            );
        }
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: UID in precondition: {told_uid}, UID in object meta: {has_uid}"
        );
        return Err(Refusal::conflict(resource.named(), call.name(), &why));
    }
    let told = json::text(value, &["metadata", "resourceVersion"]);
    if told.is_empty() || told == "0" {
        if put && strategy::must_name_version(resource) && writer == Writer::Update {
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &0.into(),
                "must be specified for an update",
            );
            return Err(Refusal::invalid(resource.named(), call.name(), &[cause]));
        }
        return Ok(());
    }
    if told.parse::<u64>().is_err() {
        return Err(Refusal::internal(format!(
            "strconv.ParseUint: parsing {told:?}: invalid syntax"
        )));
    }
    if told != json::text(old, &["metadata", "resourceVersion"]) {
        return Err(Refusal::modified(resource.named(), call.name()));
    }
    Ok(())
}
