//! The end of an object with cache groups, over everything that its members can show: only what has
//! cache groups in memory is told to clean up, on record; and at the bound the object is let go, with
//! all that is left on record.

use timesten_operator::agent::{Db, Verb};
use timesten_operator::decide::cleanup::LIMIT;
use timesten_operator::decide::{Finalizer, Plan, Reason};
use timesten_operator::observation::{Agent, Heard};
use timesten_operator::standing::cache::{Cache, Cleanup};

use super::*;

/// A member that has cache groups, if its database is in memory.
fn caching(name: &str, shown: Shown, since: Duration) -> Member {
    let mut member = member(name, shown, None, since);
    if let Agent::Heard(Heard { facts, .. }) = &mut member.agent
        && facts.db == Db::Loaded
        && shown != Shown::Uncached
    {
        facts.n_cache_groups = Some(1);
    }
    member
}

fn deleting(facet: &Facet, cleanup: Both<Cleanup>, since: Duration) -> Observation {
    let mut seen = facet.seen(&templates());
    seen.deleting = true;
    seen.deleting_for = since;
    seen.finalized = true;
    seen.standing.cache = Cache { cleanup, ..Cache::default() };
    seen.members = Both {
        zero: caching("sample-0", facet.shown[0], since),
        one: caching("sample-1", facet.shown[1], since),
    };
    seen
}

/// What must hold of a plan.
fn judge(facet: &Facet, seen: &Observation, plan: &Plan) -> Result<(), String> {
    let given: Vec<_> =
        plan.give.iter().filter_map(|(o, order)| Some((o, order.as_ref()?))).collect();
    if given.len() > 1 {
        return Err("both at once".into());
    }
    for (ordinal, order) in &given {
        let Verb::CleanupCache(cleanup) = order.verb() else {
            return Err("something else than a clean-up".into());
        };
        let loaded = seen.members[*ordinal].facts().is_some_and(|facts| facts.db == Db::Loaded);
        if !loaded {
            return Err("who has no database is told to clean up".into());
        }
        if seen.standing.intent.as_ref().is_none_or(|i| i.act != Irreversible::CleanUp) {
            return Err("a clean-up that is not on record".into());
        }
        let peer = &seen.standing.cache.cleanup[ordinal.other()];
        if cleanup.also_for.is_some() != (*peer == Cleanup::ByPeer) {
            return Err("it is not for whom it should be".into());
        }
    }
    let settled = seen.standing.cache.cleanup.iter().all(|(_, cleanup)| cleanup.settled());
    if plan.finalizer == Some(Finalizer::Remove) && !settled {
        return Err("it is let go before it is on record what is left".into());
    }
    if plan.delete.is_some() || !plan.labels.is_empty() || !plan.writes.is_empty() {
        return Err("something else is done".into());
    }
    if matches!(&plan.because, Reason::CleaningUp(what) if what.is_empty()) {
        return Err("nobody says what is waited for".into());
    }
    if plan.finalizer.is_none() && plan.interval > Duration::from_secs(1) {
        return Err(format!("nobody looks again: {facet:?}"));
    }
    Ok(())
}

#[test]
fn every_object_is_let_go() {
    let left = || Cleanup::Left("a reason".into());
    let states = [Cleanup::Due, Cleanup::ByPeer, Cleanup::Done, left()];
    let (mut count, mut orders) = (0_u32, 0_u32);
    let mut census = counted::census();
    for zero in shown() {
        for one in shown() {
            for cleanup in states.iter().flat_map(|a| states.iter().map(move |b| (a, b))) {
                for since in [SOON, Duration::from_secs(31), LIMIT] {
                    for intent in [None, Some((Irreversible::CleanUp, Ordinal::Zero))] {
                        let facet = Facet {
                            active: Ordinal::Zero,
                            state: State::Normal,
                            rebuild: Rebuild::Repair,
                            stage: None,
                            quiet: Quiet::No,
                            upgrade: None,
                            policy: FencingPolicy::Confirmed,
                            intent,
                            since,
                            routed: true,
                            shown: [zero, one],
                        };
                        let (a, b) = cleanup;
                        let cleanup = Both { zero: a.clone(), one: b.clone() };
                        let mut seen = deleting(&facet, cleanup, since);
                        let mut plan = decide(&seen);
                        let mut rounds = 0;
                        loop {
                            if let Err(what) = judge(&facet, &seen, &plan) {
                                panic!("{what}\n{facet:?}\n{plan:#?}");
                            }
                            count += 1;
                            counted::count(&mut census, &seen, &plan);
                            orders += u32::from(plan.give != Both::default());
                            // A crash after the record: the next one goes on from there.
                            if plan.standing == seen.standing {
                                break;
                            }
                            seen.standing = plan.standing;
                            seen.intent_age = seen.standing.intent.as_ref().map(|_| SOON);
                            plan = decide(&seen);
                            rounds += 1;
                            assert!(rounds < 6, "no end of it: {facet:?}");
                        }
                        let gone = plan.finalizer == Some(Finalizer::Remove);
                        assert!(gone || since < LIMIT, "it is held up: {facet:?}\n{plan:#?}");
                    }
                }
            }
        }
    }
    census.compare("deleting");
    println!("{count} decisions, {orders} clean-ups ordered");
    assert!(count > 50_000 && orders > 1_000, "the table has shrunk");
}
