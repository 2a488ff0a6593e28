//! The timeline of a run: what happened, when, by whom, one line each.
//!
//! Never: holds what differs from run to run; UIDs and the like do not get in.

use std::fmt;
use std::time::Duration;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// Whoever works with kubectl: the steps of the scenario.
    User,
    /// The operator.
    Operator,
    /// Kubernetes: its controllers and kubelets.
    Kubernetes,
    /// TimesTen and its agent in a pod.
    TimesTen,
    /// A fault that the scenario injects.
    Fault,
    /// The application that writes.
    App,
    /// What watches over the run.
    Oracle,
}

impl Who {
    /// The word in the timeline.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Kubernetes => "kubernetes",
            Self::TimesTen => "timesten",
            Self::Fault => "fault",
            Self::App => "app",
            Self::Oracle => "oracle",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    /// When, since the world began.
    pub at: Duration,
    /// By whom.
    pub who: Who,
    /// What.
    pub text: String,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3}  {:<10}  {}", self.at.as_secs_f64(), self.who.word(), self.text)
    }
}

/// Everything that happened, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline(pub Vec<Moment>);

impl Timeline {
    /// The moments near `at`: at most `most`, those before it first of all.
    #[must_use]
    pub fn around(&self, at: Duration, most: usize) -> &[Moment] {
        let end = self.0.partition_point(|moment| moment.at <= at);
        let end = (end + most / 4).min(self.0.len());
        self.0.get(end.saturating_sub(most)..end).unwrap_or_default()
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|moment| writeln!(f, "{moment}"))
    }
}
