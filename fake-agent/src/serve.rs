//! The wire: TLS with one pinned certificate on both sides, then HTTP/1.1.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::options::Credentials;
use crate::protocol::{Agent, Outcome};

/// Largest request body read, in bytes.
const BODY_LIMIT: usize = 1 << 20;

/// The Secret cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A PEM entry cannot be read.
    #[error("`{0}` of the agent Secret is not PEM: make the Secret anew")]
    Pem(&'static str),
    /// Key and certificate do not work together.
    #[error("key and certificate of the agent Secret do not fit: {0}: make the Secret anew")]
    Tls(#[from] rustls::Error),
}

/// The server side of TLS for these credentials.
///
/// # Errors
/// The PEM cannot be read, or key and certificate do not fit.
pub fn server_config(credentials: &Credentials) -> Result<Arc<ServerConfig>, IdentityError> {
    let certificate = CertificateDer::from_pem_slice(&credentials.certificate)
        .map_err(|_| IdentityError::Pem("tls.crt"))?;
    let key = PrivateKeyDer::from_pem_slice(&credentials.key)
        .map_err(|_| IdentityError::Pem("tls.key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = SameCertificate {
        certificate: certificate.clone(),
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Accepts the one certificate both sides share. It is compared byte by byte; no chain is built,
/// because a leaf that is its own anchor has none.
struct SameCertificate {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for SameCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SameCertificate")
    }
}

impl ClientCertVerifier for SameCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            Ok(ClientCertVerified::assertion())
        } else {
            let error = CertificateError::ApplicationVerificationFailure;
            Err(rustls::Error::InvalidCertificate(error))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The script, or the end of the container, closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("the agent closes the connection")]
struct Close;

/// Serves one connection.
pub(crate) async fn serve<IO>(agent: Agent, io: IO)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(config) = agent.tls() else { return };
    let end = agent.clone();
    tokio::select! {
        biased;
        _ = end.ended() => {}
        () = converse(agent, io, config) => {}
    }
}

async fn converse<IO>(agent: Agent, io: IO, config: Arc<ServerConfig>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if !agent.listening() {
        return;
    }
    let stream = match TlsAcceptor::from(config).accept(io).await {
        Ok(stream) => stream,
        Err(error) => {
            agent.say(&format!("TLS handshake failed: {error}"));
            return;
        }
    };
    let service = service_fn(|request: Request<Incoming>| {
        let agent = agent.clone();
        async move { respond(&agent, request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = connection {
        agent.say(&format!("connection closed: {error}"));
    }
}

async fn respond(
    agent: &Agent,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Close> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|_| Close)?.to_bytes();
    match agent.handle(&Request::from_parts(head, body)).await {
        Outcome::Response(response) => Ok(response.map(Full::new)),
        Outcome::Hang => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Outcome::Closed | Outcome::Refused => Err(Close),
    }
}
