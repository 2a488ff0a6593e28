//! Server-side apply against the model of the crate's own tests.

#![no_main]

#[path = "../../tests/apply_model/mod.rs"]
mod apply_model;

use std::collections::{BTreeMap, BTreeSet};

use apply_model::{Config, Step};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

/// A step as the fuzzer writes it; keys are few, so that managers meet.
#[derive(Debug, Arbitrary)]
struct Raw {
    manager: u8,
    force: bool,
    map: BTreeMap<u8, u8>,
    set: BTreeSet<u8>,
    items: BTreeMap<u8, Option<u8>>,
    atomic: Vec<u8>,
}

impl From<Raw> for Step {
    fn from(raw: Raw) -> Self {
        let config = Config {
            map: raw.map.into_iter().map(|(key, value)| (key % 8, value % 4)).collect(),
            set: raw.set.into_iter().map(|value| value % 8).collect(),
            items: raw.items.into_iter().map(|(id, size)| (id % 8, size.map(|size| size % 4))).collect(),
            atomic: raw.atomic,
        };
        Self { manager: raw.manager % 3, force: raw.force, config }
    }
}

fuzz_target!(|steps: Vec<Raw>| {
    let steps: Vec<Step> = steps.into_iter().take(20).map(Step::from).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(apply_model::compare(&steps));
});
