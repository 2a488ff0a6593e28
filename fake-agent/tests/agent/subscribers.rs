//! Subscribers: who feeds them, what they are copied from, and what they can never be.

use std::time::Duration;

use bytes::Bytes;
use fake_agent::{App, ContainerSpec, Running};
use http::Request;
use serde_json::Value;

use super::lab::{HOSTS, Lab, json, post_request, response};

const READER: &str = "sample-sub-0.sample.ns.svc.cluster.local";

/// A pair, and a container for its subscriber.
struct Readers {
    lab: Lab,
    reader: Running,
}

impl Readers {
    async fn new() -> Self {
        let lab = Lab::new().await;
        lab.pair(&format!("NO RETURN subscriber \"sample\" on \"{READER}\"")).await;
        let reader = start(&lab);
        pass(1001).await;
        let all = Self { lab, reader };
        all.ok("startDaemon").await;
        all
    }

    async fn restart(&mut self) {
        self.reader = start(&self.lab);
        pass(1001).await;
        self.ok("startDaemon").await;
    }

    async fn post(&self, verb: &str, source: usize) -> Value {
        let more = [
            ("ourDNSName", READER),
            ("weAreSubscriber", "1"),
            ("standbyDNSName", HOSTS[source]),
            ("otherDNSName", ""),
        ];
        json(&response(self.reader.handle(post_request(0, 0, verb, &more)).await))
    }

    async fn ok(&self, verb: &str) {
        let reply = self.post(verb, 1).await;
        assert_eq!(reply["errno"], 0, "{verb}: {reply}");
    }

    /// Copies from `source`; the errno that the copy ends with.
    async fn copy(&self, source: usize) -> i64 {
        self.post("repDuplicate", source).await;
        pass(20_000).await;
        let poll = Request::get("/agent/status").header("X-Request-Id", "task");
        let poll = self.reader.handle(poll.body(Bytes::new()).unwrap()).await;
        let poll = json(&response(poll));
        assert_eq!(poll["complete"], true, "{poll}");
        poll["errno"].as_i64().unwrap_or_default()
    }

    fn follows(&self) -> bool {
        self.lab.fleet.complete(READER, HOSTS[0])
    }
}

fn start(lab: &Lab) -> Running {
    lab.fleet.start(ContainerSpec::new(READER, "tt-sample-sub-0"))
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn is_copied_from_the_standby_and_fed_by_it() {
    let all = Readers::new().await;
    let app = App::new(&all.lab.fleet);
    app.commit(HOSTS[0]).await.unwrap();
    pass(10).await;
    assert_eq!(all.copy(0).await, 8144, "the active has a standby");
    assert_eq!(all.copy(1).await, 0);
    let view = all.lab.fleet.view(READER).unwrap();
    assert!(view.subscriber && view.scheme && !view.rep_agent && !view.writable);
    app.commit(HOSTS[0]).await.unwrap();
    pass(10).await;
    assert!(!all.follows(), "its replication agent does not run");
    all.ok("startRepAgent").await;
    pass(10).await;
    assert!(all.follows());
    assert!(app.commit(READER).await.is_err(), "it takes no writes");
    assert_eq!(all.post("repStateSetActive", 1).await["errno"], 8158);
}

#[tokio::test(start_paused = true)]
async fn comes_back_by_the_log_that_is_kept_for_it() {
    let mut all = Readers::new().await;
    assert_eq!(all.copy(1).await, 0);
    all.ok("startRepAgent").await;
    all.restart().await;
    let app = App::new(&all.lab.fleet);
    for _ in 0..100_000 {
        app.commit(HOSTS[0]).await.unwrap();
    }
    all.ok("loadDb").await;
    all.ok("startRepAgent").await;
    pass(10).await;
    assert!(!all.follows(), "a backlog takes its time");
    pass(3000).await;
    assert!(all.follows());
}

#[tokio::test(start_paused = true)]
async fn follows_whoever_is_the_active_after_a_failover() {
    let mut all = Readers::new().await;
    assert_eq!(all.copy(1).await, 0);
    all.ok("startRepAgent").await;
    let app = App::new(&all.lab.fleet);
    all.lab.restart(0).await;
    all.lab.ok(1, "repStateSetActive").await;
    app.commit(HOSTS[1]).await.unwrap();
    pass(1000).await;
    assert!(!all.lab.fleet.complete(READER, HOSTS[1]), "the new active waits for its standby");
    let saved = json(&all.lab.post_as(1, 1, "repStateSave", &[]).await);
    assert_eq!(saved["errno"], 0, "{saved}");
    pass(10).await;
    assert!(all.lab.fleet.complete(READER, HOSTS[1]), "now it feeds the subscriber itself");

    all.lab.ok(0, "startDaemon").await;
    all.lab.rebuild(0, 1).await;
    app.commit(HOSTS[1]).await.unwrap();
    pass(10).await;
    assert!(all.lab.fleet.complete(READER, HOSTS[1]), "the new standby feeds it");
    all.lab.fleet.links().cut(HOSTS[0], READER);
    app.commit(HOSTS[1]).await.unwrap();
    pass(1000).await;
    assert!(!all.lab.fleet.complete(READER, HOSTS[1]), "by nobody else");
    all.lab.fleet.links().heal(HOSTS[0], READER);
    pass(10).await;
    assert!(all.lab.fleet.complete(READER, HOSTS[1]));
}
