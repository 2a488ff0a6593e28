//! Serves an empty cluster: `cargo run -p fake-apiserver --example serve -- 127.0.0.1:8001`.

use std::sync::Arc;

use fake_apiserver::{ApiServer, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    #[allow(clippy::disallowed_methods, reason = "a server for people runs in their time")]
    let server = ApiServer::new(Options { clock: Arc::new(jiff::Timestamp::now), seed: 1 });
    server.serve(listener).await
}
