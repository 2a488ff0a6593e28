//! Faults: what goes wrong in a scenario, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use fake_agent::{Fault, On, Rule, RuleId};
use fake_apiserver::faults::{self, Effect};
use fake_apiserver::kubelet::Kill;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::Value;

use super::steps::{Player, Result, WITHIN};
use crate::case::{
    AgentFault, AgentMisbehaves, ApiFault, ApiMisbehaves, Crash, CrashPoint, Link, Member, Seen,
    Span, Step, Trigger,
};
use crate::network::OPERATOR;
use crate::timeline::Who;
use crate::world::{TT, Trap, World};

/// How long an operator that crashed stays away when the scenario does not say.
const DOWN: Duration = Duration::from_secs(2);

impl Player<'_> {
    /// Plays a step that makes something go wrong, or ends that.
    #[expect(clippy::too_many_lines, reason = "a table: one arm for each kind of fault")]
    pub(super) async fn fault(&mut self, law: &str, step: &Step) -> Result {
        self.faulted = true;
        self.mark();
        match step {
            Step::KillContainer(member) => {
                let pod = self.pod(member)?;
                self.say(format!("kill container tt of {pod}"));
                let node = self.world.node_of(&pod).await;
                let killed = node.is_some_and(|node| {
                    node.kill_container(self.world.api.namespace(), &pod, TT, Kill::Killed)
                });
                if killed {
                    Ok(())
                } else {
                    Err(self.wrong(law, "no such container runs", vec![pod]))
                }
            }
            Step::DeletePod(member) => {
                let pod = self.pod(member)?;
                self.world.record.say(Who::User, format!("delete pod/{pod}"));
                let api: Api<Pod> = Api::default_namespaced(self.world.client());
                let deleted = api.delete(&pod, &DeleteParams::default()).await;
                self.done("delete the pod", deleted).map(drop)
            }
            Step::LoseNode(member) | Step::IsolateNode(member) => {
                let pod = self.pod(member)?;
                let Some(node) = self.world.node_of(&pod).await else {
                    return Err(self.wrong(law, "the pod is on no node", vec![pod]));
                };
                self.world.set_node_network(&node, false).await;
                if matches!(step, Step::LoseNode(_)) {
                    self.say(format!("power of {} of {pod} is cut", node.name()));
                    node.lose();
                } else {
                    self.say(format!("network of {} of {pod} is cut", node.name()));
                    node.isolate();
                }
                Ok(())
            }
            Step::KillDaemon(member) => {
                let host = self.host(member)?;
                if self.world.fleet.kill_daemon(&host) {
                    Ok(())
                } else {
                    Err(self.wrong(law, "there is nothing of the kind", vec![host]))
                }
            }
            Step::CloseDatabase(member) => {
                let host = self.host(member)?;
                if self.world.fleet.close_database(&host) {
                    Ok(())
                } else {
                    Err(self.wrong(law, "there is nothing of the kind", vec![host]))
                }
            }
            Step::StopRepAgent(member) => {
                let host = self.host(member)?;
                if self.world.fleet.stop_rep_agent(&host) {
                    Ok(())
                } else {
                    Err(self.wrong(law, "there is nothing of the kind", vec![host]))
                }
            }
            Step::Agent(misbehaves) => self.agent(misbehaves),
            Step::Api(misbehaves) => self.api(law, misbehaves),
            Step::Cut(link) => self.cut(link),
            Step::CrashOperator(crash) => self.crash(law, crash).await,
            Step::IsolateOperator(span) => {
                self.isolate_operator(*span).await;
                Ok(())
            }
            Step::RestoreNodes(_) => {
                self.restore_nodes().await;
                Ok(())
            }
            Step::AgentsBehave(_) => {
                self.world.fleet.behave();
                Ok(())
            }
            Step::ApiBehaves(_) => {
                self.world.faults.clear();
                Ok(())
            }
            Step::MendCuts(_) => {
                self.mend_cuts();
                Ok(())
            }
            other => self.damage(law, other).await,
        }
    }

    pub(super) fn say(&self, text: String) {
        self.world.record.say(Who::Fault, text);
    }

    fn agent(&self, misbehaves: &AgentMisbehaves) -> Result {
        let host = self.host(&misbehaves.of)?;
        let on = match misbehaves.on.as_str() {
            "any" => On::Any,
            "get" => On::Get,
            "poll" => On::Poll,
            "post" => On::Post,
            verb => On::Verb(verb.into()),
        };
        let fault = fault_of(&misbehaves.does);
        self.say(format!(
            "agent of {} on {}: {:?}",
            self.pod(&misbehaves.of)?,
            misbehaves.on,
            misbehaves.does
        ));
        let mut rule = Rule::new(on, fault).after(misbehaves.after);
        if let Some(times) = misbehaves.times {
            rule = rule.times(times);
        }
        let script = self.world.fleet.script(&host);
        let id: RuleId = script.add(rule);
        self.later(misbehaves.until, move |_| {
            script.clear(id);
        });
        Ok(())
    }

    fn api(&self, law: &str, misbehaves: &ApiMisbehaves) -> Result {
        let effect = self.api_effect(&misbehaves.does);
        use faults::Verb;
        let verbs: Vec<Option<Verb>> = match misbehaves.verb.as_deref() {
            None => vec![None],
            Some("get") => vec![Some(Verb::Get)],
            Some("list") => vec![Some(Verb::List)],
            Some("watch") => vec![Some(Verb::Watch)],
            Some("create") => vec![Some(Verb::Create)],
            Some("update") => vec![Some(Verb::Update)],
            Some("patch") => vec![Some(Verb::Patch)],
            Some("delete") => vec![Some(Verb::Delete)],
            Some("write") => {
                vec![Some(Verb::Create), Some(Verb::Update), Some(Verb::Patch), Some(Verb::Delete)]
            }
            Some(other) => {
                return Err(self.wrong(
                    law,
                    "there is no such verb of the API",
                    vec![other.into()],
                ));
            }
        };
        self.say(format!("API: {misbehaves:?}"));
        for verb in verbs {
            let mut rule = faults::Rule::always(effect.clone());
            rule.verb = verb;
            rule.resource.clone_from(&misbehaves.resource);
            rule.subresource.clone_from(&misbehaves.subresource);
            rule.name.clone_from(&misbehaves.name);
            rule.skip = misbehaves.after;
            rule.times = misbehaves.times;
            let id = self.world.faults.add(rule);
            self.later(misbehaves.until, move |world| {
                world.faults.remove(id);
            });
        }
        Ok(())
    }

    fn api_effect(&self, does: &ApiFault) -> Effect {
        match does {
            ApiFault::Status(code) => Effect::Status {
                code: *code,
                reason: reason_of(*code).into(),
                message: "injected by the scenario".into(),
            },
            ApiFault::Slow(Span(by)) => Effect::Latency(*by),
            ApiFault::Hang => Effect::Hang,
            ApiFault::LoseRequest => Effect::DropBefore,
            ApiFault::LoseReply => Effect::DropAfter,
            ApiFault::Stale => Effect::Stale(self.world.api.revision()),
            ApiFault::CutWatches => Effect::CutWatches,
            ApiFault::ExpireWatches => Effect::ExpireWatches,
            ApiFault::SilenceWatches => Effect::StallWatches,
            ApiFault::LoseEvents => Effect::LoseEvents,
            ApiFault::DelayEvents(Span(by)) => Effect::DelayEvents(*by),
            ApiFault::MergeEvents(Span(by)) => Effect::MergeEvents(*by),
        }
    }

    fn cut(&self, link: &Link) -> Result {
        let place = |name: String| Member(name);
        let to = self.host(&place(link.to.clone()))?;
        self.say(format!("cut {} -> {}", link.from, link.to));
        if link.from == OPERATOR {
            self.world.network.cut(OPERATOR, &to);
            self.later(link.until, move |world| world.network.mend(OPERATOR, &to));
        } else {
            let from = self.host(&place(link.from.clone()))?;
            self.world.fleet.links().cut(&from, &to);
            self.later(link.until, move |world| world.fleet.links().heal(&from, &to));
        }
        Ok(())
    }

    pub(super) fn mend_cuts(&self) {
        self.world.network.mend_all();
        self.world.fleet.links().heal_all();
    }

    pub(super) async fn restore_nodes(&self) {
        for node in &self.world.nodes {
            self.world.set_node_network(node, true).await;
            node.restore();
        }
        self.in_service().await;
        self.mend_cuts();
    }

    /// Does something after a while, if a while is given.
    fn later(&self, after: Option<Span>, act: impl FnOnce(&World) + Send + 'static) {
        let Some(Span(after)) = after else { return };
        let world = Arc::downgrade(&self.world);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(world) = world.upgrade() {
                act(&world);
            }
        });
    }

    async fn crash(&self, law: &str, crash: &Crash) -> Result {
        if let Some(CrashPoint { state, write, point }) = &crash.at {
            if let Some(state) = state {
                let seen = Seen { state: Some(state.clone()), ..Seen::default() };
                self.eventually(law, &seen).await?;
            }
            self.world.tap.trap(Trap {
                skip: write.unwrap_or(1).saturating_sub(1),
                done: *point != Trigger::Before,
                answered: *point == Trigger::After,
            });
            if tokio::time::timeout(WITHIN, self.world.tap.struck()).await.is_err() {
                return Err(self.wrong(law, "the operator did not write so often", vec![]));
            }
        }
        let leader = self.world.operators.leader().await;
        self.say(format!("{leader} is killed"));
        self.world.operators.kill(&leader).await;
        tokio::time::sleep(crash.down.map_or(DOWN, |Span(down)| down)).await;
        self.say(format!("{leader} starts again"));
        self.world.operators.start();
        Ok(())
    }

    async fn isolate_operator(&self, span: Span) {
        let leader = self.world.operators.leader().await;
        self.say(format!("{leader} is cut off from everything"));
        self.world.operators.isolate(&leader, true);
        self.later(Some(span), move |world| world.operators.isolate(&leader, false));
    }
}

/// The reason that a real API server gives with a status.
fn reason_of(code: u16) -> &'static str {
    match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    }
}

fn fault_of(does: &AgentFault) -> Fault {
    match does {
        AgentFault::Refuse => Fault::Refuse,
        AgentFault::Hang => Fault::Hang,
        AgentFault::Slow(Span(by)) => Fault::Slow(*by),
        AgentFault::Http(code) => {
            Fault::Http(*code, "<html>injected by the scenario</html>".into())
        }
        AgentFault::BadJson => Fault::BadJson,
        AgentFault::Errno(errno) => Fault::Errno(*errno, "injected by the scenario".into()),
        AgentFault::Lie(members) => Fault::Lie(Value::Object(members.clone())),
        AgentFault::LoseReply => Fault::LoseReply,
        AgentFault::LoseRequest => Fault::LoseBefore,
        AgentFault::FailTask(errno) => Fault::FailTask(*errno, "injected by the scenario".into()),
        AgentFault::StuckTask => Fault::StuckTask,
        AgentFault::ForgetTask => Fault::ForgetTask,
        AgentFault::CrashBefore => Fault::CrashBefore,
        AgentFault::CrashAfter => Fault::CrashAfter,
    }
}
