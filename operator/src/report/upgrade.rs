//! What is remembered of upgrades, in the status: written by `keep`, read back by `read`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::memory::outcome;
use crate::crd::{ClassicUpgradeStatus, TimesTenClassicStatus};
use crate::standing::Ending;
use crate::standing::upgrade::{Failed, Phase, Upgrade, Upgrades};

/// What the status says of upgrades; nothing before there is anything to say. `pending`: pods have not
/// got the image of the spec yet.
pub(super) fn keep(upgrades: &Upgrades, pending: bool) -> Option<ClassicUpgradeStatus> {
    let (now, last) = (upgrades.now.as_ref(), upgrades.last.as_ref());
    let said = ClassicUpgradeStatus {
        upgrade_state: now.map(|upgrade| upgrade.phase.word().into()),
        image_update_pending: pending.then_some(true),
        upgrade_start_time: now.map(|upgrade| upgrade.began.as_second()),
        prev_reset_upgrade_state: Some(upgrades.reset.clone()).filter(|reset| !reset.is_empty()),
        image: upgrades.image.clone(),
        from_image: now.map(|upgrade| upgrade.from.clone()),
        to_image: now.map(|upgrade| upgrade.to.clone()),
        tries: now.and_then(|upgrade| i32::try_from(upgrade.tries).ok()),
        failed_image: upgrades.failed.as_ref().map(|failed| failed.image.clone()),
        failure: upgrades.failed.as_ref().map(|failed| failed.why.clone()),
        outcome: last.map(|last| last.outcome.word().into()),
        message: last.map(|last| last.text.clone()),
        ended: last.map(|last| Time(last.at)),
    };
    Some(said).filter(|said| *said != ClassicUpgradeStatus::default())
}

/// The image that upgrades have come to, as the status says: all that building objects needs of it.
#[must_use]
pub fn image(status: &TimesTenClassicStatus) -> Option<String> {
    read(status.classic_upgrade_status.as_ref()?).target().map(ToOwned::to_owned)
}

/// What is remembered of upgrades, as the status says.
pub(super) fn read(status: &ClassicUpgradeStatus) -> Upgrades {
    let failed = |image: &String| Failed {
        image: image.clone(),
        why: status.failure.clone().unwrap_or_default(),
    };
    Upgrades {
        image: status.image.clone(),
        now: read_now(status),
        last: read_last(status),
        failed: status.failed_image.as_ref().map(failed),
        reset: status.prev_reset_upgrade_state.clone().unwrap_or_default(),
    }
}

fn read_now(status: &ClassicUpgradeStatus) -> Option<Upgrade> {
    let phase = status.upgrade_state.as_deref()?;
    Some(Upgrade {
        from: status.from_image.clone()?,
        to: status.to_image.clone()?,
        phase: Phase::ALL.into_iter().find(|known| known.word() == phase)?,
        tries: status.tries.and_then(|tries| u32::try_from(tries).ok()).unwrap_or_default(),
        began: Timestamp::from_second(status.upgrade_start_time?).ok()?,
    })
}

fn read_last(status: &ClassicUpgradeStatus) -> Option<Ending> {
    Some(Ending {
        outcome: outcome(status.outcome.as_deref()?)?,
        text: status.message.clone().unwrap_or_default(),
        at: status.ended.as_ref()?.0,
    })
}
