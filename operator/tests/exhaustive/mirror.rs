//! Neither pod of a pair is preferred: with the members exchanged, the plan is the same with the
//! members exchanged. A pair lives half of its life with `sample-1` as its active.

use timesten_operator::decide::{Order, Plan};
use timesten_operator::observation::Role;
use timesten_operator::pair::Ordinal;

use super::Facet;

impl Facet {
    /// The same, with the members exchanged.
    pub(crate) fn mirrored(&self) -> Self {
        let [zero, one] = self.shown;
        Self {
            active: self.active.other(),
            intent: self.intent.map(|(act, member)| (act, member.other())),
            shown: [one, zero],
            ..*self
        }
    }
}

/// The plans for a combination and for its mirror image say the same.
pub(crate) fn judge(plan: &Plan, mirror: &Plan) -> Result<(), String> {
    let differs = |what: &str| Err(format!("{what} depends on the pod's number: {mirror:#?}"));
    let (now, then) = (&plan.standing, &mirror.standing);
    if (now.state, now.active.other(), now.rebuild, now.stage())
        != (then.state, then.active, then.rebuild, then.stage())
    {
        return differs("where the pair goes");
    }
    if (plan.because.word(), plan.interval) != (mirror.because.word(), mirror.interval) {
        return differs("why, or when it is looked at again");
    }
    let act = |intent: &Option<timesten_operator::standing::Intent>| {
        intent.as_ref().map(|intent| (intent.act, intent.member))
    };
    if act(&now.intent).map(|(act, member)| (act, member.other())) != act(&then.intent) {
        return differs("what is put on record");
    }
    for member in Ordinal::ALL {
        let other = member.other();
        let verb = |order: &Option<Order>| order.as_ref().map(|order| order.verb().name());
        if verb(&plan.give[member]) != verb(&mirror.give[other]) {
            return differs("what a pod is told");
        }
        if (plan.ready[member], plan.ask[member]) != (mirror.ready[other], mirror.ask[other]) {
            return differs("whether a member is ready, or asked");
        }
        if plan.health[member] != mirror.health[other] {
            return differs("how a member is");
        }
    }
    let exchanged = |member: Option<Ordinal>| member.map(Ordinal::other);
    if (exchanged(plan.delete), exchanged(plan.replace)) != (mirror.delete, mirror.replace) {
        return differs("which pod is deleted");
    }
    let routed = |plan: &Plan, exchange: bool| -> Vec<(Ordinal, Option<Role>)> {
        let member = |m: Ordinal| if exchange { m.other() } else { m };
        let mut all: Vec<_> = plan.labels.iter().map(|l| (member(l.member), l.role)).collect();
        all.sort_by_key(|(member, role)| (*role == Some(Role::Active), *member));
        all
    };
    if routed(plan, true) != routed(mirror, false) {
        return differs("where clients go");
    }
    Ok(())
}
