//! Controllers and kubelets on the server, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod care;
mod faults;
mod machinery;
mod pods;
mod runtime;
mod sets;
mod subresources;
mod world;
