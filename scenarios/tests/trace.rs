//! `ttlab trace NAME`: what is said of a name that is none, or of several.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::Command;

use rstest::rstest;

/// What `ttlab trace` says of a name in a catalogue of three.
fn trace(name: &str) -> String {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("names-{name}"));
    for file in ["one/twin.yaml", "two/twin.yaml", "two/active-daemon-down.yaml"] {
        let file = root.join("catalog").join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "steps: []\n").unwrap();
    }
    let mut ttlab = Command::new(env!("CARGO_BIN_EXE_ttlab"));
    let output = ttlab.args(["trace", name]).current_dir(root).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[rstest]
#[case::ambiguous(
    "twin",
    "several scenarios are called \"twin\": name one of catalog/one/twin.yaml, catalog/two/twin.yaml\n"
)]
#[case::word("daemon", "there is no scenario \"daemon\": is it active-daemon-down?\n")]
#[case::other_order(
    "down-active",
    "there is no scenario \"down-active\": is it active-daemon-down?\n"
)]
#[case::nothing_near(
    "xyz",
    "there is no scenario \"xyz\": name a file, or a scenario that `ttlab run` lists\n"
)]
fn a_name_that_is_not_one_is_answered_with_what_may_be_meant(
    #[case] name: &str,
    #[case] told: &str,
) {
    assert_eq!(trace(name), format!("ttlab: {told}"));
}
