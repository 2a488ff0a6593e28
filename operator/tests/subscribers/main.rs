//! Subscribers: what is decided for them, what is made for them, and that nothing of them is the
//! pair's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

mod cases;
mod exhaustive;
mod objects;
