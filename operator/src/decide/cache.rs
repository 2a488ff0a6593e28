//! Cache groups: `cachegroups.sql` is run once, before replication is configured, and cache agents run
//! wherever there are cache groups.
//!
//! Never: drops a cache group, and holds up nothing but the first start of a pair: what does not work
//! with the Oracle database is said in a condition.

use super::human::{self, Cause};
use super::orders::{Field, Order, Orders, may};
use super::reason::Reason;
use super::settle;
use super::transition::{Scene, Step};
use crate::agent::{Db, Facts, RunState, Verb};
use crate::desired::Desired;
use crate::observation::{Member, Observation, Task};
use crate::pair::Ordinal;
use crate::standing::cache::{Cache, Script};
use crate::standing::{Irreversible, Rebuild, Standing, State, TaskRecord, Work};

/// What is to be done about the object's finalizer, which holds up its deletion until what cache groups
/// made in the Oracle database is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finalizer {
    /// It is to be there before the first cache group is.
    Add,
    /// It is not, or no longer, needed.
    Remove,
}

/// The task that runs `cachegroups.sql` has ended, well or not, if it has.
pub(super) fn script_ended(seen: &mut Observation, record: &TaskRecord) {
    let member = &seen.members[record.member];
    let script = match &member.task {
        _ if !settle::alive(record, member) => Script::Interrupted,
        Task::Complete => Script::Complete,
        Task::Failed(text) => Script::Failed(text.clone()),
        // It was never started. An order on its way explains that the agent does not know it yet.
        Task::Unknown if member.doing.is_none() => Script::NotRun,
        Task::Unknown | Task::Running | Task::NotAsked => return,
    };
    seen.standing.task = None;
    seen.standing.intent = None;
    seen.standing.cache.script = script;
}

/// Settles what the database shows of a script that was not seen to end.
pub(super) fn settle(seen: &mut Observation) {
    let standing = &mut seen.standing;
    let Some(facts) = seen.members[standing.active].facts() else { return };
    if standing.works(Work::CacheGroups) {
        return;
    }
    let first = standing.state == State::Initializing;
    let script = match (&standing.cache.script, facts.db, facts.n_cache_groups) {
        // A new database has none, whatever became of the one before it.
        (Script::Interrupted | Script::Complete, Db::None, _) if first => Script::NotRun,
        (Script::Interrupted, Db::Loaded, Some(0)) => Script::NotRun,
        (Script::Interrupted, Db::Loaded, Some(count)) => Script::Failed(format!(
            "its container ended while it ran, and there are {count} cache groups: whether these \
             are all is not known"
        )),
        // They are older than the object, or than what its status says.
        (Script::NotRun, Db::Loaded, Some(count)) if count > 0 => Script::Complete,
        _ => return,
    };
    standing.cache.script = script;
}

/// A human has seen to it: what there is now counts.
pub(super) fn look_again(cache: &mut Cache) {
    if let Script::Failed(_) = cache.script {
        cache.script = Script::NotRun;
    }
}

/// The user's SQL was refused, or nobody knows how far it came: it must not run twice.
pub(super) fn failed(scene: &Scene<'_>) -> Option<Step> {
    let Script::Failed(text) = &scene.seen.standing.cache.script else { return None };
    let what = format!("{}: cachegroups.sql: {text}", scene.a().name);
    Some(human::manual(scene, Cause::CreateCacheGroupsFailed, &what))
}

impl Field<'_> {
    /// Runs `cachegroups.sql`, if there is one and it has not been run. Says whether replication has to
    /// wait for it.
    pub(super) fn cache_groups(&self, orders: &mut Orders, to: Ordinal, facts: &Facts) -> bool {
        let wait = |orders: &mut Orders, what: &str| {
            let name = self.member(to).name.clone();
            orders.because = Some(Reason::Provisioning(name, what.to_owned()));
            true
        };
        if self.now.works(Work::CacheGroups) {
            let long = overdue(self.seen, self.desired);
            return wait(orders, if long { RUNS_LONG } else { "cachegroups.sql is run" });
        }
        match self.now.cache.script {
            Script::Complete => return false,
            // Both are settled before anything is ordered.
            Script::Interrupted | Script::Failed(_) => return true,
            Script::NotRun => {}
        }
        if facts.files.cache_groups != Some(true) || facts.n_cache_groups != Some(0) {
            return false;
        }
        if self.desired.cache_cleanup && !self.seen.finalized {
            orders.finalize = true;
            return wait(orders, "the finalizer is added before cache groups are created");
        }
        let why = "cachegroups.sql has not been run";
        if self.recorded(orders, Irreversible::CreateCacheGroups, to, why) {
            let fresh = self.fresh(to);
            orders.ask[to] = !fresh;
            if fresh && self.may(to, &Verb::CreateCg) {
                orders.give[to] = Some(Order::CreateCacheGroups(self.seen.fresh_id.clone()));
            }
        }
        wait(orders, "cachegroups.sql is to be run")
    }
}

/// What is said of a script that runs for longer than `agentAsyncTimeout`. It is not ended: it may be
/// loading what a cache group holds.
pub const RUNS_LONG: &str = "cachegroups.sql has been running for longer than agentAsyncTimeout; it is \
     waited for: see ttmesg.log, and whether the Oracle database can be reached";

/// The task that runs it has been known for longer than tasks may take.
#[must_use]
pub fn overdue(seen: &Observation, desired: &Desired) -> bool {
    seen.standing.works(Work::CacheGroups)
        && desired.timeouts.task.is_some_and(|limit| seen.task_age > limit)
}

/// Starts the cache agents that have stopped, or were never started: after everything else.
pub(super) fn agents(seen: &Observation, now: &Standing, orders: &mut Orders) {
    let guarded = match now.state {
        State::Initializing
        | State::Normal
        | State::ActiveTakeover
        | State::StandbyDown
        | State::StandbyStarting
        | State::StandbyCatchup
        | State::ConfiguringActive => true,
        State::Switchover
        | State::ActiveDown
        | State::BothDown
        | State::WaitingForActive
        | State::Reexamine
        | State::ManualInterventionRequired
        | State::Failed => false,
    };
    for (ordinal, member) in seen.members.iter() {
        let doomed = ordinal == now.standby() && now.rebuild == Rebuild::Copy;
        let free = orders.give[ordinal].is_none() && may(member, &Verb::StartCacheAgent);
        if guarded && free && !doomed && agent_stopped(member) {
            orders.give[ordinal] = Some(Order::Do(Verb::StartCacheAgent, None));
        }
    }
}

/// The member has cache groups, and its cache agent does not run.
#[must_use]
pub fn agent_stopped(member: &Member) -> bool {
    let dying = member.pod().is_none_or(|pod| pod.terminating);
    let stopped = |facts: &Facts| facts.cache_agent == RunState::NotRunning && !facts.quiescing;
    !dying && has_groups(member) && member.facts().is_some_and(stopped)
}

/// The member is seen to have cache groups.
#[must_use]
pub fn has_groups(member: &Member) -> bool {
    member.facts().is_some_and(|facts| facts.n_cache_groups.is_some_and(|count| count > 0))
}

/// What is to be done about the finalizer. That of an object whose databases cannot be asked stays.
pub(super) fn finalizer(
    seen: &Observation,
    desired: &Desired,
    orders: &Orders,
) -> Option<Finalizer> {
    let none = |member: &Member| member.facts().is_some_and(|f| f.n_cache_groups == Some(0));
    let nowhere = seen.members.iter().all(|(_, member)| none(member));
    let runs = seen.standing.works(Work::CacheGroups) || orders.finalize;
    let found = seen.members.iter().any(|(_, member)| has_groups(member));
    let wanted = match desired.cache_cleanup {
        false => false,
        true if found || runs => true,
        true if nowhere => false,
        true => return None,
    };
    match (wanted, seen.finalized) {
        (true, false) => Some(Finalizer::Add),
        (false, true) => Some(Finalizer::Remove),
        (true, true) | (false, false) => None,
    }
}
