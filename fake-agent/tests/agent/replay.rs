//! Requests recorded from Oracle's operator (authoritative), replayed at their times; the recorded
//! answers came from another model, so only what both must agree on is compared.

use std::time::Duration;

use bytes::Bytes;
use fake_agent::{Fault, FleetOptions, On, PeerView, Rule};
use http::Request;
use rstest::rstest;
use serde_json::Value;
use tokio::time::Instant;

use super::lab::{HOSTS, Lab, json, post_request, response, statement};

#[rstest]
#[case(include_str!("data/provision.jsonl"))]
#[case(include_str!("data/kill-active-container.jsonl"))]
#[case(include_str!("data/kill-both-containers.jsonl"))]
#[case(include_str!("data/kill-standby-container.jsonl"))]
#[case(include_str!("data/duplicate-fails-once.jsonl"))]
#[tokio::test(start_paused = true)]
async fn recorded_requests_get_the_same_kind_of_answer(#[case] recording: &str) {
    let options = FleetOptions { peer_view: PeerView::AsTold, ..FleetOptions::default() };
    let mut lab = Lab::with(options, &[("adminUser", "a/b"), ("schema.sql", "")]).await;
    lab.running = [None, None];
    let began = Instant::now();
    for line in recording.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        let at = began + Duration::from_secs_f64(step["t"].as_f64().unwrap());
        tokio::time::sleep_until(at).await;
        let pod = usize::try_from(step["pod"].as_u64().unwrap()).unwrap();
        match (step["kubelet"].as_str(), step["fault"].as_str()) {
            (Some("running"), _) => lab.start(pod),
            (_, Some("killContainer")) => lab.running[pod] = None,
            (_, Some("asyncFail")) => {
                let fault = Fault::FailTask(1, "ttRepAdmin -duplicate failed".to_owned());
                let on = On::Verb("repDuplicate".to_owned());
                lab.fleet.script(HOSTS[pod]).add(Rule::new(on, fault).times(1));
            }
            (Some(_), _) | (_, Some(_)) => {}
            (None, None) => exchange(&lab, pod, &step).await,
        }
    }
}

async fn exchange(lab: &Lab, pod: usize, step: &Value) {
    if let Some(expected) = step["get"].as_object() {
        let reply = lab.get(pod).await;
        for (key, wanted) in expected {
            // When a ping row reaches the other copy is each model's own affair.
            if key == "newId" && expected["updatable"] != true {
                continue;
            }
            let databases = reply["ttStatus"]["db info"].as_array();
            let first = databases.and_then(|all| all.first());
            let told = match key.as_str() {
                "databases" => databases.map_or(0, Vec::len).into(),
                "open" => first.map_or(Value::Null, |info| info["open"].clone()),
                "conns" => first.map_or(Value::Null, |info| info["# of conns"].clone()),
                other => reply[other].clone(),
            };
            assert_eq!(told, *wanted, "{key} at {step}: {reply}");
        }
    } else if let Some(verb) = step["verb"].as_str() {
        let host = |key: &str| {
            let pod = step[key].as_u64().map(|pod| usize::try_from(pod).unwrap());
            pod.map_or("", |pod| HOSTS[pod])
        };
        let text = statement("NO RETURN");
        let mut more = vec![
            ("activeDNSName", host("activeDNSName")),
            ("standbyDNSName", host("standbyDNSName")),
            ("otherDNSName", host("otherDNSName")),
        ];
        if verb == "createRepScheme" {
            more.push(("repCreateStatement", &text));
        }
        let mut request = post_request(pod, 0, verb, &more);
        if let Some(id) = step["id"].as_str() {
            request.headers_mut().insert("x-request-id", id.parse().unwrap());
        }
        let reply = response(lab.send(pod, request).await);
        assert_eq!(u64::from(reply.status().as_u16()), step["status"].as_u64().unwrap(), "{step}");
        assert_eq!(json(&reply)["errno"], step["errno"], "{step}: {:?}", reply.body());
    } else {
        let id = step["poll"].as_str().unwrap();
        let request = Request::get("/agent/status").header("x-request-id", id);
        let reply = json(&response(lab.send(pod, request.body(Bytes::new()).unwrap()).await));
        for key in ["running", "complete", "errno"] {
            assert_eq!(reply[key], step[key], "{step}: {reply}");
        }
    }
}
