//! What is remembered of upgrades of a pair's image.
//!
//! Never: holds what can be observed again. How far an upgrade is shows in the images of the pods;
//! what is on record is which image they are to have, and which they had.

use jiff::Timestamp;

use super::Ending;

/// What is remembered of upgrades.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upgrades {
    /// The image that pods are made with.
    pub image: Option<String>,
    /// The upgrade that is under way.
    pub now: Option<Upgrade>,
    /// How the last one ended.
    pub last: Option<Ending>,
    /// The image that could not be upgraded to. It is not tried again.
    pub failed: Option<Failed>,
    /// The last value of `resetUpgradeState` that was heeded.
    pub reset: String,
}

impl Upgrades {
    /// The image that pods are to have.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.now.as_ref().map_or(self.image.as_deref(), |upgrade| Some(upgrade.target()))
    }
}

/// An upgrade: both pods get another image, the standby's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The image that the pair had when it was whole.
    pub from: String,
    /// The image that it is to have.
    pub to: String,
    /// How far it is.
    pub phase: Phase,
    /// Changes of roles for it that were given up in a row.
    pub tries: u32,
    /// When it began.
    pub began: Timestamp,
}

impl Upgrade {
    /// The image that pods are to have now.
    #[must_use]
    pub fn target(&self) -> &str {
        if self.phase == Phase::Back { &self.from } else { &self.to }
    }
}

/// How far an upgrade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The standby's pod is made anew.
    Standby,
    /// The standby has the new image: the roles change, and the old active's pod is made anew.
    Active,
    /// Both pods get the old image again.
    Back,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standby, Self::Active, Self::Back];

    /// The word in the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Standby => "UpgradingStandby",
            Self::Active => "UpgradingActive",
            Self::Back => "RollingBack",
        }
    }
}

/// An image that could not be upgraded to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub image: String,
    /// Why.
    pub why: String,
}
