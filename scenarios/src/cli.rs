//! The command line of `ttlab`.

mod bench;
mod book;
mod conform;
mod elsewhere;
mod junit;
mod kubeconfig;
mod report;
mod run;
mod serve;
mod up;
mod watch;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use scenarios::case::{Case, json_schema};
use tracing_subscriber::EnvFilter;

/// Runs the TimesTen operator against a fake cluster and fake agents.
#[derive(Parser)]
#[command(name = "ttlab", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a fake cluster with a pair in it, for kubectl, and show what happens.
    Up(up::Up),
    /// Start the fake API server alone, for kubectl and other programs.
    Serve(serve::Serve),
    /// Replay what was recorded from Kubernetes against an API server, and tell what it answers otherwise.
    Conform(conform::Conform),
    /// Run scenarios.
    Run(run::Run),
    /// Print everything that happens in a scenario.
    Trace(Trace),
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
    /// Measure.
    Bench(bench::Bench),
}

#[derive(clap::Args)]
struct Trace {
    /// The scenario's file, or its name in the catalogue.
    scenario: String,
    /// The seed of all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Where the catalogue is, from the workspace's root or from the crate's folder.
const CATALOG: [&str; 2] = ["scenarios/catalog", "catalog"];

pub(crate) fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    logs.without_time().init();
    let outcome = match Arguments::parse().command {
        Command::Up(arguments) => up::up(&arguments),
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Conform(arguments) => conform::conform(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Trace(arguments) => trace(&arguments),
        Command::Schema => schema(),
        Command::Bench(arguments) => bench::bench(&arguments),
    };
    match outcome {
        Ok(code) => code,
        // Whoever read on, `head` or a pager, has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ttlab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

fn trace(arguments: &Trace) -> anyhow::Result<ExitCode> {
    let case = Case::read(&find(&arguments.scenario)?)?;
    let outcome = scenarios::run::run(&case, arguments.seed);
    let mut out = std::io::stdout().lock();
    write!(out, "{}", outcome.timeline)?;
    writeln!(out, "{}", report::line(&outcome))?;
    if outcome.passed() {
        return Ok(ExitCode::SUCCESS);
    }
    write!(out, "{}", report::failure(&outcome))?;
    Ok(ExitCode::FAILURE)
}

fn schema() -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&json_schema())?)?;
    Ok(ExitCode::SUCCESS)
}

/// The file of a scenario that is named by its path or its name.
fn find(name: &str) -> anyhow::Result<PathBuf> {
    if Path::new(name).is_file() {
        return Ok(name.into());
    }
    let files = files(&[])?;
    let is = |file: &&PathBuf| stem(file) == name;
    match files.iter().filter(is).collect::<Vec<_>>().as_slice() {
        [one] => Ok((*one).clone()),
        [] => anyhow::bail!("there is no scenario {name:?}: {}", advice(name, &files)),
        several => {
            let paths: Vec<_> = several.iter().map(|file| file.display().to_string()).collect();
            anyhow::bail!("several scenarios are called {name:?}: name one of {}", paths.join(", "))
        }
    }
}

/// The name of the scenario in a file.
fn stem(file: &Path) -> std::borrow::Cow<'_, str> {
    file.file_stem().unwrap_or_default().to_string_lossy()
}

/// What may have been meant: the names that have most of its words, or parts of words.
fn advice(name: &str, files: &[PathBuf]) -> String {
    let words: Vec<&str> = name.split(['-', '_', ' ', '/']).filter(|word| word.len() > 2).collect();
    let common = |file: &Path| words.iter().filter(|word| stem(file).contains(**word)).count();
    let most = files.iter().map(|file| common(file)).max().filter(|most| *most > 0);
    let Some(most) = most else {
        return "name a file, or a scenario that `ttlab run` lists".to_owned();
    };
    let near = files.iter().filter(|file| common(file) == most).map(|file| stem(file));
    format!("is it {}?", near.take(6).collect::<Vec<_>>().join(", or "))
}

/// All scenario files below the paths, in order; below the catalogue when there are none.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let catalog = CATALOG.iter().map(PathBuf::from).find(|path| path.is_dir());
    let paths = match (paths, catalog) {
        ([], Some(catalog)) => vec![catalog],
        ([], None) => anyhow::bail!("there is no scenarios/catalog here: name a file or a folder"),
        (paths, _) => paths.to_vec(),
    };
    let mut found = Vec::new();
    for path in &paths {
        collect(path, &mut found)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if path.is_file() {
        found.push(path.to_path_buf());
        return Ok(());
    }
    let entries =
        std::fs::read_dir(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "yaml") {
            collect(&path, found)?;
        }
    }
    Ok(())
}
