//! The harness: the operator, unmodified, against a fake cluster and fake agents, in virtual or
//! real time; scenarios in YAML; oracles that watch over every one of them.
//!
//! Read `case` for the language, `world` for what is put together, `run` for how a scenario is
//! played, `oracles` for what must always hold.

pub mod case;
pub mod determinism;
pub mod network;
pub mod oracles;
pub mod rows;
pub mod run;
pub mod timeline;
pub mod world;
