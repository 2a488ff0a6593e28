//! TimesTen as a model: volumes with a database on disk, running containers with the database in
//! memory, and replication between them. Knows nothing of HTTP or JSON.

pub(crate) mod commits;
pub(crate) mod container;
pub(crate) mod copies;
pub(crate) mod database;
pub(crate) mod history;
pub(crate) mod instance;
pub(crate) mod oracle;
pub(crate) mod replication;
pub(crate) mod roles;
pub(crate) mod scheme;
pub(crate) mod sql;
pub(crate) mod subscribers;

/// A failure as TimesTen tells it: native error number and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TtError {
    pub errno: i64,
    pub message: String,
}

/// The outcome of an order to TimesTen.
pub(crate) type TtResult<T = ()> = Result<T, TtError>;

impl TtError {
    /// `TTnnnn: text`, errno nnnn.
    pub(crate) fn tt(code: i64, text: &str) -> Self {
        Self { errno: code, message: format!("TT{code:04}: {text}") }
    }

    /// A failure of a utility rather than of the database: errno 1.
    pub(crate) fn other(text: impl Into<String>) -> Self {
        Self { errno: 1, message: text.into() }
    }

    pub(crate) fn no_daemon() -> Self {
        Self::tt(799, "Unable to connect to daemon; check daemon status")
    }

    pub(crate) fn no_database() -> Self {
        Self::tt(833, "Cannot connect to a non-existent data store: no AutoCreate")
    }

    pub(crate) fn unloaded() -> Self {
        Self::tt(707, "Attempt to connect to a data store that has been manually unloaded from RAM")
    }
}
