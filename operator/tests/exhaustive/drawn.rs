//! Observations drawn by lot, from more facts than can be combined: failures of single verbs, tasks,
//! orders under way, gaps in what an agent says, and ages that are exactly at the limits.
//!
//! No plan panics, promotes both members, or waits for ever; and the plans are counted, as those of
//! the combinations are.

use std::sync::Arc;
use std::time::Duration;

use timesten_operator::agent::{Daemon, Db, Instance, LogPosition, RepScheme, RepState, Verb};
use timesten_operator::decide::{Order, Plan, decide};
use timesten_operator::desired::{BothDownBehavior, Desired, FencingPolicy, TrappedData};
use timesten_operator::observation::{
    Agent, Doing, Failure, Member, Observation, Pod, Role, Silence, Stranded, Subscriber, Task,
    TtContainer,
};
use timesten_operator::pair::Ordinal;
use timesten_operator::standing::subscribers::{self, PodTask, SubscriberState};
use timesten_operator::standing::{Irreversible, PodIntent, State, TaskRecord, Work};

use super::{Facet, IMAGE, NAMES, common, counted, incarnation, records, serving, shown};

/// How many are drawn in each state.
const DRAWN: u64 = 50_000;

/// What the spec has more than an image.
const MORE: &str = "agentAsyncTimeout: 60, subscribers: {replicas: 1}";

/// Ages in seconds: every limit of the core and of the object's timeouts, and one beyond all of them.
const AGES: [u64; 12] = [0, 1, 2, 5, 10, 30, 60, 90, 120, 300, 600, 7200];

/// The verbs whose failures decisions look at.
const VERBS: [Verb; 14] = [
    Verb::StartDaemon,
    Verb::StopDaemon,
    Verb::CreateDb,
    Verb::LoadDb,
    Verb::OpenDb,
    Verb::CloseDb,
    Verb::DestroyDb,
    Verb::RepDuplicate,
    Verb::StartRepAgent,
    Verb::StopRepAgent,
    Verb::RepStateSetActive,
    Verb::RepStateSave,
    Verb::RepDeactivate,
    Verb::SetSubStateStart,
];

/// Lots: the same ones every time (splitmix64).
struct Lot(u64);

impl Lot {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Once in so many times.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn age(&mut self) -> Duration {
        Duration::from_secs(self.of(&AGES))
    }
}

fn desired(lot: &mut Lot, base: &Desired) -> Arc<Desired> {
    let mut desired = base.clone();
    desired.fencing_policy = lot.of(&[FencingPolicy::Confirmed, FencingPolicy::RouteFenced]);
    desired.trapped_data = lot.of(&[TrappedData::Keep, TrappedData::Discard]);
    desired.both_down_behavior =
        lot.of(&[BothDownBehavior::Best, BothDownBehavior::Best, BothDownBehavior::Manual]);
    desired.timeouts.waiting = lot.of(&[None, Some(Duration::from_secs(300))]);
    desired.timeouts.node_lost = lot.of(&[None, Some(Duration::from_secs(300))]);
    Arc::new(desired)
}

fn disturb_agent(lot: &mut Lot, agent: &mut Agent) {
    match agent {
        Agent::NotYet { waited, how } => {
            *waited = lot.age();
            *how = lot.of(&[None, Some(Silence::Gone("refused".into()))]);
        }
        Agent::Silent { since, how } => {
            *since = lot.age();
            let hows = [Silence::Gone, Silence::Mute, Silence::Babble, Silence::Refused];
            *how = lot.of(&hows)("no answer".into());
        }
        Agent::Heard(heard) => {
            (heard.asked, heard.unchanged) = (lot.age(), lot.age());
            let facts = &mut heard.facts;
            let position = |offset| Some(LogPosition { file: 1, offset });
            facts.bookmark = lot.of(&[None, position(1), position(2)]);
            facts.twosafe = lot.of(&[None, Some(false), Some(true)]);
            match lot.below(24) {
                0 => facts.instance = Instance::Missing,
                1 => facts.instance = Instance::Unknown,
                2 => facts.daemon = Daemon::Unknown,
                3 => facts.db = Db::Unknown,
                4 => facts.rep_scheme = RepScheme::None,
                5 => facts.rep_scheme = RepScheme::Unknown,
                6 => facts.quiescing = true,
                7 => facts.open = None,
                8 => facts.open = Some(false),
                _ => {}
            }
        }
    }
}

fn disturb(lot: &mut Lot, member: &mut Member) {
    disturb_agent(lot, &mut member.agent);
    for _ in 0..lot.below(3) {
        let verb = lot.of(&VERBS);
        if member.failure(&verb).is_none() {
            let (count, ago) = (lot.of(&[1, 2, 3, 4]), lot.age());
            let hung = lot.rarely(4);
            let said = !hung && !lot.rarely(3);
            member.failures.push(Failure { verb, count, ago, said, hung, text: "TT1".into() });
        }
    }
    if lot.rarely(10) {
        member.doing = Some(Doing { verb: lot.of(&VERBS), elapsed: lot.age() });
    }
    let tasks = [Task::NotAsked, Task::Running, Task::Complete, Task::Unknown];
    member.task = if lot.rarely(5) { Task::Failed("TT2".into()) } else { lot.of(&tasks) };
    member.markers.active = lot.of(&[None, Some(true), Some(false)]);
    member.markers.ready = lot.of(&[None, Some(true), Some(false)]);
    if let Pod::Present(pod) = &mut member.pod {
        pod.role = lot.of(&[pod.role, None, Some(Role::Active), Some(Role::Standby)]);
        pod.ready = lot.rarely(2);
        pod.cordoned = lot.rarely(10);
        pod.terminating |= lot.rarely(12);
        pod.node_ready = lot.of(&[Some(true), Some(true), Some(true), Some(false), None]);
        if lot.rarely(12) {
            pod.tt = TtContainer::Waiting { reason: "CrashLoopBackOff".into() };
        }
    }
}

/// The volumes of a pod are on a node that is lost: it waits for them.
fn strand(lot: &mut Lot, seen: &mut Observation) {
    let member = lot.of(&Ordinal::ALL);
    let one = &mut seen.members[member];
    if let Pod::Present(pod) = &mut one.pod {
        pod.tt = TtContainer::Waiting { reason: "ContainerCreating".into() };
    }
    one.agent = Agent::NotYet { waited: lot.age(), how: None };
    let claim = ("tt-persistent-sample".to_owned(), "uid".to_owned());
    seen.owned.stranded = vec![Stranded {
        pod: one.name.clone(),
        node: "node".into(),
        claims: lot.of(&[vec![claim.clone()], vec![claim], Vec::new()]),
        lost_for: lot.age(),
    }];
}

fn subscriber(lot: &mut Lot) -> Subscriber {
    let name = "sample-sub-0";
    let facts = match lot.below(6) {
        0 => common::facts(Db::None),
        1 => common::facts(Db::Unloaded),
        _ => serving(RepState::Idle),
    };
    let mut member = common::member(name, common::heard(facts), None);
    disturb(lot, &mut member);
    let (uid, at) = (format!("uid-of-{name}"), jiff::Timestamp::UNIX_EPOCH);
    let act = lot.of(&[None, None, Some(Irreversible::Destroy), Some(Irreversible::Duplicate)]);
    let ran = incarnation(name, i32::from(lot.rarely(4)));
    let standing = subscribers::Subscriber {
        state: lot.of(&SubscriberState::ALL),
        known: lot.of(&[None, Some(incarnation(name, 0))]),
        intent: act.map(|act| PodIntent { act, uid, at }),
        task: lot.rarely(3).then(|| PodTask { id: "task".into(), incarnation: ran, started: 0 }),
        copies: lot.of(&[0, 1, 3]),
    };
    let intent_age = standing.intent.as_ref().map(|_| lot.age());
    let (task_age, rest_age) = (lot.age(), lot.age());
    Subscriber { member, standing, named: !lot.rarely(6), intent_age, task_age, rest_age }
}

/// One that is drawn.
fn drawn(lot: &mut Lot, facet: &Facet, base: &Desired) -> Observation {
    let desired = desired(lot, base);
    let mut seen = facet.seen(&[Arc::clone(&desired), desired]);
    for ordinal in Ordinal::ALL {
        disturb(lot, &mut seen.members[ordinal]);
    }
    let standing = &mut seen.standing;
    standing.rebuild_failures = lot.of(&[0, 0, 1, 2, 3, 4]);
    standing.copied = lot.rarely(3);
    standing.twosafe = lot.rarely(3);
    standing.lax = standing.twosafe && lot.rarely(2);
    if lot.rarely(3) {
        let member = lot.of(&Ordinal::ALL);
        standing.task = Some(TaskRecord {
            id: "task".into(),
            work: lot.of(&Work::ALL),
            member,
            incarnation: incarnation(NAMES[member.number()], i32::from(lot.rarely(4))),
            started: 0,
        });
    }
    if lot.rarely(6) {
        let member = lot.of(&Ordinal::ALL);
        standing.incarnations[member] = None;
    }
    seen.intent_age = standing.intent.as_ref().map(|_| lot.age());
    seen.subscribers = if lot.rarely(2) { vec![subscriber(lot)] } else { Vec::new() };
    if lot.rarely(4) {
        strand(lot, &mut seen);
    }
    (seen.in_state, seen.task_age, seen.rebuild_age) = (lot.age(), lot.age(), lot.age());
    seen
}

/// What must hold of every plan, whatever is seen.
fn judge(seen: &Observation, plan: &Plan) -> Result<(), &'static str> {
    let promoted = |order: &Option<Order>| {
        matches!(order, Some(Order::Promote(..) | Order::Activate(_) | Order::Found(..)))
    };
    let destroyed =
        |order: &Option<Order>| matches!(order, Some(Order::Destroy(_) | Order::Duplicate(..)));
    if promoted(&plan.give.zero) && promoted(&plan.give.one) {
        return Err("both members are promoted");
    }
    if destroyed(&plan.give.zero) && destroyed(&plan.give.one) {
        return Err("both members are destroyed");
    }
    let hands_off = [State::ManualInterventionRequired, State::Failed];
    let called =
        plan.standing.manual.as_ref().filter(|_| !hands_off.contains(&seen.standing.state));
    if called.is_some_and(|(_, what)| !common::says_what_to_do(what)) {
        return Err("a human is called, and not told what to do");
    }
    if plan.interval.is_zero() || plan.interval > Duration::from_secs(60) {
        return Err("nothing is looked at for more than a minute, or without a pause");
    }
    Ok(())
}

#[rstest::rstest]
fn whatever_is_drawn_is_decided(
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)] state: usize,
) {
    let state = State::ALL[state];
    let (records, shown, base) =
        (records(state), shown(), common::desired(&format!("{IMAGE}, {MORE}")));
    let mut lot = Lot(state as u64);
    let mut census = counted::census();
    for _ in 0..DRAWN {
        let mut facet = lot.of(&records);
        facet.shown = [lot.of(&shown), lot.of(&shown)];
        facet.active = lot.of(&Ordinal::ALL);
        let seen = drawn(&mut lot, &facet, &base);
        let plan = decide(&seen);
        judge(&seen, &plan).unwrap_or_else(|what| panic!("{what}\n{seen:#?}\n{plan:#?}"));
        counted::count(&mut census, &seen, &plan);
    }
    census.compare(&format!("{state}-drawn"));
}
