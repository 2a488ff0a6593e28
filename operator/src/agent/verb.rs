//! The verbs an agent knows: names, own parameters, and how dangerous each is.

use std::time::Duration;

/// One action of an agent, with the parameters of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Start the main daemon and the server.
    StartDaemon,
    /// Stop the main daemon; ends every connection in the pod.
    StopDaemon,
    /// Create the database and its users, run `schema.sql`, leave it loaded.
    CreateDb,
    /// Load the database into memory.
    LoadDb,
    /// Open the database for users.
    OpenDb,
    /// Close the database for users.
    CloseDb,
    /// Disconnect user connections.
    ForceDisconnect {
        /// How much the users are given.
        urgency: Urgency,
    },
    /// Wait until the standby has acknowledged everything.
    RepAdminWait {
        /// How long the agent waits; sent in whole seconds.
        timeout: Duration,
    },
    /// Destroy the database of this pod.
    DestroyDb,
    /// Duplicate the database from the active (subscribers: from the standby). Asynchronous.
    RepDuplicate,
    /// Run `cachegroups.sql`. Asynchronous.
    CreateCg,
    /// Drop all cache groups.
    DropCg,
    /// Create the replication scheme, become ACTIVE, start the replication agent.
    CreateRepScheme {
        /// The whole `CREATE ACTIVE STANDBY PAIR` statement.
        statement: String,
    },
    /// Drop the replication scheme.
    DropRepScheme,
    /// Run `epilog.sql` if there is one.
    CreateRepEpilog,
    /// Start the replication agent.
    StartRepAgent,
    /// Stop the replication agent.
    StopRepAgent,
    /// Become ACTIVE, replication agent running. The promotion.
    RepStateSetActive,
    /// Record on the active that the standby has failed.
    RepStateSave,
    /// ACTIVE to IDLE, best effort.
    RepDeactivate,
    /// Set the peer's replication state to start.
    SetSubStateStart,
    /// Start the cache agent.
    StartCacheAgent,
    /// Stop the cache agent.
    StopCacheAgent,
    /// Remove what the cache left behind in the Oracle database.
    CleanupCache(CacheCleanup),
    /// Create `/tmp/readiness`.
    SetReadiness,
    /// Remove `/tmp/readiness`.
    ClearReadiness,
    /// Create `/tmp/active`.
    SetActive,
    /// Remove `/tmp/active`.
    ClearActive,
    /// Remove the marker of a failed in-place upgrade (not replicated).
    RemoveNonRepUpgradeFailedFile,
    /// End the agent, so that its container restarts. The reply is not read.
    Die,
    /// Ask whether the preStop hook is unloading the database.
    CheckNonRepQuiesce,
}

/// How forcefully user connections are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// When their transaction ends.
    Transactional,
    /// Now.
    Immediate,
}

/// What `cleanupCache` is told of the pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheCleanup {
    /// `status.highLevelState` when the object was deleted.
    pub state: String,
    /// The role of the addressed pod.
    pub side: CleanupSide,
    /// The pod that reports ACTIVE.
    pub active_pod: String,
    /// The pod that reports STANDBY.
    pub standby_pod: String,
    /// Also run the Oracle-side clean-up script, for the addressed pod and for this other one.
    pub also_for: Option<String>,
}

/// The role of the pod that cleans up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanupSide {
    /// It reports ACTIVE.
    Active,
    /// It reports STANDBY.
    Standby,
}

/// The limit of the four verbs that only touch a marker file.
const MARKER_LIMIT: Duration = Duration::from_secs(5);

/// The limit of those that keep clients out: users wait meanwhile.
const QUIESCE_LIMIT: Duration = Duration::from_secs(10);

impl Verb {
    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::StartDaemon => "startDaemon",
            Self::StopDaemon => "stopDaemon",
            Self::CreateDb => "createDb",
            Self::LoadDb => "loadDb",
            Self::OpenDb => "openDb",
            Self::CloseDb => "closeDb",
            Self::ForceDisconnect { .. } => "doForceDisconnect",
            Self::RepAdminWait { .. } => "doRepAdminWait",
            Self::DestroyDb => "destroyDb",
            Self::RepDuplicate => "repDuplicate",
            Self::CreateCg => "createCg",
            Self::DropCg => "dropCg",
            Self::CreateRepScheme { .. } => "createRepScheme",
            Self::DropRepScheme => "dropRepScheme",
            Self::CreateRepEpilog => "createRepEpilog",
            Self::StartRepAgent => "startRepAgent",
            Self::StopRepAgent => "stopRepAgent",
            Self::RepStateSetActive => "repStateSetActive",
            Self::RepStateSave => "repStateSave",
            Self::RepDeactivate => "repDeactivate",
            Self::SetSubStateStart => "setSubStateStart",
            Self::StartCacheAgent => "startCacheAgent",
            Self::StopCacheAgent => "stopCacheAgent",
            Self::CleanupCache(_) => "cleanupCache",
            Self::SetReadiness => "setReadiness",
            Self::ClearReadiness => "clearReadiness",
            Self::SetActive => "setActive",
            Self::ClearActive => "clearActive",
            Self::RemoveNonRepUpgradeFailedFile => "removeNonRepUpgradeFailedFile",
            Self::Die => "die",
            Self::CheckNonRepQuiesce => "checkNonRepQuiesce",
        }
    }

    /// The older spelling some agents know instead; tried once when they answer 255.
    pub(super) fn alias(&self) -> Option<&'static str> {
        matches!(self, Self::SetSubStateStart).then_some("setSubStartStart")
    }

    /// What an error says the agent failed at.
    pub(super) fn phrase(&self) -> &'static str {
        match self {
            Self::CreateDb => "creating db",
            Self::OpenDb => "opening db",
            Self::CloseDb => "closing db",
            Self::CreateRepEpilog => "running epilog.sql",
            Self::CreateRepScheme { .. } => "creating replication scheme",
            Self::RepAdminWait { .. } => "calling repAdminWait",
            _ => "",
        }
    }

    /// Whether it is started under a [`TaskId`](super::TaskId) and polled.
    #[must_use]
    pub fn is_async(&self) -> bool {
        matches!(self, Self::RepDuplicate | Self::CreateCg)
    }

    /// Its own limit for the whole round trip, in place of the object's POST limit.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        match self {
            marker if marker.is_marker() => Some(MARKER_LIMIT),
            Self::CloseDb | Self::ForceDisconnect { .. } => Some(QUIESCE_LIMIT),
            Self::RepAdminWait { timeout } => Some(*timeout + QUIESCE_LIMIT),
            _ => None,
        }
    }

    /// Whether it only touches a marker file: the database is as before.
    #[must_use]
    pub const fn is_marker(&self) -> bool {
        matches!(
            self,
            Self::SetReadiness | Self::ClearReadiness | Self::SetActive | Self::ClearActive
        )
    }

    /// Whether it removes data that may exist nowhere else.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        matches!(self, Self::DestroyDb | Self::DropCg | Self::DropRepScheme | Self::CleanupCache(_))
    }

    /// Whether it cannot be taken back: it needs a durable intent and a fresh look before it.
    #[must_use]
    pub fn is_irreversible(&self) -> bool {
        self.is_destructive()
            || matches!(
                self,
                Self::RepDuplicate
                    | Self::RepStateSetActive
                    | Self::RepStateSave
                    | Self::RepDeactivate
                    | Self::CreateDb
                    | Self::CreateRepScheme { .. }
            )
    }
}

impl Urgency {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Immediate => "immediate",
        }
    }
}

impl CleanupSide {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Standby => "standby",
        }
    }
}
