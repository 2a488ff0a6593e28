//! What is sent: who asks, whom, and what. Orders are compared with recorded ones.

use timesten_operator::agent::{Agent, Urgency, Verb};

use super::server::{self, Does};
use super::{OK, call};

#[tokio::test(start_paused = true)]
async fn a_look_says_who_asks_and_whom() {
    let (server, agent, mut at) = server::start(Does::reply(200, OK));
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
    let (server, agent, at) = server::start(Does::reply(200, OK));
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
    let (server, agent, at) = server::start(Does::reply(200, OK));
    let mut order = call(Verb::DestroyDb);
    order.roles.subscriber = true;
    agent.run(&at, &order).await.unwrap();
    let body = &server.seen()[0].body;
    assert!(body.contains("weAreSubscriber=1") && !body.contains("otherDNSName"), "{body}");
}
