//! Tasks that go on in an agent, as they are asked about.

use crate::agent::{TaskId, Verb};
use crate::standing::Work;

/// The task that is asked about, by the verb that started it.
pub(super) fn errand(work: Work, id: &str) -> Option<(Verb, TaskId)> {
    let verb = match work {
        Work::Copy => Verb::RepDuplicate,
        Work::CacheGroups => Verb::CreateCg,
    };
    Some((verb, TaskId::from_status(id)?))
}
