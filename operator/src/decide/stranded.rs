//! A standby that no node can take, because its volumes are on a node that is lost: they are given up
//! so that it is copied anew elsewhere, if the user allows that.
//!
//! Never: gives up what may be the only copy. It takes the proof that a destruction takes (I2, I4), and
//! what an old active may have taken beside the new one is kept as ever (`trappedData`).

use super::orders::{Field, Orders};
use super::proof::{self, GoodSource};
use super::reason::Reason;
use crate::desired::TrappedData;
use crate::observation::Stranded;
use crate::pair::Ordinal;
use crate::standing::{Irreversible, Rebuild};

/// Volume claims to delete, and the pod that has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Abandon {
    /// The pod, and its claims.
    pub stranded: Stranded,
    /// The peer was seen to be a complete copy.
    pub source: GoodSource,
}

impl Field<'_> {
    /// Gives up the volumes of a standby that is stranded for long enough.
    pub(super) fn abandon(&self, orders: &mut Orders, to: Ordinal) {
        let name = &self.member(to).name;
        let Some(limit) = self.desired.timeouts.node_lost else { return };
        let stranded = self.seen.owned.stranded.iter().find(|stranded| stranded.pod == *name);
        let Some(stranded) = stranded.filter(|stranded| !stranded.claims.is_empty()) else {
            return;
        };
        let lost = format!("its volumes are on {}, which is not ready", stranded.node);
        if self.now.rebuild == Rebuild::Keep && self.desired.trapped_data == TrappedData::Keep {
            orders.because = Some(Reason::DataKept(name.clone(), lost));
            return;
        }
        if stranded.lost_for < limit {
            orders.because = Some(Reason::Rebuilding(name.clone(), lost));
            return;
        }
        let from = self.member(to.other());
        if !proof::serves(from) {
            orders.because = Some(Reason::NoGoodSource(from.name.clone()));
            return;
        }
        if !self.recorded(orders, Irreversible::Destroy, to, &lost) {
            return;
        }
        match GoodSource::seen(from, self.seen.intent_age) {
            Some(source) => {
                orders.abandon = Some(Abandon { stranded: stranded.clone(), source });
            }
            None => orders.ask[to.other()] = true,
        }
    }
}
