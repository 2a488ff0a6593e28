//! Events: what has changed, in Oracle's reasons and words, which users search for.
//!
//! Never: says anything twice. Notes come from the difference of two statuses, so that a poll that
//! changes nothing says nothing.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::ResourceExt;

use super::conditions::{GROWING, SPEC_APPLIED};
use super::subscribers::is_subscriber;
use crate::agent::{AgentError, Verb};
use crate::crd::{PodStatus, TimesTenClassic, TimesTenClassicStatus};
use crate::objects::Write;
use crate::observation::Stranded;
use crate::operator::Identity;

/// The longest note that Kubernetes takes, less one.
const LONGEST_NOTE: usize = 1022;

/// What every new pod goes through, and nobody needs to be told while the object is new.
const EXPECTED_AT_FIRST: [&str; 7] = [
    " Agent Down",
    " Daemon Down",
    " Database None",
    " CacheAgent Not Running",
    " RepAgent Not Running",
    " RepScheme None",
    " RepState IDLE",
];

/// Reasons why the image of the spec is not that of the pods: they have events of their own.
const UPGRADES: [&str; 5] =
    ["UpgradeQueued", "UpgradingStandby", "UpgradingActive", "RollingBack", "UpgradeFailed"];

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// The reason, one word.
    pub reason: &'static str,
    /// The text.
    pub text: String,
}

impl Note {
    pub(super) fn normal(reason: &'static str, text: String) -> Self {
        Self { warning: false, reason, text }
    }

    pub(super) fn warning(reason: &'static str, text: String) -> Self {
        Self { warning: true, reason, text }
    }
}

/// What has changed between two statuses.
#[must_use]
pub fn between(
    before: &TimesTenClassicStatus,
    after: &TimesTenClassicStatus,
    deleting: bool,
) -> Vec<Note> {
    let mut notes = Vec::new();
    let unknown = PodStatus::default();
    for pod in &after.pod_status {
        let old = before.pod_status.iter().find(|old| old.name == pod.name).unwrap_or(&unknown);
        of_pod(old, pod, &mut notes);
    }
    if after.high_level_state.as_deref() == Some("Initializing") {
        notes.retain(|note| !EXPECTED_AT_FIRST.iter().any(|end| note.text.ends_with(end)));
    }
    of_conditions(before, after, &mut notes);
    notes.extend(super::credentials::notes(before, after));
    let (was, now) = (&before.high_level_state, &after.high_level_state);
    if let (Some(was), Some(now)) = (was, now)
        && was != now
    {
        let note = format!("TimesTenClassic was {was}, now {now}");
        let planned = now == "Switchover";
        notes.push(Note {
            warning: ["Normal", "AllReplicasReady"].contains(&was.as_str()) && !planned,
            reason: "StateChange",
            text: note,
        });
    }
    of_switchover(before, after, &mut notes);
    notes.extend(super::cache::given_back(before, after));
    of_subscribers(before, after, &mut notes);
    of_upgrade(before, after, &mut notes);
    // What is seen of an object that goes is that it goes.
    if deleting { super::cache::cleaned(before, after) } else { notes }
}

/// A planned change of roles has ended.
fn of_switchover(
    before: &TimesTenClassicStatus,
    after: &TimesTenClassicStatus,
    notes: &mut Vec<Note>,
) {
    let ended = |status: &TimesTenClassicStatus| status.switchover.as_ref()?.ended.clone();
    let Some(last) = after.switchover.as_ref().filter(|_| ended(before) != ended(after)) else {
        return;
    };
    let warning = last.outcome.as_deref() != Some("Done");
    let reason = if warning { "Error" } else { "StateChange" };
    let text = last.message.clone().unwrap_or_default();
    notes.push(Note { warning, reason, text });
}

/// How many subscribers there are, and how many of them follow.
fn of_subscribers(
    before: &TimesTenClassicStatus,
    after: &TimesTenClassicStatus,
    notes: &mut Vec<Note>,
) {
    let count = |status: &TimesTenClassicStatus| {
        status.pod_status.iter().filter(|pod| is_subscriber(pod)).count()
    };
    let (a, b) = (count(before), count(after));
    if a != 0 && a != b {
        let how = if a < b { "increased" } else { "reduced" };
        let text = format!("Number of subscribers {how} from {a} to {b}");
        notes.push(Note::normal("Change", text));
    }
    let state = |status: &TimesTenClassicStatus| status.subscriber.as_ref()?.state.clone();
    let (Some(was), Some(now)) = (state(before), state(after)) else { return };
    if was != now {
        let warning = was == "AllSubscribersReady";
        let text = format!("Subscriber state was {was}, now {now}");
        notes.push(Note { warning, reason: "StateChange", text });
    }
}

/// An upgrade goes on, or has ended.
fn of_upgrade(
    before: &TimesTenClassicStatus,
    after: &TimesTenClassicStatus,
    notes: &mut Vec<Note>,
) {
    let Some(upgrade) = &after.classic_upgrade_status else { return };
    let said = |status: &TimesTenClassicStatus| {
        let applied = status.conditions.iter().find(|c| c.type_ == SPEC_APPLIED)?;
        let of_upgrades = UPGRADES.contains(&applied.reason.as_str());
        of_upgrades.then(|| (applied.reason.clone(), applied.message.clone()))
    };
    let reason = |status| said(status).map(|(reason, _)| reason);
    // Its end says why it has failed.
    if let Some((word, text)) = said(after).filter(|(word, _)| word != "UpgradeFailed")
        && reason(before).as_ref() != Some(&word)
    {
        notes.push(of_an_upgrade(word == "RollingBack", text));
    }
    let ended = |status: &TimesTenClassicStatus| {
        let upgrade = status.classic_upgrade_status.as_ref()?;
        upgrade.ended.clone()
    };
    if upgrade.ended.is_some() && ended(before) != ended(after) {
        let text = upgrade.message.clone().unwrap_or_default();
        notes.push(of_an_upgrade(upgrade.outcome.as_deref() != Some("Done"), text));
    }
}

/// Progress, or trouble, of an upgrade.
fn of_an_upgrade(warning: bool, text: String) -> Note {
    let reason = if warning { "UpgradeError" } else { "Upgrade" };
    Note { warning, reason, text }
}

/// A pod was deleted, so that it is made anew.
#[must_use]
pub fn replaced(pod: &str, image: &str) -> Note {
    of_an_upgrade(false, format!("Deleted pod {pod}: it is made anew with {image}"))
}

/// The facts of a pod: said when they become known or change, not when they become unknown.
fn of_pod(old: &PodStatus, new: &PodStatus, notes: &mut Vec<Note>) {
    let name = new.name.clone().unwrap_or_default();
    let mut fact = |reason, what: &str, old: Option<&str>, new: Option<&str>| {
        if let Some(value) = new.filter(|value| *value != "Unknown" && old != Some(*value)) {
            let text =
                format!("Pod {name} {what}{}{value}", if what.is_empty() { "" } else { " " });
            notes.push(Note::normal(reason, text));
        }
    };
    let uid = |pod: &PodStatus| pod.pod_status.as_ref().and_then(|status| status.agent.clone());
    fact("Info", "Agent", uid(old).as_deref(), uid(new).as_deref());
    let timesten = |pod: &PodStatus| pod.timesten_status.clone().unwrap_or_default();
    let (was, now) = (timesten(old), timesten(new));
    fact("Info", "Release", was.release.as_deref(), now.release.as_deref());
    fact("Info", "Daemon", was.daemon.as_deref(), now.daemon.as_deref());
    let database = |pod: &PodStatus| pod.db_status.clone().unwrap_or_default();
    let (was, now) = (database(old), database(new));
    fact("Info", "Database", was.db.as_deref(), now.db.as_deref());
    let updatable = |word: Option<&str>| match word {
        Some("Yes") => Some("Database Updatable"),
        Some("No") => Some("Database Not Updatable"),
        _ => None,
    };
    fact(
        "Info",
        "",
        updatable(was.db_updatable.as_deref()),
        updatable(now.db_updatable.as_deref()),
    );
    let replication = |pod: &PodStatus| pod.replication_status.clone().unwrap_or_default();
    let (was, now) = (replication(old), replication(new));
    // Who has no cache groups need not know of cache agents.
    if new.cg_file == Some(true) {
        let agent = |pod: &PodStatus| pod.cache_status.clone().and_then(|cache| cache.cache_agent);
        fact("Info", "CacheAgent", agent(old).as_deref(), agent(new).as_deref());
    }
    fact("Info", "RepAgent", was.rep_agent.as_deref(), now.rep_agent.as_deref());
    fact("Info", "RepScheme", was.rep_scheme.as_deref(), now.rep_scheme.as_deref());
    fact("StateChange", "RepState", was.rep_state.as_deref(), now.rep_state.as_deref());
    let ready = |flag: Option<bool>, yes: &'static str, no: &'static str| {
        Some(if flag.unwrap_or_default() { yes } else { no })
    };
    let is = |pod: &PodStatus| ready(pod.ready, "is Ready", "is Not Ready");
    fact("StateChange", "", is(old), is(new));
    let is = |pod: &PodStatus| ready(pod.active, "is Active Ready", "is Not Active Ready");
    fact("StateChange", "", is(old), is(new));
    of_state(old, new, notes);
}

/// A pod without replication has a state of its own, and so has a subscriber.
fn of_state(old: &PodStatus, new: &PodStatus, notes: &mut Vec<Note>) {
    let (Some(was), Some(now)) = (&old.high_level_state, &new.high_level_state) else { return };
    let own = [super::STANDALONE, super::SUBSCRIBER];
    if new.intended_state.as_deref().is_some_and(|role| own.contains(&role)) && was != now {
        let name = new.name.as_deref().unwrap_or_default();
        let text = format!("Pod {name} state was {was}, now {now}");
        let warning = ["Down", "ManualInterventionRequired"].contains(&now.as_str());
        notes.push(Note { warning, reason: "StateChange", text });
    }
}

/// Conditions that turn bad, or whose reason for being bad changes, warn.
fn of_conditions(
    before: &TimesTenClassicStatus,
    after: &TimesTenClassicStatus,
    notes: &mut Vec<Note>,
) {
    use super::cache::{CACHE_READY, TOLD_ELSEWHERE};
    use super::conditions::{MANAGED, OBJECTS_APPLIED, REBUILD_FAILING, SPEC_VALID};
    use super::warnings::{CLOCKS_AGREE, MEMORY_SUFFICIENT, WRITES_ACCEPTED};
    for condition in &after.conditions {
        let bad = match condition.type_.as_str() {
            MANAGED | OBJECTS_APPLIED | SPEC_APPLIED | SPEC_VALID | WRITES_ACCEPTED
            | MEMORY_SUFFICIENT | CLOCKS_AGREE => condition.status == "False",
            CACHE_READY => {
                condition.status == "False" && !TOLD_ELSEWHERE.contains(&condition.reason.as_str())
            }
            REBUILD_FAILING => condition.status == "True",
            _ => false,
        };
        let old = before.conditions.iter().find(|old| old.type_ == condition.type_);
        let same =
            old.is_some_and(|o| o.status == condition.status && o.reason == condition.reason);
        let told = notes.iter().any(|note| note.text == condition.message);
        // They have events of their own.
        let goes_on = condition.type_ == SPEC_APPLIED
            && (condition.reason == GROWING || UPGRADES.contains(&condition.reason.as_str()));
        if bad && !same && !told && !goes_on {
            notes.push(Note::warning("Error", condition.message.clone()));
        }
    }
}

/// Volumes were given up.
#[must_use]
pub fn abandoned(stranded: &Stranded) -> Note {
    let Stranded { pod, node, .. } = stranded;
    let text = format!(
        "Deleted the volume claims of pod {pod}: node {node} is not ready, and the other database is \
         a complete copy; {pod} is copied from it anew"
    );
    Note::warning("Change", text)
}

/// An order has failed.
#[must_use]
pub fn order_failed(pod: &str, verb: &Verb, error: &AgentError) -> Note {
    Note::warning("Error", format!("Pod {pod} {}: {error}", verb.name()))
}

/// TimesTen said something against what a task did.
#[must_use]
pub fn task_said(pod: &str, text: &str) -> Note {
    Note::warning("Error", format!("Pod {pod} {text}"))
}

/// An owned object was written.
#[must_use]
pub fn written(write: &Write) -> Note {
    let what = write.key();
    match (write, write.has_former_certificate()) {
        (Write::Create { .. }, _) => Note::normal("Create", format!("{what} created")),
        (Write::Replace { .. }, Some(true)) => Note::normal(
            "Change",
            format!("{what} changed: it has a new certificate and the former"),
        ),
        (Write::Replace { .. }, Some(false)) => {
            Note::normal("Change", format!("{what} changed: it has one certificate"))
        }
        (Write::Apply { .. } | Write::Replace { .. }, _) => {
            Note::normal("Change", format!("{what} changed"))
        }
    }
}

/// The event that tells a note.
#[must_use]
pub fn event(
    object: &TimesTenClassic,
    note: &Note,
    identity: &Identity,
    now: Timestamp,
    number: u64,
) -> Event {
    let micros = now.subsec_microsecond();
    let text: String = note.text.chars().take(LONGEST_NOTE).collect();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("tt{:010}-{micros:06}{:04}", now.as_second(), number % 10_000)),
            namespace: object.namespace(),
            ..ObjectMeta::default()
        },
        action: Some("-".into()),
        event_time: Some(MicroTime(now)),
        note: Some(text),
        reason: Some(note.reason.into()),
        regarding: Some(ObjectReference {
            api_version: Some("timesten.oracle.com/v5".into()),
            kind: Some("TimesTenClassic".into()),
            name: Some(object.name_any()),
            namespace: object.namespace(),
            uid: object.uid(),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(identity.controller.clone()),
        reporting_instance: Some(identity.instance.clone()),
        type_: Some(if note.warning { "Warning" } else { "Normal" }.into()),
        ..Event::default()
    }
}
