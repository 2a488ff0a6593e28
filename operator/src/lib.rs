//! See ARCHITECTURE.md.

pub mod agent;
pub mod credentials;
pub mod lease;
