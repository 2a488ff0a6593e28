//! What is remembered of cache groups: what became of `cachegroups.sql`, and at the end of the object
//! how far the clean-up is.
//!
//! Never: holds what can be observed again, such as how many cache groups there are.

use crate::pair::Both;

/// The cache groups of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    /// What became of `cachegroups.sql`.
    pub script: Script,
    /// How far each member's clean-up is, once the object is being deleted.
    pub cleanup: Both<Cleanup>,
}

/// What became of `cachegroups.sql`: the user's SQL, which must not run twice. While it runs there is
/// a task of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Script {
    /// It has not been run.
    #[default]
    NotRun,
    /// Its container ended while it ran: what it has done is not known yet.
    Interrupted,
    /// It ran to its end, or its cache groups were there already.
    Complete,
    /// It was refused, or nobody knows how far it came: what was said.
    Failed(String),
}

impl Script {
    /// The word in the status.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotRun => "NotRun",
            Self::Interrupted => "Interrupted",
            Self::Complete => "Complete",
            Self::Failed(_) => "Failed",
        }
    }

    /// That of a word in the status, and what it says.
    #[must_use]
    pub fn read(word: &str, text: &str) -> Self {
        let all = [Self::NotRun, Self::Interrupted, Self::Complete, Self::Failed(text.to_owned())];
        all.into_iter().find(|script| script.word() == word).unwrap_or_default()
    }
}

/// How far the clean-up of one member is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cleanup {
    /// It is to be done.
    #[default]
    Due,
    /// The member cannot do it: its peer does it for both.
    ByPeer,
    /// It is done, or there was nothing to do.
    Done,
    /// It was given up: what is left, and what a human can do.
    Left(String),
}

impl Cleanup {
    /// The word in the status.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Due => "Due",
            Self::ByPeer => "ByPeer",
            Self::Done => "Done",
            Self::Left(_) => "Left",
        }
    }

    /// That of a word in the status, and what it says.
    #[must_use]
    pub fn read(word: &str, text: &str) -> Self {
        let all = [Self::Due, Self::ByPeer, Self::Done, Self::Left(text.to_owned())];
        all.into_iter().find(|cleanup| cleanup.word() == word).unwrap_or_default()
    }

    /// Nothing more will be done about it.
    #[must_use]
    pub const fn settled(&self) -> bool {
        matches!(self, Self::Done | Self::Left(_))
    }
}
