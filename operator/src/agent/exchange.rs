//! One HTTP exchange with an agent: dial, send, read to the end, each within its limit.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use rustls::pki_types::ServerName;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::pool::{Lane, Pod, Pool, Use};
use super::{AgentError, Connector, Endpoint, How, PORT, Phase, TaskId};
use crate::credentials::Identity;

/// The longest body that is read, in bytes. A status with full statistics has some 50 000.
const BODY_CAP: usize = 8 << 20;
/// How soon a connection must be ready again after a reply, to be kept.
const READY_WITHIN: Duration = Duration::from_secs(1);
const REQUEST_ID: &str = "x-request-id";
/// The odd parameter is the protocol's.
const FORM: &str = "application/x-www-form-urlencoded; param=value";
const OPERATOR: &str = concat!("timesten-operator/", env!("CARGO_PKG_VERSION"));

/// What is sent.
pub(super) struct Ask<'a> {
    /// Path and query.
    pub(super) path: &'a str,
    /// The form of a POST; none for a GET.
    pub(super) form: Option<String>,
    /// The task it is about.
    pub(super) task: Option<&'a TaskId>,
    /// The limit for all of it.
    pub(super) limit: Option<Duration>,
    /// What that limit is called.
    pub(super) phase: Phase,
}

/// What came back, read to its end.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) task: Option<String>,
    pub(super) body: Bytes,
    /// What the agent proved to have.
    pub(super) identity: Arc<Identity>,
}

/// Makes exchanges over pooled connections.
pub(super) struct Exchanger {
    connector: Connector,
    pub(super) pool: Pool,
}

/// A connection that failed while a request was on it.
struct Lost {
    error: hyper::Error,
    /// The request was never written.
    unsent: bool,
}

impl Exchanger {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, pool: Pool::default() }
    }

    /// Sends `ask` to the agent at `at` and reads the whole reply, whatever its status.
    pub(super) async fn exchange(&self, at: &Endpoint, ask: &Ask<'_>) -> Result<Reply, AgentError> {
        let timer =
            Timer { host: &at.host, begun: Instant::now(), whole: ask.limit, kind: ask.phase };
        let pod = self.pool.pod(at);
        let request = request(at, ask)?;
        let (mut lane, response) = self.answer(at, ask.purpose(), &request, &pod, &timer).await?;
        let identity = Arc::clone(&lane.identity);
        let status = response.status();
        let task = header(&response, REQUEST_ID);
        let read = async { Ok(Limited::new(response.into_body(), BODY_CAP).collect().await) };
        let body = timer.within(timer.kind, None, read).await?;
        let body = body.map_err(|error| body_error(&at.host, &*error))?.to_bytes();
        // One that closes, or that replied before it had read the request, is not kept.
        let ready = tokio::time::timeout(READY_WITHIN, lane.sender.ready());
        if matches!(ready.await, Ok(Ok(()))) {
            pod.keep(lane);
        }
        Ok(Reply { status, task, body, identity })
    }

    /// Sends `request` on a kept connection, or else on a new one; reads the head of the reply.
    async fn answer(
        &self,
        at: &Endpoint,
        purpose: Use,
        request: &Request<Full<Bytes>>,
        pod: &Pod,
        timer: &Timer<'_>,
    ) -> Result<(Lane, Response<Incoming>), AgentError> {
        if let Some(mut lane) = pod.take(purpose, &at.credentials) {
            let sent = async { Ok(lane.send(request.clone()).await) };
            match timer.within(timer.kind, None, sent).await? {
                Ok(response) => return Ok((lane, response)),
                // The agent hung up before we spoke. A look may be taken again, an order may not.
                Err(lost) if lost.unsent || (purpose == Use::Look && lost.hung_up()) => {}
                Err(lost) => return Err(lost.into_error(&at.host)),
            }
        }
        let mut lane = self.dial(at, purpose, pod, timer).await?;
        let sent = async { Ok(lane.send(request.clone()).await) };
        match timer.within(timer.kind, None, sent).await? {
            Ok(response) => Ok((lane, response)),
            Err(lost) => Err(lost.into_error(&at.host)),
        }
    }

    /// Opens a connection with whichever identity the agent has. One that has another says so in the
    /// handshake: nothing was sent then.
    async fn dial(
        &self,
        at: &Endpoint,
        purpose: Use,
        pod: &Pod,
        timer: &Timer<'_>,
    ) -> Result<Lane, AgentError> {
        let (likely, other) = pod.identities(&at.credentials);
        let result = self.dial_as(likely, at, purpose, pod, timer).await;
        match (other, &result) {
            (Some(other), Err(AgentError::Unreachable { how: How::Tls, .. })) => {
                self.dial_as(other, at, purpose, pod, timer).await
            }
            _ => result,
        }
    }

    async fn dial_as(
        &self,
        identity: Arc<Identity>,
        at: &Endpoint,
        purpose: Use,
        pod: &Pod,
        timer: &Timer<'_>,
    ) -> Result<Lane, AgentError> {
        let name = ServerName::try_from(at.host.clone())
            .map_err(|error| AgentError::unreachable(&at.host, How::Dns, error))?;
        let failed = |error: io::Error| AgentError::unreachable(&at.host, How::of(&error), error);
        let connect = (self.connector)(&at.host, PORT);
        let plain = async { connect.await.map_err(failed) };
        let plain = timer.within(Phase::Connect, at.limits.tcp, plain).await?;
        let connector = TlsConnector::from(identity.client_config());
        let secure = async { connector.connect(name, plain).await.map_err(failed) };
        let secure = timer.within(Phase::Handshake, at.limits.tls, secure).await?;
        pod.open(secure, purpose, identity)
            .await
            .map_err(|error| AgentError::unreachable(&at.host, How::Connect, error))
    }
}

impl Ask<'_> {
    fn purpose(&self) -> Use {
        if self.form.is_some() { Use::Order } else { Use::Look }
    }
}

impl Lane {
    async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Lost> {
        request.headers_mut().insert(AUTHORIZATION, authorization(&self.identity));
        self.sender.try_send_request(request).await.map_err(|mut failed| {
            let unsent = failed.take_message().is_some();
            Lost { error: failed.into_error(), unsent }
        })
    }
}

impl Lost {
    /// The peer ended the connection, rather than falling silent: it may well answer a new one.
    fn hung_up(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let kind = io_error(&self.error).map(io::Error::kind);
        match kind {
            Some(kind) => {
                matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
            }
            None => {
                self.error.is_incomplete_message()
                    || self.error.is_closed()
                    || self.error.is_canceled()
            }
        }
    }

    fn into_error(self, host: &str) -> AgentError {
        if self.error.is_parse() {
            return AgentError::bad_reply(host, format!("not HTTP: {}", self.error));
        }
        lost(host, &self.error)
    }
}

/// How a connection broke that a request had been sent on.
fn lost(host: &str, error: &hyper::Error) -> AgentError {
    match io_error(error) {
        // TLS 1.3: an agent that refuses our certificate says so after the handshake.
        Some(io) if How::of(io) == How::Tls => AgentError::unreachable(host, How::Tls, io),
        Some(io) => AgentError::unreachable(host, How::Reset, io),
        None => AgentError::unreachable(host, How::Reset, error),
    }
}

fn body_error(host: &str, error: &(dyn std::error::Error + 'static)) -> AgentError {
    if error.is::<LengthLimitError>() {
        return AgentError::bad_reply(host, format!("longer than {BODY_CAP} bytes"));
    }
    match error.downcast_ref::<hyper::Error>() {
        Some(error) => lost(host, error),
        None => AgentError::unreachable(host, How::Reset, error),
    }
}

fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn request(at: &Endpoint, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, AgentError> {
    let method = if ask.form.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(ask.path)
        .header(HOST, format!("{}:{PORT}", at.host))
        .header(USER_AGENT, OPERATOR);
    if let Some(id) = ask.task {
        request = request.header(REQUEST_ID, id.as_str());
    }
    if ask.form.is_some() {
        request = request.header(CONTENT_TYPE, FORM);
    }
    request
        .body(Full::new(Bytes::from(ask.form.clone().unwrap_or_default())))
        .map_err(|error| AgentError::unreachable(&at.host, How::Connect, error))
}

fn authorization(identity: &Identity) -> HeaderValue {
    let pair = format!("{}:{}", identity.http_user(), identity.http_password());
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

fn header(response: &Response<Incoming>, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// The limits of one exchange.
struct Timer<'a> {
    host: &'a str,
    begun: Instant,
    whole: Option<Duration>,
    kind: Phase,
}

impl Timer<'_> {
    /// Waits for `step`, within its `own` limit and what is left of the whole.
    async fn within<T>(
        &self,
        phase: Phase,
        own: Option<Duration>,
        step: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, AgentError> {
        // A limit beyond what a clock can show is none.
        let at = |since: Instant, phase, limit| Some((since.checked_add(limit)?, phase, limit));
        let own = own.and_then(|limit| at(Instant::now(), phase, limit));
        let whole = self.whole.and_then(|limit| at(self.begun, self.kind, limit));
        let Some((deadline, phase, after)) =
            [own, whole].into_iter().flatten().min_by_key(|limit| limit.0)
        else {
            return step.await;
        };
        let late = |_| AgentError::TimedOut { host: self.host.to_owned(), phase, after };
        tokio::time::timeout_at(deadline, step).await.map_err(late)?
    }
}
