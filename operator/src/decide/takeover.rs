//! Takeover: what an active is told when its standby has failed and it serves alone.
//!
//! Never: looks after the standby.

use super::orders::{Field, Orders};
use crate::agent::{PeerState, Verb};
use crate::standing::{Rebuild, Standing};

/// The active is told at once that the standby has failed: no commit waits for it any longer, and no
/// log is kept for one that is copied.
pub(super) fn declares(standing: &Standing) -> bool {
    standing.rebuild == Rebuild::Copy || standing.twosafe
}

impl Field<'_> {
    /// Tells the active what has to be said before it serves alone.
    pub(super) fn take_over(&self, orders: &mut Orders) {
        if declares(self.now) {
            self.declare(orders);
        }
    }

    /// The standby is still down, or down again. An active that is told feeds subscribers itself, but
    /// keeps no log for the standby, which could come back by it: so they wait for a while.
    pub(super) fn carry_on(&self, orders: &mut Orders) {
        let late = self.seen.in_state > self.desired.timeouts.rep_state;
        if self.now.twosafe || (late && self.desired.subscribers.is_some()) {
            self.declare(orders);
        }
    }

    /// Tells TimesTen that the standby has failed.
    fn declare(&self, orders: &mut Orders) {
        let active = self.now.active;
        let told = self.member(active).facts().is_some_and(|f| f.peer_state == PeerState::Failed);
        if !told {
            self.order(orders, active, Verb::RepStateSave, None);
        }
    }
}
