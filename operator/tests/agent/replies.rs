//! What is made of a reply.

use timesten_operator::agent::{Agent, AgentError, How, Outcome, Started, TaskReport, Verb};

use super::server::{self, Does};
use super::{OK, call, id};

#[rstest::rstest]
#[case(500)]
#[case(404)]
#[case(204)]
#[case(302)]
#[tokio::test(start_paused = true)]
async fn another_status_is_no_reply_whatever_its_body(#[case] code: u16) {
    let (_server, agent, at) = server::start(Does::reply(code, if code == 204 { "" } else { OK }));
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
    let (_server, agent, at) = server::start(Does::reply(200, body));
    let error = agent.run(&at, &call(Verb::OpenDb)).await.unwrap_err();
    let AgentError::BadReply { what, .. } = &error else { panic!("{error:?}") };
    assert!(what.contains(why), "{what}");
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_failed_order_carries_number_words_and_events_masked() {
    let body = r#"{"JSONVER":1,"Errno":"12","Errmsg":"no: PWD=secret;","create1Err":
        ["Error Message: [TimesTen][a][TimesTen]TT7: x -pwd secret -- file \"f\""]}"#;
    let (_server, agent, at) = server::start(Does::reply(200, body));
    let error = agent.run(&at, &call(Verb::CreateDb)).await.unwrap_err();
    assert_eq!(error.to_string(), "Error 12 creating db: no: PWD=****;");
    assert_eq!(error.errno(), Some(12));
    let AgentError::Verb { events, .. } = error else { panic!() };
    assert_eq!(events, ["CreateDb error: TT7: x -pwd ****"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_cap_is_refused_and_one_below_is_read() {
    let padded = |length: usize| format!(r#"{{"daemonUp":true,"pad":"{}"}}"#, "x".repeat(length));
    let (server, agent, at) = server::start(Does::reply(200, &padded(9 << 20)));
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
    let (_server, agent, at) = server::start(Does::CutShort);
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Reset, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_older_agent_is_asked_by_the_older_name_once() {
    let unknown = r#"{"jsonVer":1,"errno":255,"errmsg":"unknown verb"}"#;
    let (server, agent, at) = server::start(Does::reply(200, unknown));
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
    let (_server, agent, at) = server::start(Does::Close);
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
    let (server, agent, at) = server::start(Does::reply(code, body));
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
    let (server, agent, at) = server::start(Does::reply(200, &body.replace("ID", id().as_str())));
    assert_eq!(agent.task(&at, &id()).await.unwrap(), expected);
    assert_eq!(server.seen()[0].line, "GET /agent/status");
    assert_eq!(server.seen()[0].header("x-request-id"), id().as_str());
}
