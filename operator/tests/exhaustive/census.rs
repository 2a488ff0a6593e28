//! What the core decides, counted: how often each decision comes out of the combinations of one
//! state. Every change of the core changes numbers here, and the snapshot shows which: what was not
//! meant to change has not changed.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use timesten_operator::decide::Plan;
use timesten_operator::observation::Observation;
use timesten_operator::pair::Ordinal;

/// What is counted of a plan, in the order in which the snapshot has it.
const FIELDS: [&str; 18] = [
    "goes to",
    "active is",
    "because",
    "health of the active",
    "health of the standby",
    "tells sample-0",
    "tells sample-1",
    "puts on record",
    "standby is brought back by",
    "change of roles is at",
    "upgrade is at",
    "role of sample-0's pod becomes",
    "role of sample-1's pod becomes",
    "ready",
    "deletes as a fence",
    "makes anew",
    "asks at once",
    "looks again after",
];

/// Counts, by field and value.
#[derive(Default)]
pub(crate) struct Census {
    plans: u64,
    counts: BTreeMap<(usize, String), u64>,
    word: String,
}

impl Census {
    /// Counts what a plan says.
    pub(crate) fn take(&mut self, seen: &Observation, plan: &Plan) {
        let now = &plan.standing;
        let role = |member| {
            let label = plan.labels.iter().find(|label| label.member == member);
            label.map(|label| label.role)
        };
        let intent = (now.intent != seen.standing.intent).then_some(&now.intent);
        let values: [&dyn Debug; FIELDS.len()] = [
            &now.state,
            &now.active,
            &plan.because,
            &plan.health[now.active],
            &plan.health[now.standby()],
            &plan.give.zero,
            &plan.give.one,
            &intent.map(|intent| intent.as_ref().map(|intent| (intent.act, intent.member))),
            &(now.rebuild, now.rebuild_failures),
            &now.stage(),
            &now.upgrades.now.as_ref().map(|upgrade| (upgrade.phase, upgrade.tries)),
            &role(Ordinal::Zero),
            &role(Ordinal::One),
            &(plan.ready.zero, plan.ready.one),
            &plan.delete,
            &plan.replace,
            &(plan.ask.zero, plan.ask.one),
            &plan.interval,
        ];
        for (field, value) in values.into_iter().enumerate() {
            self.count(field, value);
        }
        self.plans += 1;
    }

    fn count(&mut self, field: usize, value: &dyn Debug) {
        let mut head = Head { text: std::mem::take(&mut self.word) };
        head.text.clear();
        // It ends early by an error: that is meant.
        let _ = write!(head, "{value:?}");
        let key = (field, head.text);
        match self.counts.get_mut(&key) {
            Some(count) => {
                *count += 1;
                self.word = key.1;
            }
            None => drop(self.counts.insert(key, 1)),
        }
    }

    /// Compares the table with the one of before.
    pub(crate) fn compare(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../../snapshots/decide");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, self.table()));
    }

    fn table(&self) -> String {
        let mut table = format!("{} plans\n", self.plans);
        for (field, name) in FIELDS.iter().enumerate() {
            let _ = write!(table, "\n{name}\n");
            for ((_, value), count) in
                self.counts.range((field, String::new())..(field + 1, String::new()))
            {
                let _ = writeln!(table, "{count:>9}  {value}");
            }
        }
        table
    }
}

/// The beginning of a value's text, up to the first sentence, number of a pod or field in it.
struct Head {
    text: String,
}

impl Write for Head {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        let end = more.find(['"', '{']);
        self.text.push_str(&more[..end.unwrap_or(more.len())]);
        if end.is_some() { Err(std::fmt::Error) } else { Ok(()) }
    }
}
