//! Tokens of service accounts: signed claims, as on a real server, so that nothing has to be kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::User;
use crate::json::text;
use crate::state::{Seeds, State};
use crate::store::{GroupResource, Key};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    iss: String,
    pub(crate) sub: String,
    /// The uid of the account.
    uid: String,
}

impl Claims {
    /// The audience of a server itself.
    pub(crate) const AUDIENCE: &str = ISSUER;

    pub(crate) fn new(namespace: &str, name: &str, uid: &str, issued: i64, seconds: i64) -> Self {
        Self {
            aud: vec![ISSUER.to_owned()],
            exp: issued + seconds,
            iat: issued,
            iss: ISSUER.to_owned(),
            sub: format!("system:serviceaccount:{namespace}:{name}"),
            uid: uid.to_owned(),
        }
    }
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

/// The account that a token belongs to, if the server signed it, it has not ended, and the account is still there.
pub(super) fn verify(key: &hmac::Key, token: &str, state: &State) -> Option<User> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    hmac::verify(key, signed.as_bytes(), &signature).ok()?;
    let (_, claims) = signed.split_once('.')?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    if claims.exp <= state.now().as_second() || !claims.aud.iter().any(|aud| aud == ISSUER) {
        return None;
    }
    let (namespace, name) = claims.sub.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let accounts = GroupResource { group: String::new(), resource: "serviceaccounts".into() };
    let account = state.store.get(&accounts, &Key::new(namespace, name))?;
    let alive = text(&account.value, &["metadata", "uid"]) == claims.uid;
    alive.then(|| User::service_account(namespace, name, &claims.uid))
}
