//! Which commits a copy holds, exactly and cheaply. Log positions count up along a copy; a new
//! lineage begins whenever a database is created or made active, so two copies that were both
//! written to can be told apart from the position where they part.

use crate::view::CommitId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    lineage: u64,
    from: u64,
}

/// The commits of one copy: spans of lineages up to `end`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    spans: Vec<Span>,
    end: u64,
}

impl History {
    /// Last position held.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Commits from here on belong to `lineage`.
    pub(crate) fn fork(&mut self, lineage: u64) {
        let from = self.end + 1;
        self.spans.retain(|span| span.from < from);
        self.spans.push(Span { lineage, from });
    }

    /// The id a commit at `lsn` (beyond `end`) has here.
    pub(crate) fn id_at(&self, lsn: u64) -> CommitId {
        CommitId { lineage: self.spans.last().map_or(0, |span| span.lineage), lsn }
    }

    /// Holds everything up to `lsn` now; never shrinks.
    pub(crate) fn extend_to(&mut self, lsn: u64) {
        self.end = self.end.max(lsn);
    }

    /// Forgets everything after `lsn`.
    pub(crate) fn truncate(&mut self, lsn: u64) {
        self.end = self.end.min(lsn);
    }

    /// The copy holds this commit.
    pub(crate) fn holds(&self, id: CommitId) -> bool {
        let covering = self.spans.iter().rev().find(|span| span.from <= id.lsn);
        id.lsn <= self.end && covering.is_some_and(|span| span.lineage == id.lineage)
    }

    /// The last position up to which both hold the same commits.
    pub(crate) fn common(&self, other: &Self) -> u64 {
        let same = self.spans.iter().zip(&other.spans).take_while(|(a, b)| a == b).count();
        // Where either begins a span the other lacks, they part.
        let parting =
            |history: &Self| history.spans.get(same).map_or(u64::MAX, |span| span.from - 1);
        self.end.min(other.end).min(parting(self)).min(parting(other))
    }

    /// `other` holds everything this one holds.
    pub(crate) fn is_prefix_of(&self, other: &Self) -> bool {
        self.common(other) >= self.end
    }

    /// Both are of the same lineage now, so that the longer one merely is ahead.
    pub(crate) fn same_lineage(&self, other: &Self) -> bool {
        self.spans.last() == other.spans.last()
    }
}
