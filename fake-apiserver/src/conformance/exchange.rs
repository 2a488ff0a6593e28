//! Requests as cases make them, and their answers.

use std::collections::BTreeMap;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};

use super::ConformanceError;

/// The headers of an answer that cases may compare.
const KEPT: [&str; 5] = ["content-type", "warning", "retry-after", "allow", "www-authenticate"];

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `warning` as a list, the others as text.
    pub(super) headers: Map<String, Value>,
    /// JSON as it is, any other body as text, none as `null`.
    pub(super) body: Value,
}

/// What a request is made of, variables filled in.
#[derive(Debug, Default)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) path: String,
    /// Headers to add, replace, or (`None`) take away.
    pub(super) headers: BTreeMap<String, Option<String>>,
    pub(super) body: Option<String>,
}

/// The server, and who asks it.
pub(super) struct Exchange {
    client: Client,
    token: Option<String>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

impl Exchange {
    pub(super) fn new(client: Client, token: Option<String>) -> Self {
        Self { client, token }
    }

    /// Makes a request and reads the whole answer.
    pub(super) async fn request(&self, question: Question) -> Result<Reply, ConformanceError> {
        let request = format!("{} {}", question.method, question.path);
        let response = self.send(question).await?;
        read(response, &request).await
    }

    /// Makes a request; the body of the answer is still to be read.
    pub(super) async fn send(
        &self,
        question: Question,
    ) -> Result<http::Response<Body>, ConformanceError> {
        let title = format!("{} {}", question.method, question.path);
        let failed = |cause: String| ConformanceError::NoAnswer { request: title.clone(), cause };
        let mut request = http::Request::new(Body::from(
            question.body.as_deref().unwrap_or_default().as_bytes().to_vec(),
        ));
        *request.method_mut() =
            question.method.parse().map_err(|_| failed("no HTTP method".to_owned()))?;
        *request.uri_mut() = encode(&question.path)
            .parse()
            .map_err(|error: http::uri::InvalidUri| failed(error.to_string()))?;
        *request.headers_mut() = self.headers(&question);
        self.client.send(request).await.map_err(|error| failed(error.to_string()))
    }

    /// A plain request of the runner itself.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, ConformanceError> {
        let question = Question {
            method: method.to_owned(),
            path: path.to_owned(),
            body: body.map(Value::to_string),
            ..Question::default()
        };
        self.request(question).await
    }

    pub(super) async fn make_namespace(&self, name: &str) -> Result<(), ConformanceError> {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let status = self.ask("POST", "/api/v1/namespaces", Some(&object)).await?.status;
        if status == 201 {
            return Ok(());
        }
        Err(ConformanceError::Unprepared(format!("cannot create namespace {name}: {status}")))
    }

    /// Deletes a namespace, and the pods in it at once. What is answered does not matter.
    pub(super) async fn end_namespace(&self, name: &str) {
        let path = format!("/api/v1/namespaces/{name}");
        let _ = self.ask("DELETE", &path, None).await;
        let _ = self.ask("DELETE", &format!("{path}/pods?gracePeriodSeconds=0"), None).await;
    }

    fn headers(&self, question: &Question) -> HeaderMap {
        let mut headers: BTreeMap<String, Option<String>> = [
            ("user-agent", Some("conform/1.0".to_owned())),
            ("accept", Some("application/json".to_owned())),
            ("content-type", question.body.as_ref().map(|_| "application/json".to_owned())),
            ("authorization", self.token.as_ref().map(|token| format!("Bearer {token}"))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let own = question.headers.iter();
        headers.extend(own.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
        let parsed = headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::try_from(name).ok()?;
            Some((name, HeaderValue::try_from(value.as_ref()?).ok()?))
        });
        parsed.collect()
    }
}

/// Reads an answer.
pub(super) async fn read(
    response: http::Response<Body>,
    request: &str,
) -> Result<Reply, ConformanceError> {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.map_err(|error| ConformanceError::NoAnswer {
        request: request.to_owned(),
        cause: error.to_string(),
    })?;
    let headers = kept(&parts.headers);
    let text = String::from_utf8_lossy(&bytes.to_bytes()).into_owned();
    let json =
        crate::json::text(&Value::Object(headers.clone()), &["content-type"]).contains("json");
    let body = match (json, serde_json::from_str(&text)) {
        _ if text.is_empty() => Value::Null,
        (true, Ok(value)) => value,
        _ => Value::String(text),
    };
    Ok(Reply { status: parts.status.as_u16(), headers, body })
}

fn kept(headers: &HeaderMap) -> Map<String, Value> {
    let values = |name: &str| -> Vec<Value> {
        let values = headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into()).collect()
    };
    let kept = KEPT.iter().filter_map(|name| match (*name, values(name)) {
        (_, values) if values.is_empty() => None,
        ("warning", values) => Some(("warning".to_owned(), Value::Array(values))),
        (name, values) => {
            let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            Some((name.to_owned(), texts.join(", ").into()))
        }
    });
    kept.collect()
}

/// A path with the characters escaped that a URL cannot hold.
fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/?&=%:@!$'()*+,;-._~[]".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}
