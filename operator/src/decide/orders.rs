//! Orders: from where the pair stands and what is seen, to at most one order a pod.
//!
//! Never: changes the state. Orders follow from where the pair stands, not from how it came there,
//! so that looking again after a crash gives the same ones. An irreversible order is given only
//! when its intent is on record and its proof is fresh; until then its intent is what comes out.

use std::time::Duration;

use super::health::{Ailment, Health};
use super::proof::{self, Candidate, Condemned, Fenced, GoodSource};
use super::reason::Reason;
use super::stranded::Abandon;
use crate::agent::{
    CacheCleanup, Daemon, Db, Facts, PeerState, RepScheme, RepState, RunState, Verb,
};
use crate::desired::Desired;
use crate::observation::{Member, Observation};
use crate::pair::{Both, Ordinal};
use crate::standing::{Irreversible, Rebuild, Standing, State, Work};

/// The pause after the first failure of a verb; it doubles with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause between two tries of a failing verb.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long a `createDb` that was not answered is given before it is sent again.
pub const CREATE_PATIENCE: Duration = Duration::from_secs(3600);
/// How many failed rebuilds in a row make a condition that a human should look at.
pub const REBUILD_BUDGET: u32 = 3;

/// An order to one pod. What cannot be taken back carries its proof.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// A verb that can be repeated, and one that follows it at once if it succeeds.
    Do(Verb, Option<Verb>),
    /// `createDb`, whose intent is on record.
    Create,
    /// Makes a standby in step the active.
    Promote(Candidate, Fenced),
    /// Makes the best database ACTIVE after a dual failure, or at the very first.
    Activate(Fenced),
    /// Makes a database ACTIVE that TimesTen does not take from its old role: its scheme is made
    /// anew with this statement.
    Found(Fenced, String),
    /// `destroyDb`: the peer has been seen to be a complete copy.
    Destroy(GoodSource),
    /// `repDuplicate`, as the task of that id.
    Duplicate(GoodSource, String),
    /// `createCg`, whose intent is on record, as the task of that id.
    CreateCacheGroups(String),
    /// `cleanupCache`: the object is being deleted.
    CleanUp(Condemned, CacheCleanup),
}

impl Order {
    /// The verb that is sent.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Do(verb, _) => verb.clone(),
            Self::Create => Verb::CreateDb,
            Self::Promote(..) | Self::Activate(_) => Verb::RepStateSetActive,
            Self::Found(_, statement) => Verb::CreateRepScheme { statement: statement.clone() },
            Self::Destroy(_) => Verb::DestroyDb,
            Self::Duplicate(..) => Verb::RepDuplicate,
            Self::CreateCacheGroups(_) => Verb::CreateCg,
            Self::CleanUp(_, cleanup) => Verb::CleanupCache(cleanup.clone()),
        }
    }

    /// The task that it starts, if it starts one: what that does, and its id.
    #[must_use]
    pub fn task(&self) -> Option<(Work, &str)> {
        match self {
            Self::Duplicate(_, id) => Some((Work::Copy, id)),
            Self::CreateCacheGroups(id) => Some((Work::CacheGroups, id)),
            Self::Do(..)
            | Self::Create
            | Self::Promote(..)
            | Self::Activate(_)
            | Self::Found(..)
            | Self::Destroy(_)
            | Self::CleanUp(..) => None,
        }
    }

    /// The verb that follows at once if it succeeds.
    #[must_use]
    pub fn then(&self) -> Option<Verb> {
        match self {
            Self::Do(_, then) => then.clone(),
            Self::Found(..) => Some(Verb::CreateRepEpilog),
            _ => None,
        }
    }

    /// It cannot be taken back: the pod is confirmed with a direct read first.
    #[must_use]
    pub const fn irreversible(&self) -> bool {
        !matches!(self, Self::Do(..))
    }
}

/// An irreversible act that is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Intention {
    /// What.
    pub act: Irreversible,
    /// In which member.
    pub member: Ordinal,
    /// A promotion for which the end of the old active is not proven.
    pub unproven: bool,
    /// Why.
    pub why: String,
}

/// What is to be done to the pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orders {
    /// At most one order a pod.
    pub give: Both<Option<Order>>,
    /// The intent to record.
    pub intend: Option<Intention>,
    /// Agents to be asked at once.
    pub ask: Both<bool>,
    /// The pod to delete, as a fence.
    pub delete: Option<Ordinal>,
    /// Volumes to give up.
    pub abandon: Option<Abandon>,
    /// The object's finalizer has to be there first.
    pub finalize: bool,
    /// Why, where it is more to the point than the reason of the state.
    pub because: Option<Reason>,
}

/// Everything the orders follow from.
pub(super) struct Field<'a> {
    pub(super) seen: &'a Observation,
    /// Where the pair stands now, as it is about to be recorded.
    pub(super) now: &'a Standing,
    pub(super) desired: &'a Desired,
    pub(super) health: &'a Both<Health>,
}

/// The orders for where the pair stands.
pub(super) fn given(field: &Field<'_>) -> Orders {
    let mut orders = Orders::default();
    let (active, standby) = (field.now.active, field.now.standby());
    match field.now.state {
        State::Initializing => {
            field.make_active(&mut orders, active);
            if proof::serves(field.member(active)) {
                field.bring_back(&mut orders, standby);
            } else if field.member(standby).facts().is_some_and(|f| f.daemon == Daemon::Down) {
                field.order(&mut orders, standby, Verb::StartDaemon, None);
            }
        }
        State::Normal => {
            field.mend(&mut orders, active);
            field.mend(&mut orders, standby);
        }
        State::Switchover => field.switch_over(&mut orders),
        State::ActiveDown => field.fail_over(&mut orders),
        State::ActiveTakeover => {
            field.reopen(&mut orders);
            field.take_over(&mut orders);
        }
        State::StandbyDown | State::StandbyStarting | State::StandbyCatchup => {
            field.mend(&mut orders, active);
            if field.health[standby].is_down() && orders.give[active].is_none() {
                field.carry_on(&mut orders);
            }
            field.bring_back(&mut orders, standby);
        }
        State::ConfiguringActive => field.configure(&mut orders, active),
        State::BothDown => {
            field.read(&mut orders, active);
            // A standby that is to be destroyed has nothing to say.
            if field.now.rebuild != Rebuild::Copy {
                field.read(&mut orders, standby);
            }
        }
        State::WaitingForActive
        | State::Reexamine
        | State::ManualInterventionRequired
        | State::Failed => {}
    }
    orders
}

/// How long to wait after the n-th failure in a row.
#[must_use]
pub fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_PAUSE.saturating_mul(1 << (n - 1).min(16)).min(LONGEST_PAUSE),
    }
}

/// The pod is free, and the verb has not failed just now.
pub(super) fn may(member: &Member, verb: &Verb) -> bool {
    let rested = member.failure(verb).is_none_or(|f| f.ago >= pause(f.count));
    member.doing.is_none() && rested
}

/// `createDb` was not answered in time: the user's SQL may still run, and must not run twice.
pub(super) fn still_creating(member: &Member) -> bool {
    let failure = member.failure(&Verb::CreateDb);
    failure.is_some_and(|failure| failure.hung && failure.ago < CREATE_PATIENCE)
}

impl Field<'_> {
    pub(super) fn member(&self, ordinal: Ordinal) -> &Member {
        &self.seen.members[ordinal]
    }

    /// Gives a repeatable order, unless the pod is busy or the verb has to pause.
    pub(super) fn order(&self, orders: &mut Orders, to: Ordinal, verb: Verb, then: Option<Verb>) {
        if self.may(to, &verb) {
            orders.give[to] = Some(Order::Do(verb, then));
        }
    }

    /// The pod is free, and the verb has not failed just now.
    pub(super) fn may(&self, to: Ordinal, verb: &Verb) -> bool {
        may(self.member(to), verb)
    }

    /// The act is on record for the very pod; else it is put on record.
    pub(super) fn recorded(
        &self,
        orders: &mut Orders,
        act: Irreversible,
        member: Ordinal,
        why: &str,
    ) -> bool {
        self.on_record(orders, Intention { act, member, unproven: false, why: why.to_owned() })
    }

    /// The promotion is on record, with what is known of the old active; else it is put on record.
    pub(super) fn promotion_recorded(
        &self,
        orders: &mut Orders,
        member: Ordinal,
        fenced: &Fenced,
    ) -> bool {
        let (unproven, why) = (fenced.unproven(), fenced.to_string());
        self.on_record(orders, Intention { act: Irreversible::Promote, member, unproven, why })
    }

    fn on_record(&self, orders: &mut Orders, intention: Intention) -> bool {
        let Intention { act, member, unproven, .. } = intention;
        let uid = self.member(member).pod().map(|pod| pod.incarnation.uid.as_str());
        let on_record = self.now.intent.as_ref().is_some_and(|intent| {
            intent.act == act
                && intent.member == member
                && intent.unproven == unproven
                && Some(intent.uid.as_str()) == uid
        });
        if !on_record && uid.is_some() {
            orders.intend = Some(intention);
        }
        on_record && self.seen.intent_age.is_some()
    }

    /// Up to a database that is ACTIVE, for a pair that never was.
    fn make_active(&self, orders: &mut Orders, to: Ordinal) {
        let Some(facts) = self.member(to).facts() else { return };
        match (facts.daemon, facts.db) {
            (Daemon::Down, _) => self.order(orders, to, Verb::StartDaemon, None),
            (Daemon::Up, Db::None) => {
                if self.recorded(orders, Irreversible::Create, to, "there is no database yet")
                    && self.may(to, &Verb::CreateDb)
                    && !still_creating(self.member(to))
                {
                    orders.give[to] = Some(Order::Create);
                }
            }
            (Daemon::Up, Db::Unloaded) => self.order(orders, to, Verb::LoadDb, None),
            (Daemon::Up, Db::Loaded) => self.make_replicated(orders, to, facts),
            (Daemon::Unknown, _)
            | (Daemon::Up, Db::Loading | Db::Unloading | Db::Transitioning | Db::Unknown) => {}
        }
    }

    pub(super) fn make_replicated(&self, orders: &mut Orders, to: Ordinal, facts: &Facts) {
        let scheme = || Verb::CreateRepScheme { statement: self.desired.rep_create_statement() };
        match (facts.open, facts.rep_scheme, facts.rep_state, facts.rep_agent) {
            (Some(false), ..) => self.order(orders, to, Verb::OpenDb, None),
            (_, RepScheme::None, ..) if self.cache_groups(orders, to, facts) => {}
            (_, RepScheme::None, ..) => {
                self.order(orders, to, scheme(), Some(Verb::CreateRepEpilog));
            }
            (_, RepScheme::Exists, RepState::Idle | RepState::Standby, _) => {
                self.activate(orders, to);
            }
            (_, RepScheme::Exists, RepState::Active, RunState::NotRunning) => {
                self.order(orders, to, Verb::StartRepAgent, None);
            }
            _ => {}
        }
    }

    /// What one verb mends, while the pair goes on.
    fn mend(&self, orders: &mut Orders, to: Ordinal) {
        let closed_by_hand = to == self.now.active && self.now.switchover.is_none();
        match &self.health[to] {
            Health::Ailing(Ailment::AgentStopped) => {
                self.order(orders, to, Verb::StartRepAgent, None);
            }
            Health::Ailing(Ailment::Closed) if !closed_by_hand => {
                self.order(orders, to, Verb::OpenDb, None);
            }
            Health::Ailing(Ailment::PeerPaused) => {
                self.order(orders, to, Verb::SetSubStateStart, None);
            }
            Health::Ailing(Ailment::CountedOut) => {
                let active = self.member(self.now.active).facts();
                let still = |f: &Facts| matches!(f.peer_state, PeerState::Failed | PeerState::Stop);
                if active.is_some_and(still) {
                    self.order(orders, self.now.active, Verb::SetSubStateStart, None);
                }
            }
            // The peer is good, whatever this database believes of it (rows 21, 23).
            Health::OtherDown if self.in_step(to.other()) => {
                self.order(orders, to, Verb::SetSubStateStart, None);
            }
            Health::Ailing(Ailment::Closed)
            | Health::Healthy
            | Health::OtherDown
            | Health::CatchingUp
            | Health::Unknown(_)
            | Health::Down(_) => {}
        }
    }

    fn in_step(&self, member: Ordinal) -> bool {
        matches!(self.health[member], Health::Healthy | Health::OtherDown)
            && self.now.rebuild != Rebuild::Copy
    }

    /// The member was heard since the intent was recorded.
    pub(super) fn fresh(&self, member: Ordinal) -> bool {
        self.member(member)
            .heard()
            .zip(self.seen.intent_age)
            .is_some_and(|(heard, age)| heard.asked < age)
    }

    /// Up the ladder: start what has stopped; copy only what cannot be mended (W10).
    fn bring_back(&self, orders: &mut Orders, to: Ordinal) {
        let member = self.member(to);
        if self.now.works(Work::Copy) {
            // A task that never ends is ended with the container it runs in.
            if self.desired.timeouts.task.is_some_and(|limit| self.seen.task_age > limit) {
                self.order(orders, to, Verb::Die, None);
            }
            return;
        }
        let Some(facts) = member.facts() else { return self.abandon(orders, to) };
        match (facts.daemon, facts.db) {
            (Daemon::Down, _) => self.order(orders, to, Verb::StartDaemon, None),
            (Daemon::Up, Db::None) => self.copy(orders, to, Irreversible::Duplicate),
            (Daemon::Up, _) if self.now.rebuild == Rebuild::Copy => {
                self.copy(orders, to, Irreversible::Destroy);
            }
            (Daemon::Up, Db::Unloaded) => self.order(orders, to, Verb::LoadDb, None),
            (Daemon::Up, Db::Loaded) if facts.open == Some(false) => {
                self.order(orders, to, Verb::OpenDb, None);
            }
            (Daemon::Up, Db::Loaded) if facts.rep_agent == RunState::NotRunning => {
                self.order(orders, to, Verb::StartRepAgent, None);
            }
            (Daemon::Up, Db::Loaded) => self.mend(orders, to),
            (Daemon::Unknown, _)
            | (Daemon::Up, Db::Loading | Db::Unloading | Db::Transitioning | Db::Unknown) => {}
        }
    }

    /// Destroys or copies, if the active is a proven good source.
    fn copy(&self, orders: &mut Orders, to: Ordinal, act: Irreversible) {
        let from = to.other();
        if self.rests() {
            return;
        }
        if !proof::serves(self.member(from)) {
            orders.because = Some(Reason::NoGoodSource(self.member(from).name.clone()));
            return;
        }
        if !self.recorded(orders, act, to, &format!("copying {}", self.member(from).name)) {
            return;
        }
        let Some(source) = GoodSource::seen(self.member(from), self.seen.intent_age) else {
            orders.ask[from] = true;
            return;
        };
        let order = match act {
            Irreversible::Destroy => Order::Destroy(source),
            _ => Order::Duplicate(source, self.seen.fresh_id.clone()),
        };
        if self.may(to, &order.verb()) {
            orders.give[to] = Some(order);
        }
    }

    /// Rebuilds have failed, the last one just now: growing pauses, whatever step failed (I5).
    fn rests(&self) -> bool {
        let failures = self.now.rebuild_failures;
        let just_now = failures != self.seen.standing.rebuild_failures;
        failures > 0 && (just_now || self.seen.rebuild_age < pause(failures))
    }
}
