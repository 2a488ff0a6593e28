//! Deciding: from one observation to one plan. Pure and total.
//!
//! Never: waits, talks to anybody, or asks the time. Read it in this order: `health` says how each
//! member is, `transition` where the pair goes from there, `orders` what is to be done about it,
//! `routing` where clients go, and `proof` what must be known before anything dangerous is said.

pub mod cache;
pub mod cleanup;
mod failover;
mod found;
pub mod health;
pub mod human;
pub mod orders;
pub mod proof;
pub mod reason;
mod recovery;
pub mod replicas;
pub mod routing;
mod settle;
pub mod stranded;
pub mod subscribers;
pub mod switchover;
mod takeover;
pub mod transition;
pub mod upgrade;

use std::time::Duration;

pub use self::cache::Finalizer;
pub use self::orders::{Order, Orders};
pub use self::reason::Reason;
pub use self::routing::Label;
pub use self::stranded::Abandon;
pub use self::subscribers::SubscriberPlan;

use self::health::{Health, Patience};
use self::human::Cause;
use self::transition::Scene;
use crate::agent::{Db, Facts, RepState};
use crate::desired::Desired;
use crate::objects::Write;
use crate::observation::Observation;
use crate::pair::{Both, Ordinal};
use crate::standing::{
    Failover, Intent, Irreversible, Rebuild, Stage, Standing, State, TaskRecord, Work,
};

/// How often agents are asked while something is under way.
pub const BUSY_INTERVAL: Duration = Duration::from_millis(500);

/// Everything one pass will do; nothing later may choose.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the pair stands now: recorded before anything else is done.
    pub standing: Standing,
    /// How each member is in its role.
    pub health: Both<Health>,
    /// Each member is fit for use in its role.
    pub ready: Both<bool>,
    /// The object's finalizer is to be added, or taken away.
    pub finalizer: Option<Finalizer>,
    /// Owned objects to write.
    pub writes: Vec<Write>,
    /// Role labels to write, in this order.
    pub labels: Vec<Label>,
    /// The pod to delete, as a fence.
    pub delete: Option<Ordinal>,
    /// The pod to delete, so that it is made anew with another image.
    pub replace: Option<Ordinal>,
    /// Volumes to give up.
    pub abandon: Option<Abandon>,
    /// At most one order a pod.
    pub give: Both<Option<Order>>,
    /// Agents to be asked at once.
    pub ask: Both<bool>,
    /// The subscribers, in the order of the observation.
    pub subscribers: Vec<SubscriberPlan>,
    /// The member that subscribers are copied from.
    pub feeds: Option<Ordinal>,
    /// How old an agent's answer may get before it is asked again.
    pub interval: Duration,
    /// Why, always.
    pub because: Reason,
}

/// What is to be done about what is seen.
#[must_use]
pub fn decide(seen: &Observation) -> Plan {
    if seen.deleting {
        return cleanup::plan(seen);
    }
    let desired = match &seen.desired {
        Ok(desired) => desired,
        Err(problem) => return Plan::idle(seen, Reason::BadSpec(problem.clone())),
    };
    let mut plan = manage(seen, desired);
    subscribers::attend(seen, desired, &mut plan);
    plan
}

fn manage(seen: &Observation, desired: &Desired) -> Plan {
    let mut seen = seen.clone();
    let told = heed(&mut seen, desired);
    settle::settle(&mut seen);
    let before = judge(&seen, desired, seen.standing.active);
    let scene = Scene {
        seen: &seen,
        desired,
        active: &before[seen.standing.active],
        standby: &before[seen.standing.standby()],
    };
    // What a human said is put on record before anything follows from it.
    let step = match told {
        None => transition::next(&scene),
        Some(Told::Stop) => {
            let what = "stopManaging was changed: nothing is repaired and nobody guards this pair";
            scene.stay(human::told(&scene, Cause::StopManaging, what))
        }
        Some(Told::Look) => scene.stay(Reason::Reexamining("`reexamine` was changed".into())),
    };
    let mut standing = seen.standing.clone();
    stand(&mut standing, &seen, &step, &desired.switchover);
    // The roles may have changed: how a member is depends on its role.
    let health = judge(&seen, desired, standing.active);
    remember(&mut standing, &seen, &health);
    upgrade::advance(&mut standing, &seen, desired, &health);
    let mut orders =
        orders::given(&orders::Field { seen: &seen, now: &standing, desired, health: &health });
    intend(&mut standing, &seen, &mut orders);
    let labels = routing::labels(&seen, &standing, &health);
    let ready = Both::each(|member| routing::ready(&seen, &standing, &health, member));
    mark(&seen, &standing, ready, &mut orders);
    cache::agents(&seen, &standing, &mut orders);
    let replace = upgrade::replaced(&standing, &seen, &health, desired)
        .filter(|member| !orders.give[*member].as_ref().is_some_and(Order::irreversible));
    watch_failover(&mut standing, &seen, &step);
    Plan {
        interval: interval(&standing, &health, desired),
        finalizer: cache::finalizer(&seen, desired, &orders),
        health,
        ready,
        writes: seen.owned.drift.clone(),
        labels,
        replace,
        delete: orders.delete,
        abandon: orders.abandon,
        give: orders.give,
        ask: orders.ask,
        subscribers: Vec::new(),
        feeds: None,
        because: because(&standing, orders.because, step.because),
        standing,
    }
}

impl Plan {
    /// Nothing is done to the databases.
    fn idle(seen: &Observation, because: Reason) -> Self {
        Self {
            standing: seen.standing.clone(),
            health: Both::each(|_| Health::Unknown(health::Puzzle::NotHeard)),
            ready: Both::default(),
            finalizer: None,
            writes: Vec::new(),
            labels: Vec::new(),
            delete: None,
            replace: None,
            abandon: None,
            give: Both::default(),
            ask: Both::default(),
            subscribers: seen.subscribers.iter().map(SubscriberPlan::idle).collect(),
            feeds: None,
            interval: Duration::from_secs(60),
            because,
        }
    }

    /// Nothing is left to do until something changes.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.finalizer.is_none()
            && self.writes.is_empty()
            && self.labels.is_empty()
            && self.delete.is_none()
            && self.replace.is_none()
            && self.abandon.is_none()
            && self.give == Both::default()
            && self.ask == Both::default()
            && self.subscribers.iter().all(|subscriber| subscriber.give.is_none())
    }
}

/// What a human has said, since the last pass.
enum Told {
    /// `stopManaging`: hands off.
    Stop,
    /// `reexamine`: look again.
    Look,
}

/// Heeds `stopManaging`, `reexamine` and `switchover`: every change of their values counts once.
fn heed(seen: &mut Observation, desired: &Desired) -> Option<Told> {
    let mut told = None;
    let mut standing = seen.standing.clone();
    switchover::heed(&mut standing, &desired.switchover, seen);
    // Clients that are kept out get their database back first.
    if standing.stop_managing != desired.stop_managing && standing.switchover.is_none() {
        standing.stop_managing.clone_from(&desired.stop_managing);
        if standing.state != State::ManualInterventionRequired {
            change(&mut standing, State::ManualInterventionRequired);
            told = Some(Told::Stop);
        }
    }
    if standing.reexamine != desired.reexamine {
        standing.reexamine.clone_from(&desired.reexamine);
        if standing.state == State::ManualInterventionRequired {
            change(&mut standing, State::Reexamine);
            standing.intent = None;
            standing.task = standing.task.filter(|task| task.work == Work::CacheGroups);
            cache::look_again(&mut standing.cache);
            told = Some(Told::Look);
        }
    }
    seen.standing = standing;
    told
}

fn judge(seen: &Observation, desired: &Desired, active: Ordinal) -> Both<Health> {
    let patience = Patience::of(&desired.timeouts);
    Both::each(|ordinal| {
        let (member, peer) = (&seen.members[ordinal], &seen.members[ordinal.other()]);
        let known = seen.standing.incarnations[ordinal].as_ref();
        if ordinal == active {
            health::of_active(member, peer, known, patience)
        } else {
            health::of_standby(member, peer, known, patience)
        }
    })
}

/// Takes the step; a change of state raises the term.
fn stand(standing: &mut Standing, seen: &Observation, step: &transition::Step, asked: &str) {
    let promoted = step.active != standing.active;
    standing.active = step.active;
    // A copy that has to be made again, before the pair was whole, has failed: the pauses grow (I5).
    if standing.copied && step.rebuild == Rebuild::Copy && !promoted {
        standing.rebuild_failures = standing.rebuild_failures.saturating_add(1);
    }
    standing.copied &= step.rebuild != Rebuild::Copy;
    standing.rebuild = step.rebuild;
    if step.state != standing.state {
        change(standing, step.state);
    }
    standing.switchover = step.switchover.filter(|_| !promoted);
    if standing.state == State::Switchover && seen.standing.state != State::Switchover {
        asked.clone_into(&mut standing.switchover_asked);
    }
    if step.ended.is_some() {
        standing.switched.clone_from(&step.ended);
    }
    switchover::settle(standing, &seen.members[standing.active]);
    let may_promote = matches!(
        standing.state,
        State::Initializing
            | State::Switchover
            | State::ActiveDown
            | State::BothDown
            | State::WaitingForActive
            | State::ConfiguringActive
    );
    if promoted || !may_promote {
        standing.intent = standing.intent.take().filter(|i| i.act != Irreversible::Promote);
    }
    match (&step.because, standing.state) {
        (Reason::Manual(word, sentence), State::ManualInterventionRequired | State::Failed) => {
            standing.manual = Some((word.clone(), sentence.clone()));
        }
        (_, State::ManualInterventionRequired | State::Failed) => {}
        _ => standing.manual = None,
    }
    let any =
        |said: fn(&Facts) -> bool| seen.members.iter().any(|(_, m)| m.facts().is_some_and(said));
    standing.twosafe |= any(|facts| facts.twosafe == Some(true));
    standing.lax |= any(|f| f.disable_return == Some(true) || f.local_commit == Some(true));
}

fn change(standing: &mut Standing, state: State) {
    standing.previous = standing.state;
    standing.state = state;
    standing.term = standing.term.saturating_add(1);
}

/// Remembers which incarnations were good: another one has lost its memory.
fn remember(standing: &mut Standing, seen: &Observation, health: &Both<Health>) {
    for (ordinal, member) in seen.members.iter() {
        let loaded = member.facts().is_some_and(|facts| facts.db == Db::Loaded);
        let incarnation = member.pod().map(|pod| &pod.incarnation);
        if loaded && !health[ordinal].is_down() && incarnation.is_some() {
            standing.incarnations[ordinal] = incarnation.cloned();
        }
    }
    if standing.state == State::Normal {
        standing.rebuild = Rebuild::Repair;
        standing.rebuild_failures = 0;
        standing.copied = false;
    }
}

/// Puts the intent on record, and the task that an order will start.
fn intend(standing: &mut Standing, seen: &Observation, orders: &mut Orders) {
    if let Some(intention) = orders.intend.take() {
        let member = &seen.members[intention.member];
        if let Some(pod) = member.pod() {
            standing.intent = Some(Intent {
                act: intention.act,
                member: intention.member,
                uid: pod.incarnation.uid.clone(),
                term: standing.term,
                unproven: intention.unproven,
                why: intention.why,
                at: seen.now,
            });
        }
    }
    for ordinal in Ordinal::ALL {
        let Some((work, id)) = orders.give[ordinal].as_ref().and_then(Order::task) else {
            continue;
        };
        let Some(pod) = seen.members[ordinal].pod() else { continue };
        standing.task = Some(TaskRecord {
            id: id.to_owned(),
            work,
            member: ordinal,
            incarnation: pod.incarnation.clone(),
            started: seen.now.as_second(),
        });
        if work == Work::Copy && standing.state == State::StandbyDown {
            change(standing, State::StandbyStarting);
        }
    }
}

/// Gives the pods that have no order one that brings their marker files in line.
fn mark(seen: &Observation, standing: &Standing, ready: Both<bool>, orders: &mut Orders) {
    if matches!(standing.state, State::ManualInterventionRequired | State::Reexamine) {
        return;
    }
    for (ordinal, member) in seen.members.iter() {
        let free = orders.give[ordinal].is_none();
        let active = ready[ordinal] && ordinal == standing.active;
        orders.give[ordinal] = routing::marker(member, active, ready[ordinal])
            .filter(|verb| free && orders::may(member, verb))
            .map(|verb| Order::Do(verb, None))
            .or(orders.give[ordinal].take());
    }
}

/// Keeps the times of the last failover.
fn watch_failover(standing: &mut Standing, seen: &Observation, step: &transition::Step) {
    let name = |ordinal: Ordinal| seen.members[ordinal].name.clone();
    let came_down = seen.standing.state != State::ActiveDown && standing.state == State::ActiveDown;
    let planned = standing.switchover.filter(|planned| planned.stage == Stage::Handover);
    let begins = seen.standing.stage() != Some(Stage::Handover) && planned.is_some();
    if came_down || begins {
        standing.failover = Some(Failover {
            from: name(standing.active),
            to: name(standing.standby()),
            reason: step.because.to_string(),
            detected: planned.map_or(seen.now, |planned| planned.since),
            fenced: None,
            promoted: None,
            routed: None,
            restored: None,
        });
    }
    let intends = standing.intent.as_ref().is_some_and(|i| i.act == Irreversible::Promote);
    let active = &seen.members[standing.active];
    let is_active = active.facts().is_some_and(|facts| facts.rep_state == RepState::Active);
    let Some(failover) = &mut standing.failover else { return };
    if failover.fenced.is_none() && intends {
        failover.fenced = Some(seen.now);
    }
    if failover.promoted.is_none() && active.name == failover.to && is_active {
        failover.promoted = Some(seen.now);
    }
    let routed = active.role() == Some(crate::observation::Role::Active);
    if failover.promoted.is_some() && failover.routed.is_none() && routed {
        failover.routed = Some(seen.now);
    }
    if failover.restored.is_none() && standing.state == State::Normal {
        failover.restored = Some(seen.now);
    }
}

/// In good health the spec's interval; short while something is under way.
fn interval(standing: &Standing, health: &Both<Health>, desired: &Desired) -> Duration {
    let steady = match standing.state {
        State::Normal => health.iter().all(|(_, health)| *health == Health::Healthy),
        State::ManualInterventionRequired | State::Failed => true,
        _ => false,
    };
    if steady { desired.timeouts.polling } else { desired.timeouts.polling.min(BUSY_INTERVAL) }
}

/// The most telling reason there is.
fn because(standing: &Standing, orders: Option<Reason>, step: Reason) -> Reason {
    match orders {
        Some(reason) if !matches!(step, Reason::Manual(..)) => reason,
        _ if standing.rebuild_failures >= orders::REBUILD_BUDGET
            && matches!(standing.state, State::StandbyDown | State::StandbyStarting) =>
        {
            Reason::RebuildFailing {
                pod: standing.standby().to_string(),
                count: standing.rebuild_failures,
                text: step.to_string(),
            }
        }
        _ => step,
    }
}
