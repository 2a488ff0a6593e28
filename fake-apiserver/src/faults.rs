//! A layer that misbehaves, on top of any service that a `kube::Client` can be made of.
//!
//! Owns the rules and which requests they hit. Give every actor its own wrapped client, and rules are per actor.

mod body;
mod events;
mod target;

pub use target::{Target, Verb};

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::json;
use tokio::sync::watch;
use tower::{BoxError, Service};

use crate::request::AsOf;

pub use body::FaultyBody;

/// What a rule does to the requests it hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Answers with this refusal; the server never sees the request.
    Status {
        /// The HTTP status.
        code: u16,
        /// The reason, as `Conflict` or `InternalError`.
        reason: String,
        /// The message.
        message: String,
    },
    /// Passes the request on after a while. Several add up, and go before any other effect.
    Latency(Duration),
    /// Never answers, and never passes the request on.
    Hang,
    /// The connection breaks before the server sees the request.
    DropBefore,
    /// The server carries the request out, and the connection breaks before the answer.
    DropAfter,
    /// Reads and lists show the world as it was at this revision, as a server that lags behind would. It passes on
    /// to an `ApiServer` in this process only.
    Stale(u64),
    /// Watches lose events. Here and in the next two `name` is that of the event's object, and `skip` and `times`
    /// count events.
    LoseEvents,
    /// Events of watches come so much later, in their order: late for one kind, they overtake each other between kinds.
    DelayEvents(Duration),
    /// Events of watches are held back for so long, and of those about one object only the sum is told: an object that
    /// was deleted and made again meanwhile has only changed.
    MergeEvents(Duration),
    /// Ends the watches that are open when the rule is added with 410, as if their version was no longer known.
    /// `skip`, `times` do not apply.
    ExpireWatches,
    /// Ends the watches that are open when the rule is added, each without a word. `skip`, `times` do not apply.
    CutWatches,
    /// Watches stay open and silent as long as the rule is there; events are late then, not lost. `skip`, `times` do not apply.
    StallWatches,
}

impl Effect {
    /// Whether it is about what goes on inside of open watches, not about requests.
    fn is_of_watches(&self) -> bool {
        match self {
            Self::LoseEvents
            | Self::DelayEvents(_)
            | Self::MergeEvents(_)
            | Self::ExpireWatches
            | Self::CutWatches
            | Self::StallWatches => true,
            Self::Status { .. }
            | Self::Latency(_)
            | Self::Hang
            | Self::DropBefore
            | Self::DropAfter
            | Self::Stale(_) => false,
        }
    }
}

/// Which requests are hit, and how. What is `None` matches anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What the request does.
    pub verb: Option<Verb>,
    /// The plural of the kind it is about.
    pub resource: Option<String>,
    /// The subresource, as `status`; the empty text matches requests without any.
    pub subresource: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// How many matching requests go unharmed first.
    pub skip: u32,
    /// How many are hit after that; all, if `None`.
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: Effect,
}

impl Rule {
    /// A rule that hits every request, always.
    #[must_use]
    pub fn always(effect: Effect) -> Self {
        Self {
            verb: None,
            resource: None,
            subresource: None,
            name: None,
            skip: 0,
            times: None,
            effect,
        }
    }

    fn matches(&self, target: &Target) -> bool {
        self.matches_but_name(target) && self.matches_name(&target.name)
    }

    fn matches_but_name(&self, target: &Target) -> bool {
        let agrees =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        self.verb.is_none_or(|verb| verb == target.verb)
            && agrees(&self.resource, &target.resource)
            && agrees(&self.subresource, &target.subresource)
    }

    fn matches_name(&self, name: &str) -> bool {
        self.name.as_deref().is_none_or(|wanted| wanted == name)
    }
}

/// Names a rule that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(u64);

struct Entry {
    rule: Rule,
    seen: u32,
    fired: u64,
}

impl Entry {
    /// Counts a request or an event that matches; whether it is hit.
    fn takes_turn(&mut self) -> bool {
        self.seen = self.seen.saturating_add(1);
        let turn = self.seen > self.rule.skip
            && self.rule.times.is_none_or(|times| self.fired < u64::from(times));
        self.fired += u64::from(turn);
        turn
    }
}

/// The rules of one or more wrapped services. Clones share them.
#[derive(Clone)]
pub struct Faults {
    rules: Arc<Mutex<BTreeMap<RuleId, Entry>>>,
    /// The number of the newest rule; stirs whenever the rules change.
    newest: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl Faults {
    /// No rules: everything passes.
    #[must_use]
    pub fn new() -> Self {
        Self { rules: Arc::default(), newest: watch::channel(0).0 }
    }

    /// Adds a rule; older rules are asked first.
    pub fn add(&self, rule: Rule) -> RuleId {
        let id = RuleId(*self.newest.borrow() + 1);
        self.rules().insert(id, Entry { rule, seen: 0, fired: 0 });
        self.newest.send_replace(id.0);
        id
    }

    /// Takes a rule away; what it delays or hangs already stays so.
    pub fn remove(&self, id: RuleId) {
        self.rules().remove(&id);
        self.newest.send_modify(|_| {});
    }

    /// Takes all rules away.
    pub fn clear(&self) {
        self.rules().clear();
        self.newest.send_modify(|_| {});
    }

    /// How many requests or watches a rule has hit; zero once it is removed.
    #[must_use]
    pub fn fired(&self, id: RuleId) -> u64 {
        self.rules().get(&id).map_or(0, |entry| entry.fired)
    }

    /// A service that obeys these rules.
    pub fn wrap<S>(&self, service: S) -> Faulty<S> {
        Faulty { faults: self.clone(), service }
    }

    fn rules(&self) -> MutexGuard<'_, BTreeMap<RuleId, Entry>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to a request: a delay, and one effect at most.
    fn hit(&self, target: &Target) -> (Duration, Option<Effect>) {
        let mut delay = Duration::ZERO;
        for entry in self.rules().values_mut().filter(|entry| entry.rule.matches(target)) {
            if entry.rule.effect.is_of_watches() || !entry.takes_turn() {
                continue;
            }
            match &entry.rule.effect {
                Effect::Latency(more) => delay += *more,
                effect => return (delay, Some(effect.clone())),
            }
        }
        (delay, None)
    }
}

/// A service that misbehaves as its [`Faults`] say.
#[derive(Clone)]
pub struct Faulty<S> {
    faults: Faults,
    service: S,
}

impl<S, B> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<FaultyBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let target = Target::of(request.method(), request.uri());
        let (delay, effect) = self.faults.hit(&target);
        let faults = self.faults.clone();
        // The clone takes the service's place: only the original was made ready.
        let clone = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, clone);
        async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match effect {
                Some(Effect::Status { code, reason, message }) => {
                    return refusal(code, &reason, &message);
                }
                Some(Effect::Hang) => std::future::pending::<()>().await,
                Some(Effect::DropBefore) => return Err(broken()),
                Some(Effect::Stale(revision)) => {
                    request.extensions_mut().insert(AsOf(revision));
                }
                // Dropped below, or of watches.
                Some(_) | None => {}
            }
            let response = service.call(request).await.map_err(Into::into)?;
            if effect == Some(Effect::DropAfter) {
                return Err(broken());
            }
            Ok(if target.verb == Verb::Watch {
                response.map(|body| body::watched(faults, target, body))
            } else {
                response.map(|body| body.map_err(Into::into).boxed_unsync())
            })
        }
        .boxed()
    }
}

/// What a client sees when the other end goes away.
fn broken() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer").into()
}

fn refusal(code: u16, reason: &str, message: &str) -> Result<Response<FaultyBody>, BoxError> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    let body =
        Full::new(Bytes::from(status.to_string())).map_err(|never| match never {}).boxed_unsync();
    Ok(Response::builder().status(code).header("content-type", "application/json").body(body)?)
}
