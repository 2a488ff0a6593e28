//! A simulated application: it commits where it is routed to and remembers what was acknowledged,
//! so that an oracle can tell what was lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::fleet::Fleet;
use crate::model::TtError;
use crate::model::commits::Wait;
use crate::model::container::Acknowledged;
use crate::view::CommitId;

/// Who vouched for a commit when it was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The active alone.
    Local,
    /// The standby had received it (RETURN RECEIPT).
    Receipt,
    /// Both had committed it (RETURN TWOSAFE).
    Twosafe,
}

/// An acknowledged commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ack {
    /// Which.
    pub id: CommitId,
    /// How it was acknowledged.
    pub service: Service,
}

/// A commit that was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// TimesTen refused: not the active, closed, unloaded, no such host.
    #[error("TimesTen refused the commit: {message} (errno {errno}): commit on the active")]
    Refused {
        /// Native error number.
        errno: i64,
        /// Its text.
        message: String,
    },
    /// Error 8170: the standby did not answer in time. The commit may or may not come to be.
    #[error(
        "TT8170: Receipt or commit acknowledgement not returned in the specified timeout interval: the outcome of {0} is open"
    )]
    ReturnTimeout(CommitId),
    /// The database went away while waiting; the outcome is open.
    #[error("the connection was lost while committing {0}: its outcome is open")]
    ConnectionLost(CommitId),
}

impl From<TtError> for CommitError {
    fn from(error: TtError) -> Self {
        Self::Refused { errno: error.errno, message: error.message }
    }
}

/// The application. Cloning gives another session of the same one.
#[derive(Clone)]
pub struct App {
    fleet: Fleet,
    acknowledged: Arc<Mutex<Vec<Ack>>>,
}

impl App {
    /// An application that has committed nothing yet.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        Self { fleet: fleet.clone(), acknowledged: Arc::default() }
    }

    /// Commits one transaction on `host` and waits for what the return service promises.
    ///
    /// # Errors
    /// Refused, or the outcome is open.
    pub async fn commit(&self, host: &str) -> Result<Ack, CommitError> {
        self.fleet.shared.ensure_driver();
        let pending = self.fleet.shared.with(|world| world.begin_commit(host))?;
        let service = match pending.wait {
            None => Service::Local,
            Some(wait) => self.wait(host, pending.id, wait).await?,
        };
        let ack = Ack { id: pending.id, service };
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(ack);
        Ok(ack)
    }

    async fn wait(&self, host: &str, id: CommitId, wait: Wait) -> Result<Service, CommitError> {
        match tokio::time::timeout(Duration::from_secs(wait.seconds), wait.done).await {
            Ok(Ok(Acknowledged::ByStandby)) if wait.twosafe => Ok(Service::Twosafe),
            Ok(Ok(Acknowledged::ByStandby)) => Ok(Service::Receipt),
            Ok(Ok(Acknowledged::LocallyOnly)) => Ok(Service::Local),
            Ok(Err(_)) => Err(CommitError::ConnectionLost(id)),
            Err(_) if self.fleet.shared.with(|world| world.commit_timed_out(host, id)) => {
                Ok(Service::Local)
            }
            Err(_) => Err(CommitError::ReturnTimeout(id)),
        }
    }

    /// Every acknowledged commit, in order.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Ack> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The acknowledged commits that none of these hosts holds.
    #[must_use]
    pub fn lost_acknowledged(&self, survivors: &[&str]) -> Vec<Ack> {
        let mut acks = self.acknowledged();
        acks.retain(|ack| !survivors.iter().any(|host| self.fleet.holds(host, ack.id)));
        acks
    }
}
