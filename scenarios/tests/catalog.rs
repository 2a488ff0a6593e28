//! Every scenario of the catalogue is a test: it passes, and does the same when it is run again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::PathBuf;

use rstest::rstest;
use scenarios::case::Case;
use scenarios::run::{Verdict, run, without_quiet_hour};

#[rstest]
fn scenario(#[files("catalog/**/*.yaml")] file: PathBuf) {
    let case = Case::read(&file).unwrap_or_else(|error| panic!("{error}"));
    let first = run(&case, 1);
    if let Verdict::Failed(violation) = &first.verdict {
        let moments = first.timeline.around(violation.at, 40);
        let lines: Vec<String> = moments.iter().map(ToString::to_string).collect();
        panic!("{violation:#?}\n{}\nagain: ttlab trace {}", lines.join("\n"), file.display());
    }
    let again = without_quiet_hour(&case, 1);
    assert!(again.passed(), "the second run failed: {:?}", again.verdict);
    let (one, two) = (first.timeline.to_string(), again.timeline.to_string());
    assert_eq!(
        first.trace_hash,
        again.trace_hash,
        "the second run differs:\n{}",
        differ(&one, &two)
    );
}

/// The first lines in which two texts differ.
fn differ(one: &str, two: &str) -> String {
    let pair = one.lines().zip(two.lines()).find(|(one, two)| one != two);
    pair.map_or_else(
        || "in what the timeline does not show".into(),
        |(a, b)| format!("- {a}\n+ {b}"),
    )
}
