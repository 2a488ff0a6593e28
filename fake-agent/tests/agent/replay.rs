//! Requests recorded from Oracle's operator (authoritative), replayed over TLS at their times. The
//! recorded answers came from another model of the agent: what both must agree on is compared,
//! which is what kind of answer it is, the facts decisions are made of, and the type of every
//! field.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use fake_agent::{ContainerSpec, Credentials, Durations, Fault, Fleet, FleetOptions, On};
use fake_agent::{PeerView, Rule, RuleId, Running};
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use rstest::rstest;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::lab::{HOSTS, encode};
use super::tls::{client, connect, credentials, send};

/// What a duplicate takes without a rule that makes it slower.
const DUPLICATE: Duration = Duration::from_millis(500);
/// A request that gets no answer for this long hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// What our agent tells and the recorded model did not, though the protocol has it.
const MORE: [&str; 16] = [
    "/ttStatus",
    "/bookmarkLf",
    "/cgroupInfo/memoryFailcnt",
    "/cmdRc",
    "/create1",
    "/dbError",
    "/dup/cs",
    "/dup/policy",
    "/errors",
    "/id",
    "/logholdsLf",
    "/msg",
    "/rc",
    "/schemaErr",
    "/schemaOut",
    "/updateErr",
];

/// A line of a recording: see data/README.md.
#[derive(Debug, Deserialize)]
struct Line {
    t: f64,
    pod: usize,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum What {
    Start { release: String },
    Deleting,
    End,
    KillDaemon,
    Refuse,
    Hang,
    FailStatus { status: u16 },
    FailVerb { verb: String, errno: i64, errmsg: String },
    FailTask { errno: i64, errmsg: String },
    Lie { fields: Value },
    Behave,
    Cut,
    Join,
    Status(Exchange),
    Task(Exchange),
    Verb(Exchange),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exchange {
    /// Which of the connections; each stays open as long as both ends want.
    conn: usize,
    id: Option<String>,
    include: Option<String>,
    form: Option<BTreeMap<String, Value>>,
    /// Without the parameters that all verbs have.
    #[serde(default)]
    bare: bool,
    takes_ms: Option<u64>,
    #[serde(default)]
    hangs: bool,
    status: Option<u16>,
    shape: Option<String>,
    #[serde(default)]
    reply: Map<String, Value>,
}

/// The type of each field of a reply, by its path; members of lists are `*`.
type Shape = BTreeMap<String, String>;

/// The pair, its containers, and the connections of the recorded client.
struct World {
    fleet: Fleet,
    own: Credentials,
    shapes: BTreeMap<String, Shape>,
    running: [Option<Running>; 2],
    /// The standing rule of a fault that has an end.
    fault: Option<(usize, RuleId)>,
    connections: BTreeMap<usize, SendRequest<Full<Bytes>>>,
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn recorded_requests_get_the_same_kind_of_answer(
    #[files("tests/agent/data/*.jsonl")] recording: PathBuf,
) {
    let durations = Durations { duplicate_base: DUPLICATE, ..Durations::default() };
    let options =
        FleetOptions { peer_view: PeerView::AsTold, durations, ..FleetOptions::default() };
    let mut world = World {
        fleet: Fleet::new(options),
        own: credentials(),
        shapes: serde_json::from_str(include_str!("data/shapes.json")).unwrap(),
        running: [None, None],
        fault: None,
        connections: BTreeMap::new(),
    };
    let began = Instant::now();
    let mut asked = 0;
    for text in std::fs::read_to_string(recording).unwrap().lines() {
        let line: Line = serde_json::from_str(text).unwrap();
        tokio::time::sleep_until(began + Duration::from_secs_f64(line.t)).await;
        let pod = line.pod;
        let (request, exchange) = match line.what {
            What::Status(exchange) => (status(pod, &exchange), exchange),
            What::Task(exchange) => (task(&exchange), exchange),
            What::Verb(exchange) => (verb(pod, &exchange), exchange),
            event => {
                world.happen(pod, event);
                continue;
            }
        };
        world.exchange(pod, request, &exchange, text).await;
        asked += 1;
    }
    assert!(asked > 20, "{asked} requests only");
}

fn status(pod: usize, exchange: &Exchange) -> Request<Bytes> {
    let include =
        exchange.include.as_ref().map_or_else(String::new, |what| format!("&include={what}"));
    let uri = format!("/agent?ourDNSName={}&ttObjectName=sample{include}", HOSTS[pod]);
    Request::get(uri).body(Bytes::new()).unwrap()
}

fn task(exchange: &Exchange) -> Request<Bytes> {
    let request =
        Request::get("/agent/status").header("x-request-id", exchange.id.as_ref().unwrap());
    request.body(Bytes::new()).unwrap()
}

fn verb(pod: usize, exchange: &Exchange) -> Request<Bytes> {
    let mut form: BTreeMap<&str, &str> = BTreeMap::new();
    if !exchange.bare {
        form.extend([("dbName", "sample"), ("objectName", "sample"), ("objectNamespace", "ns")]);
        form.extend([("ourDNSName", HOSTS[pod]), ("zzAgentDebugInfo", "0")]);
    }
    for (key, value) in exchange.form.as_ref().unwrap() {
        let host = value.as_u64().map(|pod| HOSTS[usize::try_from(pod).unwrap()]);
        form.insert(key, host.or(value.as_str()).unwrap());
    }
    let pairs: Vec<String> =
        form.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    let mut request = Request::post("/agent")
        .header("content-type", "application/x-www-form-urlencoded; param=value");
    if let Some(id) = &exchange.id {
        request = request.header("x-request-id", id);
    }
    request.body(Bytes::from(pairs.join("&"))).unwrap()
}

impl World {
    /// What the recorded kubelet and the recorded faults did.
    fn happen(&mut self, pod: usize, what: What) {
        let script = self.fleet.script(HOSTS[pod]);
        let standing = match what {
            What::Start { release } => return self.start(pod, release),
            What::Deleting => return self.quiesce(pod),
            What::End => {
                self.running[pod] = None;
                return;
            }
            What::KillDaemon => {
                assert!(self.fleet.kill_daemon(HOSTS[pod]));
                return;
            }
            What::FailVerb { verb, errno, errmsg } => {
                script.add(Rule::new(On::Verb(verb), Fault::Errno(errno, errmsg)).times(1));
                return;
            }
            What::FailTask { errno, errmsg } => {
                let fault = Fault::FailTask(errno, errmsg);
                script.add(Rule::new(On::Verb("repDuplicate".to_owned()), fault).times(1));
                return;
            }
            What::Refuse => Rule::new(On::Any, Fault::Refuse),
            What::Hang => Rule::new(On::Any, Fault::Hang),
            What::FailStatus { status } => {
                Rule::new(On::Get, Fault::Http(status, "<html>broken</html>".to_owned()))
            }
            What::Lie { fields } => Rule::new(On::Get, Fault::Lie(fields)),
            What::Behave => {
                let (host, rule) = self.fault.take().unwrap();
                assert!(self.fleet.script(HOSTS[host]).clear(rule));
                return;
            }
            What::Cut => {
                let links = self.fleet.links();
                links.cut(HOSTS[0], HOSTS[1]);
                links.cut(HOSTS[1], HOSTS[0]);
                return;
            }
            What::Join => return self.fleet.links().heal_all(),
            What::Status(_) | What::Task(_) | What::Verb(_) => unreachable!("no event"),
        };
        self.fault = Some((pod, script.add(standing)));
    }

    fn start(&mut self, pod: usize, release: String) {
        let files = [("adminUser", "a/b"), ("schema.sql", "")];
        let config = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
        let spec = ContainerSpec {
            release,
            config: config.into(),
            credentials: Some(self.own.clone()),
            ..ContainerSpec::new(HOSTS[pod], &format!("tt-sample-{pod}"))
        };
        self.running[pod] = Some(self.fleet.start(spec));
    }

    /// The preStop hook of a pod that is being deleted; only without replication does it have one.
    fn quiesce(&self, pod: usize) {
        let hook = ["/usr/bin/perl", "/timesten/operator/operator/starthost.pl", "-quiesce"];
        if self.fleet.view(HOSTS[pod]).is_some_and(|view| !view.scheme) {
            let (code, _) = self.running[pod].as_ref().unwrap().exec(&hook.map(str::to_owned));
            assert_eq!(code, 0);
        }
    }

    async fn exchange(
        &mut self,
        pod: usize,
        request: Request<Bytes>,
        exchange: &Exchange,
        line: &str,
    ) {
        if let Some(ms) = exchange.takes_ms {
            let slow = Fault::SlowTask(Duration::from_millis(ms).saturating_sub(DUPLICATE));
            let rule = Rule::new(On::Verb("repDuplicate".to_owned()), slow).times(1);
            self.fleet.script(HOSTS[pod]).add(rule);
        }
        let mut connection = match self.connections.remove(&exchange.conn) {
            Some(connection) => connection,
            None => {
                let running = self.running[pod].as_ref().expect(line);
                connect(running, client(&self.own, Some(&self.own))).await.expect(line)
            }
        };
        let answer = tokio::time::timeout(PATIENCE, send(&mut connection, request)).await;
        self.connections.insert(exchange.conn, connection);
        if exchange.hangs {
            assert!(answer.is_err(), "an answer: {answer:?} to {line}");
            return;
        }
        let (status, reply) = answer.expect(line).expect(line);
        let accepted = if exchange.id.is_some() && exchange.form.is_some() { 202 } else { 200 };
        assert_eq!(status.as_u16(), exchange.status.unwrap_or(accepted), "{line}");
        self.compare(exchange, &reply, line);
    }

    fn compare(&self, exchange: &Exchange, reply: &Value, line: &str) {
        if exchange.reply.get("quiescing") == Some(&Value::Bool(true)) {
            // Their database stays loaded until the container ends, and ours is saved first.
            assert_eq!(reply["quiescing"], true, "{line}: {reply}");
            return;
        }
        let database = reply["ttStatus"]["db info"].get(0).unwrap_or(&Value::Null);
        for (key, wanted) in &exchange.reply {
            // When a ping row reaches the other copy is each model's own affair.
            if key == "newId" && exchange.reply["updatable"] != true {
                continue;
            }
            let told = match key.as_str() {
                "open" => &database["open"],
                "conns" => &database["# of conns"],
                other => &reply[other],
            };
            assert_eq!(told, wanted, "{key} at {line}: {reply}");
        }
        if let Some(name) = &exchange.shape {
            let mut ours = Shape::new();
            shape(reply, "", &mut ours);
            compare_shapes(name, &self.shapes[name], &ours);
        }
    }
}

fn compare_shapes(name: &str, theirs: &Shape, ours: &Shape) {
    for (path, kind) in theirs {
        // The utility says nothing when there is no daemon to ask.
        if name != "status-daemon-down" || !path.starts_with("/ttStatus/") {
            assert_eq!(ours.get(path), Some(kind), "{path} of {name}");
        }
    }
    for path in ours.keys().filter(|path| !theirs.contains_key(*path)) {
        assert!(MORE.iter().any(|known| path.starts_with(known)), "{path} of {name}");
    }
}

/// Adds the type of everything in `value`, which stands at `path`.
fn shape(value: &Value, path: &str, into: &mut Shape) {
    let kind = match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| shape(value, &format!("{path}/{key}"), into));
            return;
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().for_each(|item| shape(item, &format!("{path}/*"), into));
            return;
        }
        Value::Object(_) => "object",
        Value::Array(_) => "list",
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
    };
    into.insert(path.to_owned(), kind.to_owned());
}
