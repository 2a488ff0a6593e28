//! Tokens of service accounts: signed claims, as on a real server, so that nothing has to be kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::User;
use crate::json::{self, text};
use crate::refusal::quote;
use crate::state::{Seeds, State};
use crate::store::{GroupResource, Key};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Clocks may differ by so much, in seconds: what ended or was deleted within it still counts.
const LEEWAY: i64 = 60;

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    private: Private,
    nbf: i64,
    pub(crate) sub: String,
}

/// What a token is bound to: it ends with each of these.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Private {
    namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Reference>,
    serviceaccount: Reference,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reference {
    name: String,
    uid: String,
}

impl Reference {
    fn to(object: &Value) -> Self {
        let of = |key| text(object, &["metadata", key]).to_owned();
        Self { name: of("name"), uid: of("uid") }
    }
}

/// An object that a token can be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Node,
    Pod,
    Secret,
}

impl Holder {
    /// The holder of a kind of the core.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        match kind {
            "Node" => Some(Self::Node),
            "Pod" => Some(Self::Pod),
            "Secret" => Some(Self::Secret),
            _ => None,
        }
    }

    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::Secret => "secrets",
        }
    }
}

impl Claims {
    /// The audience of a server itself.
    pub(crate) const AUDIENCE: &str = ISSUER;

    /// The claims of a service account, for `seconds` from `issued` on; `id` names the token.
    pub(crate) fn new(account: &Value, id: String, issued: i64, seconds: i64) -> Self {
        let namespace = text(account, &["metadata", "namespace"]).to_owned();
        let serviceaccount = Reference::to(account);
        Self {
            aud: vec![ISSUER.to_owned()],
            exp: issued + seconds,
            iat: issued,
            iss: ISSUER.to_owned(),
            jti: id,
            nbf: issued,
            sub: format!("system:serviceaccount:{namespace}:{}", serviceaccount.name),
            private: Private { namespace, node: None, pod: None, secret: None, serviceaccount },
        }
    }

    /// Binds the token to an object: it is worth nothing when that is gone.
    pub(crate) fn bind(&mut self, holder: Holder, object: &Value) {
        let place = match holder {
            Holder::Node => &mut self.private.node,
            Holder::Pod => &mut self.private.pod,
            Holder::Secret => &mut self.private.secret,
        };
        *place = Some(Reference::to(object));
    }

    fn user(&self) -> User {
        let Private { namespace, node, pod, serviceaccount, .. } = &self.private;
        let mut user = User::service_account(namespace, &serviceaccount.name, &serviceaccount.uid);
        let mut tell = |key: &str, value: String| {
            user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
        };
        tell("credential-id", format!("JTI={}", self.jti));
        for (kind, reference) in [("node", node), ("pod", pod)] {
            if let Some(Reference { name, uid }) = reference {
                tell(&format!("{kind}-name"), name.clone());
                tell(&format!("{kind}-uid"), uid.clone());
            }
        }
        user
    }

    /// Why the token is worth nothing any more.
    fn fault(&self, state: &State) -> Option<String> {
        let now = state.now().as_second();
        if self.exp < now - LEEWAY {
            return Some("service account token has expired".to_owned());
        }
        let Private { namespace, node, pod, secret, serviceaccount } = &self.private;
        let find = |plural: &str, namespace: &str, name: &str| {
            let id = GroupResource { group: String::new(), resource: plural.to_owned() };
            state.store.get(&id, &Key::new(namespace, name)).map(|stored| stored.value())
        };
        let Some(account) = find("serviceaccounts", namespace, &serviceaccount.name) else {
            return Some(format!("serviceaccounts {} not found", quote(&serviceaccount.name)));
        };
        let has = text(&account, &["metadata", "uid"]);
        if has != serviceaccount.uid {
            let claimed = &serviceaccount.uid;
            return Some(format!("service account UID ({has}) does not match claim ({claimed})"));
        }
        if is_gone(&account, now) {
            let name = &serviceaccount.name;
            return Some(format!("service account {namespace}/{name} has been deleted"));
        }
        // A node that a pod runs on is told, and does not end the token.
        let node = if pod.is_some() { None } else { node.as_ref() };
        let bound = [
            ("nodes", "", node),
            ("pods", namespace, pod.as_ref()),
            ("secrets", namespace, secret.as_ref()),
        ];
        for (plural, namespace, reference) in bound {
            let Some(reference) = reference else { continue };
            let alive = find(plural, namespace, &reference.name).is_some_and(|object| {
                text(&object, &["metadata", "uid"]) == reference.uid && !is_gone(&object, now)
            });
            if !alive {
                return Some("service account token has been invalidated".to_owned());
            }
        }
        None
    }
}

/// Whether an object should have been gone by now.
fn is_gone(object: &Value, now: i64) -> bool {
    let at = json::at(object, &["metadata", "deletionTimestamp"]).and_then(Value::as_str);
    let at = at.and_then(|at| at.parse::<Timestamp>().ok());
    at.is_some_and(|at| at.as_second() < now - LEEWAY)
}

/// The key of a server; another seed, another key.
pub(super) fn key(seed: u64) -> hmac::Key {
    let secret = Seeds::new(seed ^ 0x746f_6b65_6e73).uid();
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

pub(super) fn sign(key: &hmac::Key, claims: &Claims) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = serde_json::to_string(claims).unwrap_or_default();
    let signed = format!("{}.{}", encode(r#"{"alg":"HS256","typ":"JWT"}"#), encode(&claims));
    let signature = hmac::sign(key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The account that a token belongs to, and for which of the wanted audiences it is meant.
///
/// # Errors
/// Why it is worth nothing: the server did not sign it, it is for others, it has ended, or what it is bound to is gone.
pub(super) fn verify(
    key: &hmac::Key,
    token: &str,
    wanted: &[String],
    state: &State,
) -> Result<(User, Vec<String>), String> {
    let claims = read(key, token).ok_or("token lookup failed")?;
    let meant: Vec<String> =
        claims.aud.iter().filter(|aud| wanted.contains(aud)).cloned().collect();
    if meant.is_empty() {
        let list = |names: &[String]| names.iter().map(|n| quote(n)).collect::<Vec<_>>().join(" ");
        return Err(format!(
            "token audiences [{}] is invalid for the target audiences [{}]",
            list(&claims.aud),
            list(wanted)
        ));
    }
    match claims.fault(state) {
        Some(why) => Err(why),
        None => Ok((claims.user(), meant)),
    }
}

fn read(key: &hmac::Key, token: &str) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    hmac::verify(key, signed.as_bytes(), &signature).ok()?;
    let (_, claims) = signed.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}
