//! What people read of the agents' credentials.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::About;
use super::conditions::{Say, unless, words};
use super::events::Note;
use crate::crd::{Condition, TimesTenClassicStatus};
use crate::credentials::keeping::Upkeep;

/// The Secret is as it should be, and all agents have its certificate.
const CREDENTIALS_CURRENT: &str = "CredentialsCurrent";
/// Somebody has edited the Secret, and it is written back.
const EDITED: &str = "SecretEdited";
/// There is a new certificate that some agents have yet to take up.
const RENEWED: &str = "CertificateRenewed";

/// The condition, once there are credentials.
pub(super) fn condition(about: &About<'_>) -> Option<Say> {
    let upkeep = about.owned.credentials.as_ref()?;
    let (wrong, good) = match upkeep {
        Upkeep::Edited(why) => (Some(words(EDITED, why)), String::new()),
        Upkeep::Renewed(pods) => {
            let text = format!(
                "the agents' certificate was renewed; {} had the former one when last heard, or were \
                 not heard; each takes up the new one when its tt container is started next, and \
                 both are used until then",
                pods.join(", ")
            );
            (Some(words(RENEWED, &text)), String::new())
        }
        Upkeep::Current { until, renewal } => (
            None,
            format!(
                "the agents' certificate is valid until {}, and is renewed on {}",
                date(*until),
                date(*renewal)
            ),
        ),
    };
    Some(unless(CREDENTIALS_CURRENT, wrong, ("Current", &good)))
}

fn date(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// What has changed.
pub(super) fn notes(before: &TimesTenClassicStatus, after: &TimesTenClassicStatus) -> Option<Note> {
    let of = |status: &TimesTenClassicStatus| -> Option<Condition> {
        status.conditions.iter().find(|c| c.type_ == CREDENTIALS_CURRENT).cloned()
    };
    let (was, now) = (of(before)?, of(after)?);
    if was.reason == now.reason {
        return None;
    }
    Some(match now.reason.as_str() {
        EDITED => Note::warning("Error", now.message),
        RENEWED => Note::normal("Change", now.message),
        _ if was.reason == RENEWED => {
            Note::normal("Change", "all agents have the renewed certificate".into())
        }
        _ => return None,
    })
}
