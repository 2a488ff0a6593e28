//! The spec, believed once: a value in which everything doubtful is settled.
//!
//! Never: asks anybody. Later code has nothing left to check, and nothing to unwrap.

mod names;
mod pod_template;
mod policy;
mod quantity;
mod replication;
mod subscribers;
mod timeouts;
mod topology;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use names::{ObjectNames, Owner};
pub use policy::{BothDownBehavior, DatabaseLost, FencingPolicy, ImageUpgrades, TrappedData};
pub use quantity::Bytes;
pub use subscribers::Subscribers;
pub use timeouts::Timeouts;
pub use topology::{Replaced, Topology};

use crate::crd::{Prometheus, TimesTenClassic, TtSpec};
use quantity::{bytes, processors};

/// A mistake in the spec: the field, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: {problem}; {cure}")]
pub struct SpecProblem {
    /// The path of the field.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl SpecProblem {
    fn new(field: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), cure: cure.into() }
    }
}

/// Which of two words is written; the first is meant where none is. An unknown one is refused: to
/// guess could be the less cautious choice.
fn choice<T>(
    field: &str,
    written: Option<&str>,
    [(first, by_default), (second, other)]: [(&str, T); 2],
) -> Result<T, SpecProblem> {
    match written {
        None => Ok(by_default),
        Some(word) if word == first => Ok(by_default),
        Some(word) if word == second => Ok(other),
        Some(word) => {
            let problem = format!("{word:?} is not known");
            Err(SpecProblem::new(field, problem, format!("write {first} or {second}")))
        }
    }
}

/// The spec, believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Whose it is.
    pub owner: Owner,
    /// How the databases belong together.
    pub topology: Topology,
    /// Read-only copies that the pair feeds.
    pub subscribers: Option<Subscribers>,
    /// The TimesTen image.
    pub image: String,
    /// When it is pulled.
    pub image_pull_policy: String,
    /// The Secret that it is pulled with.
    pub image_pull_secret: Option<String>,
    /// The database's volume, and that of its logs if it is another.
    pub storage: Storage,
    /// The log volume.
    pub log_storage: Option<Storage>,
    /// The user's pod template.
    pub template: PodTemplateSpec,
    /// The user's claims.
    pub claims: Vec<PersistentVolumeClaim>,
    /// The processor architecture of the nodes.
    pub arch: String,
    /// Pods have a container that prints the daemon log.
    pub daemon_log: bool,
    /// The exporter, if there is one.
    pub exporter: Option<Exporter>,
    /// The port of replication.
    pub rep_port: u16,
    /// Memory and processors.
    pub resources: Resources,
    /// ConfigMaps and Secrets whose entries become files in /ttconfig.
    pub metadata: Metadata,
    /// Seconds that pods get to end.
    pub grace: i64,
    /// Replicated pods have the readiness probe of /tmp/active.
    pub readiness_probe: bool,
    /// The containers' root file systems are read-only.
    pub read_only_root: bool,
    /// What replication asks of TLS: cipher suites, and whether it is mandatory.
    pub replication_tls: (Option<String>, Option<i32>),
    /// How long to be patient.
    pub timeouts: Timeouts,
    /// When an active that cannot be asked may be replaced.
    pub fencing_policy: FencingPolicy,
    /// What becomes of commits that only an old active has.
    pub trapped_data: TrappedData,
    /// What happens when both databases fail.
    pub both_down_behavior: BothDownBehavior,
    /// What happens when a pod without replication has lost its database.
    pub database_lost: DatabaseLost,
    /// What cache groups made in the Oracle database is removed with the object.
    pub cache_cleanup: bool,
    /// Who replaces the pods of a pair when the image changes.
    pub image_upgrades: ImageUpgrades,
    /// The switch `resetUpgradeState`.
    pub reset_upgrade_state: String,
    /// The switch `stopManaging`.
    pub stop_managing: String,
    /// The switch `reexamine`.
    pub reexamine: String,
    /// The switch `switchover`.
    pub switchover: String,
    /// Handed through to agents.
    pub zz_test_info: Option<String>,
    /// Handed through to agents.
    pub zz_agent_debug_info: i64,
    rep_create_statement: String,
    unsupported: Vec<Unsupported>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// Its class; unset: the cluster's default.
    pub class: Option<String>,
    /// Its size, as the user wrote it.
    pub size: String,
    /// Which one, by label.
    pub selector: Option<LabelSelector>,
}

/// The exporter of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exporter {
    /// Its port.
    pub port: i32,
    /// The most requests a second that it answers.
    pub limit_rate: Option<i32>,
    /// The user's Secret with its certificate.
    pub cert_secret: Option<String>,
    /// Its memory.
    pub memory: String,
    /// Its processors.
    pub cpu: String,
}

/// Memory and processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    /// The operator works them out.
    pub automatic: bool,
    /// Shared memory of the database, if the user says it.
    pub database: Option<Bytes>,
    /// Memory beyond it.
    pub additional: Bytes,
    /// Processors of container tt.
    pub database_cpu: Option<String>,
    /// The database uses huge pages of 2Mi.
    pub huge_pages: bool,
    /// Memory of container daemonlog.
    pub daemon_log_memory: String,
    /// Processors of container daemonlog.
    pub daemon_log_cpu: String,
}

/// A field that is given and that this version does not act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Its path in the spec.
    pub field: &'static str,
    /// What can be done instead.
    pub cure: &'static str,
}

/// Where the files in /ttconfig come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// ConfigMaps.
    pub config_maps: Vec<String>,
    /// Secrets.
    pub secrets: Vec<String>,
}

impl Desired {
    /// Believes the spec of an object.
    ///
    /// # Errors
    /// The first mistake that is found.
    pub fn of(object: &TimesTenClassic) -> Result<Self, SpecProblem> {
        let tt = &object.spec.ttspec;
        let owner = Owner::of(object)?;
        let template: PodTemplateSpec = read("template", object.spec.template.as_ref())?;
        pod_template::check(&template)?;
        let rep_port = free_port("ttspec.repPort", tt.rep_port.unwrap_or(4444))?;
        let topology = Topology::of(tt)?;
        Ok(Self {
            rep_create_statement: replication::statement(&owner, tt, rep_port),
            unsupported: unsupported(tt, topology),
            subscribers: Subscribers::of(tt, &owner, topology)?,
            topology,
            image: image(tt)?,
            image_pull_policy: word(&tt.image_pull_policy, "IfNotPresent"),
            image_pull_secret: tt.image_pull_secret.clone().filter(|name| !name.is_empty()),
            storage: storage(tt)?,
            log_storage: log_storage(tt)?,
            template,
            claims: object
                .spec
                .volume_claim_templates
                .iter()
                .flatten()
                .map(|claim| read("volumeClaimTemplates", Some(claim)))
                .collect::<Result<_, _>>()?,
            arch: arch(tt)?,
            daemon_log: tt.daemon_log_sidecar.unwrap_or(true),
            exporter: exporter(tt, rep_port)?,
            rep_port,
            resources: resources(tt)?,
            metadata: Metadata {
                config_maps: tt.db_config_map.clone().unwrap_or_default(),
                secrets: tt.db_secret.clone().unwrap_or_default(),
            },
            grace: tt.termination_grace_period.unwrap_or(match topology {
                Topology::ActiveStandbyPair => 10,
                Topology::NonReplicated { .. } => 300,
            }),
            readiness_probe: tt.create_as_readiness_probe.unwrap_or(true),
            read_only_root: tt.read_only_root_filesystem.unwrap_or(false),
            replication_tls: (tt.replication_cipher_suite.clone(), tt.replication_ssl_mandatory),
            timeouts: Timeouts::of(tt),
            fencing_policy: policy::fencing(tt)?,
            trapped_data: policy::trapped(tt)?,
            both_down_behavior: policy::both_down(tt)?,
            database_lost: policy::database_lost(tt)?,
            cache_cleanup: tt.cache_cleanup,
            image_upgrades: policy::image_upgrades(tt)?,
            reset_upgrade_state: tt.reset_upgrade_state.clone().unwrap_or_default(),
            stop_managing: tt.stop_managing.clone().unwrap_or_default(),
            reexamine: tt.reexamine.clone().unwrap_or_default(),
            switchover: tt.switchover.clone().unwrap_or_default(),
            zz_test_info: tt.zz_test_info.clone(),
            zz_agent_debug_info: tt.zz_agent_debug_info.unwrap_or_default().into(),
            owner,
        })
    }

    /// The statement that the replication scheme is created with.
    #[must_use]
    pub fn rep_create_statement(&self) -> String {
        self.rep_create_statement.clone()
    }

    /// Fields that are given and that this version does not act on.
    pub fn unsupported(&self) -> impl Iterator<Item = &Unsupported> {
        self.unsupported.iter()
    }

    /// How many pods there are.
    #[must_use]
    pub const fn replicas(&self) -> i32 {
        match self.topology {
            Topology::ActiveStandbyPair => 2,
            Topology::NonReplicated { replicas, .. } => replicas,
        }
    }

    /// The names of all pods, those of subscribers last.
    pub fn pods(&self) -> impl Iterator<Item = String> + '_ {
        let members = (0..self.replicas()).map(|ordinal| format!("{}-{ordinal}", self.name()));
        members.chain(self.subscribers.iter().flat_map(Subscribers::pods))
    }

    /// The object's own labels, for everything that is made of it.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.owner.labels
    }
}

fn unsupported(tt: &TtSpec, topology: Topology) -> Vec<Unsupported> {
    let tls = "take it out; set the attributes in db.ini and bring the wallet as csWallet";
    let node = "take it out: without replication no pod has a copy of another's database";
    let alone = topology != Topology::ActiveStandbyPair;
    let given = [
        (tt.client_tls.is_some(), "ttspec.clientTLS", tls),
        (tt.custom_client_tls.is_some(), "ttspec.customClientTLS", tls),
        (alone && tt.delete_db_on_not_ready_node.is_some(), "ttspec.deleteDbOnNotReadyNode", node),
    ];
    let unsupported = |(_, field, cure)| Unsupported { field, cure };
    given.into_iter().filter(|(given, ..)| *given).map(unsupported).collect()
}

fn image(tt: &TtSpec) -> Result<String, SpecProblem> {
    tt.image.clone().filter(|image| !image.trim().is_empty()).ok_or_else(|| {
        let cure = "write the name of a TimesTen image, such as \
                    container-registry.oracle.com/timesten/timesten:22.1.1.36.0";
        SpecProblem::new("ttspec.image", "is missing", cure)
    })
}

fn storage(tt: &TtSpec) -> Result<Storage, SpecProblem> {
    let size = word(&tt.storage_size, "50Gi");
    bytes("ttspec.storageSize", &size)?;
    Ok(Storage {
        class: tt.storage_class_name.clone(),
        size,
        selector: selector("ttspec.storageSelector", tt.storage_selector.as_ref())?,
    })
}

fn log_storage(tt: &TtSpec) -> Result<Option<Storage>, SpecProblem> {
    let Some(size) = tt.log_storage_size.clone() else { return Ok(None) };
    bytes("ttspec.logStorageSize", &size)?;
    Ok(Some(Storage {
        class: tt.log_storage_class_name.clone().or_else(|| tt.storage_class_name.clone()),
        size,
        selector: selector("ttspec.logStorageSelector", tt.log_storage_selector.as_ref())?,
    }))
}

fn selector(field: &str, value: Option<&Value>) -> Result<Option<LabelSelector>, SpecProblem> {
    value.map(|value| read(field, Some(value))).transpose()
}

fn arch(tt: &TtSpec) -> Result<String, SpecProblem> {
    let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    match tt.arch.as_deref().unwrap_or(own) {
        known @ ("amd64" | "arm64") => Ok(known.to_owned()),
        other => Err(SpecProblem::new(
            "ttspec.arch",
            format!("there is no TimesTen for {other:?}"),
            "write amd64 or arm64",
        )),
    }
}

/// The exporter is there when `publish` says so, or when anything else of it is given.
fn exporter(tt: &TtSpec, rep_port: u16) -> Result<Option<Exporter>, SpecProblem> {
    let Some(prometheus) = &tt.prometheus else { return Ok(None) };
    let Prometheus { publish, port, limit_rate, cert_secret, .. } = prometheus;
    if *publish == Some(false) {
        return Ok(None);
    }
    bytes("ttspec.exporterMemoryRequest", &tt.exporter_memory_request)?;
    processors("ttspec.exporterCPURequest", &tt.exporter_cpu_request)?;
    if free_port("ttspec.prometheus.port", *port)? == rep_port {
        let problem = format!("{port} is the port of replication");
        return Err(SpecProblem::new("ttspec.prometheus.port", problem, "write another port"));
    }
    Ok(Some(Exporter {
        port: *port,
        limit_rate: *limit_rate,
        cert_secret: cert_secret.clone(),
        memory: tt.exporter_memory_request.clone(),
        cpu: tt.exporter_cpu_request.clone(),
    }))
}

fn resources(tt: &TtSpec) -> Result<Resources, SpecProblem> {
    let database = tt.database_memory_size.as_deref();
    bytes("ttspec.daemonLogMemoryRequest", &tt.daemon_log_memory_request)?;
    processors("ttspec.daemonLogCPURequest", &tt.daemon_log_cpu_request)?;
    if let Some(cpu) = &tt.database_cpu_request {
        processors("ttspec.databaseCPURequest", cpu)?;
    }
    Ok(Resources {
        automatic: tt.automatic_memory_requests,
        database: database.map(|size| bytes("ttspec.databaseMemorySize", size)).transpose()?,
        additional: bytes("ttspec.additionalMemoryRequest", &tt.additional_memory_request)?,
        database_cpu: tt.database_cpu_request.clone(),
        huge_pages: tt.use_huge_pages,
        daemon_log_memory: tt.daemon_log_memory_request.clone(),
        daemon_log_cpu: tt.daemon_log_cpu_request.clone(),
    })
}

/// A port that TimesTen has not taken for its agent, its daemon or client/server.
fn free_port(field: &str, number: i32) -> Result<u16, SpecProblem> {
    const TAKEN: [u16; 3] = [8443, 6624, 6625];
    let free = |port: &u16| *port >= 1024 && !TAKEN.contains(port);
    u16::try_from(number).ok().filter(free).ok_or_else(|| {
        let cure = "write a port from 1024 to 65535 that is not 6624, 6625 or 8443";
        SpecProblem::new(field, format!("{number} is no port that can be used"), cure)
    })
}

fn word(value: &Option<String>, default: &str) -> String {
    value.clone().unwrap_or_else(|| default.to_owned())
}

/// Reads what Kubernetes describes.
fn read<T: DeserializeOwned + Default>(
    field: &str,
    value: Option<&Value>,
) -> Result<T, SpecProblem> {
    let Some(value) = value else { return Ok(T::default()) };
    serde_json::from_value(value.clone()).map_err(|error| {
        let cure = "see `kubectl explain statefulset.spec` for what may stand there";
        SpecProblem::new(field, error.to_string(), cure)
    })
}

/// The name of an object, for messages.
#[must_use]
pub fn name_of(object: &TimesTenClassic) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}
