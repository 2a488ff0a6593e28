//! Canonical answers, shared with whoever decodes them: `snapshots/agent/*.json` in the
//! repository. Set `UPDATE_AGENT_SNAPSHOTS=1` to write them anew, then review the difference.

use std::path::PathBuf;
use std::time::Duration;

use fake_agent::{Fault, On, RepState, Rule};
use serde_json::{Value, json};

use super::lab::{HOSTS, Lab, json as body, post_request};

const AWT: &str = "create asynchronous writethrough cache group cg from t (a int);";

fn check(name: &str, reply: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../snapshots/agent")
        .join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(reply).unwrap() + "\n";
    if std::env::var_os("UPDATE_AGENT_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "{name}: set UPDATE_AGENT_SNAPSHOTS=1 to write it anew");
}

#[tokio::test(start_paused = true)]
async fn status_of_a_pair() {
    let mut lab = Lab::new().await;
    check("daemon-down", &lab.get(0).await);
    lab.ok(0, "startDaemon").await;
    check("no-database", &lab.get(0).await);
    lab.active("NO RETURN").await;
    check("active-without-standby", &lab.get(0).await);
    lab.ok(1, "startDaemon").await;
    lab.duplicate(1, 0).await;
    check("duplicated-idle", &lab.get(1).await);
    lab.ok(1, "startRepAgent").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    check("healthy-active", &lab.get(0).await);
    check("healthy-standby", &lab.get(1).await);
    lab.fleet.links().cut(HOSTS[0], HOSTS[1]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    check("active-lost-contact", &lab.get(0).await);
    lab.ok(0, "repStateSave").await;
    check("active-peer-failed", &lab.get(0).await);
    assert!(lab.fleet.set_rep_state(HOSTS[1], RepState::Recovering));
    check("recovering", &lab.get(1).await);
    lab.fleet.invalidate(HOSTS[1], true);
    check("transitioning", &lab.get(1).await);
    lab.restart(1).await;
    lab.ok(1, "startDaemon").await;
    check("unloaded", &lab.get(1).await);
    let load = lab.running[1].as_ref().unwrap().handle(post_request(1, 0, "loadDb", &[]));
    let load = tokio::spawn(load);
    tokio::time::sleep(Duration::from_millis(500)).await;
    check("loading", &lab.get(1).await);
    load.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn status_with_cache_groups_and_twosafe() {
    let config = [("cacheUser", "c/t/o"), ("cachegroups.sql", AWT)];
    let lab = Lab::with(fake_agent::FleetOptions::default(), &config).await;
    lab.active("RETURN TWOSAFE DISABLE RETURN ALL 1").await;
    lab.post_as(0, 0, "createCg", &[]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    check("twosafe-with-cache-groups", &lab.get(0).await);
}

#[tokio::test(start_paused = true)]
async fn status_that_says_nothing() {
    let lab = Lab::new().await;
    let lie = json!({"errno": 999, "errmsg": "the agent cannot tell", "stderr": ["ttStatus: timed out"],
        "ttStatus": {}, "daemonUp": null, "instanceExists": null});
    lab.fleet.script(HOSTS[0]).add(Rule::new(On::Get, Fault::Lie(lie)));
    check("not-meaningful-999", &lab.get(0).await);
}

#[tokio::test(start_paused = true)]
async fn verbs_and_tasks() {
    let lab = Lab::new().await;
    check("reply-unknown-verb-255", &lab.post(0, "noSuchVerb").await);
    lab.ok(0, "startDaemon").await;
    check("reply-create-db", &lab.post(0, "createDb").await);
    check("reply-create-db-exists", &lab.post(0, "createDb").await);
    check("reply-open-db", &lab.post(0, "openDb").await);
    lab.scheme("NO RETURN").await;
    lab.ok(1, "startDaemon").await;
    check("reply-destroy-db", &lab.post(1, "destroyDb").await);
    let accepted = lab.post_as(1, 0, "repDuplicate", &[]).await;
    check("reply-duplicate-accepted-202", &body(&accepted));
    check("task-unknown", &lab.poll(1, "another").await);
    check("task-running", &lab.poll(1, "task").await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    check("task-complete", &lab.poll(1, "task").await);
    check("reply-start-rep-agent", &lab.post(1, "startRepAgent").await);
    check("task-failed", &lab.duplicate(1, 0).await);
    check("reply-set-active", &lab.post(0, "setActive").await);
}
