//! Settling what was under way: a task that has ended, an intent that reality has overtaken.

use std::time::Duration;

use super::cache;
use crate::agent::Db;
use crate::observation::{Member, Observation, Task};
use crate::standing::cache::Script;
use crate::standing::{Irreversible, Rebuild, TaskRecord, Work};

/// Settles what can be.
pub(super) fn settle(seen: &mut Observation) {
    if let Some(record) = seen.standing.task.clone() {
        match record.work {
            Work::Copy => copy_ended(seen, &record),
            Work::CacheGroups => cache::script_ended(seen, &record),
        }
    }
    cache::settle(seen);
    let Some(intent) = seen.standing.intent.clone() else { return };
    let member = &seen.members[intent.member];
    let same = member.pod().is_some_and(|pod| pod.incarnation.uid == intent.uid);
    let facts = member.facts();
    let done = match intent.act {
        Irreversible::Create => facts.is_some_and(|f| f.db == Db::Loaded),
        Irreversible::Destroy => facts.is_some_and(|f| f.db == Db::None),
        Irreversible::Duplicate => {
            seen.standing.task.is_none() && facts.is_some_and(|f| f.db == Db::Loaded)
        }
        Irreversible::CreateCacheGroups => {
            seen.standing.task.is_none() && seen.standing.cache.script != Script::NotRun
        }
        // Adopted by the transition, which needs to see the intent; and nothing follows a clean-up.
        Irreversible::Promote | Irreversible::CleanUp => false,
    };
    if (done && member.doing.is_none()) || !same {
        seen.standing.intent = None;
    }
}

/// The copy has ended, well or not, if it has.
fn copy_ended(seen: &mut Observation, record: &TaskRecord) {
    let member = &seen.members[record.member];
    match &member.task {
        Task::Complete if alive(record, member) => {
            seen.standing.task = None;
            seen.standing.rebuild = Rebuild::Repair;
            seen.standing.copied = true;
        }
        // An order on its way explains that the agent does not know the task yet.
        Task::Unknown if alive(record, member) && member.doing.is_some() => {}
        Task::Failed(_) | Task::Unknown => rebuild_failed(seen),
        _ if !alive(record, member) => rebuild_failed(seen),
        Task::Running | Task::NotAsked | Task::Complete => {}
    }
}

/// The container that the task was started in is the one that is there.
pub(super) fn alive(record: &TaskRecord, member: &Member) -> bool {
    member.pod().is_some_and(|pod| pod.incarnation == record.incarnation)
}

fn rebuild_failed(seen: &mut Observation) {
    seen.rebuild_age = Duration::ZERO;
    seen.standing.task = None;
    seen.standing.intent = None;
    seen.standing.rebuild_failures = seen.standing.rebuild_failures.saturating_add(1);
}
