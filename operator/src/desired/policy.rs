//! What the user wants done where safety and availability pull apart.

use super::SpecProblem;
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

/// That of the spec. An unknown word is refused: the default would be the less cautious one.
pub(super) fn fencing(tt: &TtSpec) -> Result<FencingPolicy, SpecProblem> {
    match tt.fencing_policy.as_deref() {
        None | Some("RouteFenced") => Ok(FencingPolicy::RouteFenced),
        Some("Confirmed") => Ok(FencingPolicy::Confirmed),
        Some(other) => {
            let problem = format!("{other:?} is not known");
            Err(SpecProblem::new("ttspec.fencingPolicy", problem, "write RouteFenced or Confirmed"))
        }
    }
}

/// That of the spec.
pub(super) fn trapped(tt: &TtSpec) -> Result<TrappedData, SpecProblem> {
    match tt.trapped_data.as_deref() {
        None | Some("Keep") => Ok(TrappedData::Keep),
        Some("Discard") => Ok(TrappedData::Discard),
        Some(other) => {
            let problem = format!("{other:?} is not known");
            Err(SpecProblem::new("ttspec.trappedData", problem, "write Keep or Discard"))
        }
    }
}

/// That of the spec.
pub(super) fn both_down(tt: &TtSpec) -> Result<BothDownBehavior, SpecProblem> {
    match tt.both_down_behavior.as_deref() {
        None | Some("Best") => Ok(BothDownBehavior::Best),
        Some("Manual") => Ok(BothDownBehavior::Manual),
        Some(other) => {
            let problem = format!("{other:?} is not known");
            Err(SpecProblem::new("ttspec.bothDownBehavior", problem, "write Best or Manual"))
        }
    }
}
