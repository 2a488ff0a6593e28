//! Subscribers: read-only copies that the pair feeds. Each is brought back on its own, from the
//! standby; from the active while there is no standby to do it.
//!
//! Never: holds up the pair. It is decided first, and what becomes of a subscriber changes nothing
//! of it (I9).

use super::health::{self, Health, Patience, Puzzle, REPAIR_ATTEMPTS, Why};
use super::orders::{self, Order, REBUILD_BUDGET};
use super::proof::{self, GoodSource};
use super::{BUSY_INTERVAL, Plan, routing};
use crate::agent::{Daemon, Db, Facts, RepScheme, RunState, Verb};
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
        let health = Health::Unknown(Puzzle::NotHeard);
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
        let scene = Scene { seen, desired, subscriber, health: &health, feeder: plan.feeds };
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
    let from = match plan.standing.state {
        State::Normal => standby,
        State::StandbyDown | State::StandbyStarting | State::StandbyCatchup => active,
        _ => return None,
    };
    proof::feeds(&seen.members[from]).then_some(from)
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
    match now.task.take().map(|task| (outcome(member, &task), task)) {
        Some((None, task)) => now.task = Some(task),
        Some((Some(true), task)) => now.known = Some(task.incarnation),
        // The next copy is a decision of its own.
        Some((Some(false), _)) => now.intent = None,
        None => {}
    }
    if *health == Health::Healthy {
        now.known = incarnation.cloned();
        now.copies = 0;
    }
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

/// How a copy ended: it is complete, or it is not; nothing while it has not ended.
fn outcome(member: &Member, task: &PodTask) -> Option<bool> {
    let alive = member.pod().is_some_and(|pod| pod.incarnation == task.incarnation);
    match &member.task {
        _ if !alive => Some(false),
        Task::Complete => Some(true),
        Task::Failed(_) => Some(false),
        // An order on its way explains that the agent does not know the task yet.
        Task::Unknown => member.doing.is_none().then_some(false),
        Task::Running | Task::NotAsked => None,
    }
}

/// One subscriber, and what it could be copied from.
struct Scene<'a> {
    seen: &'a Observation,
    desired: &'a Desired,
    subscriber: &'a Seen,
    health: &'a Health,
    feeder: Option<Ordinal>,
}

/// What brings a subscriber on.
enum Step {
    /// A verb.
    Do(Verb),
    /// A copy: room is made for it first, if need be.
    Copy(Irreversible),
    /// Time.
    Wait,
}

impl Scene<'_> {
    /// At most one order: readiness first, then up the ladder.
    fn order(
        &self,
        standing: &mut Subscriber,
        id: &mut Option<String>,
        plan: &mut Plan,
    ) -> Option<Order> {
        let member = &self.subscriber.member;
        let facts = member.facts()?;
        let dying = member.pod().is_none_or(|pod| pod.terminating);
        if facts.quiescing || dying {
            return None;
        }
        let simple = |verb: Verb| orders::may(member, &verb).then_some(Order::Do(verb, None));
        if let Some(order) = routing::readiness(member, standing.ready()).and_then(simple) {
            return Some(order);
        }
        if standing.state == SubscriberState::NotProvisioned {
            return None;
        }
        if standing.task.is_some() {
            let limit = self.desired.timeouts.task;
            let overdue = limit.is_some_and(|limit| self.subscriber.task_age > limit);
            // A task that never ends is ended with the container it runs in.
            return overdue.then_some(Verb::Die).and_then(simple);
        }
        match self.step(facts, standing.known.is_none()) {
            Step::Do(verb) => simple(verb),
            Step::Copy(act) => self.copy(act, standing, id, plan),
            Step::Wait => None,
        }
    }

    /// Up the ladder. Copied is only what cannot be mended, or is of nobody knows which pair: a volume
    /// may be older than this object, or have missed more than is kept for it.
    fn step(&self, facts: &Facts, stranger: bool) -> Step {
        let member = &self.subscriber.member;
        let gave_up = |verb: &Verb| {
            member.failure(verb).is_some_and(|f| f.said && f.count >= REPAIR_ATTEMPTS)
        };
        let mend = |verb: Verb| {
            if stranger || gave_up(&verb) {
                Step::Copy(Irreversible::Destroy)
            } else {
                Step::Do(verb)
            }
        };
        match (facts.daemon, facts.db) {
            (Daemon::Down, _) => Step::Do(Verb::StartDaemon),
            (Daemon::Up, Db::None) => Step::Copy(Irreversible::Duplicate),
            (Daemon::Up, Db::Unloaded) => mend(Verb::LoadDb),
            (Daemon::Up, Db::Loaded) if facts.rep_scheme == RepScheme::None => {
                Step::Copy(Irreversible::Destroy)
            }
            (Daemon::Up, Db::Loaded) if facts.rep_agent == RunState::NotRunning => {
                mend(Verb::StartRepAgent)
            }
            (Daemon::Up, Db::Loaded) if facts.open == Some(false) => Step::Do(Verb::OpenDb),
            (Daemon::Up, _)
                if *self.health == Health::Down(Why::Overdue(Puzzle::Passing(facts.db))) =>
            {
                Step::Copy(Irreversible::Destroy)
            }
            (Daemon::Up | Daemon::Unknown, _) => Step::Wait,
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
        let may = |verb| orders::may(member, &verb);
        if self.rests() || !may(Verb::RepDuplicate) || !may(Verb::DestroyDb) {
            return None;
        }
        let recorded = |intent: &PodIntent| intent.act == act && intent.uid == incarnation.uid;
        if !standing.intent.as_ref().is_some_and(recorded) {
            let uid = incarnation.uid.clone();
            standing.intent = Some(PodIntent { act, uid, at: self.seen.now });
            return None;
        }
        let decided = self.subscriber.intent_age;
        let Some(source) = GoodSource::of_subscriber(&self.seen.members[from], decided) else {
            plan.ask[from] = true;
            return None;
        };
        // From here on nobody knows what database it has, until it is copied or follows.
        if act == Irreversible::Destroy {
            standing.known = None;
            return Some(Order::Destroy(source));
        }
        let id = id.take()?;
        standing.known = None;
        standing.copies = standing.copies.saturating_add(1);
        let (started, incarnation) = (self.seen.now.as_second(), incarnation.clone());
        standing.task = Some(PodTask { id: id.clone(), incarnation, started });
        Some(Order::Duplicate(source, id))
    }

    /// Copies were made in vain, the last one just now: growing pauses (I5).
    fn rests(&self) -> bool {
        let standing = &self.subscriber.standing;
        let pause = orders::pause(standing.copies);
        standing.task.is_some() || (standing.copies > 0 && self.subscriber.rest_age < pause)
    }
}

/// Its copies fail again and again.
#[must_use]
pub fn fails(plan: &SubscriberPlan) -> bool {
    !plan.standing.ready() && plan.standing.task.is_none() && plan.standing.copies >= REBUILD_BUDGET
}

/// What a subscriber lacks, in words that follow a pod's name; nothing if it follows.
#[must_use]
pub fn lacks(seen: &Seen, plan: &SubscriberPlan, feeder: Option<Ordinal>) -> Option<String> {
    let standing = &plan.standing;
    match standing.state {
        SubscriberState::Normal => return None,
        SubscriberState::NotProvisioned => {
            return Some(
                "is not named in the replication scheme, which status.repCreateStatement has, so \
                 that nobody would feed it"
                    .into(),
            );
        }
        SubscriberState::Initializing | SubscriberState::Down => {}
    }
    let failure = seen.member.failure(&Verb::RepDuplicate).map(|failure| failure.text.as_str());
    let copied = standing.task.is_some();
    let waits = match (plan.health == Health::Down(Why::NoDatabase), standing.copies) {
        _ if copied => "; it is being copied".into(),
        (true, 0) if feeder.is_none() => "; it is copied when the pair is Normal".into(),
        (true, count @ 1..) => format!(
            "; copying failed {count} times in a row{}; the pauses grow",
            failure.map(|text| format!(", the last with: {text}")).unwrap_or_default(),
        ),
        _ => String::new(),
    };
    Some(format!("{}{waits}", super::transition::sentence(&plan.health)))
}
