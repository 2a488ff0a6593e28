//! The life of one container: started, probed, stopped or killed, and started again after a while.

use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use kube::ResourceExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Kill;
use super::environment;
use super::pod::PodWorker;
use super::runtime::{ContainerRef, ContainerStart, StopSignal};
use super::state::{Exit, Role, Stand};
use super::volumes::Volumes;

/// How long the real kubelet waits at least, and at most, before it starts a container that keeps failing.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// A container that ran this long is forgiven.
const FORGIVEN: Duration = Duration::from_secs(600);

/// Delays between restarts: the first at once, then ever longer.
#[derive(Default)]
struct Backoff {
    next: Option<(Duration, Instant)>,
}

impl Backoff {
    fn delay(&mut self, now: Instant) -> Duration {
        let (delay, next) = match self.next {
            Some((delay, since)) if now - since < FORGIVEN => (delay, (delay * 2).min(BACKOFF.1)),
            Some(_) | None => (Duration::ZERO, BACKOFF.0),
        };
        self.next = Some((next, now + delay));
        delay
    }
}

/// Why a container has to stop.
enum Stop {
    Exited(i32),
    Killed(Kill),
    /// The pod ends.
    PodEnds,
    /// A probe or hook failed.
    Unhealthy,
}

impl PodWorker {
    /// Runs a container until it is not to run again; brings its last exit code, if it ran.
    pub(super) async fn container(
        &self,
        spec: &Container,
        role: Role,
        volumes: &Volumes,
    ) -> Option<i32> {
        let mut backoff = Backoff::default();
        tokio::select! {
            biased;
            () = self.until_ending() => return None,
            () = self.pull(spec) => {}
        }
        loop {
            let start = tokio::select! {
                biased;
                () = self.until_ending() => return None,
                start = self.prepare(spec, role, volumes) => start,
            };
            let exit = self.run_once(spec, role, start).await;
            let code = exit.code;
            if self.ending() || !self.restarts(role, code) {
                return Some(code);
            }
            let delay = backoff.delay(Instant::now());
            if delay.is_zero() {
                continue;
            }
            self.crash_loop(spec, &exit, delay);
            tokio::select! {
                biased;
                () = self.until_ending() => {
                    self.change_container(&spec.name, |c| { c.stand = Stand::Ended(exit); c.last = None; });
                    return Some(code);
                }
                () = sleep(delay) => {}
            }
        }
    }

    /// Waits until the image can be had.
    async fn pull(&self, spec: &Container) {
        let image = spec.image.as_deref().unwrap_or_default();
        let mut delay = BACKOFF.0;
        while let Some(why) = self.core.runtime.pull(image, &self.core.spec.name) {
            let waits = |reason, message: String| {
                self.change_container(&spec.name, |container| {
                    container.stand = Stand::Waiting { reason, message };
                });
            };
            waits("ErrImagePull", format!("failed to pull and unpack image {image:?}: {why}"));
            self.core.relist().await;
            waits("ImagePullBackOff", format!("Back-off pulling image {image:?}: {why}"));
            sleep(delay).await;
            delay = (delay * 2).min(BACKOFF.1);
        }
    }

    fn restarts(&self, role: Role, code: i32) -> bool {
        let policy = self.spec.restart_policy.as_deref().unwrap_or("Always");
        match role {
            Role::Sidecar => true,
            Role::Init => code != 0 && policy != "Never",
            Role::Main => policy == "Always" || policy == "OnFailure" && code != 0,
        }
    }

    fn crash_loop(&self, spec: &Container, exit: &Exit, delay: Duration) {
        let pod = self.pod();
        let message = format!(
            "back-off {}s restarting failed container={} pod={}_{}({})",
            delay.as_secs(),
            spec.name,
            pod.name_any(),
            pod.namespace().unwrap_or_default(),
            pod.uid().unwrap_or_default()
        );
        self.change_container(&spec.name, |c| {
            c.last = Some(exit.clone());
            c.stand = Stand::Waiting { reason: "CrashLoopBackOff", message };
        });
    }

    /// Gathers what a container is started with, and takes the time that takes.
    async fn prepare(
        &self,
        spec: &Container,
        role: Role,
        volumes: &Volumes,
    ) -> (ContainerStart, watch::Sender<bool>) {
        let env = environment::resolve(self, spec).await;
        let again = self.state().containers.iter().any(|c| {
            let ran = matches!(c.stand, Stand::Ended(_)) || c.stand_is("CrashLoopBackOff");
            c.name == spec.name && ran
        });
        let mounts = if again { volumes.refreshed(self).await.of(spec) } else { volumes.of(spec) };
        sleep(self.core.timings.start).await;
        let (sender, stop) = StopSignal::new();
        let state = self.state();
        let known = state.containers.iter().find(|c| c.name == spec.name);
        let start = ContainerStart {
            pod: self.pod(),
            container: spec.name.clone(),
            id: self.core.container_id(),
            init: role == Role::Init,
            restart_count: known.map_or(0, |c| c.restarts) + i32::from(again),
            node: self.core.spec.name.clone(),
            pod_ip: state.ip.clone().unwrap_or_default(),
            mounts,
            env,
            stop,
        };
        (start, sender)
    }

    /// Runs a container once, to its end.
    async fn run_once(
        &self,
        spec: &Container,
        role: Role,
        (start, stop): (ContainerStart, watch::Sender<bool>),
    ) -> Exit {
        let killed = self.kills.get(&spec.name);
        if let Some(killed) = killed {
            killed.send_replace(None);
        }
        let (since, id) = ((self.core.clock)(), start.id.clone());
        let restarts = start.restart_count;
        let mut running = self.core.runtime.run(start);
        self.change_container(&spec.name, |c| {
            if let Stand::Ended(exit) = &c.stand {
                c.last = Some(exit.clone());
            }
            c.restarts = restarts;
            c.stand = Stand::Running { since, id: id.clone() };
            c.started = spec.startup_probe.is_none();
            c.ready = c.started && spec.readiness_probe.is_none();
        });
        let why = tokio::select! {
            biased;
            code = &mut running => Stop::Exited(code),
            kill = until_killed(killed) => Stop::Killed(kill),
            () = self.until_turn_to_end(role) => Stop::PodEnds,
            () = self.unhealthy(spec) => Stop::Unhealthy,
        };
        let (code, reason) = match why {
            Stop::Exited(code) => (code, None),
            Stop::Killed(Kill::Killed) => (137, None),
            Stop::Killed(Kill::OutOfMemory) => (137, Some("OOMKilled")),
            Stop::PodEnds | Stop::Unhealthy => {
                (self.stop(spec, &why, &mut running, &stop).await, None)
            }
        };
        drop(running);
        let finished = (self.core.clock)();
        if matches!(why, Stop::Exited(_) | Stop::Killed(_)) {
            self.core.relist().await;
        }
        let reason = reason.unwrap_or(if code == 0 { "Completed" } else { "Error" });
        let exit = Exit { code, reason, started: since, finished, id };
        self.change_container(&spec.name, |c| {
            c.stand = Stand::Ended(exit.clone());
            c.started = false;
            c.ready = false;
        });
        exit
    }

    /// Resolves when the pod ends and it is this container's turn: sidecars outlive the others.
    async fn until_turn_to_end(&self, role: Role) {
        self.until_ending().await;
        if role == Role::Sidecar {
            let running =
                |c: &super::state::ContainerState| matches!(c.stand, Stand::Running { .. });
            self.until_state(|state| {
                !state.containers.iter().any(|c| c.role != Role::Sidecar && running(c))
            })
            .await;
        }
    }

    /// Stops a container gracefully, then less so; brings its exit code.
    async fn stop(
        &self,
        spec: &Container,
        why: &Stop,
        running: &mut BoxFuture<'static, i32>,
        stop: &watch::Sender<bool>,
    ) -> i32 {
        let grace = self.grace(spec, why);
        let expired = async {
            tokio::select! {
                biased;
                () = self.until_deadline() => {}
                () = sleep(grace) => {}
            }
        };
        let ask = async {
            if let Some(hook) = spec.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref()) {
                self.hook(spec, hook).await;
            }
            stop.send_replace(true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            code = running => code,
            _ = until_killed(self.kills.get(&spec.name)) => 137,
            () = expired => 137,
            () = ask => 137,
        }
    }

    /// How long a container may take to stop, when the pod itself goes on.
    fn grace(&self, spec: &Container, why: &Stop) -> Duration {
        let of_probe =
            spec.liveness_probe.as_ref().and_then(|p| p.termination_grace_period_seconds);
        match why {
            Stop::Unhealthy => {
                let seconds = of_probe.or(self.spec.termination_grace_period_seconds).unwrap_or(30);
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            }
            // The pod's deadline rules.
            Stop::PodEnds | Stop::Exited(_) | Stop::Killed(_) => Duration::MAX,
        }
    }

    /// Runs a hook; whether it went well.
    pub(super) async fn hook(&self, spec: &Container, hook: &LifecycleHandler) -> bool {
        if let Some(pause) = &hook.sleep {
            sleep(Duration::from_secs(u64::try_from(pause.seconds).unwrap_or(0))).await;
        }
        match hook.exec.as_ref().and_then(|exec| exec.command.as_ref()) {
            Some(command) => self.core.runtime.exec(&self.reference(spec), command).await.code == 0,
            None => true,
        }
    }

    /// Runs a command with a limit; whether it ended well in time.
    pub(super) async fn exec(&self, spec: &Container, command: &[String], limit: Duration) -> bool {
        let outcome = timeout(limit, self.core.runtime.exec(&self.reference(spec), command)).await;
        outcome.is_ok_and(|result| result.code == 0)
    }

    pub(super) fn reference(&self, spec: &Container) -> ContainerRef {
        let pod = self.pod();
        ContainerRef {
            namespace: pod.namespace().unwrap_or_default(),
            pod: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            container: spec.name.clone(),
            node: self.core.spec.name.clone(),
        }
    }
}

async fn until_killed(killed: Option<&watch::Sender<Option<Kill>>>) -> Kill {
    if let Some(sender) = killed
        && let Ok(kill) = sender.subscribe().wait_for(Option::is_some).await
        && let Some(kill) = *kill
    {
        return kill;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_restart_is_at_once_and_later_ones_wait_ever_longer() {
        let mut backoff = Backoff::default();
        let mut seen = Vec::new();
        for _ in 0..8 {
            let delay = backoff.delay(Instant::now());
            seen.push(delay.as_secs());
            sleep(delay).await;
        }
        assert_eq!(seen, [0, 10, 20, 40, 80, 160, 300, 300]);
        sleep(FORGIVEN).await;
        assert_eq!(backoff.delay(Instant::now()), Duration::ZERO);
    }
}
