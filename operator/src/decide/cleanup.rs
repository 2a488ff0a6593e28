//! The end of an object with cache groups: what these made in the Oracle database is removed by the
//! agents, and then the object is let go. In bounded time, whatever the agents do.
//!
//! Never: holds up a deletion for longer than `LIMIT`. What could not be done is on record, and told,
//! before the finalizer goes.

use std::time::Duration;

use super::cache::Finalizer;
use super::health::REPAIR_ATTEMPTS;
use super::orders::{Order, may};
use super::proof::{Condemned, silence};
use super::{BUSY_INTERVAL, Plan, Reason, judge, routing};
use crate::agent::{CacheCleanup, CleanupSide, Daemon, Db, RepState, Verb};
use crate::observation::{Member, Observation, Pod, TtContainer};
use crate::pair::{Both, Ordinal};
use crate::standing::cache::Cleanup;
use crate::standing::{Intent, Irreversible, Standing, State};

/// How long a deletion is held up at most, from the moment that the operator (a new one after a restart)
/// first sees it.
pub const LIMIT: Duration = Duration::from_secs(300);

/// What is done about an object that is being deleted.
pub(super) fn plan(seen: &Observation) -> Plan {
    let mut plan = Plan::idle(seen, Reason::Deleting);
    if let Ok(desired) = &seen.desired {
        plan.health = judge(seen, desired, seen.standing.active);
        plan.ready = Both::each(|m| routing::ready(seen, &seen.standing, &plan.health, m));
    }
    if !seen.finalized {
        return plan;
    }
    plan.interval = BUSY_INTERVAL;
    if seen.desired.as_ref().is_ok_and(|desired| !desired.cache_cleanup) {
        plan.finalizer = Some(Finalizer::Remove);
        return plan;
    }
    settle(seen, &mut plan.standing);
    let standing = &mut plan.standing;
    if standing.cache.cleanup.iter().all(|(_, cleanup)| cleanup.settled()) {
        standing.intent = None;
        // Not before it is on record, and told, what is left.
        plan.finalizer = (*standing == seen.standing).then_some(Finalizer::Remove);
        return plan;
    }
    plan.because = Reason::CleaningUp(waits_for(seen, standing));
    plan.ask = seen.members.map(|member| stale(member, seen));
    order(seen, &mut plan);
    plan
}

/// What has become of each member's clean-up.
fn settle(seen: &Observation, standing: &mut Standing) {
    let able = Both::each(|ordinal| able(&seen.members[ordinal], seen));
    let late = seen.deleting_for >= LIMIT;
    for ordinal in Ordinal::ALL {
        let member = &seen.members[ordinal];
        let verb = cleaning(seen, ordinal).map(Verb::CleanupCache);
        let failure = verb.as_ref().and_then(|verb| member.failure(verb));
        let given_up = failure.filter(|failure| failure.count >= REPAIR_ATTEMPTS);
        let nothing = member.facts().is_some_and(|facts| facts.n_cache_groups == Some(0));
        let now = match (&standing.cache.cleanup[ordinal], &able[ordinal]) {
            (settled, _) if settled.settled() => continue,
            (Cleanup::Due, _) if nothing && failure.is_none() && member.doing.is_none() => {
                Cleanup::Done
            }
            (Cleanup::Due, _) if given_up.is_some() => {
                left(seen, ordinal, &given_up.map(|f| f.text.clone()).unwrap_or_default())
            }
            (_, _) if late => left(seen, ordinal, "the clean-up was not done within five minutes"),
            (Cleanup::Due, Err(Some(why))) => {
                let peer_is_due = standing.cache.cleanup[ordinal.other()] == Cleanup::Due;
                match able[ordinal.other()] {
                    Ok(()) if peer_is_due => Cleanup::ByPeer,
                    Err(None) if peer_is_due => continue,
                    _ => left(seen, ordinal, why),
                }
            }
            _ => continue,
        };
        standing.cache.cleanup[ordinal] = now;
    }
    // What the peer was to do for both has become what became of the peer's own.
    for ordinal in Ordinal::ALL {
        if standing.cache.cleanup[ordinal] != Cleanup::ByPeer {
            continue;
        }
        standing.cache.cleanup[ordinal] = match &standing.cache.cleanup[ordinal.other()] {
            Cleanup::Done if cleaned_for_both(standing, ordinal.other()) => Cleanup::Done,
            Cleanup::Done => left(seen, ordinal, "its peer had no cache groups any more"),
            Cleanup::Left(_) => left(seen, ordinal, "its peer could not do it either"),
            Cleanup::Due | Cleanup::ByPeer => continue,
        };
    }
}

/// The clean-up in this member was ordered, for both.
fn cleaned_for_both(standing: &Standing, member: Ordinal) -> bool {
    let ordered = |intent: &Intent| intent.act == Irreversible::CleanUp && intent.member == member;
    standing.intent.as_ref().is_some_and(ordered)
}

/// Whether a member can clean up: if not, why, as far as it is not to be waited for.
fn able(member: &Member, seen: &Observation) -> Result<(), Option<String>> {
    let never = |why: &str| Err(Some(why.to_owned()));
    let pod = match &member.pod {
        Pod::Absent | Pod::Foreign => return never("it has no pod"),
        Pod::Present(pod) => pod,
    };
    if pod.tt != TtContainer::Running {
        return never("its container does not run");
    }
    if let Some(what) = &seen.locked_out {
        return never(what);
    }
    let desired = match &seen.desired {
        Ok(desired) => desired,
        Err(problem) => return never(&problem.to_string()),
    };
    match member.facts().map(|facts| (facts.daemon, facts.db)) {
        // What was heard before says nothing of who can be reached now.
        Some(_) if stale(member, seen) => Err(None),
        Some((_, Db::Loaded)) => Ok(()),
        // Nobody starts a daemon or loads a database any more.
        Some((Daemon::Down, _) | (_, Db::None | Db::Unloaded | Db::Unloading)) => {
            never("its database is not loaded")
        }
        Some((_, Db::Loading | Db::Transitioning | Db::Unknown)) => Err(None),
        None => {
            let over = seen.deleting_for >= desired.timeouts.unreachable;
            let how =
                silence(member).map_or_else(|| "it was not heard".into(), ToString::to_string);
            Err(over.then(|| format!("its agent does not answer: {how}")))
        }
    }
}

/// The member was not heard since the deletion was seen.
fn stale(member: &Member, seen: &Observation) -> bool {
    member.heard().is_some_and(|heard| heard.asked > seen.deleting_for)
}

/// What a member is told, if it is its turn: the active first, then the standby; one that is alone
/// does it for both.
fn cleaning(seen: &Observation, ordinal: Ordinal) -> Option<CacheCleanup> {
    let facts = seen.members[ordinal].facts()?;
    let side = match facts.rep_state {
        RepState::Standby => CleanupSide::Standby,
        _ => CleanupSide::Active,
    };
    let alone = seen.standing.cache.cleanup[ordinal.other()] == Cleanup::ByPeer;
    let state = match (alone, side) {
        (false, _) => State::Normal,
        (true, CleanupSide::Active) => State::StandbyDown,
        (true, CleanupSide::Standby) => State::ActiveDown,
    };
    let other = seen.members[ordinal.other()].name.clone();
    let name = seen.members[ordinal].name.clone();
    let (active_pod, standby_pod) = match side {
        CleanupSide::Active => (name, other.clone()),
        CleanupSide::Standby => (other.clone(), name),
    };
    let also_for = alone.then_some(other);
    Some(CacheCleanup { state: state.word().into(), side, active_pod, standby_pod, also_for })
}

/// Orders the clean-up of the member whose turn it is, once it is on record. It is known then of both
/// whether they can do it themselves.
fn order(seen: &Observation, plan: &mut Plan) {
    let cleanup = &seen.standing.cache.cleanup;
    let waits = |ordinal: Ordinal| {
        cleanup[ordinal] == Cleanup::Due && able(&seen.members[ordinal], seen).is_err()
    };
    if plan.standing.cache != seen.standing.cache || Ordinal::ALL.into_iter().any(waits) {
        return;
    }
    let first = seen.standing.active;
    let due = |ordinal: &Ordinal| cleanup[*ordinal] == Cleanup::Due;
    let Some(ordinal) = [first, first.other()].into_iter().find(due) else { return };
    let Some(condemned) = Condemned::seen(seen) else { return };
    let member = &seen.members[ordinal];
    let (Some(cleaning), Some(pod)) = (cleaning(seen, ordinal), member.pod()) else { return };
    let ours = |intent: &Intent| {
        intent.act == Irreversible::CleanUp
            && intent.member == ordinal
            && intent.uid == pod.incarnation.uid
    };
    if !seen.standing.intent.as_ref().is_some_and(ours) {
        plan.standing.intent = Some(Intent {
            act: Irreversible::CleanUp,
            member: ordinal,
            uid: pod.incarnation.uid.clone(),
            term: seen.standing.term,
            unproven: false,
            why: "the object is being deleted".into(),
            at: seen.now,
        });
        return;
    }
    let order = Order::CleanUp(condemned, cleaning);
    if seen.intent_age.is_some() && may(member, &order.verb()) {
        plan.give[ordinal] = Some(order);
    }
}

/// What is waited for, for people.
fn waits_for(seen: &Observation, standing: &Standing) -> String {
    let one = |ordinal: Ordinal| {
        let member = &seen.members[ordinal];
        let what = match &standing.cache.cleanup[ordinal] {
            Cleanup::Done | Cleanup::Left(_) => return None,
            Cleanup::ByPeer => "its peer does it for both",
            Cleanup::Due if member.doing.is_some() => "its agent is at work",
            Cleanup::Due if able(member, seen).is_err() => "its agent is waited for",
            Cleanup::Due => "it is its turn next",
        };
        Some(format!("{}: {what}", member.name))
    };
    Ordinal::ALL.into_iter().filter_map(one).collect::<Vec<_>>().join("; ")
}

/// It is given up: what is left, and how a human removes it.
fn left(seen: &Observation, ordinal: Ordinal, why: &str) -> Cleanup {
    let name = &seen.members[ordinal].name;
    let Ok(desired) = &seen.desired else { return Cleanup::Left(format!("{name}: {why}")) };
    let (object, namespace, database) = (desired.name(), desired.namespace(), desired.db_name());
    Cleanup::Left(format!(
        "{name}: what its cache groups made in the Oracle database may be left there: {why}; to remove \
         it, run there as the cache administrator $TIMESTEN_HOME/install/oraclescripts/cacheCleanUp.sql \
         with {name}.{object}.{namespace}.svc.cluster.local and \
         /tt/home/timesten/datastore/{database}"
    ))
}
