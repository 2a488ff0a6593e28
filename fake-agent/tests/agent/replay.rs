//! Requests recorded from Oracle's operator (authoritative), replayed at their times; the recorded
//! answers came from another model, so only what both must agree on is compared.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use fake_agent::{Fault, FleetOptions, On, PeerView, Rule};
use http::Request;
use rstest::rstest;
use serde_json::Value;
use tokio::time::Instant;

use super::lab::{HOSTS, Lab, json, post_request, response, statement};

#[rstest]
#[tokio::test(start_paused = true)]
async fn recorded_requests_get_the_same_kind_of_answer(
    #[files("tests/agent/data/*.jsonl")] recording: PathBuf,
) {
    let options = FleetOptions { peer_view: PeerView::AsTold, ..FleetOptions::default() };
    let mut lab = Lab::with(options, &[("adminUser", "a/b"), ("schema.sql", "")]).await;
    lab.running = [None, None];
    let began = Instant::now();
    for line in std::fs::read_to_string(recording).unwrap().lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        let at = began + Duration::from_secs_f64(step["t"].as_f64().unwrap());
        tokio::time::sleep_until(at).await;
        let pod = usize::try_from(step["pod"].as_u64().unwrap()).unwrap();
        match step["kubelet"].as_str().or(step["fault"].as_str()) {
            Some(what) => happen(&mut lab, pod, what),
            None => exchange(&lab, pod, &step).await,
        }
    }
}

/// What the recorded kubelet and the recorded faults did.
fn happen(lab: &mut Lab, pod: usize, what: &str) {
    let script = lab.fleet.script(HOSTS[pod]);
    match what {
        "running" => lab.start(pod),
        "gone" | "killContainer" => lab.running[pod] = None,
        "deleting" => quiesce(lab, pod),
        "killDaemon" => assert!(lab.fleet.kill_daemon(HOSTS[pod])),
        "asyncFail" => {
            let fault = Fault::FailTask(1, "ttRepAdmin -duplicate failed".to_owned());
            script.add(Rule::new(On::Verb("repDuplicate".to_owned()), fault).times(1));
        }
        "kubectl delete pod" => {}
        other => panic!("{other}"),
    }
}

/// The preStop hook of a pod that is being deleted; only without replication does it have one.
fn quiesce(lab: &Lab, pod: usize) {
    let hook = ["/usr/bin/perl", "/timesten/operator/operator/starthost.pl", "-quiesce"];
    if lab.fleet.view(HOSTS[pod]).is_some_and(|view| !view.scheme) {
        let (code, _) = lab.running[pod].as_ref().unwrap().exec(&hook.map(str::to_owned));
        assert_eq!(code, 0);
    }
}

async fn exchange(lab: &Lab, pod: usize, step: &Value) {
    if let Some(expected) = step["get"].as_object() {
        let reply = lab.get(pod).await;
        if expected.get("quiescing").is_some() {
            assert_eq!(reply["quiescing"], true, "{step}: {reply}");
            return;
        }
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
        let texts = ["timeout", "urgency"].map(|key| (key, step[key].as_str().unwrap_or_default()));
        more.extend(texts);
        more.push(("standbyHost", host("standbyHost")));
        if verb == "createRepScheme" {
            more.push(("repCreateStatement", &text));
        }
        if let Some(ms) = step["slowerMs"].as_u64() {
            let slow = Fault::SlowTask(Duration::from_millis(ms));
            lab.fleet.script(HOSTS[pod]).add(Rule::new(On::Verb(verb.to_owned()), slow).times(1));
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
