//! Server-side apply against a small model, with any configurations of three managers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod apply_model;

use apply_model::{Config, Step, compare};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

fn config() -> impl Strategy<Value = Config> {
    let size = proptest::option::of(0_u8..3);
    (
        btree_map(0_u8..4, 0_u8..3, 0..3),
        btree_set(0_u8..4, 0..3),
        btree_map(0_u8..4, size, 0..3),
        vec(0_u8..3, 0..3),
    )
        .prop_map(|(map, set, items, atomic)| Config { map, set, items, atomic })
}

fn step() -> impl Strategy<Value = Step> {
    (0_u8..3, any::<bool>(), config()).prop_map(|(manager, force, config)| Step {
        manager,
        force,
        config,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_apply_does_what_the_model_says(steps in vec(step(), 1..10)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(compare(&steps));
    }
}
