//! How asking an agent can fail, sorted by what the caller does next.

use std::fmt;
use std::io;
use std::time::Duration;

use super::mask;

/// Why an agent gave no usable answer. Every text is masked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// No connection, or it broke.
    #[error("agent at {host} is unreachable ({how}): {detail}; look at the pod and its network")]
    Unreachable {
        /// The pod's DNS name.
        host: String,
        /// Where it broke.
        how: How,
        /// What the system said.
        detail: String,
    },
    /// A limit of the object passed.
    #[error("agent at {host} gave no answer: {phase} took longer than {after:?}; {}", phase.advice())]
    TimedOut {
        /// The pod's DNS name.
        host: String,
        /// What was under way.
        phase: Phase,
        /// The limit that passed.
        after: Duration,
    },
    /// 401 or 403: the agent knows other credentials than the object's Secret holds.
    #[error(
        "agent at {host} refuses our credentials; it was started with another agent Secret: restart the pod"
    )]
    Unauthorized {
        /// The pod's DNS name.
        host: String,
    },
    /// Another HTTP status than the protocol has.
    #[error("agent at {host} answered HTTP {code}; look at the log of container tt")]
    HttpStatus {
        /// The pod's DNS name.
        host: String,
        /// The status.
        code: u16,
    },
    /// An answer that is not of this protocol.
    #[error(
        "agent at {host} gave a reply that cannot be used: {what}; look at the log of container tt and the image's release"
    )]
    BadReply {
        /// The pod's DNS name.
        host: String,
        /// What is wrong with it.
        what: String,
    },
    /// The agent ran the verb, and it failed.
    #[error("{}", verb_text(*errno, verb, phrase, message))]
    Verb {
        /// The pod's DNS name.
        host: String,
        /// The verb's name.
        verb: &'static str,
        /// What it was doing, in the words of Oracle's operator; empty: running the verb.
        phrase: &'static str,
        /// The agent's error number; [`AgentError::UNKNOWN_VERB`] if it does not know the verb.
        errno: i64,
        /// The agent's words, masked.
        message: String,
        /// TimesTen's own errors from the verb's output, masked, ready for Events.
        events: Vec<String>,
    },
}

/// Where a connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// The name does not resolve: no such pod yet, or no longer.
    Dns,
    /// Nobody listens: the agent is starting, or its process died.
    Refused,
    /// No connection for another reason.
    Connect,
    /// No secure connection: wrong certificate, wrong name, no common protocol.
    Tls,
    /// The connection ended before the reply did. The request may have been carried out.
    Reset,
}

/// What was under way when a limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Name resolution and TCP connect.
    Connect,
    /// The TLS handshake.
    Handshake,
    /// The reply to a GET.
    Get,
    /// The reply to a POST. The verb may have been carried out.
    Post,
    /// The reply to a verb with a limit of its own. It may have been carried out.
    Marker,
}

/// Whether a failed order may have had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not sent, or the agent would not have it: nothing happened.
    NotDone,
    /// Only another look can tell.
    Unknown,
}

impl AgentError {
    /// `errno` of an agent that does not know a verb.
    pub const UNKNOWN_VERB: i64 = 255;

    /// Whether the order may have been carried out all the same.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unreachable { how: How::Reset, .. }
            | Self::TimedOut { phase: Phase::Get | Phase::Post | Phase::Marker, .. }
            | Self::HttpStatus { .. }
            | Self::BadReply { .. } => Outcome::Unknown,
            Self::Verb { errno, .. } if *errno != Self::UNKNOWN_VERB => Outcome::Unknown,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Unauthorized { .. }
            | Self::Verb { .. } => Outcome::NotDone,
        }
    }

    /// The agent's error number, if it is the agent that failed.
    #[must_use]
    pub fn errno(&self) -> Option<i64> {
        match self {
            Self::Verb { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether the agent, or somebody in its place, answered at all.
    #[must_use]
    pub fn answered(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    pub(super) fn unreachable(host: &str, how: How, detail: impl fmt::Display) -> Self {
        Self::Unreachable { host: host.to_owned(), how, detail: mask(&detail.to_string()) }
    }

    pub(super) fn bad_reply(host: &str, what: impl fmt::Display) -> Self {
        Self::BadReply { host: host.to_owned(), what: mask(&what.to_string()) }
    }
}

impl How {
    /// Sorts what a connector or a handshake reported.
    pub(super) fn of(error: &io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
            return Self::Tls;
        }
        match error.kind() {
            io::ErrorKind::NotFound => Self::Dns,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Connect,
        }
    }
}

impl Phase {
    fn advice(self) -> &'static str {
        match self {
            Self::Connect => "look at the pod's network, or raise agentTcpTimeout",
            Self::Handshake => "look at the pod's load, or raise agentTlsTimeout",
            Self::Get => "look at the pod's load, or raise agentGetTimeout",
            Self::Post => "look at the pod's load, or raise agentPostTimeout",
            Self::Marker => "look at the pod's load",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the TCP connection",
            Self::Handshake => "the TLS handshake",
            Self::Get => "the reply to a GET",
            Self::Post => "the reply to a POST",
            Self::Marker => "the reply to a marker verb",
        })
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "its name does not resolve",
            Self::Refused => "connection refused",
            Self::Connect => "no connection",
            Self::Tls => "TLS failed",
            Self::Reset => "connection lost",
        })
    }
}

fn verb_text(errno: i64, verb: &str, phrase: &str, message: &str) -> String {
    if phrase.is_empty() {
        format!("Error {errno} Running {verb}: {message}")
    } else {
        format!("Error {errno} {phrase}: {message}")
    }
}
