//! The scenario language: what is wrong in a file is told with file, line and what is allowed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use rstest::rstest;
use scenarios::case::{Case, json_schema};

const HEAD: &str = "scenario: x\nabout: y\n";

#[rstest]
#[case::unknown_key("steps:\n  - eventually: {stat: Normal}\n", &["x.yaml", "line 4", "stat", "state"])]
#[case::unknown_step("steps:\n  - explode: {}\n", &["line 4", "explode", "kill-container"])]
#[case::bad_span("steps:\n  - eventually: {state: Normal, within: 5 minutes}\n", &["line 4", "5 minutes", "500ms"])]
#[case::no_span("steps:\n  - never: {state: Normal}\n", &["step 1", "for: 10s"])]
#[case::no_steps("steps: []\n", &["without steps"])]
#[case::unknown_field("colour: red\nsteps: []\n", &["line 3", "colour"])]
#[case::not_yaml("steps: [\n", &["x.yaml"])]
fn a_mistake_is_told(#[case] rest: &str, #[case] told: &[&str]) {
    let error = Case::parse("x.yaml", &format!("{HEAD}{rest}")).unwrap_err().to_string();
    for text in told {
        assert!(error.contains(text), "{text:?} is not in:\n{error}");
    }
}

#[test]
fn a_scenario_stands_in_a_file_of_its_name() {
    let error = Case::parse("y.yaml", &format!("{HEAD}steps:\n  - quiet: 1s\n")).unwrap_err();
    assert!(error.to_string().contains("another name"), "{error}");
}

#[test]
fn the_schema_knows_every_step() {
    let schema = json_schema().to_string();
    for step in ["eventually", "kill-container", "crash-operator", "lose-node", "refused"] {
        assert!(schema.contains(step), "{step}");
    }
}
