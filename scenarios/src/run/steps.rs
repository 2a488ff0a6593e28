//! The steps: what the user, the faults and the checks of a scenario do.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};

use super::checks::{self, differences};
use super::reference;
use crate::case::{Case, History, Refused, Seen, Span, Step};
use crate::oracles::{Sight, Violation};
use crate::timeline::Who;
use crate::world::{NAMESPACE, OBJECT, VisitError, World};

pub(super) type Result<T = ()> = std::result::Result<T, Violation>;

/// How long `eventually` waits when it does not say.
pub(super) const WITHIN: Duration = Duration::from_secs(60);
/// How often something is looked at when nothing tells of a change.
const LOOK: Duration = Duration::from_millis(100);

/// Plays the steps of one scenario.
pub(super) struct Player<'a> {
    pub(super) world: Arc<World>,
    pub(super) case: &'a Case,
    pub(super) faulted: bool,
    /// Outages count.
    marked: bool,
    reference: Vec<String>,
    /// The Secret of the agents, as it was before it was deleted or edited.
    pub(super) credentials: Option<Secret>,
    /// The object's spec before what the scenario merges over it.
    ttspec: Map<String, Value>,
}

impl<'a> Player<'a> {
    pub(super) fn new(world: Arc<World>, case: &'a Case, reference: Vec<String>) -> Self {
        Self {
            world,
            case,
            faulted: false,
            marked: false,
            reference,
            credentials: None,
            ttspec: Map::new(),
        }
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
            let api: Api<ConfigMap> = Api::default_namespaced(self.world.client());
            self.done("create the ConfigMap", api.create(&PostParams::default(), &files).await)?;
            ttspec["dbConfigMap"] = json!([OBJECT]);
        }
        if !setting.secret_files.is_empty() {
            let files = Secret {
                metadata: named(),
                string_data: Some(setting.secret_files.clone()),
                ..Secret::default()
            };
            let api: Api<Secret> = Api::default_namespaced(self.world.client());
            self.done("create the Secret", api.create(&PostParams::default(), &files).await)?;
            ttspec["dbSecret"] = json!([OBJECT]);
        }
        if setting.local_volumes || setting.volumes_grow.is_some() {
            let class = StorageClass {
                metadata: ObjectMeta { name: Some("fast".into()), ..ObjectMeta::default() },
                provisioner: "volumes.example".into(),
                allow_volume_expansion: setting.volumes_grow,
                volume_binding_mode: setting
                    .local_volumes
                    .then(|| "WaitForFirstConsumer".to_owned()),
                ..StorageClass::default()
            };
            let api: Api<StorageClass> = Api::all(self.world.client());
            self.done("create the class", api.create(&PostParams::default(), &class).await)?;
        }
        if let Some(ttspec) = ttspec.as_object() {
            self.ttspec.clone_from(ttspec);
        }
        self.put_in_the_way(&setting.in_the_way).await?;
        for name in std::iter::once(OBJECT).chain(setting.objects.iter().map(String::as_str)) {
            self.create_object(name).await?;
        }
        Ok(())
    }

    /// The user creates an object.
    pub(super) async fn create_object(&self, name: &str) -> Result {
        let mut ttspec = Value::Object(self.ttspec.clone());
        merge(&mut ttspec, &Value::Object(self.case.world.ttspec.clone()));
        let object = json!({
            "apiVersion": "timesten.oracle.com/v5",
            "kind": "TimesTenClassic",
            "metadata": {"name": name, "namespace": self.world.api.namespace()},
            "spec": {"ttspec": ttspec, "template": self.case.world.template},
        });
        let object = self.done("write the object", serde_json::from_value(object))?;
        self.world.record.say(Who::User, format!("create timestenclassic/{name}"));
        let api = checks::objects(self.world.client());
        self.done("create the object", api.create(&PostParams::default(), &object).await)?;
        Ok(())
    }

    pub(super) fn done<T, E: std::fmt::Display>(
        &self,
        what: &str,
        result: std::result::Result<T, E>,
    ) -> Result<T> {
        result.map_err(|error| self.wrong("scenario", &format!("cannot {what}: {error}"), vec![]))
    }

    /// Outages count from the first thing that happens to the pair.
    pub(super) fn mark(&mut self) {
        if !self.marked {
            self.marked = true;
            self.world.application.mark();
        }
    }

    /// Plays a step.
    pub(super) async fn step(&mut self, number: usize, step: &Step) -> Result {
        if let Some(violation) = self.world.record.violation() {
            return Err(violation);
        }
        let law = format!("step {number}");
        self.touch(step);
        match step {
            Step::Eventually(seen) => self.eventually(&law, seen).await,
            Step::Never(seen) => self.during(&law, seen, false).await,
            Step::Always(seen) => self.during(&law, seen, true).await,
            Step::History(history) => self.history(&law, history),
            Step::Quiet(Span(span)) => self.quiet(&law, *span).await,
            Step::SameAsReference(_) => {
                let seen = reference::shape(&self.world).await;
                let differs = reference::difference(&self.reference, &seen);
                if differs.is_empty() {
                    return Ok(());
                }
                Err(self.wrong(&law, "the world is not as it is without the faults", differs))
            }
            Step::Patch(patch) => {
                self.mark();
                self.world
                    .record
                    .say(Who::User, format!("patch spec {}", Value::Object(patch.clone())));
                let patched = self.patch(patch).await;
                self.done("patch the object", patched)
            }
            Step::Label(labels) => self.label(labels).await,
            Step::Refused(refused) => self.refused(&law, refused).await,
            Step::Delete(delete) => {
                let name = match delete.name.as_deref().unwrap_or(OBJECT) {
                    NAMESPACE if delete.kind == "namespace" => self.world.api.namespace(),
                    name => name,
                };
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
            fault => {
                self.interfered();
                let played = self.fault(&law, fault).await;
                self.interfered();
                played
            }
        }
    }

    /// Whatever has a deadline has it from here on.
    fn interfered(&self) {
        let at = self.world.record.now();
        self.world.record.with(|record| record.oracles.see(at, Sight::Interfered));
    }

    /// The API server refuses a change of the spec, and says why.
    async fn refused(&self, law: &str, refused: &Refused) -> Result {
        match self.patch(&refused.patch).await {
            Ok(()) => Err(self.wrong(law, "the API server took what it should refuse", vec![])),
            Err(error) if error.to_string().contains(&refused.message) => {
                self.world.record.say(Who::User, format!("is refused: {error}"));
                Ok(())
            }
            Err(error) => {
                let expected = format!("expected {:?}", refused.message);
                let details = vec![expected, format!("seen {error}")];
                Err(self.wrong(law, "it is refused, but with other words", details))
            }
        }
    }

    async fn patch(&self, spec: &Map<String, Value>) -> std::result::Result<(), kube::Error> {
        let patch = json!({"spec": spec});
        let api = checks::objects(self.world.client());
        api.patch(OBJECT, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
    }

    /// Waits until everything is as `seen` says, all at once.
    pub(super) async fn eventually(&self, law: &str, seen: &Seen) -> Result {
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
        let (went, verbs) = self.world.record.with(|record| {
            (record.states.get(OBJECT).cloned().unwrap_or_default(), record.verbs.clone())
        });
        if let Some(wanted) = &history.state
            && *wanted != went
        {
            return Err(self.wrong(
                law,
                "the object went through other states",
                vec![
                    format!("expected {}", wanted.join(", ")),
                    format!("seen     {}", went.join(", ")),
                ],
            ));
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
        self.world.fleet.behave();
        self.world.fleet.set_oracle(true);
        self.world.faults.clear();
        self.mend_cuts();
        self.world.containers.mend_images();
        self.restore_nodes().await;
        self.world.operators.rejoin();
        self.world.operators.start();
        let seen = match self.case.ends.as_str() {
            "gone" => Seen { exists: Some(false), ..Seen::default() },
            state => Seen { state: Some(state.into()), ..Seen::default() },
        };
        let seen = Seen { within: Some(Span(within)), ..seen };
        self.interfered();
        self.eventually("convergence", &seen).await?;
        self.left_in_oracle().await;
        self.subscribers_ready(within).await?;
        for name in &self.case.world.objects {
            let seen = Seen {
                of: Some(name.clone()),
                state: Some("Normal".into()),
                within: Some(Span(within)),
                ..Seen::default()
            };
            self.eventually("convergence", &seen).await?;
        }
        Ok(())
    }

    /// The longest time without service after the first fault or edit.
    pub(super) fn recovery(&self) -> Option<Duration> {
        self.world.application.outage().filter(|_| self.marked)
    }

    /// What must hold of a story that was told to its end.
    pub(super) fn judge_story(&self) {
        self.bound_recovery();
        self.lost_commits();
    }

    fn bound_recovery(&self) {
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
    fn lost_commits(&self) {
        let app = self.world.application.app();
        let mut hosts = self.world.fleet.hosts();
        // What only a subscriber holds is lost to the pair.
        let member = |host: &String| self.world.fleet.view(host).is_some_and(|v| !v.subscriber);
        hosts.retain(member);
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        if hosts.is_empty() {
            return;
        }
        let acks = app.acknowledged();
        let at = self.world.record.now();
        let lost = if self.world.routes.lone(OBJECT) {
            if let Some((host, span)) = self.world.application.turned_away() {
                self.world.record.with(|record| record.oracles.turned_away(at, &host, span));
            }
            // A replica that is no more keeps its volume.
            acks.iter().filter(|ack| !self.world.fleet.kept(ack.id)).copied().collect()
        } else {
            app.lost_acknowledged(&hosts)
        };
        let failovers = usize::from(self.faulted);
        self.world.record.with(|r| r.oracles.acknowledged(at, &acks, &lost, failovers));
    }

    /// An hour in which nothing happens and nothing may be written.
    pub(super) async fn quiet_hour(&self, settle: Duration, hour: Duration) {
        self.world.start_writing(None);
        tokio::time::sleep(settle).await;
        self.marks();
        let quiet = match self.subscribers_follow() {
            Ok(()) => self.quiet("quiet-hour", hour).await,
            Err(violation) => Err(violation),
        };
        if let Err(violation) = quiet {
            self.world.record.with(|record| {
                record.oracles.violation.get_or_insert(violation);
            });
        }
    }

    /// Something stays on a server that outlives the world.
    pub(super) fn left_behind(&self, error: &VisitError) {
        let message = "the server is not as it was before";
        let violation = self.wrong("clean-up", message, vec![error.to_string()]);
        self.world.record.with(|record| {
            record.oracles.violation.get_or_insert(violation);
        });
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
