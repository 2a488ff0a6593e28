//! What runs look like on a screen and in files.

use std::fmt::Write;
use std::time::Duration;

use scenarios::run::{Outcome, Verdict};
use serde_json::{Value, json};

/// How many moments of the timeline a failure shows.
const MOMENTS: usize = 28;

/// One line for a run.
pub(crate) fn line(outcome: &Outcome) -> String {
    if let Verdict::Skipped(reason) = &outcome.verdict {
        return format!("skip  {:<44}  {reason}", outcome.name);
    }
    let recovery = outcome.recovery.map_or("-".into(), span);
    format!(
        "{}  {:<44}  virtual {:>9}  real {:>8}  recovery {:>8}",
        if outcome.passed() { "ok  " } else { "FAIL" },
        outcome.name,
        span(outcome.virtual_time),
        span(outcome.real_time),
        recovery
    )
}

/// One screen for a failure: what happened around it, what was wrong, how to see it again.
pub(crate) fn failure(outcome: &Outcome) -> String {
    let Verdict::Failed(violation) = &outcome.verdict else { return String::new() };
    let mut page = String::new();
    let _ = writeln!(page, "--- {} ---", outcome.name);
    for moment in outcome.timeline.around(violation.at, MOMENTS) {
        let mut text = moment.to_string();
        if text.chars().count() > 150 {
            text = text.chars().take(149).chain(['…']).collect();
        }
        let _ = writeln!(page, "{text}");
    }
    let at = violation.at.as_secs_f64();
    let _ = writeln!(page, "\n  {}, at {at:.3} s: {}", violation.law, violation.message);
    for detail in &violation.details {
        let _ = writeln!(page, "    {detail}");
    }
    let _ = writeln!(page, "  again: {}\n", replay(outcome));
    page
}

/// The command that plays a run again.
pub(crate) fn replay(outcome: &Outcome) -> String {
    let file = outcome.file.as_ref().map_or(outcome.name.clone(), |f| f.display().to_string());
    format!("cargo run --release -- trace {file} --seed {}", outcome.seed)
}

/// The report as JSON.
pub(crate) fn json(outcomes: &[Outcome]) -> Value {
    let scenario = |outcome: &Outcome| {
        let failure = match &outcome.verdict {
            Verdict::Passed | Verdict::Skipped(_) => Value::Null,
            Verdict::Failed(violation) => json!({
                "law": violation.law,
                "message": violation.message,
                "details": violation.details,
                "at_ms": milliseconds(violation.at),
            }),
        };
        json!({
            "name": outcome.name,
            "file": outcome.file.as_ref().map(|file| file.display().to_string()),
            "seed": outcome.seed,
            "verdict": verdict(&outcome.verdict),
            "skipped": match &outcome.verdict {
                Verdict::Skipped(reason) => Some(reason),
                Verdict::Passed | Verdict::Failed(_) => None,
            },
            "failure": failure,
            "trace_hash": outcome.trace_hash,
            "virtual_ms": milliseconds(outcome.virtual_time),
            "real_ms": milliseconds(outcome.real_time),
            "recovery_ms": outcome.recovery.map(milliseconds),
            "shows": outcome.shows,
            "states": outcome.states,
        })
    };
    json!({"scenarios": outcomes.iter().map(scenario).collect::<Vec<_>>()})
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Skipped(_) => "skipped",
        Verdict::Failed(_) => "failed",
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A span of time for people.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs_f64() {
        seconds if seconds >= 120.0 => format!("{:.1} min", seconds / 60.0),
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1000.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use scenarios::oracles::Violation;
    use scenarios::timeline::{Moment, Timeline, Who};

    use super::*;

    pub(crate) fn failed() -> Outcome {
        let at = Duration::from_millis(61_250);
        Outcome {
            name: "active-dies".into(),
            file: Some("scenarios/catalog/failover/active-dies.yaml".into()),
            seed: 7,
            verdict: Verdict::Failed(Violation {
                at,
                law: "step 3".into(),
                message: "this did not come true within 1s".into(),
                details: vec!["state: expected Normal, seen <StandbyDown>".into()],
            }),
            trace_hash: "00ff".into(),
            virtual_time: at,
            real_time: Duration::from_millis(12),
            told: Duration::from_millis(11),
            recovery: Some(Duration::from_millis(1_300)),
            shows: vec![3],
            states: ["Initializing", "Normal", "ActiveDown", "Normal"].map(Into::into).into(),
            timeline: Timeline(vec![Moment { at, who: Who::Fault, text: "kill container".into() }]),
        }
    }

    #[test]
    fn a_failure_is_one_screen() {
        insta::with_settings!({snapshot_path => "../../../snapshots/ttlab", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!("failure", format!("{}\n{}", line(&failed()), failure(&failed())));
        });
    }

    #[test]
    fn the_json_report_has_what_tools_read() {
        let report = json(&[failed()]);
        let scenario = &report["scenarios"][0];
        assert_eq!(scenario["verdict"], "failed");
        assert_eq!(scenario["virtual_ms"], 61_250);
        assert_eq!(scenario["recovery_ms"], 1_300);
        assert_eq!(scenario["shows"], json!([3]));
        assert_eq!(scenario["trace_hash"], "00ff");
    }
}
