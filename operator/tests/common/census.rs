//! What the core decides, counted: how often each decision comes out of many observations. Every
//! change of the core changes numbers here, and the snapshot shows which: what was not meant to change
//! has not changed.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

/// Counts of plans, by field and value.
pub(crate) struct Census {
    fields: &'static [&'static str],
    plans: u64,
    counts: BTreeMap<(usize, String), u64>,
    word: String,
}

impl Census {
    /// Counts these fields of plans, in the order in which the snapshot has them.
    pub(crate) fn new(fields: &'static [&'static str]) -> Self {
        Self { fields, plans: 0, counts: BTreeMap::new(), word: String::new() }
    }

    /// Counts a plan: what it says in each field.
    pub(crate) fn take(&mut self, values: &[&dyn Debug]) {
        assert_eq!(values.len(), self.fields.len());
        for (field, value) in values.iter().enumerate() {
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

    /// Compares the table with the one of before, `snapshots/decide/NAME.snap`.
    pub(crate) fn compare(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../../snapshots/decide");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, self.table()));
    }

    fn table(&self) -> String {
        let mut table = format!("{} plans\n", self.plans);
        for (field, name) in self.fields.iter().enumerate() {
            let _ = write!(table, "\n{name}\n");
            let of_field = (field, String::new())..(field + 1, String::new());
            for ((_, value), count) in self.counts.range(of_field) {
                let _ = writeln!(table, "{count:>9}  {value}");
            }
        }
        table
    }
}

/// The beginning of a value's text, up to the first sentence or field in it.
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
