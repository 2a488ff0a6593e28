//! One certificate with its key, and the HTTP user that goes with it: what an agent and the operator
//! prove to each other that they belong to the same object.
//!
//! Keys are ECDSA P-256, because ring cannot make RSA keys; RSA keys from an existing Secret are read
//! all the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{CredentialsError, pin};

/// How long a certificate is valid, as of those that Oracle's operator makes.
pub(super) const VALIDITY: Duration = Duration::from_secs(9999 * 24 * 3600);
/// The longest common name that X.509 allows.
const LONGEST_CN: usize = 64;
const SECRET_LENGTH: usize = 16;

/// The entries of a Secret that an identity is in.
pub(super) struct Names {
    pub(super) certificate: &'static str,
    pub(super) key: &'static str,
    pub(super) user: &'static str,
    pub(super) password: &'static str,
}

impl Names {
    pub(super) const fn all(&self) -> [&'static str; 4] {
        [self.certificate, self.key, self.user, self.password]
    }
}

/// A certificate, its key, and an HTTP user.
pub struct Identity {
    parts: Parts,
    not_before: Timestamp,
    not_after: Timestamp,
    client: Arc<ClientConfig>,
}

#[derive(PartialEq, Eq)]
struct Parts {
    certificate: String,
    key: String,
    user: String,
    password: String,
}

impl Identity {
    /// A new one for the pods of the object `name` in `namespace`, valid `since` then, and for
    /// [`VALIDITY`] from `now`.
    pub(super) fn generate(
        (name, namespace): (&str, &str),
        (since, now): (Timestamp, Timestamp),
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, CredentialsError> {
        let wildcard = format!("*.{name}.{namespace}.svc.cluster.local");
        let failed = |error: rcgen::Error| CredentialsError::Generate {
            name: wildcard.clone(),
            why: error.to_string(),
        };
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = certificate_for(&wildcard, since, now, random)
            .and_then(|params| params.self_signed(&key))
            .map_err(failed)?;
        let parts = Parts {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            user: password(random),
            password: password(random),
        };
        Self::believe(parts, &super::PRESENT)
    }

    /// Reads it from the entries of a Secret.
    pub(super) fn read(
        data: &BTreeMap<String, Vec<u8>>,
        names: &Names,
    ) -> Result<Self, CredentialsError> {
        let parts = Parts {
            certificate: text(data, names.certificate)?,
            key: text(data, names.key)?,
            user: text(data, names.user)?,
            password: text(data, names.password)?,
        };
        Self::believe(parts, names)
    }

    fn believe(parts: Parts, names: &Names) -> Result<Self, CredentialsError> {
        let bad =
            |entry, why: &dyn fmt::Display| CredentialsError::Bad { entry, why: why.to_string() };
        let certificate = CertificateDer::from_pem_slice(parts.certificate.as_bytes())
            .map_err(|error| bad(names.certificate, &error))?;
        let (_, x509) = X509Certificate::from_der(&certificate)
            .map_err(|error| bad(names.certificate, &error))?;
        let validity = x509.validity();
        let at = |time: i64| {
            Timestamp::from_second(time).map_err(|error| bad(names.certificate, &error))
        };
        let not_before = at(validity.not_before.timestamp())?;
        let not_after = at(validity.not_after.timestamp())?;
        // Its error might quote what it could not read.
        let key = PrivateKeyDer::from_pem_slice(parts.key.as_bytes())
            .map_err(|_| bad(names.key, &"no private key in PEM"))?;
        let client =
            pin::client_config(certificate, key).map_err(|error| bad(names.certificate, &error))?;
        Ok(Self { parts, not_before, not_after, client: Arc::new(client) })
    }

    /// Its entries in a Secret.
    pub(super) fn entries(&self, names: &Names) -> [(&'static str, &str); 4] {
        let Parts { certificate, key, user, password } = &self.parts;
        [
            (names.certificate, certificate),
            (names.key, key),
            (names.user, user),
            (names.password, password),
        ]
    }

    /// How to make a secure connection to an agent that has it, and only to one.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// The HTTP user.
    #[must_use]
    pub fn http_user(&self) -> &str {
        &self.parts.user
    }

    /// The HTTP user's password.
    #[must_use]
    pub fn http_password(&self) -> &str {
        &self.parts.password
    }

    /// Its certificate is valid from then on.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Its certificate is valid until then.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// When it is renewed: with a third of its lifetime left, or of the usual lifetime if that is less.
    #[must_use]
    pub fn renewal(&self) -> Timestamp {
        let lifetime = self.not_after.duration_since(self.not_before);
        let lifetime = Duration::try_from(lifetime).unwrap_or_default().min(VALIDITY);
        self.not_after.saturating_sub(lifetime / 3).unwrap_or(self.not_after)
    }

    /// Its certificate is valid for a pod's name.
    pub(super) fn is_valid_for(&self, host: &str) -> bool {
        pin::is_valid_for(self.parts.certificate.as_bytes(), host)
    }

    /// It has the same certificate.
    pub(super) fn same_certificate(&self, other: &Self) -> bool {
        self.parts.certificate == other.parts.certificate
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        // All else follows from the parts.
        self.parts == other.parts
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The text of an entry.
pub(super) fn text(
    data: &BTreeMap<String, Vec<u8>>,
    entry: &'static str,
) -> Result<String, CredentialsError> {
    let bytes = data.get(entry).ok_or(CredentialsError::Missing(entry))?;
    let bad = |why: &str| CredentialsError::Bad { entry, why: why.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| bad("not text"))?;
    if text.is_empty() { Err(bad("empty")) } else { Ok(text.to_owned()) }
}

/// What the certificate says: a leaf, valid for all pods of the object, and nothing else.
fn certificate_for(
    wildcard: &str,
    since: Timestamp,
    now: Timestamp,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec![wildcard.to_owned()])?;
    // Verifiers go by the SAN; the common name is for humans, and must not be too long.
    let short = if wildcard.len() <= LONGEST_CN { wildcard } else { "timesten-agent" };
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, short);
    let date = |time: Timestamp| {
        let since_1970 = Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0));
        rcgen::date_time_ymd(1970, 1, 1) + since_1970
    };
    params.not_before = date(since);
    params.not_after = date(now) + VALIDITY;
    let mut serial = [0; SECRET_LENGTH];
    random(&mut serial);
    if let Some(first) = serial.first_mut() {
        // Positive, and of full length.
        *first = *first & 0x7f | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// A letter, then letters and digits, all equally likely.
pub(super) fn password(random: &mut dyn FnMut(&mut [u8])) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut password = String::with_capacity(SECRET_LENGTH);
    while password.len() < SECRET_LENGTH {
        let choices = if password.is_empty() { 26 } else { LETTERS.len() };
        let mut byte = [0];
        random(&mut byte);
        let number = usize::from(byte[0]);
        // The remainder is even only below the largest multiple of the number of choices.
        if number < 256 / choices * choices
            && let Some(letter) = LETTERS.get(number % choices)
        {
            password.push(char::from(*letter));
        }
    }
    password
}
