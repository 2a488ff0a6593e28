//! What is remembered of planned changes of roles.

use jiff::Timestamp;

/// A planned change of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switchover {
    /// What brought it about.
    pub occasion: Occasion,
    /// How far it is.
    pub stage: Stage,
    /// When it began.
    pub since: Timestamp,
}

/// What brings a planned change of roles about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// `switchover` was changed.
    Asked,
    /// The standby has the new image, and the active is to get it.
    Upgrade,
    /// The active's node is to take no pods any more: it is about to be drained.
    Drain,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Asked, Self::Upgrade, Self::Drain];

    /// The word in the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "Asked",
            Self::Upgrade => "Upgrade",
            Self::Drain => "Drain",
        }
    }
}

/// How far a planned change of roles is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Clients are kept out, and the standby gets what it has not got yet.
    Quiesce,
    /// The standby has everything: the active gives up its role, and the standby takes it.
    Handover,
    /// It was given up, and the active is opened to clients again.
    Undo,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quiesce, Self::Handover, Self::Undo];

    /// The word in the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quiesce => "Quiesce",
            Self::Handover => "Handover",
            Self::Undo => "Undo",
        }
    }
}

/// How a planned change of roles ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Well, or not.
    pub outcome: Outcome,
    /// A sentence about it.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// How well a planned change of roles ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The roles have changed.
    Done,
    /// It was begun, and the old active is the active still, or again.
    GivenUp,
    /// It was not begun.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Done, Self::GivenUp, Self::Refused];

    /// The word in the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::GivenUp => "GivenUp",
            Self::Refused => "Refused",
        }
    }
}
