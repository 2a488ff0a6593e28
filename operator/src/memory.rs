//! What one process remembers of one object between passes: answers, silences, orders under way.
//!
//! Never: decides, and nothing here outlives the process or is needed after a restart. All times
//! are monotonic (I14) and start anew with the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::agent::{AgentError, Facts, TaskReport, Urgency, Verb};
use crate::crd::TimesTenClassic;
use crate::credentials::Credentials;
use crate::desired::{Desired, SpecProblem};
use crate::direct::Reads;
use crate::objects::{Versions, Wanted, Write};
use crate::observation::{Agent, Doing, Failure, Heard, Markers, Quiet, Role, Silence, Task};
use crate::since::Since;
use crate::standing::replicas::ReplicaState;
use crate::standing::{Incarnation, Intent, Standing, State};
use crate::writes::Writes;

/// What is remembered of one object.
#[derive(Debug)]
pub struct Memory {
    /// The object as this process last wrote it: the watch may lag behind.
    pub written: Option<Arc<TimesTenClassic>>,
    /// The last spec that could be believed, and its generation.
    pub desired: Option<(i64, Arc<Desired>)>,
    /// What the agents are spoken to with.
    pub credentials: Option<Arc<Credentials>>,
    /// What is remembered of each pod, by its name.
    pods: BTreeMap<String, Pod>,
    /// Why there are no credentials, though pods were started with some.
    pub locked_out: Option<String>,
    /// What became of the writes of owned objects.
    pub writes: Writes,
    /// The owned objects, as they were last compared with the spec.
    pub compared: Option<Compared>,
    /// This process has written the status.
    pub wrote: bool,
    /// The version that another operator wrote over ours.
    rival: Since<Option<String>>,
    /// State, term, and whether a copy is under way: what follows a copy has its own time.
    state: Since<(State, i64, bool)>,
    intent: Since<Option<Intent>>,
    task: Since<Option<String>>,
    rebuilds: Since<u32>,
}

/// What is remembered of one pod.
#[derive(Debug)]
pub struct Pod {
    /// What holds for its present incarnation.
    pub link: Link,
    /// What direct reads of it said.
    pub reads: Reads,
    /// The state that the status says it is in, if it has one of its own.
    pub state: Since<Option<ReplicaState>>,
}

/// The owned objects, compared with the spec.
#[derive(Debug)]
pub struct Compared {
    /// The generation of the spec and the versions of the objects that this holds for.
    pub of: (i64, Versions),
    /// The objects as the spec wants them.
    pub wanted: Wanted,
    /// What differed.
    pub drift: Vec<Write>,
}

impl Memory {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            written: None,
            desired: None,
            credentials: None,
            pods: BTreeMap::new(),
            locked_out: None,
            writes: Writes::default(),
            compared: None,
            wrote: false,
            rival: Since::new(None, now),
            state: Since::new((State::Initializing, i64::MIN, false), now),
            intent: Since::new(None, now),
            task: Since::new(None, now),
            rebuilds: Since::new(0, now),
        }
    }

    /// What is remembered of the pod of that name.
    pub fn pod(&mut self, name: &str, now: Instant) -> &mut Pod {
        self.pods.entry(name.to_owned()).or_insert_with(|| Pod {
            link: Link::new(now),
            reads: Reads::default(),
            state: Since::new(None, now),
        })
    }

    /// Forgets the pods that there are no more to be.
    pub fn keep(&mut self, names: &[String]) {
        self.pods.retain(|name, _| names.contains(name));
    }

    /// The last spec that could be believed, which may be this one.
    pub fn believe(
        &mut self,
        generation: i64,
        spec: &Result<Desired, SpecProblem>,
    ) -> Option<(i64, Arc<Desired>)> {
        if let Ok(desired) = spec {
            self.desired = Some((generation, Arc::new(desired.clone())));
        }
        self.desired.clone()
    }

    /// Notes what the status says, and since when this process knows it.
    pub fn note(&mut self, standing: &Standing, now: Instant) {
        self.state.note((standing.state, standing.term, standing.task.is_some()), now);
        self.intent.note(standing.intent.clone(), now);
        self.task.note(standing.task.as_ref().map(|task| task.id.clone()), now);
        self.rebuilds.note(standing.rebuild_failures, now);
    }

    /// For how long another operator's word has stood, if `version` of the object is one; `None` as
    /// long as this process has written nothing, for then the other was the leader before it.
    pub fn rival(&mut self, version: Option<String>, now: Instant) -> Option<Duration> {
        self.rival.note(version.filter(|_| self.wrote), now);
        self.rival.known().as_ref().map(|_| self.rival.age(now))
    }

    /// How long the object is known to be in its state, since the last copy began or ended in it.
    #[must_use]
    pub fn in_state(&self, now: Instant) -> Duration {
        self.state.age(now)
    }

    /// How long ago the intent was known to be on record.
    #[must_use]
    pub fn intent_age(&self, now: Instant) -> Option<Duration> {
        self.intent.known().as_ref().map(|_| self.intent.age(now))
    }

    /// How long the number of failed rebuilds has been known.
    #[must_use]
    pub fn rebuild_age(&self, now: Instant) -> Duration {
        self.rebuilds.age(now)
    }

    /// How long the task has been known.
    #[must_use]
    pub fn task_age(&self, now: Instant) -> Duration {
        self.task.known().as_ref().map_or(Duration::ZERO, |_| self.task.age(now))
    }
}

/// What is remembered of one pod, in its present incarnation.
#[derive(Debug)]
pub struct Link {
    incarnation: Option<Incarnation>,
    since: Instant,
    asking: Option<Instant>,
    asked: Option<Instant>,
    heard: Option<Answer>,
    silent: Option<(Instant, Silence)>,
    fresh_from: Instant,
    doing: Option<(Verb, Instant)>,
    failures: Vec<Failed>,
    markers: Markers,
    quiet: (Quiet, Instant),
    task: (String, Task),
    label: Option<Written>,
    guarded: bool,
}

/// A role label that was written and that the watch has not shown yet.
#[derive(Debug)]
struct Written {
    /// The version of the pod that the watch showed when it was written.
    before: Option<String>,
    role: Option<Role>,
}

/// An order that failed when it was last given.
#[derive(Debug)]
struct Failed {
    verb: Verb,
    count: u32,
    at: Instant,
    said: bool,
    hung: bool,
    text: String,
}

#[derive(Debug)]
struct Answer {
    facts: Facts,
    asked: Instant,
    unchanged: Instant,
    took: Duration,
}

/// An agent that lets a question wait this long counts as silent since it was asked, unless it
/// has been slow before: it is then given twice the time of its last answer.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

impl Link {
    fn new(now: Instant) -> Self {
        Self {
            incarnation: None,
            since: now,
            asking: None,
            asked: None,
            heard: None,
            silent: None,
            fresh_from: now,
            doing: None,
            failures: Vec::new(),
            markers: Markers::default(),
            quiet: (Quiet::No, now),
            task: (String::new(), Task::NotAsked),
            label: None,
            guarded: false,
        }
    }

    /// Forgets everything if this is another incarnation than before.
    pub fn meet(&mut self, incarnation: Option<&Incarnation>, now: Instant) {
        if self.incarnation.as_ref() != incarnation {
            *self = Self { incarnation: incarnation.cloned(), ..Self::new(now) };
        }
    }

    /// The incarnation that all this holds for.
    #[must_use]
    pub fn incarnation(&self) -> Option<&Incarnation> {
        self.incarnation.as_ref()
    }

    /// The agent may be asked: it is not being asked, and was not asked within `interval`.
    #[must_use]
    pub fn due(&self, interval: Duration, now: Instant) -> bool {
        self.asking.is_none() && self.asked.is_none_or(|asked| now - asked >= interval)
    }

    /// When the agent is due to be asked again.
    #[must_use]
    pub fn next_due(&self, interval: Duration, now: Instant) -> Duration {
        match (self.asking, self.asked) {
            (Some(asking), _) => (asking + self.patience()).saturating_duration_since(now),
            (None, Some(asked)) => (asked + interval).saturating_duration_since(now),
            (None, None) => Duration::ZERO,
        }
    }

    /// A question goes out.
    pub fn ask(&mut self, now: Instant) {
        self.asking = Some(now);
        self.asked = Some(now);
    }

    /// The answer to a question asked then, or how there is none. What was asked before an order
    /// ended says nothing of what it did, and is dropped.
    pub fn answer(&mut self, asked: Instant, answer: Result<Facts, Silence>, now: Instant) {
        if self.asking == Some(asked) {
            self.asking = None;
        }
        if asked < self.fresh_from {
            self.asked = None;
            return;
        }
        match answer {
            Ok(facts) => {
                let same =
                    self.heard.as_ref().filter(|h| health_key(&h.facts) == health_key(&facts));
                let unchanged = same.map_or(now, |heard| heard.unchanged);
                self.heard = Some(Answer { facts, asked, unchanged, took: now - asked });
                self.silent = None;
            }
            Err(how) => {
                let since = self.silent.as_ref().map_or(asked, |(since, _)| *since);
                self.silent = Some((since, how));
            }
        }
    }

    /// How long a question may wait: what is always slow is not silent.
    fn patience(&self) -> Duration {
        let usual = self.heard.as_ref().map_or(Duration::ZERO, |answer| answer.took);
        ANSWER_PATIENCE.max(usual * 2)
    }

    /// The agent as a pass sees it.
    #[must_use]
    pub fn agent(&self, now: Instant) -> Agent {
        let overdue = self.asking.filter(|asked| now - *asked >= self.patience());
        let silent = self.silent.clone().or_else(|| {
            overdue.map(|asked| (asked, Silence::Mute("it lets a question wait".into())))
        });
        match (&self.heard, silent) {
            (None, silent) => {
                Agent::NotYet { waited: now - self.since, how: silent.map(|(_, how)| how) }
            }
            (Some(_), Some((since, how))) => Agent::Silent { since: now - since, how },
            (Some(heard), None) => Agent::Heard(Heard {
                facts: heard.facts.clone(),
                asked: now - heard.asked,
                unchanged: now - heard.unchanged,
            }),
        }
    }

    /// An order goes out.
    pub fn give(&mut self, verb: Verb, now: Instant) {
        self.doing = Some((verb, now));
    }

    /// The order has come to its end; what the agent says is worth knowing from `now` on.
    pub fn done(&mut self, verb: &Verb, result: &Result<(), AgentError>, now: Instant) {
        self.doing = None;
        if !verb.is_marker() {
            self.fresh_from = now;
        }
        match result {
            Ok(()) => {
                self.failures.retain(|failed| failed.verb.name() != verb.name());
                match verb {
                    Verb::SetActive => self.markers.active = Some(true),
                    Verb::ClearActive => self.markers.active = Some(false),
                    Verb::SetReadiness => self.markers.ready = Some(true),
                    Verb::ClearReadiness => self.markers.ready = Some(false),
                    Verb::OpenDb | Verb::CloseDb => self.quiet = (Quiet::No, now),
                    Verb::ForceDisconnect { urgency: Urgency::Transactional } => {
                        self.quiet = (Quiet::Asked(Duration::ZERO), now);
                    }
                    Verb::ForceDisconnect { urgency: Urgency::Immediate } => {
                        self.quiet = (Quiet::Ended, now);
                    }
                    Verb::RepAdminWait { .. } => self.quiet = (Quiet::Drained, now),
                    _ => {}
                }
            }
            Err(error) => {
                let said = matches!(error, AgentError::Verb { .. });
                let hung = matches!(error, AgentError::TimedOut { .. });
                self.fail(verb, (said, hung), error.to_string(), now);
            }
        }
    }

    fn fail(&mut self, verb: &Verb, (said, hung): (bool, bool), text: String, at: Instant) {
        let same = |failed: &Failed| failed.verb.name() == verb.name();
        let count = self.failures.iter().find(|f| same(f)).map_or(0, |f| f.count) + 1;
        self.failures.retain(|failed| !same(failed));
        self.failures.push(Failed { verb: verb.clone(), count, at, said, hung, text });
    }

    /// What became of a task, asked then.
    pub fn report(
        &mut self,
        id: &str,
        report: &Result<TaskReport, AgentError>,
        asked: Instant,
        now: Instant,
    ) {
        // Before the order that starts it has ended, the agent cannot know the task.
        if asked < self.fresh_from || self.doing.is_some() {
            return;
        }
        let task = match report {
            Ok(TaskReport::Running { .. }) => Task::Running,
            Ok(TaskReport::Complete { .. }) => Task::Complete,
            Ok(TaskReport::UnknownId) => Task::Unknown,
            Ok(TaskReport::Failed { message, .. }) => Task::Failed(message.clone()),
            // One missed answer says nothing about the task.
            Err(_) => return,
        };
        let text = match &task {
            Task::Failed(text) => Some(text.clone()),
            Task::Unknown => Some("the agent no longer knows the task".into()),
            Task::NotAsked | Task::Running | Task::Complete => None,
        };
        let news = self.task != (id.to_owned(), task.clone());
        if task == Task::Complete && news {
            // What failed, failed in the database that is no more.
            self.failures.clear();
        }
        if let Some(text) = text.filter(|_| news) {
            self.fail(&Verb::RepDuplicate, (true, false), text, now);
        }
        self.task = (id.to_owned(), task);
    }

    /// The task as a pass sees it.
    #[must_use]
    pub fn task(&self, id: Option<&str>) -> Task {
        if id == Some(self.task.0.as_str()) { self.task.1.clone() } else { Task::NotAsked }
    }

    /// The order under way.
    #[must_use]
    pub fn doing(&self, now: Instant) -> Option<Doing> {
        let (verb, since) = self.doing.as_ref()?;
        Some(Doing { verb: verb.clone(), elapsed: now - *since })
    }

    /// The orders that failed.
    #[must_use]
    pub fn failures(&self, now: Instant) -> Vec<Failure> {
        let failure = |failed: &Failed| Failure {
            verb: failed.verb.clone(),
            count: failed.count,
            ago: now - failed.at,
            said: failed.said,
            hung: failed.hung,
            text: failed.text.clone(),
        };
        self.failures.iter().map(failure).collect()
    }

    /// The role label of the pod at this version, as far as it is known: what was written last
    /// counts until the watch shows another version.
    pub fn role(&mut self, shown: Option<Role>, version: Option<&str>) -> Option<Role> {
        match &self.label {
            Some(written) if written.before.as_deref() == version => written.role,
            _ => {
                self.label = None;
                shown
            }
        }
    }

    /// A role label was written while the watch showed this version of the pod.
    pub fn labelled(&mut self, version: Option<String>, role: Option<Role>) {
        self.label = Some(Written { before: version, role });
    }

    /// The end of the connection to the agent is not being waited for yet; from now on it is.
    pub fn guard(&mut self) -> bool {
        !std::mem::replace(&mut self.guarded, true)
    }

    /// The connection to the agent has ended: it is due to be asked.
    pub fn broken(&mut self) {
        self.guarded = false;
        self.asked = None;
    }

    /// How far its database is at rest.
    #[must_use]
    pub fn quiet(&self, now: Instant) -> Quiet {
        match self.quiet {
            (Quiet::Asked(_), at) => Quiet::Asked(now - at),
            (quiet, _) => quiet,
        }
    }

    /// The marker files that are known.
    #[must_use]
    pub const fn markers(&self) -> Markers {
        self.markers
    }
}

/// The facts that health is judged by.
fn health_key(facts: &Facts) -> impl PartialEq {
    let Facts { instance, daemon, db, rep_scheme, rep_agent, rep_state, peer_state, open, .. } =
        facts;
    (*instance, *daemon, *db, *rep_scheme, *rep_agent, *rep_state, *peer_state, *open)
}
