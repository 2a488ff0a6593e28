//! What a request does: routing to one function a verb, and what all verbs share.

mod binding;
mod body;
mod create;
mod delete;
mod eviction;
mod log;
mod node;
mod read;
mod reviews;
mod scale;
mod token;
mod update;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use crate::ApiServer;
use crate::auth::{self, Grant};
use crate::refusal::{Cause, Named, Refusal};
use crate::registry::{Resource, Subresource};
use crate::request::{Request, ResourcePath, Target};
use crate::respond::Reply;
use crate::state::State;
use crate::store::{Author, Key};
use crate::strategy;

pub(crate) use self::log::Follow;
pub(crate) use self::watch::Watch;

/// How long a list waits for a version that is not there yet.
const VERSION_PATIENCE: Duration = Duration::from_secs(3);

/// What is answered: at once, event by event, or as a container writes.
pub(crate) enum Answer {
    Reply(Reply),
    Follow(Box<Follow>),
    Watch(Box<Watch>),
}

/// What to do with unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// A request on a resource, with its options read.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) path: &'a ResourcePath,
    pub(crate) resource: Arc<Resource>,
    pub(crate) author: Author,
    pub(crate) dry_run: bool,
    pub(crate) validation: FieldValidation,
    pub(crate) manager: String,
}

impl Call<'_> {
    pub(crate) fn now(&self) -> Timestamp {
        self.author.at
    }

    pub(crate) fn namespace(&self) -> &str {
        self.path.namespace.as_deref().unwrap_or_default()
    }

    /// The name in the path; empty if there is none.
    pub(crate) fn name(&self) -> &str {
        self.path.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }

    pub(crate) fn subresource(&self) -> Option<&str> {
        self.path.subresource.as_deref()
    }

    pub(crate) fn not_found(&self) -> Refusal {
        Refusal::not_found(self.resource.named(), self.name())
    }

    /// Refuses a role or a binding that gives more than the requester has.
    fn check_grant(&self, state: &State, old: Option<&Value>, new: &Value) -> Result<(), Refusal> {
        let grant = Grant {
            user: &self.request.user,
            resource: &self.resource,
            namespace: self.namespace(),
            old,
            new,
        };
        auth::check_grant(state, &grant)
    }

    pub(crate) fn get(&self, state: &State) -> Result<Arc<crate::store::Stored>, Refusal> {
        state.store.get(&self.resource.id, &self.key()).ok_or_else(|| self.not_found())
    }
}

/// Answers a request.
pub(crate) async fn handle(server: &ApiServer, request: &mut Request) -> Answer {
    wait_for_version(server, request).await;
    let mut state = server.lock();
    let state = &mut *state;
    state.stats.requests += 1;
    *state.stats.by_verb.entry(verb(request)).or_default() += 1;
    let admitted = auth::admit(state, request);
    let request = &*request;
    let answer = admitted.and_then(|()| match &request.target {
        Target::Other(parts) => crate::discovery::answer(state, request, parts).map(Answer::Reply),
        Target::Resource(path) => route(state, request, path),
    });
    answer.unwrap_or_else(|refusal| {
        state.stats.refused += 1;
        Answer::Reply(Reply::refused(&refusal))
    })
}

pub(crate) fn verb(request: &Request) -> &'static str {
    let Target::Resource(path) = &request.target else { return "other" };
    match request.method {
        Method::GET if path.watch || (path.name.is_none() && request.query.flag("watch")) => {
            "watch"
        }
        Method::GET if path.name.is_some() => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if path.name.is_some() => "delete",
        Method::DELETE => "deletecollection",
        _ => "other",
    }
}

/// A read of a version from the future waits for it, for a while.
async fn wait_for_version(server: &ApiServer, request: &Request) {
    let asked =
        request.query.get("resourceVersion").and_then(|version| version.parse::<u64>().ok());
    let Some(asked) = asked.filter(|_| request.method == Method::GET) else { return };
    let watching = verb(request) == "watch" && !request.query.flag("sendInitialEvents");
    if watching || asked <= server.revision() {
        return;
    }
    let mut changes = server.changes();
    let arrives = async { while server.revision() < asked && changes.next().await.is_some() {} };
    // Whether it came is seen by the verb itself.
    let _ = tokio::time::timeout(VERSION_PATIENCE, arrives).await;
}

fn route(state: &mut State, request: &Request, path: &ResourcePath) -> Result<Answer, Refusal> {
    let known = state.registry.get(&path.group, &path.version, &path.plural);
    let resource = known.ok_or_else(|| unknown_resource(state, path))?;
    let custom = resource.custom().is_some();
    let misplaced = match (&path.namespace, resource.namespaced) {
        (Some(_), false) => true,
        (None, true) => path.name.is_some(),
        _ => false,
    };
    if misplaced {
        return Err(if custom { Refusal::page_not_found() } else { Refusal::no_such_resource() });
    }
    let call = call(state, request, path, resource)?;
    if request.method == Method::POST
        && let Some(reply) = reviews::answer(state, &call)
    {
        return reply.map(Answer::Reply);
    }
    if let Some(subresource) = call.subresource() {
        let known = call.resource.subresources.get(subresource).cloned();
        let known = known
            .ok_or_else(|| if custom { call.not_found() } else { Refusal::no_such_resource() })?;
        return on_subresource(state, &call, &known);
    }
    let reply = match request.method {
        Method::GET if verb(request) == "watch" => return watch::open(state, &call),
        Method::GET if path.name.is_some() => read::get(state, &call),
        Method::GET => read::list(state, &call),
        Method::POST if call.resource.namespaced && path.namespace.is_none() => {
            Err(Refusal::method_not_allowed())
        }
        Method::POST if path.name.is_none() || custom => {
            permit(&call, "create").and_then(|()| create::create(state, &call))
        }
        Method::PUT | Method::PATCH if path.name.is_none() && custom => {
            Err(Refusal::bad_request("name must be provided"))
        }
        Method::PUT if path.name.is_some() => update::put(state, &call),
        Method::PATCH if path.name.is_some() => update::patch(state, &call),
        Method::DELETE if path.name.is_some() => delete::delete(state, &call),
        Method::DELETE => {
            permit(&call, "deletecollection").and_then(|()| delete::collection(state, &call))
        }
        _ => Err(Refusal::method_not_allowed()),
    };
    reply.map(|reply| with_deprecation(&call, reply)).map(Answer::Reply)
}

/// Built-in groups are told by a `Status`; others are not known at all unless the version is served.
fn unknown_resource(state: &State, path: &ResourcePath) -> Refusal {
    if state.registry.is_builtin_group(&path.group)
        || state.registry.serves(&path.group, &path.version)
    {
        Refusal::no_such_resource()
    } else {
        Refusal::page_not_found()
    }
}

fn with_deprecation(call: &Call<'_>, mut reply: Reply) -> Reply {
    let warning = match call.resource.custom() {
        Some(custom) => custom.deprecation.clone(),
        None => strategy::deprecation(&call.resource).map(str::to_owned),
    };
    if let Some(warning) = warning {
        reply.warnings.insert(0, warning);
    }
    reply
}

fn permit(call: &Call<'_>, verb: &str) -> Result<(), Refusal> {
    let known = call.resource.verbs.iter().any(|known| known == verb);
    if known { Ok(()) } else { Err(Refusal::method_not_allowed()) }
}

fn on_subresource(
    state: &mut State,
    call: &Call<'_>,
    known: &Subresource,
) -> Result<Answer, Refusal> {
    let verb = match call.request.method {
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ => "",
    };
    if !known.verbs.iter().any(|allowed| allowed == verb) {
        return Err(Refusal::method_not_allowed());
    }
    let reply = match (call.subresource(), verb) {
        (Some("status" | "resize" | "ephemeralcontainers" | "approval"), "get") => {
            read::get(state, call)
        }
        (Some("status" | "resize" | "ephemeralcontainers" | "approval" | "finalize"), "update") => {
            update::put(state, call)
        }
        (Some("status" | "resize" | "ephemeralcontainers" | "approval"), "patch") => {
            update::patch(state, call)
        }
        (Some("token"), _) => token::request(state, call),
        (Some("scale"), _) => scale::scale(state, call),
        (Some("binding"), _) => binding::bind(state, call),
        (Some("eviction"), _) => eviction::evict(state, call),
        (Some("log"), _) => return log::log(state, call),
        (Some("exec" | "attach" | "portforward"), _) => node::connect(state, call),
        (name, _) => {
            let name = name.unwrap_or_default();
            let plural = &call.resource.plural;
            Err(Refusal::internal(format!("the fake cluster does not serve {plural}/{name}")))
        }
    };
    reply.map(Answer::Reply)
}

fn call<'a>(
    state: &State,
    request: &'a Request,
    path: &'a ResourcePath,
    resource: Arc<Resource>,
) -> Result<Call<'a>, Refusal> {
    let options = match request.method {
        Method::POST => "CreateOptions",
        Method::PUT => "UpdateOptions",
        Method::PATCH => "PatchOptions",
        _ => "DeleteOptions",
    };
    let mut causes = Vec::new();
    let dry_run = request.query.all("dryRun");
    if dry_run.iter().any(|value| value != "All") {
        causes.push(unsupported_dry_run(dry_run));
    }
    let validation = match request.query.get("fieldValidation") {
        None | Some("" | "Warn") => FieldValidation::Warn,
        Some("Ignore") => FieldValidation::Ignore,
        Some("Strict") => FieldValidation::Strict,
        Some(other) => {
            let supported = ["", "Ignore", "Strict", "Warn"];
            causes.push(Cause::unsupported("fieldValidation", &other.into(), &supported));
            FieldValidation::Warn
        }
    };
    if request.query.get("fieldManager").is_some_and(|manager| manager.len() > 128) {
        let text = "Too long: may not be more than 128 bytes".to_owned();
        causes.push(Cause::new("FieldValueTooLong", text, "fieldManager"));
    }
    if !causes.is_empty() && request.method != Method::GET {
        return Err(Refusal::invalid(
            Named { group: "meta.k8s.io", resource: options },
            "",
            &causes,
        ));
    }
    let user_agent = match request.query.get("fieldManager") {
        Some(manager) if request.user_agent.is_empty() => manager.into(),
        _ => request.user_agent.clone(),
    };
    Ok(Call {
        request,
        path,
        resource,
        author: Author { at: state.now(), user_agent },
        dry_run: !dry_run.is_empty(),
        validation,
        manager: request.field_manager(),
    })
}

fn unsupported_dry_run(values: &[String]) -> Cause {
    let shown = Value::from(values.to_vec());
    Cause::unsupported("dryRun", &shown, &["All"])
}
