//! The event stream: complete, in time, and the same in every run.

use std::time::Duration;

use fake_agent::{App, Fact, Happening};
use tokio::time::Instant;

use super::lab::{HOSTS, Lab};

/// A failover by hand, as lines of text.
async fn history() -> Vec<String> {
    let began = Instant::now();
    let mut lab = Lab::new().await;
    let mut events = lab.fleet.subscribe();
    lab.pair("RETURN RECEIPT").await;
    let app = App::new(&lab.fleet);
    app.commit(HOSTS[0]).await.unwrap();
    lab.running[0] = None;
    lab.ok(1, "repStateSetActive").await;
    app.commit(HOSTS[1]).await.unwrap_err();
    let mut lines = Vec::new();
    while let Some(event) = events.try_next() {
        let at = event.at.duration_since(began).as_micros();
        lines.push(format!("{at} {} {:?}", event.host, event.what));
    }
    lines
}

#[test]
fn the_same_actions_give_the_same_events() {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(history())
    };
    let first = run();
    assert!(first.len() > 40, "{first:#?}");
    for _ in 0..10 {
        assert_eq!(run(), first);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_at_its_own_moment_though_nobody_looks() {
    let lab = Lab::new().await;
    lab.active("NO RETURN").await;
    lab.ok(1, "startDaemon").await;
    lab.duplicate(1, 0).await;
    let mut events = lab.fleet.subscribe();
    lab.ok(1, "startRepAgent").await;
    let started = Instant::now();
    let standby = async {
        loop {
            let event = events.next().await.unwrap();
            let Happening::Changed { fact: Fact::RepState, to: "STANDBY", .. } = event.what else {
                continue;
            };
            return event.at;
        }
    };
    let at = tokio::time::timeout(Duration::from_secs(5), standby).await.unwrap();
    let took = at.duration_since(started).as_millis();
    assert!((499..=502).contains(&took), "{took} ms");
    assert_eq!(Instant::now().duration_since(at).as_millis(), 0);
}
