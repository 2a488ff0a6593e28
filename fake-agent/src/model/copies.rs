//! Copies of the database: duplicating, destroying, and which others hold what.

use super::container::{Contact, Loaded, Memory};
use super::{TtError, TtResult};
use crate::events::Happening;
use crate::view::{CopyReport, PeerState, RepState};
use crate::world::World;

impl World {
    /// `host` could duplicate from `source` right now.
    ///
    /// A standby is copied from the ACTIVE, a subscriber from whoever feeds it: the STANDBY, or an
    /// ACTIVE that counts the standby as failed.
    pub(crate) fn check_source(&self, host: &str, source: &str, subscriber: bool) -> TtResult {
        let unreachable =
            || TtError::tt(12_039, &format!("Could not connect to replication agent on {source}"));
        if source == host {
            return Err(TtError::other("ttRepAdmin -duplicate: the source is this very host"));
        }
        let loaded = self.loaded(source).ok_or_else(unreachable)?;
        if !loaded.rep_agent || !self.links.up(host, source) || !self.links.up(source, host) {
            return Err(unreachable());
        }
        if self.database(source).is_none_or(|database| database.scheme.is_none()) {
            return Err(TtError::tt(8191, "The source is not involved in a replication scheme"));
        }
        match (subscriber, loaded.state) {
            (false, RepState::Active) => Ok(()),
            (true, _) if self.may_feed(source, host) => Ok(()),
            (false, _) => Err(TtError::tt(
                8143,
                "The standby of an active standby pair must be duplicated from the ACTIVE",
            )),
            (true, _) => Err(TtError::tt(
                8144,
                "A subscriber of an active standby pair must be duplicated from the STANDBY",
            )),
        }
    }

    /// Before a duplicate begins.
    pub(crate) fn begin_duplicate(&self, host: &str, source: &str, subscriber: bool) -> TtResult {
        self.need_daemon(host)?;
        if self.database(host).is_some() {
            return Err(TtError::other(
                "ttRepAdmin -duplicate: the target data store exists already: destroy it first",
            ));
        }
        self.check_source(host, source, subscriber)
    }

    /// The copy is complete: loaded, open, no role yet; the source counts on its new peer.
    pub(crate) fn end_duplicate(&mut self, host: &str, source: &str, subscriber: bool) -> TtResult {
        self.begin_duplicate(host, source, subscriber)?;
        let Some(mut copy) = self.database(source).map(super::database::Database::duplicate) else {
            return Err(TtError::no_database());
        };
        copy.subscriber = subscriber;
        if subscriber {
            // `-noKeepCG`: their tables become ordinary ones.
            copy.cache_groups.clear();
        }
        let cache = copy.cache_user_set && !copy.cache_groups.is_empty();
        if cache {
            self.oracle.made.insert(host.to_owned());
        }
        let Some(container) = self.containers.get_mut(host) else { return Ok(()) };
        if let Some(volume) = self.volumes.get_mut(&container.spec.volume) {
            volume.database = Some(copy);
            let mut loaded = Loaded::new(true);
            loaded.cache_agent = cache;
            container.memory = Memory::In(loaded);
        }
        if !subscriber && let Some((loaded, database)) = self.both_mut(source) {
            database.peer = PeerState::Start;
            database.log_dropped = false;
            loaded.contact = Contact::Never;
        }
        Ok(())
    }

    /// Removes the database of a host, if there is one.
    pub(crate) fn destroy(&mut self, host: &str) {
        let Some(volume) = self.containers.get(host).map(|c| c.spec.volume.clone()) else { return };
        self.tell_destroyed(host, &volume);
        if let Some(volume) = self.volumes.get_mut(&volume) {
            volume.database = None;
        }
        self.set_memory(host, Memory::Out);
    }

    /// Removes a volume, whoever uses it.
    pub(crate) fn lose_volume(&mut self, id: &str) {
        let host = self.host_of(id).unwrap_or_default();
        self.tell_destroyed(&host, id);
        self.volumes.remove(id);
        if !host.is_empty() {
            self.end(&host, 137);
        }
    }

    fn tell_destroyed(&mut self, host: &str, volume: &str) {
        let Some(copy) = self.report(volume, volume) else { return };
        let others = self
            .volumes
            .keys()
            .filter(|other| other.as_str() != volume)
            .filter_map(|other| self.report(other, volume))
            .collect();
        self.tell(host, Happening::Destroyed { copy, others });
    }

    fn host_of(&self, volume: &str) -> Option<String> {
        let found = self.containers.iter().find(|(_, container)| container.spec.volume == volume);
        found.map(|(host, _)| host.clone())
    }

    /// What is on `volume`, compared with the copy on `against`.
    pub(crate) fn report(&self, volume: &str, against: &str) -> Option<CopyReport> {
        let database = self.volumes.get(volume)?.database.as_ref()?;
        let measure = self.volumes.get(against)?.database.as_ref()?;
        let host = self.host_of(volume);
        let loaded = host.as_deref().and_then(|host| self.loaded(host));
        Some(CopyReport {
            volume: volume.to_owned(),
            position: database.history.end(),
            rep_state: loaded.map(|loaded| loaded.state),
            complete: measure.history.is_prefix_of(&database.history),
            source: database.scheme.is_some()
                && loaded.is_some_and(|l| l.rep_agent && l.state == RepState::Active),
            subscriber: database.subscriber,
            host,
        })
    }
}
