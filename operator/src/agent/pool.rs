//! The connections kept for each pod: one held open for looking, one for orders.
//!
//! A look never waits behind an order. A connection is used by one request at a time; what comes
//! while both are taken gets one of its own, which is dropped afterwards.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Endpoint;
use crate::credentials::{Credentials, Identity};

/// How long an idle connection is trusted with an order. Servers close idle connections, and an
/// order lost to that race may not be repeated; a look may.
const TRUSTED_WITH_ORDERS: Duration = Duration::from_secs(2);

/// At most one end of a held connection is reported in this time.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// GET: repeatable.
    Look,
    /// POST: never repeated.
    Order,
}

/// The connections of all pods.
#[derive(Default)]
pub(super) struct Pool {
    hosts: Mutex<BTreeMap<String, Host>>,
}

/// The pods of one host by UID: the one it is, and those that somebody still waits for.
type Host = BTreeMap<String, Arc<Pod>>;

/// The connections of one pod.
#[derive(Default)]
pub(super) struct Pod {
    idle: Mutex<Idle>,
    /// What its agent proved to have, when it was connected to last.
    identity: Mutex<Option<Arc<Identity>>>,
    ended: Arc<Notify>,
    reported: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Idle {
    look: Option<Lane>,
    order: Option<Lane>,
}

/// One open connection. Dropping it closes it, unreported.
pub(super) struct Lane {
    pub(super) sender: SendRequest<Full<Bytes>>,
    purpose: Use,
    pub(super) identity: Arc<Identity>,
    held: Arc<AtomicBool>,
    used: Instant,
    driver: AbortHandle,
}

impl Pool {
    /// The connections of the pod at `at`, which is now the only pod of its host.
    pub(super) fn pod(&self, at: &Endpoint) -> Arc<Pod> {
        let mut hosts = locked(&self.hosts);
        let pods = hosts.entry(at.host.clone()).or_default();
        pods.retain(|uid, pod| {
            let current = *uid == at.pod_uid;
            if !current {
                pod.give_up();
            }
            current
        });
        Arc::clone(pods.entry(at.pod_uid.clone()).or_default())
    }

    /// Drops the connections to `host`.
    pub(super) fn forget(&self, host: &str) {
        let pods = locked(&self.hosts).remove(host);
        pods.unwrap_or_default().values().for_each(|pod| pod.give_up());
    }

    /// Waits for the end of the connection held open to `at`.
    pub(super) async fn closed(&self, at: &Endpoint) {
        // Unlike `pod`: one who waits for an earlier pod must not drop its successor's connections.
        let pod = {
            let mut hosts = locked(&self.hosts);
            let pods = hosts.entry(at.host.clone()).or_default();
            Arc::clone(pods.entry(at.pod_uid.clone()).or_default())
        };
        pod.ended.notified().await;
        let last = *locked(&pod.reported);
        if let Some(last) = last {
            tokio::time::sleep_until(last + REPORT_INTERVAL).await;
        }
        *locked(&pod.reported) = Some(Instant::now());
    }
}

impl Pod {
    /// Closes what is idle and ends the wait: the pod has gone.
    fn give_up(&self) {
        *locked(&self.idle) = Idle::default();
        self.ended.notify_one();
    }

    /// What its agent is likely to prove to have, and what else it may.
    pub(super) fn identities(
        &self,
        credentials: &Credentials,
    ) -> (Arc<Identity>, Option<Arc<Identity>>) {
        let (present, former) = (credentials.present(), credentials.former());
        match former.filter(|former| locked(&self.identity).as_ref() == Some(former)) {
            Some(former) => (Arc::clone(former), Some(Arc::clone(present))),
            None => (Arc::clone(present), former.map(Arc::clone)),
        }
    }

    /// An idle connection fit for `purpose`.
    pub(super) fn take(&self, purpose: Use, credentials: &Credentials) -> Option<Lane> {
        let mut idle = locked(&self.idle);
        let lane = idle.slot(purpose).take()?;
        let fresh = purpose == Use::Look || lane.used.elapsed() < TRUSTED_WITH_ORDERS;
        let fit = fresh && !lane.sender.is_closed() && may(credentials, &lane.identity);
        fit.then_some(lane)
    }

    /// Keeps a connection whose reply has been read to its end.
    pub(super) fn keep(&self, mut lane: Lane) {
        let mut idle = locked(&self.idle);
        let slot = idle.slot(lane.purpose);
        if slot.is_none() && !lane.sender.is_closed() {
            lane.used = Instant::now();
            lane.held.store(lane.purpose == Use::Look, Ordering::Relaxed);
            *slot = Some(lane);
        }
    }

    /// Speaks HTTP on a new secure stream.
    pub(super) async fn open<S>(
        &self,
        stream: S,
        purpose: Use,
        identity: Arc<Identity>,
    ) -> hyper::Result<Lane>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let held = Arc::new(AtomicBool::new(false));
        let (ended, watched) = (Arc::clone(&self.ended), Arc::clone(&held));
        let driver = tokio::spawn(async move {
            // Its errors reach whoever waits for a reply; what matters here is that it ended.
            let _ = connection.await;
            if watched.load(Ordering::Relaxed) {
                ended.notify_one();
            }
        });
        *locked(&self.identity) = Some(Arc::clone(&identity));
        Ok(Lane {
            sender,
            purpose,
            identity,
            held,
            used: Instant::now(),
            driver: driver.abort_handle(),
        })
    }
}

/// Agents of the object may have this identity.
fn may(credentials: &Credentials, identity: &Arc<Identity>) -> bool {
    credentials.present() == identity || credentials.former() == Some(identity)
}

impl Idle {
    fn slot(&mut self, purpose: Use) -> &mut Option<Lane> {
        match purpose {
            Use::Look => &mut self.look,
            Use::Order => &mut self.order,
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The lock, whoever panicked in it: what it guards is whole between statements.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
