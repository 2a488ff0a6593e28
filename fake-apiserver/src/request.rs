//! A request, parsed: what it is about, its options, and the form of answer it wants.
//!
//! It never looks at what is stored.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, Method, header};

use crate::auth::{Impersonation, User};
use crate::front::Trust;
use crate::protobuf;
use crate::refusal::Refusal;
use crate::registry::Resource;

/// What a path names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    Resource(ResourcePath),
    /// Anything else: discovery, health, OpenAPI.
    Other(Vec<String>),
}

/// The parts of a resource's path.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// The old form of a watch, with `watch` in the path.
    pub(crate) watch: bool,
}

/// How the answer shall look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Table,
    /// Metadata alone.
    Metadata,
}

/// The media type of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accept {
    pub(crate) form: Form,
    pub(crate) yaml: bool,
    /// The version of `meta.k8s.io` a table or metadata is wanted in.
    pub(crate) beta: bool,
}

/// An extension of a request: reads show the world as it was at this revision, as a server that lags would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AsOf(pub(crate) u64);

/// Who asks a server without authentication.
static MASTER: LazyLock<Arc<User>> = LazyLock::new(|| Arc::new(User::master("system:admin")));

/// A request in parts.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) query: Query,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
    pub(crate) user_agent: Arc<str>,
    /// Whether the client wants another protocol on this connection.
    pub(crate) upgrade: bool,
    /// Set by the faults: an older moment to read from.
    pub(crate) as_of: Option<AsOf>,
    /// The path as it was sent.
    pub(crate) path: String,
    /// The token, if there is one.
    pub(crate) bearer: Option<String>,
    /// Whom the requester wants to be taken for.
    pub(crate) impersonation: Option<Impersonation>,
    /// What the front knows of who asks.
    pub(crate) trust: Trust,
    /// Who asks: one who may do everything, until it is found out.
    pub(crate) user: Arc<User>,
}

impl Request {
    pub(crate) fn new(parts: &http::request::Parts, body: Bytes, trust: Trust) -> Self {
        let text = |name| header_text(&parts.headers, name);
        let (content_type, body) = readable(text(header::CONTENT_TYPE), body);
        Self {
            method: parts.method.clone(),
            target: parse_path(parts.uri.path()),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            accept: text(header::ACCEPT),
            content_type,
            body,
            user_agent: text(header::USER_AGENT).into(),
            upgrade: parts.headers.contains_key(header::UPGRADE),
            as_of: parts.extensions.get().copied(),
            path: parts.uri.path().to_owned(),
            bearer: text(header::AUTHORIZATION).strip_prefix("Bearer ").map(str::to_owned),
            impersonation: Impersonation::read(&parts.headers),
            trust,
            user: Arc::clone(&MASTER),
        }
    }

    /// The media type of the body, without parameters.
    pub(crate) fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }

    /// The name under which the requester owns fields.
    pub(crate) fn field_manager(&self) -> String {
        match self.query.get("fieldManager") {
            Some(manager) if !manager.is_empty() => manager.to_owned(),
            _ => self.user_agent.split('/').next().unwrap_or_default().chars().take(128).collect(),
        }
    }
}

/// A body in protobuf as the JSON of the same object, if it is one that can be read.
fn readable(content_type: String, body: Bytes) -> (String, Bytes) {
    if content_type.starts_with(protobuf::MEDIA_TYPE)
        && let Some(object) = protobuf::decode(&body)
    {
        return ("application/json".to_owned(), Bytes::from(object.to_string()));
    }
    (content_type, body)
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The query, decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            map.entry(percent_decode(key, true)).or_default().push(percent_decode(value, true));
        }
        Self(map)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|values| values.first()).map(String::as_str)
    }

    pub(crate) fn all(&self, key: &str) -> &[String] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a flag is set. As in Go, anything but `false` and `0` sets it.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.maybe_flag(key).unwrap_or_default()
    }

    pub(crate) fn maybe_flag(&self, key: &str) -> Option<bool> {
        self.get(key).map(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }

    /// An integer; text that is none is refused as the real server refuses it.
    pub(crate) fn int(&self, key: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(key).filter(|text| !text.is_empty()) else { return Ok(None) };
        let refused =
            || Refusal::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(|_| refused())
    }
}

fn percent_decode(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        rest = match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                tail.get(2..).unwrap_or_default()
            }
            None => {
                bytes.push(if first == b'+' && plus_is_space { b' ' } else { first });
                tail
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn parse_path(path: &str) -> Target {
    let parts: Vec<String> = match path.trim_matches('/') {
        "" => Vec::new(),
        path => path.split('/').map(|part| percent_decode(part, false)).collect(),
    };
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (group, version, rest) = match words.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Target::Other(parts),
    };
    let (watch, rest) = match rest {
        ["watch", rest @ ..] => (true, rest),
        _ => (false, rest),
    };
    let mut found = ResourcePath {
        group: group.into(),
        version: version.into(),
        watch,
        ..ResourcePath::default()
    };
    let owned = |text: &&str| Some((*text).to_owned());
    let rest = match rest {
        // A namespace itself, or its subresource.
        ["namespaces", name, sub @ ("status" | "finalize")] => {
            found.plural = "namespaces".into();
            found.name = owned(name);
            found.subresource = owned(sub);
            return Target::Resource(found);
        }
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => {
            found.namespace = owned(namespace);
            rest
        }
        rest => rest,
    };
    let mut rest = rest.iter();
    found.plural = rest.next().map(|text| (*text).to_owned()).unwrap_or_default();
    found.name = rest.next().and_then(owned);
    found.subresource = rest.next().and_then(owned);
    if rest.next().is_some() {
        return Target::Other(parts);
    }
    Target::Resource(found)
}

/// What a request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One object.
    Object,
    /// A list.
    List,
    /// A watch: one object after the other.
    Watch,
}

/// What the `Accept` header asks for, if the server can give it as such an answer.
pub(crate) fn negotiate(
    accept: &str,
    resource: &Resource,
    answer: Wanted,
) -> Result<Accept, Refusal> {
    let plain = Accept { form: Form::Object, yaml: false, beta: false };
    if accept.trim().is_empty() {
        return Ok(plain);
    }
    // Who serves built-in kinds looks at media types before any form is considered.
    let mut routed = resource.custom().is_some();
    for clause in accept.split(',') {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let yaml = match media {
            "application/json" | "*/*" | "application/*" => false,
            "application/yaml" => true,
            _ => continue,
        };
        routed = true;
        let params: BTreeMap<&str, &str> = parts.filter_map(|part| part.split_once('=')).collect();
        let beta = match (params.get("g"), params.get("v")) {
            (Some(&"meta.k8s.io"), Some(&"v1")) => false,
            (Some(&"meta.k8s.io"), Some(&"v1beta1")) => true,
            _ if params.contains_key("as") => continue,
            _ => false,
        };
        let form = match params.get("as") {
            None => Form::Object,
            Some(&"Table") => Form::Table,
            Some(&"PartialObjectMetadata") if answer != Wanted::List => Form::Metadata,
            Some(&"PartialObjectMetadataList") if answer != Wanted::Object => Form::Metadata,
            Some(_) => continue,
        };
        return Ok(Accept { form, yaml, beta });
    }
    let known = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    let streams = match answer {
        Wanted::Object => "",
        _ => ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
    };
    Err(match routed {
        true => Refusal::no_such_form(known),
        false => Refusal::not_acceptable(&format!("{known}{streams}")),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/api/v1/namespaces/x", ("", None, "namespaces", Some("x"), None))]
    #[case("/api/v1/namespaces/x/status", ("", None, "namespaces", Some("x"), Some("status")))]
    #[case("/api/v1/namespaces/x/pods", ("", Some("x"), "pods", None, None))]
    #[case("/api/v1/namespaces/x/pods/p/eviction", ("", Some("x"), "pods", Some("p"), Some("eviction")))]
    #[case("/apis/apps/v1/statefulsets", ("apps", None, "statefulsets", None, None))]
    fn paths(
        #[case] path: &str,
        #[case] want: (&str, Option<&str>, &str, Option<&str>, Option<&str>),
    ) {
        let Target::Resource(found) = parse_path(path) else { panic!("{path} is no resource") };
        let got = (
            found.group.as_str(),
            found.namespace.as_deref(),
            found.plural.as_str(),
            found.name.as_deref(),
            found.subresource.as_deref(),
        );
        assert_eq!(got, want);
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::parse("labelSelector=a%3Db%2Cc&watch=true&x=1+2");
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert!(query.flag("watch"));
        assert_eq!(query.get("x"), Some("1 2"));
    }
}
