//! The durable memory in the status: written by `keep`, read back by `standing`.
//!
//! Never: writes what can be observed again.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::cache;
use super::conditions::MANAGED;
use super::subscribers::is_subscriber;
use super::upgrade;
use crate::crd::{
    AsyncStatus, IntentStatus, LastFailover, PodStatus, StandbyRebuild, SwitchoverStatus,
    TimesTenClassicStatus,
};
use crate::decide::upgrade::pending;
use crate::observation::Observation;
use crate::pair::{Both, Ordinal};
use crate::standing::cache::Script;
use crate::standing::{
    Ending, Failover, Incarnation, Intent, Irreversible, Occasion, Outcome, PodIntent, Rebuild,
    Stage, Standing, State, Switchover, TaskRecord, Work,
};

/// Words of `standbyDownStandbyAS.mode`.
const REPAIR: &str = "Repair";
const COPY: &str = "Copy";
const KEEP: &str = "Keep";

/// Where the pair stands, as the status says. What cannot be read is as in a new object: roles are
/// then taken from what the databases say.
#[must_use]
pub fn standing(status: Option<&TimesTenClassicStatus>) -> Standing {
    let mut standing = Standing::new();
    let Some(status) = status else { return standing };
    let state = |word: &Option<String>| word.as_deref().and_then(State::parse);
    let Some(now) = state(&status.high_level_state) else { return standing };
    standing.state = now;
    standing.previous = state(&status.prev_high_level_state).unwrap_or(now);
    standing.term = status.term.unwrap_or_default();
    let members: Vec<PodStatus> =
        status.pod_status.iter().filter(|pod| !is_subscriber(pod)).cloned().collect();
    standing.active = active(&members);
    standing.incarnations = Both::each(|ordinal| incarnation(&members, ordinal));
    standing.intent = status.intent.as_ref().and_then(read_intent);
    standing.task = status.async_status.as_ref().and_then(read_task);
    let rebuild = status.standby_down_standby_as.as_ref();
    standing.rebuild = match rebuild.and_then(|rebuild| rebuild.mode.as_deref()) {
        Some(COPY) => Rebuild::Copy,
        Some(KEEP) => Rebuild::Keep,
        _ => Rebuild::Repair,
    };
    standing.copied = rebuild.and_then(|rebuild| rebuild.rep_duplicate).unwrap_or_default();
    standing.rebuild_failures =
        status.rep_start_fail_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    standing.stop_managing = status.prev_stop_managing.clone().unwrap_or_default();
    standing.reexamine = status.prev_reexamine.clone().unwrap_or_default();
    standing.twosafe = status.using_twosafe.unwrap_or_default();
    standing.lax = status.both_down_recovery_ineligible.unwrap_or_default();
    standing.failover = status.last_failover.as_ref().and_then(read_failover);
    if let Some(switchover) = &status.switchover {
        standing.switchover_asked = switchover.prev_switchover.clone().unwrap_or_default();
        standing.switchover = read_switchover(switchover);
        standing.switched = read_ending(switchover);
    }
    standing.cache = cache::read(status, |ordinal| {
        members.iter().find(|pod| self::ordinal(pod.name.as_deref()) == Some(ordinal))
    });
    if let Some(status) = &status.classic_upgrade_status {
        standing.upgrades = upgrade::read(status);
    }
    if matches!(now, State::ManualInterventionRequired | State::Failed) {
        standing.manual = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == MANAGED)
            .map(|condition| (condition.reason.clone(), condition.message.clone()));
    }
    standing
}

/// Keeps the standing in the status.
pub(super) fn keep(
    status: &mut TimesTenClassicStatus,
    standing: &Standing,
    before: &Standing,
    seen: &Observation,
) {
    let switched = standing.state != before.state || status.high_level_state.is_none();
    status.high_level_state = Some(standing.state.word().into());
    status.prev_high_level_state = Some(standing.previous.word().into());
    if switched {
        status.last_high_level_state_switch = Some(seen.now.as_second());
    }
    status.term = Some(standing.term);
    status.intent = standing.intent.as_ref().map(|intent| IntentStatus {
        verb: Some(intent.act.word().into()),
        pod: Some(seen.members[intent.member].name.clone()),
        pod_uid: Some(intent.uid.clone()),
        term: Some(intent.term),
        unproven: intent.unproven.then_some(true),
        reason: Some(intent.why.clone()),
        at: Some(Time(intent.at)),
    });
    keep_task(status, standing, seen);
    let whole = standing.state == State::Normal;
    let mode = match standing.rebuild {
        Rebuild::Repair => REPAIR,
        Rebuild::Copy => COPY,
        Rebuild::Keep => KEEP,
    };
    status.standby_down_standby_as = Some(StandbyRebuild {
        pod_name: Some(seen.members[standing.standby()].name.clone()),
        status: Some(if whole { "complete" } else { "pending" }.into()),
        mode: Some(mode.into()),
        rep_duplicate: Some(standing.copied),
        ..StandbyRebuild::default()
    });
    status.rep_start_fail_count = i32::try_from(standing.rebuild_failures).ok();
    status.prev_stop_managing = Some(standing.stop_managing.clone());
    status.prev_reexamine = Some(standing.reexamine.clone());
    status.using_twosafe = Some(standing.twosafe);
    status.both_down_recovery_ineligible = Some(standing.lax);
    keep_switchover(status, standing);
    let desired = seen.desired.as_ref().ok();
    let pending = desired.is_some_and(|desired| pending(standing, seen, desired).is_some());
    status.classic_upgrade_status = upgrade::keep(&standing.upgrades, pending);
    status.last_failover = standing.failover.as_ref().map(|failover| LastFailover {
        from: Some(failover.from.clone()),
        to: Some(failover.to.clone()),
        reason: Some(failover.reason.clone()),
        detected_at: Some(Time(failover.detected)),
        fenced_at: failover.fenced.map(Time),
        promoted_at: failover.promoted.map(Time),
        routed_at: failover.routed.map(Time),
        restored_at: failover.restored.map(Time),
    });
}

/// Nothing is said of changes of roles before the first.
fn keep_switchover(status: &mut TimesTenClassicStatus, standing: &Standing) {
    let (now, last) = (standing.switchover, standing.switched.as_ref());
    let said = SwitchoverStatus {
        prev_switchover: Some(standing.switchover_asked.clone()).filter(|asked| !asked.is_empty()),
        occasion: now.map(|now| now.occasion.word().into()),
        stage: now.map(|now| now.stage.word().into()),
        since: now.map(|now| Time(now.since)),
        outcome: last.map(|last| last.outcome.word().into()),
        message: last.map(|last| last.text.clone()),
        ended: last.map(|last| Time(last.at)),
    };
    status.switchover = Some(said).filter(|said| *said != SwitchoverStatus::default());
}

/// The last task stays readable after its end; only `running` makes it one to be watched.
fn keep_task(status: &mut TimesTenClassicStatus, standing: &Standing, seen: &Observation) {
    match &standing.task {
        Some(task) => {
            let pod = &seen.members[task.member].name;
            status.async_status = Some(AsyncStatus {
                id: Some(task.id.clone()),
                type_: Some(task.work.word().into()),
                pod_name: Some(pod.clone()),
                pod_uid: Some(task.incarnation.uid.clone()),
                restarts: Some(task.incarnation.restarts),
                running: Some(true),
                complete: Some(false),
                started: Some(task.started),
                ..AsyncStatus::default()
            });
        }
        None => {
            if let Some(task) = &mut status.async_status
                && task.running == Some(true)
            {
                task.running = Some(false);
                let done = match work(task) {
                    Some(Work::CacheGroups) => standing.cache.script == Script::Complete,
                    Some(Work::Copy) | None => standing.rebuild == Rebuild::Repair,
                };
                task.complete = Some(done);
                task.ended = Some(seen.now.as_second());
            }
        }
    }
}

fn active(pods: &[PodStatus]) -> Ordinal {
    let one = pods.iter().find(|pod| ordinal(pod.name.as_deref()) == Some(Ordinal::One));
    if one.is_some_and(|pod| pod.intended_state.as_deref() == Some("Active")) {
        Ordinal::One
    } else {
        Ordinal::Zero
    }
}

fn incarnation(pods: &[PodStatus], of: Ordinal) -> Option<Incarnation> {
    known(pods.iter().find(|pod| ordinal(pod.name.as_deref()) == Some(of))?)
}

/// The incarnation in which a pod's database was last good.
pub(super) fn known(pod: &PodStatus) -> Option<Incarnation> {
    let kubernetes = pod.pod_status.as_ref()?;
    Some(Incarnation {
        uid: kubernetes.prev_uid.clone()?,
        restarts: kubernetes.prev_restarts.unwrap_or_default(),
    })
}

/// The intent of a pod beside the pair.
pub(super) fn intent(intent: &PodIntent, pod: &str) -> IntentStatus {
    IntentStatus {
        verb: Some(intent.act.word().into()),
        pod: Some(pod.to_owned()),
        pod_uid: Some(intent.uid.clone()),
        at: Some(Time(intent.at)),
        ..IntentStatus::default()
    }
}

/// The same, read back.
pub(super) fn read_pod_intent(intent: &IntentStatus) -> Option<PodIntent> {
    let verb = intent.verb.as_deref()?;
    Some(PodIntent {
        act: Irreversible::ALL.into_iter().find(|act| act.word() == verb)?,
        uid: intent.pod_uid.clone()?,
        at: intent.at.as_ref()?.0,
    })
}

fn read_intent(intent: &IntentStatus) -> Option<Intent> {
    let verb = intent.verb.as_deref()?;
    Some(Intent {
        act: Irreversible::ALL.into_iter().find(|act| act.word() == verb)?,
        member: ordinal(intent.pod.as_deref())?,
        uid: intent.pod_uid.clone()?,
        term: intent.term?,
        unproven: intent.unproven.unwrap_or_default(),
        why: intent.reason.clone().unwrap_or_default(),
        at: intent.at.as_ref()?.0,
    })
}

fn read_task(task: &AsyncStatus) -> Option<TaskRecord> {
    if task.running != Some(true) {
        return None;
    }
    Some(TaskRecord {
        id: task.id.clone()?,
        work: work(task)?,
        member: ordinal(task.pod_name.as_deref())?,
        incarnation: Incarnation {
            uid: task.pod_uid.clone()?,
            restarts: task.restarts.unwrap_or_default(),
        },
        started: task.started.unwrap_or_default(),
    })
}

/// What a task does. Oracle's operator spells its verbs with a capital at times.
fn work(task: &AsyncStatus) -> Option<Work> {
    let word = task.type_.as_deref()?;
    Work::ALL.into_iter().find(|work| work.word().eq_ignore_ascii_case(word))
}

fn read_failover(failover: &LastFailover) -> Option<Failover> {
    let time = |time: &Option<Time>| -> Option<Timestamp> { time.as_ref().map(|time| time.0) };
    Some(Failover {
        from: failover.from.clone()?,
        to: failover.to.clone()?,
        reason: failover.reason.clone().unwrap_or_default(),
        detected: time(&failover.detected_at)?,
        fenced: time(&failover.fenced_at),
        promoted: time(&failover.promoted_at),
        routed: time(&failover.routed_at),
        restored: time(&failover.restored_at),
    })
}

fn read_switchover(status: &SwitchoverStatus) -> Option<Switchover> {
    let (occasion, stage) = (status.occasion.as_deref()?, status.stage.as_deref()?);
    Some(Switchover {
        occasion: Occasion::ALL.into_iter().find(|known| known.word() == occasion)?,
        stage: Stage::ALL.into_iter().find(|known| known.word() == stage)?,
        since: status.since.as_ref()?.0,
    })
}

fn read_ending(status: &SwitchoverStatus) -> Option<Ending> {
    let outcome = status.outcome.as_deref()?;
    Some(Ending {
        outcome: self::outcome(outcome)?,
        text: status.message.clone().unwrap_or_default(),
        at: status.ended.as_ref()?.0,
    })
}

/// The outcome of that word.
pub(super) fn outcome(word: &str) -> Option<Outcome> {
    Outcome::ALL.into_iter().find(|known| known.word() == word)
}

/// The ordinal at the end of a pod's name.
fn ordinal(name: Option<&str>) -> Option<Ordinal> {
    match name?.rsplit_once('-')?.1 {
        "0" => Some(Ordinal::Zero),
        "1" => Some(Ordinal::One),
        _ => None,
    }
}
