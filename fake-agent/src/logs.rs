//! What a container writes: the agent to its output, the daemon to its log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines kept of each of a container's logs.
const KEPT: usize = 2000;

/// What one incarnation of a container wrote: it can be read while the container runs, and afterwards.
/// When there are too many lines, the oldest go.
#[derive(Clone, Debug, Default)]
pub struct Logs(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    agent: VecDeque<Line>,
    daemon: VecDeque<Line>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in seconds since 1970.
    pub unix: i64,
    /// What, without the end of the line.
    pub text: String,
}

impl Logs {
    /// What the agent said, oldest line first: its start and end, what it was told to do and what
    /// came of it, connections that failed. The output of container `tt`.
    #[must_use]
    pub fn agent(&self) -> Vec<Line> {
        self.with(|written| written.agent.iter().cloned().collect())
    }

    /// The daemon log, oldest line first, as `ttmesg.log` has it: what became of the instance and
    /// its database. The output of container `daemonlog`.
    #[must_use]
    pub fn daemon(&self) -> Vec<Line> {
        self.with(|written| written.daemon.iter().cloned().collect())
    }

    pub(crate) fn agent_says(&self, unix: i64, text: String) {
        self.with(|written| push(&mut written.agent, Line { unix, text }));
    }

    pub(crate) fn daemon_says(&self, unix: i64, pid: u64, text: &str) {
        let text = format!("{unix} Info:    : {pid}: {text}");
        self.with(|written| push(&mut written.daemon, Line { unix, text }));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Written) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn push(lines: &mut VecDeque<Line>, line: Line) {
    if lines.len() >= KEPT {
        lines.pop_front();
    }
    lines.push_back(line);
}
