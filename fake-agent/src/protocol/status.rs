//! The answer to `GET /agent`, type-exact: what is not known or not so is left out, because
//! clients test some fields for presence only.

mod fields;

use fields::{
    CacheGroup, Cgroup, Connection, DatabasePart, DbInfo, Instance, Obsolete, Process, Status,
    TtStatus,
};

use super::reply::Reply;
use super::request::Params;
use crate::model::container::{Contact, Container, Loaded};
use crate::model::database::Database;
use crate::model::oracle::{self, Kind};
use crate::model::replication::LOG_FILE_BYTES;
use crate::model::scheme::{ReturnService, Scheme};
use crate::options::PeerView;
use crate::view::{DatabaseState, PeerState, RepState};
use crate::world::World;

/// Looks at a host as the agent does: on a writable database this adds a ping row.
pub(crate) fn get(world: &mut World, host: &str, query: &Params) -> Reply {
    let pinged = ping(world, host);
    let Some(container) = world.containers.get(host) else {
        return Reply::failed(999, "the container has ended");
    };
    let state = world.database_state(host);
    let (errno, errmsg) = errno_of(container.daemon, state);
    let has = |file: &str| container.spec.config.contains_key(file);
    let volume = world.volume_of(host);
    let database = volume.and_then(|volume| volume.database.as_ref());
    let release = container.spec.release.as_str();
    Reply::of(&Status {
        json_ver: 1,
        errno,
        errmsg,
        clock_sync: true,
        daemon_up: container.daemon,
        instance_exists: volume.is_some(),
        install_release: volume.map_or(release, |volume| &volume.install_release),
        image_release: release,
        instance_type: "classic",
        quiescing: container.quiescing,
        non_rep_upgrade_failed: volume.is_some_and(|volume| volume.upgrade_failed),
        admin_user_file: has("adminUser"),
        schema_file: has("schema.sql"),
        cg_file: has("cachegroups.sql"),
        cache_user_file: has("cacheUser"),
        cgroup_info: Cgroup {
            cgroup_version: 2,
            memory_limit: 4 << 30,
            memory_usage: 900_000_000,
            memory_failcnt: 0,
            node_huge_pages_total: 0,
            node_huge_pages_free: 0,
            node_anon_huge_pages: 0,
        },
        upgrade_list: query.get("include").filter(|what| *what == "upgradeList").map(|_| {
            format!("{{\"schemaVersion\":\"2\",\"version\":\"{release}\",\"validUpgrades\":[]}}")
        }),
        tt_status: tt_status(container, database, state),
        database: container
            .loaded()
            .zip(database)
            .map(|(loaded, database)| database_part(world, host, loaded, database, pinged)),
    })
}

/// Ids before and after.
fn ping(world: &mut World, host: &str) -> (i64, i64) {
    let writable = world.writable(host) || {
        // The agent's own connection is not a user connection: a closed active is writable to it.
        let active = world.loaded(host).is_some_and(|loaded| loaded.state == RepState::Active);
        let alone = world.database(host).is_some_and(|database| database.scheme.is_none());
        world.loaded(host).is_some() && (active || alone)
    };
    let Some(database) = world.database_mut(host) else { return (0, 0) };
    let before = database.ping;
    if writable {
        database.ping += 1;
    }
    let after = database.ping;
    let stream = world.loaded(host).and_then(|loaded| loaded.stream.clone());
    if let Some(stream) = stream.filter(|stream| stream.caught_up)
        && let Some(copy) = world.database_mut(&stream.peer)
    {
        copy.ping = copy.ping.max(after);
    }
    (before, after)
}

fn errno_of(daemon: bool, state: DatabaseState) -> (i64, Option<&'static str>) {
    match state {
        _ if !daemon => (0, None),
        DatabaseState::Loaded | DatabaseState::Loading => (0, None),
        DatabaseState::None => {
            (833, Some("TT0833: Cannot connect to a non-existent data store: no AutoCreate"))
        }
        DatabaseState::Unloaded | DatabaseState::Unloading => (
            707,
            Some("TT0707: Attempt to connect to a data store that has been manually unloaded"),
        ),
        DatabaseState::Transitioning => {
            (994, Some("TT0994: Data store connection terminated. Please reconnect."))
        }
    }
}

fn tt_status<'a>(
    container: &Container,
    database: Option<&Database>,
    state: DatabaseState,
) -> TtStatus<'a> {
    if !container.daemon {
        return TtStatus::default();
    }
    let pid = container.pid;
    let databases = match database {
        Some(database) => vec![db_info(container, Some(database), state)],
        None if state == DatabaseState::Loading => vec![db_info(container, None, state)],
        None => Vec::new(),
    };
    TtStatus {
        server: Some(Process { pid: pid + 8, port: 6625 }),
        instance: Some(Instance { pid, port: 6624, name: "instance1" }),
        access: Some("Accessible by group timesten"),
        databases: Some(databases),
    }
}

fn db_info<'a>(
    container: &Container,
    database: Option<&Database>,
    state: DatabaseState,
) -> DbInfo<'a> {
    let loaded = container.loaded();
    let connections = connections(container, state);
    let name = database.map_or("", |database| database.name.as_str());
    let obsolete = (state == DatabaseState::Transitioning).then(|| {
        let process = container.pid + 40;
        vec![Obsolete { name: "app", context: 140_000_100, process, r#type: "process" }]
    });
    DbInfo {
        data_store: format!("/tt/home/timesten/datastore/{name}"),
        connections: connections.len(),
        user_connections: 0,
        shmkey: 33_554_432,
        shmid: 3,
        note: "",
        plsql_shmkey: 0,
        plsql_shmid: 0,
        plsql_shmaddr: 0,
        loading: (state == DatabaseState::Loading).then_some(true),
        unloading: (state == DatabaseState::Unloading).then_some(true),
        obsolete,
        conn_info: connections,
        open: if loaded.is_some_and(|loaded| loaded.open) { "yes" } else { "no" },
        ram_policy: "Manual",
    }
}

fn connections<'a>(container: &Container, state: DatabaseState) -> Vec<Connection<'a>> {
    let mut all = Vec::new();
    let mut connect = |kind, offset, name, id| {
        let (pid, context) = (container.pid + offset, 140_000_000 + id);
        all.push(Connection { kind, pid, context, name, id, disconnecting: false });
    };
    if state == DatabaseState::Transitioning {
        connect("Process", 40, "app", 100);
    }
    if let Some(loaded) = container.loaded() {
        connect("Process", 20, "agent", 1);
        connect("Subdaemon", 6, "Manager", 2047);
        if loaded.rep_agent {
            connect("Replication", 30, "REPLISTENER", 3);
        }
        if loaded.cache_agent {
            connect("Cache Agent", 35, "Timer", 4);
        }
    }
    all
}

fn database_part<'a>(
    world: &World,
    host: &str,
    loaded: &Loaded,
    database: &'a Database,
    (id, new_id): (i64, i64),
) -> DatabasePart<'a> {
    let scheme = database.scheme.as_ref();
    let flag = |test: fn(&Scheme) -> bool| scheme.is_some_and(test);
    let updatable = scheme.is_none() || loaded.state == RepState::Active;
    let position = database.history.end() * world.options.commit_bytes;
    let behind = world.behind(host) * world.options.commit_bytes;
    let hold = position.saturating_sub(behind);
    let monitor =
        [("perm_in_use_size", "30211".to_owned()), ("perm_allocated_size", "204800".to_owned())];
    let configuration = [
        ("PermSize", database.perm_size.to_string()),
        ("TempSize", "100".to_owned()),
        ("LogFileSize", "64".to_owned()),
    ];
    DatabasePart {
        db_up: true,
        db_error: "",
        id,
        new_id,
        updatable,
        update_err: if updatable {
            String::new()
        } else {
            format!(
                "TT16265: This store is currently the {}.  Change to TTAGENT.S not permitted.",
                loaded.state.as_str()
            )
        },
        rep_state: loaded.state.as_str(),
        n_rep_schemes: u8::from(scheme.is_some()),
        rep_peer_p_state: if scheme.is_some() { peer_word(world, loaded, database) } else { "" },
        behind_mb: behind >> 20,
        behind_files: behind / LOG_FILE_BYTES,
        log_file_size: LOG_FILE_BYTES >> 20,
        bookmark_lfn: position / LOG_FILE_BYTES,
        bookmark_lfo: position % LOG_FILE_BYTES,
        logholds_lfn: hold / LOG_FILE_BYTES,
        logholds_lfo: hold % LOG_FILE_BYTES,
        using_twosafe: flag(|scheme| scheme.service == ReturnService::Twosafe),
        disable_return: flag(|scheme| scheme.disable_return),
        local_commit: flag(|scheme| scheme.local_commit),
        n_cache_groups: database.cache_groups.len(),
        cache_uid_pwd_set: database.cache_user_set,
        cachegroups: database.cache_groups.iter().map(cache_group).collect(),
        awt_behind_mb: world.awt_behind(host),
        monitor: monitor.into(),
        configuration: configuration.into(),
        system_stats: [("stmt.executes.count", database.history.end().to_string())].into(),
    }
}

fn cache_group(group: &oracle::CacheGroup) -> CacheGroup<'_> {
    let (refresh_mode, refresh_state) = match group.kind {
        Kind::ReadOnly => ("Incremental", "On"),
        Kind::Awt | Kind::Other => ("None", "Off"),
    };
    CacheGroup { owner: "CACHEUSER", name: &group.name, refresh_mode, refresh_state }
}

fn peer_word(world: &World, loaded: &Loaded, database: &Database) -> &'static str {
    let told = database.peer;
    if database.subscriber {
        // It has no peer of its own.
        return told.as_str();
    }
    let lost = match (world.options.peer_view, loaded.contact) {
        (PeerView::FollowsContact(limit), Contact::LostAt(at)) => world.now >= at + limit,
        _ => false,
    };
    if lost && told == PeerState::Start { PeerState::Stop.as_str() } else { told.as_str() }
}
