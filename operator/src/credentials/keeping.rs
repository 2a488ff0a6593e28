//! Keeping the Secret of an object: what agents are spoken to with, and what the Secret has to say.
//!
//! Never: acts. Agents take the Secret up when their containers start, so that what those that run
//! have must not be given up: an edit is used only if every agent can still be spoken to, and undone
//! otherwise (I15). What is to be used is written first, and held when the Secret shows it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Credentials, CredentialsError};

/// What was read of a Secret.
pub type Read = Result<Credentials, CredentialsError>;

/// What is known of an object's credentials.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// What agents are spoken to with.
    pub held: &'a Credentials,
    /// What the Secret is to say instead, if that was decided before.
    pub wanted: Option<&'a Credentials>,
    /// What the Secret says, as the watch shows it; none if there is no Secret.
    pub shown: Option<&'a Read>,
    /// Every agent there has to be was heard, and has the present identity.
    pub all_present: bool,
    /// A pod's name in DNS.
    pub host: &'a str,
    /// The time, for certificates.
    pub now: Timestamp,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The Secret is to say what is held.
    Keep,
    /// It is to say what was decided before.
    Await,
    /// It is to say this.
    Write(Credentials),
    /// It is to get a new certificate.
    Renew,
    /// What it says is held from now on.
    Hold(Credentials),
    /// Somebody has edited it in a way that cannot be used: why. It is to say what is held.
    Undo(String),
}

/// How an object's credentials are, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// All agents have the present certificate.
    Current {
        /// It is valid until then.
        until: Timestamp,
        /// When it is renewed.
        renewal: Timestamp,
    },
    /// There is a new certificate; these pods are not known to have taken it up.
    Renewed(Vec<String>),
    /// The Secret was edited, and is written back: why.
    Edited(String),
}

/// Decides.
#[must_use]
pub fn next(scene: &Scene<'_>) -> Next {
    let held = scene.held;
    let shown = match scene.shown {
        None => return Next::Await,
        Some(Err(error)) => return Next::Undo(error.to_string()),
        Some(Ok(shown)) => shown,
    };
    if shown == held {
        return steady(scene);
    }
    // Another operator may have renewed it in the meantime.
    let renewed = shown.agent == held.agent && shown.former.as_ref() == Some(&held.present);
    if scene.wanted == Some(shown) || renewed {
        return Next::Hold(shown.clone());
    }
    match unusable(scene, shown) {
        Some(why) => Next::Undo(why.to_owned()),
        None => Next::Write(held.replaced(Arc::clone(&shown.present))),
    }
}

/// The Secret says what is held.
fn steady(scene: &Scene<'_>) -> Next {
    let held = scene.held;
    let due = scene.now >= held.present.renewal();
    match (&held.former, scene.wanted) {
        (Some(_), _) if scene.all_present => Next::Write(held.settled()),
        (Some(_), _) => Next::Keep,
        (None, Some(wanted)) if due && wanted.former.as_ref() == Some(&held.present) => Next::Await,
        (None, _) if due => Next::Renew,
        (None, _) => Next::Keep,
    }
}

/// Why what somebody has written into the Secret cannot be used.
fn unusable(scene: &Scene<'_>, shown: &Credentials) -> Option<&'static str> {
    let held = scene.held;
    if shown.agent != held.agent {
        return Some("agentUser and agentPassword must stay: databases know that user");
    }
    if shown.present == held.present {
        return Some("the entries former.* must stay until no agent needs them any more");
    }
    if shown.present.same_certificate(&held.present) {
        return Some("another key or HTTP user needs another certificate");
    }
    if held.former.is_some() {
        return Some("agents have yet to take up the last new certificate");
    }
    if !shown.present.is_valid_for(scene.host) {
        return Some("the certificate is not valid for the names of the pods");
    }
    (shown.present.not_after() <= scene.now).then_some("the certificate has expired")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "sample-0.sample.ns.svc.cluster.local";
    const MADE: &str = "2026-01-01T00:00:00Z";

    fn made(name: &str) -> Credentials {
        Credentials::generate(name, "ns", MADE.parse().unwrap(), &mut |b| b.fill(7)).unwrap()
    }

    fn renewed(of: &Credentials) -> Credentials {
        of.renewed("sample", "ns", MADE.parse().unwrap(), &mut |b| b.fill(9)).unwrap()
    }

    fn edited(of: &Credentials, entry: &str, text: &str) -> Read {
        let mut data = of.to_secret_data();
        data.insert(entry.to_owned(), text.as_bytes().to_vec());
        Credentials::from_secret_data(&data)
    }

    fn look<'a>(held: &'a Credentials, shown: Option<&'a Read>) -> Scene<'a> {
        let now = MADE.parse().unwrap();
        Scene { held, wanted: None, shown, all_present: true, host: HOST, now }
    }

    fn undone(next: &Next) -> &str {
        match next {
            Next::Undo(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_as_it_should_be_is_kept_until_a_third_is_left() {
        let held = made("sample");
        let shown = Ok(held.clone());
        assert_eq!(next(&look(&held, Some(&shown))), Next::Keep);
        let renewal = held.present.renewal();
        let days = (held.present.not_after().as_second() - renewal.as_second()) / 86_400;
        assert_eq!(days, 3333);
        let day = jiff::SignedDuration::from_hours(24);
        let before = Scene { now: renewal - day, ..look(&held, Some(&shown)) };
        assert_eq!(next(&before), Next::Keep);
        let due = Scene { now: renewal, ..look(&held, Some(&shown)) };
        assert_eq!(next(&due), Next::Renew);
        // Once one was made it is waited for, however often it is looked.
        let wanted = renewed(&held);
        assert_eq!(next(&Scene { wanted: Some(&wanted), ..due }), Next::Await);
    }

    #[test]
    fn the_former_identity_goes_when_no_agent_needs_it() {
        let held = renewed(&made("sample"));
        let shown = Ok(held.clone());
        let waits = Scene { all_present: false, ..look(&held, Some(&shown)) };
        assert_eq!(next(&waits), Next::Keep);
        let settled = held.settled();
        assert_eq!(next(&look(&held, Some(&shown))), Next::Write(settled.clone()));
        let shown = Ok(settled.clone());
        let written = Scene { wanted: Some(&settled), ..waits };
        assert_eq!(next(&Scene { shown: Some(&shown), ..written }), Next::Hold(settled));
        // The same by another's hand is no good.
        let by_hand = Scene { shown: Some(&shown), ..waits };
        assert!(undone(&next(&by_hand)).contains("former.*"));
    }

    #[test]
    fn what_was_renewed_is_held_when_the_secret_shows_it() {
        let held = made("sample");
        let shown = Ok(renewed(&held));
        let expected = Next::Hold(renewed_of(&shown));
        assert_eq!(next(&look(&held, Some(&shown))), expected);
    }

    fn renewed_of(shown: &Read) -> Credentials {
        shown.clone().unwrap()
    }

    #[test]
    fn another_certificate_is_used_beside_the_one_that_agents_have() {
        let (held, other) = (made("sample"), made("sample"));
        let mut data = other.to_secret_data();
        data.extend(held.to_secret_data().into_iter().filter(|(key, _)| key.starts_with("agent")));
        let shown = Credentials::from_secret_data(&data);
        let both = held.replaced(Arc::clone(&other.present));
        assert_eq!(next(&look(&held, Some(&shown))), Next::Write(both.clone()));
        // But not while agents have a third one.
        let busy = held.replaced(Arc::clone(&made("sample").present));
        assert!(undone(&next(&look(&busy, Some(&shown)))).contains("yet to take up"));
        assert_eq!(both.former(), Some(held.present()));
    }

    #[rstest::rstest]
    #[case("tls.crt", "rubbish", "tls.crt")]
    #[case("tls.key", "rubbish", "tls.key")]
    #[case("httpPassword", "", "httpPassword")]
    #[case("httpPassword", "another", "needs another certificate")]
    #[case("agentPassword", "another", "must stay")]
    fn an_edit_that_locks_agents_out_is_undone(
        #[case] entry: &str,
        #[case] text: &str,
        #[case] why: &str,
    ) {
        let held = made("sample");
        let shown = edited(&held, entry, text);
        let next = next(&look(&held, Some(&shown)));
        assert!(undone(&next).contains(why), "{next:?}");
    }

    #[test]
    fn a_certificate_that_agents_could_not_use_is_undone() {
        let (held, foreign) = (made("sample"), made("other"));
        let shown = Ok(foreign);
        assert!(undone(&next(&look(&held, Some(&shown)))).contains("names of the pods"));
        let shown = Ok(made("sample"));
        let late = Scene { now: held.present.not_after(), ..look(&held, Some(&shown)) };
        assert!(undone(&next(&late)).contains("expired"));
    }

    #[test]
    fn a_secret_that_is_gone_is_made_again() {
        let held = made("sample");
        assert_eq!(next(&look(&held, None)), Next::Await);
    }
}
