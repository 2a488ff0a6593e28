//! Certificate signing requests: who asked is noted, the spec never changes, and only some approve and sign.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::restore;
use crate::auth::{self, Attributes, User, Verdict};
use crate::authority::Subject;
use crate::json::{self, list, text};
use crate::refusal::{Cause, Refusal};
use crate::state::{State, time};
use crate::verbs::Call;

const GROUP: &str = "certificates.k8s.io";
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// Types of conditions that are only ever true, and never taken back.
const FINAL: [&str; 3] = ["Approved", "Denied", "Failed"];

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Notes who asks; nothing is approved yet.
pub(super) fn prepare_create(value: &mut Value, user: &User) -> Result<(), Refusal> {
    json::put(value, &["status"], json!({}));
    let spec = json::object_mut(value, "spec");
    for key in ["username", "uid", "groups", "extra"] {
        spec.remove(key);
    }
    if let Value::Object(info) = user.info() {
        spec.extend(info);
    }
    let masters = |subject: Subject| subject.organizations.iter().any(|o| o == "system:masters");
    if text(value, &["spec", "signerName"]) == CLIENT_SIGNER
        && Subject::of_request(&request(value)).is_ok_and(masters)
    {
        let why = format!("use of {CLIENT_SIGNER} signer with system:masters group is not allowed");
        return Err(forbidden(value, &why));
    }
    Ok(())
}

/// What an update leaves as it was, and who may do the rest.
pub(super) fn prepare_update(
    value: &mut Value,
    old: &Value,
    call: &Call<'_>,
    state: &State,
) -> Result<(), Refusal> {
    restore(value, old, &["spec"]);
    let permitted = |verb, word| {
        let signer = text(old, &["spec", "signerName"]);
        let why = format!("user not permitted to {word} requests with signerName {signer:?}");
        may(state, call, verb, signer).then_some(()).ok_or_else(|| forbidden(old, &why))
    };
    match call.subresource() {
        Some("approval") => {
            let conditions = json::at(value, &["status", "conditions"]).cloned();
            restore(value, old, &["status"]);
            match conditions {
                Some(conditions) => json::put(value, &["status", "conditions"], conditions),
                None => drop(json::take(value, &["status", "conditions"])),
            }
            note_times(value, old, call);
            permitted("approve", "approve")
        }
        Some("status") => {
            note_times(value, old, call);
            let same = |path: &[&str]| json::at(value, path) == json::at(old, path);
            let signs = !same(&["status", "certificate"]) || !same(&["status", "conditions"]);
            if signs { permitted("sign", "sign") } else { Ok(()) }
        }
        _ => {
            restore(value, old, &["status"]);
            Ok(())
        }
    }
}

/// Whether the requester may do this to requests for a signer.
fn may(state: &State, call: &Call<'_>, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    [signer.to_owned(), format!("{domain}/*")].into_iter().any(|name| {
        let attributes = Attributes {
            verb: verb.to_owned(),
            group: GROUP.to_owned(),
            resource: "signers".to_owned(),
            name,
            ..Attributes::default()
        };
        matches!(auth::authorize(state, &call.request.user, &attributes), Verdict::Allowed(_))
    })
}

fn forbidden(value: &Value, why: &str) -> Refusal {
    let named = crate::refusal::Named { group: GROUP, resource: "certificatesigningrequests" };
    Refusal::forbidden(named, text(value, &["metadata", "name"]), why, &[])
}

/// `populateConditionTimestamps`.
fn note_times(value: &mut Value, old: &Value, call: &Call<'_>) {
    let now = Value::from(time(call.now()));
    let before = list(old, &["status", "conditions"]);
    let conditions = value.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let same =
            |b: &&Value| ["type", "status"].iter().all(|key| b.get(key) == condition.get(key));
        let since = before.iter().find(same).and_then(|b| b.get("lastTransitionTime").cloned());
        let unset = |condition: &Value, key: &str| condition.get(key).is_none_or(Value::is_null);
        if unset(condition, "lastUpdateTime") {
            json::put(condition, &["lastUpdateTime"], now.clone());
        }
        if unset(condition, "lastTransitionTime") {
            json::put(condition, &["lastTransitionTime"], since.unwrap_or_else(|| now.clone()));
        }
    }
}

/// The text of a request: PEM.
fn request(value: &Value) -> Vec<u8> {
    STANDARD.decode(text(value, &["spec", "request"])).unwrap_or_default()
}

/// `ValidateCertificateSigningRequestCreate` and its like for updates.
pub(super) fn validate(
    value: &Value,
    old: Option<&Value>,
    subresource: Option<&str>,
) -> Vec<Cause> {
    let mut causes = Vec::new();
    match old {
        None => validate_spec(value, &mut causes),
        Some(old) => validate_change(value, old, subresource, &mut causes),
    }
    validate_conditions(value, &mut causes);
    causes
}

fn validate_spec(value: &Value, causes: &mut Vec<Cause>) {
    if let Err(why) = Subject::of_request(&request(value)) {
        let shown = json::at(value, &["spec", "request"]).unwrap_or(&Value::Null);
        causes.push(Cause::invalid("spec.request", shown, &why));
    }
    let usages = list(value, &["spec", "usages"]);
    if usages.is_empty() {
        causes.push(Cause::required("spec.usages", "usages must be provided"));
    }
    for (index, usage) in usages.iter().enumerate() {
        let field = format!("spec.usages[{index}]");
        if !USAGES.contains(&usage.as_str().unwrap_or_default()) {
            causes.push(Cause::unsupported(&field, usage, &USAGES));
        }
        if usages.iter().take(index).any(|earlier| earlier == usage) {
            causes.push(Cause::duplicate(&field, usage));
        }
    }
    let signer = text(value, &["spec", "signerName"]);
    let fault = match signer.split_once('/') {
        _ if signer.is_empty() => {
            causes.push(Cause::required("spec.signerName", ""));
            None
        }
        _ if signer == "kubernetes.io/legacy-unknown" => {
            Some("the legacy signerName is not allowed via this API version")
        }
        Some((domain, path)) if domain.contains('.') && !path.is_empty() => None,
        _ => {
            Some("must be a fully qualified domain and path of the form 'example.com/signer-name'")
        }
    };
    causes.extend(fault.map(|why| Cause::invalid("spec.signerName", &signer.into(), why)));
    if let Some(seconds) = json::int(value, &["spec", "expirationSeconds"]).filter(|s| *s < 600) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        causes.push(Cause::invalid("spec.expirationSeconds", &seconds.into(), why));
    }
}

fn validate_conditions(value: &Value, causes: &mut Vec<Cause>) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, condition) in list(value, &["status", "conditions"]).iter().enumerate() {
        let field = |key: &str| format!("status.conditions[{index}].{key}");
        let (kind, status) = (text(condition, &["type"]), text(condition, &["status"]));
        if kind.is_empty() {
            causes.push(Cause::required(field("type"), ""));
        }
        let allowed: &[&str] =
            if FINAL.contains(&kind) { &["True"] } else { &["False", "True", "Unknown"] };
        if status.is_empty() {
            causes.push(Cause::required(field("status"), ""));
        } else if !allowed.contains(&status) {
            causes.push(Cause::unsupported(field("status"), &status.into(), allowed));
        }
        let opposite = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !opposite.is_empty() && seen.contains(&opposite) {
            let why = "Approved and Denied conditions are mutually exclusive";
            causes.push(Cause::invalid(field("type"), &kind.into(), why));
        }
        if seen.contains(&kind) {
            causes.push(Cause::duplicate(field("type"), &kind.into()));
        }
        seen.push(kind);
    }
}

/// What is approved, denied or failed stays so; `status` approves nothing, and nothing but `status` signs.
fn validate_change(value: &Value, old: &Value, subresource: Option<&str>, causes: &mut Vec<Cause>) {
    let of = |object: &Value, kind: &str| -> Vec<Value> {
        let conditions = list(object, &["status", "conditions"]).iter();
        conditions.filter(|c| text(c, &["type"]) == kind).cloned().collect()
    };
    let mut refuse = |verb: &str, kind: &str| {
        let why = format!("updates may not {verb} a condition of type {kind:?}");
        causes.push(Cause::forbidden("status.conditions", &why));
    };
    for kind in FINAL {
        let (before, now) = (of(old, kind), of(value, kind));
        let decides = kind != "Failed" && subresource != Some("approval");
        match now.len().cmp(&before.len()) {
            std::cmp::Ordering::Less => refuse("remove", kind),
            std::cmp::Ordering::Greater if decides => refuse("add", kind),
            std::cmp::Ordering::Equal if decides && now != before => refuse("modify", kind),
            _ => {}
        }
    }
    let (before, now) =
        (text(old, &["status", "certificate"]), text(value, &["status", "certificate"]));
    if subresource == Some("status") && !before.is_empty() && before != now {
        let why = "updates may not modify existing certificate content";
        causes.push(Cause::forbidden("status.certificate", why));
    }
}
