//! Deleting objects: at once, after a grace period, or when their finalizers are done.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Call, body, read};
use crate::refusal::{Cause, Named, Refusal};
use crate::registry::Resource;
use crate::respond::{Reply, deleted};
use crate::state::{State, time};
use crate::store::{Key, Stored};
use crate::{json, strategy};

/// What becomes of the objects that the deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// How an object shall be deleted.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    grace: Option<i64>,
    propagation: Option<Propagation>,
    uid: Option<String>,
    version: Option<String>,
    dry_run: bool,
}

impl Options {
    pub(super) fn read(call: &Call<'_>) -> Result<Self, Refusal> {
        let body: Value = if call.request.body.is_empty() {
            Value::Null
        } else if call.request.media_type() == "application/yaml" {
            body::yaml(&call.request.body, "DeleteOptions")?
        } else {
            body::parse(&call.request.body, "DeleteOptions")?
        };
        let query = &call.request.query;
        let grace = query.int("gracePeriodSeconds")?;
        let policy = query.get("propagationPolicy").map(str::to_owned);
        let orphan = query.maybe_flag("orphanDependents");
        Self::check(
            &body,
            grace.or_else(|| json::int(&body, &["gracePeriodSeconds"])),
            policy
                .as_deref()
                .or_else(|| json::at(&body, &["propagationPolicy"]).and_then(Value::as_str)),
            orphan.or_else(|| json::at(&body, &["orphanDependents"]).and_then(Value::as_bool)),
            call.dry_run,
        )
    }

    /// The options of an eviction.
    pub(super) fn of_body(body: &Value, dry_run: bool) -> Result<Self, Refusal> {
        let policy = json::at(body, &["propagationPolicy"]).and_then(Value::as_str);
        Self::check(body, json::int(body, &["gracePeriodSeconds"]), policy, None, dry_run)
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The same once the version was checked, and the object written since.
    pub(super) fn without_version(self) -> Self {
        Self { version: None, ..self }
    }

    fn check(
        body: &Value,
        grace: Option<i64>,
        policy: Option<&str>,
        orphan: Option<bool>,
        dry_run: bool,
    ) -> Result<Self, Refusal> {
        let mut causes = Vec::new();
        let propagation = match policy {
            None | Some("") => None,
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                causes.push(Cause::unsupported("propagationPolicy", &other.into(), &supported));
                None
            }
        };
        if let (Some(_), Some(policy)) = (orphan, policy) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            causes.push(Cause::invalid("propagationPolicy", &policy.into(), why));
        }
        let dry_runs = json::list(body, &["dryRun"]);
        if dry_runs.iter().any(|value| value != "All") {
            causes.push(Cause::unsupported("dryRun", &dry_runs.into(), &["All"]));
        }
        if !causes.is_empty() {
            return Err(Refusal::invalid(
                Named { group: "meta.k8s.io", resource: "DeleteOptions" },
                "",
                &causes,
            ));
        }
        let text = |path: &[&str]| json::at(body, path).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            // A negative grace means the shortest that is not none.
            grace: grace.map(|grace| if grace < 0 { 1 } else { grace }),
            propagation: propagation.or(orphan
                .map(|orphan| if orphan { Propagation::Orphan } else { Propagation::Background })),
            uid: text(&["preconditions", "uid"]),
            version: text(&["preconditions", "resourceVersion"]),
            dry_run: dry_run || !dry_runs.is_empty(),
        })
    }
}

/// What a deletion led to.
pub(super) enum Outcome {
    /// The object is only marked, or was before.
    Marked(Arc<Value>),
    /// It is gone; its last state.
    Gone(Arc<Value>),
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let options = Options::read(call)?;
    let existing = call.get(state)?;
    match remove(state, call, &call.key(), &existing, &options)? {
        Outcome::Marked(value) => read::reply(call, 200, &value, Vec::new()),
        Outcome::Gone(value) if strategy::delete_answers_object(&call.resource) => {
            read::reply(call, 200, &value, Vec::new())
        }
        Outcome::Gone(value) => {
            let uid = json::text(&value, &["metadata", "uid"]);
            Ok(Reply::json(
                200,
                &deleted(&call.resource.group, &call.resource.plural, call.name(), uid),
            ))
        }
    }
}

pub(super) fn collection(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let options = Options::read(call)?;
    let selector = read::selector(call)?;
    let found: Vec<(Key, Arc<Stored>)> = state
        .store
        .list(&call.resource.id, call.path.namespace.as_deref())
        .filter(|(_, stored)| selector.matches(&body::view(stored, &call.resource)))
        .map(|(key, stored)| (key.clone(), stored.clone()))
        .collect();
    let revision = state.store.revision();
    let mut items = Vec::new();
    for (key, stored) in found {
        items.push(body::view(&stored, &call.resource));
        remove(state, call, &key, &stored, &options)?;
    }
    let resource = &call.resource;
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if resource.custom().is_some() {
        json::put(&mut metadata, &["continue"], "".into());
    }
    Ok(read::whole(resource, &metadata, &items))
}

/// Deletes one object, or marks it.
pub(super) fn remove(
    state: &mut State,
    call: &Call<'_>,
    key: &Key,
    existing: &Arc<Stored>,
    options: &Options,
) -> Result<Outcome, Refusal> {
    let resource = call.resource.clone();
    let old = body::view(existing, &resource);
    check_preconditions(&resource, &key.name, &old, options)?;
    let grace = strategy::grace_period(&old, &resource, options.grace);
    let was_marked = json::at(&old, &["metadata", "deletionTimestamp"]).is_some();
    let mut value = (*old).clone();
    set_propagation(&mut value, options.propagation);
    if let Some(finalizer) = strategy::deletion_finalizer(&resource).filter(|_| !was_marked) {
        let mut finalizers = json::list(&value, &["metadata", "finalizers"]).to_vec();
        finalizers.push(finalizer.into());
        json::put(&mut value, &["metadata", "finalizers"], finalizers.into());
    }
    let held = !json::list(&value, &["metadata", "finalizers"]).is_empty()
        || (resource.is("", "Namespace")
            && !json::list(&value, &["spec", "finalizers"]).is_empty());
    let marks = held || grace.unwrap_or_default() > 0;
    if was_marked {
        let left = json::int(&old, &["metadata", "deletionGracePeriodSeconds"]);
        let shorter = grace.zip(left).is_some_and(|(new, left)| new < left);
        let asked = options.grace.is_some();
        if marks && !(shorter && asked) && value == *old {
            return Ok(Outcome::Marked(old));
        }
        if let (true, true, Some(grace)) = (shorter, asked, grace) {
            mark(&mut value, call.now(), grace);
        } else if grace.is_some() && left.unwrap_or_default() > 0 {
            return Ok(Outcome::Marked(old));
        }
    } else {
        mark_first(&mut value, &resource, call.now(), grace.unwrap_or_default());
    }
    if options.dry_run {
        return Ok(if marks {
            Outcome::Marked(Arc::new(value))
        } else {
            Outcome::Gone(Arc::new(value))
        });
    }
    let plain = !marks && !strategy::is_graceful(&resource) && !was_marked;
    let mut last = if plain { (*old).clone() } else { value };
    body::to_storage(&mut last, &resource);
    if marks {
        let stored = state.store.put(&resource.id, key.clone(), last, &call.author);
        strategy::after_write(state, &resource);
        return Ok(Outcome::Marked(body::view(&stored, &resource)));
    }
    if was_marked {
        // The end of a grace period is a change of its own.
        state.store.put(&resource.id, key.clone(), last.clone(), &call.author);
    }
    let gone = state.store.remove(&resource.id, key.clone(), last, &call.author);
    strategy::after_removal(state, &resource);
    Ok(Outcome::Gone(gone.map_or(old, |stored| body::view(&stored, &resource))))
}

pub(super) fn check_preconditions(
    resource: &Resource,
    name: &str,
    old: &Value,
    options: &Options,
) -> Result<(), Refusal> {
    let of = Named { group: &resource.group, resource: &resource.kind };
    let uid = json::text(old, &["metadata", "uid"]);
    if let Some(told) = options.uid.as_deref().filter(|told| *told != uid) {
        let why = format!(
            "the UID in the precondition ({told}) does not match the UID in record ({uid}). The object might have been \
             deleted and then recreated"
        );
        return Err(Refusal::conflict(of, name, &why));
    }
    let version = json::text(old, &["metadata", "resourceVersion"]);
    if let Some(told) = options.version.as_deref().filter(|told| *told != version) {
        let why = format!(
            "the ResourceVersion in the precondition ({told}) does not match the ResourceVersion in record ({version}). \
             The object might have been modified"
        );
        return Err(Refusal::conflict(of, name, &why));
    }
    Ok(())
}

fn mark_first(value: &mut Value, resource: &Resource, now: Timestamp, grace: i64) {
    mark(value, now, grace);
    if resource.is("", "Namespace") {
        json::metadata_mut(value).remove("deletionGracePeriodSeconds");
        json::put(value, &["status", "phase"], "Terminating".into());
    }
    if let Some(generation) =
        json::int(value, &["metadata", "generation"]).filter(|generation| *generation > 0)
    {
        json::metadata_mut(value).insert("generation".into(), (generation + 1).into());
    }
}

fn mark(value: &mut Value, now: Timestamp, grace: i64) {
    let at = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    let metadata = json::metadata_mut(value);
    metadata.insert("deletionTimestamp".into(), time(at).into());
    metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
}

/// The finalizers that make the garbage collector look after the owned objects.
fn set_propagation(value: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let wanted = match propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some("foregroundDeletion"),
        Propagation::Orphan => Some("orphan"),
    };
    let mut finalizers: Vec<Value> = json::list(value, &["metadata", "finalizers"])
        .iter()
        .filter(|known| **known != "foregroundDeletion" && **known != "orphan")
        .cloned()
        .collect();
    finalizers.extend(wanted.map(Value::from));
    let metadata = json::metadata_mut(value);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), finalizers.into());
    }
}
