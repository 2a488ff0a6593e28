//! Where the subscribers of a pair stand: the durable memory of each.
//!
//! Never: holds what can be observed again.

use super::{Incarnation, PodIntent};

/// The state of a subscriber (`status.podStatus[].highLevelState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriberState {
    /// The replication scheme does not name it, so that nobody would feed it.
    NotProvisioned,
    /// It has not followed yet.
    #[default]
    Initializing,
    /// It follows, as far as is known.
    Normal,
    /// It does not, and is being brought back.
    Down,
}

impl SubscriberState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::NotProvisioned, Self::Initializing, Self::Normal, Self::Down];

    /// The word in the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotProvisioned => "NotProvisioned",
            Self::Initializing => "Initializing",
            Self::Normal => "Normal",
            Self::Down => "Down",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// The durable memory of one subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriber {
    /// Where it stands.
    pub state: SubscriberState,
    /// The incarnation in which it last followed, or was copied; none: what database it has, if any,
    /// is not known to be of this pair.
    pub known: Option<Incarnation>,
    /// The irreversible act that is about to be done in it.
    pub intent: Option<PodIntent>,
    /// The copy under way.
    pub task: Option<PodTask>,
    /// How many copies were begun since it last followed: the pauses between them grow (I5).
    pub copies: u32,
}

impl Subscriber {
    /// It is fit for use.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.state == SubscriberState::Normal
    }
}

/// A copy into a pod, recorded before it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTask {
    /// Its request id.
    pub id: String,
    /// The incarnation it was started in: another one does not know it (I13).
    pub incarnation: Incarnation,
    /// When it was started, seconds since 1970.
    pub started: i64,
}
