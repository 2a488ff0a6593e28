//! Orders of a failover: the old active is fenced, then its peer is promoted.
//!
//! Never: promotes without a `Fenced` and a `Candidate`.

use super::health::REPAIR_ATTEMPTS;
use super::orders::{Field, Order, Orders};
use super::proof::{Candidate, Fenced, NotFenced};
use super::reason::Reason;
use crate::agent::{RunState, Verb};
use crate::pair::Ordinal;

impl Field<'_> {
    /// Fence the old active, then promote its peer.
    pub(super) fn fail_over(&self, orders: &mut Orders) {
        let (old, new) = (self.now.active, self.now.standby());
        let name = |of: Ordinal| self.member(of).name.clone();
        let Some(candidate) = Candidate::seen(self.member(new)) else {
            orders.because = Some(Reason::NotFit(name(new)));
            return;
        };
        let fenced = Fenced::seen(
            self.member(old),
            self.member(new),
            self.now.incarnations[old].as_ref(),
            self.desired.fencing_policy,
        );
        match fenced {
            Ok(fenced) => {
                orders.because = Some(Reason::Promoting(name(new), fenced.to_string()));
                if self.promotion_recorded(orders, new, &fenced) {
                    let fresh = self.fresh(new);
                    orders.ask[new] = !fresh;
                    if fresh && self.may(new, &Verb::RepStateSetActive) {
                        orders.give[new] = Some(Order::Promote(candidate, fenced));
                    }
                }
            }
            Err(lacking) => {
                orders.because = Some(Reason::Fencing(name(old), lacking));
                match lacking {
                    NotFenced::Serves if self.undemotable(old) => {
                        let dying = self.member(old).pod().is_some_and(|pod| pod.terminating);
                        orders.delete = Some(old).filter(|_| !dying);
                    }
                    NotFenced::Serves => self.demote(orders, old),
                    NotFenced::DeletePod => orders.delete = Some(old),
                    NotFenced::AwaitsEnd => {}
                }
            }
        }
    }

    /// The old active answers, but does not let go of its role: its pod has to go.
    fn undemotable(&self, old: Ordinal) -> bool {
        let failed = |verb| self.member(old).failed(&verb) >= REPAIR_ATTEMPTS;
        failed(Verb::StopRepAgent) || failed(Verb::RepDeactivate)
    }

    /// Takes the role from an active that still answers.
    fn demote(&self, orders: &mut Orders, old: Ordinal) {
        let Some(facts) = self.member(old).facts() else { return };
        let verb = if facts.rep_agent == RunState::Running {
            Verb::StopRepAgent
        } else {
            Verb::RepDeactivate
        };
        self.order(orders, old, verb, None);
    }
}
