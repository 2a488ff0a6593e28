//! The simulated application: it writes through the Service that selects the active, and knows what
//! was acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fake_agent::{App, Fleet};
use tokio::time::Instant;

use super::OBJECT;
use super::routes::Routes;

/// What the application has gone through.
#[derive(Clone)]
pub struct Application {
    app: App,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When it could write last.
    last: Option<Instant>,
    /// The last try succeeded.
    serves: bool,
    /// The longest time between two writes that succeeded, and when it began.
    outage: Option<(Instant, Duration)>,
    writes: u64,
    /// Since when hosts turn clients away that are sent there.
    refusing: BTreeMap<String, Instant>,
    /// The longest that one did.
    turned_away: Option<(String, Duration)>,
}

impl Application {
    /// One that has not written yet.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        Self { app: App::new(fleet), state: Arc::default() }
    }

    /// Writes to all hosts that clients are sent to, every `pause`, for ever.
    pub async fn run(self, routes: Routes, pause: Duration) {
        let mut tick = tokio::time::interval(pause);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let hosts = routes.used(OBJECT);
            let (mut some, mut all) = (false, !hosts.is_empty());
            for host in &hosts {
                let written = self.app.commit(host).await.is_ok();
                (some, all) = (some || written, all && written);
                self.with(|state| state.turned_away(host, written, Instant::now()));
            }
            self.with(|state| state.refusing.retain(|host, _| hosts.contains(host)));
            self.with(|state| state.note(some, all, Instant::now()));
        }
    }

    /// The longest time that a host to which clients were sent has turned them away.
    #[must_use]
    pub fn turned_away(&self) -> Option<(String, Duration)> {
        self.with(|state| state.turned_away.clone())
    }

    /// The last try to write succeeded, on every host.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.with(|state| state.serves)
    }

    /// How many writes succeeded.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.with(|state| state.writes)
    }

    /// The longest time without a write that succeeded, since `mark` was called last.
    #[must_use]
    pub fn outage(&self) -> Option<Duration> {
        self.with(|state| state.outage.map(|(_, span)| span))
    }

    /// From now on outages count.
    pub fn mark(&self) {
        self.with(|state| state.outage = None);
    }

    /// The application's own memory of what was acknowledged.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn turned_away(&mut self, host: &str, written: bool, now: Instant) {
        if written {
            self.refusing.remove(host);
            return;
        }
        let span = now - *self.refusing.entry(host.to_owned()).or_insert(now);
        if self.turned_away.as_ref().is_none_or(|(_, longest)| span > *longest) {
            self.turned_away = Some((host.to_owned(), span));
        }
    }

    fn note(&mut self, some: bool, all: bool, now: Instant) {
        self.serves = all;
        if !some {
            return;
        }
        self.writes += 1;
        if let Some(last) = self.last.replace(now) {
            let span = now - last;
            if self.outage.is_none_or(|(_, longest)| span > longest) {
                self.outage = Some((last, span));
            }
        }
    }
}
