//! A pair without an operator: what the tests drive by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fake_agent::{ContainerSpec, Fleet, FleetOptions, Outcome, Running};
use http::{Request, Response};
use serde_json::Value;

pub(crate) const HOSTS: [&str; 2] =
    ["sample-0.sample.ns.svc.cluster.local", "sample-1.sample.ns.svc.cluster.local"];

/// Two hosts, their volumes and containers.
pub(crate) struct Lab {
    pub(crate) fleet: Fleet,
    pub(crate) running: [Option<Running>; 2],
    pub(crate) config: BTreeMap<String, Vec<u8>>,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(FleetOptions::default(), &[]).await
    }

    /// Both containers started, both agents listening.
    pub(crate) async fn with(options: FleetOptions, config: &[(&str, &str)]) -> Self {
        let config =
            config.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        let mut lab =
            Self { fleet: Fleet::new(options), running: [None, None], config: config.collect() };
        lab.start(0);
        lab.start(1);
        tokio::time::sleep(Duration::from_millis(1001)).await;
        lab
    }

    pub(crate) fn start(&mut self, pod: usize) {
        let mut spec = ContainerSpec::new(HOSTS[pod], &format!("tt-sample-{pod}"));
        spec.config = self.config.clone();
        self.running[pod] = Some(self.fleet.start(spec));
    }

    /// Kills the container, starts it again at once, waits for its agent.
    pub(crate) async fn restart(&mut self, pod: usize) {
        self.running[pod] = None;
        self.start(pod);
        tokio::time::sleep(Duration::from_millis(1001)).await;
    }

    pub(crate) async fn send(&self, pod: usize, request: Request<Bytes>) -> Outcome {
        self.running[pod].as_ref().expect("a container").handle(request).await
    }

    pub(crate) async fn get(&self, pod: usize) -> Value {
        let uri = format!("/agent?ourDNSName={}&ttObjectName=sample", HOSTS[pod]);
        json(&response(self.send(pod, Request::get(uri).body(Bytes::new()).unwrap()).await))
    }

    pub(crate) async fn poll(&self, pod: usize, id: &str) -> Value {
        let request = Request::get("/agent/status").header("X-Request-Id", id);
        json(&response(self.send(pod, request.body(Bytes::new()).unwrap()).await))
    }

    /// The verb with the usual parameters; host 0 is the active unless `active` says otherwise.
    pub(crate) async fn post_as(
        &self,
        pod: usize,
        active: usize,
        verb: &str,
        more: &[(&str, &str)],
    ) -> Response<Bytes> {
        response(self.send(pod, post_request(pod, active, verb, more)).await)
    }

    pub(crate) async fn post(&self, pod: usize, verb: &str) -> Value {
        json(&self.post_as(pod, 0, verb, &[]).await)
    }

    /// The verb must succeed.
    pub(crate) async fn ok(&self, pod: usize, verb: &str) {
        let reply = self.post(pod, verb).await;
        assert_eq!(reply["errno"], 0, "{verb} on {pod}: {reply}");
    }

    /// Duplicates to `pod` from `active` and waits for the end; the last poll.
    pub(crate) async fn duplicate(&self, pod: usize, active: usize) -> Value {
        let reply = self.post_as(pod, active, "repDuplicate", &[]).await;
        assert_eq!(reply.status(), 202);
        for _ in 0..100 {
            let poll = self.poll(pod, "task").await;
            if poll["complete"] == true {
                return poll;
            }
            assert_eq!(poll["running"], true, "{poll}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the duplicate never ended");
    }

    /// An active on host 0, with this return service.
    pub(crate) async fn active(&self, service: &str) {
        self.ok(0, "startDaemon").await;
        self.ok(0, "createDb").await;
        self.ok(0, "openDb").await;
        self.scheme(service).await;
    }

    /// The scheme on host 0.
    pub(crate) async fn scheme(&self, service: &str) {
        let statement = statement(service);
        let reply =
            self.post_as(0, 0, "createRepScheme", &[("repCreateStatement", &statement)]).await;
        assert_eq!(json(&reply)["errno"], 0, "{:?}", reply.body());
    }

    /// A whole pair: 0 ACTIVE, 1 STANDBY.
    pub(crate) async fn pair(&self, service: &str) {
        self.active(service).await;
        self.ok(1, "startDaemon").await;
        self.rebuild(1, 0).await;
    }

    /// Destroys `pod`, duplicates it from `active`, waits for STANDBY.
    pub(crate) async fn rebuild(&self, pod: usize, active: usize) {
        self.ok(pod, "destroyDb").await;
        let end = self.duplicate(pod, active).await;
        assert!(end.get("errno").is_none(), "{end}");
        self.ok(pod, "startRepAgent").await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(self.get(pod).await["repState"], "STANDBY");
    }
}

pub(crate) fn statement(service: &str) -> String {
    let [a, b] = HOSTS;
    format!(
        "create active standby pair \"sample\" on \"{a}\", \"sample\" on \"{b}\" {service} \
         store \"sample\" on \"{a}\" PORT 4444 FAILTHRESHOLD 0 \
         store \"sample\" on \"{b}\" PORT 4444 FAILTHRESHOLD 0"
    )
}

pub(crate) fn post_request(
    pod: usize,
    active: usize,
    verb: &str,
    more: &[(&str, &str)],
) -> Request<Bytes> {
    let mut form: BTreeMap<&str, &str> = [
        ("verb", verb),
        ("dbName", "sample"),
        ("ourDNSName", HOSTS[pod]),
        ("objectName", "sample"),
        ("objectNamespace", "ns"),
        ("zzAgentDebugInfo", "0"),
        ("activeDNSName", HOSTS[active]),
        ("standbyDNSName", HOSTS[1 - active]),
        ("otherDNSName", HOSTS[active]),
    ]
    .into();
    form.extend(more.iter().copied());
    let body: Vec<String> =
        form.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    Request::post("/agent")
        .header("content-type", "application/x-www-form-urlencoded; param=value")
        .header("x-request-id", "task")
        .body(Bytes::from(body.join("&")))
        .unwrap()
}

pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

pub(crate) fn response(outcome: Outcome) -> Response<Bytes> {
    match outcome {
        Outcome::Response(response) => response,
        other => panic!("no answer: {other:?}"),
    }
}

pub(crate) fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("a JSON body")
}
