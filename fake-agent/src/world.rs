//! The one state of a fleet and its clock. Everything that takes time is queued as a [`Due`] with
//! the moment it happens; whoever looks first brings the world up to now, so that what is seen
//! never depends on who looks when. A driver task does so at each due moment, for those who wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::events::{Event, Fact, Happening};
use crate::links::LinkTable;
use crate::model::container::{Contact, Container, Digest, Loaded, Memory};
use crate::model::database::{Database, Volume};
use crate::model::oracle::Oracle;
use crate::options::FleetOptions;
use crate::protocol::verbs::Order;
use crate::script::Rules;
use crate::view::{DatabaseState, RepState};

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Due {
    /// The agent listens.
    Listening { host: String, generation: u64 },
    /// A verb has taken its time.
    Finish(Box<Order>),
    /// A task has taken its time.
    TaskEnd { host: String, generation: u64, task: u64 },
    /// A commit reaches the standby.
    Arrive { host: String, stream: u64, lsn: u64 },
    /// The standby's word is back at the active.
    Acknowledge { host: String, stream: u64, lsn: u64 },
    /// The standby has worked off its backlog.
    CaughtUp { host: String, stream: u64 },
    /// Log reaches a subscriber.
    Fed { host: String, feed: u64 },
    /// The log is written to disk.
    Flush { host: String, generation: u64 },
    /// The log of a failed peer is given up.
    DropLog { host: String, generation: u64 },
    /// The container ends by itself.
    Exit { host: String, generation: u64, code: i32 },
}

/// All state of a fleet.
pub(crate) struct World {
    pub options: FleetOptions,
    pub now: Instant,
    pub volumes: BTreeMap<String, Volume>,
    pub containers: BTreeMap<String, Container>,
    pub links: LinkTable,
    pub oracle: Oracle,
    pub scripts: BTreeMap<String, Rules>,
    queue: BTreeMap<(Instant, u64), Due>,
    counter: u64,
    subscribers: Vec<mpsc::UnboundedSender<Event>>,
}

impl World {
    pub(crate) fn new(options: FleetOptions) -> Self {
        Self {
            options,
            now: Instant::now(),
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            links: LinkTable::default(),
            oracle: Oracle::default(),
            scripts: BTreeMap::new(),
            queue: BTreeMap::new(),
            counter: 0,
            subscribers: Vec::new(),
        }
    }

    /// A number never given before: generations, lineages, streams, activations.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(crate) fn after(&mut self, delay: Duration, due: Due) {
        let order = self.fresh();
        self.queue.insert((self.now + delay, order), due);
    }

    fn next_due(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets everything happen that is due by `now`, each at its own moment.
    fn settle(&mut self, now: Instant) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), due) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(due);
            self.reconcile();
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Listening { host, generation } => {
                if let Some(container) = self.incarnation(&host, generation) {
                    container.listening = true;
                    self.tell(&host, Happening::Listening);
                }
            }
            Due::Finish(order) => self.finish(*order),
            Due::TaskEnd { host, generation, task } => self.end_task(&host, generation, task),
            Due::Arrive { host, stream, lsn } => self.arrive(&host, stream, lsn),
            Due::Acknowledge { host, stream, lsn } => self.acknowledge(&host, stream, lsn),
            Due::CaughtUp { host, stream } => self.caught_up(&host, stream),
            Due::Fed { host, feed } => self.fed(&host, feed),
            Due::Flush { host, generation } => self.flush(&host, generation),
            Due::DropLog { host, generation } => self.drop_log(&host, generation),
            Due::Exit { host, generation, code } => {
                if self.incarnation(&host, generation).is_some() {
                    self.end(&host, code);
                }
            }
        }
    }

    /// After any change: replication notices, and changes are told.
    fn reconcile(&mut self) {
        self.replicate();
        self.feed();
        self.propagate();
        self.check_tasks();
        self.tell_changes();
    }

    pub(crate) fn incarnation(&mut self, host: &str, generation: u64) -> Option<&mut Container> {
        self.containers.get_mut(host).filter(|container| container.generation == generation)
    }

    pub(crate) fn volume_of(&self, host: &str) -> Option<&Volume> {
        self.volumes.get(&self.containers.get(host)?.spec.volume)
    }

    pub(crate) fn database(&self, host: &str) -> Option<&Database> {
        self.volume_of(host)?.database.as_ref()
    }

    pub(crate) fn database_mut(&mut self, host: &str) -> Option<&mut Database> {
        self.volumes.get_mut(&self.containers.get(host)?.spec.volume)?.database.as_mut()
    }

    pub(crate) fn loaded(&self, host: &str) -> Option<&Loaded> {
        self.containers.get(host)?.loaded()
    }

    pub(crate) fn loaded_mut(&mut self, host: &str) -> Option<&mut Loaded> {
        self.containers.get_mut(host)?.loaded_mut()
    }

    /// The database in memory together with its disk part.
    pub(crate) fn both_mut(&mut self, host: &str) -> Option<(&mut Loaded, &mut Database)> {
        let container = self.containers.get_mut(host)?;
        let volume = self.volumes.get_mut(&container.spec.volume)?;
        Some((container.loaded_mut()?, volume.database.as_mut()?))
    }

    pub(crate) fn subscribe(&mut self, sender: mpsc::UnboundedSender<Event>) {
        self.subscribers.push(sender);
    }

    pub(crate) fn tell(&mut self, host: &str, what: Happening) {
        if self.subscribers.is_empty() {
            return;
        }
        let event = Event { at: self.now, host: host.to_owned(), what };
        self.subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }

    /// A line for the output of container `tt`.
    pub(crate) fn agent_says(&self, host: &str, text: &str) {
        if let Some(container) = self.containers.get(host) {
            container.logs.agent_says((self.options.unix_time)(), text.to_owned());
        }
    }

    /// A line for the daemon log.
    pub(crate) fn daemon_says(&self, host: &str, text: &str) {
        if let Some(container) = self.containers.get(host) {
            container.logs.daemon_says((self.options.unix_time)(), container.pid, text);
        }
    }

    /// Applications can write to it.
    pub(crate) fn writable(&self, host: &str) -> bool {
        let (Some(loaded), Some(database)) = (self.loaded(host), self.database(host)) else {
            return false;
        };
        (loaded.open || loaded.users)
            && (database.scheme.is_none() || loaded.state == RepState::Active)
    }

    pub(crate) fn database_state(&self, host: &str) -> DatabaseState {
        let Some(container) = self.containers.get(host) else { return DatabaseState::None };
        let exists = self.database(host).is_some();
        match (&container.memory, exists) {
            (Memory::Loading, _) => DatabaseState::Loading,
            (Memory::In(_), true) => DatabaseState::Loaded,
            (Memory::Unloading, true) => DatabaseState::Unloading,
            (Memory::Transitioning, true) => DatabaseState::Transitioning,
            (Memory::Out, true) => DatabaseState::Unloaded,
            (Memory::Out | Memory::In(_) | Memory::Unloading | Memory::Transitioning, false) => {
                DatabaseState::None
            }
        }
    }

    pub(crate) fn digest(&self, host: &str) -> Option<Digest> {
        let container = self.containers.get(host)?;
        let loaded = container.loaded();
        let scheme = self.database(host).filter(|database| database.scheme.is_some());
        Some(Digest {
            daemon: container.daemon,
            database: self.database_state(host),
            open: loaded.is_some_and(|loaded| loaded.open),
            rep_agent: loaded.is_some_and(|loaded| loaded.rep_agent),
            cache_agent: loaded.is_some_and(|loaded| loaded.cache_agent),
            rep_state: loaded.map_or("-", |loaded| loaded.state.as_str()),
            peer: scheme.map_or("-", |database| database.peer.as_str()),
            contact: loaded.is_some_and(|loaded| loaded.contact == Contact::Now),
            writable: self.writable(host),
        })
    }

    fn tell_changes(&mut self) {
        let changed: Vec<(String, Digest, Digest)> = self
            .containers
            .iter()
            .filter_map(|(host, container)| {
                let now = self.digest(host)?;
                (now != container.seen).then(|| (host.clone(), container.seen, now))
            })
            .collect();
        for (host, old, new) in changed {
            if let Some(container) = self.containers.get_mut(&host) {
                container.seen = new;
            }
            for ((fact, from), (_, to)) in facts(old).into_iter().zip(facts(new)) {
                if from != to {
                    self.daemon_says(&host, &format!("{fact:?} was {from}, now {to}"));
                    self.tell(&host, Happening::Changed { fact, from, to });
                }
            }
        }
    }
}

fn facts(digest: Digest) -> [(Fact, &'static str); 9] {
    let pick = |yes: bool, words: [&'static str; 2]| if yes { words[0] } else { words[1] };
    [
        (Fact::Daemon, pick(digest.daemon, ["up", "down"])),
        (Fact::Database, digest.database.as_str()),
        (Fact::Open, pick(digest.open, ["open", "closed"])),
        (Fact::RepAgent, pick(digest.rep_agent, ["running", "stopped"])),
        (Fact::CacheAgent, pick(digest.cache_agent, ["running", "stopped"])),
        (Fact::RepState, digest.rep_state),
        (Fact::Peer, digest.peer),
        (Fact::Contact, pick(digest.contact, ["yes", "no"])),
        (Fact::Writable, pick(digest.writable, ["yes", "no"])),
    ]
}

/// The world behind a lock that is never held across an await.
pub(crate) struct Shared {
    world: Mutex<World>,
    wake: Arc<Notify>,
    driven: AtomicBool,
}

impl Shared {
    pub(crate) fn new(options: FleetOptions) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(World::new(options)),
            wake: Arc::new(Notify::new()),
            driven: AtomicBool::new(false),
        })
    }

    /// Brings the world up to now, changes it, and lets the consequences follow.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(Instant::now());
        let before = world.next_due();
        let result = change(&mut world);
        world.reconcile();
        let rearm = world.next_due() != before;
        drop(world);
        if rearm {
            self.wake.notify_one();
        }
        result
    }

    /// Starts the task that lets due things happen on time. Needs a tokio runtime; without one the
    /// world moves only when looked at.
    pub(crate) fn ensure_driver(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.driven.swap(true, Ordering::Relaxed) {
            runtime.spawn(drive(Arc::downgrade(self), Arc::clone(&self.wake)));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

async fn drive(shared: Weak<Shared>, wake: Arc<Notify>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let due = strong.with(|world| world.next_due());
        drop(strong);
        match due {
            None => wake.notified().await,
            Some(at) => tokio::select! {
                biased;
                () = wake.notified() => {}
                () = tokio::time::sleep_until(at) => {}
            },
        }
    }
}
