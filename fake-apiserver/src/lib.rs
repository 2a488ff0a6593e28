//! A Kubernetes API server in a library: storage, API machinery, controllers and a simulated kubelet.

pub mod controllers;
pub mod faults;
pub mod kubelet;

/// Source of wall-clock time for every timestamp the server writes.
pub type Clock = std::sync::Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
