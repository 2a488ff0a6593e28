//! The operators of a world: one, or several that elect a leader, each with its own way to the API
//! server and to agents.
//!
//! Never: judges what they do.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fake_apiserver::faults::{Effect, Faults, Rule};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use timesten_operator::clock::Clock;
use timesten_operator::controller::{self, Surroundings};
use timesten_operator::lease::{Candidate, Leadership};
use timesten_operator::operator::{Identity, Random};
use tokio::task::JoinHandle;

use super::{Server, Tap};
use crate::network::Network;

/// The name of the operator's Deployment, and of its Lease.
const NAME: &str = "timesten-operator";
/// How long the kubelet takes to start an operator again that has ended by itself.
const RESTART: Duration = Duration::from_secs(1);

/// What operators need of the world.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) api: Server,
    pub(super) network: Network,
    pub(super) tap: Tap,
    pub(super) faults: Faults,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

/// All operators of a world.
pub struct Operators {
    place: Place,
    /// How far their wall clock is off, in seconds.
    clock_shift: Arc<AtomicI64>,
    /// They elect a leader; else each acts.
    elect: bool,
    seats: Mutex<Vec<Seat>>,
}

/// The pod of an operator.
struct Seat {
    /// Its name in the network, in events and in the Lease.
    name: String,
    /// What goes wrong between it alone and the API server.
    faults: Faults,
    process: Option<JoinHandle<()>>,
}

impl Operators {
    /// `count` operators, none of which runs yet.
    pub(super) fn new(place: Place, count: u8, elect: bool) -> Self {
        let seat =
            |index| Seat { name: format!("{NAME}-{index}"), faults: Faults::new(), process: None };
        let seats = Mutex::new((0..count).map(seat).collect());
        Self { place, clock_shift: Arc::default(), elect, seats }
    }

    /// Starts all that do not run.
    pub fn start(&self) {
        for seat in self.seats().iter_mut().filter(|seat| seat.process.is_none()) {
            seat.process = Some(tokio::spawn(self.life(&seat.name, &seat.faults)));
        }
    }

    /// Stops all at once, and everything they have under way.
    pub async fn stop(&self) {
        let names: Vec<String> = self.seats().iter().map(|seat| seat.name.clone()).collect();
        for name in names {
            self.kill(&name).await;
        }
    }

    /// Stops one at once, and everything it has under way.
    pub async fn kill(&self, name: &str) {
        let process =
            self.seats().iter_mut().find(|seat| seat.name == name).and_then(|s| s.process.take());
        if let Some(process) = process {
            process.abort();
            let _ = process.await;
        }
    }

    /// The one that leads: who holds the Lease, or the first if nobody is elected.
    pub async fn leader(&self) -> String {
        let leases: Api<Lease> = Api::default_namespaced(self.place.api.client());
        let lease = leases.get_opt(NAME).await.ok().flatten();
        let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
        match holder.split_once('_') {
            Some((name, _process)) => name.to_owned(),
            None => format!("{NAME}-0"),
        }
    }

    /// Cuts one off from the API server and from all agents, or no longer. It goes on meanwhile.
    pub fn isolate(&self, name: &str, isolated: bool) {
        self.place.network.isolate(name, isolated);
        let seats = self.seats();
        let Some(seat) = seats.iter().find(|seat| seat.name == name) else { return };
        if isolated {
            seat.faults.add(Rule::always(Effect::Hang));
            seat.faults.add(Rule::always(Effect::StallWatches));
        } else {
            seat.faults.clear();
        }
    }

    /// Nobody is cut off any more.
    pub fn rejoin(&self) {
        let names: Vec<String> = self.seats().iter().map(|seat| seat.name.clone()).collect();
        for name in names {
            self.isolate(&name, false);
        }
    }

    /// Sets their wall clock ahead, or back, by so many seconds.
    pub fn shift_clock(&self, seconds: i64) {
        self.clock_shift.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The processes of a pod, one after the other: who loses the Lease ends and is started again.
    fn life(&self, name: &str, faults: &Faults) -> impl Future<Output = ()> + Send + 'static {
        let place = self.place.clone();
        let client = place.api.operator(&place.tap, &place.faults, faults);
        let (clock, shift) = (place.clock.clone(), Arc::clone(&self.clock_shift));
        let clock = Clock::new(move || {
            let by = jiff::SignedDuration::from_secs(shift.load(Ordering::Relaxed));
            let now = clock.now();
            now.checked_add(by).unwrap_or(now)
        });
        let (name, elect) = (name.to_owned(), self.elect);
        async move {
            loop {
                let (candidate, leadership) = if elect {
                    let leases = Api::default_namespaced(client.clone());
                    let mut number = numbers(&place.random);
                    let process = format!("{name}_{:08x}", number());
                    let jitter = move || f64::from(number()) / f64::from(u32::MAX);
                    let (candidate, leadership) =
                        Candidate::new(leases, NAME, process, clock.clone(), jitter);
                    (Some(candidate), leadership)
                } else {
                    (None, Leadership::uncontested())
                };
                let work = controller::run(Surroundings {
                    client: client.clone(),
                    connector: place.network.connector(&name),
                    clock: clock.clone(),
                    random: Arc::clone(&place.random),
                    namespace: place.api.watched(),
                    identity: Identity { controller: NAME.into(), instance: name.clone() },
                    leadership: leadership.clone(),
                });
                match candidate {
                    Some(candidate) => drop(candidate.lead(leadership, work).await),
                    None => work.await,
                }
                tokio::time::sleep(RESTART).await;
            }
        }
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Operators {
    fn drop(&mut self) {
        for process in self.seats().iter_mut().filter_map(|seat| seat.process.take()) {
            process.abort();
        }
    }
}

/// Numbers by chance.
fn numbers(random: &Random) -> impl FnMut() -> u32 + Send + 'static {
    let random = Arc::clone(random);
    move || {
        let mut bytes = [0; 4];
        random(&mut bytes);
        u32::from_be_bytes(bytes)
    }
}
