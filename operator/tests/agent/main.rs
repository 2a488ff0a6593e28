//! The agent module from outside: the production client against a small TLS and HTTP server of its
//! own, over pipes in memory and in virtual time; and what replies prove.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod connections;
mod facts;
mod limits;
mod recorded;
mod replies;
mod requests;
mod server;
mod shared;
mod trust;

use std::time::Duration;

use timesten_operator::agent::{Call, Roles, TaskId, Verb};

const S: Duration = Duration::from_secs(1);
const OK: &str = r#"{"jsonVer":1,"errno":0}"#;

fn call(verb: Verb) -> Call {
    let roles = Roles {
        active: Some("sample-1.sample.ns.svc.cluster.local".into()),
        standby: Some("sample-0.sample.ns.svc.cluster.local".into()),
        subscriber: false,
    };
    Call { verb, roles }
}

fn id() -> TaskId {
    TaskId::from_random([7; 16])
}
