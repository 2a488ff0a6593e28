//! What a status reply proves. Total: whatever is not confirmed by this reply is unknown.

use std::sync::Arc;

use super::wire::{CacheGroup, CgroupInfo, DbInfo, StatusReply};
use super::{Daemon, Db, Instance, PeerState, RepScheme, RepState, RunState};
use crate::credentials::Identity;

/// The agent says that its reply means nothing.
const NOT_MEANINGFUL: i64 = 999;
/// TimesTen cannot be connected to now: recovery is in progress.
const IN_RECOVERY: i64 = 9996;
/// TimesTen: there is no such database.
const NO_DATABASE: i64 = 833;
/// TimesTen: the database was unloaded by hand.
const UNLOADED: i64 = 707;
/// The daemon's note on a database it should have loaded and could not.
const FAILED_TO_LOAD: &str = "Data store should be manually loaded but inactive due to failures";
/// What a cgroup without limit reports.
const NO_LIMIT: i64 = 0x7FFF_FFFF_FFFF_F000;

/// The meaning of one status reply. The default is to know nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The agent could look. If not, nothing below is known.
    pub meaningful: bool,
    /// The instance directory.
    pub instance: Instance,
    /// The main daemon.
    pub daemon: Daemon,
    /// The database.
    pub db: Db,
    /// The replication scheme.
    pub rep_scheme: RepScheme,
    /// The replication agent.
    pub rep_agent: RunState,
    /// The cache agent.
    pub cache_agent: RunState,
    /// What the database is in its pair.
    pub rep_state: RepState,
    /// How it sees its peer.
    pub peer_state: PeerState,
    /// Why it could not tell how it sees its peer.
    pub peer_state_error: Option<String>,
    /// Open for users.
    pub open: Option<bool>,
    /// The agent's write probe succeeded.
    pub updatable: Option<bool>,
    /// Why the write probe failed, masked.
    pub update_error: Option<String>,
    /// The preStop hook is unloading the database: leave it alone.
    pub quiescing: bool,
    /// An in-place upgrade failed (not replicated).
    pub upgrade_failed: bool,
    /// Release of the instance, such as `22.1.1.22.0`.
    pub release: Option<String>,
    /// Release in the container's image.
    pub image_release: Option<String>,
    /// Which metadata files are present.
    pub files: Files,
    /// The scheme uses RETURN TWOSAFE.
    pub twosafe: Option<bool>,
    /// The scheme has DISABLE RETURN.
    pub disable_return: Option<bool>,
    /// The scheme has LOCAL COMMIT ACTION COMMIT.
    pub local_commit: Option<bool>,
    /// Highest ping id visible in the database; grows with each look at the active.
    pub db_id: Option<i64>,
    /// Number of cache groups.
    pub n_cache_groups: Option<u64>,
    /// The cache groups, if the agent lists them.
    pub cache_groups: Vec<CacheGroup>,
    /// The cache administrator's credentials are registered.
    pub cache_credentials: Option<bool>,
    /// Lag of AWT propagation in megabytes.
    pub awt_behind_mb: Option<i64>,
    /// How far the peer lags, in megabytes of log.
    pub behind_mb: Option<i64>,
    /// End of the log.
    pub bookmark: Option<LogPosition>,
    /// Oldest position of the log still needed.
    pub log_hold: Option<LogPosition>,
    /// Permanent memory in use, kilobytes.
    pub perm_in_use_kb: Option<i64>,
    /// Permanent memory, megabytes.
    pub perm_size_mb: Option<i64>,
    /// False: the agent sees a clock problem.
    pub clock_sync: Option<bool>,
    /// Memory of the container.
    pub memory: Option<Memory>,
    /// Lines to tell a human when the reply means nothing, masked.
    pub complaints: Vec<String>,
    /// What the agent proved to have: it keeps that as long as it runs.
    pub identity: Option<Arc<Identity>>,
}

/// Which metadata files the agent found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// `adminUser`.
    pub admin_user: Option<bool>,
    /// `schema.sql`.
    pub schema: Option<bool>,
    /// `cachegroups.sql`.
    pub cache_groups: Option<bool>,
    /// `cacheUser`.
    pub cache_user: Option<bool>,
}

/// A position in the transaction log. Later positions are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// Log file number.
    pub file: i64,
    /// Offset in that file.
    pub offset: i64,
}

/// Memory of the container, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// The limit; `None` without one.
    pub limit: Option<u64>,
    /// In use.
    pub usage: Option<u64>,
    /// Failed allocations so far.
    pub failures: Option<u64>,
    /// Failed allocations of 2 MB huge pages so far.
    pub huge_failures: Option<u64>,
}

impl Facts {
    /// What `reply` proves of the database `db_name` (the cut name).
    #[must_use]
    pub fn of(reply: &StatusReply, db_name: &str) -> Self {
        Self { identity: reply.identity.clone(), ..Self::said(reply, db_name) }
    }

    fn said(reply: &StatusReply, db_name: &str) -> Self {
        if reply.errno == NOT_MEANINGFUL {
            return Self { complaints: reply.stderr.clone(), ..Self::default() };
        }
        let mut facts = Self::of_pod(reply);
        if facts.daemon != Daemon::Up || reply.errno == IN_RECOVERY {
            return facts;
        }
        facts.perm_in_use_kb = reply.perm_in_use_kb;
        facts.perm_size_mb = reply.perm_size_mb;
        let entry = entry(reply, db_name);
        facts.db = database(reply, entry);
        if let (Db::Loaded, Some(entry)) = (facts.db, entry) {
            facts.of_daemon(entry);
            // Without a connection the agent has asked the database nothing: its zeros are not facts.
            if reply.db_up != Some(false) {
                facts.of_sql(reply);
            }
        }
        facts
    }

    /// What holds whatever the daemon and the database do.
    fn of_pod(reply: &StatusReply) -> Self {
        Self {
            meaningful: true,
            instance: choose(reply.instance_exists, Instance::Exists, Instance::Missing),
            daemon: choose(reply.daemon_up, Daemon::Up, Daemon::Down),
            quiescing: reply.quiescing == Some(true),
            upgrade_failed: reply.upgrade_failed == Some(true),
            release: reply.install_release.clone(),
            image_release: reply.image_release.clone(),
            files: Files {
                admin_user: reply.admin_user_file,
                schema: reply.schema_file,
                cache_groups: reply.cache_group_file,
                cache_user: reply.cache_user_file,
            },
            clock_sync: reply.clock_sync,
            memory: reply.cgroup.as_ref().map(Memory::of),
            ..Self::default()
        }
    }

    /// What the daemon says of a loaded database.
    fn of_daemon(&mut self, entry: &DbInfo) {
        self.open = entry.open.as_ref().map(|open| open.eq_ignore_ascii_case("yes"));
        if let Some(processes) = &entry.processes {
            let running = |kind: &str| {
                let found = processes.iter().any(|process| process.eq_ignore_ascii_case(kind));
                choose(Some(found), RunState::Running, RunState::NotRunning)
            };
            self.rep_agent = running("Replication");
            self.cache_agent = running("Cache Agent");
        }
    }

    /// What a loaded database says of itself.
    fn of_sql(&mut self, reply: &StatusReply) {
        self.db_id = reply.new_id;
        self.updatable = reply.updatable;
        self.update_error = reply.update_error.clone().filter(|text| !text.is_empty());
        self.twosafe = reply.twosafe;
        self.disable_return = reply.disable_return;
        self.local_commit = reply.local_commit;
        self.awt_behind_mb = reply.awt_behind_mb;
        self.behind_mb = reply.behind_mb;
        self.bookmark = reply.bookmark.map(LogPosition::of);
        self.log_hold = reply.log_hold.map(LogPosition::of);
        self.rep_state = reply.rep_state.as_deref().map_or(RepState::Unknown, RepState::parse);
        self.rep_scheme =
            choose(reply.rep_schemes.map(|n| n > 0), RepScheme::Exists, RepScheme::None);
        self.peer_state = reply.peer_state.as_deref().map_or(PeerState::Unknown, PeerState::parse);
        self.peer_state_error = reply.peer_state_error.clone();
        self.n_cache_groups = unsigned(reply.cache_groups);
        self.cache_groups.clone_from(&reply.cache_group_list);
        self.cache_credentials = reply.cache_credentials;
    }

    /// Says the same as another, but for what moves with every look: the ping, the ends of the log,
    /// memory in use.
    #[must_use]
    pub fn same_but_counters(&self, other: &Self) -> bool {
        let Self { db_id, bookmark, log_hold, perm_in_use_kb, memory, .. } = *other;
        Self { db_id, bookmark, log_hold, perm_in_use_kb, memory, ..self.clone() } == *other
    }

    /// The first number of the release: what must equal the operator's own.
    #[must_use]
    pub fn major_release(&self) -> Option<u32> {
        self.release.as_ref()?.split('.').next()?.trim().parse().ok()
    }
}

/// The daemon's entry for `db_name`, else the first: the path of a data store is not in the protocol.
fn entry<'a>(reply: &'a StatusReply, db_name: &str) -> Option<&'a DbInfo> {
    let databases = reply.databases.as_ref()?;
    let named = databases.iter().find(|entry| entry.is_named(db_name));
    // Another database must not stand in for one that TimesTen says does not exist.
    named.or_else(|| databases.first().filter(|_| reply.errno != NO_DATABASE))
}

fn database(reply: &StatusReply, entry: Option<&DbInfo>) -> Db {
    let Some(entry) = entry else {
        let listed = reply.databases.is_some() || reply.errno == NO_DATABASE;
        return if listed { Db::None } else { Db::Unknown };
    };
    let note = entry.ram_policy_note.as_deref();
    if entry.loading {
        Db::Loading
    } else if entry.unloading {
        Db::Unloading
    } else if note == Some(FAILED_TO_LOAD) || reply.errno == UNLOADED {
        Db::Unloaded
    } else if entry.obsolete > 0 {
        Db::Transitioning
    } else {
        match entry.connections {
            Some(0) => Db::Unloaded,
            Some(n) if n > 0 => Db::Loaded,
            _ => Db::Unknown,
        }
    }
}

impl DbInfo {
    fn is_named(&self, db_name: &str) -> bool {
        let last = self.data_store.as_ref().and_then(|path| path.rsplit('/').next());
        last == Some(db_name)
    }
}

impl LogPosition {
    fn of((file, offset): (i64, i64)) -> Self {
        Self { file, offset }
    }
}

impl Memory {
    fn of(info: &CgroupInfo) -> Self {
        Self {
            limit: unsigned(info.limit.filter(|limit| *limit > 0 && *limit < NO_LIMIT)),
            usage: unsigned(info.usage),
            failures: unsigned(info.failures),
            huge_failures: unsigned(info.huge_failures),
        }
    }

    /// How much of the limit is in use, in percent rounded down; `None` without a limit.
    #[must_use]
    pub fn percent_used(&self) -> Option<u64> {
        let used = u128::from(self.usage?) * 100 / u128::from(self.limit?.max(1));
        u64::try_from(used).ok()
    }
}

fn choose<T: Default>(fact: Option<bool>, yes: T, no: T) -> T {
    match fact {
        Some(true) => yes,
        Some(false) => no,
        None => T::default(),
    }
}

fn unsigned(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok())
}
