//! docs/scenarios.md: the failure catalogue, with what the scenarios showed of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use scenarios::rows::{Part, Row};
use scenarios::run::Outcome;

use super::report::span;

const HEAD: &str = "# The failure catalogue

What can go wrong, what this operator does then, and what Oracle's does. Made by
`cargo run --release -- run --book docs/scenarios.md` from the scenarios of
[scenarios/catalog](../scenarios/catalog), which CI runs: do not edit it.

*States* are those that the object goes through, from the first Normal on if it gets there before
the failure. *Without service* is the longest time in which no client's write was taken, from the
first fault on, with agents and kubelets that take as long as real ones: `-` where nothing is measured,
and 100 ms, the pause between two writes, where none was missed. A human's time to react, or a fault
that the scenario holds on to, is part of it. What the states mean is in [states.md](states.md).
";

/// The page.
pub(crate) fn page(parts: &[Part], outcomes: &[Outcome]) -> String {
    let mut shown: BTreeMap<u32, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        for row in &outcome.shows {
            let of_row = shown.entry(*row).or_default();
            // Of several seeds the first.
            if of_row.iter().all(|other| other.name != outcome.name) {
                of_row.push(outcome);
            }
        }
    }
    let rows = parts.iter().map(|part| part.rows.len()).sum::<usize>();
    let mut page = format!("{HEAD}\n{} of {rows} rows are shown.\n", shown.len());
    for part in parts {
        let _ = writeln!(page, "\n## {}\n", part.title);
        page.push_str(
            "| Row | What happens | Oracle's operator | Scenario | States | Without service |\n",
        );
        page.push_str("|---|---|---|---|---|---|\n");
        for row in &part.rows {
            lines(&mut page, row, shown.get(&row.row).map_or(&[], Vec::as_slice));
        }
    }
    page
}

/// A row: a line for each scenario that shows it.
fn lines(page: &mut String, Row { row, what, peer }: &Row, outcomes: &[&Outcome]) {
    let mut head = format!("| {row} | {what} | {peer} |");
    if outcomes.is_empty() {
        let _ = writeln!(page, "{head} not yet | | |");
    }
    for outcome in outcomes {
        let without = outcome.recovery.filter(|span| !span.is_zero());
        let without = without.map_or_else(|| "-".into(), span);
        let _ = writeln!(page, "{head} {} | {} | {without} |", link(outcome), states(outcome));
        head = "| | | |".into();
    }
}

fn link(outcome: &Outcome) -> String {
    let file = outcome.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let place = file.rsplit_once("catalog/").map_or(file.as_str(), |(_, place)| place);
    format!("[{}](../scenarios/catalog/{place})", outcome.name)
}

fn states(outcome: &Outcome) -> String {
    let provisioned = outcome.states.iter().position(|state| state == "Normal");
    let from = provisioned.filter(|at| at + 1 < outcome.states.len()).unwrap_or_default();
    outcome.states.get(from..).unwrap_or_default().join(" → ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::tests::failed;
    use super::*;

    #[test]
    fn a_row_has_a_line_for_each_scenario_that_shows_it() {
        let row = |row| Row { row, what: "It dies".into(), peer: "Nothing.".into() };
        let part = Part { title: "One".into(), rows: vec![row(3), row(4)] };
        let lives = Outcome { name: "lives".into(), recovery: None, ..failed() };
        let quick = Outcome { recovery: Some(Duration::from_millis(12)), ..failed() };
        insta::with_settings!({snapshot_path => "../../../snapshots/ttlab", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!("book", page(&[part], &[failed(), lives, quick]));
        });
    }
}
