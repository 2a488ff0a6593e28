//! The operator's way to the API server: counted, and stopped at a point when a scenario wants the
//! operator to die there.
//!
//! Never: changes what passes.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request};
use tokio::sync::Notify;
use tower::Service;

/// Counts and stops.
#[derive(Clone, Default)]
pub struct Tap(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    struck: Notify,
}

#[derive(Default)]
struct State {
    writes: Vec<String>,
    trap: Option<Trap>,
}

/// A point at which the operator is to die.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    /// After so many writes more; 0: at the next one.
    pub skip: u32,
    /// The write is done.
    pub done: bool,
    /// The answer reaches the operator.
    pub answered: bool,
}

impl Tap {
    /// Every write so far: method and path.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        self.with(|state| state.writes.clone())
    }

    /// How many writes there were so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.with(|state| state.writes.len())
    }

    /// Sets a trap.
    pub fn trap(&self, trap: Trap) {
        self.with(|state| state.trap = Some(trap));
    }

    /// Ends when the trap has been sprung.
    pub async fn struck(&self) {
        self.0.struck.notified().await;
    }

    /// Puts the tap on a way.
    pub fn on<S>(&self, inner: S) -> Tapped<S> {
        Tapped { inner, tap: self.clone() }
    }

    /// Notes a write; the trap, if it is sprung by it. An operator that renews its Lease has not
    /// written: that says nothing of the pair.
    fn pass(&self, method: &Method, path: &str) -> Option<Trap> {
        if *method == Method::GET || path.contains("/leases") {
            return None;
        }
        self.with(|state| {
            state.writes.push(format!("{method} {path}"));
            match &mut state.trap {
                Some(trap) if trap.skip > 0 => {
                    trap.skip -= 1;
                    None
                }
                Some(_) => state.trap.take(),
                None => None,
            }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A way with a tap on it.
#[derive(Clone)]
pub struct Tapped<S> {
    inner: S,
    tap: Tap,
}

impl<S, B> Service<Request<B>> for Tapped<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let trap = self.tap.pass(request.method(), request.uri().path());
        let tap = self.tap.clone();
        match trap {
            None => Box::pin(self.inner.call(request)),
            Some(trap) if !trap.done => Box::pin(async move {
                tap.0.struck.notify_one();
                std::future::pending().await
            }),
            Some(trap) => {
                let answer = self.inner.call(request);
                Box::pin(async move {
                    let answer = answer.await;
                    tap.0.struck.notify_one();
                    if trap.answered { answer } else { std::future::pending().await }
                })
            }
        }
    }
}
