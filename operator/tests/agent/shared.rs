//! The replies that every party to the protocol must honour: snapshots/agent.

use std::collections::BTreeMap;
use std::path::Path;

use timesten_operator::agent::{
    Agent, Daemon, Db, Facts, PeerState, RepState, StatusReply, TaskId, TaskReport, Verb,
};

use super::call;
use super::server::{self, Does};

fn replies() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots/agent");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

#[test]
fn what_the_statuses_prove() {
    let replies = replies();
    let statuses = replies
        .iter()
        .filter(|(name, _)| !name.starts_with("reply-") && !name.starts_with("task-"));
    let proved: Vec<String> = statuses
        .map(|(name, body)| {
            let facts = Facts::of(&StatusReply::decode(body.as_bytes()).unwrap(), "sample");
            assert_eq!(facts.meaningful, !name.contains("999"), "{name}");
            let Facts { daemon, db, rep_state, peer_state, rep_agent, open, .. } = facts;
            format!("{name}: {daemon} {db} {rep_state} {peer_state} {rep_agent} {open:?}")
        })
        .collect();
    insta::with_settings!({snapshot_path => "../../../snapshots/operator", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("agent-facts", proved.join("\n"));
    });
}

#[rstest::rstest]
#[case("healthy-active", Daemon::Up, Db::Loaded, RepState::Active, PeerState::Start)]
#[case("healthy-standby", Daemon::Up, Db::Loaded, RepState::Standby, PeerState::Start)]
#[case("no-database", Daemon::Up, Db::None, RepState::Unknown, PeerState::Unknown)]
#[case("daemon-down", Daemon::Down, Db::Unknown, RepState::Unknown, PeerState::Unknown)]
#[case("loading", Daemon::Up, Db::Loading, RepState::Unknown, PeerState::Unknown)]
#[case("unloaded", Daemon::Up, Db::Unloaded, RepState::Unknown, PeerState::Unknown)]
#[case("transitioning", Daemon::Up, Db::Transitioning, RepState::Unknown, PeerState::Unknown)]
fn the_names_of_the_statuses_are_true(
    #[case] name: &str,
    #[case] daemon: Daemon,
    #[case] db: Db,
    #[case] rep_state: RepState,
    #[case] peer_state: PeerState,
) {
    let body = &replies()[name];
    let facts = Facts::of(&StatusReply::decode(body.as_bytes()).unwrap(), "sample");
    assert_eq!((facts.daemon, facts.db), (daemon, db));
    assert_eq!((facts.rep_state, facts.peer_state), (rep_state, peer_state));
}

#[rstest::rstest]
#[case("reply-create-db", Verb::CreateDb, None)]
#[case("reply-open-db", Verb::OpenDb, None)]
#[case("reply-destroy-db", Verb::DestroyDb, None)]
#[case("reply-set-active", Verb::SetActive, None)]
#[case("reply-start-rep-agent", Verb::StartRepAgent, None)]
#[case("reply-unknown-verb-255", Verb::StopDaemon, Some(255))]
#[tokio::test(start_paused = true)]
async fn replies_to_orders(#[case] name: &str, #[case] verb: Verb, #[case] errno: Option<i64>) {
    let (_server, agent, at) = server::start(Does::reply(200, &replies()[name]));
    let result = agent.run(&at, &call(verb)).await;
    assert_eq!(result.map_err(|error| error.errno()).err(), errno.map(Some));
}

#[tokio::test(start_paused = true)]
async fn reports_on_tasks() {
    for (name, body) in replies().into_iter().filter(|(name, _)| name.starts_with("task-")) {
        let (_server, agent, at) = server::start(Does::reply(200, &body));
        let report = agent.task(&at, &TaskId::from_status("task").unwrap()).await.unwrap();
        match name.as_str() {
            "task-running" => assert!(matches!(report, TaskReport::Running { .. })),
            "task-complete" => assert!(matches!(report, TaskReport::Complete { .. })),
            "task-failed" => assert!(matches!(report, TaskReport::Failed { .. })),
            "task-unknown" => assert_eq!(report, TaskReport::UnknownId),
            other => panic!("a report this test does not know: {other}"),
        }
    }
}
