//! The API server that a world lives on: in this process, or somebody else's.
//!
//! Never: tells the operator which of them it is.

use std::sync::Arc;

use fake_apiserver::faults::Faults;
use fake_apiserver::kubelet::NodeHandle;
use fake_apiserver::{ApiServer, Changes};
use kube::Client;

use super::foreign::Foreign;
use super::{NAMESPACE, Tap};

/// The API server of a world.
#[derive(Clone)]
pub enum Server {
    /// In this process, and nobody else's.
    Fake(ApiServer),
    /// In another process; the world has a namespace there.
    Foreign(Arc<Foreign>),
}

impl Server {
    /// A client that may do everything, and means the world's namespace when it names none.
    #[must_use]
    pub fn client(&self) -> Client {
        match self {
            Self::Fake(api) => api.client(),
            Self::Foreign(foreign) => foreign.client(),
        }
    }

    /// The world's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self {
            Self::Fake(_) => NAMESPACE,
            Self::Foreign(foreign) => foreign.namespace(),
        }
    }

    /// Every change from now on; on a foreign server, those to the kinds of a pair, in the world's namespace.
    #[must_use]
    pub fn changes(&self) -> Changes {
        match self {
            Self::Fake(api) => api.changes(),
            Self::Foreign(foreign) => foreign.changes(),
        }
    }

    /// The revision of the last change; zero, the oldest, on a server that nobody can ask for it.
    #[must_use]
    pub fn revision(&self) -> u64 {
        match self {
            Self::Fake(api) => api.revision(),
            Self::Foreign(_) => 0,
        }
    }

    /// Somebody wants the world to end; never on a server that ends with it.
    pub async fn interrupted(&self) {
        match self {
            Self::Fake(_) => std::future::pending().await,
            Self::Foreign(foreign) => foreign.interrupted().await,
        }
    }

    /// An operator's way to the server: tapped, and with faults of two kinds, everybody's and its own.
    pub(super) fn operator(&self, tap: &Tap, all: &Faults, own: &Faults) -> Client {
        match self {
            Self::Fake(api) => {
                Client::new(tap.on(own.wrap(all.wrap(api.front()))), self.namespace())
            }
            Self::Foreign(foreign) => {
                Client::new(tap.on(own.wrap(all.wrap(foreign.way()))), self.namespace())
            }
        }
    }

    /// The namespace that the operator watches, if it is not to watch all.
    pub(super) fn watched(&self) -> Option<String> {
        match self {
            Self::Fake(_) => None,
            Self::Foreign(foreign) => Some(foreign.namespace().to_owned()),
        }
    }

    /// What the node of a number is called.
    pub(super) fn node_name(&self, index: u8) -> String {
        match self {
            Self::Fake(_) => format!("node-{index}"),
            Self::Foreign(foreign) => foreign.node_name(index),
        }
    }

    /// Lets the server ask a node about its pods, where it can.
    pub(super) fn reach(&self, node: &NodeHandle) {
        if let Self::Fake(api) = self {
            api.reach(node);
        }
    }
}
