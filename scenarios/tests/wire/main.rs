//! The operator's client against the fake agent, over TLS, in virtual time: whatever either side
//! does, in whatever order, the client ends within its limit, takes no failure for a success, and
//! shows no secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod asks;
mod lab;

use proptest::prelude::*;

use asks::Step;
use lab::Lab;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_agent_does_the_client_keeps_its_word(steps in prop::collection::vec(asks::step(), 1..24)) {
        play(&steps);
    }
}

/// Plays the steps in a world of their own.
fn play(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut lab = Lab::new().await;
        for step in steps {
            lab.play(step).await;
        }
    });
}
