//! A client of the real wire: TLS with the pinned certificate, Basic credentials, HTTP/1.1.

use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use fake_agent::{Credentials, Running};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio_rustls::TlsConnector;

/// One self-signed leaf without basicConstraints, as the operator makes it.
pub(crate) fn credentials() -> Credentials {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["*.sample.ns.svc.cluster.local".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Credentials {
        certificate: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
        http_user: "user".to_owned(),
        http_password: "password".to_owned(),
        agent_user: "ttagent".to_owned(),
        agent_password: "secret".to_owned(),
    }
}

/// A client that trusts `server` and presents `client`, if any.
pub(crate) fn client(server: &Credentials, client: Option<&Credentials>) -> TlsConnector {
    let der = |credentials: &Credentials| {
        CertificateDer::from_pem_slice(&credentials.certificate).unwrap()
    };
    let mut roots = RootCertStore::empty();
    roots.add(der(server)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(&own.key).unwrap();
            config.with_client_auth_cert(vec![der(own)], key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

pub(crate) async fn connect(
    running: &Running,
    tls: TlsConnector,
) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error>> {
    let (near, far) = tokio::io::duplex(65_536);
    tokio::spawn(running.serve(far));
    let name = ServerName::try_from(running.host().to_owned())?;
    let stream = tls.connect(name, near).await?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

pub(crate) fn authorise(mut request: Request<Bytes>, password: &str) -> Request<Full<Bytes>> {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("user:{password}"));
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Basic {basic}").parse().unwrap());
    headers.insert("host", "agent".parse().unwrap());
    request.map(Full::new)
}

pub(crate) async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Bytes>,
) -> hyper::Result<(StatusCode, Value)> {
    sender.ready().await?;
    let reply = sender.send_request(authorise(request, "password")).await?;
    let status = reply.status();
    let body = reply.into_body().collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}
