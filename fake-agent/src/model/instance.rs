//! A container and its instance: start and end, the daemon, and the database between disk and
//! memory.

use std::collections::BTreeSet;

use tokio::sync::watch;

use super::container::{Container, Digest, Loaded, Memory};
use super::database::Database;
use super::{TtError, TtResult};
use crate::events::Happening;
use crate::logs::Logs;
use crate::options::ContainerSpec;
use crate::view::DatabaseState;
use crate::world::{Due, World};

impl World {
    /// Starts a container; one that runs under the same host name is killed first.
    pub(crate) fn start(&mut self, spec: ContainerSpec) -> (u64, watch::Receiver<Option<i32>>) {
        let host = spec.host.clone();
        self.end(&host, 137);
        let generation = self.fresh();
        let pid = 80 + self.options.seed.wrapping_mul(31).wrapping_add(generation) % 900;
        let volume = self.volumes.entry(spec.volume.clone()).or_default();
        volume.upgrade_to(&spec.release);
        let (exit, watcher) = watch::channel(None);
        let unloaded = volume.database.is_some();
        let seen = Digest {
            daemon: false,
            database: if unloaded { DatabaseState::Unloaded } else { DatabaseState::None },
            open: false,
            rep_agent: false,
            cache_agent: false,
            rep_state: "-",
            peer: "-",
            contact: false,
            writable: false,
        };
        let identity = spec.credentials.as_ref().map(crate::serve::server_config);
        let (tls, trouble) = match identity {
            Some(Ok(config)) => (Some(config), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, None),
        };
        let container = Container {
            spec,
            tls,
            generation,
            listening: false,
            daemon: false,
            memory: Memory::Out,
            markers: BTreeSet::new(),
            task: None,
            quiescing: false,
            flush_pending: false,
            pid,
            exit,
            logs: Logs::default(),
            seen,
        };
        self.containers.insert(host.clone(), container);
        self.agent_says(&host, trouble.as_deref().unwrap_or("Container started"));
        self.tell(&host, Happening::Started);
        let delay = self.options.durations.agent_start;
        self.after(delay, Due::Listening { host, generation });
        (generation, watcher)
    }

    /// Ends a container: memory is lost, what was flushed stays.
    pub(crate) fn end(&mut self, host: &str, code: i32) {
        if !self.containers.contains_key(host) {
            return;
        }
        self.lose_memory(host);
        self.agent_says(host, &format!("Container ends with exit code {code}"));
        if let Some(container) = self.containers.remove(host) {
            container.exit.send_replace(Some(code));
            self.tell(host, Happening::Ended { code });
        }
    }

    /// SIGTERM: the database is saved, then the container ends.
    pub(crate) fn terminate(&mut self, host: &str) {
        let Some(container) = self.containers.get(host) else { return };
        let generation = container.generation;
        let _ = self.stop_daemon(host);
        let delay = self.options.durations.terminate;
        self.after(delay, Due::Exit { host: host.to_owned(), generation, code: 0 });
    }

    pub(crate) fn need_daemon(&self, host: &str) -> TtResult {
        match self.containers.get(host) {
            Some(container) if container.daemon => Ok(()),
            _ => Err(TtError::no_daemon()),
        }
    }

    pub(crate) fn need_loaded(&self, host: &str) -> TtResult {
        self.need_daemon(host)?;
        match self.database_state(host) {
            DatabaseState::Loaded => Ok(()),
            DatabaseState::None => Err(TtError::no_database()),
            DatabaseState::Loading | DatabaseState::Unloading | DatabaseState::Transitioning => {
                Err(TtError::tt(9996, "Process recovery in progress; try again"))
            }
            DatabaseState::Unloaded => Err(TtError::unloaded()),
        }
    }

    pub(crate) fn start_daemon(&mut self, host: &str) {
        if let Some(container) = self.containers.get_mut(host) {
            container.daemon = true;
        }
    }

    pub(crate) fn stop_daemon(&mut self, host: &str) -> TtResult {
        self.save_to_disk(host);
        if let Some(container) = self.containers.get_mut(host) {
            container.memory = Memory::Out;
            container.daemon = false;
        }
        Ok(())
    }

    /// The daemon is killed: every process of the database goes with it.
    pub(crate) fn kill_daemon(&mut self, host: &str) -> bool {
        self.lose_memory(host);
        match self.containers.get_mut(host) {
            Some(container) => std::mem::replace(&mut container.daemon, false),
            None => false,
        }
    }

    /// Memory is gone without having been saved: the log beyond the last flush is lost.
    fn lose_memory(&mut self, host: &str) {
        let fork = self.fresh();
        let Some(container) = self.containers.get_mut(host) else { return };
        let was = std::mem::replace(&mut container.memory, Memory::Out);
        container.flush_pending = false;
        if !matches!(was, Memory::In(_)) {
            return;
        }
        if let Some(database) = self.database_mut(host)
            && database.flushed < database.history.end()
        {
            database.history.truncate(database.flushed);
            database.history.fork(fork);
        }
    }

    pub(crate) fn save_to_disk(&mut self, host: &str) {
        if self.loaded(host).is_some() {
            self.force_log(host);
        }
    }

    /// Before `loadDb` begins its work: the database must be there and not in memory.
    pub(crate) fn begin_load(&mut self, host: &str) -> TtResult {
        self.need_daemon(host)?;
        match self.database_state(host) {
            DatabaseState::None => Err(TtError::no_database()),
            DatabaseState::Unloaded => {
                self.set_memory(host, Memory::Loading);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `loadDb` ends: in memory, closed, without a role.
    pub(crate) fn end_load(&mut self, host: &str) -> TtResult {
        self.need_daemon(host)?;
        if self.database(host).is_none() {
            self.set_memory(host, Memory::Out);
            return Err(TtError::no_database());
        }
        if self.loaded(host).is_none() {
            self.set_memory(host, Memory::In(Loaded::new(false)));
        }
        Ok(())
    }

    pub(crate) fn set_memory(&mut self, host: &str, memory: Memory) {
        if let Some(container) = self.containers.get_mut(host) {
            container.memory = memory;
        }
    }

    /// Begins to write the database back: its agents stop, nobody can use it.
    pub(crate) fn begin_unload(&mut self, host: &str) {
        if self.loaded(host).is_some() {
            self.save_to_disk(host);
            self.set_memory(host, Memory::Unloading);
        }
    }

    /// Writes the database back and takes it out of memory.
    pub(crate) fn unload(&mut self, host: &str) {
        self.save_to_disk(host);
        self.set_memory(host, Memory::Out);
    }

    pub(crate) fn set_open(&mut self, host: &str, open: bool) -> TtResult {
        self.need_loaded(host)?;
        if let Some(loaded) = self.loaded_mut(host) {
            loaded.open = open;
        }
        Ok(())
    }

    /// Makes an empty database, loaded and closed.
    pub(crate) fn create_database(&mut self, host: &str, name: &str, perm_size: u64) -> TtResult {
        self.need_daemon(host)?;
        if self.database(host).is_some() {
            return Err(TtError::other("The database exists already: destroy it first"));
        }
        let lineage = self.fresh();
        let Some(container) = self.containers.get_mut(host) else { return Ok(()) };
        if let Some(volume) = self.volumes.get_mut(&container.spec.volume) {
            volume.database = Some(Database::new(name, lineage, perm_size));
            container.memory = Memory::In(Loaded::new(false));
        }
        Ok(())
    }

    pub(crate) fn set_cache_agent(&mut self, host: &str, run: bool) -> TtResult {
        self.need_loaded(host)?;
        let Some((loaded, database)) = self.both_mut(host) else { return Ok(()) };
        if run && !database.cache_user_set {
            return Err(TtError::tt(5031, "Cache administrator user and password are not set"));
        }
        loaded.cache_agent = run;
        Ok(())
    }

    pub(crate) fn mark(&mut self, host: &str, path: &str, present: bool) {
        let Some(container) = self.containers.get_mut(host) else { return };
        let changed = if present {
            container.markers.insert(path.to_owned())
        } else {
            container.markers.remove(path)
        };
        if changed {
            self.tell(host, Happening::Marker { path: path.to_owned(), present });
        }
    }
}
