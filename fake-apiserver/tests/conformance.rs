//! Every exchange recorded from Kubernetes 1.36.2 is answered the same: one test a case, `area::name`, each on a server
//! of its own, in process and in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fake_apiserver::conformance::{Case, Runner};
use fake_apiserver::controllers::{self, Controller};
use fake_apiserver::{ApiServer, Clock, Options};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// A token in `system:masters`.
const TOKEN: &str = "conformance";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

fn json_files(name: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder().join(name)).expect("a folder of the crate");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let stem = path.file_stem().expect("a file").to_string_lossy().into_owned();
        (stem, std::fs::read_to_string(path).expect("readable"))
    };
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .map(read)
        .collect()
}

/// Replays a case on a server with controllers but no nodes and no storage, as the cases want it.
async fn replay(case: &Case, fixtures: &[Value]) -> Result<(), Failed> {
    let began = tokio::time::Instant::now();
    let start: jiff::Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let clock: Clock = Arc::new(move || {
        start + jiff::SignedDuration::try_from(began.elapsed()).expect("a short time")
    });
    let server = ApiServer::new(Options { clock: Arc::clone(&clock), seed: 1 });
    let client = server.client();
    let running = tokio::spawn(async move {
        let some = Controller::ALL.into_iter().filter(|which| *which != Controller::Volumes);
        controllers::run(client, clock, &some.collect::<Vec<_>>()).await;
    });
    server.require_token(TOKEN);
    let asking = kube::Client::new(server.front(), "default");
    let mut runner = Runner::new(asking, Some(TOKEN.to_owned()), 1);
    runner.prepare(fixtures).await?;
    let failures = runner.run(case).await;
    running.abort();
    if failures.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    Err(lines.join("\n").into())
}

fn virtual_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let fixtures: Vec<Value> = json_files("fixtures")
        .iter()
        .map(|(_, text)| serde_json::from_str(text).expect("JSON"))
        .collect();
    let fixtures: Arc<[Value]> = fixtures.into();
    let cases: Vec<Case> = json_files("cases")
        .iter()
        .flat_map(|(area, text)| Case::read(area, text).expect("cases"))
        .collect();
    let trials = cases.into_iter().map(|case| {
        let name = format!("{}::{}", case.area, case.name);
        let fixtures = Arc::clone(&fixtures);
        Trial::test(name, move || virtual_time(replay(&case, &fixtures)))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
