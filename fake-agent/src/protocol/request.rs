//! Reading requests: path, query, form, Basic credentials.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, header};

use crate::options::Credentials;

/// Parameters of a query or form; of a key that repeats, the last value.
pub(crate) type Params = BTreeMap<String, String>;

/// A request, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Get { query: Params },
    Poll { id: String },
    Post { verb: String, form: Params, request_id: Option<String> },
    Unknown,
}

pub(crate) fn parse(request: &Request<Bytes>) -> Call {
    let request_id = || {
        let value = request.headers().get("x-request-id")?;
        Some(value.to_str().ok()?.to_owned())
    };
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/agent") => {
            Call::Get { query: params(request.uri().query().unwrap_or_default().as_bytes()) }
        }
        (&Method::GET, "/agent/status") => Call::Poll { id: request_id().unwrap_or_default() },
        (&Method::POST, "/agent") => {
            let form = params(request.body());
            let verb = form.get("verb").cloned().unwrap_or_default();
            Call::Post { verb, form, request_id: request_id() }
        }
        _ => Call::Unknown,
    }
}

pub(crate) fn authorised(request: &Request<Bytes>, credentials: &Credentials) -> bool {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Basic "));
    let wanted = format!("{}:{}", credentials.http_user, credentials.http_password);
    given.and_then(|text| STANDARD.decode(text).ok()).is_some_and(|text| text == wanted.as_bytes())
}

fn params(text: &[u8]) -> Params {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decode(halves.next().unwrap_or_default());
            (half(), half())
        })
        .collect()
}

/// `application/x-www-form-urlencoded`: `+` is a blank, `%xx` a byte; a broken escape stays.
fn decode(text: &[u8]) -> String {
    let digit = |at: usize| text.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 2;
            }
            (b'+', _, _) => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_forms() {
        let form = params(b"verb=createRepScheme&a=x+y%22z%22&empty=&broken=%zz&last=1&last=2");
        assert_eq!(form["verb"], "createRepScheme");
        assert_eq!(form["a"], "x y\"z\"");
        assert_eq!(form["empty"], "");
        assert_eq!(form["broken"], "%zz");
        assert_eq!(form["last"], "2");
    }

    #[test]
    fn ignores_media_type_parameters() {
        let request = Request::post("https://h:8443/agent")
            .header("content-type", "application/x-www-form-urlencoded; param=value")
            .body(Bytes::from_static(b"verb=die"))
            .unwrap();
        assert!(matches!(parse(&request), Call::Post { verb, .. } if verb == "die"));
    }
}
