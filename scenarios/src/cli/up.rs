//! `ttlab up`: a fake cluster in real time, for kubectl, with a pair in it; or a pair in a cluster of somebody else.

use std::io::{IsTerminal, Write, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use fake_agent::Durations;
use kube::api::{DynamicObject, ObjectMeta, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt, discovery};
use scenarios::world::{NAMESPACE, Server, Visit, World, WorldOptions};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::elsewhere::Elsewhere;
use super::kubeconfig::{self, Access};
use super::watch::Watcher;

/// The sample that is created when no file is given.
const SAMPLE: &str = include_str!("../../../deploy/samples/minimal.yaml");
/// How long a pair may take to `Normal` before `--once` gives up.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub(crate) struct Up {
    /// End when the pair is Normal (exit status 0), or cannot get there (with the reason).
    #[arg(long)]
    once: bool,
    /// The port on 127.0.0.1 that the API is served on.
    #[arg(long, default_value_t = 18080, conflicts_with = "kubeconfig")]
    port: u16,
    /// Create the objects in this file (YAML, several documents allowed) instead of the sample.
    #[arg(long, value_name = "FILE")]
    object: Option<PathBuf>,
    /// Agents are so many times as fast.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: u32,
    /// Where the kubeconfig is written. Default: a file in the temporary folder.
    #[arg(long, value_name = "FILE", conflicts_with = "kubeconfig")]
    write_kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

pub(crate) fn up(arguments: &Up) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let objects = objects(arguments.object.as_deref())?;
    match &arguments.elsewhere.kubeconfig {
        None => runtime.block_on(live(arguments, &objects)),
        Some(file) => runtime.block_on(visit(arguments, file, &objects)),
    }
}

/// The world that is shown.
fn options(arguments: &Up) -> WorldOptions {
    WorldOptions {
        virtual_time: false,
        durations: Durations::default().divided_by(arguments.speed),
        writes_every: None,
        ..WorldOptions::default()
    }
}

async fn live(arguments: &Up, objects: &[DynamicObject]) -> anyhow::Result<ExitCode> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("--port {}: cannot listen there", arguments.port))?;
    let address = listener.local_addr()?;
    let world = World::start(options(arguments)).await?;
    if let Server::Fake(server) = world.api.clone() {
        tokio::spawn(async move { server.serve(listener).await });
    }
    let file = arguments.write_kubeconfig.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("ttlab-{}.kubeconfig", address.port()))
    });
    let access = Access {
        server: format!("http://{address}"),
        namespace: NAMESPACE.into(),
        ..Access::default()
    };
    kubeconfig::write(&file, &access)?;
    greet(&file, address)?;
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            writeln!(stdout(), "\nstopped")?;
            Ok(ExitCode::SUCCESS)
        }
        ended = show_until_the_end(&world, objects, arguments.once) => ended,
    }
}

/// Shows a pair on a server of somebody else, and takes everything away again.
async fn visit(arguments: &Up, file: &Path, objects: &[DynamicObject]) -> anyhow::Result<ExitCode> {
    let visit = arguments.elsewhere.visit(file).await?;
    let ended = stay(arguments, file, objects, &visit).await;
    visit.end().await?;
    ended
}

async fn stay(
    arguments: &Up,
    file: &Path,
    objects: &[DynamicObject],
    visit: &Visit,
) -> anyhow::Result<ExitCode> {
    let foreign = Arc::new(visit.settle().await?);
    let world = World::start_on(Arc::clone(&foreign), &options(arguments));
    let show = async {
        greet_visitor(file, world.api.namespace())?;
        show_until_the_end(&world, objects, arguments.once).await
    };
    let ended = tokio::select! {
        biased;
        () = world.api.interrupted() => Ok(ExitCode::SUCCESS),
        ended = show => ended,
    };
    let left = world.leave().await;
    drop(world);
    foreign.forget_nodes().await?;
    left?;
    ended
}

/// Creates the objects, and shows what becomes of them.
async fn show_until_the_end(
    world: &World,
    objects: &[DynamicObject],
    once: bool,
) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let mut changes = world.api.changes();
    let watched = create(world, objects).await?;
    let mut watcher = Watcher::default();
    let mut reached = false;
    loop {
        let change = tokio::select! {
            biased;
            () = tokio::time::sleep_until(began + PATIENCE), if once => {
                bail!("not Normal after {PATIENCE:?}: {}", reason(&world.client(), &watched).await);
            }
            change = changes.next() => change,
        };
        let Some(change) = change else { bail!("the API server has ended") };
        if let Some(line) = watcher.line(began.elapsed(), &change) {
            show(&line)?;
        }
        if change.resource != "timestenclassics" || change.name != watched || reached {
            continue;
        }
        match change.object.pointer("/status/highLevelState").and_then(Value::as_str) {
            Some("Normal") => {
                reached = true;
                writeln!(
                    stdout(),
                    "\n{watched} is Normal after {:.1} s.",
                    began.elapsed().as_secs_f64()
                )?;
                if once {
                    return Ok(ExitCode::SUCCESS);
                }
                writeln!(
                    stdout(),
                    "It goes on until Ctrl-C. Try: kubectl delete pod {watched}-0\n"
                )?;
            }
            Some(state @ ("Failed" | "ManualInterventionRequired")) if once => {
                bail!("{watched} is {state}: {}", reason(&world.client(), &watched).await);
            }
            _ => {}
        }
    }
}

/// The objects to create.
fn objects(file: Option<&Path>) -> anyhow::Result<Vec<DynamicObject>> {
    let (name, text) = match file {
        None => ("the sample".to_owned(), SAMPLE.to_owned()),
        Some(file) => {
            let name = format!("--object {}", file.display());
            let text = std::fs::read_to_string(file).with_context(|| name.clone())?;
            (name, text)
        }
    };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    let mut objects = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        if document.is_null() {
            continue;
        }
        let object: DynamicObject = serde_json::from_value(document)
            .with_context(|| format!("{name}, document {}: no Kubernetes object", index + 1))?;
        objects.push(object);
    }
    let ours = |object: &DynamicObject| {
        object.types.as_ref().is_some_and(|types| types.kind == "TimesTenClassic")
    };
    if !objects.iter().any(ours) {
        bail!("{name}: there is no TimesTenClassic in it");
    }
    Ok(objects)
}

/// Creates them all; the name of the first `TimesTenClassic`.
async fn create(world: &World, objects: &[DynamicObject]) -> anyhow::Result<String> {
    let client = &world.client();
    let mut watched = None;
    for object in objects {
        let types = object.types.clone().context("an object without apiVersion and kind")?;
        let gvk = GroupVersionKind::try_from(&types)?;
        let (resource, _) = discovery::pinned_kind(client, &gvk).await.with_context(|| {
            format!("{} {}: the API server has no such kind", types.api_version, types.kind)
        })?;
        // Among others, all that is ours is in one namespace.
        let named = object.namespace().filter(|_| matches!(world.api, Server::Fake(_)));
        let namespace = named.as_deref().unwrap_or_else(|| world.api.namespace());
        let object = DynamicObject {
            metadata: ObjectMeta { namespace: Some(namespace.into()), ..object.metadata.clone() },
            ..object.clone()
        };
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let name = object.name_any();
        api.create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("{} {name}: the API server refuses it", types.kind))?;
        if types.kind == "TimesTenClassic" {
            watched.get_or_insert(name);
        }
    }
    watched.context("there is no TimesTenClassic")
}

/// Why an object is where it is.
async fn reason(client: &Client, name: &str) -> String {
    let api: Api<timesten_operator::crd::TimesTenClassic> = Api::default_namespaced(client.clone());
    let object = api.get_opt(name).await.ok().flatten();
    let conditions = object.and_then(|object| object.status).map(|status| status.conditions);
    conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.type_ == "Managed")
        .map_or_else(|| "the operator has not said why".into(), |condition| condition.message)
}

fn greet(kubeconfig: &Path, address: SocketAddr) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "A fake cluster is served on http://{address}. In another terminal:\n")?;
    writeln!(out, "  export KUBECONFIG={}", kubeconfig.display())?;
    writeln!(out, "  kubectl get ttc -w")?;
    writeln!(out, "  kubectl describe ttc sample")?;
    writeln!(out, "  kubectl get pods,sts,svc,secret,events\n")
}

fn greet_visitor(kubeconfig: &Path, namespace: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "The namespace {namespace} is ours. In another terminal:\n")?;
    writeln!(out, "  export KUBECONFIG={}", kubeconfig.display())?;
    writeln!(out, "  kubectl get ttc -w -n {namespace}\n")
}

/// Prints a line; on a terminal states stand out.
fn show(line: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    if out.is_terminal() && line.contains("  active ") {
        writeln!(out, "\x1b[1m{line}\x1b[0m")
    } else {
        writeln!(out, "{line}")
    }
}
