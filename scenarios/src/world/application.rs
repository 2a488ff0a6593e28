//! The simulated application: it writes through the Service that selects the active, and knows what
//! was acknowledged.

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
}

impl Application {
    /// One that has not written yet.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        Self { app: App::new(fleet), state: Arc::default() }
    }

    /// Writes to whoever is routed, every `pause`, for ever.
    pub async fn run(self, routes: Routes, pause: Duration) {
        let mut tick = tokio::time::interval(pause);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let Some(host) = routes.active(OBJECT) else {
                self.with(|state| state.serves = false);
                continue;
            };
            let written = self.app.commit(&host).await.is_ok();
            self.with(|state| state.note(written, Instant::now()));
        }
    }

    /// The last try to write succeeded.
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
    fn note(&mut self, written: bool, now: Instant) {
        self.serves = written;
        if !written {
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
