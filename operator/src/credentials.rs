//! The keys, certificates and passwords that an object's operator and agents share.
//!
//! Kept in the object's Secret and in memory; never on disk, never shown. A certificate is
//! self-signed and its own trust anchor: whoever presents it and proves to hold its key belongs to
//! the object. An agent reads its Secret when its container starts, and never again. So when a
//! certificate is renewed both are kept, the present one and the former, and each agent is spoken to
//! with the one that it presents itself: nothing is restarted, and nobody is locked out.
//!
//! Oracle's agent reads its set from a wallet (`cwallet.sso`) that only TimesTen's `ttUser` can
//! write. An image that has it adds that entry to the map of [`Credentials::to_secret_data`];
//! [`Credentials::from_secret_data`] leaves entries it does not know alone.

mod identity;
pub mod keeping;
mod pin;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

pub use self::identity::Identity;

use self::identity::Names;

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

/// Secret entry: the certificate before the present one, as long as an agent may have it.
pub const FORMER_CERTIFICATE: &str = "former.tls.crt";

/// The entries of the identity that agents take up when they start.
const PRESENT: Names =
    Names { certificate: CERTIFICATE, key: KEY, user: HTTP_USER, password: HTTP_PASSWORD };
/// The entries of the one before, which agents that run may still have.
const FORMER: Names = Names {
    certificate: FORMER_CERTIFICATE,
    key: "former.tls.key",
    user: "former.httpUser",
    password: "former.httpPassword",
};

/// The database user every agent works as.
const TTAGENT: &str = "ttagent";

/// One object's credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    present: Arc<Identity>,
    former: Option<Arc<Identity>>,
    agent: Agent,
}

/// The database user that agents work as. Databases know its password, so that it never changes.
#[derive(Clone, PartialEq, Eq)]
struct Agent {
    user: String,
    password: String,
}

/// Why there are no credentials. The texts never have what an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The Secret lacks an entry.
    #[error("the agent Secret has no entry {0}")]
    Missing(&'static str),
    /// An entry is not what it should be.
    #[error("entry {entry} of the agent Secret is of no use: {why}")]
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
        not_before: Timestamp,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, CredentialsError> {
        let identity = Identity::generate((name, namespace), (not_before, not_before), random)?;
        let agent = Agent { user: TTAGENT.to_owned(), password: identity::password(random) };
        Ok(Self { present: Arc::new(identity), former: None, agent })
    }

    /// The same with a new certificate, key and HTTP user, made at `now`. What was the present
    /// identity is the former one.
    ///
    /// # Errors
    /// If the names make no valid DNS name.
    pub fn renewed(
        &self,
        name: &str,
        namespace: &str,
        now: Timestamp,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, CredentialsError> {
        // As old as the one before: a clock that is wrong makes none that is not valid yet.
        let since = self.present.not_before().min(now);
        let identity = Identity::generate((name, namespace), (since, now), random)?;
        Ok(self.replaced(Arc::new(identity)))
    }

    /// The same with another present identity.
    fn replaced(&self, present: Arc<Identity>) -> Self {
        Self { present, former: Some(Arc::clone(&self.present)), agent: self.agent.clone() }
    }

    /// The same without the former identity.
    fn settled(&self) -> Self {
        Self { former: None, ..self.clone() }
    }

    /// Reads the entries of the Secret. A former identity that cannot be read counts as none.
    ///
    /// # Errors
    /// If an entry is missing, or the certificate and key are not a pair that can be used.
    pub fn from_secret_data(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, CredentialsError> {
        let present = Identity::read(data, &PRESENT)?;
        let agent = Agent {
            user: identity::text(data, AGENT_USER)?,
            password: identity::text(data, AGENT_PASSWORD)?,
        };
        let former = Identity::read(data, &FORMER).ok();
        Ok(Self { present: Arc::new(present), former: former.map(Arc::new), agent })
    }

    /// The entries of the Secret.
    #[must_use]
    pub fn to_secret_data(&self) -> BTreeMap<String, Vec<u8>> {
        let agent = [(AGENT_USER, &self.agent.user), (AGENT_PASSWORD, &self.agent.password)];
        let agent = agent.map(|(key, text)| (key, text.as_str()));
        let present = self.present.entries(&PRESENT);
        let former = self.former.iter().flat_map(|former| former.entries(&FORMER));
        let all = agent.into_iter().chain(present).chain(former);
        all.map(|(key, text)| (key.to_owned(), text.as_bytes().to_vec())).collect()
    }

    /// The identity that agents take up when they start.
    #[must_use]
    pub const fn present(&self) -> &Arc<Identity> {
        &self.present
    }

    /// The one before, as long as an agent may still have it.
    #[must_use]
    pub const fn former(&self) -> Option<&Arc<Identity>> {
        self.former.as_ref()
    }
}

/// Keys of a Secret that are the operator's: what is not written there is taken out.
#[must_use]
pub fn is_entry(key: &str) -> bool {
    let identities = [&PRESENT, &FORMER].into_iter().any(|names| names.all().contains(&key));
    identities || [AGENT_USER, AGENT_PASSWORD].contains(&key)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
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
        CertificateDer::from_pem_slice(&credentials.to_secret_data()[CERTIFICATE]).unwrap()
    }

    /// What other verifiers do with the certificate as its own anchor, days after it was made.
    fn verify(credentials: &Credentials, host: &str, days: u64) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(credentials)).unwrap();
        let (roots, provider) =
            (Arc::new(roots), Arc::new(rustls::crypto::ring::default_provider()));
        let made = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap().as_second();
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
            let made = identity::password(&mut |bytes| bytes.fill_with(|| feed.next().unwrap()));
            *first.entry(made.chars().next().unwrap()).or_insert(0) += u32::from(byte < 234);
            let mut feed = [0, byte].into_iter().chain(std::iter::repeat(0));
            let made = identity::password(&mut |bytes| bytes.fill_with(|| feed.next().unwrap()));
            *later.entry(made.chars().nth(1).unwrap()).or_insert(0) += u32::from(byte < 252);
            assert_eq!(made.len(), 16);
        }
        assert!(first.len() == 26 && first.values().all(|n| *n == 9), "{first:?}");
        assert!(later.len() == 36 && later.values().all(|n| *n == 7), "{later:?}");
    }
}
