//! Trust in exactly one certificate.
//!
//! No certificate store and no issuer: the peer must present the object's own certificate, prove to
//! hold its key, and be addressed by a name it is valid for. Its dates are not looked at: an agent
//! that runs cannot take up another, and a wrong clock must not make a healthy database unreachable.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// Presents `certificate`, and accepts no other.
pub(super) fn client_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, Error> {
    // Now, not at the first connection: a certificate that cannot be read is the Secret's fault.
    ParsedCertificate::try_from(&certificate)?;
    let provider = Arc::new(ring::default_provider());
    let pin = Pin { certificate: certificate.clone(), provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pin))
        .with_client_auth_cert(vec![certificate], key)?;
    // Each connection proves both sides anew, and no ticket's age is taken from a clock.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A certificate in PEM is valid for that name.
pub(super) fn is_valid_for(pem: &[u8], host: &str) -> bool {
    let (Ok(certificate), Ok(name)) =
        (CertificateDer::from_pem_slice(pem), ServerName::try_from(host))
    else {
        return false;
    };
    ParsedCertificate::try_from(&certificate)
        .is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}

#[derive(Debug)]
struct Pin {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity != self.certificate {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
