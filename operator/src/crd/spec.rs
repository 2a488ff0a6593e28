//! The spec: every field that users of Oracle's operator have, and what is ours.
//!
//! Sources of the defaults and ranges: Oracle's user's guide and the CRD of the public operator.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema;
use super::status::TimesTenClassicStatus;

/// An active standby pair of TimesTen Classic databases, or a number of independent ones.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "timesten.oracle.com",
    version = "v5",
    kind = "TimesTenClassic",
    plural = "timestenclassics",
    singular = "timestenclassic",
    shortname = "ttc",
    namespaced,
    status = "TimesTenClassicStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct TimesTenClassicSpec {
    /// What TimesTen is to be like.
    #[serde(default)]
    pub ttspec: TtSpec,
    /// A pod template that the operator's own pods are merged into. Containers named tt, daemonlog
    /// and exporter customise the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub template: Option<Value>,
    /// Further claim templates, for containers of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_objects")]
    pub volume_claim_templates: Option<Vec<Value>>,
}

/// Attributes of TimesTen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TtSpec {
    // Image, storage, placement
    /// The TimesTen image of all containers that the operator makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub image: Option<String>,
    /// The Secret that the image is pulled with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_secret: Option<String>,
    /// When the image is pulled. Default: IfNotPresent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(Always|IfNotPresent|Never)$"))]
    pub image_pull_policy: Option<String>,
    /// The storage class of the database's volume. Unset: the cluster's default class; an empty
    /// text: no dynamic provisioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// The size of the database's volume. Default: 50Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_size: Option<String>,
    /// Selects the database's volume by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub storage_selector: Option<Value>,
    /// The size of a volume of its own for transaction logs; unset: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_storage_size: Option<String>,
    /// The storage class of the log volume. Default: storageClassName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_storage_class_name: Option<String>,
    /// Selects the log volume by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub log_storage_selector: Option<Value>,
    /// The processor architecture of the nodes (amd64, arm64). Default: that of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Whether pods have a container that prints the daemon log. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon_log_sidecar: Option<bool>,

    // Topology and replication
    /// activeStandbyPair: two databases, one replicating to the other. none: independent ones.
    #[serde(default = "defaults::topology")]
    #[schemars(regex(pattern = r"^(activeStandbyPair|none)$"))]
    pub replication_topology: String,
    /// How many databases there are when replicationTopology is none. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: Option<i32>,
    /// The TCP port of replication. Default: 4444.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub rep_port: Option<i32>,
    /// The whole CREATE ACTIVE STANDBY PAIR statement, with {{tt-name}}, {{tt-node-0}},
    /// {{tt-node-1}}, {{tt-rep-port}} and the like substituted. Default: made from the fields below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rep_create_statement: Option<String>,
    /// The return service, such as RETURN TWOSAFE. Default: NO RETURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rep_return_service_attribute: Option<String>,
    /// The STORE attributes. Default: the port and FAILTHRESHOLD 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rep_store_attribute: Option<String>,
    /// Cipher suites of replication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_cipher_suite: Option<String>,
    /// 1: replication refuses peers without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    #[serde(rename = "replicationSSLMandatory")]
    pub replication_ssl_mandatory: Option<i32>,
    /// What happens when both databases fail: Best recovers from the better one, Manual waits for
    /// a human. Default: Best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(Best|Manual)$"))]
    pub both_down_behavior: Option<String>,
    /// When an active that cannot be asked may be replaced. RouteFenced: when no client is sent
    /// there any more, its pod's deletion is ordered and its peer has lost touch with it.
    /// Confirmed: only when its end is confirmed. Default: RouteFenced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(RouteFenced|Confirmed)$"))]
    pub fencing_policy: Option<String>,
    /// What becomes of commits that an old active took after its peer had been promoted without
    /// proof of its end. Keep: its database is left alone, and the pair has no standby, until a human
    /// has looked. Discard: it is destroyed and copied anew. Default: Keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(Keep|Discard)$"))]
    pub trapped_data: Option<String>,
    /// With replicationTopology none: what happens when the database of a pod that had one is gone.
    /// Manual waits for a human. Recreate creates an empty one, for data that can be had again.
    /// Default: Manual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(Manual|Recreate)$"))]
    pub database_lost_behavior: Option<String>,
    /// Seconds to wait for the pod with the best database after both have failed. Then the other
    /// database is made the active, and what it lacks is lost. Unset or 0: wait for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub waiting_for_active_timeout: Option<i32>,
    /// Read-only copies that the pair feeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<Subscribers>,
    /// How pods are replaced when replicationTopology is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// With replicationTopology none and imageUpgradeStrategy Auto: only pods with this ordinal or
    /// a higher one are upgraded. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub rolling_update_partition: Option<i32>,

    // Metadata files
    /// ConfigMaps whose entries become files in /ttconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub db_config_map: Option<Vec<String>>,
    /// Secrets whose entries become files in /ttconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub db_secret: Option<Vec<String>>,
    /// Whether objects of the cache in the Oracle database are removed when this object is deleted.
    #[serde(default = "defaults::yes")]
    pub cache_cleanup: bool,

    // Cadence and limits, in seconds
    /// Seconds between two looks at a healthy pair. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling_interval: Option<i32>,
    /// Seconds that an agent may be silent before its pod counts as down. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_timeout: Option<i32>,
    /// Seconds that a passing database or replication state is tolerated. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rep_state_timeout: Option<i32>,
    /// Seconds to connect to an agent; 0: no limit. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_tcp_timeout: Option<i32>,
    /// Seconds for the TLS handshake with an agent; 0: no limit. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_tls_timeout: Option<i32>,
    /// Seconds for a whole GET; 0: no limit. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_get_timeout: Option<i32>,
    /// Seconds for a whole POST; 0: no limit. Default: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_post_timeout: Option<i32>,
    /// Seconds for an asynchronous task such as a copy; 0: no limit. Default: agentPostTimeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_async_timeout: Option<i32>,
    /// Seconds that a pod may be down during an upgrade; 0: no limit. Default: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 21600))]
    pub upgrade_down_pod_timeout: Option<i32>,
    /// Seconds that pods get to end. Default: 10 in a pair, 300 otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub termination_grace_period: Option<i64>,
    /// Seconds that the node of a pair's standby may be not ready before its volumes there are
    /// deleted, if no other node can take it, so that it is copied anew elsewhere. Unset or 0: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub delete_db_on_not_ready_node: Option<i32>,

    // Switches: any change of the value counts
    /// Change it to make the operator keep its hands off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_managing: Option<String>,
    /// Change it to make the operator look again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reexamine: Option<String>,
    /// Change it to make the standby the active, with nothing lost; only in state Normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switchover: Option<String>,
    /// Change it to make the operator forget about an upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_upgrade_state: Option<String>,
    /// Who replaces the pods when the image changes. Default: Auto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(Manual|Auto)$"))]
    pub image_upgrade_strategy: Option<String>,

    // Memory and processors
    /// Whether the operator works out the memory of the containers.
    #[serde(default = "defaults::yes")]
    pub automatic_memory_requests: bool,
    /// Shared memory of the database. Default: from db.ini, else 554Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_memory_size: Option<String>,
    /// Memory beyond the database's.
    #[serde(default = "defaults::additional_memory")]
    pub additional_memory_request: String,
    /// Processors of container tt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "databaseCPURequest")]
    pub database_cpu_request: Option<String>,
    /// Whether the database uses huge pages of 2Mi.
    #[serde(default)]
    pub use_huge_pages: bool,
    /// Memory of container daemonlog.
    #[serde(default = "defaults::sidecar_memory")]
    pub daemon_log_memory_request: String,
    /// Processors of container daemonlog.
    #[serde(default = "defaults::sidecar_cpu", rename = "daemonLogCPURequest")]
    pub daemon_log_cpu_request: String,
    /// Memory of container exporter.
    #[serde(default = "defaults::sidecar_memory")]
    pub exporter_memory_request: String,
    /// Processors of container exporter.
    #[serde(default = "defaults::sidecar_cpu", rename = "exporterCPURequest")]
    pub exporter_cpu_request: String,
    /// Percentage of memory in use that raises a warning.
    #[serde(default = "defaults::memory_warning")]
    #[schemars(range(min = 0, max = 100))]
    pub memory_warning_percent: i32,

    // Containers
    /// The exporter of metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Whether replicated pods have a readiness probe of /tmp/active. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "createASReadinessProbe")]
    pub create_as_readiness_probe: Option<bool>,
    /// Whether the containers' root file systems are read-only. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_root_filesystem: Option<bool>,
    /// Certificates for TLS between clients and servers, made by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "clientTLS")]
    pub client_tls: Option<ClientTls>,
    /// TLS between clients and servers, with certificates of your own.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "customClientTLS")]
    pub custom_client_tls: Option<CustomClientTls>,

    // Internal
    /// Internal: handed through to agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zz_test_info: Option<String>,
    /// Internal: handed through to agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zz_agent_debug_info: Option<i32>,
}

impl Default for TtSpec {
    fn default() -> Self {
        // The same defaults that a manifest without any field gets.
        serde_json::from_value(Value::Object(serde_json::Map::new()))
            .unwrap_or_else(|_| unreachable!("every field of ttspec has a default"))
    }
}

/// The exporter of metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Whether pods have a container that exports metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<bool>,
    /// Its port.
    #[serde(default = "defaults::exporter_port")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: i32,
    /// Whether it speaks plain HTTP.
    #[serde(default)]
    pub insecure: bool,
    /// The most requests a second that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub limit_rate: Option<i32>,
    /// A Secret with the wallet of your own certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret: Option<String>,
    /// Whether a PodMonitor is made.
    #[serde(default = "defaults::yes")]
    pub create_pod_monitors: bool,
}

/// Read-only copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscribers {
    /// How many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub replicas: Option<i32>,
    /// How many there may ever be: they are named in the replication scheme. Default: replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub max_replicas: Option<i32>,
    /// The name of their StatefulSet. Default: the object's name and -sub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub name: Option<String>,
    /// Their pod template. Default: spec.template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub template: Option<Value>,
}

/// How pods are replaced when replicationTopology is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// RollingUpdate or OnDelete.
    #[serde(default = "defaults::rolling_update", rename = "type")]
    #[schemars(regex(pattern = r"^(RollingUpdate|OnDelete)$"))]
    pub type_: String,
    /// Details of RollingUpdate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
}

/// Details of a rolling update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollingUpdate {
    /// The same as rollingUpdatePartition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// How many pods may be unavailable at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_text")]
    pub max_unavailable: Option<Value>,
}

/// Certificates for clients, made by the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// Whether they are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
    /// Cipher suites, in order of preference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphersuites: Option<String>,
    /// The curve: p256, p384 or p521.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(p256|p384|p521)$"))]
    pub eccurve: Option<String>,
    /// accepted, rejected, requested or required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(accepted|rejected|requested|required)$"))]
    pub encryption: Option<String>,
    /// The signature algorithm, such as ecdsasha384.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_alg: Option<String>,
    /// Days of validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<i32>,
}

/// Certificates for clients, of your own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomClientTls {
    /// Cipher suites, in order of preference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphersuites: Option<String>,
    /// accepted, rejected, requested or required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(accepted|rejected|requested|required)$"))]
    pub encryption: Option<String>,
}

mod defaults {
    pub(super) fn topology() -> String {
        "activeStandbyPair".into()
    }
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn additional_memory() -> String {
        "2Gi".into()
    }
    pub(super) fn sidecar_memory() -> String {
        "200Mi".into()
    }
    pub(super) fn sidecar_cpu() -> String {
        "200m".into()
    }
    pub(super) fn memory_warning() -> i32 {
        90
    }
    pub(super) fn exporter_port() -> i32 {
        8888
    }
    pub(super) fn rolling_update() -> String {
        "RollingUpdate".into()
    }
}
