//! The agent's replies, decoded member by member: nothing the operator does not need can spoil one.
//!
//! Every text in the types here is masked, because [`Members`] reads no other.

use std::sync::Arc;

use serde_json::Value;

use super::json::Members;
use super::messages;
use super::{AgentError, TaskId, Verb};
use crate::credentials::Identity;

/// What `GET /agent` said. Absent members are `None`: see [`Facts`](super::Facts) for meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusReply {
    /// What the agent proved to have on the connection; not part of the reply itself.
    pub identity: Option<Arc<Identity>>,
    /// 0, or the native TimesTen error met while looking.
    pub errno: i64,
    /// The text for `errno`.
    pub errmsg: Option<String>,
    /// What the utilities printed.
    pub stderr: Vec<String>,
    /// Highest visible ping id.
    pub new_id: Option<i64>,
    /// Whether the agent's write probe succeeded.
    pub updatable: Option<bool>,
    /// Why it did not.
    pub update_error: Option<String>,
    /// False: the agent sees a clock problem.
    pub clock_sync: Option<bool>,
    /// Whether the main daemon answers.
    pub daemon_up: Option<bool>,
    /// Whether the instance directory is there.
    pub instance_exists: Option<bool>,
    /// Release of the instance.
    pub install_release: Option<String>,
    /// Release in the container's image.
    pub image_release: Option<String>,
    /// The preStop hook is unloading the database.
    pub quiescing: Option<bool>,
    /// An in-place upgrade failed (not replicated).
    pub upgrade_failed: Option<bool>,
    /// The databases the daemon knows; `None` if it did not say.
    pub databases: Option<Vec<DbInfo>>,
    /// Whether the agent could connect to the database.
    pub db_up: Option<bool>,
    /// Why SQL failed.
    pub db_error: Option<String>,
    /// What the database is in its pair.
    pub rep_state: Option<String>,
    /// Number of replication schemes.
    pub rep_schemes: Option<i64>,
    /// How the database sees its peer.
    pub peer_state: Option<String>,
    /// Why it could not tell.
    pub peer_state_error: Option<String>,
    /// How far replication lags, in megabytes of log.
    pub behind_mb: Option<i64>,
    /// Current log position: file and offset.
    pub bookmark: Option<(i64, i64)>,
    /// Oldest log hold: file and offset.
    pub log_hold: Option<(i64, i64)>,
    /// The scheme uses RETURN TWOSAFE.
    pub twosafe: Option<bool>,
    /// The scheme has DISABLE RETURN.
    pub disable_return: Option<bool>,
    /// The scheme has LOCAL COMMIT ACTION COMMIT.
    pub local_commit: Option<bool>,
    /// Number of cache groups.
    pub cache_groups: Option<i64>,
    /// The cache groups, if the agent lists them.
    pub cache_group_list: Vec<CacheGroup>,
    /// Whether the cache administrator's credentials are registered.
    pub cache_credentials: Option<bool>,
    /// Lag of AWT propagation in megabytes, rounded half up.
    pub awt_behind_mb: Option<i64>,
    /// `adminUser` is present.
    pub admin_user_file: Option<bool>,
    /// `schema.sql` is present.
    pub schema_file: Option<bool>,
    /// `cachegroups.sql` is present.
    pub cache_group_file: Option<bool>,
    /// `cacheUser` is present.
    pub cache_user_file: Option<bool>,
    /// Permanent memory in use, kilobytes: all that is read of `SYS.MONITOR`.
    pub perm_in_use_kb: Option<i64>,
    /// Permanent memory, megabytes: all that is read of the configuration.
    pub perm_size_mb: Option<i64>,
    /// Memory of the container.
    pub cgroup: Option<CgroupInfo>,
}

/// One database the daemon knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DbInfo {
    /// Path of the data store.
    pub data_store: Option<String>,
    /// Number of connections.
    pub connections: Option<i64>,
    /// Number of remains of invalidated copies.
    pub obsolete: usize,
    /// It is being loaded.
    pub loading: bool,
    /// It is being unloaded.
    pub unloading: bool,
    /// `yes`, or something else.
    pub open: Option<String>,
    /// Why it is not loaded.
    pub ram_policy_note: Option<String>,
    /// The kinds of processes connected; `None` if it did not say.
    pub processes: Option<Vec<String>>,
}

/// What the agent read of its control group, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupInfo {
    /// Memory limit.
    pub limit: Option<i64>,
    /// Memory in use.
    pub usage: Option<i64>,
    /// Failed allocations.
    pub failures: Option<i64>,
    /// Failed allocations of 2 MB huge pages.
    pub huge_failures: Option<i64>,
}

impl StatusReply {
    /// Reads a reply's body.
    ///
    /// # Errors
    /// Only if the body is no JSON object; says why.
    pub fn decode(body: &[u8]) -> Result<Self, String> {
        let value = parse(body)?;
        let reply = Members::of(&value);
        let pair = |file, offset| Some((reply.int(file)?, reply.int(offset)?));
        Ok(Self {
            identity: None,
            errno: reply.int("errno").unwrap_or(0),
            errmsg: reply.word("errmsg"),
            stderr: reply
                .lines("stderr")
                .into_iter()
                .filter(|line| !line.trim().is_empty())
                .collect(),
            new_id: reply.int("newId"),
            updatable: reply.flag("updatable"),
            update_error: reply.word("updateErr"),
            clock_sync: reply.flag("clockSync"),
            daemon_up: reply.flag("daemonUp"),
            instance_exists: reply.flag("instanceExists"),
            install_release: reply.word("installRelease"),
            image_release: reply.word("imageRelease"),
            quiescing: reply.flag("quiescing"),
            upgrade_failed: reply.flag("nonRepUpgradeFailed"),
            databases: databases(reply),
            db_up: reply.flag("dbUp"),
            db_error: reply.word("dbError"),
            rep_state: reply.word("repState"),
            rep_schemes: reply.int("nRepSchemes"),
            peer_state: reply.word("repPeerPState"),
            peer_state_error: reply.word("repPeerPStateFetchErr"),
            behind_mb: reply.int("behindMb"),
            bookmark: pair("bookmarkLfn", "bookmarkLfo"),
            log_hold: pair("logholdsLfn", "logholdsLfo"),
            twosafe: reply.flag("usingTwosafe"),
            disable_return: reply.flag("disableReturn"),
            local_commit: reply.flag("localCommit"),
            cache_groups: reply.int("nCacheGroups"),
            cache_group_list: cache_groups(reply),
            cache_credentials: reply.flag("cacheUidPwdSet"),
            awt_behind_mb: reply.nearest("awtBehindMb"),
            admin_user_file: reply.flag("adminUserFile"),
            schema_file: reply.flag("schemaFile"),
            cache_group_file: reply.flag("cgFile"),
            cache_user_file: reply.flag("cacheUserFile"),
            perm_in_use_kb: reply.object("monitor").int("perm_in_use_size"),
            perm_size_mb: reply.object("configuration").int("PermSize"),
            cgroup: CgroupInfo::decode(reply.object("cgroupInfo")),
        })
    }
}

fn databases(reply: Members<'_>) -> Option<Vec<DbInfo>> {
    let list = reply.object("ttStatus").list("db info")?;
    Some(list.iter().map(|entry| DbInfo::decode(Members::of(entry))).collect())
}

/// A cache group, as the agent lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheGroup {
    /// Its owner.
    pub owner: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// How it is refreshed from the Oracle database.
    pub refresh_mode: Option<String>,
    /// Whether it is, now.
    pub refresh_state: Option<String>,
}

fn cache_groups(reply: Members<'_>) -> Vec<CacheGroup> {
    let group = |group: &Value| {
        let group = Members::of(group);
        CacheGroup {
            owner: group.word("owner"),
            name: group.word("name"),
            refresh_mode: group.word("refreshMode"),
            refresh_state: group.word("refreshState"),
        }
    };
    reply.list("cachegroups").unwrap_or_default().iter().map(group).collect()
}

impl DbInfo {
    fn decode(entry: Members<'_>) -> Self {
        let processes = entry.list("conn info").map(|connections| {
            connections.iter().filter_map(|one| Members::of(one).word("proc type")).collect()
        });
        // The words are tested, not their presence: `"loading": false` is not loading.
        let under_way = |name| entry.get(name).is_some_and(|_| entry.flag(name).unwrap_or(true));
        Self {
            data_store: entry.word("data store"),
            connections: entry.int("# of conns"),
            obsolete: entry.list("obsolete info").map_or(0, <[Value]>::len),
            loading: under_way("loading"),
            unloading: under_way("unloading"),
            open: entry.word("open"),
            ram_policy_note: entry.word("ram policy note"),
            processes,
        }
    }
}

impl CgroupInfo {
    fn decode(info: Members<'_>) -> Option<Self> {
        info.exists().then(|| Self {
            limit: info.int("memoryLimit"),
            usage: info.int("memoryUsage"),
            failures: info.int("memoryFailcnt"),
            huge_failures: info.int("huge2MBFailcnt"),
        })
    }
}

/// What a verb that succeeded said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerbReply {
    /// TimesTen's own errors from the output, ready for Events: the verb may succeed in spite of some.
    pub events: Vec<String>,
    /// `checkNonRepQuiesce`: the preStop hook is unloading the database.
    pub quiescing: Option<bool>,
}

/// The agent's answer to an asynchronous verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// 202: under way; poll it.
    Accepted,
    /// 200: an agent without tasks has run it to its end, successfully.
    Done(VerbReply),
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskReport {
    /// Still working.
    Running {
        /// When the agent began, Unix seconds by its clock.
        started: Option<i64>,
        /// When it last made progress, Unix seconds by its clock.
        updated: Option<i64>,
    },
    /// Finished, successfully.
    Complete {
        /// TimesTen's own errors from the output, ready for Events.
        events: Vec<String>,
    },
    /// Finished, in vain.
    Failed {
        /// The agent's error number.
        errno: i64,
        /// The agent's words, masked.
        message: String,
        /// TimesTen's own errors from the output, ready for Events.
        events: Vec<String>,
    },
    /// The agent does not know the task: it restarted, or began another.
    UnknownId,
}

/// Reads the reply to a verb, sent to `host`.
pub(super) fn verb_reply(host: &str, verb: &Verb, body: &[u8]) -> Result<VerbReply, AgentError> {
    let value = parse(body).map_err(|what| AgentError::bad_reply(host, what))?;
    let reply = Members::of(&value);
    match reply.int("jsonVer") {
        Some(1) => {}
        Some(other) => {
            return Err(AgentError::bad_reply(host, format!("jsonVer is {other}, not 1")));
        }
        None => return Err(AgentError::bad_reply(host, "jsonVer not valid")),
    }
    let errno =
        reply.int("errno").ok_or_else(|| AgentError::bad_reply(host, "Errno not specified"))?;
    let events = messages::of_verb(verb, reply);
    if errno == 0 {
        return Ok(VerbReply { events, quiescing: reply.flag("quiescing") });
    }
    Err(AgentError::Verb {
        host: host.to_owned(),
        verb: verb.name(),
        phrase: verb.phrase(),
        errno,
        message: error_message(reply),
        events,
    })
}

/// Reads the reply to a poll for `id`, sent to `host`.
pub(super) fn task_report(host: &str, id: &TaskId, body: &[u8]) -> Result<TaskReport, AgentError> {
    let value = parse(body).map_err(|what| AgentError::bad_reply(host, what))?;
    let reply = Members::of(&value);
    let Some(answered) = reply.word("id") else { return Ok(TaskReport::UnknownId) };
    if answered != id.as_str() {
        return Ok(TaskReport::UnknownId);
    }
    let events = messages::of_task(reply);
    // A polite `"errno": 0` is no failure; one that cannot be read may be.
    let unreadable = || AgentError::bad_reply(host, "the errno of the task is no number");
    let errno = match reply.get("errno") {
        Some(_) => reply.int("errno").ok_or_else(unreadable)?,
        None => 0,
    };
    if errno != 0 {
        return Ok(TaskReport::Failed { errno, message: error_message(reply), events });
    }
    if reply.flag("complete") == Some(true) {
        return Ok(TaskReport::Complete { events });
    }
    Ok(TaskReport::Running { started: reply.int("started"), updated: reply.int("updated") })
}

fn error_message(reply: Members<'_>) -> String {
    reply.word("errmsg").unwrap_or_else(|| "NO ERRMSG RETURNED".to_owned())
}

fn parse(body: &[u8]) -> Result<Value, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    if value.is_object() { Ok(value) } else { Err("not a JSON object".to_owned()) }
}
