//! The world: everything put together. The operator's own entry point and its production clients of
//! Kubernetes and of agents run against a fake API server, simulated kubelets and fake agents.
//!
//! Never: knows what a scenario wants. `run` plays scenarios in it, `ttlab up` shows it to people.

mod application;
mod containers;
mod foreign;
mod operators;
mod record;
mod routes;
mod server;
mod tap;
mod written;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fake_agent::{Durations, Fleet, FleetOptions};
use fake_apiserver::faults::Faults;
use fake_apiserver::kubelet::{Kubelet, NodeHandle, NodeSpec, Timings};
use fake_apiserver::{ApiServer, Options, controllers};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::{Api, Client};
use timesten_operator::clock::Clock;
use timesten_operator::operator::Random;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

pub use self::application::Application;
pub use self::containers::{Broken, Containers, TT};
pub use self::foreign::{Foreign, Visit, VisitError};
pub use self::operators::Operators;
pub use self::record::{Record, Recorder};
pub use self::routes::Routes;
pub use self::server::Server;
pub use self::tap::{Tap, Trap};

use self::operators::Place;
use crate::determinism::{Seeded, on_seeded_thread};
use crate::network::Network;

/// The namespace that scenarios play in, unless they are on a server of somebody else.
pub const NAMESPACE: &str = "default";
/// The object that scenarios are about.
pub const OBJECT: &str = "sample";
/// When virtual worlds begin: 2026-01-01T00:00:00Z.
const EPOCH: i64 = 1_767_225_600;

/// What a world is made with.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// All chance comes from it.
    pub seed: u64,
    /// Time is tokio's, from a fixed beginning; else it is the system's.
    pub virtual_time: bool,
    /// How many nodes there are.
    pub nodes: u8,
    /// How long agents take.
    pub durations: Durations,
    /// How long kubelets take.
    pub kubelet: Timings,
    /// A commit is on disk when it is acknowledged.
    pub durable: bool,
    /// How many bytes of log a commit takes.
    pub commit_bytes: u64,
    /// How often the application writes.
    pub writes_every: Option<Duration>,
    /// How many operators there are.
    pub operators: u8,
    /// They elect a leader; else each acts, as with `--no-leader-election`.
    pub election: bool,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            virtual_time: true,
            nodes: 3,
            durations: Durations::default(),
            kubelet: Timings::default(),
            durable: true,
            commit_bytes: 1024,
            writes_every: Some(Duration::from_millis(100)),
            operators: 1,
            election: false,
        }
    }
}

/// A world that runs. Dropping it ends it.
pub struct World {
    /// The API server.
    pub api: Server,
    /// TimesTen.
    pub fleet: Fleet,
    /// Who can reach whom.
    pub network: Network,
    /// What runs in containers.
    pub containers: Arc<Containers>,
    /// The nodes.
    pub nodes: Vec<NodeHandle>,
    /// Where clients are sent.
    pub routes: Routes,
    /// The application.
    pub application: Application,
    /// The operator's writes.
    pub tap: Tap,
    /// How the API server misbehaves towards the operators.
    pub faults: Faults,
    /// What has happened.
    pub record: Recorder,
    /// The operators.
    pub operators: Operators,
    writer: Mutex<Option<JoinHandle<()>>>,
    _tasks: JoinSet<()>,
}

/// Why a world does not start.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The API server refuses the definition.
    #[error("the fake cluster does not take the definition of TimesTenClassic: {0}")]
    Definition(#[from] kube::Error),
    /// The system gives no thread to define it on.
    #[error("no server that knows TimesTenClassic could be made: {0}")]
    Thread(#[from] std::io::Error),
}

impl World {
    /// Starts everything but the user.
    ///
    /// # Errors
    /// When the API server refuses the CRD.
    pub async fn start(options: WorldOptions) -> Result<Self, WorldError> {
        let clock = clock(options.virtual_time);
        let of_world = Options { clock: time(&clock), seed: options.seed };
        let api = match options.virtual_time {
            true => defined()?.copy(of_world),
            false => define(ApiServer::new(of_world)).await?,
        };
        Ok(Self::furnish(Server::Fake(api), clock, &options))
    }

    /// Starts everything but the user, the API server, and what the server has itself. Time is the system's.
    #[must_use]
    pub fn start_on(foreign: Arc<Foreign>, options: &WorldOptions) -> Self {
        Self::furnish(Server::Foreign(foreign), Clock::system(), options)
    }

    fn furnish(api: Server, clock: Clock, options: &WorldOptions) -> Self {
        let seconds = clock.clone();
        let fleet = Fleet::new(FleetOptions {
            durations: options.durations.clone(),
            unix_time: Arc::new(move || seconds.now().as_second()),
            seed: options.seed,
            durable: options.durable,
            commit_bytes: options.commit_bytes,
            ..FleetOptions::default()
        });
        let (network, routes) = (Network::default(), Routes::default());
        let record = Recorder::new(Instant::now());
        let mut tasks = JoinSet::new();
        let sources = (api.changes(), fleet.subscribe());
        tasks.spawn(record.clone().follow(sources.0, sources.1, routes.clone(), clock.clone()));
        match &api {
            Server::Fake(api) => {
                tasks.spawn(controllers::controllers(api.client(), time(&clock)));
            }
            Server::Foreign(foreign) => {
                let (client, clock) = (api.client(), time(&clock));
                let which = foreign.controllers().to_vec();
                if !which.is_empty() {
                    tasks.spawn(async move { controllers::run(client, clock, &which).await });
                }
            }
        }
        let containers = Arc::new(Containers::new(&fleet, &network));
        let nodes = nodes(&api, &clock, options, &containers, &mut tasks);
        let place = Place {
            api: api.clone(),
            network: network.clone(),
            tap: Tap::default(),
            faults: Faults::new(),
            clock,
            random: random(options.virtual_time, options.seed),
        };
        let world = Self {
            application: Application::new(&fleet),
            tap: place.tap.clone(),
            faults: place.faults.clone(),
            operators: Operators::new(place, options.operators, options.election),
            writer: Mutex::new(None),
            _tasks: tasks,
            api,
            fleet,
            network,
            containers,
            nodes,
            routes,
            record,
        };
        world.start_writing(options.writes_every);
        world.operators.start();
        world
    }

    /// Takes away what the world has made on a server that outlives it, but for its nodes: they go when it is gone.
    ///
    /// # Errors
    /// When something stays there.
    pub async fn leave(&self) -> Result<(), VisitError> {
        let Server::Foreign(foreign) = &self.api else { return Ok(()) };
        self.operators.start();
        foreign.vacate().await
    }

    /// A client of the API for the user.
    #[must_use]
    pub fn client(&self) -> Client {
        self.api.client()
    }

    /// The application writes from now on, or no longer.
    pub fn start_writing(&self, every: Option<Duration>) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.take() {
            writer.abort();
        }
        let writing = |pause| self.application.clone().run(self.routes.clone(), pause);
        *writer = every.map(|pause| tokio::spawn(writing(pause)));
    }

    /// The node that a pod runs on.
    pub async fn node_of(&self, pod: &str) -> Option<NodeHandle> {
        let pods: Api<Pod> = Api::default_namespaced(self.client());
        let name = pods.get_opt(pod).await.ok()??.spec?.node_name?;
        self.nodes.iter().find(|node| node.name() == name).cloned()
    }

    /// Cuts or mends every way to and from the pods on a node.
    pub async fn set_node_network(&self, node: &NodeHandle, up: bool) {
        let pods: Api<Pod> = Api::default_namespaced(self.client());
        let Ok(pods) = pods.list(&kube::api::ListParams::default()).await else { return };
        let hosts = self.fleet.hosts();
        for pod in pods {
            let here = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            let name = pod.metadata.name.unwrap_or_default();
            let prefix = format!("{name}.");
            let Some(host) = hosts.iter().find(|host| host.starts_with(&prefix)) else { continue };
            if here == Some(node.name()) {
                self.containers.set_node_network(host, node.name(), up);
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            writer.abort();
        }
    }
}

/// Starts the kubelets.
fn nodes(
    api: &Server,
    clock: &Clock,
    options: &WorldOptions,
    containers: &Arc<Containers>,
    tasks: &mut JoinSet<()>,
) -> Vec<NodeHandle> {
    (1..=options.nodes)
        .map(|index| {
            let mut node = NodeSpec::new(&api.node_name(index), index);
            if let Server::Foreign(foreign) = api {
                node.labels = foreign.labels();
            }
            let kubelet = Kubelet::new(
                api.client(),
                time(clock),
                node,
                Arc::<Containers>::clone(containers) as _,
                options.kubelet,
            );
            let handle = kubelet.handle();
            api.reach(&handle);
            tasks.spawn(kubelet.run());
            handle
        })
        .collect()
}

/// The clock as the fake cluster takes it.
fn time(clock: &Clock) -> fake_apiserver::Clock {
    let clock = clock.clone();
    Arc::new(move || clock.now())
}

/// Lets a server know TimesTenClassic.
async fn define(api: ApiServer) -> Result<ApiServer, WorldError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(api.client());
    definitions.create(&PostParams::default(), &timesten_operator::crd::crd()).await?;
    Ok(api)
}

/// A server that knows TimesTenClassic, at the moment when virtual worlds begin: they begin with copies of it, for the
/// definition is so large that to read it takes longer than the rest of many a world.
///
/// It is made on a thread of its own, so that the world that comes first has the same chance as all others.
fn defined() -> Result<&'static ApiServer, WorldError> {
    static DEFINED: OnceLock<ApiServer> = OnceLock::new();
    if let Some(made) = DEFINED.get() {
        return Ok(made);
    }
    let made = on_seeded_thread(0, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(define(ApiServer::new(Options::at(epoch(), 0))))
    });
    let made = made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok(DEFINED.get_or_init(|| made))
}

fn epoch() -> Timestamp {
    Timestamp::from_second(EPOCH).unwrap_or_default()
}

fn clock(virtual_time: bool) -> Clock {
    if !virtual_time {
        return Clock::system();
    }
    let began = Instant::now();
    Clock::new(move || epoch().checked_add(began.elapsed()).unwrap_or(epoch()))
}

/// Chance: the world's own, or the system's.
fn random(seeded: bool, seed: u64) -> Random {
    if seeded {
        let generator = Mutex::new(Seeded::new(seed));
        return Arc::new(move |bytes: &mut [u8]| {
            generator.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
        });
    }
    Arc::new(|bytes: &mut [u8]| {
        // Hash map keys are the system's chance, stretched.
        use std::hash::{BuildHasher, RandomState};
        Seeded::new(RandomState::new().hash_one(bytes.len())).fill(bytes);
    })
}
