//! Only the object's own agent is believed, and no secret is shown.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use timesten_operator::agent::{Agent, AgentError, How, Verb};

use super::server::{self, Does, credentials};
use super::{OK, call, id};

#[tokio::test(start_paused = true)]
async fn only_the_objects_own_certificate_is_believed() {
    let (server, agent, mut at) = server::start(Does::reply(200, OK));
    // Same names, another key: a re-created object, or somebody in the middle.
    at.credentials = credentials("sample", "ns", 99);
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Tls, .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_has_the_former_certificate_is_believed_too() {
    let (server, agent, mut at) = server::start(Does::reply(200, OK));
    let former = Arc::clone(at.credentials.present());
    let since = former.not_before();
    let renewed = at.credentials.renewed("sample", "ns", since, &mut |bytes| bytes.fill(3));
    at.credentials = Arc::new(renewed.unwrap());
    for _ in 0..2 {
        let identity = agent.status(&at).await.unwrap().identity.unwrap();
        assert_eq!(identity, former);
    }
    agent.run(&at, &call(Verb::OpenDb)).await.unwrap();
    // Another dial for the first look alone: after that it is known which the agent has.
    assert_eq!(server.dials(), 3);
    assert_eq!(server.seen().len(), 3);
    let user = format!("{}:{}", former.http_user(), former.http_password());
    let basic = format!("Basic {}", STANDARD.encode(user));
    assert!(server.seen().iter().all(|seen| seen.header("authorization") == basic));
}

#[tokio::test(start_paused = true)]
async fn the_certificate_must_be_valid_for_the_pod() {
    let (server, agent, mut at) = server::start(Does::reply(200, OK));
    at.host = "sample-0.other.ns.svc.cluster.local".into();
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Tls, .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_refuses_our_certificate_is_a_tls_failure() {
    let (server, agent, at) = server::start(Does::reply(200, OK));
    server.trust_only(&credentials("sample", "ns", 99));
    let error = agent.status(&at).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { how: How::Tls, .. }), "{error:?}");
}

#[rstest::rstest]
#[case(401, OK)]
#[case(403, "")]
#[tokio::test(start_paused = true)]
async fn refused_credentials(#[case] code: u16, #[case] body: &str) {
    let (_server, agent, at) = server::start(Does::reply(code, body));
    let expected = AgentError::Unauthorized { host: at.host.clone() };
    assert_eq!(agent.status(&at).await.unwrap_err(), expected);
    assert_eq!(agent.run(&at, &call(Verb::OpenDb)).await.unwrap_err(), expected);
    assert_eq!(agent.run(&at, &call(Verb::Die)).await.unwrap_err(), expected);
    assert_eq!(agent.start(&at, &call(Verb::RepDuplicate), &id()).await.unwrap_err(), expected);
    assert_eq!(agent.task(&at, &id()).await.unwrap_err(), expected);
}

#[tokio::test(start_paused = true)]
async fn texts_show_no_secret() {
    let (_server, agent, at) = server::start(Does::reply(401, ""));
    let error = agent.status(&at).await.unwrap_err();
    let shown = format!("{at:?} {error:?} {error}");
    for (entry, secret) in at.credentials.to_secret_data() {
        if entry != "agentUser" {
            assert!(!shown.contains(std::str::from_utf8(&secret).unwrap()), "{entry}");
        }
    }
}
