//! `ttlab run`: scenarios, several at once, a line each; one after the other on a server of somebody else.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use scenarios::case::{Case, Span};
use scenarios::run::{Outcome, Verdict, obstacle, run_on, skipped};

use super::elsewhere::Elsewhere;
use super::{book, files, junit, report};

#[derive(clap::Args)]
pub(crate) struct Run {
    /// Scenario files, or folders of them. Default: scenarios/catalog.
    paths: Vec<PathBuf>,
    /// How many run at once. Default: as many as there are processors.
    #[arg(long, conflicts_with = "kubeconfig")]
    jobs: Option<usize>,
    /// The seed of all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run each with this many seeds, from --seed on.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Only scenarios with this text in their name.
    #[arg(long)]
    filter: Option<String>,
    /// Without the quiet hour at the end of each, to try something out.
    #[arg(long)]
    quick: bool,
    /// Write a JUnit report to this file.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Write a JSON report to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the failure catalogue, with what was seen of it, to this file (docs/scenarios.md).
    #[arg(long)]
    book: Option<PathBuf>,
    #[command(flatten)]
    elsewhere: Elsewhere,
    /// Skip scenarios that wait longer than this in real time.
    #[arg(long, requires = "kubeconfig", value_name = "SPAN", default_value = "5m")]
    longest: Span,
}

pub(crate) fn run(arguments: &Run) -> anyhow::Result<ExitCode> {
    let mut cases = Vec::new();
    for file in files(&arguments.paths)? {
        let case = Case::read(&file)?;
        if arguments.filter.as_ref().is_none_or(|text| case.name.contains(text.as_str())) {
            cases.push(case);
        }
    }
    anyhow::ensure!(
        !cases.is_empty(),
        "no scenario to run: {}",
        arguments.filter.as_ref().map_or_else(
            || "the paths given hold no .yaml files".to_owned(),
            |text| format!("none has \"{text}\" in its name; leave --filter out to run them all"),
        )
    );
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.seeds.max(1));
    let work: Vec<(&Case, u64)> =
        cases.iter().flat_map(|case| seeds.clone().map(move |seed| (case, seed))).collect();
    let play =
        if arguments.quick { scenarios::run::without_quiet_hour } else { scenarios::run::run };
    let outcomes = match &arguments.elsewhere.kubeconfig {
        None => all(&work, arguments.jobs, play),
        Some(file) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(elsewhere(arguments, file, &work))?
        }
    };
    if let Some(file) = &arguments.junit {
        std::fs::write(file, junit::xml(&outcomes))
            .with_context(|| format!("--junit {}", file.display()))?;
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&report::json(&outcomes))?)
            .with_context(|| format!("--json {}", file.display()))?;
    }
    if let Some(file) = &arguments.book {
        std::fs::write(file, book::page(&scenarios::rows::parts()?, &outcomes))
            .with_context(|| format!("--book {}", file.display()))?;
    }
    for outcome in &outcomes {
        say(&report::failure(outcome));
    }
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
    let skipped =
        outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Skipped(_))).count();
    let failed = outcomes.len() - passed - skipped;
    if arguments.elsewhere.kubeconfig.is_some() {
        say(&format!("{passed} passed, {failed} failed, {skipped} skipped\n"));
    } else {
        say(&format!("{passed} passed, {failed} failed\n"));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs those that can be, one after the other, on a server of somebody else.
async fn elsewhere(
    arguments: &Run,
    file: &Path,
    work: &[(&Case, u64)],
) -> anyhow::Result<Vec<Outcome>> {
    let visit = arguments.elsewhere.visit(file).await?;
    let Span(longest) = arguments.longest;
    let mut outcomes = Vec::new();
    for (case, seed) in work {
        let outcome = if visit.interrupted() {
            skipped(case, *seed, "the run was interrupted".into())
        } else if let Some(reason) = obstacle(case, longest) {
            skipped(case, *seed, reason)
        } else {
            run_on(case, *seed, &visit, arguments.quick).await
        };
        say(&format!("{}\n", report::line(&outcome)));
        outcomes.push(outcome);
    }
    visit.end().await?;
    Ok(outcomes)
}

/// Runs all, each in a world of its own, and gives the outcomes in the order of the work.
fn all(
    work: &[(&Case, u64)],
    jobs: Option<usize>,
    play: fn(&Case, u64) -> Outcome,
) -> Vec<Outcome> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = jobs.unwrap_or(processors).clamp(1, work.len().max(1));
    let bar = bar(work.len());
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((case, seed)) = work.get(index) else { break };
                    let outcome = play(case, *seed);
                    let line = report::line(&outcome);
                    bar.suspend(|| say(&format!("{line}\n")));
                    bar.inc(1);
                    let mut all = outcomes.lock().unwrap_or_else(|poison| poison.into_inner());
                    all.push((index, outcome));
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut outcomes = outcomes.into_inner().unwrap_or_else(|poison| poison.into_inner());
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Prints. Whoever reads no more has seen enough; the reports and the exit code are still worth having.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn bar(length: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or_default());
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} scenarios, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
