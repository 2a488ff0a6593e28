//! Subscribers: read-only copies that the pair feeds. Each is brought back on its own, from the
//! standby; from the active while there is no standby to do it.
//!
//! Never: holds up the pair. It is decided first, and what becomes of a subscriber changes nothing
//! of it (I9).

use super::health::{self, Health, Patience, REPAIR_ATTEMPTS, Why};
use super::orders::{self, Order};
use super::proof::GoodSource;
use super::{BUSY_INTERVAL, Plan, routing};
use crate::agent::{Daemon, Db, PeerState, RepScheme, RunState, Verb};
use crate::desired::Desired;
use crate::observation::{Member, Observation, Subscriber as Seen, Task};
use crate::pair::Ordinal;
use crate::standing::subscribers::{PodTask, Subscriber, SubscriberState};
use crate::standing::{Irreversible, PodIntent, State};

/// What becomes of one subscriber.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriberPlan {
    /// Where it stands now: recorded before anything else is done.
    pub standing: Subscriber,
    /// How it is.
    pub health: Health,
    /// What it is told.
    pub give: Option<Order>,
}

impl SubscriberPlan {
    /// Nothing is done to it.
    pub(super) fn idle(seen: &Seen) -> Self {
        let health = Health::Unknown(health::Puzzle::NotHeard);
        Self { standing: seen.standing.clone(), health, give: None }
    }
}

/// Plans for the subscribers, when that for the pair is made.
pub(super) fn attend(seen: &Observation, desired: &Desired, plan: &mut Plan) {
    plan.feeds = feeder(seen, plan);
    // There is one fresh id a pass, and the pair comes first.
    let taken = plan.give.iter().any(|(_, o)| matches!(o, Some(Order::Duplicate(..))));
    let mut id = Some(seen.fresh_id.clone()).filter(|_| !taken);
    for subscriber in &seen.subscribers {
        let known = subscriber.standing.known.as_ref();
        let patience = Patience::of(&desired.timeouts);
        let health = health::of_subscriber(&subscriber.member, known, patience);
        let mut standing = next(subscriber, &health);
        let scene = Scene { seen, desired, subscriber, feeder: plan.feeds };
        let give = if managed(plan.standing.state) {
            scene.order(&mut standing, &mut id, plan)
        } else {
            None
        };
        let busy = give.is_some() || standing != subscriber.standing || standing.task.is_some();
        if busy {
            plan.interval = plan.interval.min(BUSY_INTERVAL);
        }
        plan.subscribers.push(SubscriberPlan { standing, health, give });
    }
}

/// The operator guards the pair, and with it its subscribers.
const fn managed(state: State) -> bool {
    !matches!(state, State::ManualInterventionRequired | State::Reexamine | State::Failed)
}

/// The member that subscribers are copied from: the standby that is in step, or the active once it
/// has been told that the standby has failed, for it feeds them then.
fn feeder(seen: &Observation, plan: &Plan) -> Option<Ordinal> {
    let (active, standby) = (plan.standing.active, plan.standing.standby());
    let told = |facts: &crate::agent::Facts| facts.peer_state == PeerState::Failed;
    match plan.standing.state {
        State::Normal => Some(standby),
        State::StandbyDown | State::StandbyStarting | State::StandbyCatchup
            if seen.members[active].facts().is_some_and(told) =>
        {
            Some(active)
        }
        _ => None,
    }
}

/// Where a subscriber stands next.
fn next(seen: &Seen, health: &Health) -> Subscriber {
    let (member, mut now) = (&seen.member, seen.standing.clone());
    let incarnation = member.pod().map(|pod| &pod.incarnation);
    now.state = match (now.state, health) {
        _ if !seen.named => SubscriberState::NotProvisioned,
        (_, Health::Healthy) => SubscriberState::Normal,
        (SubscriberState::NotProvisioned, _) => SubscriberState::Initializing,
        // What cannot be told changes nothing; it has a deadline (I6).
        (state, Health::Unknown(_))
        | (state @ (SubscriberState::Initializing | SubscriberState::Down), _) => state,
        (SubscriberState::Normal, _) => SubscriberState::Down,
    };
    if *health == Health::Healthy {
        now.known = incarnation.cloned();
    }
    let ended = |task: &PodTask| match &member.task {
        _ if Some(&task.incarnation) != incarnation => true,
        // An order on its way explains that the agent does not know the task yet.
        Task::Unknown => member.doing.is_none(),
        Task::Complete | Task::Failed(_) => true,
        Task::Running | Task::NotAsked => false,
    };
    now.task = now.task.filter(|task| !ended(task));
    let (free, under_way) = (member.doing.is_none(), now.task.is_some());
    let db = member.facts().map(|facts| facts.db);
    now.intent = now.intent.filter(|intent| {
        let done = match intent.act {
            Irreversible::Destroy => db == Some(Db::None),
            _ => db == Some(Db::Loaded) && !under_way,
        };
        !(done && free) && incarnation.is_some_and(|now| now.uid == intent.uid)
    });
    now
}

/// One subscriber, and what it could be copied from.
struct Scene<'a> {
    seen: &'a Observation,
    desired: &'a Desired,
    subscriber: &'a Seen,
    feeder: Option<Ordinal>,
}

impl Scene<'_> {
    /// At most one order: readiness first, then up the ladder; copied is only what cannot be mended.
    fn order(
        &self,
        standing: &mut Subscriber,
        id: &mut Option<String>,
        plan: &mut Plan,
    ) -> Option<Order> {
        let member = &self.subscriber.member;
        let facts = member.facts()?;
        let dying = member.pod().is_none_or(|pod| pod.terminating);
        if facts.quiescing || dying || standing.state == SubscriberState::NotProvisioned {
            return None;
        }
        let simple = |verb: Verb| orders::may(member, &verb).then_some(Order::Do(verb, None));
        if let Some(order) = routing::readiness(member, standing.ready()).and_then(simple) {
            return Some(order);
        }
        if standing.task.is_some() {
            let limit = self.desired.timeouts.task;
            let overdue = limit.is_some_and(|limit| self.subscriber.task_age > limit);
            // A task that never ends is ended with the container it runs in.
            return overdue.then_some(Verb::Die).and_then(simple);
        }
        let gave_up = |verb: Verb| {
            member.failure(&verb).is_some_and(|f| f.said && f.count >= REPAIR_ATTEMPTS)
        };
        let mut copy = |act| self.copy(act, standing, id, plan);
        match (facts.daemon, facts.db) {
            (Daemon::Down, _) => simple(Verb::StartDaemon),
            (Daemon::Up, Db::None) => copy(Irreversible::Duplicate),
            (Daemon::Up, Db::Unloaded) if gave_up(Verb::LoadDb) => copy(Irreversible::Destroy),
            (Daemon::Up, Db::Unloaded) => simple(Verb::LoadDb),
            (Daemon::Up, Db::Loaded) if facts.rep_scheme == RepScheme::None => {
                copy(Irreversible::Destroy)
            }
            (Daemon::Up, Db::Loaded) if facts.rep_agent == RunState::NotRunning => {
                if gave_up(Verb::StartRepAgent) {
                    copy(Irreversible::Destroy)
                } else {
                    simple(Verb::StartRepAgent)
                }
            }
            (Daemon::Up, Db::Loaded) if facts.open == Some(false) => simple(Verb::OpenDb),
            (Daemon::Up | Daemon::Unknown, _) => None,
        }
    }

    /// Destroys or copies, if there is a good source: once that is on record for this very pod, and
    /// the source was heard since.
    fn copy(
        &self,
        act: Irreversible,
        standing: &mut Subscriber,
        id: &mut Option<String>,
        plan: &mut Plan,
    ) -> Option<Order> {
        let member = &self.subscriber.member;
        let incarnation = &member.pod()?.incarnation;
        let from = self.feeder?;
        if !orders::may(member, &Verb::RepDuplicate) || !orders::may(member, &Verb::DestroyDb) {
            return None;
        }
        let recorded = |intent: &PodIntent| intent.act == act && intent.uid == incarnation.uid;
        if !standing.intent.as_ref().is_some_and(recorded) {
            let uid = incarnation.uid.clone();
            standing.intent = Some(PodIntent { act, uid, at: self.seen.now });
            return None;
        }
        let feeder: &Member = &self.seen.members[from];
        let Some(source) = GoodSource::of_subscriber(feeder, self.subscriber.intent_age) else {
            plan.ask[from] = true;
            return None;
        };
        if act == Irreversible::Destroy {
            return Some(Order::Destroy(source));
        }
        let id = id.take()?;
        let (started, incarnation) = (self.seen.now.as_second(), incarnation.clone());
        standing.task = Some(PodTask { id: id.clone(), incarnation, started });
        Some(Order::Duplicate(source, id))
    }
}

/// What a subscriber lacks, in words that follow a pod's name; nothing if it follows.
#[must_use]
pub fn lacks(plan: &SubscriberPlan, feeder: Option<Ordinal>) -> Option<String> {
    let copied = plan.health == Health::Down(Why::NoDatabase);
    match plan.standing.state {
        SubscriberState::Normal => None,
        SubscriberState::NotProvisioned => Some(
            "is not named in the replication scheme, which status.repCreateStatement has, so that \
             nobody would feed it"
                .into(),
        ),
        SubscriberState::Initializing | SubscriberState::Down => {
            let health = super::transition::sentence(&plan.health);
            let wait = if copied && plan.standing.task.is_none() && feeder.is_none() {
                "; it is copied when the pair is Normal"
            } else if plan.standing.task.is_some() {
                "; it is being copied"
            } else {
                ""
            };
            Some(format!("{health}{wait}"))
        }
    }
}
