//! Members: which pods and hosts a scenario means, and what it does to subscribers.

use std::time::Duration;

use serde_json::Value;

use super::checks;
use super::steps::{Player, Result};
use crate::case::{Link, Member, Seen, Span, Step};
use crate::oracles::Sight;
use crate::world::{OBJECT, World};

impl Player<'_> {
    /// The pod that a member is now.
    pub(super) fn pod(&self, member: &Member) -> Result<String> {
        let (name, role) = member.0.split_once('/').unwrap_or((OBJECT, &member.0));
        let wanted = match role {
            "active" => "Active",
            "standby" => "Standby",
            pod => return Ok(pod.to_owned()),
        };
        let object = checks::object(&self.world, name).unwrap_or_default();
        let pods = object.pointer("/status/podStatus").and_then(Value::as_array).cloned();
        pods.into_iter()
            .flatten()
            .find(|pod| pod.get("intendedState").and_then(Value::as_str) == Some(wanted))
            .and_then(|pod| pod.get("name")?.as_str().map(ToOwned::to_owned))
            .ok_or_else(|| {
                let message = format!("there is no {} member now", member.0);
                self.wrong("scenario", &message, vec![])
            })
    }

    pub(super) fn host(&self, member: &Member) -> Result<String> {
        Ok(host(&self.world, &self.pod(member)?))
    }

    /// Tells the oracles what a step of the scenario touches.
    pub(super) fn touch(&self, step: &Step) {
        let subscriber = match step {
            Step::Eventually(_)
            | Step::Never(_)
            | Step::Always(_)
            | Step::History(_)
            | Step::SameAsReference(_)
            | Step::Quiet(_)
            | Step::AgentsBehave(_)
            | Step::ApiBehaves(_)
            | Step::MendCuts(_)
            | Step::RestoreNodes(_)
            | Step::CrashOperator(_) => return,
            Step::Patch(spec) => {
                let tt = spec.get("ttspec").and_then(Value::as_object);
                spec.len() == 1 && tt.is_some_and(|tt| tt.keys().all(|key| key == "subscribers"))
            }
            Step::Cut(Link { from, to, .. }) => {
                [from, to].into_iter().any(|pod| is_subscriber(&self.world, pod))
            }
            fault => fault.victim().is_some_and(|Member(pod)| is_subscriber(&self.world, pod)),
        };
        let at = self.world.record.now();
        self.world.record.with(|record| record.oracles.see(at, Sight::Touched { subscriber }));
    }

    /// When all faults have ended, all subscribers follow.
    pub(super) async fn subscribers_ready(&self, within: Duration) -> Result {
        let any = checks::object(&self.world, OBJECT).is_some_and(|object| {
            object.pointer("/spec/ttspec/subscribers/replicas").is_some_and(Value::is_number)
        });
        if !any || self.case.ends != "Normal" {
            return Ok(());
        }
        let mut seen = Seen { within: Some(Span(within)), ..Seen::default() };
        let all = serde_json::json!({"state": "AllSubscribersReady"});
        seen.status.insert("subscriber".into(), all);
        self.eventually("convergence", &seen).await
    }

    /// At rest the pods of each pair that is Normal have the marks of their roles.
    pub(super) fn marks(&self) {
        let at = self.world.record.now();
        let objects = self.world.record.with(|record| record.objects.clone());
        for (name, object) in objects {
            let status =
                |key: &str| object.pointer(&format!("/status/{key}")).and_then(Value::as_str);
            if status("highLevelState") != Some("Normal") {
                continue;
            }
            for pod in [format!("{name}-0"), format!("{name}-1")] {
                let host = host(&self.world, &pod);
                let markers = self.world.fleet.view(&host).map(|view| view.markers);
                let (active, markers) =
                    (status("activePods") == Some(&pod), markers.unwrap_or_default());
                self.world.record.with(|r| r.oracles.marked(at, &host, active, &markers));
            }
        }
    }

    /// At rest every subscriber that the status calls Normal holds what the active holds.
    pub(super) fn subscribers_follow(&self) -> Result {
        let object = checks::object(&self.world, OBJECT).unwrap_or_default();
        let pods = object.pointer("/status/podStatus").and_then(Value::as_array);
        for pod in pods.into_iter().flatten() {
            let text = |key| pod.get(key).and_then(Value::as_str).unwrap_or_default();
            let normal = text("ttPodType") == "Subscriber" && text("highLevelState") == "Normal";
            if normal && !follows(&self.world, text("name")) {
                let message = "a subscriber is called Normal, and does not follow";
                return Err(self.wrong(
                    "subscribers-follow",
                    message,
                    vec![text("name").to_owned()],
                ));
            }
        }
        Ok(())
    }
}

/// The pod's copy holds everything that the active's holds.
pub(super) fn follows(world: &World, pod: &str) -> bool {
    let active = world.routes.active(OBJECT);
    active.is_some_and(|active| world.fleet.complete(&host(world, pod), &active))
}

/// A pod's host name: the object is the one whose name the pod's begins with.
fn host(world: &World, pod: &str) -> String {
    let object = world.record.with(|record| {
        let of =
            |name: &&String| pod.strip_prefix(name.as_str()).is_some_and(|o| o.starts_with('-'));
        record.objects.keys().filter(of).max_by_key(|name| name.len()).cloned()
    });
    let object = object.unwrap_or_else(|| OBJECT.to_owned());
    let namespace = world.api.namespace();
    format!("{pod}.{object}.{namespace}.svc.cluster.local")
}

/// The status has the pod as a subscriber.
fn is_subscriber(world: &World, pod: &str) -> bool {
    let object = checks::object(world, OBJECT).unwrap_or_default();
    let pods = object.pointer("/status/podStatus").and_then(Value::as_array);
    pods.into_iter().flatten().any(|entry| {
        let is = |key: &str, value: &str| entry.get(key).and_then(Value::as_str) == Some(value);
        is("name", pod) && is("ttPodType", "Subscriber")
    })
}
