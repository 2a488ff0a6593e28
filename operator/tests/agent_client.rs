//! The production agent client against a small TLS and HTTP server of its own, over pipes in memory
//! and in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod agent_server;

use std::time::Duration;

use agent_server::{Dial, Does, credentials};
use timesten_operator::agent::{
    Agent, AgentError, Call, How, Outcome, Phase, Roles, Started, TaskId, TaskReport, Urgency, Verb,
};
use tokio::time::{Instant, sleep, timeout};

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

#[tokio::test(start_paused = true)]
async fn a_look_says_who_asks_and_whom() {
    let (server, agent, mut at) = agent_server::start(Does::reply(200, OK));
    at.object.zz_test_info = Some("a b&c".into());
    agent.status(&at).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].line,
        "GET /agent?ourDNSName=sample-0.sample.ns.svc.cluster.local&ttObjectName=sample&zzTestInfo=a+b%26c"
    );
    assert_eq!(seen[0].header("host"), "sample-0.sample.ns.svc.cluster.local:8443");
    assert!(seen[0].header("authorization").starts_with("Basic "));
    assert!(seen[0].authorized, "user and password are those of the object");
    assert!(seen[0].client_certificate, "the object's certificate is presented");
}

#[tokio::test(start_paused = true)]
async fn an_order_is_a_form_with_verb_context_and_roles() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    agent.run(&at, &call(Verb::ForceDisconnect { urgency: Urgency::Immediate })).await.unwrap();
    agent.run(&at, &call(Verb::CheckNonRepQuiesce)).await.unwrap();
    agent.run(&at, &call(Verb::Die)).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /agent");
    assert_eq!(seen[0].header("content-type"), "application/x-www-form-urlencoded; param=value");
    assert_eq!(
        seen[0].body.split('&').collect::<Vec<_>>(),
        [
            "activeDNSName=sample-1.sample.ns.svc.cluster.local",
            "dbName=sample",
            "objectName=sample",
            "objectNamespace=ns",
            "otherDNSName=sample-1.sample.ns.svc.cluster.local",
            "ourDNSName=sample-0.sample.ns.svc.cluster.local",
            "podName=sample-0",
            "standbyDNSName=sample-0.sample.ns.svc.cluster.local",
            "standbyHost=sample-0.sample.ns.svc.cluster.local",
            "urgency=immediate",
            "verb=doForceDisconnect",
            "zzAgentDebugInfo=0",
        ]
    );
    assert!(!seen[1].body.contains("dbName") && !seen[1].body.contains("activeDNSName"));
    assert_eq!(seen[2].body, "verb=die");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_is_told_that_it_is_one() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    let mut order = call(Verb::DestroyDb);
    order.roles.subscriber = true;
    agent.run(&at, &order).await.unwrap();
    let body = &server.seen()[0].body;
    assert!(body.contains("weAreSubscriber=1") && !body.contains("otherDNSName"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn looks_share_one_connection() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    for _ in 0..5 {
        agent.status(&at).await.unwrap();
        sleep(5 * S).await;
    }
    assert_eq!(server.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_never_waits_behind_an_order() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    server.on("createDb", Does::slow(300 * S, OK));
    let order = call(Verb::CreateDb);
    let create = agent.run(&at, &order);
    let look = async {
        sleep(S).await;
        let asked = Instant::now();
        agent.status(&at).await.unwrap();
        asked.elapsed()
    };
    let (created, looked) = tokio::join!(create, look);
    created.unwrap();
    assert!(looked < S, "{looked:?}");
    assert_eq!(server.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn orders_use_a_connection_again_only_while_it_is_fresh() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    sleep(S).await;
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    assert_eq!(server.dials(), 1);
    sleep(3 * S).await;
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    assert_eq!(server.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_pod_gets_connections_of_its_own() {
    let (server, agent, mut at) = agent_server::start(Does::reply(200, OK));
    agent.status(&at).await.unwrap();
    at.pod_uid = "another".into();
    agent.status(&at).await.unwrap();
    assert_eq!(server.dials(), 2);
}

/// What passes its limit, which, and when.
#[rstest::rstest]
#[case::connect(Dial::Hang, false, Phase::Connect, 10)]
#[case::handshake(Dial::Mute, false, Phase::Handshake, 10)]
#[case::get(Dial::Serve, false, Phase::Get, 60)]
#[case::post(Dial::Serve, true, Phase::Post, 600)]
#[tokio::test(start_paused = true)]
async fn each_phase_has_its_limit(
    #[case] dial: Dial,
    #[case] order: bool,
    #[case] expected: Phase,
    #[case] seconds: u32,
) {
    let (server, agent, at) = agent_server::start(Does::Hang);
    server.dial(dial);
    let asked = Instant::now();
    let error = if order {
        agent.run(&at, &call(Verb::LoadDb)).await.unwrap_err()
    } else {
        agent.status(&at).await.unwrap_err()
    };
    assert_eq!(asked.elapsed(), seconds * S);
    let AgentError::TimedOut { phase, after, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*phase, *after), (expected, seconds * S));
    let reached = matches!(expected, Phase::Get | Phase::Post);
    assert_eq!(error.outcome(), if reached { Outcome::Unknown } else { Outcome::NotDone });
}

#[tokio::test(start_paused = true)]
async fn the_whole_limit_covers_every_phase() {
    let (server, agent, mut at) = agent_server::start(Does::Hang);
    at.limits.get = Some(4 * S);
    for dial in [Dial::Hang, Dial::Mute, Dial::Serve] {
        server.dial(dial);
        let asked = Instant::now();
        let error = agent.status(&at).await.unwrap_err();
        assert!(matches!(error, AgentError::TimedOut { phase: Phase::Get, .. }), "{error:?}");
        assert_eq!(asked.elapsed(), 4 * S);
    }
}

#[tokio::test(start_paused = true)]
async fn a_marker_verb_has_five_seconds() {
    let (_server, agent, mut at) = agent_server::start(Does::Hang);
    at.limits.post = None;
    for verb in [Verb::SetActive, Verb::ClearActive, Verb::SetReadiness, Verb::ClearReadiness] {
        let asked = Instant::now();
        agent.run(&at, &call(verb)).await.unwrap_err();
        assert_eq!(asked.elapsed(), 5 * S);
    }
}

#[tokio::test(start_paused = true)]
async fn no_limit_is_no_limit() {
    let (server, agent, mut at) = agent_server::start(Does::slow(90_000 * S, OK));
    at.limits.tcp = None;
    at.limits.tls = None;
    at.limits.get = None;
    agent.status(&at).await.unwrap();
    server.dial(Dial::Hang);
    agent.forget(&at.host);
    assert!(timeout(90_000 * S, agent.status(&at)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_hung_goes_unused_afterwards() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    server.next(Does::Hang);
    agent.status(&at).await.unwrap_err();
    agent.status(&at).await.unwrap();
    assert_eq!(server.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_look_is_taken_again_when_the_agent_had_hung_up() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    agent.status(&at).await.unwrap();
    server.next(Does::Close);
    agent.status(&at).await.unwrap();
    assert_eq!((server.dials(), server.seen().len()), (2, 3));
    // Once: an agent that always hangs up is not asked for ever.
    server.next(Does::Close);
    server.next(Does::Close);
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Reset, .. }), "{error:?}");
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_order_is_never_sent_twice() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    server.next(Does::Close);
    let error = agent.run(&at, &call(Verb::DestroyDb)).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Reset, .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(server.seen().iter().filter(|one| one.body.contains("destroyDb")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_on_a_connection_known_to_be_closed_is_sent_on_another() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    server.kill();
    sleep(Duration::from_millis(1)).await;
    agent.run(&at, &call(Verb::DestroyDb)).await.unwrap();
    assert_eq!((server.dials(), server.seen().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_closing_agent_is_dialled_anew_and_its_end_is_no_news() {
    let (server, agent, at) = agent_server::start(Does::Closing(OK.into()));
    agent.status(&at).await.unwrap();
    agent.status(&at).await.unwrap();
    assert_eq!(server.dials(), 2);
    assert!(timeout(60 * S, agent.closed(&at)).await.is_err());
}

#[rstest::rstest]
#[case(Dial::Refuse, How::Refused)]
#[case(Dial::NoName, How::Dns)]
#[case(Dial::NoRoute, How::Connect)]
#[case(Dial::HangUp, How::Connect)]
#[tokio::test(start_paused = true)]
async fn no_connection_says_why(#[case] dial: Dial, #[case] expected: How) {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    server.dial(dial);
    let error = agent.run(&at, &call(Verb::DestroyDb)).await.unwrap_err();
    let AgentError::Unreachable { how, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*how, expected);
    assert_eq!(error.outcome(), Outcome::NotDone);
    assert!(!error.answered());
}

#[tokio::test(start_paused = true)]
async fn only_the_objects_own_certificate_is_believed() {
    let (server, agent, mut at) = agent_server::start(Does::reply(200, OK));
    // Same names, another key: a re-created object, or somebody in the middle.
    at.credentials = credentials("sample", "ns", 99);
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Tls, .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_certificate_must_be_valid_for_the_pod() {
    let (server, agent, mut at) = agent_server::start(Does::reply(200, OK));
    at.host = "sample-0.other.ns.svc.cluster.local".into();
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Tls, .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_refuses_our_certificate_is_a_tls_failure() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    server.trust_only(&credentials("sample", "ns", 99));
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Tls, .. }), "{error:?}");
}

#[rstest::rstest]
#[case(401, OK)]
#[case(403, "")]
#[tokio::test(start_paused = true)]
async fn refused_credentials(#[case] code: u16, #[case] body: &str) {
    let (_server, agent, at) = agent_server::start(Does::reply(code, body));
    let expected = AgentError::Unauthorized { host: at.host.clone() };
    assert_eq!(agent.status(&at).await.unwrap_err(), expected);
    assert_eq!(agent.run(&at, &call(Verb::OpenDb)).await.unwrap_err(), expected);
    assert_eq!(agent.run(&at, &call(Verb::Die)).await.unwrap_err(), expected);
    assert_eq!(agent.start(&at, &call(Verb::RepDuplicate), &id()).await.unwrap_err(), expected);
    assert_eq!(agent.task(&at, &id()).await.unwrap_err(), expected);
}

#[rstest::rstest]
#[case(500)]
#[case(404)]
#[case(204)]
#[case(302)]
#[tokio::test(start_paused = true)]
async fn another_status_is_no_reply_whatever_its_body(#[case] code: u16) {
    let (_server, agent, at) =
        agent_server::start(Does::reply(code, if code == 204 { "" } else { OK }));
    let expected = AgentError::HttpStatus { host: at.host.clone(), code };
    assert_eq!(agent.status(&at).await.unwrap_err(), expected);
    assert_eq!(agent.run(&at, &call(Verb::OpenDb)).await.unwrap_err(), expected);
    assert_eq!(agent.start(&at, &call(Verb::RepDuplicate), &id()).await.unwrap_err(), expected);
    assert_eq!(agent.task(&at, &id()).await.unwrap_err(), expected);
}

#[rstest::rstest]
#[case("", "not JSON")]
#[case("<html>", "not JSON")]
#[case("[]", "not a JSON object")]
#[case(r#"{"errno":0}"#, "jsonVer not valid")]
#[case(r#"{"jsonVer":2,"errno":0}"#, "jsonVer is 2, not 1")]
#[case(r#"{"jsonVer":1}"#, "Errno not specified")]
#[tokio::test(start_paused = true)]
async fn a_reply_to_an_order_must_say_how_it_went(#[case] body: &str, #[case] why: &str) {
    let (_server, agent, at) = agent_server::start(Does::reply(200, body));
    let error = agent.run(&at, &call(Verb::OpenDb)).await.unwrap_err();
    let AgentError::BadReply { what, .. } = &error else { panic!("{error:?}") };
    assert!(what.contains(why), "{what}");
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_failed_order_carries_number_words_and_events_masked() {
    let body = r#"{"JSONVER":1,"Errno":"12","Errmsg":"no: PWD=secret;","create1Err":
        ["Error Message: [TimesTen][a][TimesTen]TT7: x -pwd secret -- file \"f\""]}"#;
    let (_server, agent, at) = agent_server::start(Does::reply(200, body));
    let error = agent.run(&at, &call(Verb::CreateDb)).await.unwrap_err();
    assert_eq!(error.to_string(), "Error 12 creating db: no: PWD=****;");
    assert_eq!(error.errno(), Some(12));
    let AgentError::Verb { events, .. } = error else { panic!() };
    assert_eq!(events, ["CreateDb error: TT7: x -pwd ****"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_cap_is_refused_and_one_below_is_read() {
    let padded = |length: usize| format!(r#"{{"daemonUp":true,"pad":"{}"}}"#, "x".repeat(length));
    let (server, agent, at) = agent_server::start(Does::reply(200, &padded(9 << 20)));
    let error = agent.status(&at).await.unwrap_err();
    assert!(
        matches!(&error, AgentError::BadReply { what, .. } if what.contains("8388608")),
        "{error:?}"
    );
    server.next(Does::reply(200, &padded(7 << 20)));
    assert_eq!(agent.status(&at).await.unwrap().daemon_up, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_reply_cut_short_is_a_lost_connection() {
    let (_server, agent, at) = agent_server::start(Does::CutShort);
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Reset, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_older_agent_is_asked_by_the_older_name_once() {
    let unknown = r#"{"jsonVer":1,"errno":255,"errmsg":"unknown verb"}"#;
    let (server, agent, at) = agent_server::start(Does::reply(200, unknown));
    server.on("setSubStartStart", Does::reply(200, OK));
    agent.run(&at, &call(Verb::SetSubStateStart)).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    let error = agent.run(&at, &call(Verb::OpenDb)).await.unwrap_err();
    assert_eq!(error.errno(), Some(AgentError::UNKNOWN_VERB));
    assert_eq!(error.outcome(), Outcome::NotDone);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_without_a_word_has_obeyed() {
    let (_server, agent, at) = agent_server::start(Does::Close);
    agent.run(&at, &call(Verb::Die)).await.unwrap();
}

#[rstest::rstest]
#[case(202, "", Ok(Started::Accepted))]
#[case(202, "ignored", Ok(Started::Accepted))]
#[case(200, OK, Ok(Started::Done(Default::default())))]
#[case(200, r#"{"jsonVer":1,"errno":5,"errmsg":"TT8191"}"#, Err(Some(5)))]
#[case(200, "", Err(None))]
#[case(503, OK, Err(None))]
#[tokio::test(start_paused = true)]
async fn a_task_is_accepted_or_done_or_refused(
    #[case] code: u16,
    #[case] body: &str,
    #[case] expected: Result<Started, Option<i64>>,
) {
    let (server, agent, at) = agent_server::start(Does::reply(code, body));
    let started = agent.start(&at, &call(Verb::RepDuplicate), &id()).await;
    assert_eq!(started.map_err(|error| error.errno()), expected);
    assert_eq!(server.seen()[0].header("x-request-id"), id().as_str());
}

#[rstest::rstest]
#[case(r#"{"id":"ID","running":true,"started":10,"updated":12}"#, TaskReport::Running { started: Some(10), updated: Some(12) })]
#[case(r#"{"id":"ID"}"#, TaskReport::Running { started: None, updated: None })]
#[case(r#"{"id":"ID","complete":true}"#, TaskReport::Complete { events: vec![] })]
#[case::polite(r#"{"id":"ID","complete":true,"errno":0}"#, TaskReport::Complete { events: vec![] })]
#[case(r#"{"id":"ID","complete":true,"errno":9,"errmsg":"x"}"#, TaskReport::Failed { errno: 9, message: "x".into(), events: vec![] })]
#[case(r#"{"id":"ID","complete":true,"errno":9,"dup":{"dupErr":["Error Message: [TimesTen][a][TimesTen]TT8143: no"]}}"#,
       TaskReport::Failed { errno: 9, message: "NO ERRMSG RETURNED".into(), events: vec!["Repduplicate error: TT8143: no".into()] })]
#[case(r#"{"jsonVer":1}"#, TaskReport::UnknownId)]
#[case(r#"{"id":""}"#, TaskReport::UnknownId)]
#[case::of_another(r#"{"id":"other","complete":true}"#, TaskReport::UnknownId)]
#[tokio::test(start_paused = true)]
async fn how_a_task_stands(#[case] body: &str, #[case] expected: TaskReport) {
    let (server, agent, at) =
        agent_server::start(Does::reply(200, &body.replace("ID", id().as_str())));
    assert_eq!(agent.task(&at, &id()).await.unwrap(), expected);
    assert_eq!(server.seen()[0].line, "GET /agent/status");
    assert_eq!(server.seen()[0].header("x-request-id"), id().as_str());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_held_connection_is_told_at_once() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    assert!(timeout(60 * S, agent.closed(&at)).await.is_err(), "none is open");
    agent.status(&at).await.unwrap();
    assert!(timeout(60 * S, agent.closed(&at)).await.is_err(), "it is open");
    let killed = async {
        sleep(S).await;
        server.kill();
        Instant::now()
    };
    let ((), killed) = tokio::join!(agent.closed(&at), killed);
    assert_eq!(killed.elapsed(), Duration::ZERO);
    // An end is told once, even one that nobody waited for.
    assert!(timeout(60 * S, agent.closed(&at)).await.is_err());
    agent.status(&at).await.unwrap();
    server.kill();
    sleep(10 * S).await;
    timeout(S, agent.closed(&at)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_in_the_middle_of_a_look_is_told_too() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    agent.status(&at).await.unwrap();
    server.next(Does::Hang);
    let killed = async {
        sleep(S).await;
        server.dial(Dial::Refuse);
        server.kill();
    };
    let (look, (), ()) = tokio::join!(agent.status(&at), agent.closed(&at), killed);
    assert!(matches!(look, Err(AgentError::Unreachable { how: How::Refused, .. })), "{look:?}");
}

#[tokio::test(start_paused = true)]
async fn ends_are_told_once_a_second_at_most() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    let begun = Instant::now();
    for _ in 0..10 {
        agent.status(&at).await.unwrap();
        server.kill();
        agent.closed(&at).await;
    }
    assert_eq!(begun.elapsed(), 9 * S);
}

#[tokio::test(start_paused = true)]
async fn forgetting_ends_the_wait_and_closes_the_connections() {
    let (server, agent, at) = agent_server::start(Does::reply(200, OK));
    agent.status(&at).await.unwrap();
    let forget = async {
        sleep(S).await;
        agent.forget(&at.host);
    };
    tokio::join!(agent.closed(&at), forget);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.open(), 0);
    agent.status(&at).await.unwrap();
    assert_eq!(server.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn texts_show_no_secret() {
    let (_server, agent, at) = agent_server::start(Does::reply(401, ""));
    let error = agent.status(&at).await.unwrap_err();
    let shown = format!("{at:?} {error:?} {error}");
    for (entry, secret) in at.credentials.to_secret_data() {
        if entry != "agentUser" {
            assert!(!shown.contains(std::str::from_utf8(&secret).unwrap()), "{entry}");
        }
    }
}
