//! The report as JUnit XML, which CI systems read.

use std::fmt::Write;

use scenarios::run::{Outcome, Verdict};

/// Writes the report.
pub(crate) fn xml(outcomes: &[Outcome]) -> String {
    let failed = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Failed(_));
    let failures = outcomes.iter().filter(failed).count();
    let mut page = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        page,
        "<testsuite name=\"ttlab\" tests=\"{}\" failures=\"{failures}\">",
        outcomes.len()
    );
    for outcome in outcomes {
        let (name, time) = (escaped(&outcome.name), outcome.real_time.as_secs_f64());
        let _ =
            write!(page, "  <testcase classname=\"scenarios\" name=\"{name}\" time=\"{time:.3}\"");
        match &outcome.verdict {
            Verdict::Passed => page.push_str("/>\n"),
            Verdict::Skipped(reason) => {
                let reason = escaped(reason);
                let _ = writeln!(page, ">\n    <skipped message=\"{reason}\"/>\n  </testcase>");
            }
            Verdict::Failed(violation) => {
                let message = escaped(&format!("{}: {}", violation.law, violation.message));
                let text = escaped(&super::report::failure(outcome));
                let _ = writeln!(page, ">\n    <failure message=\"{message}\">{text}</failure>");
                page.push_str("  </testcase>\n");
            }
        }
    }
    page.push_str("</testsuite>\n");
    page
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_escaped() {
        let page = xml(&[super::super::report::tests::failed()]);
        assert!(page.contains("seen &lt;StandbyDown&gt;"), "{page}");
        assert!(page.contains("tests=\"1\" failures=\"1\""));
        assert!(!page.contains("<StandbyDown>"));
    }
}
