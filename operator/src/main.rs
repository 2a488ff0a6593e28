//! The operator's program.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use ring::rand::{SecureRandom, SystemRandom};
use timesten_operator::agent::tcp_connector;
use timesten_operator::clock::Clock;
use timesten_operator::controller::{self, Surroundings};
use timesten_operator::crd::crd;
use timesten_operator::lease::{Candidate, Ended, Leadership};
use timesten_operator::operator::{Identity, Random};
use tracing_subscriber::EnvFilter;

/// Runs active standby pairs of Oracle TimesTen Classic on Kubernetes.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator, in a cluster or with a kubeconfig.
    Run(Run),
    /// Print the CustomResourceDefinition as YAML.
    Crd,
}

#[derive(clap::Args)]
struct Run {
    /// Watch this namespace alone; all namespaces if it is empty.
    #[arg(long, env = "WATCH_NAMESPACE", default_value = "")]
    namespace: String,
    /// How logs are written.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// The operator's name in events.
    #[arg(long, env = "OPERATOR_NAME", default_value = "timesten-operator")]
    name: String,
    /// Act without being elected: for a single operator that nobody else runs beside.
    #[arg(long)]
    no_leader_election: bool,
    /// The namespace of the Lease by which operators elect their leader.
    #[arg(long, env = "POD_NAMESPACE")]
    lease_namespace: Option<String>,
    /// The name of the pod that it runs in.
    #[arg(long, env = "POD_NAME", default_value = "timesten-operator")]
    pod: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run(arguments).await,
        Command::Crd => print_crd(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("timesten-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_crd() -> anyhow::Result<()> {
    print!("{}", serde_saphyr::to_string(&crd())?);
    Ok(())
}

async fn run(arguments: Run) -> anyhow::Result<()> {
    start_logs(arguments.log_format);
    let client = kube::Client::try_default()
        .await
        .context("no way to Kubernetes: neither a service account nor a kubeconfig was found")?;
    let system = SystemRandom::new();
    let random: Random = Arc::new(move |bytes: &mut [u8]| {
        // The system's source fails only where it does not exist at all; zeros would be no secret.
        while system.fill(bytes).is_err() {
            std::thread::yield_now();
        }
    });
    let (candidate, leadership) = if arguments.no_leader_election {
        (None, Leadership::uncontested())
    } else {
        let (candidate, leadership) = candidate(&client, &arguments, &random);
        (Some(candidate), leadership)
    };
    let surroundings = Surroundings {
        client,
        connector: tcp_connector(),
        clock: Clock::system(),
        random,
        namespace: Some(arguments.namespace).filter(|namespace| !namespace.is_empty()),
        identity: Identity { controller: arguments.name, instance: arguments.pod },
        leadership: leadership.clone(),
    };
    let work = async move {
        tracing::info!("leading");
        tokio::select! {
            biased;
            () = stopped() => tracing::info!("stopping"),
            () = controller::run(surroundings) => {}
        }
    };
    let ended = match candidate {
        Some(candidate) => candidate.lead(leadership, work).await,
        None => {
            work.await;
            Ended::Released
        }
    };
    match ended {
        Ended::Released => Ok(()),
        Ended::Lost => bail!("the Lease was lost to another operator; this one ends"),
    }
}

/// One who wants to lead.
fn candidate(client: &kube::Client, arguments: &Run, random: &Random) -> (Candidate, Leadership) {
    let namespace = arguments.lease_namespace.as_deref().unwrap_or("default");
    let leases = kube::Api::namespaced(client.clone(), namespace);
    let number = |random: &Random| {
        let mut bytes = [0; 4];
        random(&mut bytes);
        u32::from_be_bytes(bytes)
    };
    let identity = format!("{}-{:08x}", arguments.pod, number(random));
    let random = Arc::clone(random);
    let jitter = move || f64::from(number(&random)) / f64::from(u32::MAX);
    Candidate::new(leases, &arguments.name, &identity, Clock::system(), jitter)
}

fn start_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
}

/// Ends when the process is asked to stop.
async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                biased;
                _ = terminated.recv() => return,
                _ = interrupted => return,
            }
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
