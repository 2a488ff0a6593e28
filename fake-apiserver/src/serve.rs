//! HTTP on a socket, plain or over TLS, for `kubectl` and other processes.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::{Front, Tls, authority};

pub(crate) async fn serve(
    front: Front,
    listener: TcpListener,
    tls: Option<Tls>,
) -> std::io::Result<()> {
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config));
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (front, acceptor) = (front.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => converse(front, socket).await,
                Some(acceptor) => match acceptor.accept(socket).await {
                    Ok(socket) => converse(identified(front, &socket), socket).await,
                    Err(error) => tracing::debug!(%error, "no TLS with a client"),
                },
            }
        });
    }
}

/// A front for who is on a connection, if a certificate tells.
fn identified(front: Front, socket: &TlsStream<TcpStream>) -> Front {
    let (_, session) = socket.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    match certificate.and_then(|der| authority::user_of(der)) {
        Some(user) => front.of(user),
        None => front,
    }
}

async fn converse(front: Front, socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let served = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(front))
        .await;
    if let Err(error) = served {
        tracing::debug!(error, "a connection ended early");
    }
}
