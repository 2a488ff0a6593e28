//! A scripted HTTPS server in memory, and a client and endpoint that reach it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use timesten_operator::agent::{
    Connection, Connector, Endpoint, HttpsAgent, Limits, ObjectContext,
};
use timesten_operator::credentials::{self, Credentials};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Does {
    Reply(u16, Bytes),
    /// Replies, and announces that the connection ends.
    Closing(Bytes),
    Slow(Duration, Bytes),
    Hang,
    /// Ends the connection without a reply.
    Close,
    /// Ends the connection within the body.
    CutShort,
}

impl Does {
    pub(crate) fn reply(code: u16, body: &str) -> Self {
        Self::Reply(code, Bytes::copy_from_slice(body.as_bytes()))
    }

    pub(crate) fn slow(after: Duration, body: &str) -> Self {
        Self::Slow(after, Bytes::copy_from_slice(body.as_bytes()))
    }
}

/// What becomes of an attempt to connect.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Dial {
    Serve,
    Refuse,
    NoName,
    NoRoute,
    /// Nothing answers.
    Hang,
    /// Connected, and then silence.
    Mute,
    /// Connected, and closed at once.
    HangUp,
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) client_certificate: bool,
    pub(crate) authorized: bool,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<State>>);

struct State {
    identity: Arc<Credentials>,
    trusted: Arc<Credentials>,
    dial: Dial,
    always: Does,
    verbs: BTreeMap<String, Does>,
    next: VecDeque<Does>,
    seen: Vec<Seen>,
    dials: usize,
    connections: Vec<JoinHandle<()>>,
    mute: Vec<Box<dyn Connection>>,
}

/// Credentials that differ with `seed`.
pub(crate) fn credentials(name: &str, namespace: &str, seed: u8) -> Arc<Credentials> {
    let mut next = seed;
    let mut random = |bytes: &mut [u8]| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(3);
            *byte = next;
        }
    };
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    Arc::new(Credentials::generate(name, namespace, since, &mut random).unwrap())
}

/// A server that always does `always`, a client that reaches it, and its address.
pub(crate) fn start(always: Does) -> (Server, HttpsAgent, Endpoint) {
    let credentials = credentials("sample", "ns", 1);
    let server = Server(Arc::new(Mutex::new(State {
        identity: Arc::clone(&credentials),
        trusted: Arc::clone(&credentials),
        dial: Dial::Serve,
        always,
        verbs: BTreeMap::new(),
        next: VecDeque::new(),
        seen: Vec::new(),
        dials: 0,
        connections: Vec::new(),
        mute: Vec::new(),
    })));
    let at = Endpoint {
        host: "sample-0.sample.ns.svc.cluster.local".into(),
        pod_uid: "uid-0".into(),
        object: ObjectContext {
            name: "sample".into(),
            namespace: "ns".into(),
            uid: "object-uid".into(),
            db_name: "sample".into(),
            zz_test_info: None,
            zz_agent_debug_info: 0,
        },
        credentials,
        limits: Limits::default(),
    };
    (server.clone(), HttpsAgent::new(server.connector()), at)
}

impl Server {
    pub(crate) fn dial(&self, dial: Dial) {
        self.0.lock().unwrap().dial = dial;
    }

    /// What happens to the next request that has no order of its own.
    pub(crate) fn next(&self, does: Does) {
        self.0.lock().unwrap().next.push_back(does);
    }

    pub(crate) fn on(&self, verb: &str, does: Does) {
        self.0.lock().unwrap().verbs.insert(format!("verb={verb}"), does);
    }

    pub(crate) fn trust_only(&self, client: &Arc<Credentials>) {
        self.0.lock().unwrap().trusted = Arc::clone(client);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    pub(crate) fn dials(&self) -> usize {
        self.0.lock().unwrap().dials
    }

    /// Ends every connection, as when the process dies.
    pub(crate) fn kill(&self) {
        self.0.lock().unwrap().connections.drain(..).for_each(|connection| connection.abort());
    }

    pub(crate) fn open(&self) -> usize {
        self.0.lock().unwrap().connections.iter().filter(|one| !one.is_finished()).count()
    }

    fn connector(&self) -> Connector {
        let server = self.clone();
        Arc::new(move |_host, port| {
            assert_eq!(port, 8443);
            let server = server.clone();
            Box::pin(async move { server.connect().await })
        })
    }

    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let dial = {
            let mut state = self.0.lock().unwrap();
            state.dials += 1;
            state.dial
        };
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        match dial {
            Dial::Refuse => return Err(io::ErrorKind::ConnectionRefused.into()),
            Dial::NoName => return Err(io::ErrorKind::NotFound.into()),
            Dial::NoRoute => return Err(io::ErrorKind::HostUnreachable.into()),
            Dial::Hang => std::future::pending().await,
            Dial::Mute => self.0.lock().unwrap().mute.push(Box::new(ours)),
            Dial::HangUp => drop(ours),
            Dial::Serve => {
                let serving = tokio::spawn(self.clone().serve(ours));
                self.0.lock().unwrap().connections.push(serving);
            }
        }
        Ok(Box::new(theirs))
    }

    async fn serve(self, stream: tokio::io::DuplexStream) {
        let config = {
            let state = self.0.lock().unwrap();
            server_config(&state.identity, &state.trusted)
        };
        let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
        let client_certificate = stream.get_ref().1.peer_certificates().is_some();
        let service = service_fn(|request| self.answer(request, client_certificate));
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        client_certificate: bool,
    ) -> Result<Response<UnsyncBoxBody<Bytes, io::Error>>, io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let does = self.note(&head, &body, client_certificate);
        let full = |bytes: Bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        let reply = Response::builder();
        let reply = match does {
            Does::Reply(code, bytes) => reply.status(code).body(full(bytes)),
            Does::Closing(bytes) => reply.header("connection", "close").body(full(bytes)),
            Does::Slow(after, bytes) => {
                tokio::time::sleep(after).await;
                reply.body(full(bytes))
            }
            Does::Hang => std::future::pending().await,
            Does::Close => return Err(io::Error::other("closed")),
            Does::CutShort => {
                let pieces = [Ok(Frame::data(Bytes::from("{\"err"))), Err(io::Error::other("cut"))];
                let body = StreamBody::new(futures::stream::iter(pieces));
                reply.header("content-length", "100").body(body.boxed_unsync())
            }
        };
        Ok(reply.unwrap())
    }

    fn note(&self, head: &http::request::Parts, body: &str, client_certificate: bool) -> Does {
        let mut state = self.0.lock().unwrap();
        let identity = state.identity.present();
        let pair = format!("{}:{}", identity.http_user(), identity.http_password());
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        state.seen.push(Seen {
            line: format!("{} {}", head.method, head.uri),
            headers: head.headers.clone(),
            body: body.to_owned(),
            client_certificate,
            authorized: head.headers.get("authorization").is_some_and(|value| *value == basic),
        });
        let own = body.split('&').find_map(|pair| state.verbs.get(pair).cloned());
        own.or_else(|| state.next.pop_front()).unwrap_or_else(|| state.always.clone())
    }
}

/// As an agent would have it: the usual verifier, with the object's certificate as the only anchor.
fn server_config(identity: &Credentials, trusted: &Credentials) -> Arc<ServerConfig> {
    let entry = |from: &Credentials, key: &str| from.to_secret_data().remove(key).unwrap();
    let certificate = |from| CertificateDer::from_pem_slice(&entry(from, credentials::CERTIFICATE));
    let mut roots = RootCertStore::empty();
    roots.add(certificate(trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_slice(&entry(identity, credentials::KEY)).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate(identity).unwrap()], key)
        .unwrap();
    Arc::new(config)
}
