//! Background work that ends with the operator: probes and orders that are under way.
//!
//! Never: outlives the future that `run` returns. Whoever drops that has stopped everything.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts background work.
#[derive(Clone, Debug)]
pub struct Jobs {
    queue: mpsc::UnboundedSender<Job>,
}

/// Does the work that `Jobs` starts.
#[derive(Debug)]
pub struct Workshop {
    queue: mpsc::UnboundedReceiver<Job>,
}

/// A pair of both.
#[must_use]
pub fn workshop() -> (Jobs, Workshop) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Jobs { queue: sender }, Workshop { queue: receiver })
}

impl Jobs {
    /// Starts `job`. Without effect when the operator is stopping.
    pub fn start(&self, job: impl Future<Output = ()> + Send + 'static) {
        let _ = self.queue.send(Box::pin(job));
    }
}

impl Workshop {
    /// Works until all `Jobs` are gone; dropping it ends everything under way.
    pub async fn work(mut self) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                job = self.queue.recv() => match job {
                    Some(job) => { under_way.spawn(job); }
                    None => break,
                },
                Some(_) = under_way.join_next() => {}
            }
        }
    }
}
