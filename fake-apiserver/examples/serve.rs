//! Serves an empty cluster with controllers, but no nodes and no storage, as the conformance cases want it:
//! `cargo run -p fake-apiserver --example serve -- 127.0.0.1:8001`.

use std::sync::Arc;

use fake_apiserver::controllers::{self, Controller};
use fake_apiserver::{ApiServer, Clock, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    #[allow(clippy::disallowed_methods, reason = "a server for people runs in their time")]
    let clock: Clock = Arc::new(jiff::Timestamp::now);
    let server = ApiServer::new(Options { clock: Arc::clone(&clock), seed: 1 });
    let client = server.client();
    tokio::spawn(async move {
        let some = Controller::ALL.into_iter().filter(|which| *which != Controller::Volumes);
        controllers::run(client, clock, &some.collect::<Vec<_>>()).await;
    });
    server.serve(listener).await
}
