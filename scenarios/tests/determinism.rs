//! The same scenario with the same seed gives the same trace hash: a hundred times in a row, in
//! parallel, and in other processes; another seed may give another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::Command;

use scenarios::case::Case;
use scenarios::run::without_quiet_hour;

/// Set in the processes that this test starts.
const CHILD: &str = "TTLAB_DETERMINISM_CHILD";

fn case() -> Case {
    let file =
        concat!(env!("CARGO_MANIFEST_DIR"), "/catalog/failover/active-container-killed.yaml");
    Case::read(Path::new(file)).unwrap()
}

fn hash(case: &Case, seed: u64) -> String {
    let outcome = without_quiet_hour(case, seed);
    assert!(outcome.passed(), "{:?}", outcome.verdict);
    outcome.trace_hash
}

#[test]
fn a_hundred_runs_in_a_row_are_one() {
    let case = case();
    let first = hash(&case, 7);
    for run in 1..100 {
        assert_eq!(hash(&case, 7), first, "run {run}");
    }
}

#[test]
fn runs_side_by_side_do_not_touch_each_other() {
    let case = case();
    let alone = hash(&case, 3);
    let together: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| hash(&case, 3))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(together.iter().all(|hash| *hash == alone), "{together:?} and {alone}");
}

#[test]
fn other_processes_do_the_same() {
    if std::env::var_os(CHILD).is_some() {
        println!("hash={}", hash(&case(), 11));
        return;
    }
    let own = hash(&case(), 11);
    for _ in 0..3 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "other_processes_do_the_same", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("hash={own}")), "another process differs: {text}");
    }
}
