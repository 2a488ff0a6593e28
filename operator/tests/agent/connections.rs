//! Which connection a request uses, what may be repeated, and how an end is told.

use std::time::Duration;

use timesten_operator::agent::{Agent, AgentError, How, Outcome, Verb};
use tokio::time::{Instant, sleep, timeout};

use super::server::{self, Dial, Does};
use super::{OK, S, call};

#[tokio::test(start_paused = true)]
async fn looks_share_one_connection() {
    let (server, agent, at) = server::start(Does::reply(200, OK));
    for _ in 0..5 {
        agent.status(&at).await.unwrap();
        sleep(5 * S).await;
    }
    assert_eq!(server.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_never_waits_behind_an_order() {
    let (server, agent, at) = server::start(Does::reply(200, OK));
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
    let (server, agent, at) = server::start(Does::reply(200, OK));
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
    let (server, agent, before) = server::start(Does::reply(200, OK));
    agent.status(&before).await.unwrap();
    let mut after = before.clone();
    after.pod_uid = "another".into();
    agent.status(&after).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!((server.dials(), server.open()), (2, 1));
    timeout(S, agent.closed(&before)).await.unwrap_err();
    let replaced = async {
        sleep(S).await;
        agent.status(&before).await.unwrap();
    };
    tokio::join!(agent.closed(&after), replaced);
}

#[tokio::test(start_paused = true)]
async fn new_credentials_get_connections_of_their_own() {
    let (server, agent, mut at) = server::start(Does::reply(200, OK));
    agent.status(&at).await.unwrap();
    at.credentials = server::credentials("sample", "ns", 99);
    agent.status(&at).await.unwrap_err();
    assert_eq!((server.dials(), server.seen().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_idle_connection_for_orders_is_no_news() {
    let (server, agent, at) = server::start(Does::reply(200, OK));
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    server.kill();
    assert!(timeout(60 * S, agent.closed(&at)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_hung_goes_unused_afterwards() {
    let (server, agent, at) = server::start(Does::reply(200, OK));
    server.next(Does::Hang);
    agent.status(&at).await.unwrap_err();
    agent.status(&at).await.unwrap();
    assert_eq!(server.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_look_is_taken_again_when_the_agent_had_hung_up() {
    let (server, agent, at) = server::start(Does::reply(200, OK));
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
    let (server, agent, at) = server::start(Does::reply(200, OK));
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    server.next(Does::Close);
    let error = agent.run(&at, &call(Verb::DestroyDb)).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Reset, .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(server.seen().iter().filter(|one| one.body.contains("destroyDb")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_on_a_connection_known_to_be_closed_is_sent_on_another() {
    let (server, agent, at) = server::start(Does::reply(200, OK));
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    server.kill();
    sleep(Duration::from_millis(1)).await;
    agent.run(&at, &call(Verb::DestroyDb)).await.unwrap();
    assert_eq!((server.dials(), server.seen().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_closing_agent_is_dialled_anew_and_its_end_is_no_news() {
    let (server, agent, at) = server::start(Does::Closing(OK.into()));
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
    let (server, agent, at) = server::start(Does::reply(200, OK));
    server.dial(dial);
    let error = agent.run(&at, &call(Verb::DestroyDb)).await.unwrap_err();
    let AgentError::Unreachable { how, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*how, expected);
    assert_eq!(error.outcome(), Outcome::NotDone);
    assert!(!error.answered());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_held_connection_is_told_at_once() {
    let (server, agent, at) = server::start(Does::reply(200, OK));
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
    let (server, agent, at) = server::start(Does::reply(200, OK));
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
    let (server, agent, at) = server::start(Does::reply(200, OK));
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
    let (server, agent, at) = server::start(Does::reply(200, OK));
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
