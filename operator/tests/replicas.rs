//! Databases without replication: the decision core over all combinations of where the object and a
//! pod stand, and what the pod shows. For every one: no panic; nothing destroyed; no database
//! created over one that was, nor without its intent on record; always steady or with a deadline;
//! never ready without a database that serves; and looking again after a crash gives nothing worse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::census::Census;
use common::{LONG, NAMES, SHORT as SOON, incarnation};
use timesten_operator::agent::{Daemon, Db, Facts, RepScheme, RepState, RunState, Verb};
use timesten_operator::decide::Order;
use timesten_operator::decide::replicas::{Plan, decide};
use timesten_operator::desired::{DatabaseLost, Desired};
use timesten_operator::observation::{
    Agent, Doing, Failure, Heard, Lone, Member, Owned, Pod, PodFacts, Replicas, Silence,
    TtContainer,
};
use timesten_operator::standing::replicas::{Replica, ReplicaState, Standing, State};
use timesten_operator::standing::{Irreversible, PodIntent};

/// What a pod shows, in abstract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    NoPod,
    Dying,
    Ended,
    Restarted,
    Silent,
    Refuses,
    DaemonDown,
    NoDatabase,
    Unloaded,
    Loading,
    Closed,
    Quiescing,
    UpgradeFailed,
    UpgradeUndone,
    Serves,
}

const SHOWN: [Shown; 15] = [
    Shown::NoPod,
    Shown::Dying,
    Shown::Ended,
    Shown::Restarted,
    Shown::Silent,
    Shown::Refuses,
    Shown::DaemonDown,
    Shown::NoDatabase,
    Shown::Unloaded,
    Shown::Loading,
    Shown::Closed,
    Shown::Quiescing,
    Shown::UpgradeFailed,
    Shown::UpgradeUndone,
    Shown::Serves,
];

fn facts(db: Db) -> Facts {
    Facts {
        rep_scheme: RepScheme::None,
        rep_agent: RunState::NotRunning,
        rep_state: RepState::Idle,
        open: (db == Db::Loaded).then_some(true),
        ..common::facts(db)
    }
}

fn agent(shown: Shown, since: Duration) -> Agent {
    let heard = |facts| Agent::Heard(Heard { facts, asked: SOON, unchanged: since });
    match shown {
        Shown::NoPod | Shown::Ended | Shown::Restarted => {
            Agent::NotYet { waited: since, how: None }
        }
        Shown::Silent => Agent::Silent { since, how: Silence::Mute("no answer".into()) },
        Shown::Refuses => Agent::Silent { since, how: Silence::Refused("HTTP 401".into()) },
        Shown::DaemonDown => heard(Facts { daemon: Daemon::Down, ..facts(Db::Unknown) }),
        Shown::NoDatabase => heard(facts(Db::None)),
        Shown::Unloaded => heard(facts(Db::Unloaded)),
        Shown::Loading => heard(facts(Db::Loading)),
        Shown::Closed => heard(Facts { open: Some(false), ..facts(Db::Loaded) }),
        Shown::Quiescing => heard(Facts { quiescing: true, ..facts(Db::Unloaded) }),
        Shown::UpgradeFailed => heard(Facts { upgrade_failed: true, ..facts(Db::Unloaded) }),
        Shown::UpgradeUndone => {
            let release = Some("22.1.1.35.0".to_owned());
            let image_release = release.clone();
            let undone = Facts { upgrade_failed: true, release, ..facts(Db::Unloaded) };
            heard(Facts { image_release, ..undone })
        }
        Shown::Dying | Shown::Serves => heard(facts(Db::Loaded)),
    }
}

fn member(name: &str, shown: Shown, since: Duration) -> Member {
    let tt = match shown {
        Shown::Ended => TtContainer::Ended { reason: "Error".into() },
        _ => TtContainer::Running,
    };
    let pod = PodFacts {
        incarnation: incarnation(name, i32::from(shown == Shown::Restarted)),
        terminating: shown == Shown::Dying,
        tt,
        ..common::pod(name, None)
    };
    Member {
        pod: if shown == Shown::NoPod { Pod::Absent } else { Pod::Present(pod) },
        ..common::member(name, agent(shown, since), None)
    }
}

/// What has failed or is under way in the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Nothing,
    Busy,
    CreateRefused,
    CreateHangs,
    LoadRefused,
    OpenRefused,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::Nothing,
    Trouble::Busy,
    Trouble::CreateRefused,
    Trouble::CreateHangs,
    Trouble::LoadRefused,
    Trouble::OpenRefused,
];

fn failure(verb: Verb, said: bool) -> Failure {
    Failure { verb, count: 3, ago: Duration::from_secs(20), said, hung: !said, text: "no".into() }
}

/// One combination.
#[derive(Clone, Copy, Debug)]
struct Facet {
    object: State,
    pod: ReplicaState,
    shown: Shown,
    trouble: Trouble,
    lost: DatabaseLost,
    known: bool,
    recorded: bool,
    since: Duration,
    told: bool,
}

impl Facet {
    fn seen(&self, [manually, anew]: &[Arc<Desired>; 2]) -> Replicas {
        let desired = if self.lost == DatabaseLost::Manual { manually } else { anew };
        let manual = || Some(("Word".to_owned(), "sentence".to_owned()));
        let mut member = member(NAMES[1], self.shown, self.since);
        match self.trouble {
            Trouble::Nothing => {}
            Trouble::Busy => member.doing = Some(Doing { verb: Verb::LoadDb, elapsed: SOON }),
            Trouble::CreateRefused => member.failures.push(failure(Verb::CreateDb, true)),
            Trouble::CreateHangs => member.failures.push(failure(Verb::CreateDb, false)),
            Trouble::LoadRefused => member.failures.push(failure(Verb::LoadDb, true)),
            Trouble::OpenRefused => member.failures.push(failure(Verb::OpenDb, true)),
        }
        let uid = incarnation(NAMES[1], 0).uid;
        let at = jiff::Timestamp::UNIX_EPOCH;
        let replica = Replica {
            state: self.pod,
            known: self.known.then(|| incarnation(NAMES[1], 0)),
            create: self.recorded.then_some(PodIntent { act: Irreversible::Create, uid, at }),
            manual: manual().filter(|_| self.pod == ReplicaState::ManualInterventionRequired),
        };
        let good = Replica {
            state: ReplicaState::Normal,
            known: Some(incarnation(NAMES[0], 0)),
            ..Replica::default()
        };
        let standing = Standing {
            state: self.object,
            previous: State::Initializing,
            term: 7,
            pods: [(NAMES[0].to_owned(), good), (NAMES[1].to_owned(), replica)].into(),
            stop_managing: String::new(),
            reexamine: if self.told { "older" } else { "old" }.into(),
            manual: manual().filter(|_| self.object == State::ManualInterventionRequired),
        };
        let lone = |member| Lone { member, in_state: self.since };
        Replicas {
            now: at,
            desired: Arc::clone(desired),
            refused: None,
            generation: 1,
            deleting: false,
            finalized: false,
            standing,
            pods: vec![lone(self::member(NAMES[0], Shown::Serves, SOON)), lone(member)],
            owned: Owned::default(),
            locked_out: None,
        }
    }

    /// What must hold of every plan.
    fn judge(&self, seen: &Replicas, plan: &Plan) -> Result<(), String> {
        let (before, after) = (&seen.standing.pods[NAMES[1]], &plan.standing.pods[NAMES[1]]);
        let wrong = |what: &str| Err(what.to_owned());
        let order = plan.give[1].as_ref();
        let verb = order.map(Order::verb);
        if verb.as_ref().is_some_and(|v| v.is_destructive() || *v == Verb::RepDuplicate) {
            return wrong("the only copy is destroyed");
        }
        if verb == Some(Verb::CreateDb) {
            let may = !self.known || self.lost == DatabaseLost::Recreate;
            if !(may && self.shown == Shown::NoDatabase && before.create.is_some()) {
                return wrong("a database is created where there was one, or without a record");
            }
        }
        let hands_off = plan.standing.state == State::ManualInterventionRequired;
        if hands_off && plan.give.iter().any(Option::is_some) {
            return wrong("an order in spite of stopManaging");
        }
        let repairs = |verb: &Verb| *verb != Verb::ClearReadiness;
        let manual = after.state == ReplicaState::ManualInterventionRequired;
        if manual && verb.as_ref().is_some_and(repairs) {
            return wrong("a repair in a pod that waits for a human");
        }
        if manual != after.manual.is_some() {
            return wrong("a human is needed, and nobody says why");
        }
        let said = after.manual.as_ref().filter(|_| before.manual.is_none());
        if said.is_some_and(|(_, what)| !common::says_what_to_do(what)) {
            return wrong("a human is called, and not told what to do");
        }
        if self.shown == Shown::Dying && order.is_some() {
            return wrong("an order to a pod that is ending");
        }
        let gone = match self.shown {
            Shown::Serves | Shown::Silent | Shown::Loading | Shown::Quiescing | Shown::Refuses => {
                false
            }
            // That it is another incarnation shows only against the one that was good.
            Shown::Restarted => self.known,
            _ => true,
        };
        if !hands_off && !self.told && gone && after.ready() {
            return wrong("ready, though its database does not serve");
        }
        let deadline =
            self.since == LONG && self.shown != Shown::Serves && self.shown != Shown::Quiescing;
        if !hands_off && !self.told && deadline && after.ready() {
            return wrong("ready for ever, though nothing is known of it");
        }
        self.judge_object(seen, plan)
    }

    /// What must hold whatever the pod shows.
    fn judge_object(&self, seen: &Replicas, plan: &Plan) -> Result<(), String> {
        let wrong = |what: &str| Err(what.to_owned());
        if plan.because.to_string().is_empty() || plan.because.word().is_empty() {
            return wrong("no reason");
        }
        if plan.interval > Duration::from_secs(5) {
            return wrong("nothing is looked at for longer than the spec says");
        }
        let ready = plan.standing.ready();
        let counted = match plan.standing.state {
            State::AllReplicasReady => ready == 2,
            State::SomeReplicasReady => ready == 1,
            State::NoReplicasReady => ready == 0,
            State::Initializing | State::Reexamine | State::ManualInterventionRequired => true,
        };
        if !counted && !self.told {
            return wrong("the state does not say how many serve");
        }
        if seen.pods[1].member.doing.is_some() && plan.give[1].is_some() {
            return wrong("two orders at once");
        }
        Ok(())
    }

    /// The operator dies after it has recorded the plan: what the next one plans may not be worse.
    fn replay(&self, seen: &Replicas, plan: &Plan) -> Result<(), String> {
        let mut seen = seen.clone();
        seen.standing = plan.standing.clone();
        for pod in &mut seen.pods {
            pod.in_state = Duration::ZERO;
            pod.member.failures.clear();
        }
        let again = decide(&seen);
        let facet = Self { told: false, trouble: Trouble::Nothing, ..*self };
        facet.judge(&seen, &again).map_err(|what| format!("after a crash: {what}"))
    }
}

fn templates() -> [Arc<Desired>; 2] {
    let ttspec =
        format!("{}, replicationTopology: none, replicas: 2, reexamine: old", common::IMAGE);
    let desired = common::desired(&ttspec);
    [DatabaseLost::Manual, DatabaseLost::Recreate].map(|lost| {
        let mut desired = desired.clone();
        desired.database_lost = lost;
        Arc::new(desired)
    })
}

/// What is counted of a plan.
const COUNTED: [&str; 6] =
    ["goes to", "the pod goes to", "tells it", "puts on record", "because", "looks again after"];

/// All combinations in one state of the object.
fn check(object: State) -> (u64, u64) {
    let templates = templates();
    let (mut count, mut created) = (0, 0);
    let mut census = Census::new(&COUNTED);
    for pod in ReplicaState::ALL {
        for shown in SHOWN {
            for trouble in TROUBLES {
                for lost in [DatabaseLost::Manual, DatabaseLost::Recreate] {
                    for bits in 0..8 {
                        for since in [SOON * 2, Duration::from_secs(21), LONG] {
                            let (known, recorded, told) =
                                (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
                            let facet = Facet {
                                object,
                                pod,
                                shown,
                                trouble,
                                lost,
                                known,
                                recorded,
                                since,
                                told,
                            };
                            let seen = facet.seen(&templates);
                            let plan = decide(&seen);
                            let judged = facet.judge(&seen, &plan);
                            if let Err(what) = judged.and_then(|()| facet.replay(&seen, &plan)) {
                                panic!("{what}\n{facet:?}\n{plan:#?}");
                            }
                            let replica = &plan.standing.pods[NAMES[1]];
                            census.take(&[
                                &plan.standing.state,
                                &replica.state,
                                &plan.give[1],
                                &replica.create.as_ref().map(|intent| intent.act),
                                &plan.because,
                                &plan.interval,
                            ]);
                            count += 2;
                            created += u64::from(plan.give[1] == Some(Order::Create));
                        }
                    }
                }
            }
        }
    }
    census.compare(&format!("replicas-{object}"));
    (count, created)
}

#[rstest::rstest]
fn every_combination_is_safe(
    #[values(
        State::Initializing,
        State::AllReplicasReady,
        State::SomeReplicasReady,
        State::NoReplicasReady,
        State::Reexamine,
        State::ManualInterventionRequired
    )]
    state: State,
) {
    let (count, created) = check(state);
    println!("{state}: {count} decisions, {created} databases created");
    assert!(count > 10_000, "the table has shrunk");
    let acts = state != State::ManualInterventionRequired;
    assert_eq!(created > 0, acts, "no database was ever created: nothing was tested");
}
