//! Reading objects: one, or a list.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{Call, body};
use crate::refusal::{Cause, Named, Refusal};
use crate::registry::Resource;
use crate::request::{Accept, AsOf, Form, Wanted, negotiate};
use crate::respond::Reply;
use crate::selector::Selector;
use crate::state::State;
use crate::store::{Key, Stored};
use crate::{json, meta, table};

pub(super) fn get(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    negotiate(&call.request.accept, &call.resource, Wanted::Object)?;
    let asked = version(call.request.query.get("resourceVersion"))?;
    if let Some(asked) = asked.filter(|asked| *asked > state.store.revision()) {
        return Err(Refusal::too_large_version(asked, state.store.revision()));
    }
    let stored = match call.request.as_of {
        Some(AsOf(then)) => state
            .store
            .get_at(&call.resource.id, &call.key(), then)
            .ok_or_else(|| call.not_found())?,
        None => call.get(state)?,
    };
    answer(call, 200, &stored, Vec::new())
}

/// An answer with one stored object, in the form that was asked for. Its text is that of all who watch it.
pub(super) fn answer(
    call: &Call<'_>,
    code: u16,
    stored: &Stored,
    warnings: Vec<String>,
) -> Result<Reply, Refusal> {
    let accept = negotiate(&call.request.accept, &call.resource, Wanted::Object)?;
    if accept.form == Form::Object && body::is_as_stored(stored, &call.resource) {
        return Ok(Reply { warnings, ..Reply::bytes(code, stored.bytes().clone()) });
    }
    reply(call, code, &body::view(stored, &call.resource), warnings)
}

/// An answer with one object, in the form that was asked for.
pub(super) fn reply(
    call: &Call<'_>,
    code: u16,
    value: &Arc<Value>,
    warnings: Vec<String>,
) -> Result<Reply, Refusal> {
    let accept = negotiate(&call.request.accept, &call.resource, Wanted::Object)?;
    let shaped = match accept.form {
        Form::Object => return Ok(Reply { warnings, ..Reply::json(code, value) }),
        Form::Metadata => meta::partial(value, accept.beta),
        Form::Table => {
            let include = call.request.query.get("includeObject").unwrap_or("Metadata");
            let rows = [value.clone()];
            table::table(
                &rows,
                &call.resource,
                include,
                call.now(),
                json::text(value, &["metadata", "resourceVersion"]),
            )
        }
    };
    Ok(Reply { warnings, ..Reply::json(code, &shaped) })
}

/// A version in a query: `None` if it is not told or zero.
pub(super) fn version(text: Option<&str>) -> Result<Option<u64>, Refusal> {
    parse_version(text)
        .map_err(|why| Refusal::bad_request(format!("invalid resource version: {why}")))
}

/// As `version`, with the bare words of what is wrong.
pub(super) fn parse_version(text: Option<&str>) -> Result<Option<u64>, String> {
    match text {
        None | Some("" | "0") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
        }),
    }
}

/// Where a list in pages goes on.
struct Token {
    revision: u64,
    after: Key,
}

impl Token {
    fn write(&self) -> String {
        let text = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": [self.after.namespace, self.after.name]});
        URL_SAFE_NO_PAD.encode(text.to_string())
    }

    fn read(text: &str) -> Result<Self, Refusal> {
        let refused = |why: &str| Refusal::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| refused(&error.to_string()))?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| refused(&error.to_string()))?;
        let part = |index: usize| {
            value.pointer(&format!("/start/{index}")).and_then(Value::as_str).unwrap_or_default()
        };
        let revision =
            value.get("rv").and_then(Value::as_u64).ok_or_else(|| refused("it has no version"))?;
        Ok(Self { revision, after: Key::new(part(0), part(1)) })
    }
}

const EXPIRED_CONTINUE: &str = "The provided continue parameter is too old to display a consistent list result. You can \
     start a new list without the continue parameter, or use the continue token in this response to retrieve the \
     remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were \
     created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// What a list asks for.
struct ListOptions {
    selector: Selector,
    limit: usize,
    /// The moment to show; the present if none.
    at: Option<u64>,
    after: Option<Key>,
}

pub(super) fn selector(call: &Call<'_>) -> Result<Selector, Refusal> {
    let query = &call.request.query;
    let labels = query.get("labelSelector").unwrap_or_default();
    let fields = query.get("fieldSelector").unwrap_or_default();
    Selector::parse(labels, fields, &call.resource)
}

fn list_options(state: &State, call: &Call<'_>) -> Result<ListOptions, Refusal> {
    let query = &call.request.query;
    let selector = selector(call)?;
    let limit = usize::try_from(query.int("limit")?.unwrap_or_default()).unwrap_or_default();
    let matching = query.get("resourceVersionMatch").unwrap_or_default();
    let named = query.get("resourceVersion").unwrap_or_default();
    let asked = version(Some(named))?;
    check_match(matching, named, query.get("continue").unwrap_or_default())?;
    if let Some(token) = query.get("continue").filter(|token| !token.is_empty()) {
        let token = Token::read(token)?;
        if asked.is_some() {
            return Err(Refusal::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        if token.revision < state.store.compacted() {
            return Err(Refusal::expired(EXPIRED_CONTINUE));
        }
        return Ok(ListOptions {
            selector,
            limit,
            at: Some(token.revision),
            after: Some(token.after),
        });
    }
    let exact = matching == "Exact" || (matching.is_empty() && limit > 0);
    if let Some(asked) = asked {
        if asked > state.store.revision() {
            return Err(Refusal::too_large_version(asked, state.store.revision()));
        }
        if exact && asked < state.store.compacted() {
            return Err(Refusal::expired("The resourceVersion for the provided list is too old."));
        }
    }
    Ok(ListOptions { selector, limit, at: asked.filter(|_| exact), after: None })
}

fn check_match(matching: &str, version: &str, continued: &str) -> Result<(), Refusal> {
    let refuse = |cause: Cause| {
        Err(Refusal::invalid(Named { group: "meta.k8s.io", resource: "ListOptions" }, "", &[cause]))
    };
    if matching.is_empty() {
        return Ok(());
    }
    let field = "resourceVersionMatch";
    if !["Exact", "NotOlderThan"].contains(&matching) {
        return refuse(Cause::unsupported(field, &matching.into(), &["Exact", "NotOlderThan", ""]));
    }
    if !continued.is_empty() {
        return refuse(Cause::forbidden(field, "resourceVersionMatch is forbidden for continue"));
    }
    if version.is_empty() {
        return refuse(Cause::forbidden(
            field,
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ));
    }
    if matching == "Exact" && version == "0" {
        let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
        return refuse(Cause::forbidden(field, why));
    }
    Ok(())
}

/// What a table may show of its objects.
fn check_include(call: &Call<'_>, accept: Accept) -> Result<(), Refusal> {
    match call.request.query.get("includeObject") {
        Some(other)
            if accept.form == Form::Table
                && !["None", "Metadata", "Object", ""].contains(&other) =>
        {
            let allowed = "must be 'Metadata', 'Object', 'None', or empty";
            let cause = Cause::invalid("includeObject", &other.into(), allowed);
            Err(Refusal::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: {}",
                cause.message
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn list(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let accept = negotiate(&call.request.accept, &call.resource, Wanted::List)?;
    check_include(call, accept)?;
    if call.request.query.get("sendInitialEvents").is_some() {
        let cause =
            Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        return Err(Refusal::invalid(
            Named { group: "meta.k8s.io", resource: "ListOptions" },
            "",
            &[cause],
        ));
    }
    let mut options = list_options(state, call)?;
    if let Some(AsOf(then)) = call.request.as_of {
        options.at = Some(options.at.map_or(then, |at| at.min(then)));
    }
    let namespace = call.path.namespace.as_deref();
    let revision = options.at.unwrap_or_else(|| state.store.revision());
    let past = options.at.map(|at| state.store.list_at(&call.resource.id, at));
    let present = || state.store.list(&call.resource.id, namespace);
    let all: Vec<(&Key, &Arc<Stored>)> = match &past {
        Some(past) => past
            .iter()
            .filter(|(key, _)| namespace.is_none_or(|wanted| key.namespace == wanted))
            .collect(),
        None => present().collect(),
    };
    let rest: Vec<_> = all
        .into_iter()
        .filter(|(key, _)| options.after.as_ref().is_none_or(|after| *key > after))
        .map(|(key, stored)| (key, body::view(stored, &call.resource)))
        .filter(|(_, value)| options.selector.matches(value))
        .collect();
    let page = if options.limit == 0 { rest.len() } else { options.limit.min(rest.len()) };
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    let left = rest.len() - page;
    let more = if left > 0 { rest.get(page.saturating_sub(1)) } else { None };
    if let (Some((last, _)), Value::Object(metadata)) = (more, &mut metadata) {
        let token = Token { revision, after: (*last).clone() };
        metadata.insert("continue".into(), token.write().into());
        if options.selector.is_empty() {
            metadata.insert("remainingItemCount".into(), left.into());
        }
    } else if let (true, Value::Object(metadata)) =
        (call.resource.custom().is_some() && accept.form == Form::Object, &mut metadata)
    {
        metadata.insert("continue".into(), "".into());
    }
    let items: Vec<Arc<Value>> = rest.into_iter().take(page).map(|(_, value)| value).collect();
    Ok(shape(call, accept, &items, metadata))
}

fn shape(call: &Call<'_>, accept: Accept, items: &[Arc<Value>], metadata: Value) -> Reply {
    let resource = &call.resource;
    match accept.form {
        Form::Object => whole(resource, &metadata, items),
        Form::Metadata => {
            let version = if accept.beta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" };
            let items: Vec<Value> =
                items.iter().map(|item| meta::partial(item, accept.beta)).collect();
            let list = json!({
                "apiVersion": version, "kind": "PartialObjectMetadataList", "metadata": metadata, "items": items,
            });
            Reply::json(200, &list)
        }
        Form::Table => {
            let include = call.request.query.get("includeObject").unwrap_or("Metadata");
            let mut table = table::table(items, resource, include, call.now(), "");
            json::put(&mut table, &["metadata"], metadata);
            Reply::json(200, &table)
        }
    }
}

/// A list of whole objects, in the order in which keys are written everywhere.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    api_version: &'a str,
    items: Vec<Item<'a>>,
    kind: &'a str,
    metadata: &'a Value,
}

/// An object in a list. It names its kind only if that is a custom one.
struct Item<'a> {
    object: &'a Value,
    with_kind: bool,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.object {
            Value::Object(map) if !self.with_kind => serializer
                .collect_map(map.iter().filter(|(key, _)| *key != "kind" && *key != "apiVersion")),
            object => object.serialize(serializer),
        }
    }
}

/// The answer with a list of whole objects: written as they are, not copied first.
pub(super) fn whole(resource: &Resource, metadata: &Value, items: &[Arc<Value>]) -> Reply {
    let with_kind = resource.custom().is_some();
    let list = List {
        api_version: &resource.api_version(),
        items: items.iter().map(|object| Item { object, with_kind }).collect(),
        kind: &resource.list_kind,
        metadata,
    };
    // Values are written without fail.
    Reply::bytes(200, serde_json::to_vec(&list).unwrap_or_default().into())
}
