//! Each verb: what it answers and does, in every situation that matters.

use std::collections::BTreeMap;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use super::lab::{HOSTS, Lab, json, statement};
use fake_agent::{DatabaseState, FleetOptions, RepState, View};

/// Where a host stands before the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    DaemonDown,
    NoDatabase,
    Unloaded,
    /// Loaded and open, without a scheme.
    Single,
    /// The active of a pair.
    Active,
    /// The standby of a pair.
    Standby,
}

/// Brings the lab there; the pod to talk to.
async fn bring(lab: &mut Lab, at: At) -> usize {
    match at {
        At::DaemonDown => {}
        At::NoDatabase => lab.ok(0, "startDaemon").await,
        At::Unloaded => {
            bring_single(lab).await;
            lab.restart(0).await;
            lab.ok(0, "startDaemon").await;
        }
        At::Single => bring_single(lab).await,
        At::Active => lab.pair("NO RETURN").await,
        At::Standby => {
            lab.pair("NO RETURN").await;
            return 1;
        }
    }
    0
}

async fn bring_single(lab: &Lab) {
    for verb in ["startDaemon", "createDb", "openDb"] {
        lab.ok(0, verb).await;
    }
}

async fn run(at: At, verb: &str, more: &[(&str, &str)]) -> (Value, View) {
    let mut lab = Lab::new().await;
    let pod = bring(&mut lab, at).await;
    let reply = json(&lab.post_as(pod, 0, verb, more).await);
    (reply, lab.fleet.view(HOSTS[pod]).unwrap())
}

#[rstest]
#[case("startDaemon", [0, 0, 0, 0, 0, 0])]
#[case("stopDaemon", [0, 0, 0, 0, 0, 0])]
#[case("createDb", [799, 0, 1, 1, 1, 1])]
#[case("loadDb", [799, 833, 0, 0, 0, 0])]
#[case("openDb", [799, 833, 707, 0, 0, 0])]
#[case("closeDb", [799, 833, 707, 0, 0, 0])]
#[case("destroyDb", [799, 0, 0, 0, 0, 0])]
#[case("createRepEpilog", [0, 0, 0, 0, 0, 0])]
#[case("startRepAgent", [799, 833, 707, 8191, 0, 0])]
#[case("stopRepAgent", [799, 833, 707, 0, 0, 0])]
#[case("repStateSetActive", [799, 833, 707, 8191, 0, 0])]
#[case("repDeactivate", [799, 833, 707, 0, 0, 0])]
#[case("repStateSave", [799, 833, 707, 1, 0, 1])]
#[case("setSubStateStart", [799, 833, 707, 8191, 0, 0])]
#[case("setSubStartStart", [799, 833, 707, 8191, 0, 0])]
#[case("dropRepScheme", [799, 833, 707, 0, 0, 0])]
#[case("dropCg", [799, 833, 707, 0, 0, 0])]
#[case("startCacheAgent", [799, 833, 707, 5031, 5031, 5031])]
#[case("stopCacheAgent", [799, 833, 707, 0, 0, 0])]
#[case("cleanupCache", [799, 833, 707, 0, 0, 0])]
#[case("setReadiness", [0, 0, 0, 0, 0, 0])]
#[case("clearReadiness", [0, 0, 0, 0, 0, 0])]
#[case("setActive", [0, 0, 0, 0, 0, 0])]
#[case("clearActive", [0, 0, 0, 0, 0, 0])]
#[case("removeNonRepUpgradeFailedFile", [0, 0, 0, 0, 0, 0])]
#[case("checkNonRepQuiesce", [0, 0, 0, 0, 0, 0])]
#[case("die", [0, 0, 0, 0, 0, 0])]
#[case("runGridAdmin", [255, 255, 255, 255, 255, 255])]
#[case("STARTDAEMON", [255, 255, 255, 255, 255, 255])]
#[tokio::test(start_paused = true)]
async fn errno_by_situation(#[case] verb: &str, #[case] expected: [i64; 6]) {
    let situations =
        [At::DaemonDown, At::NoDatabase, At::Unloaded, At::Single, At::Active, At::Standby];
    for (at, errno) in situations.into_iter().zip(expected) {
        let (reply, _) = run(at, verb, &[]).await;
        assert_eq!(reply["jsonVer"], 1);
        assert_eq!(reply["errno"], errno, "{verb} at {at:?}: {reply}");
        assert_eq!(reply["errmsg"].is_string(), errno != 0, "{reply}");
    }
}

#[rstest]
#[case("startDaemon", At::DaemonDown, |view: &View| view.daemon)]
#[case("stopDaemon", At::Active, |view: &View| !view.daemon && view.rep_state.is_none())]
#[case("createDb", At::NoDatabase, |view: &View| view.database == DatabaseState::Loaded && !view.open)]
#[case("loadDb", At::Unloaded, |view: &View| view.database == DatabaseState::Loaded)]
#[case("openDb", At::Single, |view: &View| view.open && view.writable)]
#[case("closeDb", At::Single, |view: &View| !view.open && !view.writable)]
#[case("destroyDb", At::Active, |view: &View| view.database == DatabaseState::None)]
#[case("stopRepAgent", At::Active, |view: &View| !view.rep_agent && view.writable)]
#[case("repDeactivate", At::Active, |view: &View| view.rep_state == Some(RepState::Idle))]
#[case("repStateSave", At::Active, |view: &View| view.peer == Some(fake_agent::PeerState::Failed))]
#[case("dropRepScheme", At::Active, |view: &View| !view.scheme && !view.rep_agent)]
#[case("setActive", At::DaemonDown, |view: &View| view.markers.contains("/tmp/active"))]
#[case("setReadiness", At::DaemonDown, |view: &View| view.markers.contains("/tmp/readiness"))]
#[tokio::test(start_paused = true)]
async fn effect_is_there_when_answered(
    #[case] verb: &str,
    #[case] at: At,
    #[case] holds: fn(&View) -> bool,
) {
    let (reply, view) = run(at, verb, &[]).await;
    assert!(holds(&view), "{verb}: {reply} {view:#?}");
}

#[tokio::test(start_paused = true)]
async fn markers_vanish_with_the_container_and_probes_see_them() {
    let mut lab = Lab::new().await;
    let probe = ["/bin/sh", "-c", "cat /tmp/active"].map(str::to_owned);
    lab.ok(0, "setActive").await;
    assert_eq!(lab.running[0].as_ref().unwrap().exec(&probe).0, 0);
    lab.ok(0, "clearActive").await;
    assert_eq!(lab.running[0].as_ref().unwrap().exec(&probe).0, 1);
    lab.ok(0, "setActive").await;
    lab.restart(0).await;
    assert!(!lab.running[0].as_ref().unwrap().marker("/tmp/active"));
}

#[tokio::test(start_paused = true)]
async fn die_is_answered_and_ends_the_container() {
    let lab = Lab::new().await;
    lab.ok(0, "die").await;
    assert_eq!(lab.running[0].as_ref().unwrap().ended().await, 0);
    assert!(lab.fleet.view(HOSTS[0]).is_none());
}

#[tokio::test(start_paused = true)]
async fn sigterm_saves_the_database() {
    let options = FleetOptions { durable: false, ..FleetOptions::default() };
    let lab = Lab::with(options, &[]).await;
    bring_single(&lab).await;
    let ack = fake_agent::App::new(&lab.fleet).commit(HOSTS[0]).await.unwrap();
    let running = lab.running[0].as_ref().unwrap();
    running.stop();
    assert_eq!(running.ended().await, 0);
    assert!(lab.fleet.volume_holds("tt-sample-0", ack.id));
}

#[tokio::test(start_paused = true)]
async fn create_rep_scheme_twice_with_the_same_text_is_fine_with_another_is_not() {
    let lab = Lab::new().await;
    lab.active("NO RETURN").await;
    for (service, errno) in [("NO  RETURN", 0), ("RETURN TWOSAFE", 8126)] {
        let text = statement(service);
        let reply = lab.post_as(0, 0, "createRepScheme", &[("repCreateStatement", &text)]).await;
        assert_eq!(json(&reply)["errno"], errno);
    }
    assert_eq!(lab.get(0).await["repState"], "ACTIVE");
}

#[rstest]
#[case::schema("schema.sql", "create table t (a int);\nsyntax error here;", 1001, "schemaErr")]
#[case::db_ini("db.ini", "PermSize 200", 15_001, "create1Err")]
#[case::perm_size("db.ini", "PermSize=lots", 15_003, "create1Err")]
#[case::admin_user("adminUser", "scott", 1, "errors")]
#[case::cache_user("cacheUser", "c/t", 1, "errors")]
#[tokio::test(start_paused = true)]
async fn bad_metadata_fails_create_db(
    #[case] file: &str,
    #[case] text: &str,
    #[case] errno: i64,
    #[case] field: &str,
) {
    let lab = Lab::with(FleetOptions::default(), &[(file, text)]).await;
    lab.ok(0, "startDaemon").await;
    let reply = lab.post(0, "createDb").await;
    assert_eq!(reply["errno"], errno, "{reply}");
    let line = reply[field][0].as_str().unwrap();
    assert!(line.starts_with("Error Message: [TimesTen]"), "{reply}");
    // What came before the failing step stays.
    assert_eq!(lab.get(0).await["errno"] == 833, field == "create1Err");
}

#[tokio::test(start_paused = true)]
async fn metadata_files_are_used() {
    let config = [
        ("db.ini", "PermSize=512\nDatabaseCharacterSet=AL32UTF8\n"),
        ("adminUser", "scott/tiger"),
        ("cacheUser", "c/t/o"),
        ("schema.sql", "create table scott.emp (id number primary key);"),
        ("cachegroups.sql", "CREATE READONLY CACHE GROUP cg1 FROM t (a NUMBER);"),
        ("epilog.sql", "alter active standby pair set no such thing syntax error;"),
    ];
    let lab = Lab::with(FleetOptions::default(), &config).await;
    lab.ok(0, "startDaemon").await;
    let reply = lab.post(0, "createDb").await;
    for flag in ["createdDatabase", "createdUserAdminUser", "createdCacheUser", "schemaFileExists"]
    {
        assert_eq!(reply[flag], true, "{flag}: {reply}");
    }
    assert_eq!(lab.post_as(0, 0, "createCg", &[]).await.status(), 202);
    assert_eq!(lab.get(0).await["nCacheGroups"], 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let poll = lab.poll(0, "task").await;
    assert_eq!((&poll["complete"], &poll["cg"]["cgFileRc"]), (&true.into(), &0.into()), "{poll}");
    let status = lab.get(0).await;
    assert_eq!(status["nCacheGroups"], 1);
    assert_eq!(status["configuration"]["PermSize"], "512");
    assert_eq!(status["cacheUidPwdSet"], true);
    assert_eq!(lab.post(0, "createRepEpilog").await["errno"], 1001);
}

#[rstest]
#[case::no_source_parameter(&[("otherDNSName", "")], 1)]
#[case::itself(&[("otherDNSName", HOSTS[1])], 1)]
#[case::unknown_host(&[("otherDNSName", "nowhere")], 12_039)]
#[case::subscriber_from_active(&[("weAreSubscriber", "1"), ("standbyDNSName", HOSTS[0])], 8144)]
#[tokio::test(start_paused = true)]
async fn duplicate_needs_a_good_source(#[case] more: &[(&str, &str)], #[case] errno: i64) {
    let lab = Lab::new().await;
    lab.active("NO RETURN").await;
    lab.ok(1, "startDaemon").await;
    let reply = lab.post_as(1, 0, "repDuplicate", more).await;
    assert_eq!(reply.status(), 202, "refusals come with the task");
    let poll = lab.poll(1, "task").await;
    assert_eq!((&poll["complete"], &poll["errno"]), (&true.into(), &errno.into()), "{poll}");
}

#[tokio::test(start_paused = true)]
async fn duplicate_needs_an_active_source_and_an_empty_target() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    assert_eq!(lab.duplicate(1, 0).await["errno"], 1, "the target exists");
    lab.ok(1, "destroyDb").await;
    lab.ok(0, "repDeactivate").await;
    assert_eq!(lab.duplicate(1, 0).await["errno"], 8143);
}

#[tokio::test(start_paused = true)]
async fn tasks_one_at_a_time_remembered_and_answered_by_id() {
    let mut lab = Lab::new().await;
    lab.active("NO RETURN").await;
    lab.ok(1, "startDaemon").await;
    let first = lab.post_as(1, 0, "repDuplicate", &[]).await;
    assert_eq!(first.status(), 202);
    assert_eq!(first.headers()["x-request-id"], "task");
    assert_eq!(lab.post_as(1, 0, "repDuplicate", &[]).await.status(), 409);
    assert_eq!(lab.poll(1, "other").await["id"], "");
    assert_eq!(lab.poll(1, "").await["id"], "");
    assert_eq!(lab.poll(1, "task").await["type"], "repDuplicate");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let done = lab.poll(1, "task").await;
    assert_eq!(done["complete"], true);
    assert!(done.get("errno").is_none(), "errno 0 would count as a failure: {done}");
    lab.restart(1).await;
    assert_eq!(lab.poll(1, "task").await["id"], "", "a new incarnation knows nothing");
}

#[tokio::test(start_paused = true)]
async fn rep_admin_wait_blocks_until_the_standby_has_all() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let more = [("standbyHost", HOSTS[1]), ("timeout", "30")];
    assert_eq!(json(&lab.post_as(0, 0, "doRepAdminWait", &more).await)["errno"], 0);
    lab.fleet.links().cut(HOSTS[0], HOSTS[1]);
    let began = tokio::time::Instant::now();
    let reply = json(&lab.post_as(0, 0, "doRepAdminWait", &more).await);
    assert_eq!((&reply["errno"], began.elapsed().as_secs()), (&9.into(), 30));
    let stranger = [("standbyHost", "nowhere"), ("timeout", "30")];
    assert_eq!(json(&lab.post_as(0, 0, "doRepAdminWait", &stranger).await)["errno"], 1);
}

#[tokio::test(start_paused = true)]
async fn ping_ids_grow_on_the_active_and_show_on_the_standby() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let first = lab.get(0).await["newId"].as_i64().unwrap();
    assert_eq!(lab.get(0).await["newId"], first + 1);
    let seen = lab.get(1).await;
    assert_eq!(seen["newId"], first + 1);
    assert!(seen["updateErr"].as_str().unwrap().contains("TT16265"));
}

#[tokio::test(start_paused = true)]
async fn status_shows_verbs_under_way() {
    let mut lab = Lab::new().await;
    bring(&mut lab, At::Unloaded).await;
    let load =
        lab.running[0].as_ref().unwrap().handle(super::lab::post_request(0, 0, "loadDb", &[]));
    let load = tokio::spawn(load);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let during = lab.get(0).await;
    assert_eq!(during["ttStatus"]["db info"][0]["loading"], true, "{during}");
    load.await.unwrap();
    let after = lab.get(0).await;
    assert!(after["ttStatus"]["db info"][0].get("loading").is_none());
}

#[tokio::test(start_paused = true)]
async fn upgrade_list_only_when_asked_for() {
    let lab = Lab::new().await;
    assert!(lab.get(0).await.get("upgradeList").is_none());
    let request = http::Request::get("/agent?ourDNSName=x&include=upgradeList");
    let outcome = lab.send(0, request.body(bytes::Bytes::new()).unwrap()).await;
    let reply = json(&super::lab::response(outcome));
    let list: BTreeMap<String, Value> =
        serde_json::from_str(reply["upgradeList"].as_str().unwrap()).unwrap();
    assert_eq!(list["version"], "22.1.1.22.0");
}

#[tokio::test(start_paused = true)]
async fn an_order_is_carried_out_though_the_client_hangs_up() {
    let lab = Lab::new().await;
    let order =
        lab.running[0].as_ref().unwrap().handle(super::lab::post_request(0, 0, "startDaemon", &[]));
    let cut = tokio::time::timeout(Duration::from_millis(100), order).await;
    assert!(cut.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(lab.fleet.view(HOSTS[0]).unwrap().daemon);
}
