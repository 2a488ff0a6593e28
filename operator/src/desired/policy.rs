//! What the user wants done where safety and availability pull apart.

use super::{SpecProblem, choice};
use crate::crd::TtSpec;

/// When an active that cannot be asked may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FencingPolicy {
    /// When clients are no longer sent there and its peer has lost touch with it.
    RouteFenced,
    /// Only when its end is confirmed.
    Confirmed,
}

/// What becomes of commits that an old active took after its peer was promoted without proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrappedData {
    /// Its database is left alone until a human says otherwise.
    Keep,
    /// It is destroyed and copied anew.
    Discard,
}

/// What happens when both databases fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BothDownBehavior {
    /// The better one is brought up.
    Best,
    /// A human decides.
    Manual,
}

/// What becomes of a pod without replication whose database is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseLost {
    /// A human decides.
    Manual,
    /// It is created anew, and is empty.
    Recreate,
}

/// Who replaces the pods of a pair when the image changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageUpgrades {
    /// The operator, one after the other, with a planned change of roles between them.
    Automatic,
    /// The user, who deletes them.
    Manual,
}

/// That of the spec.
pub(super) fn image_upgrades(tt: &TtSpec) -> Result<ImageUpgrades, SpecProblem> {
    let choices = [("Auto", ImageUpgrades::Automatic), ("Manual", ImageUpgrades::Manual)];
    choice("ttspec.imageUpgradeStrategy", tt.image_upgrade_strategy.as_deref(), choices)
}

/// That of the spec.
pub(super) fn fencing(tt: &TtSpec) -> Result<FencingPolicy, SpecProblem> {
    use FencingPolicy::{Confirmed, RouteFenced};
    let choices = [("RouteFenced", RouteFenced), ("Confirmed", Confirmed)];
    choice("ttspec.fencingPolicy", tt.fencing_policy.as_deref(), choices)
}

/// That of the spec.
pub(super) fn trapped(tt: &TtSpec) -> Result<TrappedData, SpecProblem> {
    let choices = [("Keep", TrappedData::Keep), ("Discard", TrappedData::Discard)];
    choice("ttspec.trappedData", tt.trapped_data.as_deref(), choices)
}

/// That of the spec.
pub(super) fn both_down(tt: &TtSpec) -> Result<BothDownBehavior, SpecProblem> {
    let choices = [("Best", BothDownBehavior::Best), ("Manual", BothDownBehavior::Manual)];
    choice("ttspec.bothDownBehavior", tt.both_down_behavior.as_deref(), choices)
}

/// That of the spec.
pub(super) fn database_lost(tt: &TtSpec) -> Result<DatabaseLost, SpecProblem> {
    let choices = [("Manual", DatabaseLost::Manual), ("Recreate", DatabaseLost::Recreate)];
    let word = tt.database_lost_behavior.as_deref();
    choice("ttspec.databaseLostBehavior", word, choices)
}
