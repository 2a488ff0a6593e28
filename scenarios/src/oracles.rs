//! The oracles: what must hold in every scenario, at every moment or at the end. No scenario can
//! switch one off.
//!
//! Never: look at how the operator does something, only at what is true afterwards.

mod cache;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fake_agent::{Ack, CopyReport, Service};
use timesten_operator::standing::{State, replicas};

/// A law that was broken, or an expectation that was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Duration,
    /// Which law, or which step.
    pub law: String,
    /// What was wrong.
    pub message: String,
    /// What was expected and what was seen.
    pub details: Vec<String>,
}

/// Something an oracle looks at.
#[derive(Clone, Debug)]
pub enum Sight {
    /// The hosts that clients are sent to.
    Routed(Vec<String>),
    /// A host's database takes writes, or no longer does.
    Writable(String, bool),
    /// A copy was destroyed; the others as they were at that moment.
    Destroyed(CopyReport, Vec<CopyReport>),
    /// A host without replication was given a verb.
    Lone(String, String),
    /// An object is in another state than before.
    State {
        /// The word in its status.
        word: String,
        /// Its databases replicate.
        replicated: bool,
        /// What the condition says of it.
        says: String,
        /// It has been Normal before: its databases hold data.
        held: bool,
    },
    /// A pod is told something dangerous, while this intent was on record.
    Ordered {
        /// Which pod.
        pod: String,
        /// It is a subscriber's.
        subscriber: bool,
        /// What it is told.
        verb: String,
        /// The verb and the pod in the object's `status.intent`, or in the subscriber's own.
        intent: Option<(String, String)>,
        /// The object's state.
        state: String,
    },
    /// What becomes of a subscriber's host.
    Subscriber(String, Deed),
    /// A step of the scenario touches something: a subscriber alone, or more.
    Touched {
        /// A subscriber alone.
        subscriber: bool,
    },
    /// Somebody has interfered: what has a deadline has it from here on.
    Interfered,
    /// An object is being deleted, and still there.
    Deleting(String),
    /// An object is gone.
    Gone {
        /// Which.
        object: String,
        /// Its spec wanted its cache groups to be cleaned up.
        cleanup: bool,
    },
    /// A pod is told to do away with cache groups.
    Uncached {
        /// Which pod.
        pod: String,
        /// What it is told.
        verb: String,
        /// Its object is being deleted.
        deleting: bool,
    },
    /// An agent runs on a host, with the credentials that its object has then; or has ended.
    Agent(String, bool),
    /// An object's credentials, as they were written: made anew, or changed.
    Credentials {
        /// The object.
        of: String,
        /// Its UID: one that is made again under the same name has credentials of its own.
        uid: String,
        /// The names and passwords that agents take up when they start, and, as long as there are any, those
        /// that they took up before. They are compared, and never shown.
        secrets: Vec<String>,
        /// The Secret was created.
        created: bool,
    },
    /// The operator said something.
    Event {
        /// About which object.
        of: String,
        /// The event's reason.
        reason: String,
        /// The event's note.
        note: String,
    },
}

/// What becomes of a subscriber's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Clients that write are sent there.
    Routed,
    /// Its database takes writes.
    Writable,
    /// It is told a verb.
    Told(String),
}

/// What the oracles know, and the first thing that was wrong.
#[derive(Clone, Debug, Default)]
pub struct Oracles {
    routed: Vec<String>,
    writable: BTreeSet<String>,
    notes: BTreeMap<(String, String, String), Duration>,
    destructions: BTreeMap<String, Vec<Duration>>,
    /// Since when objects are being deleted.
    deleting: BTreeMap<String, Duration>,
    /// When somebody has interfered last.
    interfered: Duration,
    /// What objects that are gone have left was wanted to be left.
    unwanted: bool,
    /// The UID of each object, and the credentials that its agents take up when they start.
    credentials: BTreeMap<String, (String, String)>,
    /// Those that each running agent was started with.
    agents: BTreeMap<String, (String, String)>,
    /// The pair is in state Normal.
    normal: bool,
    /// Something was touched, and whether it was subscribers alone.
    touched: Option<bool>,
    /// The first law that was broken.
    pub violation: Option<Violation>,
}

/// A pod without replication may be ready for so long and turn clients away: the deadline for a
/// silent agent, the period of the probe, and the time in which Kubernetes gives up a node.
const TURNED_AWAY: Duration = Duration::from_secs(60);

/// The verbs that nobody may send whose intent is not on record (I7).
pub const DANGEROUS: [&str; 6] =
    ["createDb", "repStateSetActive", "destroyDb", "repDuplicate", "createCg", "cleanupCache"];

/// In one pod a database may be destroyed so often within so much time (I5): pauses that double from
/// two seconds leave room for nine, and a new operator begins with short ones.
const DESTRUCTIONS: (usize, Duration) = (10, Duration::from_secs(600));

/// What a subscriber may be told.
const SUBSCRIBERS_VERBS: [&str; 9] = [
    "startDaemon",
    "destroyDb",
    "repDuplicate",
    "loadDb",
    "openDb",
    "startRepAgent",
    "setReadiness",
    "clearReadiness",
    "die",
];

/// Two equal events within this time are one too many.
const SAME_NOTE: Duration = Duration::from_millis(100);

impl Oracles {
    /// Looks at something.
    pub fn see(&mut self, at: Duration, sight: Sight) {
        match sight {
            Sight::Routed(hosts) => self.routed = hosts,
            Sight::Writable(host, true) => {
                self.writable.insert(host);
            }
            Sight::Writable(host, false) => {
                self.writable.remove(&host);
            }
            Sight::Destroyed(copy, others) => self.destroyed(at, &copy, &others),
            Sight::Lone(host, verb) => self.lone(at, &host, &verb),
            Sight::State { word, replicated, says, held } => {
                self.state(at, &word, replicated);
                self.stop(at, &word, &says, held);
            }
            Sight::Ordered { pod, subscriber, verb, intent, state } => {
                if !subscriber {
                    self.harmed(at, format!("{pod} is told {verb}"));
                }
                self.ordered(at, &pod, &verb, intent.as_ref(), &state);
            }
            Sight::Subscriber(host, deed) => self.subscriber(at, &host, &deed),
            Sight::Touched { subscriber } => {
                self.touched = Some(subscriber && self.touched.unwrap_or(true));
            }
            Sight::Interfered => self.interfered = at,
            Sight::Deleting(object) => {
                self.deleting.entry(object).or_insert(at);
            }
            Sight::Gone { object, cleanup } => self.gone(at, &object, cleanup),
            Sight::Uncached { pod, verb, deleting } => self.uncached(at, &pod, &verb, deleting),
            Sight::Agent(host, true) => {
                let object = host.split('.').nth(1).unwrap_or_default();
                let known = self.credentials.get(object).cloned().unwrap_or_default();
                self.agents.insert(host, known);
            }
            Sight::Agent(host, false) => {
                self.agents.remove(&host);
            }
            Sight::Credentials { of, uid, secrets, created } => {
                self.credentials(at, of, uid, &secrets, created);
            }
            Sight::Event { of, reason, note } => self.event(at, of, reason, note),
        }
        self.one_active(at);
    }

    fn one_active(&mut self, at: Duration) {
        let mut active: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
        for host in self.routed.iter().filter(|host| self.writable.contains(*host)) {
            // What follows the pod's name is the object's.
            let object = host.split_once('.').map_or("", |(_, object)| object);
            active.entry(object).or_default().insert(host);
        }
        let two = active.into_values().find(|hosts| hosts.len() > 1);
        if let Some(two) = two.map(|hosts| hosts.into_iter().cloned().collect()) {
            self.broken(at, "one-active", "clients are sent to two writable actives", two);
        }
    }

    /// Nothing that holds data is destroyed unless a good source is left.
    fn destroyed(&mut self, at: Duration, copy: &CopyReport, others: &[CopyReport]) {
        // What a subscriber holds can never become the active's.
        let mut members = others.iter().filter(|other| !other.subscriber);
        let good = members.any(|other| other.source || other.complete);
        if copy.position > 0 && !good {
            let details = others
                .iter()
                .map(|other| format!("left: {} at position {}", other.volume, other.position))
                .chain([format!("destroyed: {} at position {}", copy.volume, copy.position)])
                .collect();
            self.broken(at, "no-destruction-without-source", "the only good copy is gone", details);
        }
    }

    /// A database without replication is the only copy there is.
    fn lone(&mut self, at: Duration, host: &str, verb: &str) {
        if ["destroyDb", "repDuplicate", "dropCg"].contains(&verb) {
            let message = "a database that nobody has a copy of is destroyed";
            let details = vec![format!("{host} is told {verb}")];
            self.broken(at, "no-destruction-without-source", message, details);
        }
    }

    /// Nothing dangerous is ordered whose intent is not on record: an operator that dies now would
    /// not know what it has done. A lone active is activated again without: it has no peer.
    fn ordered(
        &mut self,
        at: Duration,
        pod: &str,
        verb: &str,
        intent: Option<&(String, String)>,
        state: &str,
    ) {
        let recorded = intent.is_some_and(|(act, of)| act == verb && of == pod);
        let lone = verb == "repStateSetActive" && state == State::ConfiguringActive.word();
        if !recorded && !lone {
            let details = vec![
                format!("expected an intent to {verb} in {pod}"),
                format!("seen     {intent:?} in state {state}"),
            ];
            self.broken(at, "intent-before-act", "a dangerous order is not on record", details);
        }
        if verb == "destroyDb" {
            self.bounded(at, pod);
        }
    }

    /// A database is not destroyed over and over (I5).
    fn bounded(&mut self, at: Duration, pod: &str) {
        let (most, within) = DESTRUCTIONS;
        let times = self.destructions.entry(pod.to_owned()).or_default();
        times.retain(|time| at.saturating_sub(*time) < within);
        times.push(at);
        if times.len() > most {
            let details = vec![format!("{pod}: {} times within {within:?}", times.len())];
            self.broken(at, "bounded-rebuilds", "a database is destroyed over and over", details);
        }
    }

    /// Credentials are not made anew while agents run that know others (I15). What a user edits is
    /// the user's affair.
    fn credentials(
        &mut self,
        at: Duration,
        of: String,
        uid: String,
        secrets: &[String],
        created: bool,
    ) {
        let other = |(object, known): &(String, String)| *object == uid && !secrets.contains(known);
        let others = self.agents.iter().filter(|(_, known)| other(known));
        let others: Vec<String> = others.map(|(host, _)| host.clone()).collect();
        if created && !others.is_empty() {
            let message = "credentials are made anew while agents run that know others";
            self.broken(at, "credentials-kept", message, others);
        }
        self.credentials.insert(of, (uid, secrets.first().cloned().unwrap_or_default()));
    }

    /// At the end, in state Normal: the marks in a pod are those of its role (I10).
    pub fn marked(&mut self, at: Duration, host: &str, active: bool, markers: &BTreeSet<String>) {
        let has = |path: &str| markers.contains(path);
        if has("/tmp/active") != active || !has("/tmp/readiness") {
            let role = if active { "active" } else { "standby" };
            let details = vec![format!("{host}, the {role}, has {markers:?}")];
            self.broken(
                at,
                "marks-match-roles",
                "a pod does not have the marks of its role",
                details,
            );
        }
    }

    /// A subscriber is read, never written: clients are not sent there, its database takes no
    /// writes, and it is told nothing that would give it a role.
    fn subscriber(&mut self, at: Duration, host: &str, deed: &Deed) {
        let harmless = matches!(deed, Deed::Told(verb) if SUBSCRIBERS_VERBS.contains(&&**verb));
        if !harmless {
            let details = vec![format!("{host}: {deed:?}")];
            self.broken(at, "subscribers-are-read", "a subscriber is made more of", details);
        }
    }

    /// The pair does not suffer from the trouble of a subscriber.
    fn harmed(&mut self, at: Duration, what: String) {
        if self.normal && self.touched == Some(true) {
            let message = "only subscribers were touched, and the pair suffers";
            self.broken(at, "pair-unharmed", message, vec![what]);
        }
    }

    fn state(&mut self, at: Duration, word: &str, replicated: bool) {
        if word != State::Normal.word() {
            self.harmed(at, format!("highLevelState: {word:?}"));
        }
        self.normal = word == State::Normal.word();
        let known = if replicated {
            State::parse(word).is_some()
        } else {
            replicas::State::parse(word).is_some()
        };
        if !known {
            let details = vec![format!("highLevelState: {word:?}")];
            self.broken(at, "known-state", "the object is in a state that does not exist", details);
        }
    }

    /// An object that has held data never fails for good (I8), and what is left to a human says
    /// what to do next (I12).
    fn stop(&mut self, at: Duration, word: &str, says: &str, held: bool) {
        if held && word == State::Failed.word() {
            let details = vec![format!("the status says: {says}")];
            self.broken(at, "no-failed-with-data", "an object that held data has failed", details);
        }
        let helps = ["Next: ", "kubectl ", "reexamine"].iter().all(|word| says.contains(word));
        if word == State::ManualInterventionRequired.word() && !helps {
            let details = vec![format!("the status says: {says}")];
            self.broken(at, "explained-stop", "a human is not told what to do next", details);
        }
    }

    fn event(&mut self, at: Duration, of: String, reason: String, note: String) {
        let details = vec![format!("{of}: {reason}: {note}")];
        let before = self.notes.insert((of, reason, note), at);
        if before.is_some_and(|before| at.saturating_sub(before) < SAME_NOTE) {
            self.broken(at, "one-event-a-change", "the same event was created twice", details);
        }
    }

    /// Clients are sent to a pod that holds itself ready; it must not turn them away for long.
    pub fn turned_away(&mut self, at: Duration, host: &str, span: Duration) {
        if span > TURNED_AWAY {
            let details = vec![format!("{host} for {span:?}")];
            let message = "clients are sent to a database that turns them away";
            self.broken(at, "ready-means-serving", message, details);
        }
    }

    /// At the end: nothing that was acknowledged is lost beyond what the return service allows.
    /// With RETURN RECEIPT and TWOSAFE nothing may be lost. Without, only a tail that had not been
    /// sent when the active failed.
    pub fn acknowledged(&mut self, at: Duration, acks: &[Ack], lost: &[Ack], failovers: usize) {
        let lost_ids: BTreeSet<_> = lost.iter().map(|ack| ack.id).collect();
        let promised = lost.iter().find(|ack| ack.service != Service::Local);
        let hole = lost.iter().find(|lost| {
            acks.iter().any(|ack| {
                ack.id.lineage == lost.id.lineage
                    && ack.id.lsn > lost.id.lsn
                    && !lost_ids.contains(&ack.id)
            })
        });
        let without_cause = lost.first().filter(|_| failovers == 0);
        let wrong = promised
            .map(|ack| (ack, "a commit that the standby had acknowledged is lost"))
            .or_else(|| hole.map(|ack| (ack, "a commit is lost, but a later one is not")))
            .or_else(|| without_cause.map(|ack| (ack, "a commit is lost without a failover")));
        if let Some((ack, message)) = wrong {
            let details = vec![format!("commit {}, {:?}", ack.id, ack.service)];
            self.broken(at, "no-acknowledged-commit-lost", message, details);
        }
    }

    /// Notes the first thing that is wrong.
    pub fn broken(&mut self, at: Duration, law: &str, message: &str, details: Vec<String>) {
        self.violation.get_or_insert_with(|| Violation {
            at,
            law: law.to_owned(),
            message: message.to_owned(),
            details,
        });
    }
}

#[cfg(test)]
mod tests;
