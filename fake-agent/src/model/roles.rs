//! Roles in a pair: which orders are legal when, as TimesTen documents it.

use super::scheme::Scheme;
use super::{TtError, TtResult};
use crate::events::Happening;
use crate::view::{PeerState, RepState};
use crate::world::{Due, World};

impl World {
    /// The statement, then ACTIVE, then the replication agent: `createRepScheme`. An identical
    /// scheme counts as made.
    pub(crate) fn create_scheme(&mut self, host: &str, statement: &str) -> TtResult {
        self.need_loaded(host)?;
        let scheme = Scheme::parse(statement)?;
        if scheme.peer_of(host).is_none() {
            return Err(TtError::tt(8131, "The local host is not an element of the pair"));
        }
        let Some(database) = self.database_mut(host) else { return Err(TtError::no_database()) };
        match &database.scheme {
            Some(existing) if existing.statement != scheme.statement => {
                return Err(TtError::tt(8126, "Replication scheme already exists"));
            }
            Some(_) => {}
            None => {
                database.scheme = Some(scheme);
                database.peer = PeerState::Start;
                database.log_dropped = false;
                database.activation = 0;
                database.role = RepState::Idle;
                self.set_state(host, RepState::Idle);
            }
        }
        self.set_active(host)
    }

    /// `DROP ACTIVE STANDBY PAIR`, the replication agent stopped before.
    pub(crate) fn drop_scheme(&mut self, host: &str) -> TtResult {
        self.need_loaded(host)?;
        self.set_rep_agent(host, false)?;
        if let Some(database) = self.database_mut(host) {
            database.scheme = None;
            database.activation = 0;
            database.role = RepState::Idle;
        }
        self.set_state(host, RepState::Idle);
        Ok(())
    }

    pub(crate) fn set_rep_agent(&mut self, host: &str, run: bool) -> TtResult {
        self.need_loaded(host)?;
        let Some((loaded, database)) = self.both_mut(host) else { return Ok(()) };
        if run && database.scheme.is_none() {
            return Err(TtError::tt(8191, "This store is not involved in a replication scheme"));
        }
        loaded.rep_agent = run;
        Ok(())
    }

    /// `ttRepStateSet('ACTIVE')` with the replication agent left running. A STANDBY may always:
    /// its agent is stopped for it, so it cannot know whether the other is ACTIVE still.
    pub(crate) fn set_active(&mut self, host: &str) -> TtResult {
        self.need_loaded(host)?;
        let Some((loaded, database)) = self.both_mut(host) else { return Ok(()) };
        if database.scheme.is_none() {
            return Err(TtError::tt(8191, "This store is not involved in a replication scheme"));
        }
        let eligible = database.activation == 0 || database.role == RepState::Active;
        let state = loaded.state;
        match state {
            RepState::Active => return self.set_rep_agent(host, true),
            RepState::Standby => {}
            RepState::Idle if eligible && !self.peer_is_active(host) => {}
            RepState::Idle | RepState::Failed | RepState::Recovering => {
                return Err(TtError::tt(
                    8158,
                    &format!("ttRepStateSet: not allowed in state {}", state.as_str()),
                ));
            }
        }
        let lineage = self.fresh();
        if let Some((loaded, database)) = self.both_mut(host) {
            database.history.fork(lineage);
            database.flushed = database.history.end();
            database.activation = lineage;
            database.peer = PeerState::Start;
            database.log_dropped = false;
            loaded.reserved = database.history.end();
            loaded.rep_agent = true;
        }
        self.set_state(host, RepState::Active);
        self.tell(host, Happening::Activated);
        Ok(())
    }

    fn peer_is_active(&self, host: &str) -> bool {
        let touching = self
            .loaded(host)
            .is_some_and(|loaded| loaded.contact == super::container::Contact::Now);
        let peer = self.peer_of(host).and_then(|peer| self.loaded(peer));
        touching && peer.is_some_and(|peer| peer.state == RepState::Active)
    }

    /// `ttRepDeactivate`: ACTIVE becomes IDLE; nothing to do for any other state.
    pub(crate) fn deactivate(&mut self, host: &str) -> TtResult {
        self.need_loaded(host)?;
        if self.loaded(host).is_some_and(|loaded| loaded.state == RepState::Active) {
            self.set_state(host, RepState::Idle);
        }
        Ok(())
    }

    /// `ttRepStateSave('FAILED', …)` about the peer.
    pub(crate) fn save_peer_failed(&mut self, host: &str, failed: &str) -> TtResult {
        self.need_loaded(host)?;
        if self.peer_of(host) != Some(failed) {
            let text = format!("ttRepStateSave: {failed} is not the other store of the pair");
            return Err(TtError::other(text));
        }
        if self.loaded(host).is_some_and(|loaded| loaded.state != RepState::Active) {
            return Err(TtError::other("ttRepStateSave: this store is not the ACTIVE"));
        }
        self.declare_peer_failed(host);
        Ok(())
    }

    pub(crate) fn declare_peer_failed(&mut self, host: &str) {
        if let Some(database) = self.database_mut(host) {
            database.peer = PeerState::Failed;
        }
        self.release_waiters(host);
        if let Some(generation) = self.containers.get(host).map(|container| container.generation) {
            let retention = self.options.failed_log_retention;
            self.after(retention, Due::DropLog { host: host.to_owned(), generation });
        }
    }

    /// Sets the stored state of the peer (`ttRepSubscriberStateSet`).
    pub(crate) fn set_peer(&mut self, host: &str, state: PeerState) -> TtResult {
        self.need_loaded(host)?;
        let Some(database) = self.database_mut(host) else { return Err(TtError::no_database()) };
        if database.scheme.is_none() {
            return Err(TtError::tt(8191, "This store is not involved in a replication scheme"));
        }
        if state == PeerState::Failed {
            self.declare_peer_failed(host);
        } else {
            database.peer = state;
        }
        Ok(())
    }
}
