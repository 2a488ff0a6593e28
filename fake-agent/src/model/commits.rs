//! Commits: what the return service of the scheme makes an application wait for, and what of the
//! log is on disk when.

use tokio::sync::oneshot;

use super::container::{Acknowledged, Waiter};
use super::scheme::ReturnService;
use super::{TtError, TtResult};
use crate::view::{CommitId, PeerState, RepState};
use crate::world::{Due, World};

/// A commit under way.
pub(crate) struct Pending {
    pub id: CommitId,
    /// Absent: it is acknowledged already, by this host alone.
    pub wait: Option<Wait>,
}

/// What an acknowledgement waits for.
pub(crate) struct Wait {
    pub done: oneshot::Receiver<Acknowledged>,
    pub twosafe: bool,
    pub seconds: u64,
}

impl World {
    /// Begins a commit on `host`.
    pub(crate) fn begin_commit(&mut self, host: &str) -> TtResult<Pending> {
        let writable = self.writable(host);
        let Some((loaded, database)) = self.both_mut(host) else {
            return Err(TtError::unloaded());
        };
        loaded.users |= loaded.open;
        if !loaded.users {
            return Err(TtError::tt(12_300, "Database is closed to user connections"));
        }
        if !writable {
            let text = format!(
                "This store is currently the {}. Change to APP.T not permitted.",
                loaded.state.as_str()
            );
            return Err(TtError::tt(16_265, &text));
        }
        let lsn = database.history.end().max(loaded.reserved) + 1;
        loaded.reserved = lsn;
        let id = database.history.id_at(lsn);
        let streaming = loaded.stream.clone();
        let service = match &database.scheme {
            Some(scheme) if database.peer == PeerState::Start => {
                // Return services are off while the standby is away, if the scheme says so.
                let disabled = scheme.disable_return && streaming.is_none();
                if disabled { ReturnService::None } else { scheme.service }
            }
            _ => ReturnService::None,
        };
        let seconds = database.scheme.as_ref().map_or(0, |scheme| scheme.wait_seconds);
        let twosafe = service == ReturnService::Twosafe;
        let wait = (service != ReturnService::None).then(|| {
            let (sender, done) = oneshot::channel();
            loaded.waiters.push(Waiter { id, twosafe, done: sender });
            Wait { done, twosafe, seconds }
        });
        if !twosafe {
            self.commit_locally(host, lsn);
        }
        if let Some(stream) = streaming.filter(|stream| stream.caught_up) {
            self.force_log(host);
            self.send(host, stream.id, lsn);
        }
        Ok(Pending { id, wait })
    }

    fn commit_locally(&mut self, host: &str, lsn: u64) {
        let durable = self.options.durable;
        if let Some(database) = self.database_mut(host) {
            database.history.extend_to(lsn);
        }
        if durable {
            self.force_log(host);
        } else if let Some(container) = self.containers.get_mut(host)
            && !container.flush_pending
        {
            container.flush_pending = true;
            let generation = container.generation;
            let delay = self.options.durations.log_flush;
            self.after(delay, Due::Flush { host: host.to_owned(), generation });
        }
        self.check_threshold(host);
    }

    /// `ttAdmin -disconnect`: users are disconnected when their transactions end, or at once.
    pub(crate) fn disconnect(&mut self, host: &str, at_once: bool) {
        let Some(loaded) = self.loaded_mut(host) else { return };
        loaded.users = false;
        if at_once {
            loaded.waiters.clear();
        }
    }

    pub(crate) fn flush(&mut self, host: &str, generation: u64) {
        if let Some(container) = self.incarnation(host, generation) {
            container.flush_pending = false;
            self.force_log(host);
        }
    }

    pub(crate) fn force_log(&mut self, host: &str) {
        if let Some(database) = self.database_mut(host) {
            database.flushed = database.history.end();
        }
    }

    /// The standby has everything up to `lsn`: twosafe commits are made here too, waiters go on.
    pub(crate) fn acknowledge(&mut self, host: &str, stream: u64, lsn: u64) {
        let Some((loaded, database)) = self.both_mut(host) else { return };
        if loaded.stream.as_ref().is_none_or(|running| running.id != stream) {
            return;
        }
        let (done, waiting) = loaded.waiters.drain(..).partition(|waiter| waiter.id.lsn <= lsn);
        loaded.waiters = waiting;
        let done: Vec<Waiter> = done;
        if let Some(last) = done.iter().filter(|waiter| waiter.twosafe).map(|w| w.id.lsn).max() {
            database.history.extend_to(last);
            database.flushed = database.flushed.max(last);
        }
        for waiter in done {
            // A receiver that is gone gave up waiting; nobody is told.
            let _ = waiter.done.send(Acknowledged::ByStandby);
        }
    }

    /// Error 8170: the standby did not answer in time. True if the commit was made here alone
    /// nevertheless, as LOCAL COMMIT ACTION COMMIT says.
    pub(crate) fn commit_timed_out(&mut self, host: &str, id: CommitId) -> bool {
        let Some((loaded, database)) = self.both_mut(host) else { return false };
        loaded.waiters.retain(|waiter| waiter.id != id);
        let local = loaded.state == RepState::Active
            && database.scheme.as_ref().is_some_and(|scheme| scheme.local_commit);
        if local {
            self.commit_locally(host, id.lsn);
        }
        local
    }

    /// The standby is declared failed: nobody waits for it any longer.
    pub(crate) fn release_waiters(&mut self, host: &str) {
        let Some(loaded) = self.loaded_mut(host) else { return };
        for waiter in std::mem::take(&mut loaded.waiters) {
            let lsn = waiter.id.lsn;
            self.commit_locally(host, lsn);
            let _ = waiter.done.send(Acknowledged::LocallyOnly);
        }
    }
}
