//! A planned change of roles, which loses nothing: clients are kept out, the standby gets what it has
//! not got yet, the active gives up its role, the standby takes it, and clients are sent there.
//!
//! Every step has a deadline and a way back. Up to the promotion, which is on record before it is
//! ordered, the old active can be opened to clients again; from there on the way goes forward, or to
//! the recovery of a pair that is down. After a crash both follow from what is on record and seen.

use std::time::Duration;

use super::health::{Ailment, Health, REPAIR_ATTEMPTS, Why};
use super::orders::{Field, Orders};
use super::proof::Candidate;
use super::reason::Reason;
use super::transition::{Scene, Step, both_failed, promoted, sentence};
use super::upgrade;
use crate::agent::{RepState, Urgency, Verb};
use crate::observation::{Member, Observation, Quiet, Role};
use crate::standing::{
    Ending, Irreversible, Occasion, Outcome, Rebuild, Stage, Standing, State, Switchover,
};

/// How long clients may be kept out before the old active gets them back.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How long the whole may take up to the promotion.
const HANDOVER_LIMIT: Duration = Duration::from_secs(90);
/// How long clients get to end their transactions.
pub const GRACE: Duration = Duration::from_secs(2);
/// How long an agent waits for the standby at a time.
const WAIT: Duration = Duration::from_secs(10);
/// The pause after a change of roles that was given up, before one is begun for a drain.
const DRAIN_PAUSE: Duration = Duration::from_secs(120);
/// A `closeDb` that was not answered may take effect up to so long after.
const LATE: Duration = Duration::from_secs(120);

/// Heeds `switchover`. It is for a pair that is whole: later the roles may be other ones than those
/// that were seen when it was asked for, so that it is not kept for later.
pub(super) fn heed(standing: &mut Standing, wanted: &str, seen: &Observation) {
    if standing.switchover_asked == wanted
        || (standing.state == State::Normal && !wanted.is_empty())
    {
        return;
    }
    wanted.clone_into(&mut standing.switchover_asked);
    if standing.state != State::Initializing && !wanted.is_empty() {
        let text = format!(
            "Switchover refused: the pair is in state {}; change `switchover` again when it is Normal",
            standing.state
        );
        standing.switched = Some(Ending { outcome: Outcome::Refused, text, at: seen.now });
    }
}

/// One begins, if there is a reason for it. The pair is whole.
pub(super) fn begin(scene: &Scene<'_>) -> Option<Step> {
    let standing = &scene.seen.standing;
    let asked = standing.switchover_asked != scene.desired.switchover
        && !scene.desired.switchover.is_empty();
    let occasion = match asked {
        true => Occasion::Asked,
        false if upgrade::wants_roles_changed(scene) => Occasion::Upgrade,
        false if drained(scene) => Occasion::Drain,
        false => return None,
    };
    if standing.switchover.is_some() {
        return None;
    }
    let switchover = Switchover { occasion, stage: Stage::Quiesce, since: scene.seen.now };
    let step = scene.step(State::Switchover, doing(scene, "clients are kept out"));
    Some(Step { switchover: Some(switchover), ..step })
}

/// The active's node is cordoned, most likely to be drained: the eviction is to hit a standby. A
/// budget does not let the active's pod go, so that until then the drain waits.
fn drained(scene: &Scene<'_>) -> bool {
    let cordoned = |member: &Member| member.pod().is_some_and(|pod| pod.cordoned);
    let last = scene.seen.standing.switched.as_ref();
    let given_up = last.is_some_and(|last| last.outcome == Outcome::GivenUp);
    let rested = !given_up || scene.seen.in_state > DRAIN_PAUSE;
    cordoned(scene.a()) && !cordoned(scene.s()) && rested
}

/// Where a pair goes whose roles are being changed.
pub(super) fn next(scene: &Scene<'_>) -> Step {
    match scene.seen.standing.stage() {
        Some(Stage::Handover) => hand_over(scene),
        Some(Stage::Quiesce | Stage::Undo) | None => quiesce(scene),
    }
}

/// Clients are kept out until the standby has everything.
fn quiesce(scene: &Scene<'_>) -> Step {
    let (a, s) = (scene.a(), scene.s());
    match (scene.active, scene.standby) {
        (Health::Down(why), Health::Down(too)) => {
            let step = scene.step(State::BothDown, both_failed(scene, why, too));
            return ended(scene, step, Outcome::GivenUp, "neither database works");
        }
        (Health::Down(why), _) => {
            let step = scene.step(State::ActiveDown, scene.active_failed(why));
            return ended(scene, step, Outcome::GivenUp, &format!("{} {why}", a.name));
        }
        (_, Health::Down(_) | Health::CatchingUp | Health::Ailing(_)) => {
            return give_up(scene, &format!("{} {}", s.name, sentence(scene.standby)));
        }
        (Health::OtherDown | Health::CatchingUp, _)
        | (Health::Ailing(Ailment::AgentStopped | Ailment::PeerPaused), _) => {
            return give_up(scene, &format!("{} {}", a.name, sentence(scene.active)));
        }
        _ => {}
    }
    let quiesces = Verb::ForceDisconnect { urgency: Urgency::Immediate };
    let failure = [Verb::CloseDb, quiesces].iter().find_map(|verb| {
        a.failure(verb).filter(|f| f.count >= REPAIR_ATTEMPTS && f.ago < scene.seen.in_state)
    });
    if let Some(failure) = failure {
        return give_up(scene, &format!("{}: {}", a.name, failure.text));
    }
    if scene.seen.in_state > LIMIT {
        let what = format!("{} was not at rest within {} s", a.name, LIMIT.as_secs());
        return give_up(scene, &what);
    }
    let closed = a.facts().is_some_and(|facts| facts.open == Some(false));
    match a.quiet {
        Quiet::Drained if closed && *scene.standby == Health::Healthy => {
            stage(scene, Stage::Handover, "the standby has everything")
        }
        Quiet::Drained | Quiet::Ended => scene.stay(doing(scene, "the standby gets the rest")),
        Quiet::Asked(_) | Quiet::No => scene.stay(doing(scene, "clients are kept out")),
    }
}

/// The standby has everything: the active gives up its role, and the standby takes it.
fn hand_over(scene: &Scene<'_>) -> Step {
    let (a, s) = (scene.a(), scene.s());
    if promoted(s) {
        let swapped = scene.swap(State::ActiveTakeover, Reason::TakingOver(s.name.clone()));
        // What the old active holds, the new one holds too: it follows without being copied.
        let whole = swapped.rebuild != Rebuild::Keep;
        let rebuild = if whole { Rebuild::Repair } else { Rebuild::Keep };
        let text = format!("Switchover: {} is the active now, instead of {}", s.name, a.name);
        let ending = Ending { outcome: Outcome::Done, text, at: scene.seen.now };
        return Step { rebuild, ended: Some(ending), ..swapped };
    }
    let decided = decided(&scene.seen.standing, s);
    let refused = s.failure(&Verb::RepStateSetActive).filter(|failure| {
        failure.said && failure.count >= REPAIR_ATTEMPTS && Candidate::seen(s).is_some()
    });
    match (scene.active, scene.standby) {
        // Demoted as it should be, and nobody was promoted: it can take its role back.
        (Health::Down(Why::WrongState(RepState::Idle)), Health::Down(why)) if !decided => {
            take_back(scene, &format!("{} {why}", s.name))
        }
        (Health::Down(why), Health::Down(too)) if s.doing.is_none() => {
            let step = scene.step(State::BothDown, both_failed(scene, why, too));
            ended(scene, step, Outcome::GivenUp, "neither database works")
        }
        (_, Health::Down(why)) if !decided => take_back(scene, &format!("{} {why}", s.name)),
        _ if !decided && opened(a) => {
            stage(scene, Stage::Quiesce, "somebody has opened the active again")
        }
        _ if !decided && scene.seen.in_state > HANDOVER_LIMIT => {
            take_back(scene, &format!("not done within {} s", HANDOVER_LIMIT.as_secs()))
        }
        _ if !decided && undemotable(a) => {
            take_back(scene, &format!("{} does not give up its role", a.name))
        }
        _ if refused.is_some() => {
            let text = refused.map(|failure| failure.text.clone()).unwrap_or_default();
            take_back(scene, &format!("{} does not take the role: {text}", s.name))
        }
        // Promoted or not, nobody can tell: both databases are looked at.
        (Health::Down(why), _) if decided && never_fit(scene) => {
            let because = format!("{}; {}", scene.active_failed(why), sentence(scene.standby));
            let step = scene.step(State::BothDown, Reason::BothFailed(because));
            ended(scene, step, Outcome::GivenUp, &format!("{} is lost", s.name))
        }
        _ => scene.stay(doing(scene, "the standby takes the role")),
    }
}

/// The promotion is on record, or on its way: the standby may be ACTIVE, whatever is seen of it.
fn decided(standing: &Standing, standby: &Member) -> bool {
    let promotes = |act, member| act == Irreversible::Promote && member == standing.standby();
    standing.intent.as_ref().is_some_and(|intent| promotes(intent.act, intent.member))
        || standby.doing.as_ref().is_some_and(|doing| doing.verb == Verb::RepStateSetActive)
}

fn never_fit(scene: &Scene<'_>) -> bool {
    let long = scene.seen.intent_age.is_some_and(|age| age > scene.desired.timeouts.rep_state);
    long && Candidate::seen(scene.s()).is_none() && scene.s().doing.is_none()
}

/// Clients may have written since it was said that the standby has everything.
fn opened(active: &Member) -> bool {
    let open = |f: &crate::agent::Facts| f.rep_state == RepState::Active && f.open == Some(true);
    active.facts().is_some_and(open)
}

fn undemotable(active: &Member) -> bool {
    let failed = |verb| active.failed(&verb) >= REPAIR_ATTEMPTS;
    failed(Verb::StopRepAgent) || failed(Verb::RepDeactivate)
}

/// The old active is made the active again, if it gave up its role, and opened.
fn take_back(scene: &Scene<'_>, why: &str) -> Step {
    let demoted = scene.a().facts().is_some_and(|facts| facts.rep_state == RepState::Idle);
    if !demoted {
        return give_up(scene, why);
    }
    let because = Reason::Configuring(scene.a().name.clone(), "it takes its role back".into());
    let step = scene.step(State::ConfiguringActive, because);
    ended(scene, step, Outcome::GivenUp, why)
}

/// The old active is the active still, and gets its clients back.
fn give_up(scene: &Scene<'_>, why: &str) -> Step {
    let because = Reason::Mending(scene.a().name.clone(), Ailment::Closed);
    ended(scene, scene.step(State::Normal, because), Outcome::GivenUp, why)
}

fn ended(scene: &Scene<'_>, step: Step, outcome: Outcome, why: &str) -> Step {
    let text = format!("Switchover given up, {} stays the active: {why}", scene.a().name);
    Step { ended: Some(Ending { outcome, text, at: scene.seen.now }), ..step }
}

fn stage(scene: &Scene<'_>, stage: Stage, what: &'static str) -> Step {
    let step = scene.stay(doing(scene, what));
    let switchover = step.switchover.map(|switchover| Switchover { stage, ..switchover });
    Step { switchover, ..step }
}

fn doing(scene: &Scene<'_>, what: &'static str) -> Reason {
    Reason::SwitchingOver(scene.a().name.clone(), scene.s().name.clone(), what)
}

/// What was closed cannot be opened again: the standby has to take over.
pub(super) fn stranded(scene: &Scene<'_>) -> Option<Why> {
    let standing = &scene.seen.standing;
    if standing.stage() != Some(Stage::Undo) {
        return None;
    }
    match scene.active {
        Health::Ailing(Ailment::Closed) if scene.a().failed(&Verb::OpenDb) >= REPAIR_ATTEMPTS => {
            Some(Why::WillNotOpen)
        }
        Health::Unknown(puzzle) if scene.a().silent_for() >= scene.desired.timeouts.unreachable => {
            Some(Why::Overdue(puzzle.clone()))
        }
        _ => None,
    }
}

/// A change of roles that is left is undone, unless it is done; what is open again is undone.
pub(super) fn settle(standing: &mut Standing, active: &Member) {
    if standing.state == State::Switchover {
        return;
    }
    let late = active.failure(&Verb::CloseDb).is_some_and(|f| f.hung && f.ago < LATE);
    let busy = active.doing.as_ref().is_some_and(|doing| doing.verb == Verb::CloseDb);
    let serves = |f: &crate::agent::Facts| f.open == Some(true) && f.rep_state == RepState::Active;
    if active.facts().is_some_and(serves) && !late && !busy {
        standing.switchover = None;
    } else if let Some(switchover) = &mut standing.switchover {
        switchover.stage = Stage::Undo;
    }
}

/// What the pods are told while the roles are being changed.
impl Field<'_> {
    pub(super) fn switch_over(&self, orders: &mut Orders) {
        let (active, standby) = (self.now.active, self.now.standby());
        match self.now.stage() {
            Some(Stage::Handover) => {
                let clear = !matches!(self.health[active], Health::Unknown(_));
                if clear || decided(self.now, self.member(standby)) {
                    self.fail_over(orders);
                }
            }
            Some(Stage::Quiesce | Stage::Undo) | None => self.quiesce(orders),
        }
    }

    /// Keeps clients out of the active: those to come, then those that are there, then waits until
    /// the standby has everything.
    fn quiesce(&self, orders: &mut Orders) {
        let active = self.now.active;
        let member = self.member(active);
        let Some(facts) = member.facts().filter(|_| member.role() != Some(Role::Active)) else {
            return;
        };
        if facts.open != Some(false) {
            return self.order(orders, active, Verb::CloseDb, None);
        }
        let urgency = match member.quiet {
            Quiet::No => Urgency::Transactional,
            Quiet::Asked(ago) if ago >= GRACE => Urgency::Immediate,
            Quiet::Ended => {
                return self.order(orders, active, Verb::RepAdminWait { timeout: WAIT }, None);
            }
            Quiet::Asked(_) | Quiet::Drained => return,
        };
        self.order(orders, active, Verb::ForceDisconnect { urgency }, None);
    }

    /// Opens an active that was closed for a change of roles that was given up.
    pub(super) fn reopen(&self, orders: &mut Orders) {
        let active = self.now.active;
        let closed = self.health[active] == Health::Ailing(Ailment::Closed);
        if closed && self.now.switchover.is_some() {
            self.order(orders, active, Verb::OpenDb, None);
        }
    }
}
