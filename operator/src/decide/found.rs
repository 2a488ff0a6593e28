//! Orders that make a database ACTIVE from rest: the best one after both were down, or the old active
//! of a change of roles that was given up.
//!
//! Never: chooses the database; `recovery` does.

use super::orders::{Field, Order, Orders};
use super::proof::{Fenced, NotFenced};
use super::reason::Reason;
use crate::agent::{Daemon, Db, Facts, RepScheme, RepState, RunState, Verb};
use crate::pair::Ordinal;

impl Field<'_> {
    /// Brings a database into memory, to see how far it goes. Nothing is changed by that.
    pub(super) fn read(&self, orders: &mut Orders, to: Ordinal) {
        let Some(facts) = self.member(to).facts() else { return };
        match (facts.daemon, facts.db) {
            (Daemon::Down, _) => self.order(orders, to, Verb::StartDaemon, None),
            (Daemon::Up, Db::Unloaded) => self.order(orders, to, Verb::LoadDb, None),
            _ => {}
        }
    }

    /// Makes the best database of a pair that was down the active.
    pub(super) fn configure(&self, orders: &mut Orders, to: Ordinal) {
        let Some(facts) = self.member(to).facts() else { return };
        match (facts.daemon, facts.db) {
            (Daemon::Up, Db::Loaded) if self.unwilling(to) => self.found(orders, to, facts),
            (Daemon::Up, Db::Loaded) => self.make_replicated(orders, to, facts),
            _ => self.read(orders, to),
        }
    }

    /// TimesTen does not make it ACTIVE from its old role: it was a standby, or lost its scheme.
    fn unwilling(&self, to: Ordinal) -> bool {
        let member = self.member(to);
        let refused = member.failure(&Verb::RepStateSetActive).is_some_and(|failure| failure.said);
        let facts = member.facts();
        refused && facts.is_some_and(|facts| facts.rep_state != RepState::Active)
    }

    /// Makes its replication scheme anew, which makes it ACTIVE: only the scheme is dropped, no
    /// data and no cache group (W9).
    fn found(&self, orders: &mut Orders, to: Ordinal, facts: &Facts) {
        let Some(fenced) = self.fence_peer(orders, to) else { return };
        if !self.promotion_recorded(orders, to, &fenced) {
            return;
        }
        match (facts.rep_agent, facts.rep_scheme) {
            (RunState::Running, RepScheme::Exists) => {
                self.order(orders, to, Verb::StopRepAgent, None);
            }
            (_, RepScheme::Exists) => self.order(orders, to, Verb::DropRepScheme, None),
            (_, RepScheme::None) => {
                let order = Order::Found(fenced, self.desired.rep_create_statement());
                if self.may(to, &order.verb()) {
                    orders.give[to] = Some(order);
                }
            }
            (_, RepScheme::Unknown) => {}
        }
    }

    pub(super) fn activate(&self, orders: &mut Orders, to: Ordinal) {
        let Some(fenced) = self.fence_peer(orders, to) else { return };
        if self.promotion_recorded(orders, to, &fenced) && self.may(to, &Verb::RepStateSetActive) {
            orders.give[to] = Some(Order::Activate(fenced));
        }
    }

    /// The proof that the peer of a database that is to be ACTIVE takes no writes, or what brings it.
    fn fence_peer(&self, orders: &mut Orders, to: Ordinal) -> Option<Fenced> {
        let peer = to.other();
        let fenced = Fenced::peer_of_activated(
            self.member(peer),
            self.member(to),
            self.now,
            self.desired.fencing_policy,
        );
        match fenced {
            Ok(fenced) => Some(fenced),
            Err(lacking) => {
                orders.because = Some(Reason::Fencing(self.member(peer).name.clone(), lacking));
                if lacking == NotFenced::DeletePod {
                    orders.delete = Some(peer);
                }
                None
            }
        }
    }
}
