//! `ttlab serve`: the fake API server alone, for other processes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use fake_apiserver::controllers::{self, Controller};
use fake_apiserver::kubelet::{Kubelet, NodeSpec, PauseRuntime, Timings};
use fake_apiserver::{ApiServer, Options};
use scenarios::world::NAMESPACE;
use timesten_operator::clock::Clock;
use tokio::net::TcpListener;

use super::kubeconfig::{self, Access};

#[derive(clap::Args)]
pub(crate) struct Serve {
    /// The port on 127.0.0.1 that the API is served on; 0 for any that is free.
    #[arg(long, default_value_t = 18081)]
    port: u16,
    /// Speak TLS, with a certificate that is made anew; --kubeconfig tells clients to trust it.
    #[arg(long)]
    tls: bool,
    /// Ask everybody who they are, and let them do what RBAC allows. Who shows this token may do everything.
    #[arg(long, value_name = "TOKEN", env = "TTLAB_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// No node, and no storage: pods stay Pending unless somebody else runs them.
    #[arg(long)]
    no_kubelet: bool,
    /// No controllers: objects stay as they are written.
    #[arg(long)]
    no_controllers: bool,
    /// Write a kubeconfig to this file. (That of `run` and `up` is read: they use the server that it tells of.)
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

pub(crate) fn serve(arguments: &Serve) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(live(arguments))
}

async fn live(arguments: &Serve) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)))
        .await
        .with_context(|| format!("--port {}: cannot listen there", arguments.port))?;
    let address = listener.local_addr()?;
    let server = furnish(arguments)?;
    let tls = arguments.tls.then(|| server.tls(&["127.0.0.1", "localhost"])).transpose()?;
    let access = Access {
        server: format!("{}://{address}", if tls.is_some() { "https" } else { "http" }),
        authority: tls.as_ref().map(|tls| tls.authority()),
        token: arguments.token.clone(),
        namespace: NAMESPACE.to_owned(),
    };
    if let Some(file) = &arguments.kubeconfig {
        kubeconfig::write(file, &access)?;
    }
    println!("serving on {}; Ctrl-C ends it", access.server);
    if arguments.kubeconfig.is_some() && access.token.is_some() && tls.is_none() {
        eprintln!("kubectl shows its token over TLS alone: add --tls, or it is nobody here");
    }
    let serving = async {
        match &tls {
            Some(tls) => server.serve_tls(listener, tls).await,
            None => server.serve(listener).await,
        }
    };
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
        ended = serving => {
            ended.context("no connection can be accepted any more")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A server with everything that runs beside it.
fn furnish(arguments: &Serve) -> anyhow::Result<ApiServer> {
    let now = Clock::system();
    let clock: fake_apiserver::Clock = Arc::new(move || now.now());
    let server = ApiServer::new(Options { clock: Arc::clone(&clock), seed: 1 });
    if let Some(token) = &arguments.token {
        server.require_token(token);
    }
    if !arguments.no_controllers {
        // Storage is a thing of nodes: there is nobody who makes volumes where there are none.
        let some = Controller::ALL
            .into_iter()
            .filter(|which| !arguments.no_kubelet || *which != Controller::Volumes);
        let signing =
            controllers::certificates(server.client(), Arc::clone(&clock), server.authority()?);
        tokio::spawn(signing);
        let (client, clock, some) = (server.client(), Arc::clone(&clock), some.collect::<Vec<_>>());
        tokio::spawn(async move { controllers::run(client, clock, &some).await });
    }
    if !arguments.no_kubelet {
        let (node, pods) = (NodeSpec::new("node-1", 1), Arc::new(PauseRuntime));
        let kubelet = Kubelet::new(server.client(), clock, node, pods, Timings::default());
        server.reach(&kubelet.handle());
        tokio::spawn(kubelet.run());
    }
    Ok(server)
}
