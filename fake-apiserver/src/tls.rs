//! What a server needs to speak TLS: a certificate of the cluster's authority, made anew.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::authority::{Authority, AuthorityError};

/// What a server needs to speak TLS, and its clients to trust it.
#[derive(Clone)]
pub struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    authority: Authority,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Tls {
    /// A new key and a certificate for these names and addresses. Clients may show a certificate of the same
    /// authority, and are its subject then.
    pub(crate) fn new(authority: &Authority, names: &[&str]) -> Result<Self, AuthorityError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "fake-apiserver");
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, authority.issuer())?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.issuer().der().clone())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), authority: authority.clone() })
    }

    /// The certificate of the authority, in PEM: what clients must trust.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authority.pem()
    }
}
