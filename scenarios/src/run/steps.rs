//! The steps: what the user, the faults and the checks of a scenario do.

use std::sync::Arc;
use std::time::Duration;

use fake_agent::{Fault, On, Rule, RuleId};
use fake_apiserver::faults::{self, Effect};
use fake_apiserver::kubelet::Kill;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};

use super::checks::{self, OBJECT, differences};
use crate::case::{
    AgentFault, AgentMisbehaves, ApiFault, ApiMisbehaves, Case, Crash, CrashPoint, History, Link,
    Member, Seen, Span, Step, Trigger,
};
use crate::network::OPERATOR;
use crate::oracles::Violation;
use crate::timeline::Who;
use crate::world::{NAMESPACE, TT, Trap, World};

type Result<T = ()> = std::result::Result<T, Violation>;

/// How long `eventually` waits when it does not say.
const WITHIN: Duration = Duration::from_secs(60);
/// How often something is looked at when nothing tells of a change.
const LOOK: Duration = Duration::from_millis(100);
/// How long an operator that crashed stays away when the scenario does not say.
const DOWN: Duration = Duration::from_secs(2);

/// Plays the steps of one scenario.
pub(super) struct Player<'a> {
    world: Arc<World>,
    case: &'a Case,
    faulted: bool,
    failovers_allowed: bool,
}

impl<'a> Player<'a> {
    pub(super) fn new(world: Arc<World>, case: &'a Case) -> Self {
        Self { world, case, faulted: false, failovers_allowed: false }
    }

    /// Something is not as it should be.
    pub(super) fn wrong(&self, law: &str, message: &str, details: Vec<String>) -> Violation {
        let at = self.world.record.now();
        Violation { at, law: law.into(), message: message.into(), details }
    }

    /// The user creates the metadata files and the object.
    pub(super) async fn provision(&mut self) -> Result {
        let setting = &self.case.world;
        let mut ttspec = json!({
            "image": "registry.example/timesten:22.1.1.36.0",
            "storageClassName": "fast",
            "storageSize": "10Gi",
        });
        let named = || ObjectMeta { name: Some(OBJECT.into()), ..ObjectMeta::default() };
        if !setting.files.is_empty() {
            let files = ConfigMap {
                metadata: named(),
                data: Some(setting.files.clone()),
                ..ConfigMap::default()
            };
            let api: Api<ConfigMap> = Api::namespaced(self.world.client(), NAMESPACE);
            self.done("create the ConfigMap", api.create(&PostParams::default(), &files).await)?;
            ttspec["dbConfigMap"] = json!([OBJECT]);
        }
        if !setting.secret_files.is_empty() {
            let files = Secret {
                metadata: named(),
                string_data: Some(setting.secret_files.clone()),
                ..Secret::default()
            };
            let api: Api<Secret> = Api::namespaced(self.world.client(), NAMESPACE);
            self.done("create the Secret", api.create(&PostParams::default(), &files).await)?;
            ttspec["dbSecret"] = json!([OBJECT]);
        }
        merge(&mut ttspec, &Value::Object(setting.ttspec.clone()));
        let object = json!({
            "apiVersion": "timesten.oracle.com/v5",
            "kind": "TimesTenClassic",
            "metadata": {"name": OBJECT, "namespace": NAMESPACE},
            "spec": {"ttspec": ttspec},
        });
        let object = self.done("write the object", serde_json::from_value(object))?;
        self.world.record.say(Who::User, "create timestenclassic/sample");
        let api = checks::objects(self.world.client());
        self.done("create the object", api.create(&PostParams::default(), &object).await)?;
        Ok(())
    }

    fn done<T, E: std::fmt::Display>(
        &self,
        what: &str,
        result: std::result::Result<T, E>,
    ) -> Result<T> {
        result.map_err(|error| self.wrong("scenario", &format!("cannot {what}: {error}"), vec![]))
    }

    /// Plays a step.
    pub(super) async fn step(&mut self, number: usize, step: &Step) -> Result {
        if let Some(violation) = self.world.record.violation() {
            return Err(violation);
        }
        let law = format!("step {number}");
        match step {
            Step::Eventually(seen) => self.eventually(&law, seen).await,
            Step::Never(seen) => self.during(&law, seen, false).await,
            Step::Always(seen) => self.during(&law, seen, true).await,
            Step::History(history) => self.history(&law, history),
            Step::Quiet(Span(span)) => self.quiet(&law, *span).await,
            Step::Patch(patch) => {
                self.world
                    .record
                    .say(Who::User, format!("patch spec {}", Value::Object(patch.clone())));
                let patched = self.patch(patch).await;
                self.done("patch the object", patched)
            }
            Step::Refused(refused) => match self.patch(&refused.patch).await {
                Ok(()) => {
                    Err(self.wrong(&law, "the API server took what it should refuse", vec![]))
                }
                Err(error) if error.to_string().contains(&refused.message) => {
                    self.world.record.say(Who::User, format!("is refused: {error}"));
                    Ok(())
                }
                Err(error) => Err(self.wrong(
                    &law,
                    "it is refused, but with other words",
                    vec![format!("expected {:?}", refused.message), format!("seen {error}")],
                )),
            },
            Step::Delete(delete) => {
                let name = delete.name.as_deref().unwrap_or(OBJECT);
                self.world.record.say(Who::User, format!("delete {}/{name}", delete.kind));
                let Some(api) = checks::api(self.world.client(), &delete.kind) else {
                    return Err(self.wrong(
                        &law,
                        "this kind cannot be deleted",
                        vec![delete.kind.clone()],
                    ));
                };
                let deleted = api.delete(name, &DeleteParams::default()).await;
                self.done("delete it", deleted).map(drop)
            }
            fault => self.fault(&law, fault).await,
        }
    }

    /// Plays a step that makes something go wrong, or ends that.
    #[expect(clippy::too_many_lines, reason = "a table: one arm for each kind of fault")]
    async fn fault(&mut self, law: &str, step: &Step) -> Result {
        if !self.faulted {
            self.faulted = true;
            self.world.application.mark();
        }
        self.failovers_allowed = true;
        match step {
            Step::KillContainer(member) => {
                let pod = self.pod(member).await;
                self.say(format!("kill container tt of {pod}"));
                let node = self.world.node_of(&pod).await;
                let killed =
                    node.is_some_and(|node| node.kill_container(NAMESPACE, &pod, TT, Kill::Killed));
                if killed {
                    Ok(())
                } else {
                    Err(self.wrong(law, "no such container runs", vec![pod]))
                }
            }
            Step::DeletePod(member) => {
                let pod = self.pod(member).await;
                self.world.record.say(Who::User, format!("delete pod/{pod}"));
                let api: Api<Pod> = Api::namespaced(self.world.client(), NAMESPACE);
                let deleted = api.delete(&pod, &DeleteParams::default()).await;
                self.done("delete the pod", deleted).map(drop)
            }
            Step::LoseNode(member) | Step::IsolateNode(member) => {
                let pod = self.pod(member).await;
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
                let host = self.host(member).await;
                if self.world.fleet.kill_daemon(&host) {
                    Ok(())
                } else {
                    Err(self.wrong(law, "there is nothing of the kind", vec![host]))
                }
            }
            Step::CloseDatabase(member) => {
                let host = self.host(member).await;
                if self.world.fleet.close_database(&host) {
                    Ok(())
                } else {
                    Err(self.wrong(law, "there is nothing of the kind", vec![host]))
                }
            }
            Step::StopRepAgent(member) => {
                let host = self.host(member).await;
                if self.world.fleet.stop_rep_agent(&host) {
                    Ok(())
                } else {
                    Err(self.wrong(law, "there is nothing of the kind", vec![host]))
                }
            }
            Step::Agent(misbehaves) => self.agent(law, misbehaves).await,
            Step::Api(misbehaves) => self.api(law, misbehaves),
            Step::Cut(link) => self.cut(link).await,
            Step::CrashOperator(crash) => self.crash(law, crash).await,
            Step::RestoreNodes(_) => {
                self.restore_nodes().await;
                Ok(())
            }
            Step::AgentsBehave(_) => {
                self.agents_behave();
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
            other => Err(self.wrong(law, &format!("{other:?} is no fault"), vec![])),
        }
    }

    fn say(&self, text: String) {
        self.world.record.say(Who::Fault, text);
    }

    async fn patch(&self, spec: &Map<String, Value>) -> std::result::Result<(), kube::Error> {
        let patch = json!({"spec": spec});
        let api = checks::objects(self.world.client());
        api.patch(OBJECT, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
    }

    /// Waits until everything is as `seen` says, all at once.
    async fn eventually(&self, law: &str, seen: &Seen) -> Result {
        let within = seen.within.map_or(WITHIN, |Span(within)| within);
        let deadline = tokio::time::Instant::now() + within;
        let mut news = self.world.record.news();
        loop {
            if let Some(violation) = self.world.record.violation() {
                return Err(violation);
            }
            let wrong = differences(&self.world, seen).await;
            if wrong.is_empty() {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                let message = format!("this did not come true within {within:?}");
                return Err(self.wrong(law, &message, wrong));
            }
            tokio::select! {
                biased;
                _ = news.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// For so long everything is, or is not, as `seen` says.
    async fn during(&self, law: &str, seen: &Seen, wanted: bool) -> Result {
        let deadline = tokio::time::Instant::now() + seen.span.map_or(WITHIN, |Span(span)| span);
        let mut news = self.world.record.news();
        while tokio::time::Instant::now() < deadline {
            let wrong = differences(&self.world, seen).await;
            if wrong.is_empty() != wanted {
                let message =
                    if wanted { "this did not stay true" } else { "this must not become true" };
                let details = if wanted { wrong } else { vec![format!("{seen:?}")] };
                return Err(self.wrong(law, message, details));
            }
            tokio::select! {
                biased;
                _ = news.changed() => {}
                () = tokio::time::sleep_until(deadline.min(tokio::time::Instant::now() + LOOK)) => {}
            }
        }
        Ok(())
    }

    fn history(&self, law: &str, history: &History) -> Result {
        let (states, verbs) =
            self.world.record.with(|record| (record.states.clone(), record.verbs.clone()));
        if let Some(wanted) = &history.state {
            let went: Vec<String> = states.into_iter().map(|(_, state)| state).collect();
            if *wanted != went {
                return Err(self.wrong(
                    law,
                    "the object went through other states",
                    vec![
                        format!("expected {}", wanted.join(", ")),
                        format!("seen     {}", went.join(", ")),
                    ],
                ));
            }
        }
        let count = |verb: &String| verbs.get(verb).copied().unwrap_or_default();
        let wrong: Vec<String> = history
            .verbs
            .iter()
            .filter(|(verb, wanted)| count(verb) != **wanted)
            .map(|(verb, wanted)| format!("{verb}: expected {wanted}, seen {}", count(verb)))
            .collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(self.wrong(law, "verbs were sent more or less often", wrong))
        }
    }

    async fn quiet(&self, law: &str, span: Duration) -> Result {
        let before = self.world.tap.count();
        tokio::time::sleep(span).await;
        let writes = self.world.tap.writes();
        let new = writes.get(before..).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        Err(self.wrong(law, "the operator wrote when nothing had changed", new.to_vec()))
    }

    /// All faults end, and the pair must come to rest.
    pub(super) async fn come_to_rest(&mut self, within: Duration) -> Result {
        self.agents_behave();
        self.world.faults.clear();
        self.mend_cuts();
        self.restore_nodes().await;
        self.world.start_operator();
        let seen = match self.case.ends.as_str() {
            "gone" => Seen { exists: Some(false), ..Seen::default() },
            state => Seen { state: Some(state.into()), ..Seen::default() },
        };
        let seen = Seen { within: Some(Span(within)), ..seen };
        self.eventually("convergence", &seen).await
    }

    /// The longest time without service after the first fault.
    pub(super) fn recovery(&self) -> Option<Duration> {
        self.world.application.outage().filter(|_| self.faulted)
    }

    pub(super) fn bound_recovery(&self) {
        let Some(Span(bound)) = self.case.recovery else { return };
        let took = self.recovery();
        if took.is_none_or(|took| took > bound) {
            let details = vec![format!("expected at most {bound:?}, seen {took:?}")];
            let at = self.world.record.now();
            self.world.record.with(|record| {
                record.oracles.broken(
                    at,
                    "recovery",
                    "clients were without service too long",
                    details,
                );
            });
        }
    }

    /// What was acknowledged and is held by nobody any more.
    pub(super) fn lost_commits(&self) {
        let app = self.world.application.app();
        let hosts = self.world.fleet.hosts();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        if hosts.is_empty() {
            return;
        }
        let (acks, lost) = (app.acknowledged(), app.lost_acknowledged(&hosts));
        let failovers = usize::from(self.failovers_allowed);
        let at = self.world.record.now();
        self.world.record.with(|r| r.oracles.acknowledged(at, &acks, &lost, failovers));
    }

    /// An hour in which nothing happens and nothing may be written.
    pub(super) async fn quiet_hour(&self, settle: Duration, hour: Duration) {
        self.world.start_writing(None);
        tokio::time::sleep(settle).await;
        if let Err(violation) = self.quiet("quiet-hour", hour).await {
            self.world.record.with(|record| {
                record.oracles.violation.get_or_insert(violation);
            });
        }
    }

    /// The pod that a member is now.
    async fn pod(&self, member: &Member) -> String {
        let wanted = match member.0.as_str() {
            "active" => "Active",
            "standby" => "Standby",
            pod => return pod.to_owned(),
        };
        let object = checks::object(&self.world).await.unwrap_or_default();
        let pods = object.pointer("/status/podStatus").and_then(Value::as_array).cloned();
        pods.into_iter()
            .flatten()
            .find(|pod| pod.get("intendedState").and_then(Value::as_str) == Some(wanted))
            .and_then(|pod| pod.get("name")?.as_str().map(ToOwned::to_owned))
            .unwrap_or_else(|| format!("{OBJECT}-0"))
    }

    async fn host(&self, member: &Member) -> String {
        let pod = self.pod(member).await;
        format!("{pod}.{OBJECT}.{NAMESPACE}.svc.cluster.local")
    }

    async fn agent(&self, law: &str, misbehaves: &AgentMisbehaves) -> Result {
        let host = self.host(&misbehaves.of).await;
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
            self.pod(&misbehaves.of).await,
            misbehaves.on,
            misbehaves.does
        ));
        let mut rule = Rule::new(on, fault).after(misbehaves.after);
        if let Some(times) = misbehaves.times {
            rule = rule.times(times);
        }
        let script = self.world.fleet.script(&host);
        let id: RuleId = script.add(rule);
        let _ = law;
        self.later(misbehaves.until, move |_| {
            script.clear(id);
        });
        Ok(())
    }

    fn agents_behave(&self) {
        for ordinal in 0..2 {
            let host = format!("{OBJECT}-{ordinal}.{OBJECT}.{NAMESPACE}.svc.cluster.local");
            self.world.fleet.script(&host).clear_all();
        }
    }

    fn api(&self, law: &str, misbehaves: &ApiMisbehaves) -> Result {
        let effect = match &misbehaves.does {
            ApiFault::Status(code) => Effect::Status {
                code: *code,
                reason: if *code == 409 { "Conflict" } else { "InternalError" }.into(),
                message: "injected by the scenario".into(),
            },
            ApiFault::Slow(Span(by)) => Effect::Latency(*by),
            ApiFault::Hang => Effect::Hang,
            ApiFault::LoseRequest => Effect::DropBefore,
            ApiFault::LoseReply => Effect::DropAfter,
            ApiFault::CutWatches => Effect::CutWatches,
        };
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
            rule.times = misbehaves.times;
            let id = self.world.faults.add(rule);
            self.later(misbehaves.until, move |world| {
                world.faults.remove(id);
            });
        }
        Ok(())
    }

    async fn cut(&self, link: &Link) -> Result {
        let place = |name: String| Member(name);
        let to = self.host(&place(link.to.clone())).await;
        self.say(format!("cut {} -> {}", link.from, link.to));
        if link.from == OPERATOR {
            self.world.network.cut(OPERATOR, &to);
            self.later(link.until, move |world| world.network.mend(OPERATOR, &to));
        } else {
            let from = self.host(&place(link.from.clone())).await;
            self.world.fleet.links().cut(&from, &to);
            self.later(link.until, move |world| world.fleet.links().heal(&from, &to));
        }
        Ok(())
    }

    fn mend_cuts(&self) {
        self.world.network.mend_all();
        let hosts = [0, 1].map(|n| format!("{OBJECT}-{n}.{OBJECT}.{NAMESPACE}.svc.cluster.local"));
        for from in &hosts {
            hosts.iter().for_each(|to| self.world.fleet.links().heal(from, to));
        }
    }

    async fn restore_nodes(&self) {
        for node in &self.world.nodes {
            self.world.set_node_network(node, true).await;
            node.restore();
        }
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
        self.say("the operator is killed".into());
        self.world.stop_operator().await;
        tokio::time::sleep(crash.down.map_or(DOWN, |Span(down)| down)).await;
        self.say("a new operator starts".into());
        self.world.start_operator();
        Ok(())
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

/// Merges `over` into `into`, as a JSON merge patch does.
fn merge(into: &mut Value, over: &Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (key, value) in over {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, over) => *into = over.clone(),
    }
}
