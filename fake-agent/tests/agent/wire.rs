//! The real wire: TLS with the pinned certificate, Basic credentials, keep-alive, closing.

use std::time::Duration;

use bytes::Bytes;
use fake_agent::{ContainerSpec, Credentials, Fault, Fleet, FleetOptions, On, Rule, Running};
use http::Request;

use super::lab::{HOSTS, post_request, statement};
use super::tls::{authorise, client, connect, credentials, send};

async fn start(fleet: &Fleet, pod: usize, credentials: &Credentials) -> Running {
    let spec = ContainerSpec {
        credentials: Some(credentials.clone()),
        ..ContainerSpec::new(HOSTS[pod], &format!("tt-{pod}"))
    };
    let running = fleet.start(spec);
    tokio::time::sleep(Duration::from_millis(1001)).await;
    running
}

fn get() -> Request<Bytes> {
    Request::get("/agent?ttObjectName=sample").body(Bytes::new()).unwrap()
}

fn poll() -> Request<Bytes> {
    Request::get("/agent/status").header("x-request-id", "task").body(Bytes::new()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn provisions_fails_over_and_rebuilds_over_tls() {
    let fleet = Fleet::new(FleetOptions::default());
    let own = credentials();
    let first = start(&fleet, 0, &own).await;
    let second = start(&fleet, 1, &own).await;
    let mut a = connect(&first, client(&own, Some(&own))).await.unwrap();
    let mut b = connect(&second, client(&own, Some(&own))).await.unwrap();
    let text = statement("NO RETURN");
    for verb in ["startDaemon", "createDb", "openDb", "createRepScheme"] {
        let request = post_request(0, 0, verb, &[("repCreateStatement", &text)]);
        assert_eq!(send(&mut a, request).await.unwrap().1["errno"], 0, "{verb}");
    }
    send(&mut b, post_request(1, 0, "startDaemon", &[])).await.unwrap();
    assert_eq!(send(&mut b, post_request(1, 0, "repDuplicate", &[])).await.unwrap().0, 202);
    while send(&mut b, poll()).await.unwrap().1["complete"] != true {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    send(&mut b, post_request(1, 0, "startRepAgent", &[])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(send(&mut b, get()).await.unwrap().1["repState"], "STANDBY");

    drop(first);
    assert!(send(&mut a, get()).await.is_err(), "the connection dies with the container");
    let promoted = send(&mut b, post_request(1, 0, "repStateSetActive", &[])).await.unwrap();
    assert_eq!(promoted.1["errno"], 0);
    let first = start(&fleet, 0, &own).await;
    let mut a = connect(&first, client(&own, Some(&own))).await.unwrap();
    for verb in ["startDaemon", "destroyDb", "repDuplicate"] {
        send(&mut a, post_request(0, 1, verb, &[])).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    send(&mut a, post_request(0, 1, "startRepAgent", &[])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(send(&mut a, get()).await.unwrap().1["repState"], "STANDBY");
}

#[tokio::test(start_paused = true)]
async fn only_the_shared_certificate_gets_in() {
    let fleet = Fleet::new(FleetOptions::default());
    let (own, other) = (credentials(), credentials());
    let running = start(&fleet, 0, &own).await;
    for presented in [None, Some(&other)] {
        // With TLS 1.3 the client learns of the rejection when it first uses the connection.
        let talked = async {
            let mut sender = connect(&running, client(&own, presented)).await.ok()?;
            send(&mut sender, get()).await.ok()
        };
        assert!(talked.await.is_none(), "{}", presented.is_some());
    }
    assert!(connect(&running, client(&other, Some(&own))).await.is_err(), "not our server");
    assert!(running.logs().agent().iter().any(|line| line.text.contains("TLS handshake failed")));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_401_everywhere() {
    let fleet = Fleet::new(FleetOptions::default());
    let own = credentials();
    let running = start(&fleet, 0, &own).await;
    let mut sender = connect(&running, client(&own, Some(&own))).await.unwrap();
    for request in [get(), poll(), post_request(0, 0, "die", &[])] {
        sender.ready().await.unwrap();
        let reply = sender.send_request(authorise(request, "wrong")).await.unwrap();
        assert_eq!(reply.status(), 401);
    }
    assert!(running.alive(), "die took no effect");
}

#[tokio::test(start_paused = true)]
async fn nobody_listens_before_the_agent_has_started_or_without_a_secret() {
    let fleet = Fleet::new(FleetOptions::default());
    let own = credentials();
    let spec =
        ContainerSpec { credentials: Some(own.clone()), ..ContainerSpec::new(HOSTS[0], "tt-0") };
    let running = fleet.start(spec);
    assert!(!running.listening());
    assert!(connect(&running, client(&own, Some(&own))).await.is_err());
    let bare = fleet.start(ContainerSpec::new(HOSTS[1], "tt-1"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(connect(&bare, client(&own, Some(&own))).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn hang_never_answers_and_lost_replies_close() {
    let fleet = Fleet::new(FleetOptions::default());
    let own = credentials();
    let running = start(&fleet, 0, &own).await;
    let script = fleet.script(HOSTS[0]);
    let hang = script.add(Rule::new(On::Get, Fault::Hang));
    let mut sender = connect(&running, client(&own, Some(&own))).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(900), send(&mut sender, get())).await;
    assert!(waited.is_err());
    script.clear(hang);
    script.add(Rule::new(On::Post, Fault::LoseReply));
    let mut sender = connect(&running, client(&own, Some(&own))).await.unwrap();
    assert!(send(&mut sender, post_request(0, 0, "startDaemon", &[])).await.is_err());
    assert!(fleet.view(HOSTS[0]).unwrap().daemon);
}
