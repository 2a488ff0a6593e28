//! Elections against a Lease in memory, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use kube::{Api, Client};
use serde_json::{Value, json};
use timesten_operator::clock::Clock;
use timesten_operator::lease::{Candidate, Ended, Leadership};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const S: Duration = Duration::from_secs(1);

/// One Lease behind the API, as far as candidates use it.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    writes: u64,
    trouble: Trouble,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Trouble {
    #[default]
    None,
    /// No request is answered.
    Silent,
    /// Writes are carried out, and never answered.
    LosesAnswers,
    /// 500.
    Broken,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        Client::new(
            tower::service_fn(move |request: Request<Body>| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            }),
            "default",
        )
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let trouble = self.0.lock().unwrap().trouble;
        match trouble {
            Trouble::Silent => std::future::pending().await,
            Trouble::Broken => return status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Trouble::LosesAnswers | Trouble::None => {}
        }
        let response = self.carry_out(&head.method, &body);
        if trouble == Trouble::LosesAnswers && head.method != Method::GET {
            std::future::pending::<()>().await;
        }
        response
    }

    fn carry_out(&self, method: &Method, body: &[u8]) -> Response<Body> {
        let mut state = self.0.lock().unwrap();
        if *method == Method::GET {
            return match &state.lease {
                Some(lease) => reply(StatusCode::OK, lease),
                None => status(StatusCode::NOT_FOUND, "NotFound"),
            };
        }
        let mut lease: Value = serde_json::from_slice(body).unwrap();
        let sent = lease["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        let current = state.lease.as_ref().map(|_| state.version.to_string());
        if sent != current {
            return status(StatusCode::CONFLICT, "Conflict");
        }
        state.version += 1;
        state.writes += 1;
        lease["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.lease = Some(lease.clone());
        reply(StatusCode::OK, &lease)
    }

    fn trouble(&self, trouble: Trouble) {
        self.0.lock().unwrap().trouble = trouble;
    }

    fn spec(&self, member: &str) -> Value {
        self.0
            .lock()
            .unwrap()
            .lease
            .as_ref()
            .map_or(Value::Null, |lease| lease["spec"][member].clone())
    }

    /// Somebody edits the Lease.
    fn edit(&self, edit: impl FnOnce(&mut Option<Value>)) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        let version = state.version.to_string();
        edit(&mut state.lease);
        if let Some(lease) = &mut state.lease {
            lease["metadata"]["resourceVersion"] = json!(version);
        }
    }
}

fn reply(code: StatusCode, value: &Value) -> Response<Body> {
    let body = Body::from(serde_json::to_vec(value).unwrap());
    Response::builder().status(code).body(body).unwrap()
}

fn status(code: StatusCode, reason: &str) -> Response<Body> {
    reply(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                        "message": reason, "reason": reason, "code": code.as_u16()}),
    )
}

struct Running {
    leadership: Leadership,
    ended: JoinHandle<Ended>,
    stop: oneshot::Sender<()>,
}

impl Running {
    fn leads(&self) -> bool {
        !self.leadership.remaining().is_zero()
    }
}

fn start(server: &Server, identity: &str) -> Running {
    start_at(server, identity, Timestamp::UNIX_EPOCH)
}

fn start_at(server: &Server, identity: &str, clock: Timestamp) -> Running {
    let api: Api<Lease> = Api::namespaced(server.client(), "default");
    let (candidate, leadership) =
        Candidate::new(api, "timesten-operator", identity, Clock::new(move || clock), || 0.5);
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(candidate.campaign(async {
        let _ = stopped.await;
    }));
    Running { leadership, ended, stop }
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_renews_and_the_other_waits() {
    let server = Server::default();
    let (a, b) = (start(&server, "a"), start(&server, "b"));
    a.leadership.acquired().await;
    for _ in 0..600 {
        sleep(S).await;
        assert!(a.leadership.remaining() > 7 * S);
        assert!(!b.leads());
    }
    assert_eq!(server.spec("holderIdentity"), "a");
    assert_eq!(server.spec("leaseTransitions"), 0);
    let writes = server.0.lock().unwrap().writes;
    assert!((295..=305).contains(&writes), "a renewal every two seconds: {writes}");
}

#[tokio::test(start_paused = true)]
async fn a_shut_down_leader_gives_the_lease_back() {
    let server = Server::default();
    let a = start(&server, "a");
    a.leadership.acquired().await;
    let b = start(&server, "b");
    sleep(S).await;
    let stopped = Instant::now();
    a.stop.send(()).unwrap();
    assert_eq!(a.ended.await.unwrap(), Ended::Released);
    assert!(a.leadership.remaining().is_zero());
    b.leadership.acquired().await;
    assert!(stopped.elapsed() <= 3 * S, "{:?}", stopped.elapsed());
    assert_eq!(server.spec("leaseTransitions"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_followed_after_its_time_whatever_its_clock_said() {
    for clock in ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"] {
        let server = Server::default();
        let a = start_at(&server, "a", clock.parse().unwrap());
        a.leadership.acquired().await;
        let b = start(&server, "b");
        sleep(S).await;
        a.ended.abort();
        let died = Instant::now();
        b.leadership.acquired().await;
        let waited = died.elapsed();
        assert!(a.leadership.remaining().is_zero(), "the old leader's time ran out first");
        assert!(waited >= 12 * S && waited <= 19 * S, "{waited:?}");
    }
}

#[rstest::rstest]
#[case(Trouble::Silent)]
#[case(Trouble::Broken)]
#[case(Trouble::LosesAnswers)]
#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_ends_in_time(#[case] trouble: Trouble) {
    let server = Server::default();
    let a = start(&server, "a");
    a.leadership.acquired().await;
    sleep(S).await;
    server.trouble(trouble);
    let since = Instant::now();
    assert_eq!(a.ended.await.unwrap(), Ended::Lost);
    assert!(since.elapsed() <= 10 * S, "{:?}", since.elapsed());
    assert!(a.leadership.remaining().is_zero());
}

#[tokio::test(start_paused = true)]
async fn short_trouble_costs_nothing() {
    for trouble in [Trouble::Silent, Trouble::Broken, Trouble::LosesAnswers] {
        let server = Server::default();
        let a = start(&server, "a");
        a.leadership.acquired().await;
        server.trouble(trouble);
        sleep(4 * S).await;
        server.trouble(Trouble::None);
        sleep(60 * S).await;
        assert!(a.leads());
        assert_eq!(server.spec("leaseTransitions"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_is_noticed_at_the_next_renewal() {
    let server = Server::default();
    let a = start(&server, "a");
    a.leadership.acquired().await;
    server.edit(|lease| lease.as_mut().unwrap()["spec"]["holderIdentity"] = json!("thief"));
    assert_eq!(tokio::time::timeout(5 * S, a.ended).await.unwrap().unwrap(), Ended::Lost);
    assert_eq!(server.spec("holderIdentity"), "thief");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again() {
    let server = Server::default();
    let a = start(&server, "a");
    a.leadership.acquired().await;
    server.edit(|lease| *lease = None);
    sleep(30 * S).await;
    assert!(a.leads());
    assert_eq!(server.spec("holderIdentity"), "a");
}

#[tokio::test(start_paused = true)]
async fn never_do_two_lead_whatever_fails() {
    for seed in 0..40_u64 {
        let server = Server::default();
        let mut running = [start(&server, "a"), start(&server, "b"), start(&server, "c")];
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for life in 0..30 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let troubles = [
                Trouble::None,
                Trouble::None,
                Trouble::Silent,
                Trouble::LosesAnswers,
                Trouble::Broken,
            ];
            server.trouble(troubles[(random % 5) as usize]);
            for _ in 0..(random >> 8) % 150 {
                sleep(Duration::from_millis(100)).await;
                let leaders = running.iter().filter(|one| one.leads()).count();
                assert!(leaders <= 1, "seed {seed}: {leaders} lead");
            }
            for (n, one) in running.iter_mut().enumerate() {
                if one.ended.is_finished() {
                    *one = start(&server, &format!("{n}-{life}"));
                }
            }
        }
        server.trouble(Trouble::None);
        sleep(40 * S).await;
        let alive = running.iter().filter(|one| one.leads()).count();
        let over = running.iter().all(|one| one.ended.is_finished());
        assert!(alive == 1 || over, "seed {seed}: somebody leads in the end");
    }
}
