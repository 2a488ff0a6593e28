//! `ttlab conform`: replays what was recorded from a real API server against another one.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use fake_apiserver::conformance::{Case, Failure, Runner};
use futures::StreamExt;
use kube::{Client, Config};

/// Where the recorded cases are, from the workspace's root.
const FOLDER: &str = "fake-apiserver/conformance";

#[derive(clap::Args)]
pub(crate) struct Conform {
    /// The server's URL.
    #[arg(long)]
    server: http::Uri,
    /// A token of one who may do everything.
    #[arg(long, value_name = "TOKEN", env = "TTLAB_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Do not check the server's certificate.
    #[arg(long)]
    insecure: bool,
    /// How many cases run at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Waits take so many times as long.
    #[arg(long, default_value_t = 1.0)]
    patience: f64,
    /// Only cases with this text in AREA::NAME.
    #[arg(long)]
    filter: Option<String>,
    /// A folder with definitions that must be there before the cases.
    #[arg(long, value_name = "FOLDER", default_value = "fake-apiserver/conformance/fixtures")]
    fixtures: PathBuf,
    /// Files of cases (AREA.json), or folders of them. Default: fake-apiserver/conformance/cases.
    paths: Vec<PathBuf>,
}

pub(crate) fn conform(arguments: &Conform) -> anyhow::Result<ExitCode> {
    let cases = cases(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let failed = runtime.block_on(replay(arguments, &cases))?;
    println!("{} passed, {failed} failed", cases.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replays all cases, tells those that fail, and counts them.
async fn replay(arguments: &Conform, cases: &[Case]) -> anyhow::Result<usize> {
    let mut config = Config::new(arguments.server.clone());
    config.accept_invalid_certs = arguments.insecure;
    // Refusals that invite to try again are among what is compared.
    config.default_retry = false;
    let client = Client::try_from(config).context("no client can be made")?;
    let seed = RandomState::new().hash_one(0);
    let mut runner =
        Runner::new(client, arguments.token.clone(), seed).patience(arguments.patience);
    let mut definitions = Vec::new();
    for file in json_files(&arguments.fixtures)? {
        let text = std::fs::read_to_string(&file)?;
        definitions.push(serde_json::from_str(&text).with_context(|| file.display().to_string())?);
    }
    runner.prepare(&definitions).await?;
    let runs = cases.iter().map(|case| {
        let running = runner.run(case);
        async move { (case, running.await) }
    });
    let mut outcomes = futures::stream::iter(runs).buffered(arguments.jobs.into());
    let mut failed = 0;
    while let Some((case, failures)) = outcomes.next().await {
        if !failures.is_empty() {
            failed += 1;
            tell(case, &failures);
        }
    }
    Ok(failed)
}

fn tell(case: &Case, failures: &[Failure]) {
    println!("{}::{}", case.area, case.name);
    for failure in failures {
        println!("  {failure}");
    }
}

fn cases(arguments: &Conform) -> anyhow::Result<Vec<Case>> {
    let default = [PathBuf::from(FOLDER).join("cases")];
    let paths = if arguments.paths.is_empty() { &default[..] } else { &arguments.paths };
    let mut cases = Vec::new();
    for path in paths {
        let files = if path.is_dir() { json_files(path)? } else { vec![path.clone()] };
        for file in files {
            let text =
                std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let area = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            cases.extend(Case::read(&area, &text)?);
        }
    }
    if let Some(filter) = &arguments.filter {
        cases.retain(|case| format!("{}::{}", case.area, case.name).contains(filter));
    }
    anyhow::ensure!(!cases.is_empty(), "no case to replay: the paths hold none that is wanted");
    Ok(cases)
}

fn json_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!("{}: name folders, or run it in the repository", folder.display())
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
