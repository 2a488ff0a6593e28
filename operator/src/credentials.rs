//! The key, certificate and passwords that an object's operator and agents share.
//!
//! One set an object, made once, kept in its Secret and in memory; never on disk, never shown.
//! The certificate is self-signed and its own trust anchor: whoever presents it and proves to hold
//! its key belongs to the object. Keys are ECDSA P-256, because ring cannot make RSA keys; RSA keys
//! from an existing Secret are read all the same.
//!
//! Oracle's agent reads its set from a wallet (`cwallet.sso`) that only TimesTen's `ttUser` can
//! write. An image that has it adds that entry to the map of [`Credentials::to_secret_data`];
//! [`Credentials::from_secret_data`] leaves entries it does not know alone.

mod pin;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Secret entry: the certificate, PEM.
pub const CERTIFICATE: &str = "tls.crt";
/// Secret entry: the private key, PEM (PKCS#8).
pub const KEY: &str = "tls.key";
/// Secret entry: the database user the agent works as.
pub const AGENT_USER: &str = "agentUser";
/// Secret entry: that user's password.
pub const AGENT_PASSWORD: &str = "agentPassword";
/// Secret entry: the HTTP user.
pub const HTTP_USER: &str = "httpUser";
/// Secret entry: the HTTP user's password.
pub const HTTP_PASSWORD: &str = "httpPassword";

/// The database user every agent works as.
const TTAGENT: &str = "ttagent";
/// How long a certificate is valid; it is never renewed.
const VALIDITY: Duration = Duration::from_secs(9999 * 24 * 3600);
/// The longest common name that X.509 allows.
const LONGEST_CN: usize = 64;
const SECRET_LENGTH: usize = 16;

/// One object's credentials.
#[derive(Clone)]
pub struct Credentials {
    parts: Parts,
    client: Arc<ClientConfig>,
}

/// The entries of the Secret.
#[derive(Clone, PartialEq, Eq)]
struct Parts {
    certificate: String,
    key: String,
    agent_user: String,
    agent_password: String,
    http_user: String,
    http_password: String,
}

/// Why there are no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The Secret lacks an entry.
    #[error(
        "the agent Secret has no entry {0}; delete the Secret and restart the pods to have it made anew"
    )]
    Missing(&'static str),
    /// An entry is not what it should be.
    #[error(
        "entry {entry} of the agent Secret is of no use: {why}; delete the Secret and restart the pods to have it made anew"
    )]
    Bad {
        /// The entry's key.
        entry: &'static str,
        /// What is wrong; never its content.
        why: String,
    },
    /// No certificate could be made for this name.
    #[error("cannot make a certificate for {name}: {why}; choose another object or namespace name")]
    Generate {
        /// The DNS name it was for.
        name: String,
        /// What is wrong.
        why: String,
    },
}

impl Credentials {
    /// New credentials for the object `name` in `namespace`, valid from `not_before`.
    ///
    /// `random` fills the passwords and the certificate's serial number. The key comes from ring's
    /// own source, the system's, which takes no other.
    ///
    /// # Errors
    /// If the names make no valid DNS name.
    pub fn generate(
        name: &str,
        namespace: &str,
        not_before: jiff::Timestamp,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, CredentialsError> {
        let wildcard = format!("*.{name}.{namespace}.svc.cluster.local");
        let failed = |error: rcgen::Error| CredentialsError::Generate {
            name: wildcard.clone(),
            why: error.to_string(),
        };
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = certificate_for(&wildcard, not_before, random)
            .and_then(|params| params.self_signed(&key))
            .map_err(failed)?;
        Self::believe(Parts {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            agent_user: TTAGENT.to_owned(),
            agent_password: password(random),
            http_user: password(random),
            http_password: password(random),
        })
    }

    /// Reads the entries of the Secret.
    ///
    /// # Errors
    /// If an entry is missing, or the certificate and key are not a pair that can be used.
    pub fn from_secret_data(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, CredentialsError> {
        let text = |entry: &'static str| {
            let bytes = data.get(entry).ok_or(CredentialsError::Missing(entry))?;
            let bad = |why: &str| CredentialsError::Bad { entry, why: why.to_owned() };
            let text = std::str::from_utf8(bytes).map_err(|_| bad("not text"))?;
            if text.is_empty() { Err(bad("empty")) } else { Ok(text.to_owned()) }
        };
        Self::believe(Parts {
            certificate: text(CERTIFICATE)?,
            key: text(KEY)?,
            agent_user: text(AGENT_USER)?,
            agent_password: text(AGENT_PASSWORD)?,
            http_user: text(HTTP_USER)?,
            http_password: text(HTTP_PASSWORD)?,
        })
    }

    /// The entries of the Secret.
    #[must_use]
    pub fn to_secret_data(&self) -> BTreeMap<String, Vec<u8>> {
        let parts = &self.parts;
        let entries = [
            (CERTIFICATE, &parts.certificate),
            (KEY, &parts.key),
            (AGENT_USER, &parts.agent_user),
            (AGENT_PASSWORD, &parts.agent_password),
            (HTTP_USER, &parts.http_user),
            (HTTP_PASSWORD, &parts.http_password),
        ];
        entries.map(|(key, text)| (key.to_owned(), text.clone().into_bytes())).into()
    }

    /// How to make a secure connection to an agent of the object, and only to one.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// The HTTP user.
    #[must_use]
    pub fn http_user(&self) -> &str {
        &self.parts.http_user
    }

    /// The HTTP user's password.
    #[must_use]
    pub fn http_password(&self) -> &str {
        &self.parts.http_password
    }

    fn believe(parts: Parts) -> Result<Self, CredentialsError> {
        let bad =
            |entry, why: &dyn fmt::Display| CredentialsError::Bad { entry, why: why.to_string() };
        let certificate = CertificateDer::from_pem_slice(parts.certificate.as_bytes())
            .map_err(|error| bad(CERTIFICATE, &error))?;
        // Its error might quote what it could not read.
        let key = PrivateKeyDer::from_pem_slice(parts.key.as_bytes())
            .map_err(|_| bad(KEY, &"no private key in PEM"))?;
        let client =
            pin::client_config(certificate, key).map_err(|error| bad(CERTIFICATE, &error))?;
        Ok(Self { parts, client: Arc::new(client) })
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        // The connection settings follow from the parts.
        self.parts == other.parts
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What the certificate says: a leaf, valid for all pods of the object, and nothing else.
fn certificate_for(
    wildcard: &str,
    not_before: jiff::Timestamp,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec![wildcard.to_owned()])?;
    // Verifiers go by the SAN; the common name is for humans, and must not be too long.
    let short = if wildcard.len() <= LONGEST_CN { wildcard } else { "timesten-agent" };
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, short);
    let since_1970 = Duration::from_secs(u64::try_from(not_before.as_second()).unwrap_or(0));
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
    params.not_after = params.not_before + VALIDITY;
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
fn password(random: &mut dyn FnMut(&mut [u8])) -> String {
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

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::server::WebPkiClientVerifier;

    use super::*;

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u8;
        move |bytes| {
            for byte in bytes {
                next = next.wrapping_add(37);
                *byte = next;
            }
        }
    }

    fn generate(name: &str, namespace: &str) -> Credentials {
        let since = "2026-01-02T03:04:05Z".parse().unwrap();
        Credentials::generate(name, namespace, since, &mut counting()).unwrap()
    }

    fn certificate(credentials: &Credentials) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(credentials.parts.certificate.as_bytes()).unwrap()
    }

    /// What other verifiers do with the certificate as its own anchor, days after it was made.
    fn verify(credentials: &Credentials, host: &str, days: u64) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(credentials)).unwrap();
        let (roots, provider) =
            (Arc::new(roots), Arc::new(rustls::crypto::ring::default_provider()));
        let made = "2026-01-02T03:04:05Z".parse::<jiff::Timestamp>().unwrap().as_second();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(made as u64 + days * 86_400));
        let leaf = certificate(credentials);
        let server =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let host = ServerName::try_from(host.to_owned()).unwrap();
        server.build().unwrap().verify_server_cert(&leaf, &[], &host, &[], now)?;
        let client = WebPkiClientVerifier::builder_with_provider(roots, provider);
        client.build().unwrap().verify_client_cert(&leaf, &[], now)?;
        Ok(())
    }

    #[test]
    fn a_leaf_is_its_own_anchor_on_both_sides() {
        let made = generate("sample", "ns");
        verify(&made, "sample-0.sample.ns.svc.cluster.local", 0).unwrap();
        verify(&made, "sample-0.sample.ns.svc.cluster.local", 9998).unwrap();
        assert!(verify(&made, "sample-0.sample.ns.svc.cluster.local", 10_000).is_err());
        assert!(verify(&made, "sample-0.other.ns.svc.cluster.local", 0).is_err());
        assert!(verify(&made, "a.sample-0.sample.ns.svc.cluster.local", 0).is_err());
    }

    #[test]
    fn names_too_long_for_a_common_name_work() {
        let (name, namespace) = ("n".repeat(60), "s".repeat(63));
        let made = generate(&name, &namespace);
        verify(&made, &format!("{name}-0.{name}.{namespace}.svc.cluster.local"), 0).unwrap();
    }

    #[test]
    fn the_secret_holds_all_there_is() {
        let made = generate("sample", "ns");
        let data = made.to_secret_data();
        let keys: Vec<&str> = data.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["agentPassword", "agentUser", "httpPassword", "httpUser", "tls.crt", "tls.key"]
        );
        assert!(data[KEY].starts_with(b"-----BEGIN PRIVATE KEY-----"));
        assert_eq!(data[AGENT_USER], b"ttagent");
        let mut with_wallet = data;
        with_wallet.insert("cwallet.sso".to_owned(), vec![0xa1, 0xf8]);
        assert!(Credentials::from_secret_data(&with_wallet).unwrap() == made);
        assert!(generate("sample", "ns") != made, "keys differ");
    }

    #[rstest::rstest]
    #[case(CERTIFICATE)]
    #[case(KEY)]
    #[case(AGENT_USER)]
    #[case(AGENT_PASSWORD)]
    #[case(HTTP_USER)]
    #[case(HTTP_PASSWORD)]
    fn a_damaged_secret_says_which_entry(#[case] entry: &'static str) {
        let whole = generate("sample", "ns").to_secret_data();
        let mut data = whole.clone();
        data.remove(entry);
        assert_eq!(
            Credentials::from_secret_data(&data).unwrap_err(),
            CredentialsError::Missing(entry)
        );
        for bad in [b"".to_vec(), vec![0xff]] {
            data.insert(entry.to_owned(), bad);
            let error = Credentials::from_secret_data(&data).unwrap_err();
            assert!(
                matches!(error, CredentialsError::Bad { entry: e, .. } if e == entry),
                "{error}"
            );
        }
    }

    #[test]
    fn key_and_certificate_must_be_a_pair() {
        let mut data = generate("sample", "ns").to_secret_data();
        data.insert(KEY.to_owned(), generate("sample", "ns").to_secret_data()[KEY].clone());
        let error = Credentials::from_secret_data(&data).unwrap_err();
        assert!(matches!(error, CredentialsError::Bad { .. }), "{error}");
        data.insert(KEY.to_owned(), b"s3cret".to_vec());
        let error = Credentials::from_secret_data(&data).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn nothing_is_shown() {
        assert_eq!(format!("{:?}", generate("sample", "ns")), "Credentials { .. }");
    }

    #[test]
    fn passwords_are_even() {
        // Every byte once: each first letter 9 times, each later character 7 times.
        let mut first = BTreeMap::new();
        let mut later = BTreeMap::new();
        for byte in 0..=255_u8 {
            let mut feed = [byte; 1].into_iter().chain(std::iter::repeat(0));
            let made = password(&mut |bytes| bytes.fill_with(|| feed.next().unwrap()));
            *first.entry(made.chars().next().unwrap()).or_insert(0) += u32::from(byte < 234);
            let mut feed = [0, byte].into_iter().chain(std::iter::repeat(0));
            let made = password(&mut |bytes| bytes.fill_with(|| feed.next().unwrap()));
            *later.entry(made.chars().nth(1).unwrap()).or_insert(0) += u32::from(byte < 252);
            assert_eq!(made.len(), SECRET_LENGTH);
        }
        assert!(first.len() == 26 && first.values().all(|n| *n == 9), "{first:?}");
        assert!(later.len() == 36 && later.values().all(|n| *n == 7), "{later:?}");
    }
}
