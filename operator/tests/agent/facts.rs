//! What status replies prove, from bytes to facts.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use timesten_operator::agent::{
    Daemon, Db, Facts, Instance, LogPosition, PeerState, RepScheme, RepState, RunState, StatusReply,
};

fn facts_of(reply: &Value) -> Facts {
    let body = serde_json::to_vec(reply).unwrap();
    Facts::of(&StatusReply::decode(&body).unwrap(), "sample")
}

fn db_info(members: Value) -> Value {
    let mut entry = json!({"data store": "/tt/home/timesten/datastore/sample", "# of conns": 17, "open": "yes",
        "conn info": [{"proc type": "Replication", "pid": 300}, {"proc type": "Subdaemon"}]});
    merge(&mut entry, members);
    entry
}

fn healthy(members: Value) -> Value {
    let mut reply = json!({
        "jsonVer": 1, "errno": 0, "id": 41, "newId": 42, "clockSync": true, "daemonUp": true,
        "instanceExists": true, "installRelease": "22.1.1.22.0", "imageRelease": "22.1.1.22.0",
        "dbUp": true, "dbError": "", "updatable": true, "updateErr": "", "repState": "ACTIVE",
        "nRepSchemes": 1, "repPeerPState": "start", "behindMb": 0, "nCacheGroups": 0,
        "cacheUidPwdSet": false, "adminUserFile": true, "schemaFile": true, "cgFile": false,
        "cacheUserFile": false, "usingTwosafe": false, "disableReturn": false, "localCommit": true,
        "bookmarkLfn": 3, "bookmarkLfo": 4096, "logholdsLfn": 1, "logholdsLfo": 12, "awtBehindMb": 1.5,
        "monitor": {"perm_in_use_size": "30211"}, "configuration": {"PermSize": 200},
        "ttStatus": {"db info": [db_info(json!({}))]},
        "cgroupInfo": {"memoryLimit": 1000, "memoryUsage": 905, "memoryFailcnt": 0}});
    merge(&mut reply, members);
    reply
}

fn with_db(members: Value) -> Value {
    healthy(json!({"ttStatus": {"db info": [db_info(members)]}}))
}

/// Sets members; null removes one.
fn merge(into: &mut Value, members: Value) {
    let Value::Object(members) = members else { panic!("members") };
    for (key, value) in members {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(&key);
        } else {
            into[key] = value;
        }
    }
}

#[test]
fn a_healthy_active() {
    let facts = facts_of(&healthy(json!({})));
    assert!(facts.meaningful && !facts.quiescing && !facts.upgrade_failed);
    assert_eq!(
        (facts.instance, facts.daemon, facts.db),
        (Instance::Exists, Daemon::Up, Db::Loaded)
    );
    assert_eq!((facts.rep_scheme, facts.rep_agent), (RepScheme::Exists, RunState::Running));
    assert_eq!(facts.cache_agent, RunState::NotRunning);
    assert_eq!((facts.rep_state, facts.peer_state), (RepState::Active, PeerState::Start));
    assert_eq!((facts.open, facts.updatable), (Some(true), Some(true)));
    assert_eq!((facts.twosafe, facts.local_commit), (Some(false), Some(true)));
    assert_eq!((facts.db_id, facts.n_cache_groups), (Some(42), Some(0)));
    assert_eq!((facts.perm_in_use_kb, facts.perm_size_mb), (Some(30211), Some(200)));
    assert_eq!(facts.awt_behind_mb, Some(2));
    assert_eq!(facts.bookmark, Some(LogPosition { file: 3, offset: 4096 }));
    assert_eq!(facts.log_hold, Some(LogPosition { file: 1, offset: 12 }));
    assert_eq!(facts.major_release(), Some(22));
    assert_eq!(facts.memory.unwrap().percent_used(), Some(90));
    assert_eq!(facts.files.schema, Some(true));
}

#[rstest::rstest]
#[case::empty(json!([]), 0, Db::None)]
#[case::empty_and_833(json!([]), 833, Db::None)]
#[case::not_said(json!(null), 0, Db::Unknown)]
#[case::not_said_and_833(json!(null), 833, Db::None)]
#[case::loaded(json!([{"# of conns": 3}]), 0, Db::Loaded)]
#[case::no_connections(json!([{"# of conns": 0}]), 0, Db::Unloaded)]
#[case::connections_not_said(json!([{}]), 0, Db::Unknown)]
#[case::loading(json!([{"# of conns": 1, "loading": true}]), 0, Db::Loading)]
#[case::not_loading(json!([{"# of conns": 1, "loading": false}]), 0, Db::Loaded)]
#[case::unloading(json!([{"# of conns": 1, "unloading": true}]), 0, Db::Unloading)]
#[case::unloaded(json!([{"# of conns": 3}]), 707, Db::Unloaded)]
#[case::failed(json!([{"# of conns": 1, "ram policy note": "Data store should be manually loaded but inactive due to failures"}]), 0, Db::Unloaded)]
#[case::obsolete(json!([{"# of conns": 1, "obsolete info": [{"name": "x"}]}]), 0, Db::Transitioning)]
#[case::none_obsolete(json!([{"# of conns": 1, "obsolete info": []}]), 0, Db::Loaded)]
#[case::first(json!([{"data store": "/a/x", "# of conns": 0}, {"data store": "/a/y", "# of conns": 1}]), 0, Db::Unloaded)]
#[case::named(json!([{"data store": "/a/x", "# of conns": 0}, {"data store": "/a/sample", "# of conns": 1}]), 0, Db::Loaded)]
#[case::another(json!([{"data store": "/a/x", "# of conns": 9}]), 833, Db::None)]
#[case::no_object(json!([7]), 0, Db::Unknown)]
#[case::recovering(json!([{"# of conns": 3}]), 9996, Db::Unknown)]
fn the_database(#[case] db_info: Value, #[case] errno: i64, #[case] expected: Db) {
    let facts = facts_of(&healthy(json!({"errno": errno, "ttStatus": {"db info": db_info}})));
    assert_eq!(facts.db, expected);
    assert_eq!(facts.daemon, Daemon::Up);
    if expected != Db::Loaded {
        nothing_is_known_of_the_database(&facts);
    }
}

fn nothing_is_known_of_the_database(facts: &Facts) {
    assert_eq!(facts.rep_state, RepState::Unknown);
    assert_eq!(facts.rep_scheme, RepScheme::Unknown);
    assert_eq!(facts.peer_state, PeerState::Unknown);
    assert_eq!((facts.rep_agent, facts.cache_agent), (RunState::Unknown, RunState::Unknown));
    assert_eq!((facts.open, facts.updatable, facts.db_id), (None, None, None));
    assert_eq!((facts.twosafe, facts.n_cache_groups, facts.bookmark), (None, None, None));
}

#[rstest::rstest]
#[case(json!({"daemonUp": false}), Daemon::Down)]
#[case(json!({"daemonUp": null}), Daemon::Unknown)]
fn without_the_daemon_nothing_is_known_of_the_database(
    #[case] members: Value,
    #[case] daemon: Daemon,
) {
    let facts = facts_of(&healthy(members));
    assert!(facts.meaningful);
    assert_eq!((facts.daemon, facts.db, facts.instance), (daemon, Db::Unknown, Instance::Exists));
    nothing_is_known_of_the_database(&facts);
}

#[test]
fn a_reply_without_meaning_proves_nothing() {
    let facts = facts_of(&healthy(json!({"errno": 999, "stderr": ["no: PWD=x;", "", "more"]})));
    assert_eq!(
        facts,
        Facts { complaints: vec!["no: PWD=****;".into(), "more".into()], ..Facts::default() }
    );
    assert!(!facts.meaningful);
}

#[test]
fn an_agent_that_could_not_connect_has_asked_the_database_nothing() {
    let facts = facts_of(&healthy(json!({"dbUp": false, "nRepSchemes": 0, "repState": ""})));
    assert_eq!(
        (facts.db, facts.open, facts.rep_agent),
        (Db::Loaded, Some(true), RunState::Running)
    );
    assert_eq!((facts.rep_scheme, facts.n_cache_groups), (RepScheme::Unknown, None));
}

#[rstest::rstest]
#[case("STANDBY", RepState::Standby)]
#[case("idle", RepState::Idle)]
#[case("RECOVERING", RepState::Recovering)]
#[case("FAILED", RepState::Failed)]
#[case("Unknown", RepState::Unknown)]
#[case("NEW WORD", RepState::Unknown)]
#[case("", RepState::Unknown)]
fn replication_states(#[case] word: &str, #[case] expected: RepState) {
    assert_eq!(facts_of(&healthy(json!({"repState": word}))).rep_state, expected);
}

#[rstest::rstest]
#[case("pause", PeerState::Pause)]
#[case("stop", PeerState::Stop)]
#[case("failed", PeerState::Failed)]
#[case("", PeerState::Unknown)]
#[case("stopped", PeerState::Unknown)]
fn peer_states(#[case] word: &str, #[case] expected: PeerState) {
    assert_eq!(facts_of(&healthy(json!({"repPeerPState": word}))).peer_state, expected);
}

#[test]
fn words_are_shown_as_timesten_does() {
    assert_eq!(RunState::NotRunning.to_string(), "Not Running");
    assert_eq!(RepState::Active.to_string(), "ACTIVE");
    assert_eq!(PeerState::Start.to_string(), "start");
    assert_eq!(Db::default().to_string(), "Unknown");
    assert_eq!(RunState::parse("not running"), RunState::NotRunning);
}

#[test]
fn limits_that_are_none() {
    for limit in
        [json!(0), json!(0x7FFF_FFFF_FFFF_F000_u64), json!(u64::MAX), json!(-1), json!("max")]
    {
        let facts =
            facts_of(&healthy(json!({"cgroupInfo": {"memoryLimit": limit, "memoryUsage": 7}})));
        assert_eq!(facts.memory.unwrap().percent_used(), None, "{limit}");
    }
    assert_eq!(facts_of(&healthy(json!({"cgroupInfo": null}))).memory, None);
}

#[test]
fn members_of_the_wrong_type_spoil_nothing_else() {
    let facts = facts_of(&healthy(json!({
        "monitor": {"perm_in_use_size": 30211, "odd": [1]}, "systemStats": "none", "xla": 7,
        "clockSync": {}, "stderr": 5, "cachegroups": true, "repStats": {}, "newId": "43"})));
    assert_eq!((facts.db, facts.db_id, facts.perm_in_use_kb), (Db::Loaded, Some(43), Some(30211)));
    assert_eq!(facts.clock_sync, None);
    let facts =
        facts_of(&with_db(json!({"shmid": "x", "conn info": [7, {"proc type": "Cache Agent"}]})));
    assert_eq!((facts.rep_agent, facts.cache_agent), (RunState::NotRunning, RunState::Running));
    let facts = facts_of(&with_db(json!({"conn info": null, "open": "no"})));
    assert_eq!((facts.rep_agent, facts.open), (RunState::Unknown, Some(false)));
}

/// Any JSON, with the members of the protocol in likely and unlikely places.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["yes", "ACTIVE", "start", "-1", "9e999", "PWD=x"])
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let names = vec![
        "errno",
        "daemonUp",
        "ttStatus",
        "db info",
        "# of conns",
        "conn info",
        "proc type",
        "open",
        "loading",
        "obsolete info",
        "monitor",
        "perm_in_use_size",
        "configuration",
        "cgroupInfo",
        "memoryLimit",
        "memoryUsage",
        "nRepSchemes",
        "repState",
        "newId",
        "bookmarkLfn",
        "bookmarkLfo",
        "data store",
        "id",
        "jsonVer",
        "errmsg",
        "stderr",
        "installRelease",
        "awtBehindMb",
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let member = (prop::sample::select(names.clone()), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(member, 0..8).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_reply_has_a_meaning(value in any_json()) {
        let body = serde_json::to_vec(&value).unwrap();
        let reply = StatusReply::decode(&body);
        prop_assert_eq!(reply.is_ok(), value.is_object());
        if let Ok(reply) = reply {
            let facts = Facts::of(&reply, "sample");
            let _ = (facts.major_release(), facts.memory.map(|m| m.percent_used()));
            if facts.db != Db::Loaded {
                nothing_is_known_of_the_database(&facts);
            }
        }
    }

    #[test]
    fn a_change_to_a_healthy_reply_has_a_meaning(name in "[a-zA-Z# ]{1,12}", value in any_json()) {
        let mut reply = healthy(json!({}));
        reply[name.as_str()] = value.clone();
        let _ = facts_of(&reply);
        let mut reply = healthy(json!({}));
        reply["ttStatus"] = value;
        let _ = facts_of(&reply);
    }

    #[test]
    fn any_bytes_can_be_decoded(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = StatusReply::decode(&body);
    }
}
