//! The agent that runs beside each TimesTen instance: what can be asked of it and what it can say.
//!
//! Owns the wire (TLS, HTTP, form encoding, lenient decoding, masking) and the meaning of a reply
//! ([`Facts`]). Never decides what to do with it, and never remembers one reply for the next.

mod call;
mod client;
mod connect;
mod error;
mod exchange;
mod facts;
mod json;
mod mask;
mod messages;
mod pool;
mod verb;
mod wire;
mod words;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use call::{Call, Roles};
pub use client::HttpsAgent;
pub use connect::{Connection, Connector, KEEPALIVE, KEEPALIVE_INTERVAL, tcp_connector};
pub use error::{AgentError, How, Outcome, Phase};
pub use facts::{Facts, Files, LogPosition, Memory};
pub use mask::{MASK, mask};
pub use messages::timesten_error;
pub use verb::{CacheCleanup, CleanupSide, Urgency, Verb};
pub use wire::{CacheGroup, Started, StatusReply, TaskReport, VerbReply};
pub use words::{Daemon, Db, Instance, PeerState, RepScheme, RepState, RunState};

use crate::credentials::Credentials;

/// The port an agent listens on.
pub const PORT: u16 = 8443;

/// Where an agent is reached and who it must prove to be.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The pod's full name in DNS; the agent's certificate must be valid for it.
    pub host: String,
    /// The pod's UID: connections of a replaced pod are never used for its successor.
    pub pod_uid: String,
    /// The object the agent belongs to.
    pub object: ObjectContext,
    /// Trust anchor, client certificate and HTTP credentials of that object.
    pub credentials: Arc<Credentials>,
    /// Time limits of that object.
    pub limits: Limits,
}

/// What every request tells the agent about the object it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectContext {
    /// `metadata.name`, in full.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// Database name and DSN: the object's name, cut at its first `-`.
    pub db_name: String,
    /// `spec.ttspec.zzTestInfo`, handed through as it is.
    pub zz_test_info: Option<String>,
    /// `spec.ttspec.zzAgentDebugInfo`, default 0.
    pub zz_agent_debug_info: i64,
}

/// Time limits of one object's requests. `None` means no limit (`0` in the manifest).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Name resolution and TCP connect.
    pub tcp: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// A whole GET: connect, TLS, the agent's work, the body. Also every poll of a task.
    pub get: Option<Duration>,
    /// A whole POST. A verb with a limit of its own ([`Verb::limit`]) ignores it.
    pub post: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = |s| Some(Duration::from_secs(s));
        Self { tcp: seconds(10), tls: seconds(10), get: seconds(60), post: seconds(600) }
    }
}

/// Names one asynchronous task: an `X-Request-Id`, a version 4 UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(String);

impl TaskId {
    /// A new id out of 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let mut number = u128::from_be_bytes(bytes);
        number = number & !(0xf << 76) | (0x4 << 76);
        number = number & !(0x3 << 62) | (0x2 << 62);
        let part = |shift: u32, digits: u32| {
            let bits = (number >> shift) & ((1 << (digits * 4)) - 1);
            format!("{bits:0width$x}", width = digits as usize)
        };
        Self([part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12)].join("-"))
    }

    /// An id read back from the object's status.
    #[must_use]
    pub fn from_status(id: &str) -> Option<Self> {
        let sendable = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (!id.is_empty() && id.len() <= 64 && id.bytes().all(sendable)).then(|| Self(id.to_owned()))
    }

    /// The id as it is sent and stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the operator asks of agents. Production: [`HttpsAgent`].
///
/// No method retries a verb: repeating is the caller's decision, taken on what
/// [`AgentError::outcome`] says.
pub trait Agent: Send + Sync + 'static {
    /// `GET /agent`: what the agent sees.
    fn status(&self, at: &Endpoint)
    -> impl Future<Output = Result<StatusReply, AgentError>> + Send;

    /// Runs a verb to its end. Success means: the agent said `errno` 0.
    fn run(
        &self,
        at: &Endpoint,
        call: &Call,
    ) -> impl Future<Output = Result<VerbReply, AgentError>> + Send;

    /// Starts an asynchronous verb ([`Verb::is_async`]) under `id`.
    fn start(
        &self,
        at: &Endpoint,
        call: &Call,
        id: &TaskId,
    ) -> impl Future<Output = Result<Started, AgentError>> + Send;

    /// How the task `id` stands.
    fn task(
        &self,
        at: &Endpoint,
        id: &TaskId,
    ) -> impl Future<Output = Result<TaskReport, AgentError>> + Send;

    /// Resolves when the held-open connection to this agent ends: the process died, the
    /// keepalive failed, or [`Agent::forget`] dropped it. Pends while none is open. An end that
    /// happened while nobody waited is reported to the next waiter, so none is missed; one
    /// waiter a pod. At most one end a second is reported.
    fn closed(&self, at: &Endpoint) -> impl Future<Output = ()> + Send;

    /// Drops what is kept for `host`: the pod or its object is gone.
    fn forget(&self, host: &str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_is_a_version_4_uuid() {
        let zeros = TaskId::from_random([0; 16]);
        assert_eq!(zeros.as_str(), "00000000-0000-4000-8000-000000000000");
        let ones = TaskId::from_random([0xff; 16]);
        assert_eq!(ones.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let bytes = std::array::from_fn(|i| i as u8);
        assert_eq!(TaskId::from_random(bytes).as_str(), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    }

    #[test]
    fn a_task_id_from_status_must_be_fit_for_a_header() {
        assert!(TaskId::from_status("8b1e-41").is_some());
        for bad in ["", "a\r\nb", "a b", &"a".repeat(65)] {
            assert_eq!(TaskId::from_status(bad), None, "{bad:?}");
        }
    }
}
