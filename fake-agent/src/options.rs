//! What a fleet is made with: how long things take, how contact is judged, and what a container
//! is started from. Plain data; nothing here acts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long the agent and TimesTen take. Defaults are those of a small database.
#[derive(Clone, Debug)]
pub struct Durations {
    /// From container start until the agent listens.
    pub agent_start: Duration,
    /// `GET /agent` and `GET /agent/status`.
    pub get: Duration,
    /// `startDaemon`.
    pub start_daemon: Duration,
    /// `createDb`.
    pub create_db: Duration,
    /// `openDb` and `closeDb`.
    pub open_close: Duration,
    /// `createRepScheme`.
    pub create_rep_scheme: Duration,
    /// `destroyDb` and `stopDaemon`.
    pub destroy_db: Duration,
    /// `repDuplicate`, before the first byte.
    pub duplicate_base: Duration,
    /// `repDuplicate`: bytes copied per second, on top of the base.
    pub duplicate_bytes_per_second: u64,
    /// `startRepAgent`.
    pub start_rep_agent: Duration,
    /// From contact with the active until a copy without backlog is STANDBY.
    pub to_standby: Duration,
    /// Catching up: commits applied per second.
    pub catch_up_per_second: u64,
    /// `repStateSetActive`.
    pub rep_state_set_active: Duration,
    /// `loadDb`.
    pub load_db: Duration,
    /// Every other verb.
    pub other: Duration,
    /// From SIGTERM until the container has ended.
    pub terminate: Duration,
    /// How often a volume with `durable: false` flushes its log.
    pub log_flush: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            agent_start: ms(1000),
            get: ms(5),
            start_daemon: ms(500),
            create_db: ms(1000),
            open_close: ms(100),
            create_rep_scheme: ms(300),
            destroy_db: ms(200),
            duplicate_base: ms(4000),
            duplicate_bytes_per_second: 100_000_000,
            start_rep_agent: ms(300),
            to_standby: ms(500),
            catch_up_per_second: 50_000,
            rep_state_set_active: ms(200),
            load_db: ms(1000),
            other: ms(20),
            terminate: ms(500),
            log_flush: ms(200),
        }
    }
}

impl Durations {
    /// The same agent, `n` times as fast. `n` of 0 counts as 1.
    #[must_use]
    pub fn divided_by(mut self, n: u32) -> Self {
        let n = n.max(1);
        for duration in [
            &mut self.agent_start,
            &mut self.get,
            &mut self.start_daemon,
            &mut self.create_db,
            &mut self.open_close,
            &mut self.create_rep_scheme,
            &mut self.destroy_db,
            &mut self.duplicate_base,
            &mut self.start_rep_agent,
            &mut self.to_standby,
            &mut self.rep_state_set_active,
            &mut self.load_db,
            &mut self.other,
            &mut self.terminate,
            &mut self.log_flush,
        ] {
            *duration /= n;
        }
        self.duplicate_bytes_per_second =
            self.duplicate_bytes_per_second.saturating_mul(u64::from(n));
        self.catch_up_per_second = self.catch_up_per_second.saturating_mul(u64::from(n));
        self
    }
}

/// How `repPeerPState` answers while the peer cannot be contacted.
///
/// Real TimesTen keeps saying what it was told (`TTREP.REPPEERS`); whether Oracle's agent looks at
/// the age of the last message as well is not published. Both are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerView {
    /// The stored state only.
    AsTold,
    /// A stored `start` reads `stop` once contact, after having existed, is lost for this long.
    FollowsContact(Duration),
}

/// Wall-clock time in Unix seconds, for the times in replies.
pub type UnixTime = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Options of a whole fleet.
#[derive(Clone)]
pub struct FleetOptions {
    /// How long things take.
    pub durations: Durations,
    /// Wall clock for `started`, `updated`, `ended` of tasks and for log lines.
    pub unix_time: UnixTime,
    /// Seed of every generated number (process ids); same seed, same bytes.
    pub seed: u64,
    /// How the peer's state is told.
    pub peer_view: PeerView,
    /// One-way delay of replication traffic unless a link says otherwise.
    pub latency: Duration,
    /// `true`: a commit is on disk when it is acknowledged. `false`: the tail that was neither
    /// flushed nor sent is lost in a crash (TimesTen's `DurableCommits=0`).
    pub durable: bool,
    /// Log bytes per commit, for backlog, fail threshold and copy time.
    pub commit_bytes: u64,
    /// Size of a new database in bytes, for copy time.
    pub database_bytes: u64,
    /// How long an active keeps the log of a peer declared failed.
    pub failed_log_retention: Duration,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            durations: Durations::default(),
            unix_time: Arc::new(|| 0),
            seed: 0,
            peer_view: PeerView::FollowsContact(Duration::from_secs(2)),
            latency: Duration::from_millis(1),
            durable: true,
            commit_bytes: 1024,
            database_bytes: 0,
            failed_log_retention: Duration::from_secs(600),
        }
    }
}

impl fmt::Debug for FleetOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetOptions")
            .field("durations", &self.durations)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// What the agent Secret holds, as mounted at `/ttagent`: one certificate and key used on both
/// sides, the Basic-auth pair, and the database user of the agent.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `tls.crt`: PEM certificate, its own trust anchor.
    pub certificate: Vec<u8>,
    /// `tls.key`: PEM private key, PKCS#8.
    pub key: Vec<u8>,
    /// `httpUser`.
    pub http_user: String,
    /// `httpPassword`.
    pub http_password: String,
    /// `agentUser`.
    pub agent_user: String,
    /// `agentPassword`.
    pub agent_password: String,
}

/// The Secret lacks something the agent needs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CredentialsError {
    /// A data key is absent.
    #[error("the agent Secret has no key `{0}`: mount a Secret made by the operator at /ttagent")]
    Missing(&'static str),
    /// A text entry is not UTF-8.
    #[error("`{0}` of the agent Secret is not UTF-8 text: make the Secret anew")]
    NotText(&'static str),
}

impl Credentials {
    /// Reads them from Secret data (or the files of the mounted volume).
    ///
    /// # Errors
    /// A key is missing or not text.
    pub fn from_files(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, CredentialsError> {
        let bytes =
            |key: &'static str| files.get(key).cloned().ok_or(CredentialsError::Missing(key));
        let text = |key: &'static str| {
            String::from_utf8(bytes(key)?).map_err(|_| CredentialsError::NotText(key))
        };
        Ok(Self {
            certificate: bytes("tls.crt")?,
            key: bytes("tls.key")?,
            http_user: text("httpUser")?,
            http_password: text("httpPassword")?,
            agent_user: text("agentUser")?,
            agent_password: text("agentPassword")?,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// A `tt` container to start.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// The pod's FQDN: its name for replication and in the certificate.
    pub host: String,
    /// The persistent volume (claim name or uid); made empty at first use.
    pub volume: String,
    /// The files of `/ttconfig`.
    pub config: BTreeMap<String, Vec<u8>>,
    /// The files of `/ttagent`. Without them there is no TLS identity: `serve` refuses, and
    /// `handle` asks for no password.
    pub credentials: Option<Credentials>,
    /// Environment of the container. `TT_DB_NAME` names the database if a request does not.
    pub env: BTreeMap<String, String>,
    /// TimesTen release of the image, such as `22.1.1.22.0`.
    pub release: String,
}

impl ContainerSpec {
    /// A container with nothing configured, of the default release.
    #[must_use]
    pub fn new(host: &str, volume: &str) -> Self {
        Self {
            host: host.to_owned(),
            volume: volume.to_owned(),
            config: BTreeMap::new(),
            credentials: None,
            env: BTreeMap::new(),
            release: "22.1.1.22.0".to_owned(),
        }
    }
}
