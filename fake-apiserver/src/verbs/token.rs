//! `serviceaccounts/token`: a new token of a service account, bound to another object if that is wanted.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::reviews::strings;
use super::{Call, body};
use crate::auth::{Claims, Holder};
use crate::json::{self, text};
use crate::refusal::{Cause, Named, Refusal};
use crate::respond::Reply;
use crate::state::{State, time};
use crate::store::{GroupResource, Key};

/// How long a token lives that does not say, in seconds.
const SECONDS: i64 = 3600;

const KIND: Named<'_> = Named { group: "authentication.k8s.io", resource: "TokenRequest" };

/// Makes a token.
pub(super) fn request(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let asked = match call.request.body.is_empty() {
        true => json!({}),
        false => body::parse(&call.request.body, "TokenRequest")?,
    };
    check_identity(call, &asked)?;
    let account = call.get(state)?;
    let seconds = json::int(&asked, &["spec", "expirationSeconds"]).unwrap_or(SECONDS);
    check_duration(seconds)?;
    let now = call.now();
    let id = state.seeds.uid();
    let mut claims = Claims::new(&account.value(), id, now.as_second(), seconds);
    let audiences = strings(&asked, &["spec", "audiences"]);
    if !audiences.is_empty() {
        claims.aud = audiences;
    }
    let bound = json::at(&asked, &["spec", "boundObjectRef"]).unwrap_or(&Value::Null);
    if !bound.is_null() {
        bind(state, call, &mut claims, bound)?;
    }
    let ends = now + SignedDuration::from_secs(seconds);
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

/// Name and namespace of the body, if it has any, are those of the path.
fn check_identity(call: &Call<'_>, asked: &Value) -> Result<(), Refusal> {
    for (key, wanted) in [("name", call.name()), ("namespace", call.namespace())] {
        let told = text(asked, &["metadata", key]);
        if !told.is_empty() && told != wanted {
            let detail = format!("must match the service account {key} if specified");
            let cause = Cause::invalid(format!("metadata.{key}"), &told.into(), &detail);
            return Err(Refusal::invalid(KIND, call.name(), &[cause]));
        }
    }
    Ok(())
}

fn check_duration(seconds: i64) -> Result<(), Refusal> {
    let detail = match seconds {
        ..600 => "may not specify a duration less than 10 minutes",
        600..=0x1_0000_0000 => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let cause = Cause::invalid("spec.expirationSeconds", &seconds.into(), detail);
    Err(Refusal::invalid(KIND, "", &[cause]))
}

/// Binds the token to the object that a reference names.
fn bind(
    state: &State,
    call: &Call<'_>,
    claims: &mut Claims,
    reference: &Value,
) -> Result<(), Refusal> {
    let (version, kind) = (text(reference, &["apiVersion"]), text(reference, &["kind"]));
    let holder = Holder::of(kind).filter(|_| version == "v1").ok_or_else(|| {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let text = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
        Refusal::bad_request(text)
    })?;
    let find = |holder: Holder, name: &str| {
        let id = GroupResource { group: String::new(), resource: holder.plural().to_owned() };
        let namespace = if holder == Holder::Node { "" } else { call.namespace() };
        let found = state.store.get(&id, &Key::new(namespace, name));
        let named = Named { group: "", resource: holder.plural() };
        found.map(|stored| stored.value()).ok_or_else(|| Refusal::not_found(named, name))
    };
    let name = text(reference, &["name"]);
    let object = find(holder, name)?;
    if holder == Holder::Pod {
        if text(&object, &["spec", "serviceAccountName"]) != call.name() {
            return Err(Refusal::bad_request(format!(
                "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                call.name()
            )));
        }
        let node = text(&object, &["spec", "nodeName"]);
        if let Ok(node) = find(Holder::Node, node) {
            claims.bind(Holder::Node, &node);
        }
    }
    let told = text(reference, &["uid"]);
    if !told.is_empty() && told != text(&object, &["metadata", "uid"]) {
        let why = format!(
            "the UID in the bound object reference ({told}) does not match the UID in record. The object might have \
             been deleted and then recreated"
        );
        return Err(Refusal::conflict(Named { group: "", resource: kind }, name, &why));
    }
    claims.bind(holder, &object);
    Ok(())
}
