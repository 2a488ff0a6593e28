//! A Kubernetes API server in a library.
//!
//! Storage, API machinery and an HTTP front, faithful to Kubernetes 1.36 and bit for bit repeatable: every timestamp
//! comes from a [`Clock`], every generated name and uid from a seed, and nothing needs a socket or a thread.
//!
//! ```
//! # async fn example() -> Result<(), kube::Error> {
//! use fake_apiserver::{ApiServer, Options};
//! use k8s_openapi::api::core::v1::Namespace;
//!
//! let server = ApiServer::new(Options::at("2026-01-01T00:00:00Z".parse().unwrap_or_default(), 1));
//! let namespaces = kube::Api::<Namespace>::all(server.client());
//! assert_eq!(namespaces.list(&Default::default()).await?.items.len(), 4);
//! # Ok(())
//! # }
//! ```

mod apply;
mod auth;
mod authority;
pub mod conformance;
pub mod controllers;
mod crd;
mod discovery;
pub mod faults;
mod front;
mod json;
pub mod kubelet;
mod meta;
mod named;
mod openapi;
mod patch;
mod protobuf;
mod quantity;
mod refusal;
mod registry;
mod request;
mod respond;
mod schema;
mod selector;
mod serve;
mod state;
mod store;
mod strategy;
mod table;
mod tls;
mod verbs;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

pub use authority::{Authority, AuthorityError};
pub use front::{Front, ResponseBody};
pub use selector::label_selector_matches;
pub use state::Stats;
pub use tls::Tls;

use front::Trust;
use kubelet::NodeHandle;
use state::State;

/// Source of wall-clock time for every timestamp the server writes.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a server starts with.
#[derive(Clone)]
pub struct Options {
    /// The time.
    pub clock: Clock,
    /// Where generated names and uids come from: the same seed gives the same ones.
    pub seed: u64,
}

impl Options {
    /// A clock that stands still, for tests in which time does not matter.
    #[must_use]
    pub fn at(time: Timestamp, seed: u64) -> Self {
        Self { clock: Arc::new(move || time), seed }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was made.
    Added,
    /// It was changed.
    Modified,
    /// It was removed from storage.
    Deleted,
}

/// One committed change.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision of the change, unique in the server.
    pub revision: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// What became of the object.
    pub kind: ChangeKind,
    /// The API group; empty for the legacy group.
    pub group: String,
    /// The plural of the kind (`pods`).
    pub resource: String,
    /// The namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The object after the change, in the version it is stored in; for a deletion its last state.
    pub object: Arc<Value>,
    /// The User-Agent of the request that wrote it, or its field manager if it named one.
    pub user_agent: Arc<str>,
}

/// Every change of a server from some moment on, in order and without loss.
#[derive(Debug)]
pub struct Changes(mpsc::UnboundedReceiver<Change>);

/// Tells changes that are not of a server in this process: see [`Changes::channel`].
#[derive(Debug, Clone)]
pub struct ChangeSender(mpsc::UnboundedSender<Change>);

impl ChangeSender {
    /// Tells a change; whether somebody still listens.
    #[must_use]
    pub fn send(&self, change: Change) -> bool {
        self.0.send(change).is_ok()
    }
}

impl Changes {
    /// Changes that somebody tells who hears of them, such as those of another server.
    #[must_use]
    pub fn channel() -> (ChangeSender, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (ChangeSender(sender), Self(receiver))
    }

    /// Waits for the next change; `None` when the server is gone.
    pub async fn next(&mut self) -> Option<Change> {
        self.0.recv().await
    }

    /// The next change if there is one already.
    pub fn try_next(&mut self) -> Option<Change> {
        self.0.try_recv().ok()
    }
}

impl futures::Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        self.0.poll_recv(context)
    }
}

/// A server: a cheap handle on shared state.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    authority: OnceLock<Authority>,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server with the four namespaces every cluster has.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let Options { clock, seed } = options;
        let state = Mutex::new(State::new(clock, seed));
        Self { shared: Arc::new(Shared { state, authority: OnceLock::new() }) }
    }

    /// A server of its own that begins with all that this one has: objects and their history, definitions, tokens.
    ///
    /// What happens in one is not seen in the other; the times and the chance of the new one are those of its options,
    /// and no node can be reached from it. Copies share what they have in common: a test that begins with a furnished
    /// cluster has one at hardly any cost.
    #[must_use]
    pub fn copy(&self, options: Options) -> Self {
        let Options { clock, seed } = options;
        let state = Mutex::new(self.lock().copy(clock, seed));
        let authority = self.shared.authority.clone();
        Self { shared: Arc::new(Shared { state, authority }) }
    }

    /// The HTTP interface as a service, without sockets.
    #[must_use]
    pub fn front(&self) -> Front {
        Front::new(self.clone(), Trust::None)
    }

    /// A client of this server, with `default` as its default namespace. It may do everything, without a token.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(Front::new(self.clone(), Trust::Full), "default")
    }

    /// Lets a token in as a member of `system:masters`, and turns authentication and authorization on: from now on
    /// every request through a [`front`](Self::front) must carry a token, and may do what RBAC allows.
    pub fn require_token(&self, token: &str) {
        auth::require(&mut self.lock(), token);
    }

    /// Lets the server ask a node about its pods, as for `pods/log`.
    pub fn reach(&self, node: &NodeHandle) {
        self.lock().nodes.insert(node.name().to_owned(), node.downgrade());
    }

    /// The authority whose certificates this server trusts; it is made when it is first asked for.
    ///
    /// # Errors
    /// When there is no chance to make a key of.
    pub fn authority(&self) -> Result<Authority, AuthorityError> {
        if let Some(made) = self.shared.authority.get() {
            return Ok(made.clone());
        }
        let made = Authority::new()?;
        Ok(self.shared.authority.get_or_init(|| made).clone())
    }

    /// What it takes to serve TLS under these names and addresses, by a certificate of the authority.
    ///
    /// # Errors
    /// When a name is none.
    pub fn tls(&self, names: &[&str]) -> Result<Tls, AuthorityError> {
        Tls::new(&self.authority()?, names)
    }

    /// Serves plain HTTP (1.1 and h2c) until the listener fails.
    ///
    /// # Errors
    /// When a connection cannot be accepted.
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> std::io::Result<()> {
        serve::serve(self.front(), listener, None).await
    }

    /// Serves HTTP over TLS until the listener fails.
    ///
    /// # Errors
    /// When a connection cannot be accepted.
    pub async fn serve_tls(
        &self,
        listener: tokio::net::TcpListener,
        tls: &Tls,
    ) -> std::io::Result<()> {
        serve::serve(self.front(), listener, Some(tls.clone())).await
    }

    /// Every committed change after a revision, in order. The oldest are forgotten after 20,000 changes.
    #[must_use]
    pub fn history(&self, since: u64) -> Vec<Change> {
        self.lock().store.since(since).map(|record| record.change()).collect()
    }

    /// The revision of the last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.lock().store.revision()
    }

    /// Every change from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.lock().store.listen())
    }

    /// How many requests were answered.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lock().stats.clone()
    }

    /// Forgets the history up to and including a revision: who asks for it is told 410 from now on.
    pub fn compact(&self, revision: u64) {
        self.lock().store.compact(revision);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
