//! The status: Oracle's fields, which users read, and ours beside them.
//!
//! Never: required. Another operator may have written it, or a human: whatever is missing or of
//! another type reads as absent, and the rest is still read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::schema;

/// Reads a field, or nothing where its type is another.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// What the operator knows and remembers of an object. The fields up to `exporterSecret` are those of
/// Oracle's operator; the rest is ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TimesTenClassicStatus {
    /// The version of this layout.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub status_version: Option<String>,
    /// The last generation of the spec that was acted on.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status was last written, milliseconds since 1970.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_reconcile: Option<i64>,
    /// The operator that wrote it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_reconciling_operator: Option<String>,
    /// Where the pair stands.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub high_level_state: Option<String>,
    /// Where it stood before.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_high_level_state: Option<String>,
    /// When that changed, seconds since 1970.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_high_level_state_switch: Option<i64>,
    /// The statement that the replication scheme is created with.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rep_create_statement: Option<String>,
    /// The port of replication.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rep_port: Option<i32>,
    /// Not used.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_event: Option<i32>,
    /// The pod that clients write to.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub active_pods: Option<String>,
    /// What is known of each pod.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Vec::is_empty")]
    pub pod_status: Vec<PodStatus>,
    /// The last value of stopManaging that was heeded.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_stop_managing: Option<String>,
    /// The last value of reexamine that was heeded.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_reexamine: Option<String>,
    /// Megabytes of log that have yet to reach the Oracle database.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub awt_behind_mb: Option<i64>,
    /// Failures in a row to bring back the standby.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rep_start_fail_count: Option<i32>,
    /// RETURN TWOSAFE was seen in the scheme.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub using_twosafe: Option<bool>,
    /// DISABLE RETURN or LOCAL COMMIT was seen beside it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub both_down_recovery_ineligible: Option<bool>,
    /// The replication agent of the active.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub active_rep_agent: Option<String>,
    /// The cache agent of the active.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub active_cache_agent: Option<String>,
    /// The replication agent of the standby.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub standby_rep_agent: Option<String>,
    /// The cache agent of the standby.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub standby_cache_agent: Option<String>,
    /// Permanent memory of the active, megabytes.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub active_perm_size: Option<i64>,
    /// Of that in use, kilobytes.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub active_perm_in_use: Option<i64>,
    /// Permanent memory of the standby, megabytes.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub standby_perm_size: Option<i64>,
    /// Of that in use, kilobytes.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub standby_perm_in_use: Option<i64>,
    /// The last asynchronous task.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub async_status: Option<AsyncStatus>,
    /// How the standby is brought back.
    #[serde(
        rename = "standbyDownStandbyAS",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub standby_down_standby_as: Option<StandbyRebuild>,
    /// The upgrade under way.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub classic_upgrade_status: Option<ClassicUpgradeStatus>,
    /// Cache groups: what became of cachegroups.sql, which is run once.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cache_groups: Option<CacheScriptStatus>,
    /// The subscribers.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub subscriber: Option<SubscriberStatus>,
    /// The Secret of the exporter.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub exporter_secret: Option<String>,
    /// What is good, what is not, and why.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Raised by every change of state.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,
    /// An irreversible act that is about to be done.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentStatus>,
    /// The last failover, or planned change of roles.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<LastFailover>,
    /// Planned changes of roles.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub switchover: Option<SwitchoverStatus>,
}

/// What is known of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// The entry is in use.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub initialized: Option<bool>,
    /// The pod's name.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Database or Subscriber.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub tt_pod_type: Option<String>,
    /// Its role: Active, Standby, Standalone or Subscriber.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub intended_state: Option<String>,
    /// Its role before.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_intended_state: Option<String>,
    /// How it is in its role.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub high_level_state: Option<String>,
    /// How it was before.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_high_level_state: Option<String>,
    /// When that changed, seconds since 1970.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_high_level_state_switch: Option<i64>,
    /// The image before the last change.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_image: Option<String>,
    /// It is fit for use in its role.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// It was before.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_ready: Option<bool>,
    /// It is the one to write to.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// It was before.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_active: Option<bool>,
    /// The pod has existed.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub has_been_seen: Option<bool>,
    /// Its database is being unloaded by a preStop hook.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub quiescing: Option<bool>,
    /// Why it needs a human, in a word. Pods without replication have a state of their own.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it needs a human, and what is next.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// An irreversible act that is about to be done in it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentStatus>,
    /// The copy that is being made in it, if it is a subscriber.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub task: Option<AsyncStatus>,
    /// How many copies were begun in it since it last followed, if it is a subscriber.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
    /// Its upgrade in place failed.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub non_rep_upgrade_failed: Option<bool>,
    /// The release of its instance.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub install_release: Option<String>,
    /// The release in its image.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub image_release: Option<String>,
    /// It has the file adminUser.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub admin_user_file: Option<bool>,
    /// It has the file schema.sql.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub schema_file: Option<bool>,
    /// It has the file cachegroups.sql.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cg_file: Option<bool>,
    /// It has the file cacheUser.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cache_user_file: Option<bool>,
    /// Its scheme uses RETURN TWOSAFE.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub using_twosafe: Option<bool>,
    /// Its scheme has DISABLE RETURN.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub disable_return: Option<bool>,
    /// Its scheme has LOCAL COMMIT ACTION COMMIT.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub local_commit: Option<bool>,
    /// What Kubernetes says.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub pod_status: Option<PodStatusPodStatus>,
    /// What the agent says of TimesTen.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub timesten_status: Option<TimestenStatus>,
    /// What it says of the database.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub db_status: Option<DbStatus>,
    /// What it says of replication.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub replication_status: Option<ReplicationStatus>,
    /// What it says of the cache.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cache_status: Option<CacheStatus>,
}

/// What Kubernetes says of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatusPodStatus {
    /// Its phase.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub pod_phase: Option<String>,
    /// Its address.
    #[serde(
        rename = "podIP",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub pod_ip: Option<String>,
    /// Its agent: Up, Down or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Not used: silences are timed with a monotonic clock.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_time_reachable: Option<i64>,
    /// The UID of the pod when its database was last good.
    #[serde(
        rename = "prevUID",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub prev_uid: Option<String>,
    /// How often its container tt had restarted by then.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_restarts: Option<i32>,
}

/// What the agent says of TimesTen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TimestenStatus {
    /// The release.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Exists, Missing or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Up, Down or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub daemon: Option<String>,
}

/// What the agent says of the database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DbStatus {
    /// None, Loading, Unloading, Unloaded, Transitioning, Loaded or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub db: Option<String>,
    /// Yes, No or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub db_updatable: Option<String>,
    /// A counter that replication carries to the standby.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub db_id: Option<i64>,
    /// It is open to users.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
}

/// What the agent says of replication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicationStatus {
    /// Running, Not Running or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rep_agent: Option<String>,
    /// Exists, None or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rep_scheme: Option<String>,
    /// ACTIVE, STANDBY, IDLE, RECOVERING, FAILED or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rep_state: Option<String>,
    /// What it thinks of its peer: start, pause, stop, failed or Unknown.
    #[serde(
        rename = "repPeerPState",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub rep_peer_p_state: Option<String>,
    /// Why that could not be read.
    #[serde(
        rename = "repPeerPStateFetchErr",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub rep_peer_p_state_fetch_err: Option<String>,
}

/// What the agent says of the cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheStatus {
    /// Running, Not Running or Unknown.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cache_agent: Option<String>,
    /// The credentials of the cache administrator are known to it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cache_uid_pwd_set: Option<bool>,
    /// How many cache groups there are.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub n_cache_groups: Option<i64>,
    /// Megabytes of log that have yet to reach the Oracle database.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub awt_behind_mb: Option<i64>,
    /// The cache groups.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Vec::is_empty")]
    pub cachegroups: Vec<CacheGroupStatus>,
    /// While the object is being deleted, how far the clean-up is: Due, ByPeer, Done or Left.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<String>,
    /// What is left in the Oracle database, and how to remove it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cleanup_message: Option<String>,
}

/// A cache group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheGroupStatus {
    /// Its owner.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its name.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it is refreshed from the Oracle database.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub refresh_mode: Option<String>,
    /// Whether it is, now.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub refresh_state: Option<String>,
}

/// What became of cachegroups.sql.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheScriptStatus {
    /// Complete, Failed or Interrupted.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// What was said, if it failed.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An asynchronous task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AsyncStatus {
    /// Its request id.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The error that it ended with.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub errno: Option<i64>,
    /// Its text.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub errmsg: Option<String>,
    /// Its verb.
    #[serde(
        rename = "type",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub type_: Option<String>,
    /// Not used.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The host of the agent.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The pod that it runs in.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// The UID of that pod.
    #[serde(
        rename = "podUID",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub pod_uid: Option<String>,
    /// How often its container tt had restarted by then.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub restarts: Option<i32>,
    /// It goes on.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,
    /// It has ended well.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// When the agent last worked on it, seconds since 1970.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub updated: Option<i64>,
    /// When it was started, seconds since 1970.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub started: Option<i64>,
    /// When it was seen to have ended, seconds since 1970.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
}

/// How the standby is brought back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StandbyRebuild {
    /// Not used.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The pod of the standby.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// pending or complete.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Repair: what has stopped is started. Copy: its database is destroyed and copied. Keep: it was
    /// the active when its peer was promoted without proof of its end; it is not destroyed.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// It was copied since the pair was whole.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rep_duplicate: Option<bool>,
}

/// An upgrade.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClassicUpgradeStatus {
    /// How far it is: UpgradingStandby, UpgradingActive or RollingBack.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub upgrade_state: Option<String>,
    /// The image has changed and pods have yet to be replaced.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub image_update_pending: Option<bool>,
    /// When it began, seconds since 1970.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub upgrade_start_time: Option<i64>,
    /// The last value of resetUpgradeState that was heeded.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_reset_upgrade_state: Option<String>,
    /// The image that pods are made with.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The image that the pair had when the one that is under way began.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub from_image: Option<String>,
    /// The image that it is to have.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub to_image: Option<String>,
    /// How often in a row the roles could not be changed for it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub tries: Option<i32>,
    /// The image that could not be upgraded to.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub failed_image: Option<String>,
    /// Why.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How the last one ended: Done or GivenUp.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// A sentence about that.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it ended.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub ended: Option<Time>,
}

/// The subscribers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriberStatus {
    /// How many are ready, in a word.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The word before.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_state: Option<String>,
    /// When that changed, seconds since 1970.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_state_switch: Option<i64>,
}

/// An irreversible act that is about to be done: on record before it is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IntentStatus {
    /// What is sent to the agent.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// The pod.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The UID of that pod.
    #[serde(
        rename = "podUID",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub pod_uid: Option<String>,
    /// The term it was decided in.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,
    /// A promotion for which the end of the old active is not proven.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub unproven: Option<bool>,
    /// Why.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub at: Option<Time>,
}

/// Planned changes of roles: the one that is under way, and how the last one ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SwitchoverStatus {
    /// The last value of switchover that was heeded.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prev_switchover: Option<String>,
    /// What brought about the one that is under way.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub occasion: Option<String>,
    /// How far it is: Quiesce, Handover or Undo.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// When it began.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub since: Option<Time>,
    /// How the last one ended: Done, GivenUp or Refused.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// A sentence about that.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it ended.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub ended: Option<Time>,
}

/// A failover.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastFailover {
    /// The pod that was the active.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The pod that became it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the failure was detected.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub detected_at: Option<Time>,
    /// When the old active was known to be fenced.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub fenced_at: Option<Time>,
    /// When the new one was seen to be ACTIVE.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub promoted_at: Option<Time>,
    /// When clients were sent to it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub routed_at: Option<Time>,
    /// When the pair was whole again.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub restored_at: Option<Time>,
}

/// A condition, as Kubernetes has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub type_: String,
    /// True, False or Unknown.
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// Why, in a word.
    #[serde(deserialize_with = "lenient")]
    pub reason: String,
    /// Why, in a sentence.
    #[serde(deserialize_with = "lenient")]
    pub message: String,
    /// When its status changed.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_transition_time: Option<Time>,
    /// The generation of the spec that it speaks of.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
