//! Warnings: what agents report that nobody can mend but a human, and that is no failure yet.
//!
//! Never: says a number that passes by: a condition changes when what it means changes.

use super::About;
use super::conditions::{Say, unless, words};
use crate::agent::{Db, Facts, RepState, Verb};
use crate::observation::Member;

/// The active's database takes writes.
pub(super) const WRITES_ACCEPTED: &str = "WritesAccepted";
/// No database's permanent memory is nearly full.
pub(super) const MEMORY_SUFFICIENT: &str = "MemorySufficient";
/// The SQL that follows the replication scheme was run.
const EPILOG_APPLIED: &str = "EpilogApplied";
/// The clocks of the pods agree.
pub(super) const CLOCKS_AGREE: &str = "ClocksAgree";

/// From how much of the permanent memory on it is nearly full, in percent.
const NEARLY_FULL: i64 = 90;

/// All warnings.
pub(super) fn all(about: &About<'_>) -> Vec<Say> {
    let first = |test: fn(&Facts) -> bool, say: &dyn Fn(&Member, &Facts) -> (String, String)| {
        about.members.iter().find_map(|member| {
            let facts = member.facts().filter(|facts| test(facts))?;
            Some(say(member, facts))
        })
    };
    let refused = first(refuses_writes, &|member, facts| {
        let why = facts.update_error.as_deref().unwrap_or("it does not say why");
        let name = &member.name;
        words(
            "WritesRefused",
            &format!(
                "the database in {name} is ACTIVE and refuses writes: {why}; if its volume is full, \
             make room or enlarge the volume claim"
            ),
        )
    });
    let full = first(nearly_full, &|member, _| {
        let name = &member.name;
        words(
            "MemoryNearlyFull",
            &format!(
                "more than {NEARLY_FULL} % of the permanent memory of the database in {name} is in \
             use: delete rows, or raise spec.ttspec.databaseMemorySize and PermSize in db.ini"
            ),
        )
    });
    let clocks = first(|facts| facts.clock_sync == Some(false), &|member, _| {
        let name = &member.name;
        words(
            "ClockSkew",
            &format!(
                "the agent in {name} reports that its clock is off, which replication does not \
             forgive: synchronise the clocks of the nodes"
            ),
        )
    });
    let epilog = about.members.iter().find_map(|member| {
        let failure = member.failure(&Verb::CreateRepEpilog)?;
        let text = format!(
            "epilog.sql failed in {}: {}; correct the file for the next time, and run what it lacks \
             in the active's pod with ttIsql",
            member.name, failure.text
        );
        Some(words("EpilogFailed", &text))
    });
    vec![
        unless(EPILOG_APPLIED, epilog, ("Applied", "no epilog.sql has failed")),
        unless(WRITES_ACCEPTED, refused, ("Accepted", "nothing says that writes are refused")),
        unless(MEMORY_SUFFICIENT, full, ("Sufficient", "no permanent memory is nearly full")),
        unless(CLOCKS_AGREE, clocks, ("Agree", "no agent reports a clock that is off")),
    ]
}

fn refuses_writes(facts: &Facts) -> bool {
    facts.db == Db::Loaded
        && facts.rep_state == RepState::Active
        && facts.open != Some(false)
        && facts.updatable == Some(false)
}

fn nearly_full(facts: &Facts) -> bool {
    let share = facts.perm_in_use_kb.zip(facts.perm_size_mb).filter(|(_, size)| *size > 0);
    share.is_some_and(|(used, size)| {
        used.saturating_mul(100) > size.saturating_mul(1024 * NEARLY_FULL)
    })
}
