//! Replication between the two hosts of a pair: contact, hand-shake, catching up, and the stream
//! of commits from the active to the standby.
//!
//! As modelled: contact needs both replication agents and both directions of the link. A standby
//! whose commits are a prefix of the active's catches up by log; one that holds commits of its own
//! ("trapped") stays IDLE; one that was declared failed is FAILED until the active's view of it is
//! set to start again while the log is still there, or it is duplicated. When two actives meet,
//! the one activated later stays.

use std::time::Duration;

use super::container::{Contact, Memory, Stream};
use crate::events::Happening;
use crate::view::{PeerState, RepState};
use crate::world::{Due, World};

/// Bytes of a log file.
pub(crate) const LOG_FILE_BYTES: u64 = 64 * 1024 * 1024;

impl World {
    /// Follows up any change: contact gained or lost, states that have to move.
    pub(crate) fn replicate(&mut self) {
        let pairs: Vec<(String, String)> = self
            .containers
            .iter()
            .filter(|(_, container)| container.loaded().is_some())
            .filter_map(|(host, _)| Some((host.clone(), self.peer_of(host)?.to_owned())))
            .collect();
        for (host, peer) in pairs {
            self.note_contact(&host, &peer);
        }
    }

    fn note_contact(&mut self, host: &str, peer: &str) {
        let touching = self.in_contact(host, peer);
        let now = self.now;
        let Some(loaded) = self.loaded_mut(host) else { return };
        match (touching, loaded.contact) {
            (true, _) => {
                loaded.contact = Contact::Now;
                self.relate(host, peer);
            }
            (false, Contact::Now) => {
                loaded.contact = Contact::LostAt(now);
                loaded.stream = None;
            }
            (false, Contact::Never | Contact::LostAt(_)) => {}
        }
    }

    pub(crate) fn peer_of(&self, host: &str) -> Option<&str> {
        self.database(host)?.scheme.as_ref()?.peer_of(host)
    }

    fn in_contact(&self, host: &str, peer: &str) -> bool {
        self.peer_of(peer) == Some(host) && self.talk(host, peer)
    }

    /// The replication agents of two hosts run and reach each other.
    pub(crate) fn talk(&self, one: &str, other: &str) -> bool {
        let runs = |host: &str| self.loaded(host).is_some_and(|loaded| loaded.rep_agent);
        runs(one) && runs(other) && self.links.up(one, other) && self.links.up(other, one)
    }

    /// What `host` does about a peer it talks to. Only an active does something.
    fn relate(&mut self, host: &str, peer: &str) {
        let (Some(mine), Some(theirs)) = (self.loaded(host), self.loaded(peer)) else { return };
        if mine.state != RepState::Active {
            return;
        }
        let their_state = theirs.state;
        let flowing = mine.stream.is_some();
        if their_state == RepState::Active {
            self.meet_other_active(host, peer);
            return;
        }
        let (Some(source), Some(copy)) = (self.database(host), self.database(peer)) else { return };
        let feeds = source.can_feed(copy);
        let backlog = source.backlog(copy);
        let told = source.peer;
        let log_dropped = source.log_dropped && backlog > 0;
        if told == PeerState::Failed || log_dropped {
            self.set_state(peer, RepState::Failed);
            self.stop_stream(host);
        } else if told != PeerState::Start {
            self.stop_stream(host);
        } else if !feeds {
            self.set_state(peer, RepState::Idle);
            self.stop_stream(host);
        } else if !flowing {
            self.start_stream(host, peer, backlog);
        }
    }

    fn stop_stream(&mut self, host: &str) {
        if let Some(loaded) = self.loaded_mut(host) {
            loaded.stream = None;
        }
    }

    fn start_stream(&mut self, host: &str, peer: &str, backlog: u64) {
        let id = self.fresh();
        let durations = &self.options.durations;
        let catching_up =
            Duration::from_secs_f64(backlog as f64 / durations.catch_up_per_second.max(1) as f64);
        let settling = match self.loaded(peer).map(|loaded| loaded.state) {
            Some(RepState::Standby) => Duration::ZERO,
            _ => durations.to_standby,
        };
        let latency = self.latency(host, peer);
        if backlog > 0 && self.loaded(peer).is_some_and(|peer| peer.state != RepState::Standby) {
            self.set_state(peer, RepState::Recovering);
        }
        if let Some(loaded) = self.loaded_mut(host) {
            loaded.stream = Some(Stream { id, peer: peer.to_owned(), caught_up: false });
        }
        let due = Due::CaughtUp { host: host.to_owned(), stream: id };
        self.after(latency + settling + catching_up, due);
    }

    pub(crate) fn latency(&self, from: &str, to: &str) -> Duration {
        self.links.latency(from, to, self.options.latency)
    }

    fn meet_other_active(&mut self, host: &str, peer: &str) {
        let activation = |host: &str| self.database(host).map_or(0, |database| database.activation);
        let (winner, loser) =
            if activation(host) > activation(peer) { (host, peer) } else { (peer, host) };
        let (winner, loser) = (winner.to_owned(), loser.to_owned());
        self.invalidate(&loser, &winner);
    }

    /// Throws the database of `loser` out of memory; it stays on disk.
    pub(crate) fn invalidate(&mut self, loser: &str, by: &str) {
        if self.loaded(loser).is_none() {
            return;
        }
        self.save_to_disk(loser);
        if let Some(container) = self.containers.get_mut(loser) {
            container.memory = Memory::Out;
        }
        self.daemon_says(loser, &format!("Database invalidated: {by} was activated later"));
        self.tell(loser, Happening::Invalidated { by: by.to_owned() });
    }

    /// Changes the replication state of a loaded database. IDLE and FAILED do not overwrite the
    /// role on disk: what it once was decides what it may become.
    pub(crate) fn set_state(&mut self, host: &str, state: RepState) {
        let Some((loaded, database)) = self.both_mut(host) else { return };
        loaded.state = state;
        match state {
            RepState::Active | RepState::Standby | RepState::Recovering => database.role = state,
            RepState::Idle | RepState::Failed => {}
        }
        if state != RepState::Active {
            loaded.waiters.clear();
            loaded.stream = None;
        }
    }

    fn stream_peer(&self, host: &str, stream: u64) -> Option<String> {
        let running = self.loaded(host)?.stream.as_ref()?;
        (running.id == stream).then(|| running.peer.clone())
    }

    /// The standby has everything the active had committed.
    pub(crate) fn caught_up(&mut self, host: &str, stream: u64) {
        let Some(peer) = self.stream_peer(host, stream) else { return };
        let (Some(source), Some(copy)) = (self.database(host), self.database(&peer)) else {
            return;
        };
        let mut history = source.history.clone();
        history.extend_to(copy.history.end());
        let (ping, end) = (source.ping, history.end());
        if let Some(database) = self.database_mut(&peer) {
            database.history = history;
            database.flushed = end;
            database.ping = database.ping.max(ping);
        }
        if let Some((loaded, database)) = self.both_mut(host) {
            database.history.extend_to(end);
            database.flushed = database.flushed.max(end);
            database.log_dropped = false;
            if let Some(stream) = &mut loaded.stream {
                stream.caught_up = true;
            }
        }
        self.set_state(&peer, RepState::Standby);
        self.acknowledge(host, stream, end);
        self.resend_waiting(host, stream, end);
    }

    /// Twosafe commits begun while the standby was away travel now.
    fn resend_waiting(&mut self, host: &str, stream: u64, end: u64) {
        let waiting: Vec<u64> = self.loaded(host).map_or_else(Vec::new, |loaded| {
            loaded.waiters.iter().map(|waiter| waiter.id.lsn).filter(|lsn| *lsn > end).collect()
        });
        for lsn in waiting {
            self.send(host, stream, lsn);
        }
    }

    /// Sends one commit to the standby.
    pub(crate) fn send(&mut self, host: &str, stream: u64, lsn: u64) {
        let Some(peer) = self.stream_peer(host, stream) else { return };
        let delay = self.latency(host, &peer);
        self.after(delay, Due::Arrive { host: host.to_owned(), stream, lsn });
    }

    pub(crate) fn arrive(&mut self, host: &str, stream: u64, lsn: u64) {
        let Some(peer) = self.stream_peer(host, stream) else { return };
        let Some(source) = self.database(host) else { return };
        let mut history = source.history.clone();
        history.truncate(lsn);
        history.extend_to(lsn);
        if let Some(database) = self.database_mut(&peer)
            && database.history.end() < lsn
        {
            database.history = history;
            database.flushed = lsn;
        }
        let back = self.latency(&peer, host);
        self.after(back, Due::Acknowledge { host: host.to_owned(), stream, lsn });
    }

    /// The peer's backlog is limited by the scheme's fail threshold.
    pub(crate) fn check_threshold(&mut self, host: &str) {
        let Some(peer) = self.peer_of(host) else { return };
        let held = self.volume_backlog(host, peer).saturating_mul(self.options.commit_bytes);
        let Some(database) = self.database_mut(host) else { return };
        let limit = database.scheme.as_ref().map_or(0, |scheme| scheme.fail_threshold);
        if limit > 0 && held / LOG_FILE_BYTES > limit && database.peer == PeerState::Start {
            self.declare_peer_failed(host);
        }
    }

    /// Commits the peer lacks, however it is; what a dead peer had last is on its volume.
    fn volume_backlog(&self, host: &str, peer: &str) -> u64 {
        match (self.database(host), self.database(peer)) {
            (Some(mine), Some(theirs)) => mine.backlog(theirs),
            (Some(mine), None) => mine.history.end(),
            (None, _) => 0,
        }
    }

    /// Commits not yet at the peer, as the active can tell.
    pub(crate) fn behind(&self, host: &str) -> u64 {
        self.peer_of(host).map_or(0, |peer| self.volume_backlog(host, peer))
    }

    /// The log kept for a failed peer is given up, if it is failed still.
    pub(crate) fn drop_log(&mut self, host: &str, generation: u64) {
        if self.incarnation(host, generation).is_none() {
            return;
        }
        if let Some(database) = self.database_mut(host)
            && database.peer == PeerState::Failed
        {
            database.log_dropped = true;
        }
    }
}
