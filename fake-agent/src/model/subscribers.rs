//! Subscribers: read-only copies that the scheme names beside its pair. The standby feeds them; the
//! active does as long as it counts the standby as failed.
//!
//! As modelled: log is kept for them without limit. A copy that holds commits its feeder does not
//! have is never fed, and nothing says so; it has to be duplicated.

use std::time::Duration;

use super::container::{Contact, Feed};
use crate::view::{PeerState, RepState};
use crate::world::{Due, World};

impl World {
    /// Follows up any change: contact of subscribers with whoever feeds them, and log that they lack.
    pub(crate) fn feed(&mut self) {
        let subscribers: Vec<String> = self
            .containers
            .iter()
            .filter(|(_, container)| container.loaded().is_some())
            .filter(|(host, _)| self.database(host).is_some_and(|copy| copy.subscriber))
            .map(|(host, _)| host.clone())
            .collect();
        for host in subscribers {
            let feeder = self.feeder_of(&host);
            let now = self.now;
            let Some(loaded) = self.loaded_mut(&host) else { continue };
            match &feeder {
                Some(_) => loaded.contact = Contact::Now,
                None if loaded.contact == Contact::Now => loaded.contact = Contact::LostAt(now),
                None => {}
            }
            if let Some(feeder) = feeder {
                self.send_missed(&host, &feeder);
            }
        }
    }

    /// Who sends log to a subscriber now.
    fn feeder_of(&self, host: &str) -> Option<String> {
        let scheme = self.database(host)?.scheme.as_ref()?;
        let feeds = |from: &&String| self.may_feed(from, host) && self.talk(from, host);
        scheme.hosts.iter().find(feeds).cloned()
    }

    /// The role of `from` has it send log to the subscriber.
    pub(crate) fn may_feed(&self, from: &str, subscriber: &str) -> bool {
        let (Some(loaded), Some(database)) = (self.loaded(from), self.database(from)) else {
            return false;
        };
        let named = |scheme: &super::scheme::Scheme| {
            scheme.subscribers.iter().any(|known| known == subscriber)
        };
        database.scheme.as_ref().is_some_and(named)
            && match loaded.state {
                RepState::Standby => true,
                RepState::Active => database.peer == PeerState::Failed,
                RepState::Idle | RepState::Failed | RepState::Recovering => false,
            }
    }

    /// Sends what the subscriber lacks, all of it at once, unless some is on its way.
    fn send_missed(&mut self, host: &str, from: &str) {
        let (Some(source), Some(copy)) = (self.database(from), self.database(host)) else { return };
        let (backlog, lsn) = (source.backlog(copy), source.history.end());
        let under_way = self.loaded(host).is_none_or(|loaded| loaded.feed.is_some());
        if backlog == 0 || under_way || !source.can_feed(copy) {
            return;
        }
        let rate = self.options.durations.catch_up_per_second.max(1);
        let delay =
            self.latency(from, host) + Duration::from_secs_f64(backlog as f64 / rate as f64);
        let id = self.fresh();
        if let Some(loaded) = self.loaded_mut(host) {
            loaded.feed = Some(Feed { id, from: from.to_owned(), lsn });
        }
        self.after(delay, Due::Fed { host: host.to_owned(), feed: id });
    }

    /// Log has reached a subscriber, if it is fed by the same still.
    pub(crate) fn fed(&mut self, host: &str, id: u64) {
        let Some(loaded) = self.loaded_mut(host) else { return };
        let Some(feed) = loaded.feed.take_if(|feed| feed.id == id) else { return };
        if self.feeder_of(host).as_ref() != Some(&feed.from) {
            return;
        }
        let (Some(source), Some(copy)) = (self.database(&feed.from), self.database(host)) else {
            return;
        };
        if !source.can_feed(copy) || source.history.end() < feed.lsn {
            return;
        }
        let (mut history, ping) = (source.history.clone(), source.ping);
        history.truncate(feed.lsn);
        if let Some(copy) = self.database_mut(host)
            && copy.history.end() < feed.lsn
        {
            copy.history = history;
            copy.flushed = feed.lsn;
            copy.ping = copy.ping.max(ping);
        }
    }
}
