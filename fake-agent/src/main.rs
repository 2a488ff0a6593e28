//! `fake-agent`: the model behind real HTTPS, for containers and for the desk. One process may be
//! several hosts, each on its own address. Volumes and replication live in the process, so the two
//! hosts of a pair belong into one process. A single host that dies ends the process, as in a
//! container; of several, the dead one is started again after two seconds, as a kubelet would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use fake_agent::{ContainerSpec, Credentials, Durations, Fleet, FleetOptions, Running};
use tokio::net::TcpListener;

/// How long a dead host of several stays dead.
const RESTART_DELAY: Duration = Duration::from_secs(2);

/// A TimesTen agent with a model of TimesTen behind it.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// FQDN of a pod to be; repeat it to be several.
    #[arg(long, required = true)]
    host: Vec<String>,
    /// Address to listen on, one per host, in the same order.
    #[arg(long, default_value = "0.0.0.0:8443")]
    listen: Vec<SocketAddr>,
    /// Directory of the mounted agent Secret.
    #[arg(long, default_value = "/ttagent")]
    ttagent: PathBuf,
    /// Directory of the metadata files; may be missing.
    #[arg(long, default_value = "/ttconfig")]
    ttconfig: PathBuf,
    /// How many times faster than the real thing.
    #[arg(long, default_value_t = 1)]
    speed: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let args = Args::parse();
    if args.listen.len() != args.host.len() {
        bail!(
            "{} --host but {} --listen: give one address a host",
            args.host.len(),
            args.listen.len()
        );
    }
    let credentials = Credentials::from_files(&files(&args.ttagent)?)
        .with_context(|| format!("reading {}", args.ttagent.display()))?;
    fake_agent::server_config(&credentials)?;
    let config = if args.ttconfig.is_dir() { files(&args.ttconfig)? } else { BTreeMap::new() };
    let fleet = Fleet::new(FleetOptions {
        durations: Durations::default().divided_by(args.speed),
        unix_time: Arc::new(unix_time),
        ..FleetOptions::default()
    });
    let restart = (args.host.len() > 1).then(|| RESTART_DELAY / args.speed.max(1));
    let mut hosts = tokio::task::JoinSet::new();
    for (host, address) in args.host.iter().zip(args.listen) {
        let spec = ContainerSpec {
            config: config.clone(),
            credentials: Some(credentials.clone()),
            env: std::env::vars().collect(),
            ..ContainerSpec::new(host, host)
        };
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        tracing::info!(%host, %address, "starting");
        hosts.spawn(run(fleet.clone(), spec, listener, restart));
    }
    let code = tokio::select! {
        code = hosts.join_next() => code.context("no host")??,
        () = terminated() => 0,
    };
    std::process::exit(code);
}

/// Runs one host: until its container ends, or for ever with restarts.
async fn run(
    fleet: Fleet,
    spec: ContainerSpec,
    listener: TcpListener,
    restart: Option<Duration>,
) -> i32 {
    loop {
        let code = run_once(fleet.start(spec.clone()), &listener).await;
        tracing::warn!(host = spec.host, code, "container ended");
        let Some(delay) = restart else { return code };
        tokio::time::sleep(delay).await;
    }
}

/// Serves one container until it ends; its exit code.
async fn run_once(running: Running, listener: &TcpListener) -> i32 {
    let ended = running.ended();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            biased;
            code = &mut ended => return code,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if running.listening() => {
                    tokio::spawn(running.serve(stream));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "accept failed"),
            },
        }
    }
}

/// SIGTERM or Ctrl-C. There is nothing to save: volumes are in memory.
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// The regular files of a directory, by name.
fn files(directory: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        // Mounted Secrets keep their data behind links to a directory that begins with `..`.
        if !name.starts_with('.') && path.is_file() {
            files.insert(name.to_owned(), std::fs::read(&path)?);
        }
    }
    Ok(files)
}

#[allow(clippy::disallowed_methods, reason = "the one place where the real clock comes in")]
fn unix_time() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}
