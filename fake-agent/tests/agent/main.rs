//! Tests of the agent from outside: through requests, against the truth of the model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod lab;
mod tls;

mod commits;
mod events;
mod laws;
mod pair;
mod replay;
mod script;
mod snapshots;
mod subscribers;
mod verbs;
mod wire;
