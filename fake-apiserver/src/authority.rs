//! The authority of a cluster: it signs the certificates of servers, and those that users ask for.
//!
//! It is made anew and never on disk. What may be signed is not decided here.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose as Extended, IsCa, KeyPair, KeyUsagePurpose as Usage,
};
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest, X509Name};

use crate::auth::User;

/// A certificate authority.
#[derive(Clone)]
pub struct Authority(Arc<CertifiedIssuer<'static, KeyPair>>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authority").finish_non_exhaustive()
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It could not be made: a name is neither an address nor a name of DNS, or a request is not signed by its key.
    #[error("no certificate can be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refuses it.
    #[error("the certificate cannot be used: {0}")]
    Config(#[from] rustls::Error),
    /// The TLS library cannot tell by it who clients are.
    #[error("clients cannot be asked for certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// When there is no chance to make a key of.
    pub fn new() -> Result<Self, AuthorityError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![Usage::DigitalSignature, Usage::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "fake-apiserver-ca");
        Ok(Self(Arc::new(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)))
    }

    /// Its own certificate, in PEM: what others must trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn issuer(&self) -> &CertifiedIssuer<'static, KeyPair> {
        &self.0
    }

    /// Signs a request (PEM) for these usages and this time; the certificate, in PEM.
    pub(crate) fn sign(
        &self,
        request: &str,
        usages: &[String],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<String, AuthorityError> {
        let mut request = CertificateSigningRequestParams::from_pem(request)?;
        let params = &mut request.params;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = usages.iter().filter_map(|usage| key_usage(usage)).collect();
        params.extended_key_usages = usages.iter().filter_map(|usage| extended(usage)).collect();
        let moment = |at: Timestamp| {
            let seconds = u64::try_from(at.as_second()).unwrap_or_default();
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        (params.not_before, params.not_after) = (moment(from), moment(until));
        params.use_authority_key_identifier_extension = true;
        Ok(request.signed_by(&self.0)?.pem())
    }
}

fn key_usage(name: &str) -> Option<Usage> {
    match name {
        "digital signature" | "signing" => Some(Usage::DigitalSignature),
        "content commitment" => Some(Usage::ContentCommitment),
        "key encipherment" => Some(Usage::KeyEncipherment),
        "data encipherment" => Some(Usage::DataEncipherment),
        "key agreement" => Some(Usage::KeyAgreement),
        _ => None,
    }
}

fn extended(name: &str) -> Option<Extended> {
    match name {
        "any" => Some(Extended::Any),
        "server auth" => Some(Extended::ServerAuth),
        "client auth" => Some(Extended::ClientAuth),
        "code signing" => Some(Extended::CodeSigning),
        "email protection" | "s/mime" => Some(Extended::EmailProtection),
        "timestamping" => Some(Extended::TimeStamping),
        "ocsp signing" => Some(Extended::OcspSigning),
        _ => None,
    }
}

/// The subject of a request or of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) common_name: String,
    pub(crate) organizations: Vec<String>,
}

impl Subject {
    fn read(name: &X509Name<'_>) -> Self {
        let text = |part: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            part.as_str().unwrap_or_default().to_owned()
        };
        Self {
            common_name: name.iter_common_name().last().map(text).unwrap_or_default(),
            organizations: name.iter_organization().map(text).collect(),
        }
    }

    /// The subject of a certificate signing request in PEM.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn of_request(pem: &[u8]) -> Result<Self, String> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem)
            .map_err(|_| "PEM block type must be CERTIFICATE REQUEST".to_owned())?;
        if pem.label != "CERTIFICATE REQUEST" {
            return Err("PEM block type must be CERTIFICATE REQUEST".to_owned());
        }
        let (_, request) =
            X509CertificationRequest::from_der(&pem.contents).map_err(|error| error.to_string())?;
        Ok(Self::read(&request.certification_request_info.subject))
    }
}

/// The user that a certificate (DER) of a client is of.
pub(crate) fn user_of(certificate: &[u8]) -> Option<User> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    let subject = Subject::read(read.subject());
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    (!subject.common_name.is_empty()).then(|| User::certified(subject, &digest))
}
