//! Every reason that needs a human has its section in the runbook.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use timesten_operator::decide::human::Cause;

const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// Reasons that ask for a human, though the operator goes on by itself.
const WARNINGS: [&str; 19] = [
    "StandbyRebuildFailing",
    "TrappedDataKept",
    "WaitingTooLong",
    "FencingActive",
    "StandbyBehind",
    "WritesRefused",
    "MemoryNearlyFull",
    "ClockSkew",
    "AgentSilent",
    "PodsOutdated",
    "CannotBeChanged",
    "NameTaken",
    "SubscriberCopyFailing",
    "CacheGroupsTakeLong",
    "NoCacheGroups",
    "CacheCredentialsMissing",
    "CacheAgentStopped",
    "CacheGroupsDiffer",
    "AwtBehind",
];

#[test]
fn every_reason_has_its_section() {
    let wanted: Vec<&str> = Cause::ALL.iter().map(|c| c.word()).chain(WARNINGS).collect();
    let sections: Vec<&str> = RUNBOOK.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    for word in &wanted {
        assert!(sections.contains(word), "docs/runbook.md: add a section `## {word}`");
    }
    for section in &sections {
        assert!(wanted.contains(section), "docs/runbook.md: {section} is no reason any more");
    }
}
