//! Probes: what makes a container started, ready, and unhealthy.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::pod::PodWorker;
use super::runtime::ProbeTarget;

/// Counts results until as many in a row as it takes to believe them.
struct Verdict {
    successes: u32,
    failures: u32,
    streak: (bool, u32),
}

impl Verdict {
    fn of(probe: &Probe) -> Self {
        let count = |value: Option<i32>, default| {
            value.and_then(|v| u32::try_from(v).ok()).unwrap_or(default).max(1)
        };
        Self {
            successes: count(probe.success_threshold, 1),
            failures: count(probe.failure_threshold, 3),
            streak: (false, 0),
        }
    }

    /// Takes in a result; brings what is to be believed from now on, if that is settled.
    fn settle(&mut self, good: bool) -> Option<bool> {
        let length = if self.streak.0 == good { self.streak.1.saturating_add(1) } else { 1 };
        self.streak = (good, length);
        (length >= if good { self.successes } else { self.failures }).then_some(good)
    }
}

impl PodWorker {
    /// Probes a container that runs; resolves when it has to be killed for its health.
    pub(super) async fn unhealthy(&self, spec: &Container) {
        if let Some(hook) = spec.lifecycle.as_ref().and_then(|l| l.post_start.as_ref())
            && !self.hook(spec, hook).await
        {
            return;
        }
        let since = Instant::now();
        if let Some(probe) = &spec.startup_probe {
            if !self.probe(spec, probe, since, Some).await {
                return;
            }
            self.change_container(&spec.name, |c| {
                c.started = true;
                c.ready = spec.readiness_probe.is_none();
            });
        }
        let alive = async {
            match &spec.liveness_probe {
                Some(probe) => {
                    self.probe(spec, probe, since, |good| (!good).then_some(false)).await;
                }
                None => std::future::pending().await,
            }
        };
        let ready = async {
            if let Some(probe) = &spec.readiness_probe {
                let mut known = false;
                let note = |good| {
                    if known != good {
                        known = good;
                        self.change_container(&spec.name, |c| c.ready = good);
                    }
                    None
                };
                self.probe(spec, probe, since, note).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = alive => {}
            () = ready => {}
        }
    }

    /// Probes until `settled` makes an end of it.
    async fn probe(
        &self,
        spec: &Container,
        probe: &Probe,
        since: Instant,
        mut settled: impl FnMut(bool) -> Option<bool>,
    ) -> bool {
        let mut verdict = Verdict::of(probe);
        let first = since + seconds(probe.initial_delay_seconds, 0);
        let mut ticks = interval_at(
            first.max(Instant::now()),
            seconds(probe.period_seconds, 10).max(Duration::from_secs(1)),
        );
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let good = self.attempt(spec, probe).await;
            if let Some(end) = verdict.settle(good).and_then(&mut settled) {
                return end;
            }
        }
    }

    async fn attempt(&self, spec: &Container, probe: &Probe) -> bool {
        let limit = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
        if let Some(command) = probe.exec.as_ref().and_then(|exec| exec.command.as_ref()) {
            return self.exec(spec, command, limit).await;
        }
        let http = probe.http_get.as_ref().map(|get| ProbeTarget::Http {
            port: port(&get.port),
            path: get.path.clone().unwrap_or_else(|| "/".to_owned()),
        });
        match http.or_else(|| {
            probe.tcp_socket.as_ref().map(|tcp| ProbeTarget::Tcp { port: port(&tcp.port) })
        }) {
            Some(target) => timeout(limit, self.core.runtime.reach(&self.reference(spec), &target))
                .await
                .unwrap_or(false),
            None => true,
        }
    }
}

fn port(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}

fn seconds(value: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(value.and_then(|v| u64::try_from(v).ok()).unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_believed_after_enough_in_a_row() {
        let mut verdict = Verdict::of(&Probe {
            success_threshold: Some(2),
            failure_threshold: Some(3),
            ..Probe::default()
        });
        let results = [true, true, false, false, true, false, false, false, true];
        let settled: Vec<_> = results.into_iter().map(|good| verdict.settle(good)).collect();
        assert_eq!(settled, [None, Some(true), None, None, None, None, None, Some(false), None]);
    }
}
