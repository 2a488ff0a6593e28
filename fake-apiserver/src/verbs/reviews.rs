//! Kinds that are answered and not stored: who am I, who is that, and may I.

use serde_json::{Value, json};

use super::{Call, body};
use crate::auth::{self, Attributes, Claims, User, Verdict};
use crate::json::{self, text};
use crate::refusal::{Cause, Refusal};
use crate::respond::Reply;
use crate::state::State;

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
    let user = User {
        name: text(review, &["spec", "user"]).to_owned(),
        groups: strings(review, &["spec", "groups"]),
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

fn token_review(state: &State, _: &Call<'_>, review: &Value) -> Result<Value, Refusal> {
    let token = text(review, &["spec", "token"]);
    if token.is_empty() {
        return Err(Refusal::bad_request("token is required for TokenReview in authentication"));
    }
    let mut wanted = strings(review, &["spec", "audiences"]);
    if wanted.is_empty() {
        wanted.push(Claims::AUDIENCE.to_owned());
    }
    Ok(match auth::user_of(state, token, &wanted) {
        Ok((user, audiences)) => {
            json!({"authenticated": true, "user": user.info(), "audiences": audiences})
        }
        Err(why) => json!({"user": {}, "error": format!("[invalid bearer token, {why}]")}),
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

/// The strings of a list.
pub(super) fn strings(value: &Value, path: &[&str]) -> Vec<String> {
    json::list(value, path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
