//! What is remembered of one pod: its agent's answers and silences, orders, tasks, labels.
//!
//! Never: decides, and nothing here outlives the incarnation of the pod it was seen in.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::{AgentError, Db, Facts, TaskReport, Urgency, Verb};
use crate::credentials::Identity;
use crate::observation::{Agent, Doing, Failure, Heard, Markers, Quiet, Role, Silence, Task};
use crate::standing::Incarnation;

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
    calm: bool,
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
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

impl Link {
    /// Nothing is known of the pod yet.
    pub(super) fn new(now: Instant) -> Self {
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
            calm: false,
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
            // Whoever asks tells of news, and of none.
            (Some(asking), _) if self.calm => {
                let left = (asking + interval).saturating_duration_since(now);
                if left.is_zero() { interval } else { left }
            }
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

    /// Whether nothing is waited for, as of the last pass: an answer without news can wait for the next.
    pub const fn keep_calm(&mut self, calm: bool) {
        self.calm = calm;
    }

    /// See [`keep_calm`](Self::keep_calm).
    #[must_use]
    pub const fn is_calm(&self) -> bool {
        self.calm
    }

    /// The answer to a question asked then, or how there is none. What was asked before an order
    /// ended says nothing of what it did, and is dropped. Gives whether there is news for a pass.
    pub fn answer(&mut self, asked: Instant, answer: Result<Facts, Silence>, now: Instant) -> bool {
        if self.asking == Some(asked) {
            self.asking = None;
        }
        if asked < self.fresh_from {
            self.asked = None;
            return true;
        }
        match answer {
            Ok(facts) => {
                if facts.db == Db::None {
                    self.failures.retain(|failed| failed.verb != Verb::DestroyDb);
                }
                let same =
                    self.heard.as_ref().filter(|h| health_key(&h.facts) == health_key(&facts));
                let unchanged = same.map_or(now, |heard| heard.unchanged);
                let said = self.heard.as_ref().filter(|_| self.silent.is_none());
                let news = said.is_none_or(|heard| !heard.facts.same_but_counters(&facts));
                self.heard = Some(Answer { facts, asked, unchanged, took: now - asked });
                self.silent = None;
                news
            }
            Err(how) => {
                let since = self.silent.as_ref().map_or(asked, |(since, _)| *since);
                self.silent = Some((since, how));
                true
            }
        }
    }

    /// How long a question may wait: what is always slow is not silent.
    #[must_use]
    pub fn patience(&self) -> Duration {
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

    /// What the agent proved to have, when it was heard.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.heard.as_ref()?.facts.identity.as_deref()
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
            // What was done shows in a moment; if it does not, it is told again after a pause.
            Ok(()) if matches!(verb, Verb::Die | Verb::DestroyDb) => {
                self.fail(verb, (false, false), "it is done, and does not show yet".into(), now);
            }
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
            Err(error) => self.failed(verb, error, now),
        }
    }

    /// An order, or what was to follow it, has failed.
    pub fn failed(&mut self, verb: &Verb, error: &AgentError, now: Instant) {
        let said = matches!(error, AgentError::Verb { .. });
        let hung = matches!(error, AgentError::TimedOut { .. });
        self.fail(verb, (said, hung), error.to_string(), now);
    }

    fn fail(&mut self, verb: &Verb, (said, hung): (bool, bool), text: String, at: Instant) {
        let same = |failed: &Failed| failed.verb.name() == verb.name();
        let count = self.failures.iter().find(|f| same(f)).map_or(0, |f| f.count) + 1;
        self.failures.retain(|failed| !same(failed));
        self.failures.push(Failed { verb: verb.clone(), count, at, said, hung, text });
    }

    /// What became of the task that a verb started, asked then. Gives what TimesTen said, once.
    pub fn report(
        &mut self,
        (verb, id): (&Verb, &str),
        report: &Result<TaskReport, AgentError>,
        asked: Instant,
        now: Instant,
    ) -> Vec<String> {
        // Before the order that starts it has ended, the agent cannot know the task.
        if asked < self.fresh_from || self.doing.is_some() {
            return Vec::new();
        }
        let (task, said) = match report {
            Ok(TaskReport::Running { .. }) => (Task::Running, &[][..]),
            Ok(TaskReport::Complete { events }) => (Task::Complete, &events[..]),
            Ok(TaskReport::UnknownId) => (Task::Unknown, &[][..]),
            Ok(TaskReport::Failed { message, events, .. }) => {
                (Task::Failed(complete(message, events)), &events[..])
            }
            // One missed answer says nothing about the task.
            Err(_) => return Vec::new(),
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
            self.fail(verb, (true, false), text, now);
        }
        self.task = (id.to_owned(), task);
        if news { said.to_vec() } else { Vec::new() }
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

/// The agent's words, and those of TimesTen that are not in them.
fn complete(message: &str, events: &[String]) -> String {
    let new = |event: &&String| {
        let text = event.split_once("error: ").map_or(event.as_str(), |(_, text)| text);
        !message.contains(text)
    };
    let more = events.iter().filter(new).map(String::as_str);
    std::iter::once(message).chain(more).collect::<Vec<_>>().join("; ")
}

/// The facts that health is judged by.
fn health_key(facts: &Facts) -> impl PartialEq {
    let Facts { instance, daemon, db, rep_scheme, rep_agent, rep_state, peer_state, open, .. } =
        facts;
    (*instance, *daemon, *db, *rep_scheme, *rep_agent, *rep_state, *peer_state, *open)
}
