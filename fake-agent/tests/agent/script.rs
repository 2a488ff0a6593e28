//! Misbehaviour on order.

use std::time::Duration;

use fake_agent::{Fault, On, Outcome, Rule};
use rstest::rstest;
use serde_json::json;

use super::lab::{HOSTS, Lab, json as body, post_request, response};

#[tokio::test(start_paused = true)]
async fn refuse_closes_the_port_until_cleared() {
    let lab = Lab::new().await;
    let script = lab.fleet.script(HOSTS[0]);
    let rule = script.add(Rule::new(On::Any, Fault::Refuse));
    assert!(!lab.running[0].as_ref().unwrap().listening());
    assert!(matches!(lab.send(0, post_request(0, 0, "die", &[])).await, Outcome::Refused));
    assert!(script.clear(rule) && !script.clear(rule));
    assert!(lab.running[0].as_ref().unwrap().listening());
}

#[rstest]
#[case::hang(Fault::Hang, false)]
#[case::lose_before(Fault::LoseBefore, false)]
#[case::lose_reply(Fault::LoseReply, true)]
#[case::http(Fault::Http(500, "<html>".to_owned()), false)]
#[case::errno(Fault::Errno(9996, "later".to_owned()), false)]
#[case::bad_json(Fault::BadJson, false)]
#[case::bad_json_ver(Fault::BadJsonVer, true)]
#[case::slow(Fault::Slow(Duration::from_secs(3)), true)]
#[tokio::test(start_paused = true)]
async fn faults_strike_before_or_after_the_effect(#[case] fault: Fault, #[case] effect: bool) {
    let lab = Lab::new().await;
    let on = On::Verb("startDaemon".to_owned());
    lab.fleet.script(HOSTS[0]).add(Rule::new(on, fault.clone()).times(1));
    let outcome = lab.send(0, post_request(0, 0, "startDaemon", &[])).await;
    assert_eq!(lab.fleet.view(HOSTS[0]).unwrap().daemon, effect);
    match (fault, outcome) {
        (Fault::Hang, Outcome::Hang) | (Fault::LoseBefore | Fault::LoseReply, Outcome::Closed) => {}
        (Fault::Http(..), Outcome::Response(reply)) => assert_eq!(reply.status(), 500),
        (Fault::Errno(..), Outcome::Response(reply)) => assert_eq!(body(&reply)["errno"], 9996),
        (Fault::BadJson, Outcome::Response(reply)) => {
            assert!(serde_json::from_slice::<serde_json::Value>(reply.body()).is_err());
        }
        (Fault::BadJsonVer, Outcome::Response(reply)) => assert_eq!(body(&reply)["jsonVer"], 99),
        (Fault::Slow(_), Outcome::Response(reply)) => assert_eq!(body(&reply)["errno"], 0),
        other => panic!("{other:?}"),
    }
    lab.ok(0, "startDaemon").await;
}

#[rstest]
#[case::before(Fault::CrashBefore, false)]
#[case::after(Fault::CrashAfter, true)]
#[tokio::test(start_paused = true)]
async fn a_crash_comes_before_or_after_the_effect(#[case] fault: Fault, #[case] done: bool) {
    let mut lab = Lab::new().await;
    lab.ok(0, "startDaemon").await;
    lab.fleet.script(HOSTS[0]).add(Rule::new(On::Verb("createDb".to_owned()), fault).times(1));
    assert!(matches!(lab.send(0, post_request(0, 0, "createDb", &[])).await, Outcome::Closed));
    assert_eq!(lab.running[0].as_ref().unwrap().ended().await, 137);
    lab.restart(0).await;
    lab.ok(0, "startDaemon").await;
    assert_eq!(lab.get(0).await["errno"], if done { 707 } else { 833 });
}

#[tokio::test(start_paused = true)]
async fn lies_patch_the_answer_and_rules_count() {
    let lab = Lab::new().await;
    lab.pair("NO RETURN").await;
    let lie = json!({"repState": "Unknown", "ttStatus": {"server": null}, "monitor": {"x": "1"}});
    lab.fleet.script(HOSTS[0]).add(Rule::new(On::Get, Fault::Lie(lie)).after(1).times(2));
    let mut told = Vec::new();
    for _ in 0..4 {
        let reply = lab.get(0).await;
        let patched = reply["ttStatus"].get("server").is_none() && reply["monitor"]["x"] == "1";
        told.push((reply["repState"] == "Unknown", patched));
    }
    assert_eq!(told, [(false, false), (true, true), (true, true), (false, false)]);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_rejected_fail_hang_and_are_forgotten() {
    let lab = Lab::new().await;
    lab.active("NO RETURN").await;
    lab.ok(1, "startDaemon").await;
    let script = lab.fleet.script(HOSTS[1]);
    let on = || On::Verb("repDuplicate".to_owned());

    script.add(Rule::new(on(), Fault::RejectTask(503)).times(1));
    assert_eq!(lab.post_as(1, 0, "repDuplicate", &[]).await.status(), 503);

    script.add(Rule::new(on(), Fault::FailTask(1, "no luck".to_owned())).times(1));
    let end = lab.duplicate(1, 0).await;
    assert_eq!((&end["errno"], &end["errmsg"]), (&json!(1), &json!("no luck")));
    assert_eq!(lab.get(1).await["errno"], 833);

    script.add(Rule::new(on(), Fault::StuckTask).times(1));
    lab.post_as(1, 0, "repDuplicate", &[]).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(lab.poll(1, "task").await["running"], true);

    script.add(Rule::new(On::Poll, Fault::ForgetTask).times(1));
    assert_eq!(lab.poll(1, "task").await["id"], "");
    assert_eq!(lab.poll(1, "task").await["id"], "task");
}

#[tokio::test(start_paused = true)]
async fn rules_may_come_before_the_container_and_outlive_it() {
    let mut lab = Lab::new().await;
    let script = lab.fleet.script(HOSTS[1]);
    script.add(Rule::new(On::Get, Fault::Http(500, String::new())));
    lab.restart(1).await;
    let request = http::Request::get("/agent").body(bytes::Bytes::new()).unwrap();
    assert_eq!(response(lab.send(1, request).await).status(), 500);
    script.clear_all();
    assert_eq!(lab.get(1).await["jsonVer"], 1);
}

#[tokio::test(start_paused = true)]
async fn refusing_some_requests_counts_them() {
    let lab = Lab::new().await;
    lab.fleet.script(HOSTS[0]).add(Rule::new(On::Any, Fault::Refuse).times(2));
    for _ in 0..2 {
        let request = http::Request::get("/agent").body(bytes::Bytes::new()).unwrap();
        assert!(matches!(lab.send(0, request).await, Outcome::Closed));
    }
    assert_eq!(lab.get(0).await["jsonVer"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_verb_is_carried_out_though_the_client_gave_up() {
    let lab = Lab::new().await;
    let slow = Fault::Slow(Duration::from_secs(20));
    lab.fleet.script(HOSTS[0]).add(Rule::new(On::Post, slow).times(1));
    let order = lab.send(0, post_request(0, 0, "startDaemon", &[]));
    assert!(tokio::time::timeout(Duration::from_secs(5), order).await.is_err());
    assert!(!lab.fleet.view(HOSTS[0]).unwrap().daemon);
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert!(lab.fleet.view(HOSTS[0]).unwrap().daemon);
}
