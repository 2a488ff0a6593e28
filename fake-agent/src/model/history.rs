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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The same, kept the plain way.
    #[derive(Clone, Default)]
    struct Plain {
        commits: Vec<CommitId>,
        lineage: u64,
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Commit(usize, u64),
        Fork(usize),
        Copy(usize, usize),
        LoseTail(usize, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_usize, 1..4_u64).prop_map(|(at, n)| Step::Commit(at, n)),
            (0..3_usize).prop_map(Step::Fork),
            (0..3_usize, 0..3_usize).prop_map(|(from, to)| Step::Copy(from, to)),
            (0..3_usize, 0..4_u64).prop_map(|(at, n)| Step::LoseTail(at, n)),
        ]
    }

    fn fork(lineage: &mut u64, copy: &mut (History, Plain)) {
        *lineage += 1;
        copy.0.fork(*lineage);
        copy.1.lineage = *lineage;
    }

    fn take(lineage: &mut u64, copies: &mut [(History, Plain); 3], step: Step) {
        match step {
            Step::Commit(at, n) => {
                let (history, plain) = &mut copies[at];
                for _ in 0..n {
                    let lsn = history.end() + 1;
                    assert_eq!(history.id_at(lsn).lineage, plain.lineage);
                    history.extend_to(lsn);
                    plain.commits.push(CommitId { lineage: plain.lineage, lsn });
                }
            }
            Step::Fork(at) => fork(lineage, &mut copies[at]),
            Step::Copy(from, to) => {
                copies[to] = copies[from].clone();
                // A copy is written to only after it was made active.
                fork(lineage, &mut copies[to]);
            }
            Step::LoseTail(at, n) => {
                let (history, plain) = &mut copies[at];
                let kept = history.end().saturating_sub(n);
                history.truncate(kept);
                plain.commits.retain(|id| id.lsn <= kept);
                fork(lineage, &mut copies[at]);
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_sets_of_commits(steps in prop::collection::vec(step(), 0..40)) {
            let mut lineage = 0;
            let mut copies: [(History, Plain); 3] = Default::default();
            copies.iter_mut().for_each(|copy| fork(&mut lineage, copy));
            for step in steps {
                take(&mut lineage, &mut copies, step);
            }
            let every: BTreeSet<CommitId> =
                copies.iter().flat_map(|(_, plain)| plain.commits.iter().copied()).collect();
            for (history, plain) in &copies {
                for id in &every {
                    prop_assert_eq!(history.holds(*id), plain.commits.contains(id));
                }
                for (other, other_plain) in &copies {
                    let same = plain.commits.iter().zip(&other_plain.commits);
                    let common = same.take_while(|(a, b)| a == b).count();
                    prop_assert_eq!(history.common(other), common as u64);
                    let within = plain.commits.iter().all(|id| other_plain.commits.contains(id));
                    prop_assert_eq!(history.is_prefix_of(other), within);
                }
            }
        }
    }
}
