//! What people read of a member's health.

use std::fmt;

use super::{Ailment, Puzzle, Why};

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AgentStopped => "its replication agent has stopped",
            Self::Closed => "its database is closed to users",
            Self::PeerPaused => "its replication to the peer is paused",
            Self::CountedOut => "the active counts it as failed",
        })
    }
}

impl fmt::Display for Puzzle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(how) => write!(f, "its agent does not answer ({how})"),
            Self::NotHeard => f.write_str("its agent has not answered yet"),
            Self::Missing(what) => write!(f, "its agent does not say about the {what}"),
            Self::Passing(db) => write!(f, "its database is {db}"),
            Self::RepState(state) => write!(f, "its replication state is {state}"),
            Self::Quiescing => f.write_str("its database is being unloaded by a preStop hook"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPod => f.write_str("there is no such pod"),
            Self::ForeignPod => f.write_str("the pod belongs to an earlier object of this name"),
            Self::Terminating => f.write_str("the pod is being deleted"),
            Self::NoContainer(reason) => write!(f, "container tt does not run ({reason})"),
            Self::Restarted => f.write_str("container tt has restarted"),
            Self::Lost(how) => {
                write!(f, "its agent does not answer ({how}) and its peer has lost touch with it")
            }
            Self::Unreachable(how) => write!(f, "its agent does not answer ({how})"),
            Self::NoInstance => f.write_str("its TimesTen instance is missing"),
            Self::DaemonDown => f.write_str("its TimesTen daemon is down"),
            Self::NoDatabase => f.write_str("it has no database"),
            Self::NotLoaded => f.write_str("its database is not loaded"),
            Self::AgentWillNotStart => f.write_str("its replication agent does not start"),
            Self::WillNotOpen => f.write_str("its database does not open"),
            Self::NoScheme => f.write_str("its database has no replication scheme"),
            Self::WrongState(state) => write!(f, "its replication state is {state}"),
            Self::Overdue(puzzle) => write!(f, "{puzzle}, for too long"),
        }
    }
}
