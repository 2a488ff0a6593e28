//! Connections to agents: any byte stream will do; in production, TCP that notices silence.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How long a peer may be silent before its connection is given up: a dead node is noticed then.
/// A connector that does not end silent connections itself is noticed by request limits only.
pub const KEEPALIVE: Duration = Duration::from_secs(3);

/// Silence before the first keepalive probe, and between probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// Probes without an answer that end a connection.
const KEEPALIVE_PROBES: u32 = 2;

/// A stream of bytes to an agent.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for T {}

/// Opens a connection to a host and port.
///
/// Error kinds carry meaning: `NotFound`, the name does not resolve; `ConnectionRefused`, nobody
/// listens; anything else, no connection for another reason.
pub type Connector =
    Arc<dyn Fn(&str, u16) -> BoxFuture<'static, io::Result<Box<dyn Connection>>> + Send + Sync>;

/// The production connector: DNS, then TCP with keepalive.
#[must_use]
pub fn tcp_connector() -> Connector {
    Arc::new(|host, port| {
        let host = host.to_owned();
        Box::pin(async move {
            let stream = connect(&host, port).await?;
            notice_silence(&stream)?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    })
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let no_name =
        |why: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::NotFound, why.to_string());
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|error| no_name(&error))?;
    let mut last = no_name(&"no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_INTERVAL)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    // Keepalive is silent while our own data waits for an acknowledgement; this covers that time.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(KEEPALIVE))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_agree() {
        assert_eq!(KEEPALIVE_INTERVAL * (1 + KEEPALIVE_PROBES), KEEPALIVE);
    }

    #[tokio::test]
    async fn a_connection_notices_silence() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect("127.0.0.1", listener.local_addr().unwrap().port()).await.unwrap();
        notice_silence(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = tcp_connector()("127.0.0.1", port).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
