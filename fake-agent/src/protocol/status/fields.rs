//! The fields of the answer, by their names on the wire.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    pub json_ver: u8,
    pub errno: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errmsg: Option<&'static str>,
    pub clock_sync: bool,
    pub daemon_up: bool,
    pub instance_exists: bool,
    pub install_release: &'a str,
    pub image_release: &'a str,
    pub instance_type: &'static str,
    pub quiescing: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_rep_upgrade_failed: bool,
    pub admin_user_file: bool,
    pub schema_file: bool,
    pub cg_file: bool,
    pub cache_user_file: bool,
    pub cgroup_info: Cgroup,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_list: Option<String>,
    pub tt_status: TtStatus<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabasePart<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DatabasePart<'a> {
    pub db_up: bool,
    pub db_error: &'static str,
    pub id: i64,
    pub new_id: i64,
    pub updatable: bool,
    pub update_err: String,
    pub rep_state: &'static str,
    pub n_rep_schemes: u8,
    pub rep_peer_p_state: &'static str,
    pub behind_mb: u64,
    pub behind_files: u64,
    pub log_file_size: u64,
    pub bookmark_lfn: u64,
    pub bookmark_lfo: u64,
    pub logholds_lfn: u64,
    pub logholds_lfo: u64,
    pub using_twosafe: bool,
    pub disable_return: bool,
    pub local_commit: bool,
    pub n_cache_groups: usize,
    pub cache_uid_pwd_set: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cachegroups: Vec<CacheGroup<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awt_behind_mb: Option<f32>,
    pub monitor: BTreeMap<&'static str, String>,
    pub configuration: BTreeMap<&'static str, String>,
    pub system_stats: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CacheGroup<'a> {
    pub owner: &'static str,
    pub name: &'a str,
    pub refresh_mode: &'static str,
    pub refresh_state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cgroup {
    pub cgroup_version: u8,
    pub memory_limit: u64,
    pub memory_usage: u64,
    pub memory_failcnt: u64,
    pub node_huge_pages_total: u64,
    pub node_huge_pages_free: u64,
    pub node_anon_huge_pages: u64,
}

#[derive(Default, Serialize)]
pub(super) struct TtStatus<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Process>,
    #[serde(rename = "instance info", skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    #[serde(rename = "access by", skip_serializing_if = "Option::is_none")]
    pub access: Option<&'static str>,
    #[serde(rename = "db info", skip_serializing_if = "Option::is_none")]
    pub databases: Option<Vec<DbInfo<'a>>>,
}

#[derive(Serialize)]
pub(super) struct Process {
    pub pid: u64,
    pub port: u16,
}

#[derive(Serialize)]
pub(super) struct Instance {
    pub pid: u64,
    pub port: u16,
    pub name: &'static str,
}

#[derive(Serialize)]
pub(super) struct DbInfo<'a> {
    #[serde(rename = "data store")]
    pub data_store: String,
    #[serde(rename = "# of conns")]
    pub connections: usize,
    #[serde(rename = "# of user conns")]
    pub user_connections: usize,
    pub shmkey: u64,
    pub shmid: u64,
    pub note: &'static str,
    #[serde(rename = "plsql shmkey")]
    pub plsql_shmkey: u64,
    #[serde(rename = "plsql shmid")]
    pub plsql_shmid: u64,
    #[serde(rename = "plsql shmaddr")]
    pub plsql_shmaddr: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loading: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unloading: Option<bool>,
    #[serde(rename = "obsolete info", skip_serializing_if = "Option::is_none")]
    pub obsolete: Option<Vec<Obsolete>>,
    #[serde(rename = "conn info")]
    pub conn_info: Vec<Connection<'a>>,
    pub open: &'static str,
    #[serde(rename = "ram policy")]
    pub ram_policy: &'static str,
}

#[derive(Serialize)]
pub(super) struct Obsolete {
    pub name: &'static str,
    pub context: u64,
    pub process: u64,
    pub r#type: &'static str,
}

#[derive(Serialize)]
pub(super) struct Connection<'a> {
    #[serde(rename = "proc type")]
    pub kind: &'a str,
    pub pid: u64,
    pub context: u64,
    pub name: &'a str,
    #[serde(rename = "conn id")]
    pub id: u64,
    #[serde(rename = "disconnect pending")]
    pub disconnecting: bool,
}
