//! Databases without replication: each pod is a small state machine of its own, and the object's
//! state counts those that serve. docs/states.md has the table.
//!
//! Never: destroys a database, and never creates one where there has been one, unless the spec says
//! that its data can be had again.

use std::time::Duration;

use super::cache::Finalizer;
use super::health::{self, Health, Patience, REPAIR_ATTEMPTS, Why};
use super::human::Cause;
use super::orders::{self, Order};
use super::reason::Reason;
use super::transition::sentence;
use super::{BUSY_INTERVAL, proof, routing};
use crate::agent::{Daemon, Db, Facts, Verb};
use crate::desired::{DatabaseLost, Desired};
use crate::objects::Write;
use crate::observation::{Lone, Member, Replicas, Silence};
use crate::standing::replicas::{Replica, ReplicaState, Standing, State};
use crate::standing::{Irreversible, PodIntent};

/// Everything one pass will do; nothing later may choose.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the object stands now: recorded before anything else is done.
    pub standing: Standing,
    /// What each pod is told, in the order of the observation.
    pub give: Vec<Option<Order>>,
    /// The object's finalizer is to be taken away: nobody cleans up here.
    pub finalizer: Option<Finalizer>,
    /// Owned objects to write.
    pub writes: Vec<Write>,
    /// How old an agent's answer may get before it is asked again.
    pub interval: Duration,
    /// Why, always.
    pub because: Reason,
}

/// What is to be done about what is seen.
#[must_use]
pub fn decide(seen: &Replicas) -> Plan {
    let mut standing = seen.standing.clone();
    let polling = seen.desired.timeouts.polling;
    let idle = |standing: Standing, because: Reason, writes: Vec<Write>| Plan {
        standing,
        give: vec![None; seen.pods.len()],
        finalizer: seen.finalized.then_some(Finalizer::Remove),
        writes,
        interval: polling,
        because,
    };
    if seen.deleting {
        return idle(standing, Reason::Deleting, Vec::new());
    }
    standing.pods.retain(|name, _| seen.pods.iter().any(|pod| pod.member.name == *name));
    let told = heed(&mut standing, seen);
    if told || standing.state == State::ManualInterventionRequired {
        let because = because(&standing, seen, &[]);
        return idle(standing, because, seen.owned.drift.clone());
    }
    let health: Vec<Health> = seen.pods.iter().map(|pod| judge(seen, pod)).collect();
    let mut give = Vec::new();
    for (pod, health) in seen.pods.iter().zip(&health) {
        let before = standing.pods.remove(&pod.member.name).unwrap_or_default();
        let mut replica =
            next(&Scene { pod, health, desired: &seen.desired, standing: &standing }, before);
        give.push(order(pod, &mut replica, seen));
        standing.pods.insert(pod.member.name.clone(), replica);
    }
    count(&mut standing, seen);
    Plan {
        interval: if steady(&standing, seen, &health) {
            polling
        } else {
            polling.min(BUSY_INTERVAL)
        },
        give,
        finalizer: seen.finalized.then_some(Finalizer::Remove),
        writes: seen.owned.drift.clone(),
        because: because(&standing, seen, &health),
        standing,
    }
}

/// Heeds what a human says, once for every change. What was said is put on record before anything
/// follows from it.
fn heed(standing: &mut Standing, seen: &Replicas) -> bool {
    let (before, desired) = (standing.clone(), &seen.desired);
    let hands_off = |standing: &mut Standing, cause: Cause, what: &str| {
        standing.manual = Some(cause.lone(what, desired, standing.term));
        change(standing, State::ManualInterventionRequired);
    };
    if standing.stop_managing != desired.stop_managing {
        standing.stop_managing.clone_from(&desired.stop_managing);
        if standing.state != State::ManualInterventionRequired {
            let what = "stopManaging was changed: nothing is repaired in any pod";
            hands_off(standing, Cause::StopManaging, what);
        }
    }
    if standing.reexamine != desired.reexamine {
        standing.reexamine.clone_from(&desired.reexamine);
        for replica in standing.pods.values_mut() {
            if replica.state == ReplicaState::ManualInterventionRequired {
                replica.state = ReplicaState::Reexamine;
                replica.manual = None;
            }
        }
        if standing.state == State::ManualInterventionRequired {
            standing.manual = None;
            change(standing, State::Reexamine);
        }
    }
    let guarded = !matches!(standing.state, State::ManualInterventionRequired | State::Reexamine);
    if let (true, Some(what)) = (guarded, &seen.locked_out) {
        hands_off(standing, Cause::CredentialsRefused, what);
    }
    *standing != before
}

fn change(standing: &mut Standing, state: State) {
    standing.previous = standing.state;
    standing.state = state;
    standing.term = standing.term.saturating_add(1);
}

fn judge(seen: &Replicas, pod: &Lone) -> Health {
    let known = seen.standing.pods.get(&pod.member.name).and_then(|replica| replica.known.as_ref());
    health::of_lone(&pod.member, known, Patience::of(&seen.desired.timeouts))
}

/// One pod, as the table sees it.
struct Scene<'a> {
    pod: &'a Lone,
    health: &'a Health,
    desired: &'a Desired,
    standing: &'a Standing,
}

/// Where a pod stands next.
fn next(scene: &Scene<'_>, before: Replica) -> Replica {
    let mut replica = before;
    let state = replica.state;
    if state != ReplicaState::ManualInterventionRequired
        && let Some((cause, what)) = hopeless(scene, &replica)
    {
        replica.manual = Some(cause.lone(&what, scene.desired, scene.standing.term));
        replica.create = None;
        replica.state = ReplicaState::ManualInterventionRequired;
        return replica;
    }
    replica.state = match (state, scene.health) {
        (ReplicaState::ManualInterventionRequired, _) => state,
        // The marker of a failed upgrade has to go first; and the agent is waited for.
        (ReplicaState::Reexamine, _) if upgrade_failed(&scene.pod.member) || unheard(scene) => {
            state
        }
        (_, Health::Healthy) => ReplicaState::Normal,
        (ReplicaState::Reexamine | ReplicaState::Down, Health::Down(Why::NoDatabase))
            if may_be_created(&replica, scene.desired) =>
        {
            ReplicaState::Initializing
        }
        (ReplicaState::Reexamine, _) if replica.known.is_none() => ReplicaState::Initializing,
        (ReplicaState::Reexamine, _) => ReplicaState::Down,
        // What cannot be told changes nothing; it has a deadline (I6).
        (_, Health::Unknown(_)) | (ReplicaState::Initializing | ReplicaState::Down, _) => state,
        (ReplicaState::Normal, _) => ReplicaState::Down,
    };
    let pod = scene.pod.member.pod();
    if replica.state == ReplicaState::Normal && *scene.health == Health::Healthy {
        replica.known = pod.map(|pod| pod.incarnation.clone());
    }
    let loaded = scene.pod.member.facts().is_some_and(|facts| facts.db == Db::Loaded);
    let done = loaded && scene.pod.member.doing.is_none();
    let uid = pod.map(|pod| &pod.incarnation.uid);
    replica.create = replica.create.filter(|create| !done && Some(&create.uid) == uid);
    replica
}

/// What a human did cannot be seen yet; that has a deadline (I6).
fn unheard(scene: &Scene<'_>) -> bool {
    let Lone { member, in_state } = scene.pod;
    member.facts().is_none() && *in_state <= scene.desired.timeouts.unreachable
}

/// It has never had a database that was good, or the spec says that what it had can be had again.
fn may_be_created(replica: &Replica, desired: &Desired) -> bool {
    replica.known.is_none() || desired.database_lost == DatabaseLost::Recreate
}

/// What the operator cannot do, or must not.
fn hopeless(scene: &Scene<'_>, replica: &Replica) -> Option<(Cause, String)> {
    let (member, desired) = (&scene.pod.member, scene.desired);
    let name = &member.name;
    let refused = |verb: &Verb, times: u32| {
        let since = |f: &&crate::observation::Failure| {
            f.said && f.count >= times && f.ago <= scene.pod.in_state
        };
        member.failure(verb).filter(since).map(|f| format!("{name}: {}", f.text))
    };
    if let Some(Silence::Refused(text)) = proof::silence(member)
        && member.silent_for() >= desired.timeouts.unreachable
    {
        return Some((Cause::CredentialsRefused, format!("{name}: {text}")));
    }
    let none = *scene.health == Health::Down(Why::NoDatabase);
    if none && !may_be_created(replica, desired) {
        let what = format!("{name}: the database that it had is gone");
        return Some((Cause::DatabaseLost, what));
    }
    if upgrade_failed(member) {
        let marker = Verb::RemoveNonRepUpgradeFailedFile;
        let stuck = refused(&marker, REPAIR_ATTEMPTS);
        let looks = replica.state == ReplicaState::Reexamine && same_release(member);
        if stuck.is_some() || !looks {
            let why = stuck.unwrap_or_else(|| releases(member));
            return Some((
                Cause::UpgradeFailed,
                format!("Upgrade Failed on POD {}: {why}", ordinal(name)),
            ));
        }
    }
    // The user's SQL must not run twice: what it left behind is for a human to see.
    refused(&Verb::CreateDb, 1)
        .map(|what| (Cause::CreateDbFailed, what))
        .or_else(|| refused(&Verb::LoadDb, REPAIR_ATTEMPTS).map(|what| (Cause::LoadFailed, what)))
        .or_else(|| refused(&Verb::OpenDb, REPAIR_ATTEMPTS).map(|what| (Cause::OpenFailed, what)))
}

fn upgrade_failed(member: &Member) -> bool {
    member.facts().is_some_and(|facts| facts.upgrade_failed)
}

fn same_release(member: &Member) -> bool {
    member.facts().is_some_and(|f| f.release.is_some() && f.release == f.image_release)
}

fn releases(member: &Member) -> String {
    let of = |release: fn(&Facts) -> &Option<String>| {
        member.facts().and_then(|facts| release(facts).clone()).unwrap_or_else(|| "unknown".into())
    };
    let (instance, image) = (of(|facts| &facts.release), of(|facts| &facts.image_release));
    format!("its instance has release {instance}, its image {image}")
}

fn ordinal(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(_, ordinal)| ordinal)
}

/// At most one order: first readiness, so that no client is sent to a database that does not serve,
/// then what has to be started.
fn order(pod: &Lone, replica: &mut Replica, seen: &Replicas) -> Option<Order> {
    let member = &pod.member;
    let facts = member.facts()?;
    if facts.quiescing || member.pod().is_none_or(|pod| pod.terminating) {
        return None;
    }
    let simple = |verb: Verb| orders::may(member, &verb).then_some(Order::Do(verb, None));
    routing::readiness(member, replica.ready()).and_then(simple).or_else(|| match replica.state {
        ReplicaState::Normal | ReplicaState::ManualInterventionRequired => None,
        ReplicaState::Reexamine => simple(Verb::RemoveNonRepUpgradeFailedFile),
        ReplicaState::Initializing | ReplicaState::Down => match (facts.daemon, facts.db) {
            (Daemon::Down, _) => simple(Verb::StartDaemon),
            (Daemon::Up, Db::None) => create(member, replica, seen),
            (Daemon::Up, Db::Unloaded) => simple(Verb::LoadDb),
            (Daemon::Up, Db::Loaded) if facts.open == Some(false) => simple(Verb::OpenDb),
            (Daemon::Up | Daemon::Unknown, _) => None,
        },
    })
}

/// Creates a database, if that is on record for this very pod; else it is put on record (I7).
fn create(member: &Member, replica: &mut Replica, seen: &Replicas) -> Option<Order> {
    if replica.state != ReplicaState::Initializing {
        return None;
    }
    let uid = &member.pod()?.incarnation.uid;
    if replica.create.as_ref().is_none_or(|create| create.uid != *uid) {
        let act = Irreversible::Create;
        replica.create = Some(PodIntent { act, uid: uid.clone(), at: seen.now });
        return None;
    }
    let may = orders::may(member, &Verb::CreateDb) && !orders::still_creating(member);
    may.then_some(Order::Create)
}

/// The object's state: how many serve.
fn count(standing: &mut Standing, seen: &Replicas) {
    let (ready, all) = (standing.ready(), seen.pods.len());
    let new = |replica: &Replica| replica.state == ReplicaState::Initializing;
    let state = match ready {
        0 if standing.state == State::Initializing && standing.pods.values().all(new) => {
            State::Initializing
        }
        0 => State::NoReplicasReady,
        ready if ready == all => State::AllReplicasReady,
        _ => State::SomeReplicasReady,
    };
    if state != standing.state {
        change(standing, state);
    }
    let manual = |standing: &Standing| -> Vec<String> {
        let of = |replica: &Replica| replica.state == ReplicaState::ManualInterventionRequired;
        standing.pods.iter().filter(|(_, pod)| of(pod)).map(|(name, _)| name.clone()).collect()
    };
    let before = manual(&seen.standing);
    if manual(standing).iter().any(|name| !before.contains(name)) {
        // The value that `reexamine` is to be set to is a new one.
        standing.term = standing.term.saturating_add(1);
    }
}

/// Nothing is under way in any pod.
fn steady(standing: &Standing, seen: &Replicas, health: &[Health]) -> bool {
    seen.pods.iter().zip(health).all(|(pod, health)| {
        let state = standing.pods.get(&pod.member.name).map(|replica| replica.state);
        match state {
            Some(ReplicaState::Normal) => *health == Health::Healthy,
            state => state == Some(ReplicaState::ManualInterventionRequired),
        }
    })
}

/// What needs a human comes first, then which pods do not serve and why.
fn because(standing: &Standing, seen: &Replicas, health: &[Health]) -> Reason {
    if let Some((word, sentence)) = standing.manual.clone() {
        return Reason::Manual(word, sentence);
    }
    let manual: Vec<_> = standing.pods.values().filter_map(|pod| pod.manual.as_ref()).collect();
    if let Some((word, _)) = manual.first() {
        let sentences: Vec<&str> = manual.iter().map(|(_, sentence)| sentence.as_str()).collect();
        return Reason::Manual(word.clone(), sentences.join("; "));
    }
    if standing.state == State::Reexamine {
        return Reason::Reexamining("`reexamine` was changed".into());
    }
    let others = seen.pods.iter().zip(health).filter_map(|(pod, health)| {
        let replica = standing.pods.get(&pod.member.name)?;
        (!replica.ready()).then(|| format!("{}: {}", pod.member.name, sentence(health)))
    });
    let others: Vec<String> = others.collect();
    if others.is_empty() {
        return Reason::AllReplicasReady;
    }
    Reason::ReplicasNotReady(standing.ready(), seen.pods.len(), others.join("; "))
}
