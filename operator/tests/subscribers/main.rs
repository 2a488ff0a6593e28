//! Subscribers: what is decided for them, what is made for them, and that nothing of them is the
//! pair's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod spelt;

mod cases;
mod exhaustive;
mod objects;
