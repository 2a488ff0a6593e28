//! How the databases belong together, and who replaces the pods of those that do not.

use super::policy::{self, ImageUpgrades};
use super::{SpecProblem, choice};
use crate::crd::TtSpec;

/// How the databases belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One replicates to the other. The operator replaces their pods.
    ActiveStandbyPair,
    /// They are independent.
    NonReplicated {
        /// How many.
        replicas: i32,
        /// Who replaces their pods when the template changes.
        replaced: Replaced,
    },
}

/// Who replaces the pods of databases without replication when their template changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The StatefulSet, one after the other from the highest ordinal down to this one.
    DownTo(i32),
    /// The user, who deletes them.
    ByHand,
}

impl Topology {
    /// That of the spec.
    pub(super) fn of(tt: &TtSpec) -> Result<Self, SpecProblem> {
        let choices = [("activeStandbyPair", true), ("none", false)];
        let word = Some(tt.replication_topology.as_str());
        if choice("ttspec.replicationTopology", word, choices)? {
            return Ok(Self::ActiveStandbyPair);
        }
        let replicas = tt.replicas.unwrap_or(1);
        if !(1..=100).contains(&replicas) {
            let problem = format!("{replicas} is out of range");
            let cure = "write a number from 1 to 100";
            return Err(SpecProblem::new("ttspec.replicas", problem, cure));
        }
        Ok(Self::NonReplicated { replicas, replaced: replaced(tt)? })
    }
}

/// `imageUpgradeStrategy: Manual` or `updateStrategy.type: OnDelete` leave it to the user, who is
/// then not held up by a partition either.
fn replaced(tt: &TtSpec) -> Result<Replaced, SpecProblem> {
    let manual = policy::image_upgrades(tt)? == ImageUpgrades::Manual;
    let strategy = tt.update_strategy.as_ref();
    let word = strategy.map(|strategy| strategy.type_.as_str());
    let choices = [("RollingUpdate", false), ("OnDelete", true)];
    let on_delete = choice("ttspec.updateStrategy.type", word, choices)?;
    if manual || on_delete {
        return Ok(Replaced::ByHand);
    }
    let alias = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.partition);
    let partition = tt.rolling_update_partition.or(alias).unwrap_or(0);
    if partition < 0 {
        let problem = format!("{partition} is out of range");
        let cure = "write the lowest ordinal that is to be upgraded, 0 for all";
        return Err(SpecProblem::new("ttspec.rollingUpdatePartition", problem, cure));
    }
    Ok(Replaced::DownTo(partition))
}
