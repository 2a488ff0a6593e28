//! The pair as a whole: what TimesTen guarantees.

use std::time::Duration;

use fake_agent::{App, DatabaseState, FleetOptions, Happening, PeerState, RepState};
use rstest::rstest;

use super::lab::{HOSTS, Lab, json, statement};

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn provisions_fails_over_and_rebuilds() {
    let mut lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let app = App::new(&lab.fleet);
    for _ in 0..10 {
        app.commit(HOSTS[0]).await.unwrap();
    }
    pass(10).await;
    assert_eq!(lab.fleet.view(HOSTS[1]).unwrap().position, 10);

    lab.restart(0).await;
    assert_eq!(lab.fleet.view(HOSTS[0]).unwrap().database, DatabaseState::Unloaded);
    lab.ok(1, "repStateSetActive").await;
    assert!(lab.fleet.writable(HOSTS[1]));
    let saved = json(&lab.post_as(1, 1, "repStateSave", &[]).await);
    assert_eq!(saved["errno"], 0, "{saved}");
    assert_eq!(lab.get(1).await["repPeerPState"], "failed");
    app.commit(HOSTS[1]).await.unwrap();

    lab.ok(0, "startDaemon").await;
    lab.rebuild(0, 1).await;
    assert_eq!(lab.get(1).await["repPeerPState"], "start");
    pass(10).await;
    assert!(app.lost_acknowledged(&[HOSTS[0]]).is_empty());
    assert!(!lab.fleet.writable(HOSTS[0]));
}

#[tokio::test(start_paused = true)]
async fn a_standby_comes_back_by_its_own_log() {
    let mut lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.restart(1).await;
    let app = App::new(&lab.fleet);
    for _ in 0..100_000 {
        app.commit(HOSTS[0]).await.unwrap();
    }
    lab.ok(1, "startDaemon").await;
    lab.ok(1, "loadDb").await;
    assert_eq!(lab.get(1).await["repState"], "IDLE");
    lab.ok(1, "startRepAgent").await;
    assert_eq!(lab.get(1).await["repState"], "RECOVERING");
    pass(3000).await;
    assert_eq!(lab.get(1).await["repState"], "STANDBY");
    assert!(app.lost_acknowledged(&[HOSTS[1]]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_actives_the_later_stays_and_trapped_commits_keep_the_other_idle() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let app = App::new(&lab.fleet);
    let mut events = lab.fleet.subscribe();
    lab.fleet.links().cut(HOSTS[0], HOSTS[1]);
    lab.ok(1, "repStateSetActive").await;
    assert!(lab.fleet.writable(HOSTS[0]) && lab.fleet.writable(HOSTS[1]));
    let trapped = app.commit(HOSTS[0]).await.unwrap();
    app.commit(HOSTS[1]).await.unwrap();

    lab.fleet.links().heal(HOSTS[0], HOSTS[1]);
    assert_eq!(lab.fleet.view(HOSTS[0]).unwrap().database, DatabaseState::Unloaded);
    assert_eq!(lab.fleet.view(HOSTS[1]).unwrap().rep_state, Some(RepState::Active));
    let mut invalidated = false;
    while let Some(event) = events.try_next() {
        invalidated |= event.what == Happening::Invalidated { by: HOSTS[1].to_owned() };
    }
    assert!(invalidated);

    lab.ok(0, "loadDb").await;
    lab.ok(0, "startRepAgent").await;
    pass(5000).await;
    assert_eq!(lab.get(0).await["repState"], "IDLE");
    assert_eq!(lab.post(0, "repStateSetActive").await["errno"], 8158);
    assert!(lab.fleet.holds(HOSTS[0], trapped.id) && !lab.fleet.holds(HOSTS[1], trapped.id));
    assert_eq!(app.lost_acknowledged(&[HOSTS[1]]), [trapped]);
    assert!(lab.fleet.good_copies("tt-sample-0").is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_actives_the_older_without_trapped_commits_becomes_standby() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.fleet.links().cut(HOSTS[1], HOSTS[0]);
    lab.ok(1, "repStateSetActive").await;
    App::new(&lab.fleet).commit(HOSTS[1]).await.unwrap();
    lab.fleet.links().heal(HOSTS[1], HOSTS[0]);
    lab.ok(0, "loadDb").await;
    lab.ok(0, "startRepAgent").await;
    pass(1000).await;
    assert_eq!(lab.get(0).await["repState"], "STANDBY");
}

#[tokio::test(start_paused = true)]
async fn a_deactivated_active_follows_the_new_one() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.ok(0, "stopRepAgent").await;
    lab.ok(0, "repDeactivate").await;
    assert!(!lab.fleet.writable(HOSTS[0]));
    lab.ok(1, "repStateSetActive").await;
    lab.ok(0, "startRepAgent").await;
    pass(1000).await;
    assert_eq!(lab.get(0).await["repState"], "STANDBY");
    assert_eq!(lab.get(1).await["repState"], "ACTIVE");
}

#[tokio::test(start_paused = true)]
async fn a_standby_declared_failed_needs_its_peer_set_to_start_or_a_copy() {
    let mut lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.restart(1).await;
    lab.ok(0, "repStateSave").await;
    for verb in ["startDaemon", "loadDb", "startRepAgent"] {
        lab.ok(1, verb).await;
    }
    pass(5000).await;
    assert_eq!(lab.get(1).await["repState"], "FAILED");
    lab.ok(0, "setSubStateStart").await;
    pass(1000).await;
    assert_eq!(lab.get(1).await["repState"], "STANDBY");
}

#[tokio::test(start_paused = true)]
async fn a_failed_standby_whose_log_was_dropped_stays_failed() {
    let mut lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.restart(1).await;
    lab.ok(0, "repStateSave").await;
    App::new(&lab.fleet).commit(HOSTS[0]).await.unwrap();
    pass(700_000).await;
    for verb in ["startDaemon", "loadDb", "startRepAgent"] {
        lab.ok(1, verb).await;
    }
    lab.ok(0, "setSubStateStart").await;
    pass(5000).await;
    assert_eq!(lab.get(1).await["repState"], "FAILED");
    lab.rebuild(1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn lost_contact_reads_stop_after_two_seconds_and_start_when_it_returns() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.fleet.links().cut(HOSTS[0], HOSTS[1]);
    pass(1500).await;
    assert_eq!(lab.get(1).await["repPeerPState"], "start");
    pass(600).await;
    assert_eq!(lab.get(0).await["repPeerPState"], "stop");
    assert_eq!(lab.get(1).await["repPeerPState"], "stop");
    assert_eq!(lab.get(1).await["repState"], "STANDBY");
    lab.fleet.links().heal(HOSTS[0], HOSTS[1]);
    assert_eq!(lab.get(1).await["repPeerPState"], "start");
}

#[rstest]
#[case::source_dies("die")]
#[case::link_cut("cut")]
#[case::agent_stops("stop")]
#[tokio::test(start_paused = true)]
async fn a_duplicate_dies_with_its_source(#[case] how: &str) {
    let mut lab = Lab::new().await;
    lab.active("NO RETURN").await;
    lab.ok(1, "startDaemon").await;
    assert_eq!(lab.post_as(1, 0, "repDuplicate", &[]).await.status(), 202);
    pass(1000).await;
    match how {
        "die" => lab.running[0] = None,
        "cut" => lab.fleet.links().cut(HOSTS[0], HOSTS[1]),
        _ => assert!(lab.fleet.stop_rep_agent(HOSTS[0])),
    }
    let end = lab.poll(1, "task").await;
    assert_eq!((&end["complete"], &end["errno"]), (&true.into(), &12_039.into()), "{end}");
    assert!(end["updated"].is_i64() && end["ended"].is_i64());
    assert_eq!(lab.get(1).await["errno"], 833);
}

#[tokio::test(start_paused = true)]
async fn destroying_tells_whether_another_complete_copy_exists() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let app = App::new(&lab.fleet);
    let mut events = lab.fleet.subscribe();
    app.commit(HOSTS[0]).await.unwrap();
    pass(10).await;
    assert_eq!(lab.fleet.good_copies("tt-sample-0").len(), 1);
    lab.ok(1, "destroyDb").await;
    lab.fleet.lose_volume("tt-sample-0");
    let mut verdicts = Vec::new();
    while let Some(event) = events.try_next() {
        verdicts.extend(event.what.destroyed_with_complete_copy_left());
    }
    assert_eq!(verdicts, [true, false]);
    assert!(lab.fleet.view(HOSTS[0]).is_none(), "its container died with the volume");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_standby_may_not_become_active_by_itself() {
    let mut lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.restart(1).await;
    lab.running[0] = None;
    for verb in ["startDaemon", "loadDb", "startRepAgent"] {
        lab.ok(1, verb).await;
    }
    assert_eq!(lab.post(1, "repStateSetActive").await["errno"], 8158);
    lab.ok(1, "dropRepScheme").await;
    let statement = statement("NO RETURN");
    let more = [("repCreateStatement", statement.as_str())];
    let made = lab.post_as(1, 1, "createRepScheme", &more).await;
    assert_eq!(json(&made)["errno"], 0);
    lab.ok(1, "openDb").await;
    assert!(lab.fleet.writable(HOSTS[1]));
}

#[tokio::test(start_paused = true)]
async fn pause_holds_updates_back_until_start() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let app = App::new(&lab.fleet);
    assert!(lab.fleet.set_peer(HOSTS[0], PeerState::Pause));
    let ack = app.commit(HOSTS[0]).await.unwrap();
    pass(5000).await;
    assert_eq!(lab.get(0).await["repPeerPState"], "pause");
    assert!(!lab.fleet.holds(HOSTS[1], ack.id));
    lab.ok(0, "setSubStartStart").await;
    pass(100).await;
    assert!(lab.fleet.holds(HOSTS[1], ack.id));
}

#[tokio::test(start_paused = true)]
async fn the_fail_threshold_declares_a_lagging_standby_failed() {
    let options = FleetOptions { commit_bytes: 64 << 20, ..FleetOptions::default() };
    let lab = Lab::with(options, &[]).await;
    for verb in ["startDaemon", "createDb", "openDb"] {
        lab.ok(0, verb).await;
    }
    let text = statement("NO RETURN").replace("FAILTHRESHOLD 0", "FAILTHRESHOLD 2");
    lab.post_as(0, 0, "createRepScheme", &[("repCreateStatement", &text)]).await;
    lab.ok(1, "startDaemon").await;
    lab.rebuild(1, 0).await;
    lab.fleet.links().cut(HOSTS[0], HOSTS[1]);
    let app = App::new(&lab.fleet);
    let mut told = Vec::new();
    for _ in 0..3 {
        app.commit(HOSTS[0]).await.unwrap();
        told.push(lab.fleet.view(HOSTS[0]).unwrap().peer);
    }
    let start = Some(PeerState::Start);
    assert_eq!(told, [start, start, Some(PeerState::Failed)]);
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_database_reads_transitioning_while_a_process_holds_it() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.fleet.invalidate(HOSTS[0], true);
    let status = lab.get(0).await;
    assert!(status["ttStatus"]["db info"][0]["obsolete info"].is_array(), "{status}");
    lab.fleet.release(HOSTS[0]);
    assert_eq!(lab.get(0).await["errno"], 707);
}

#[tokio::test(start_paused = true)]
async fn promoting_a_standby_in_contact_with_its_active_throws_the_active_out() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let ack = App::new(&lab.fleet).commit(HOSTS[0]).await.unwrap();
    lab.ok(1, "repStateSetActive").await;
    assert_eq!(lab.get(0).await["errno"], 707);
    assert!(lab.fleet.writable(HOSTS[1]) && lab.fleet.holds(HOSTS[1], ack.id));
}

#[tokio::test(start_paused = true)]
async fn a_standby_with_commits_of_a_later_activation_is_not_taken_back() {
    let mut lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.fleet.links().cut(HOSTS[0], HOSTS[1]);
    lab.ok(1, "repStateSetActive").await;
    let trapped = App::new(&lab.fleet).commit(HOSTS[1]).await.unwrap();
    lab.restart(1).await;
    lab.fleet.links().heal(HOSTS[0], HOSTS[1]);
    for verb in ["startDaemon", "loadDb", "startRepAgent"] {
        lab.ok(1, verb).await;
    }
    pass(5000).await;
    assert_eq!(lab.get(1).await["repState"], "IDLE");
    assert!(!lab.fleet.holds(HOSTS[0], trapped.id) && lab.fleet.writable(HOSTS[0]));
}

#[tokio::test(start_paused = true)]
async fn a_new_copy_makes_its_source_read_start_at_once() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.ok(1, "destroyDb").await;
    pass(3000).await;
    assert_eq!(lab.get(0).await["repPeerPState"], "stop");
    lab.duplicate(1, 0).await;
    assert_eq!(lab.get(0).await["repPeerPState"], "start");
}

#[tokio::test(start_paused = true)]
async fn catching_up_brings_the_ping_along() {
    let mut lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    lab.restart(1).await;
    let latest = lab.get(0).await["newId"].clone();
    for verb in ["startDaemon", "loadDb", "startRepAgent"] {
        lab.ok(1, verb).await;
    }
    pass(1000).await;
    assert_eq!(lab.get(1).await["newId"], latest);
}

#[tokio::test(start_paused = true)]
async fn a_second_container_of_the_same_name_kills_the_first() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let first = lab.running[0].as_ref().unwrap();
    let second = lab.fleet.start(fake_agent::ContainerSpec::new(HOSTS[0], "tt-sample-0"));
    assert!(!first.alive() && second.alive());
    assert_eq!(first.ended().await, 137);
    assert_eq!(lab.fleet.view(HOSTS[0]).unwrap().database, DatabaseState::Unloaded);
}
