//! What must hold of every plan, of those after a crash, and of those that follow when nothing
//! changes.

use std::time::Duration;

use timesten_operator::agent::{PeerState, RepState, RunState, Verb};
use timesten_operator::decide::{Order, Plan, decide};
use timesten_operator::desired::FencingPolicy;
use timesten_operator::observation::{Observation, Pod, Role};
use timesten_operator::pair::Ordinal;
use timesten_operator::standing::{Rebuild, Stage, State};

use super::{Facet, Shown};

/// Passes after which a pair is at rest, when nothing that is seen changes.
const PASSES: usize = 16;

/// The member's database may take writes, as far as it says.
fn is_active(shown: Shown) -> bool {
    matches!(shown, Shown::Dying | Shown::Closed | Shown::Says(RepState::Active, ..))
}

/// The member can be copied: it is ACTIVE, and its replication agent runs.
fn is_source(shown: Shown) -> bool {
    matches!(shown, Shown::Closed | Shown::Says(RepState::Active, RunState::Running, _))
}

/// The member may take writes, for all that is known: it said nothing, and its pod runs.
fn may_be_active(shown: Shown) -> bool {
    is_active(shown) || matches!(shown, Shown::Silent | Shown::Refuses)
}

/// What a member shows once an order has been carried out.
fn carried_out(order: &Order, shown: Shown) -> Shown {
    let (agent, peer) = match shown {
        Shown::Says(_, agent, peer) => (agent, peer),
        _ => (RunState::NotRunning, PeerState::Start),
    };
    match order {
        Order::Promote(..) | Order::Activate(_) | Order::Found(..) => {
            Shown::Says(RepState::Active, RunState::Running, peer)
        }
        Order::Create => Shown::Says(RepState::Idle, agent, peer),
        Order::Destroy(_) => Shown::NoDatabase,
        // It was begun: what it is for comes later. The end of an object is in `cleanup`.
        Order::Duplicate(..) | Order::CreateCacheGroups(_) | Order::CleanUp(..) => shown,
        Order::Do(Verb::StartDaemon, _) => Shown::Unloaded,
        Order::Do(Verb::StopDaemon, _) => Shown::DaemonDown,
        Order::Do(Verb::StartRepAgent, _) => match shown {
            Shown::Says(state, _, peer) => Shown::Says(state, RunState::Running, peer),
            other => other,
        },
        Order::Do(Verb::RepDeactivate, _) => Shown::Says(RepState::Idle, agent, peer),
        Order::Do(Verb::RepStateSave, _) => match shown {
            Shown::Says(state, agent, _) => Shown::Says(state, agent, PeerState::Failed),
            other => other,
        },
        Order::Do(Verb::OpenDb, _) if shown == Shown::Closed => {
            Shown::Says(RepState::Active, RunState::Running, PeerState::Start)
        }
        Order::Do(..) => shown,
    }
}

impl Facet {
    /// What must hold of every plan.
    pub(crate) fn judge(&self, seen: &Observation, plan: &Plan) -> Result<(), String> {
        let promotions = self.judge_orders(seen, plan)?;
        let handed_over = plan.standing.stage() == Some(Stage::Handover);
        if plan.standing.state == State::Switchover {
            if promotions > 0 && !handed_over {
                return Err("a promotion before the standby has everything".into());
            }
            if plan.labels.iter().any(|label| label.role == Some(Role::Active)) {
                return Err("clients are let in during a change of roles".into());
            }
        } else if matches!(plan.standing.stage(), Some(Stage::Quiesce | Stage::Handover)) {
            return Err("a change of roles goes on in another state".into());
        }
        self.judge_routes(seen, plan)?;
        self.judge_deletions(plan)?;
        if plan.interval.is_zero() || plan.interval > Duration::from_secs(60) {
            return Err("nothing is looked at for more than a minute, or without a pause".into());
        }
        if plan.because.to_string().is_empty() || plan.because.word().is_empty() {
            return Err("no reason".into());
        }
        Ok(())
    }

    /// Proofs and records; how many promotions there are.
    fn judge_orders(&self, seen: &Observation, plan: &Plan) -> Result<u32, String> {
        let mut promotions = 0;
        for ordinal in Ordinal::ALL {
            let peer = self.shown[ordinal.other().number()];
            match &plan.give[ordinal] {
                Some(Order::Promote(..) | Order::Activate(_) | Order::Found(..)) => {
                    promotions += 1;
                    if is_active(peer) {
                        return Err("a promotion beside a database that says ACTIVE".into());
                    }
                    // Of a pair in step, whoever was the standby has never been ACTIVE.
                    let rested = seen.standing.rebuild == Rebuild::Repair
                        && !matches!(plan.give[ordinal], Some(Order::Promote(..)));
                    if self.policy == FencingPolicy::Confirmed && may_be_active(peer) && !rested {
                        return Err("a promotion beside a database that may be ACTIVE".into());
                    }
                }
                Some(Order::Destroy(_) | Order::Duplicate(..)) if !is_source(peer) => {
                    return Err("a destruction without a source".into());
                }
                Some(Order::CreateCacheGroups(_))
                    if self.shown[ordinal.number()] != Shown::Uncached || !seen.finalized =>
                {
                    return Err("cachegroups.sql is run twice, or without a finalizer".into());
                }
                Some(Order::CleanUp(..)) => return Err("a living object is cleaned up".into()),
                _ => {}
            }
            let order = plan.give[ordinal].as_ref().filter(|order| order.irreversible());
            let founded = matches!(order, Some(Order::Found(..)));
            if order.is_some() && seen.standing.intent.is_none() && !founded {
                return Err("an irreversible order that is not on record".into());
            }
        }
        if promotions > 1 {
            return Err("two promotions at once".into());
        }
        Ok(promotions)
    }

    fn judge_routes(&self, seen: &Observation, plan: &Plan) -> Result<(), String> {
        let kept = |o: Ordinal| seen.members[o].role() == Some(Role::Active);
        for label in plan.labels.iter().filter(|label| label.role == Some(Role::Active)) {
            if kept(label.member.other()) {
                return Err("a pod is routed while the other still is".into());
            }
            // One that recovers may turn out to be ACTIVE yet.
            let other = [RepState::Standby, RepState::Idle, RepState::Failed];
            let shown = self.shown[label.member.number()];
            if matches!(shown, Shown::Says(state, ..) if other.contains(&state)) {
                return Err("clients are sent to a database that says it is not ACTIVE".into());
            }
        }
        Ok(())
    }

    fn judge_deletions(&self, plan: &Plan) -> Result<(), String> {
        for ordinal in [plan.delete, plan.replace].into_iter().flatten() {
            if plan.give[ordinal].as_ref().is_some_and(Order::irreversible) {
                return Err("a pod is deleted while something irreversible is done in it".into());
            }
        }
        let Some(replaced) = plan.replace else { return Ok(()) };
        let active = plan.standing.active;
        if replaced == active || !is_active(self.shown[active.number()]) {
            return Err("a pod is made anew beside no active that serves".into());
        }
        Ok(())
    }

    /// The operator dies behind each prefix of what the plan does: the status, the labels one by one,
    /// the orders in either order. The next one sees what is on record and what has come of it, and
    /// nothing that it plans may be worse (I16). How many plans were judged.
    pub(crate) fn replay(&self, seen: &Observation, plan: &Plan) -> Result<u64, String> {
        let mut next = seen.clone();
        next.intent_age = plan.standing.intent.as_ref().map(|_| Duration::ZERO);
        next.in_state = Duration::ZERO;
        next.standing = plan.standing.clone();
        self.judge_again(&next, "the status")?;
        for label in &plan.labels {
            if let Pod::Present(pod) = &mut next.members[label.member].pod {
                pod.role = label.role;
            }
            self.judge_again(&next, "a label")?;
        }
        let mut judged = 1 + plan.labels.len() as u64;
        let orders: Vec<_> =
            plan.give.iter().filter_map(|(o, order)| Some((o, order.as_ref()?))).collect();
        let prefixes = orders.iter().map(std::slice::from_ref);
        for done in prefixes.chain((orders.len() > 1).then_some(orders.as_slice())) {
            let (mut facet, mut next) = (*self, next.clone());
            for (ordinal, order) in done {
                let shown = &mut facet.shown[ordinal.number()];
                *shown = carried_out(order, *shown);
                next.members[*ordinal].agent = facet.member(*ordinal).agent;
            }
            facet.judge_again(&next, "an order")?;
            judged += 1;
        }
        Ok(judged)
    }

    fn judge_again(&self, seen: &Observation, after: &str) -> Result<(), String> {
        let again = decide(seen);
        self.judge(seen, &again)
            .map_err(|what| format!("after a crash behind {after}: {what}\n{self:?}\n{again:#?}"))
    }

    /// All timers have run out, and nothing changes: the pair comes to rest. After how many passes.
    pub(crate) fn rest(&self, seen: &Observation, plan: &Plan) -> Result<u64, String> {
        let (mut seen, mut plan) = (seen.clone(), plan.clone());
        let mut states = Vec::new();
        for pass in 0..PASSES {
            states.push(plan.standing.state);
            if seen.standing == plan.standing {
                return Ok(pass as u64);
            }
            seen.intent_age = plan.standing.intent.as_ref().map(|_| self.since);
            seen.standing = plan.standing;
            plan = decide(&seen);
        }
        Err(format!("it does not come to rest: {states:?}"))
    }
}
