//! Cache groups in the status, in conditions and in events.
//!
//! Never: says a number that passes by in a condition.

use super::conditions::{Say, unless, words};
use super::events::Note;
use crate::agent::{Facts, Verb};
use crate::crd::{CacheScriptStatus, CacheStatus, PodStatus, TimesTenClassicStatus};
use crate::decide::{Plan, cache};
use crate::observation::{Member, Observation};
use crate::pair::{Both, Ordinal};
use crate::standing::cache::{Cache, Cleanup, Script};
use crate::standing::{State, Work};

/// Cache groups are there and work.
pub(super) const CACHE_READY: &str = "CacheReady";

/// Reasons that are no news, or that another event tells.
pub(super) const TOLD_ELSEWHERE: [&str; 2] = ["CreatingCacheGroups", "CreateCacheGroupsFailed"];

/// From here on it is said that the Oracle database is behind, in megabytes: a log file of the default
/// size, which cannot be purged until its rows are there.
const FAR_BEHIND: i64 = 64;

/// Below this many megabytes one lag is as good as another.
const HARDLY_BEHIND: i64 = 16;

/// A lag without what passes by: it alone is a reason to write when it has doubled or halved.
pub(super) fn magnitude(lag: i64) -> i64 {
    if lag < HARDLY_BEHIND { 0 } else { i64::from(lag.ilog2()) }
}

/// Keeps what is remembered of cache groups, and how far the Oracle database is behind.
pub(super) fn keep(status: &mut TimesTenClassicStatus, seen: &Observation, plan: &Plan) {
    let known = &plan.standing.cache;
    let message = match &known.script {
        Script::Failed(text) => Some(text.clone()),
        Script::NotRun | Script::Interrupted | Script::Complete => None,
    };
    let script = Some(&known.script).filter(|script| **script != Script::NotRun);
    status.cache_groups =
        script.map(|script| CacheScriptStatus { script: Some(script.word().into()), message });
    status.awt_behind_mb = lag(seen, plan);
    for ordinal in Ordinal::ALL {
        let Some(pod) = status.pod_status.get_mut(ordinal.number()) else { continue };
        let cleanup = &known.cleanup[ordinal];
        let cache = pod.cache_status.get_or_insert_with(CacheStatus::default);
        cache.cleanup = (*cleanup != Cleanup::Due).then(|| cleanup.word().into());
        cache.cleanup_message = match cleanup {
            Cleanup::Left(text) => Some(text.clone()),
            Cleanup::Due | Cleanup::ByPeer | Cleanup::Done => None,
        };
    }
}

/// What is remembered of cache groups, as the status says.
pub(super) fn read<'a>(
    status: &TimesTenClassicStatus,
    pod: impl Fn(Ordinal) -> Option<&'a PodStatus>,
) -> Cache {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let script = status
        .cache_groups
        .as_ref()
        .map(|groups| Script::read(&text(&groups.script), &text(&groups.message)));
    let cleanup = Both::each(|ordinal| {
        let cache = pod(ordinal).and_then(|pod| pod.cache_status.as_ref());
        cache.map(|cache| Cleanup::read(&text(&cache.cleanup), &text(&cache.cleanup_message)))
    });
    Cache {
        script: script.unwrap_or_default(),
        cleanup: Both::each(|ordinal| cleanup[ordinal].clone().unwrap_or_default()),
    }
}

/// How far the Oracle database is behind, as whoever propagates to it says: the standby as long as it
/// follows, else the active.
fn lag(seen: &Observation, plan: &Plan) -> Option<i64> {
    let from = match plan.standing.state {
        State::Normal | State::Switchover | State::ActiveDown => plan.standing.standby(),
        State::ActiveTakeover
        | State::StandbyDown
        | State::StandbyStarting
        | State::StandbyCatchup => plan.standing.active,
        State::Initializing
        | State::BothDown
        | State::WaitingForActive
        | State::ConfiguringActive
        | State::Reexamine
        | State::ManualInterventionRequired
        | State::Failed => return None,
    };
    seen.members[from].facts()?.awt_behind_mb
}

/// What is so of the cache groups, if there are any, or are to be.
pub(super) fn condition(seen: &Observation, plan: &Plan) -> Option<Say> {
    let script = &plan.standing.cache.script;
    let active = &seen.members[plan.standing.active];
    let meant = |facts: &Facts| facts.files.cache_groups == Some(true);
    let concerned = *script != Script::NotRun
        || seen.members.iter().any(|(_, member)| cache::has_groups(member))
        || active.facts().is_some_and(meant);
    let good = ("CacheGroupsReady", "nothing says that the cache groups do not work");
    concerned.then(|| unless(CACHE_READY, wrong(seen, plan), good))
}

/// What is wrong with the cache groups, the most telling first.
fn wrong(seen: &Observation, plan: &Plan) -> Option<(String, String)> {
    let standing = &plan.standing;
    let active = &seen.members[standing.active];
    let name = &active.name;
    match &standing.cache.script {
        Script::Failed(text) => {
            return Some(words("CreateCacheGroupsFailed", &format!("cachegroups.sql: {text}")));
        }
        Script::Interrupted => return Some(words("CreatingCacheGroups", INTERRUPTED)),
        Script::NotRun if standing.works(Work::CacheGroups) => {
            let long = seen.desired.as_ref().is_ok_and(|desired| cache::overdue(seen, desired));
            return Some(match long {
                true => words("CacheGroupsTakeLong", cache::RUNS_LONG),
                false => words("CreatingCacheGroups", &format!("{name}: cachegroups.sql is run")),
            });
        }
        Script::NotRun => {
            let text = format!("{name}: cachegroups.sql has not been run");
            return Some(words("CreatingCacheGroups", &text));
        }
        Script::Complete => {}
    }
    let count = |member: &Member| member.facts().and_then(|facts| facts.n_cache_groups);
    if count(active) == Some(0) {
        return Some(words("NoCacheGroups", NONE));
    }
    let caching = || seen.members.iter().filter(|(_, member)| cache::has_groups(member));
    let unknown = |m: &Member| m.facts().is_some_and(|f| f.cache_credentials == Some(false));
    if let Some((_, member)) = caching().find(|(_, member)| unknown(member)) {
        let text = format!("{}: {NO_CREDENTIALS}", member.name);
        return Some(words("CacheCredentialsMissing", &text));
    }
    if let Some((_, member)) = caching().find(|(_, member)| cache::agent_stopped(member)) {
        let failure = member.failure(&Verb::StartCacheAgent);
        let said = failure.map_or_else(String::new, |failure| format!(": {}", failure.text));
        let text = format!("the cache agent in {} does not run, and is started{said}", member.name);
        return Some(words("CacheAgentStopped", &text));
    }
    let standby = &seen.members[standing.standby()];
    if standing.state == State::Normal && differ(count(active), count(standby)) {
        return Some(words("CacheGroupsDiffer", DIFFERENT));
    }
    let far = lag(seen, plan).is_some_and(|lag| lag >= FAR_BEHIND);
    far.then(|| words("AwtBehind", BEHIND))
}

fn differ(one: Option<u64>, other: Option<u64>) -> bool {
    one.is_some() && other.is_some() && one != other
}

const INTERRUPTED: &str = "the container ended while cachegroups.sql ran; what it has done is looked at \
     when the database is loaded";
const NONE: &str = "there are no cache groups, though cachegroups.sql was run; it is not run again: \
     correct it and create the object anew, or remove it";
const NO_CREDENTIALS: &str = "the cache administrator is not registered, so that nothing reaches the \
     Oracle database: call ttCacheUidPwdSet there, as the metadata file cacheUser has it";
const DIFFERENT: &str = "the standby has not as many cache groups as the active: those that were created \
     or dropped by hand have to be so in both databases";
const BEHIND: &str = "more than 64 MB of log have yet to reach the Oracle database, and are kept until \
     they have: see whether it can be reached, and whether it keeps up";

/// A former standby is made the active of a pair that a human has seen to: whatever its cache groups
/// hold goes on.
pub(super) fn given_back(
    before: &TimesTenClassicStatus,
    after: &TimesTenClassicStatus,
) -> Option<Note> {
    let now = after.high_level_state.as_deref() == Some(State::ConfiguringActive.word());
    let was = before.high_level_state == after.high_level_state;
    let role = |status: &TimesTenClassicStatus, name: &Option<String>| {
        status.pod_status.iter().find(|pod| pod.name == *name)?.intended_state.clone()
    };
    let pod = after.pod_status.iter().find(|pod| {
        pod.intended_state.as_deref() == Some("Active")
            && role(before, &pod.name).as_deref() == Some("Standby")
    })?;
    let count = pod.cache_status.as_ref()?.n_cache_groups.filter(|count| *count > 0)?;
    let name = pod.name.as_deref().unwrap_or_default();
    (now && !was).then(|| {
        Note::warning(
            "Info",
            format!(
                "Pod {name} was the standby and has {count} cache groups, which are kept: compare \
                 their tables with the Oracle database, which the former active may have sent more \
                 than {name} knows"
            ),
        )
    })
}

/// What has become of the clean-up of each pod.
pub(super) fn cleaned(before: &TimesTenClassicStatus, after: &TimesTenClassicStatus) -> Vec<Note> {
    let cleanup = |pod: &PodStatus| pod.cache_status.as_ref().and_then(|c| c.cleanup.clone());
    let note = |pod: &PodStatus| {
        let old = before.pod_status.iter().find(|old| old.name == pod.name).and_then(cleanup);
        let new = cleanup(pod).filter(|new| old.as_ref() != Some(new))?;
        let name = pod.name.as_deref().unwrap_or_default();
        let cache = pod.cache_status.as_ref()?;
        match (new.as_str(), &cache.cleanup_message) {
            ("Done", _) => {
                Some(Note::normal("Info", format!("Pod {name} cache groups are cleaned up")))
            }
            ("Left", Some(text)) => Some(Note::warning("FailedFinalizer", format!("Pod {text}"))),
            _ => None,
        }
    };
    after.pod_status.iter().filter_map(note).collect()
}
