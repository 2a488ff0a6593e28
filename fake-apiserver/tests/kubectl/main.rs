//! The real `kubectl` against a server: what people type, and what they read. It is told loudly where there is none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod custom;
mod objects;
mod sets;
mod terminal;
mod watches;

/// Runs commands one after the other on a fresh server, and compares what is read with a snapshot.
macro_rules! session {
    ($name:literal, $($line:expr),+ $(,)?) => {
        let Some(terminal) = $crate::terminal::Terminal::open($name) else { return };
        terminal.expect($name, &[$($line),+]);
    };
}
use session;

#[test]
fn the_server_tells_what_it_is() {
    session!(
        "server",
        "cluster-info",
        "api-versions",
        "api-resources --api-group=apps",
        "api-resources --verbs=list --namespaced=false --api-group=storage.k8s.io",
        "get --raw /healthz",
        "get --raw /api/v1/namespaces/default",
        "get --raw /nothing",
        "get nothing",
        "top pods",
        "top nodes",
        "explain statefulsets.spec.updateStrategy --recursive",
        "explain pods.metadata.labels",
    );
}

#[test]
fn the_user_asks_what_it_may() {
    session!(
        "auth",
        "auth whoami",
        "auth can-i create pods",
        "auth can-i get pods --subresource=log -n default",
        "auth can-i --list -n default",
    );
}
