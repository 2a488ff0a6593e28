//! The controllers of a cluster: ordinary clients of the API, driven by watches, idle when nothing changes.

mod aggregation;
mod cache;
mod certificates;
mod disruption;
mod endpoints;
mod endpointslice;
mod garbage;
mod namespace;
mod nodes;
mod protection;
mod scheduler;
mod served;
mod statefulset;
mod volumes;

use futures::future::{BoxFuture, FutureExt, join, join_all};
use kube::Client;

use self::cache::Cluster;
pub use self::certificates::certificates;
use crate::Clock;
use crate::named::named;

/// A controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Gathers the rules of aggregated cluster roles.
    Aggregation,
    /// Counts what disruption budgets allow.
    Disruption,
    /// Keeps the `Endpoints` of Services, the old form of their slices.
    Endpoints,
    /// Keeps the endpoint slices of Services.
    EndpointSlice,
    /// Deletes what nobody owns any more.
    Garbage,
    /// Furnishes and ends namespaces.
    Namespace,
    /// Notices nodes that are not heard of.
    Nodes,
    /// Keeps deleted claims as long as pods use them.
    Protection,
    /// Binds pods to nodes.
    Scheduler,
    /// Keeps the pods of `StatefulSet`s.
    StatefulSet,
    /// Makes and binds persistent volumes.
    Volumes,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Aggregation,
        Self::Disruption,
        Self::Endpoints,
        Self::EndpointSlice,
        Self::Garbage,
        Self::Namespace,
        Self::Nodes,
        Self::Protection,
        Self::Scheduler,
        Self::StatefulSet,
        Self::Volumes,
    ];

    fn run(self, cluster: &Cluster) -> BoxFuture<'_, ()> {
        match self {
            Self::Aggregation => aggregation::run(cluster).boxed(),
            Self::Disruption => disruption::run(cluster).boxed(),
            Self::Endpoints => endpoints::run(cluster).boxed(),
            Self::EndpointSlice => endpointslice::run(cluster).boxed(),
            Self::Garbage => garbage::run(cluster).boxed(),
            Self::Namespace => namespace::run(cluster).boxed(),
            Self::Nodes => nodes::run(cluster).boxed(),
            Self::Protection => protection::run(cluster).boxed(),
            Self::Scheduler => scheduler::run(cluster).boxed(),
            Self::StatefulSet => statefulset::run(cluster).boxed(),
            Self::Volumes => volumes::run(cluster).boxed(),
        }
    }
}

/// Runs all controllers; never ends.
pub async fn controllers(client: Client, clock: Clock) {
    run(client, clock, &Controller::ALL).await;
}

/// Runs some controllers; never ends.
pub async fn run(client: Client, clock: Clock, which: &[Controller]) {
    let cluster = Cluster::new(named(client, "kube-controller-manager"), clock);
    let running = join_all(which.iter().map(|controller| controller.run(&cluster)));
    join(cluster.watch(), running).await;
}
