//! The handles on a world: the fleet, and each running container. Everything here is a thin door
//! to the model.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::events::{Events, Happening};
use crate::links::Links;
use crate::logs::Logs;
use crate::model::container::{Contact, Memory};
use crate::options::{ContainerSpec, FleetOptions};
use crate::protocol::tasks::Task;
use crate::protocol::{Agent, Outcome};
use crate::script::Script;
use crate::view::{CommitId, CopyReport, PeerState, RepState, View};
use crate::world::{Shared, World};

/// A world of TimesTen instances: volumes, containers, links. Cloning gives another handle.
#[derive(Clone)]
pub struct Fleet {
    pub(crate) shared: Arc<Shared>,
    links: Links,
}

impl Fleet {
    /// An empty world. Make it inside the tokio runtime it lives in: its time begins now.
    #[must_use]
    pub fn new(options: FleetOptions) -> Self {
        let shared = Shared::new(options);
        Self { links: Links { shared: Arc::clone(&shared) }, shared }
    }

    /// Starts a `tt` container. One that runs under the same host name is killed.
    #[must_use = "dropping it kills the container"]
    pub fn start(&self, container: ContainerSpec) -> Running {
        self.shared.ensure_driver();
        let host = container.host.clone();
        let (generation, exit, logs) = self.shared.with(|world| {
            let (generation, exit) = world.start(container);
            let logs = world.containers.get(&host).map(|container| container.logs.clone());
            (generation, exit, logs.unwrap_or_default())
        });
        Running { agent: Agent { shared: Arc::clone(&self.shared), host, generation, exit }, logs }
    }

    /// The network between replication agents.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The misbehaviour of a host's agent; may be set before the container exists.
    #[must_use]
    pub fn script(&self, host: &str) -> Script {
        Script { shared: Arc::clone(&self.shared), host: host.to_owned() }
    }

    /// All agents behave again.
    pub fn behave(&self) {
        self.shared.with(|world| world.scripts.clear());
    }

    /// The Oracle database behind cache groups can be reached by nobody, or by all again.
    pub fn set_oracle(&self, up: bool) {
        self.shared.with(|world| world.oracle.down = !up);
    }

    /// The hosts whose cache groups have left objects in the Oracle database.
    #[must_use]
    pub fn left_in_oracle(&self) -> Vec<String> {
        self.shared.with(|world| world.oracle.made.iter().cloned().collect())
    }

    /// Stops the cache agent. False if the database is not loaded.
    #[must_use = "false means there was nothing to stop"]
    pub fn stop_cache_agent(&self, host: &str) -> bool {
        self.fault(host, "stop-cache-agent", |world| world.set_cache_agent(host, false).is_ok())
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.shared.with(|world| world.subscribe(sender));
        Events { receiver }
    }

    /// Kills the daemon: the database leaves memory. False if it was down.
    #[must_use = "false means there was nothing to kill"]
    pub fn kill_daemon(&self, host: &str) -> bool {
        self.fault(host, "kill-daemon", |world| world.kill_daemon(host))
    }

    /// Throws a volume away, database and instance with it; the container that has it dies.
    pub fn lose_volume(&self, id: &str) {
        self.shared.with(|world| world.lose_volume(id));
    }

    /// Deletes the database files of a host under its feet.
    pub fn wipe_database(&self, host: &str) {
        self.fault(host, "wipe-database", |world| world.destroy(host));
    }

    /// Closes the database to user connections, as a human would. False if it is not loaded.
    #[must_use = "false means there was nothing to close"]
    pub fn close_database(&self, host: &str) -> bool {
        self.fault(host, "close-database", |world| world.set_open(host, false).is_ok())
    }

    /// Takes the database out of memory, as a human would.
    pub fn unload_database(&self, host: &str) {
        self.fault(host, "unload-database", |world| world.unload(host));
    }

    /// Stops the replication agent. False if the database is not loaded.
    #[must_use = "false means there was nothing to stop"]
    pub fn stop_rep_agent(&self, host: &str) -> bool {
        self.fault(host, "stop-rep-agent", |world| world.set_rep_agent(host, false).is_ok())
    }

    /// Stops the replication agent and drops the scheme, as a human would who chose this database to
    /// be the only one. False if it is not loaded.
    #[must_use = "false means there was nothing to drop"]
    pub fn drop_scheme(&self, host: &str) -> bool {
        self.fault(host, "drop-scheme", |world| world.drop_scheme(host).is_ok())
    }

    /// Invalidates the database. With `held`, a process keeps the old memory: it reads
    /// Transitioning until [`Fleet::release`].
    pub fn invalidate(&self, host: &str, held: bool) {
        self.fault(host, "invalidate", |world| {
            if world.loaded(host).is_some() {
                world.invalidate(host, "a fault");
                if held {
                    world.set_memory(host, Memory::Transitioning);
                }
            }
        });
    }

    /// The process that held invalid memory lets go.
    pub fn release(&self, host: &str) {
        self.fault(host, "release", |world| {
            if matches!(world.containers.get(host).map(|c| &c.memory), Some(Memory::Transitioning))
            {
                world.set_memory(host, Memory::Out);
            }
        });
    }

    /// Sets the stored state of the peer as `host` has it. False if it has no scheme.
    #[must_use = "false means there was no scheme"]
    pub fn set_peer(&self, host: &str, state: PeerState) -> bool {
        self.fault(host, "set-peer", |world| world.set_peer(host, state).is_ok())
    }

    /// Forces a replication state that no verb leads to. False if the database is not loaded.
    #[must_use = "false means there was no database to change"]
    pub fn set_rep_state(&self, host: &str, state: RepState) -> bool {
        self.fault(host, "set-rep-state", |world| {
            world.set_state(host, state);
            world.loaded(host).is_some()
        })
    }

    /// The next in-place upgrade of the instance on a volume fails, and leaves its marker there.
    pub fn fail_upgrade(&self, volume: &str) {
        self.shared.with(|world| {
            world.volumes.entry(volume.to_owned()).or_default().resists_upgrade = true;
        });
    }

    fn fault<T>(&self, host: &str, what: &str, act: impl FnOnce(&mut World) -> T) -> T {
        self.shared.with(|world| {
            world.tell(host, Happening::Fault(what.to_owned()));
            act(world)
        })
    }

    /// The truth about a host; `None` if no container runs there.
    #[must_use]
    pub fn view(&self, host: &str) -> Option<View> {
        self.shared.with(|world| view(world, host))
    }

    /// The hosts with a running container, in order.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        self.shared.with(|world| world.containers.keys().cloned().collect())
    }

    /// Applications can write to the database of this host.
    #[must_use]
    pub fn writable(&self, host: &str) -> bool {
        self.shared.with(|world| world.writable(host))
    }

    /// The copy on the volume of `host` holds this commit.
    #[must_use]
    pub fn holds(&self, host: &str, commit: CommitId) -> bool {
        self.shared
            .with(|world| world.database(host).is_some_and(|copy| copy.history.holds(commit)))
    }

    /// The copy of `host` holds everything that the copy of `other` holds.
    #[must_use]
    pub fn complete(&self, host: &str, other: &str) -> bool {
        self.shared.with(|world| {
            let both = world.database(host).zip(world.database(other));
            both.is_some_and(|(mine, theirs)| theirs.history.is_prefix_of(&mine.history))
        })
    }

    /// The copy on this volume holds this commit, whether a container runs or not.
    #[must_use]
    pub fn volume_holds(&self, volume: &str, commit: CommitId) -> bool {
        self.shared.with(|world| {
            let database = world.volumes.get(volume).and_then(|volume| volume.database.as_ref());
            database.is_some_and(|copy| copy.history.holds(commit))
        })
    }

    /// A copy on some volume holds this commit.
    #[must_use]
    pub fn kept(&self, commit: CommitId) -> bool {
        self.shared.with(|world| {
            let mut databases = world.volumes.values().filter_map(|v| v.database.as_ref());
            databases.any(|copy| copy.history.holds(commit))
        })
    }

    /// The copies on other volumes that hold everything the copy on `volume` holds.
    #[must_use]
    pub fn good_copies(&self, volume: &str) -> Vec<CopyReport> {
        self.shared.with(|world| {
            let others = world.volumes.keys().filter(|other| other.as_str() != volume);
            let reports = others.filter_map(|other| world.report(other, volume));
            reports.filter(|copy| copy.complete).collect()
        })
    }
}

fn view(world: &World, host: &str) -> Option<View> {
    let container = world.containers.get(host)?;
    let loaded = container.loaded();
    let database = world.database(host);
    let scheme = database.is_some_and(|database| database.scheme.is_some());
    Some(View {
        host: host.to_owned(),
        volume: container.spec.volume.clone(),
        listening: container.listening,
        daemon: container.daemon,
        database: world.database_state(host),
        open: loaded.is_some_and(|loaded| loaded.open),
        rep_agent: loaded.is_some_and(|loaded| loaded.rep_agent),
        cache_agent: loaded.is_some_and(|loaded| loaded.cache_agent),
        rep_state: loaded.map(|loaded| loaded.state),
        peer: database.filter(|_| scheme).map(|database| database.peer),
        subscriber: database.is_some_and(|database| database.subscriber),
        contact: loaded.is_some_and(|loaded| loaded.contact == Contact::Now),
        scheme,
        writable: world.writable(host),
        position: database.map_or(0, |database| database.history.end()),
        activation: database.map_or(0, |database| database.activation),
        cache_groups: database.map_or(0, |database| database.cache_groups.len()),
        markers: container.markers.clone(),
        task: container
            .task
            .as_ref()
            .filter(|task| Task::running(task))
            .map(|task| task.verb.name().to_owned()),
    })
}

/// A running container. Dropping it is SIGKILL: memory is lost, the volume stays.
pub struct Running {
    agent: Agent,
    logs: Logs,
}

impl Running {
    /// The pod's FQDN.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.agent.host
    }

    /// Answers one request without a connection. The body of a POST is a form.
    pub fn handle(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Outcome> + Send + use<> + 'static {
        let agent = self.agent.clone();
        async move { agent.handle(&request).await }
    }

    /// Serves one connection until it closes or the container ends: TLS with the identity of the
    /// Secret, the client's certificate demanded and compared, HTTP/1.1 with keep-alive.
    pub fn serve<IO>(&self, io: IO) -> impl Future<Output = ()> + Send + use<IO> + 'static
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        crate::serve::serve(self.agent.clone(), io)
    }

    /// The agent takes connections: it has started, and no script refuses.
    #[must_use]
    pub fn listening(&self) -> bool {
        self.agent.listening()
    }

    /// The container runs.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.agent.exit.borrow().is_none()
    }

    /// Waits until the container ends; its exit code (137 when killed).
    pub fn ended(&self) -> impl Future<Output = i32> + Send + use<> + 'static {
        let agent = self.agent.clone();
        async move { agent.ended().await }
    }

    /// SIGTERM: the database is saved and the container ends shortly after.
    pub fn stop(&self) {
        self.mine(|world, host| world.terminate(host));
    }

    /// This file exists in the container. Only `/tmp/active` and `/tmp/readiness` ever do.
    #[must_use]
    pub fn marker(&self, path: &str) -> bool {
        self.mine(|world, host| {
            world.containers.get(host).is_some_and(|container| container.markers.contains(path))
        })
        .unwrap_or(false)
    }

    /// Runs a command in the container: exit code and output. Knows `cat` and `test -f` of marker
    /// files, the preStop quiesce script, and `sh -c` of these.
    #[must_use]
    pub fn exec(&self, command: &[String]) -> (i32, String) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let inner: Vec<&str> = match words.as_slice() {
            ["/bin/sh" | "sh" | "/bin/bash" | "bash", "-c", script] => {
                script.split_whitespace().collect()
            }
            plain => plain.to_vec(),
        };
        if !self.alive() {
            return (126, "container is not running".to_owned());
        }
        match inner.as_slice() {
            ["cat" | "/bin/cat", path] => match self.marker(path) {
                true => (0, String::new()),
                false => (1, format!("cat: {path}: No such file or directory")),
            },
            ["test", "-f" | "-e", path] => (i32::from(!self.marker(path)), String::new()),
            [.., script, "-quiesce"] if script.ends_with("starthost.pl") => {
                self.mine(|world, host| {
                    world.unload(host);
                    if let Some(container) = world.containers.get_mut(host) {
                        container.quiescing = true;
                    }
                });
                (0, String::new())
            }
            [name, ..] => (127, format!("{name}: not found")),
            [] => (0, String::new()),
        }
    }

    /// What it writes. The handle outlives the container.
    #[must_use]
    pub fn logs(&self) -> Logs {
        self.logs.clone()
    }

    /// Acts on this incarnation only.
    fn mine<T>(&self, act: impl FnOnce(&mut World, &str) -> T) -> Option<T> {
        self.agent.shared.with(|world| {
            world.incarnation(&self.agent.host, self.agent.generation)?;
            Some(act(world, &self.agent.host))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.mine(|world, host| world.end(host, 137));
    }
}
