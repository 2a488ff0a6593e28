//! Who asks, and whether that is allowed: tokens, impersonation, and RBAC.
//!
//! Off until a token is known ([`ApiServer::require_token`](crate::ApiServer::require_token)): then every request
//! through a front is asked who it is, and only the clients of this process are trusted without.

mod bootstrap;
mod escalation;
mod rbac;
mod token;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;

pub(crate) use self::escalation::{Grant, check as check_grant};
pub(crate) use self::rbac::{Attributes, Verdict, rules_of};
pub(crate) use self::token::{Claims, Holder};
pub(crate) use self::user::{Impersonation, User};
use crate::front::Trust;
use crate::refusal::{Named, Refusal};
use crate::request::{Request, Target};
use crate::state::State;
use crate::verbs::verb;

/// What a server knows of those who ask.
#[derive(Clone)]
pub(crate) struct Access {
    /// Tokens that were given from outside.
    tokens: BTreeMap<String, Arc<User>>,
    key: ring::hmac::Key,
}

impl Access {
    pub(crate) fn new(seed: u64) -> Self {
        Self { tokens: BTreeMap::new(), key: token::key(seed) }
    }

    pub(crate) fn sign(&self, claims: &Claims) -> String {
        token::sign(&self.key, claims)
    }

    fn required(&self) -> bool {
        !self.tokens.is_empty()
    }
}

/// Lets a token in as a member of `system:masters`; from now on every request must say who it is.
pub(crate) fn require(state: &mut State, token: &str) {
    if !state.access.required() {
        bootstrap::found(state);
    }
    state.access.tokens.insert(token.to_owned(), Arc::new(User::master("system:admin")));
}

/// Finds out who asks, and refuses what that user may not do.
pub(crate) fn admit(state: &State, request: &mut Request) -> Result<(), Refusal> {
    if !state.access.required() {
        return Ok(());
    }
    request.user = authenticate(state, request)?;
    if let Some(other) = &request.impersonation {
        request.user = Arc::new(impersonate(state, &request.user, other)?);
    }
    let attributes = attributes(request);
    match rbac::authorize(state, &request.user, &attributes) {
        Verdict::Allowed(_) => Ok(()),
        Verdict::Denied(errors) => Err(refusal(&request.user, &attributes, &errors)),
    }
}

/// Whether a user may do something, by the roles of the cluster.
pub(crate) fn authorize(state: &State, user: &User, attributes: &Attributes) -> Verdict {
    rbac::authorize(state, user, attributes)
}

/// The user a token belongs to, and for which of the wanted audiences it is meant.
///
/// # Errors
/// Why it is no token.
pub(crate) fn user_of(
    state: &State,
    token: &str,
    wanted: &[String],
) -> Result<(Arc<User>, Vec<String>), String> {
    match state.access.tokens.get(token) {
        // A token from outside is for the server itself.
        Some(user) if wanted.iter().any(|audience| audience == Claims::AUDIENCE) => {
            Ok((user.clone(), vec![Claims::AUDIENCE.to_owned()]))
        }
        _ => token::verify(&state.access.key, token, wanted, state)
            .map(|(user, audiences)| (Arc::new(user), audiences)),
    }
}

fn authenticate(state: &State, request: &Request) -> Result<Arc<User>, Refusal> {
    match (&request.trust, request.bearer.as_deref()) {
        (Trust::User(user), _) => Ok(user.clone()),
        (_, Some(token)) => {
            let known = user_of(state, token, &[Claims::AUDIENCE.to_owned()]);
            known.map(|(user, _)| user).map_err(|_| Refusal::unauthorized())
        }
        (Trust::Full, None) => Ok(request.user.clone()),
        (Trust::None, None) => Ok(Arc::new(User::anonymous())),
    }
}

/// The user that a request wants to be taken for, if the one who asks may do that.
fn impersonate(state: &State, user: &User, other: &Impersonation) -> Result<User, Refusal> {
    for attributes in other.needed() {
        if let Verdict::Denied(errors) = rbac::authorize(state, user, &attributes) {
            return Err(refusal(user, &attributes, &errors));
        }
    }
    Ok(other.user())
}

/// What a request is about, as roles speak of it.
fn attributes(request: &Request) -> Attributes {
    let Target::Resource(path) = &request.target else {
        let verb = request.method.as_str().to_ascii_lowercase();
        return Attributes { verb, path: Some(request.path.clone()), ..Attributes::default() };
    };
    let selected = || {
        let selector = request.query.get("fieldSelector")?;
        let name = selector.strip_prefix("metadata.name=")?;
        Some(name.trim_start_matches('=').to_owned()).filter(|name| !name.contains(','))
    };
    let lists = matches!(request.method, Method::GET | Method::DELETE) && path.name.is_none();
    let name = path.name.clone().or_else(|| selected().filter(|_| lists)).unwrap_or_default();
    let own = (path.group.is_empty() && path.plural == "namespaces").then(|| name.clone());
    Attributes {
        verb: verb(request).to_owned(),
        group: path.group.clone(),
        resource: path.plural.clone(),
        subresource: path.subresource.clone().unwrap_or_default(),
        namespace: path.namespace.clone().or(own).unwrap_or_default(),
        name,
        path: None,
    }
}

fn refusal(user: &User, attributes: &Attributes, errors: &[String]) -> Refusal {
    let name = crate::refusal::quote(&user.name);
    let Attributes { verb, group, namespace, .. } = attributes;
    if let Some(path) = &attributes.path {
        return Refusal::forbidden_path(&format!("User {name} cannot {verb} path {path:?}"));
    }
    let place = match namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let mut why = format!(
        "User {name} cannot {verb} resource {:?} in API group {group:?} {place}",
        attributes.full_resource()
    );
    if !errors.is_empty() {
        why += &format!(": RBAC: {}", rbac::aggregate(errors));
    }
    let named = Named { group, resource: &attributes.resource };
    Refusal::forbidden(named, &attributes.name, &why, &[])
}
