//! `ttlab bench`: measured figures. Nothing here is asserted by a test.

use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, ObjectMeta, PostParams};
use scenarios::case::Case;
use scenarios::determinism::on_seeded_thread;
use scenarios::run::{run, without_quiet_hour};
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Runs of each measurement; the median is told.
    #[arg(long, default_value_t = 9)]
    runs: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const TO_NORMAL: &str = "
scenario: bench-normal
about: From an empty world to Normal.
world: {writes-every: 1h}
steps:
  - eventually: {state: Normal, within: 5m}
";

/// The active's container dies, the standby takes over, the pair heals: the story alone, without the
/// second world that scenarios of the catalogue are compared with.
const FAILOVER: &str = "
scenario: bench-failover
about: From an empty world to Normal, through a failover, to Normal.
world: {writes-every: 1h}
steps:
  - eventually: {state: Normal, within: 5m}
  - kill-container: active
  - eventually: {active: sample-1, within: 3s}
  - eventually: {state: Normal, within: 1m}
";

pub(crate) fn bench(arguments: &Bench) -> anyhow::Result<ExitCode> {
    let runs = arguments.runs.max(1);
    let normal = Case::parse("bench-normal", TO_NORMAL)?;
    let failover = Case::parse("bench-failover", FAILOVER)?;
    let hour = Duration::from_secs(3600);
    let to_normal = median(runs, || story_time(&normal));
    let failover_story = median(runs, || story_time(&failover)).saturating_sub(to_normal);
    let with_hour = median(runs, || run(&normal, 1).real_time);
    let without = median(runs, || without_quiet_hour(&normal, 1).real_time);
    let steady = with_hour.saturating_sub(without);
    let simulated = hour.as_secs_f64() / steady.as_secs_f64().max(f64::EPSILON);
    let api = api_rates();
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({
                "world_to_normal_ms": to_normal.as_secs_f64() * 1e3,
                "failover_ms": failover_story.as_secs_f64() * 1e3,
                "simulated_seconds_a_second": simulated,
                "api_requests_a_second": api.iter().map(|(name, rate)| (*name, *rate)).collect::<std::collections::BTreeMap<_, _>>(),
            }))?
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<44} {:>12.1} ms", "empty world to Normal", to_normal.as_secs_f64() * 1e3);
    println!(
        "{:<44} {:>12.1} ms",
        "failover, from Normal to Normal",
        failover_story.as_secs_f64() * 1e3
    );
    println!("{:<44} {simulated:>12.0} s/s", "healthy pair, simulated seconds a second");
    for (name, rate) in api {
        println!("{:<44} {rate:>12.0} /s", format!("API in process, {name}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The real time of the story alone: from an empty world to the end of its last step.
fn story_time(case: &Case) -> Duration {
    without_quiet_hour(case, 1).told
}

fn median(runs: usize, mut measure: impl FnMut() -> Duration) -> Duration {
    let mut spans: Vec<Duration> = (0..runs).map(|_| measure()).collect();
    spans.sort();
    spans.get(spans.len() / 2).copied().unwrap_or_default()
}

/// Requests a second of the in-process API, one client after the other's answer.
fn api_rates() -> Vec<(&'static str, f64)> {
    const COUNT: u32 = 2_000;
    let measured = on_seeded_thread(1, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return Vec::new() };
        runtime.block_on(async {
            let time = jiff::Timestamp::UNIX_EPOCH;
            let server = fake_apiserver::ApiServer::new(fake_apiserver::Options::at(time, 1));
            let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
            let mut rates = Vec::new();
            let began = tokio::time::Instant::now();
            for index in 0..COUNT {
                let object = ConfigMap {
                    metadata: ObjectMeta {
                        name: Some(format!("c{index}")),
                        ..ObjectMeta::default()
                    },
                    ..ConfigMap::default()
                };
                let _ = api.create(&PostParams::default(), &object).await;
            }
            rates.push(("create", rate(COUNT, began.elapsed())));
            let began = tokio::time::Instant::now();
            for index in 0..COUNT {
                let _ = api.get(&format!("c{index}")).await;
            }
            rates.push(("get", rate(COUNT, began.elapsed())));
            let began = tokio::time::Instant::now();
            for _ in 0..COUNT / 100 {
                let _ = api.list(&ListParams::default().limit(500)).await;
            }
            rates.push(("list of 500", rate(COUNT / 100, began.elapsed())));
            rates
        })
    });
    measured.unwrap_or_default()
}

fn rate(count: u32, span: Duration) -> f64 {
    f64::from(count) / span.as_secs_f64().max(f64::EPSILON)
}
