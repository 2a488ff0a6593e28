//! A Kubernetes operator for active standby pairs of Oracle TimesTen Classic.
//!
//! Read it in this order: [`standing`] (where a pair can stand), [`observation`] (what one pass
//! sees), [`decide`] (what follows from it: the heart), [`act`] (how that is done) and
//! [`controller`] (when). [`crd`], [`desired`] and [`objects`] are what users write and what is
//! made of it; [`agent`] speaks to TimesTen.

mod abandon;
pub mod act;
pub mod agent;
pub mod caches;
pub mod clock;
pub mod cluster;
pub mod controller;
pub mod crd;
pub mod credentials;
pub mod decide;
pub mod desired;
pub mod direct;
pub mod jobs;
pub mod labels;
pub mod lease;
pub mod memory;
pub mod objects;
pub mod observation;
pub mod observe;
pub mod operator;
pub mod pair;
pub mod report;
pub mod sight;
pub mod since;
pub mod standing;
pub mod writes;
