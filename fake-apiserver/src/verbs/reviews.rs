//! Kinds that are answered and not stored: who am I, may I, and tokens of service accounts.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Call, body};
use crate::auth::{self, Attributes, Claims, User, Verdict};
use crate::json::{self, text};
use crate::refusal::{Cause, Refusal};
use crate::respond::Reply;
use crate::state::{State, time};

/// How long a token lives that does not say, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// The answer, if it is one of these kinds.
pub(super) fn answer(state: &State, call: &Call<'_>) -> Option<Result<Reply, Refusal>> {
    let review = match (call.resource.group.as_str(), call.resource.kind.as_str()) {
        ("authorization.k8s.io", "SelfSubjectAccessReview") => own_access,
        ("authorization.k8s.io", "SubjectAccessReview" | "LocalSubjectAccessReview") => access,
        ("authorization.k8s.io", "SelfSubjectRulesReview") => own_rules,
        ("authentication.k8s.io", "SelfSubjectReview") => own_user,
        ("authentication.k8s.io", "TokenReview") => token_review,
        _ => return None,
    };
    Some(reply(state, call, review))
}

type Review = fn(&State, &Call<'_>, &Value) -> Result<Value, Refusal>;

fn reply(state: &State, call: &Call<'_>, review: Review) -> Result<Reply, Refusal> {
    let mut warnings = Vec::new();
    let mut object = body::object(call, &mut warnings)?;
    let status = review(state, call, &object)?;
    json::put(&mut object, &["status"], status);
    json::metadata_mut(&mut object);
    Ok(Reply { warnings, ..Reply::json(201, &object) })
}

fn own_access(state: &State, call: &Call<'_>, review: &Value) -> Result<Value, Refusal> {
    let attributes = attributes(call, review)?;
    Ok(shown(&auth::authorize(state, &call.request.user, &attributes)))
}

fn access(state: &State, call: &Call<'_>, review: &Value) -> Result<Value, Refusal> {
    let attributes = attributes(call, review)?;
    let groups = json::list(review, &["spec", "groups"]).iter().filter_map(Value::as_str);
    let user = User {
        name: text(review, &["spec", "user"]).to_owned(),
        groups: groups.map(str::to_owned).collect(),
        ..User::default()
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let detail = "at least one of user or group must be specified";
        return Err(invalid(call, Cause::invalid("spec.user", &"".into(), detail)));
    }
    Ok(shown(&auth::authorize(state, &user, &attributes)))
}

fn own_rules(state: &State, call: &Call<'_>, review: &Value) -> Result<Value, Refusal> {
    let namespace = text(review, &["spec", "namespace"]);
    if namespace.is_empty() {
        return Err(Refusal::bad_request("no namespace on request"));
    }
    let rules = auth::rules_of(state, &call.request.user, namespace);
    let (paths, resources): (Vec<Value>, Vec<Value>) =
        rules.into_iter().partition(|rule| rule.get("nonResourceURLs").is_some());
    Ok(json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false}))
}

fn own_user(_: &State, call: &Call<'_>, _: &Value) -> Result<Value, Refusal> {
    Ok(json!({"userInfo": call.request.user.info()}))
}

fn token_review(state: &State, call: &Call<'_>, review: &Value) -> Result<Value, Refusal> {
    let token = text(review, &["spec", "token"]);
    if token.is_empty() {
        return Err(invalid(call, Cause::required("spec.token", "")));
    }
    Ok(match auth::user_of(state, token) {
        Some(user) => json!({
            "authenticated": true, "user": user.info(), "audiences": [Claims::AUDIENCE],
        }),
        None => json!({"user": {}, "error": "[invalid bearer token, token lookup failed]"}),
    })
}

fn invalid(call: &Call<'_>, cause: Cause) -> Refusal {
    let unnamed = crate::refusal::Named { group: &call.resource.group, resource: "" };
    Refusal::invalid(unnamed, "", &[cause])
}

/// What a review asks about: a resource or a path, and not both.
fn attributes(call: &Call<'_>, review: &Value) -> Result<Attributes, Refusal> {
    let spec = review.get("spec").unwrap_or(&Value::Null);
    let (resource, path) = (spec.get("resourceAttributes"), spec.get("nonResourceAttributes"));
    match (resource, path) {
        (Some(about), None) => {
            let of = |key| text(about, &[key]).to_owned();
            Ok(Attributes {
                verb: of("verb"),
                group: of("group"),
                resource: of("resource"),
                subresource: of("subresource"),
                namespace: of("namespace"),
                name: of("name"),
                path: None,
            })
        }
        (None, Some(about)) => Ok(Attributes {
            verb: text(about, &["verb"]).to_owned(),
            path: Some(text(about, &["path"]).to_owned()),
            ..Attributes::default()
        }),
        (both, _) => {
            let field = if both.is_some() {
                "spec.nonResourceAttributes"
            } else {
                "spec.resourceAttributes"
            };
            let detail =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Err(invalid(call, Cause::invalid(field, path.unwrap_or(&Value::Null), detail)))
        }
    }
}

fn shown(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Allowed(reason) if reason.is_empty() => json!({"allowed": true}),
        Verdict::Allowed(reason) => json!({"allowed": true, "reason": reason}),
        Verdict::Denied(missing) if missing.is_empty() => json!({"allowed": false}),
        Verdict::Denied(missing) => {
            json!({"allowed": false, "reason": format!("RBAC: {}", missing.join(", "))})
        }
    }
}

/// A new token of a service account.
pub(super) fn token(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let account = call.get(state)?;
    let asked: Value = match call.request.body.is_empty() {
        true => json!({}),
        false => serde_json::from_slice(&call.request.body)
            .map_err(|error| Refusal::bad_request(error.to_string()))?,
    };
    let seconds = json::int(&asked, &["spec", "expirationSeconds"]).unwrap_or(TOKEN_SECONDS);
    if seconds < 600 {
        let detail = "may not specify a duration less than 10 minutes";
        let cause = Cause::invalid("spec.expirationSeconds", &seconds.into(), detail);
        let kind =
            crate::refusal::Named { group: "authentication.k8s.io", resource: "TokenRequest" };
        return Err(Refusal::invalid(kind, call.name(), &[cause]));
    }
    let now = call.now();
    let uid = text(&account.value, &["metadata", "uid"]);
    let mut claims = Claims::new(call.namespace(), call.name(), uid, now.as_second(), seconds);
    let audiences = json::list(&asked, &["spec", "audiences"]).iter().filter_map(Value::as_str);
    let audiences: Vec<String> = audiences.map(str::to_owned).collect();
    if !audiences.is_empty() {
        claims.aud = audiences;
    }
    let ends: Timestamp = now + SignedDuration::from_secs(seconds);
    let bound = json::at(&asked, &["spec", "boundObjectRef"]).unwrap_or(&Value::Null);
    let token = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {
            "name": call.name(), "namespace": call.namespace(),
            "uid": state.seeds.uid(), "creationTimestamp": time(now),
        },
        "spec": {"audiences": claims.aud, "expirationSeconds": seconds, "boundObjectRef": bound},
        "status": {"expirationTimestamp": time(ends), "token": state.access.sign(&claims)},
    });
    Ok(Reply::json(201, &token))
}
