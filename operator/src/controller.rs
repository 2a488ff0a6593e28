//! The loop: watches wake, passes run, errors pause. Observe, decide, act: a pass is nothing else.
//!
//! Never: judges. One object's trouble never touches another: each has its own memory, and nothing
//! in a pass waits for an agent.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use kube::Api;
use kube::runtime::controller::{Action, Config, ReconcileRequest, applier, trigger_self};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::mpsc;

use crate::act::Acted;
use crate::agent::{Connector, HttpsAgent};
use crate::caches::{Caches, WATCH_SECONDS};
use crate::clock::Clock;
use crate::cluster::{ClusterError, KubeCluster};
use crate::crd::TimesTenClassic;
use crate::decide::{decide, replicas};
use crate::jobs;
use crate::lease::Leadership;
use crate::operator::{Identity, Operator, Random};
use crate::sight::Look;

/// A pass goes round until nothing is left to do, but never more often than this.
const ROUNDS: usize = 12;

/// The pause after a pass that the API server made fail.
const PAUSE: Duration = Duration::from_secs(2);

/// What the operator runs with.
pub struct Surroundings {
    /// The way to Kubernetes.
    pub client: kube::Client,
    /// The way to agents.
    pub connector: Connector,
    /// Wall-clock time.
    pub clock: Clock,
    /// Random bytes, for credentials and ids.
    pub random: Random,
    /// The one namespace that is watched; all when none is given.
    pub namespace: Option<String>,
    /// Who this operator is, in events and status.
    pub identity: Identity,
    /// Whether it may act, and for how long.
    pub leadership: Leadership,
}

/// Runs the operator. It ends only when it is dropped, and everything that it does ends with it.
pub async fn run(surroundings: Surroundings) {
    let Surroundings { client, connector, clock, random, namespace, identity, leadership } =
        surroundings;
    let (jobs, workshop) = jobs::workshop();
    let (wake, woken) = mpsc::unbounded_channel();
    let caches = Caches::start(&client, namespace.as_deref(), &jobs, &wake);
    let operator = Arc::new(Operator {
        cluster: KubeCluster::new(client.clone()),
        agent: Arc::new(HttpsAgent::new(connector)),
        caches,
        jobs,
        wake,
        clock,
        random,
        identity,
        leadership,
        said: AtomicU64::default(),
        memories: std::sync::Mutex::default(),
    });
    let api: Api<TimesTenClassic> = match namespace.as_deref() {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let objects = reflector::reflector(writer, watcher(api, config).default_backoff());
    let changed = trigger_self(objects.touched_objects(), ());
    let woken = stream::unfold(woken, |mut woken| async {
        let object: ObjectRef<TimesTenClassic> = woken.recv().await?;
        Some((Ok(ReconcileRequest::from(object)), woken))
    });
    let passes = applier(
        |object, operator| pass(object, operator).boxed(),
        |object, error, operator| after_error(&object, error, &operator),
        operator,
        store,
        stream::select(changed, woken),
        Config::default(),
    );
    let passes = passes.for_each(|result| async {
        if let Err(error) = result {
            tracing::debug!(%error, "a pass has ended with an error");
        }
    });
    tokio::select! {
        biased;
        () = workshop.work() => {}
        () = passes => {}
    }
}

/// One pass: observe, decide, act, until nothing is left to do.
async fn pass(
    object: Arc<TimesTenClassic>,
    operator: Arc<Operator>,
) -> Result<Action, ClusterError> {
    operator.caches.filled().await;
    for _ in 0..ROUNDS {
        let acted = match operator.observe(&object).await? {
            Look::Pair(sight) => operator.act(&sight, &decide(&sight.seen)).await?,
            Look::Replicas(sight) => {
                operator.act_on_replicas(&sight, &replicas::decide(&sight.seen)).await?
            }
        };
        match acted {
            Acted::Again => {}
            Acted::Rest(pause) => return Ok(Action::requeue(pause)),
        }
    }
    Ok(Action::requeue(PAUSE))
}

fn after_error(object: &TimesTenClassic, error: &ClusterError, operator: &Operator) -> Action {
    operator.complain(object, error);
    match error {
        ClusterError::Outdated | ClusterError::Gone => Action::requeue(Duration::from_millis(50)),
        ClusterError::Rival(_)
        | ClusterError::Forbidden(_)
        | ClusterError::Refused(_)
        | ClusterError::Silent
        | ClusterError::Unavailable(_) => Action::requeue(PAUSE),
    }
}
