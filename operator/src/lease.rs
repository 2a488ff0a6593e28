//! Leader election over a `coordination.k8s.io/v1` Lease: one operator acts, the others wait.
//!
//! Whether a Lease has expired is judged by how long this process has seen it unchanged, never by
//! the times written in it, so clocks need not agree. A leader counts its own time from before
//! it sent the last renewal that succeeded, and gives up [`Timing::margin`] earlier than others
//! may take over. [`Leadership::remaining`] bounds every irreversible order. Losing the Lease is
//! final: the process must end and begin anew.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, PostParams};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::clock::Clock;

/// The times of an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a Lease that is not renewed keeps others away.
    pub duration: Duration,
    /// How much earlier its holder stops to act.
    pub margin: Duration,
    /// Between renewals, and between looks of those who wait (there with jitter).
    pub retry: Duration,
}

impl Default for Timing {
    /// 15 s, given up after 10 s without renewal, renewed every 2 s: Kubernetes' own defaults.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            margin: Duration::from_secs(5),
            retry: Duration::from_secs(2),
        }
    }
}

/// A Lease as this process last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Who holds it; `None` if it was released.
    pub holder: Option<String>,
    /// How long it keeps others away, by its own words.
    pub duration: Duration,
    /// Its resource version: what tells a renewed Lease from an unchanged one.
    pub version: Option<String>,
    /// Since when it has been seen unchanged.
    pub since: Instant,
}

/// What to do about a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Take it: it is free, expired, or from an earlier life of this identity.
    Acquire,
    /// Renew it: it is ours for `remaining`.
    Renew {
        /// How long we may act without renewal.
        remaining: Duration,
    },
    /// Leave it: another holds it for `remaining` at least.
    Wait {
        /// How long it keeps us away unless it is renewed.
        remaining: Duration,
    },
    /// It was ours, and is no longer: stop at once.
    Lost,
}

/// Judges `lease` (`None`: there is none) for `me`, who may act until `held_until`.
#[must_use]
pub fn evaluate(
    lease: Option<&Sighting>,
    me: &str,
    held_until: Option<Instant>,
    now: Instant,
) -> Decision {
    let holder = lease.and_then(|lease| lease.holder.as_deref());
    if let Some(until) = held_until {
        let remaining = until.saturating_duration_since(now);
        // A Lease that somebody deleted is ours until somebody else makes one.
        let ours = (lease.is_none() || holder == Some(me)) && !remaining.is_zero();
        return if ours { Decision::Renew { remaining } } else { Decision::Lost };
    }
    match lease {
        Some(lease) if holder.is_some_and(|holder| holder != me) => {
            let remaining = (lease.since + lease.duration).saturating_duration_since(now);
            if remaining.is_zero() { Decision::Acquire } else { Decision::Wait { remaining } }
        }
        _ => Decision::Acquire,
    }
}

/// Whether, and for how long, this process leads. Cheap to clone and to ask.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

impl Leadership {
    /// Leadership without an election, for a single operator.
    #[must_use]
    pub fn uncontested() -> Self {
        const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        Self(watch::channel(Some(Instant::now() + FOR_EVER)).1)
    }

    /// How long this process may still act without another renewal; zero if it does not lead.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        let until = *self.0.borrow();
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Waits until this process leads. Pends for ever if its candidate has gone.
    pub async fn acquired(&self) {
        if self.0.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How a campaign ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The Lease could not be renewed in time, or another took it: end the process.
    Lost,
    /// Shut down; the Lease was given back if it was ours.
    Released,
}

/// One who wants to lead.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    clock: Clock,
    jitter: Box<dyn FnMut() -> f64 + Send>,
    lease: Option<Lease>,
    sighting: Option<Sighting>,
    held_until: Option<Instant>,
    leads: watch::Sender<Option<Instant>>,
}

impl Candidate {
    /// A candidate for the Lease `name`. `identity` must be unique to the process; `clock` is only
    /// written into the Lease; `jitter` gives numbers from 0 to 1 that spread those who wait.
    pub fn new(
        api: Api<Lease>,
        name: impl Into<String>,
        identity: impl Into<String>,
        clock: Clock,
        jitter: impl FnMut() -> f64 + Send + 'static,
    ) -> (Self, Leadership) {
        let (leads, led) = watch::channel(None);
        let candidate = Self {
            api,
            name: name.into(),
            identity: identity.into(),
            timing: Timing::default(),
            clock,
            jitter: Box::new(jitter),
            lease: None,
            sighting: None,
            held_until: None,
            leads,
        };
        (candidate, Leadership(led))
    }

    /// The same candidate with other times.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Takes part until the Lease is lost or `shutdown` resolves, which it should when the work
    /// has stopped: the Lease is given back then.
    pub async fn campaign(mut self, shutdown: impl Future<Output = ()>) -> Ended {
        let ended = tokio::select! {
            biased;
            () = shutdown => Ended::Released,
            () = self.contend() => Ended::Lost,
        };
        self.leads.send_replace(None);
        if ended == Ended::Released && self.held_until.is_some() {
            self.release().await;
        }
        ended
    }

    /// Does `work` once it is elected, while it renews the Lease. When `work` ends the Lease is given
    /// back; when the Lease is lost `work` is dropped where it stands.
    pub async fn lead(self, leadership: Leadership, work: impl Future<Output = ()>) -> Ended {
        let (stop, stopping) = oneshot::channel::<()>();
        let campaign = self.campaign(async move {
            let _ = stopping.await;
        });
        let work = async move {
            leadership.acquired().await;
            work.await;
            let _ = stop.send(());
            // Only the campaign's end is the end: it gives the Lease back first.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            ended = campaign => ended,
            () = work => Ended::Released,
        }
    }

    /// Acquires and renews; returns when the Lease is lost.
    async fn contend(&mut self) {
        while self.decide() != Decision::Lost {
            let limit = Instant::now() + self.timing.duration / 3;
            let limit = self.held_until.map_or(limit, |until| until.min(limit));
            match tokio::time::timeout_at(limit, self.attempt()).await {
                Ok(Ok(Decision::Lost)) => return,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(lease = %self.name, %error, "leader election failed, trying again");
                }
                Err(_) => {
                    tracing::warn!(lease = %self.name, "leader election: the API server is slow");
                }
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Looks, decides, and writes if that is the decision.
    async fn attempt(&mut self) -> Result<Decision, kube::Error> {
        // A holder writes over what it wrote last; that the write succeeds proves nobody else did.
        if self.lease.is_none() || self.held_until.is_none() {
            let lease = self.api.get_opt(&self.name).await?;
            self.note(lease);
        }
        let decision = self.decide();
        if let Decision::Acquire | Decision::Renew { .. } = decision {
            let sent = Instant::now();
            let lease = self.renewed();
            // If it fails, or its answer is lost, the next attempt looks first.
            let before = self.lease.take();
            let written = match before {
                Some(_) => self.api.replace(&self.name, &PostParams::default(), &lease).await?,
                None => self.api.create(&PostParams::default(), &lease).await?,
            };
            self.note(Some(written));
            let until = sent + self.timing.duration.saturating_sub(self.timing.margin);
            if self.held_until.replace(until).is_none() {
                tracing::info!(lease = %self.name, identity = %self.identity, "leading");
            }
            self.leads.send_replace(Some(until));
        }
        Ok(decision)
    }

    fn decide(&self) -> Decision {
        evaluate(self.sighting.as_ref(), &self.identity, self.held_until, Instant::now())
    }

    /// Remembers `lease`, and since when it has been so.
    fn note(&mut self, lease: Option<Lease>) {
        let seen = lease.as_ref().map(|lease| self.sighting_of(lease));
        let version = |sighting: &Sighting| sighting.version.clone();
        if seen.as_ref().map(version) != self.sighting.as_ref().map(version) {
            self.sighting = seen;
        }
        self.lease = lease;
    }

    fn sighting_of(&self, lease: &Lease) -> Sighting {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Sighting {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration: seconds.map_or(self.timing.duration, Duration::from_secs),
            version: lease.metadata.resource_version.clone(),
            since: Instant::now(),
        }
    }

    /// The Lease as we would have it: what was there, held by us as of now.
    fn renewed(&self) -> Lease {
        let mut lease = self.lease.clone().unwrap_or_default();
        lease.metadata.name.get_or_insert_with(|| self.name.clone());
        let now = MicroTime(self.clock.now());
        let before = lease.spec.take().unwrap_or_default();
        let ours = before.holder_identity.as_deref() == Some(&self.identity);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(whole_seconds(self.timing.duration)),
            acquire_time: if ours { before.acquire_time.clone() } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or(-1) + i32::from(!ours)),
            ..before
        });
        lease
    }

    async fn release(&mut self) {
        match tokio::time::timeout(self.timing.retry, self.give_back()).await {
            Ok(Ok(())) => tracing::info!(lease = %self.name, "leadership given back"),
            Ok(Err(error)) => {
                tracing::warn!(lease = %self.name, %error, "leadership not given back: the next leader has to wait");
            }
            Err(_) => {
                tracing::warn!(lease = %self.name, "leadership not given back in time: the next leader has to wait");
            }
        }
    }

    async fn give_back(&mut self) -> Result<(), kube::Error> {
        // Without what we wrote last, a renewal was under way.
        let lease = match self.lease.take() {
            Some(lease) => Some(lease),
            None => self.api.get_opt(&self.name).await?,
        };
        let Some(mut lease) = lease else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(self.clock.now()));
            self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }

    /// How long until the next attempt.
    fn pause(&mut self) -> Duration {
        let retry = self.timing.retry;
        let spread = retry.mul_f64(1.0 + (self.jitter)().clamp(0.0, 1.0));
        match self.decide() {
            Decision::Renew { remaining } => retry.min(remaining),
            Decision::Wait { remaining } => spread.min(remaining),
            Decision::Acquire => spread,
            Decision::Lost => Duration::ZERO,
        }
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[rstest::rstest]
    #[case::there_is_none(None, None, Decision::Acquire)]
    #[case::released(Some((None, 0)), None, Decision::Acquire)]
    #[case::of_another(Some((Some("b"), 4)), None, Decision::Wait { remaining: 11 * S })]
    #[case::expired(Some((Some("b"), 15)), None, Decision::Acquire)]
    #[case::of_an_earlier_life(Some((Some("a"), 0)), None, Decision::Acquire)]
    #[case::ours(Some((Some("a"), 2)), Some(8), Decision::Renew { remaining: 8 * S })]
    #[case::ours_but_late(Some((Some("a"), 2)), Some(0), Decision::Lost)]
    #[case::taken(Some((Some("b"), 0)), Some(8), Decision::Lost)]
    #[case::taken_and_released(Some((None, 0)), Some(8), Decision::Lost)]
    #[case::deleted(None, Some(8), Decision::Renew { remaining: 8 * S })]
    #[case::deleted_and_late(None, Some(0), Decision::Lost)]
    #[tokio::test(start_paused = true)]
    async fn decisions(
        #[case] lease: Option<(Option<&str>, u32)>,
        #[case] held_for: Option<u32>,
        #[case] expected: Decision,
    ) {
        let now = Instant::now() + 100 * S;
        let sighting = lease.map(|(holder, unchanged_for)| Sighting {
            holder: holder.map(str::to_owned),
            duration: 15 * S,
            version: None,
            since: now - unchanged_for * S,
        });
        let held_until = held_for.map(|seconds| now + seconds * S);
        assert_eq!(evaluate(sighting.as_ref(), "a", held_until, now), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_stops_before_others_may_start() {
        let timing = Timing::default();
        assert!(timing.duration - timing.margin > 2 * timing.retry);
        assert!(Leadership::uncontested().remaining() > 365 * 24 * 3600 * S);
    }
}
