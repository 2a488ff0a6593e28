//! Where a human is needed: the causes, what each says, and what a human's word leads to.
//!
//! Never: acts. Every cause names what happened, the copies that are left and the next command
//! (I12); docs/runbook.md has a section for each, which a test checks.

use super::health::Health;
use super::proof;
use super::reason::Reason;
use super::recovery;
use super::transition::{Scene, Step, sentence};
use crate::agent::{Db, RepScheme, RepState, RunState};
use crate::desired::Desired;
use crate::observation::{Member, Silence};
use crate::pair::Ordinal;
use crate::standing::{Rebuild, State};

/// Why the operator keeps its hands off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A human said so.
    StopManaging,
    /// The user's SQL was refused.
    CreateDbFailed,
    /// So was what creates the cache groups.
    CreateCacheGroupsFailed,
    /// Both databases failed, and the spec leaves the choice to a human.
    BothDown,
    /// The database that is ahead is gone.
    BestDatabaseLost,
    /// It cannot be told which database is ahead.
    BestDatabaseUnknown,
    /// Both databases are ACTIVE.
    TwoActives,
    /// What a human did is not good yet.
    NotRepaired,
    /// Both agents refuse the operator's credentials.
    CredentialsRefused,
    /// The database of a pod without replication is gone.
    DatabaseLost,
    /// It does not load.
    LoadFailed,
    /// It does not open.
    OpenFailed,
    /// It could not be upgraded in place.
    UpgradeFailed,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::StopManaging,
        Self::CreateDbFailed,
        Self::CreateCacheGroupsFailed,
        Self::BothDown,
        Self::BestDatabaseLost,
        Self::BestDatabaseUnknown,
        Self::TwoActives,
        Self::NotRepaired,
        Self::CredentialsRefused,
        Self::DatabaseLost,
        Self::LoadFailed,
        Self::OpenFailed,
        Self::UpgradeFailed,
    ];

    /// The word for conditions, and the title in the runbook.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::StopManaging => "StopManaging",
            Self::CreateDbFailed => "CreateDbFailed",
            Self::CreateCacheGroupsFailed => "CreateCacheGroupsFailed",
            Self::BothDown => "BothDown",
            Self::BestDatabaseLost => "BestDatabaseLost",
            Self::BestDatabaseUnknown => "BestDatabaseUnknown",
            Self::TwoActives => "TwoActives",
            Self::NotRepaired => "NotRepaired",
            Self::CredentialsRefused => "CredentialsRefused",
            Self::DatabaseLost => "DatabaseLost",
            Self::LoadFailed => "LoadFailed",
            Self::OpenFailed => "OpenFailed",
            Self::UpgradeFailed => "UpgradeFailed",
        }
    }

    /// The reason of something that has a single database, or none.
    pub(super) fn lone(self, what: &str, desired: &Desired, term: i64) -> (String, String) {
        let next = reexamine_command(desired, term);
        (self.word().into(), format!("{what}. Next: {} {next}", self.cure()))
    }

    /// What a human does before the operator is asked to look again.
    const fn cure(self) -> &'static str {
        match self {
            Self::StopManaging => "when the operator is to guard the pair again",
            Self::CreateDbFailed => {
                "correct the metadata files, delete this object and its volume claims, and create \
                 it again; or, if the schema was completed by hand,"
            }
            Self::CreateCacheGroupsFailed => {
                "complete the cache groups by hand, or drop those that there are and correct \
                 cachegroups.sql, which is then run again;"
            }
            Self::BothDown | Self::BestDatabaseUnknown => {
                "in the pod whose copy is to live run `ttAdmin -ramLoad`, stop its replication \
                 agent and drop its scheme; in the other `ttDaemonAdmin -stop`;"
            }
            Self::BestDatabaseLost => {
                "restore the volume; or, to go on with the other copy, in its pod run `ttAdmin \
                 -ramLoad`, stop its replication agent and drop its scheme;"
            }
            Self::TwoActives => {
                "choose one, and in the pod of the other run `ttDaemonAdmin -stop`;"
            }
            Self::NotRepaired => {
                "bring up one ACTIVE and one STANDBY, or exactly one database without a scheme;"
            }
            Self::DatabaseLost => {
                "restore the volume; or, to go on with an empty database, set \
                 spec.ttspec.databaseLostBehavior to Recreate;"
            }
            Self::LoadFailed | Self::OpenFailed => {
                "read /tt/home/timesten/instances/instance1/diag/ttmesg.log in the pod, and remove \
                 the cause or restore the volume;"
            }
            Self::UpgradeFailed => {
                "set spec.ttspec.image back to the release of the instance, delete the pod, and \
                 when it runs"
            }
            Self::CredentialsRefused => {
                "restore the Secret with the credentials that the pods were started with, and \
                 restart the operator;"
            }
        }
    }
}

/// A human has to see to this: what happened, what is left, and what to do next.
pub(super) fn manual(scene: &Scene<'_>, cause: Cause, what: &str) -> Step {
    scene.step(State::ManualInterventionRequired, told(scene, cause, what))
}

/// The reason that goes with it.
pub(super) fn told(scene: &Scene<'_>, cause: Cause, what: &str) -> Reason {
    let sentence = format!(
        "{what}. Copies: {}. Next: {} {}",
        recovery::copies(scene),
        cause.cure(),
        reexamine_command(scene.desired, scene.seen.standing.term)
    );
    Reason::Manual(cause.word().into(), sentence)
}

/// The command that makes the operator look again. The term makes the value a new one.
fn reexamine_command(desired: &Desired, term: i64) -> String {
    format!(
        "kubectl patch ttc {} -n {} --type merge -p '{{\"spec\":{{\"ttspec\":{{\"reexamine\":\"{}\"}}}}}}'",
        desired.name(),
        desired.namespace(),
        term.saturating_add(1)
    )
}

/// Neither agent accepts the operator: it can do nothing, and must not guess.
pub(super) fn refused(scene: &Scene<'_>) -> Option<Step> {
    let guarded = !matches!(
        scene.seen.standing.state,
        State::Reexamine | State::ManualInterventionRequired | State::Failed
    );
    if let (true, Some(what)) = (guarded, &scene.seen.locked_out) {
        return Some(manual(scene, Cause::CredentialsRefused, what));
    }
    let limit = scene.desired.timeouts.unreachable;
    let locked_out = |member: &Member| {
        matches!(proof::silence(member), Some(Silence::Refused(_))) && member.silent_for() >= limit
    };
    (guarded && locked_out(scene.a()) && locked_out(scene.s())).then(|| {
        let what = "both agents refuse the credentials of the operator; the databases run on";
        manual(scene, Cause::CredentialsRefused, what)
    })
}

/// A human says that the pair is repaired: roles come from what the databases say.
pub(super) fn reexamine(scene: &Scene<'_>) -> Step {
    let standing = &scene.seen.standing;
    let (a, s) = (scene.a(), scene.s());
    let patient = scene.seen.in_state <= scene.desired.timeouts.unreachable;
    match (scene.active, scene.standby) {
        (Health::Healthy, Health::Healthy) => scene.step(State::Normal, Reason::AllIsWell),
        _ if proof::serves(a) && proof::serves(s) => {
            let what = format!("both {} and {} are ACTIVE", a.name, s.name);
            manual(scene, Cause::TwoActives, &what)
        }
        _ if proof::serves(s) => Step {
            active: standing.standby(),
            rebuild: Rebuild::Repair,
            ..scene.stay(Reason::Reexamining(format!("{} is the active", s.name)))
        },
        (_, Health::Down(_)) if proof::serves(a) => {
            scene.step(State::ActiveTakeover, Reason::TakingOver(a.name.clone()))
        }
        (_, Health::Down(_)) if lone(a) => only(scene, standing.active),
        (Health::Down(_), _) if lone(s) => only(scene, standing.standby()),
        (active, standby) => {
            let seen = format!("{} {}; {} {}", a.name, sentence(active), s.name, sentence(standby));
            if patient {
                return scene.stay(Reason::Reexamining(seen));
            }
            manual(scene, Cause::NotRepaired, &format!("the pair is not repaired: {seen}"))
        }
    }
}

fn only(scene: &Scene<'_>, active: Ordinal) -> Step {
    let because = Reason::Configuring(
        scene.seen.members[active].name.clone(),
        "it is the only database that is up".into(),
    );
    Step { active, rebuild: Rebuild::Copy, ..scene.step(State::ConfiguringActive, because) }
}

/// A loaded database without a scheme or an agent: a human chose it to be the only one.
fn lone(member: &Member) -> bool {
    member.facts().is_some_and(|facts| {
        facts.db == Db::Loaded
            && facts.rep_scheme == RepScheme::None
            && facts.rep_agent == RunState::NotRunning
            && facts.rep_state == RepState::Idle
    })
}
