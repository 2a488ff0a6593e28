//! A pair of fake agents, the operator's client, and what must hold after each thing asked.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use fake_agent::{ContainerSpec, DatabaseState, Fault, Fleet, FleetOptions, On, RepState, Rule};
use fake_agent::{Running, View};
use scenarios::network::{Network, OPERATOR};
use serde_json::Value;
use timesten_operator::agent::{
    Agent, AgentError, Call, Endpoint, HttpsAgent, Limits, ObjectContext, Roles, Started, TaskId,
    TaskReport, Verb,
};
use timesten_operator::credentials::Credentials;
use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

use super::asks::{Ask, SECRETS, Step};

const HOSTS: [&str; 2] =
    ["sample-0.sample.ns.svc.cluster.local", "sample-1.sample.ns.svc.cluster.local"];
pub(crate) const STATEMENT: &str = "create active standby pair \
    \"sample\" on \"sample-0.sample.ns.svc.cluster.local\", \
    \"sample\" on \"sample-1.sample.ns.svc.cluster.local\" NO RETURN";

const LIMITS: Limits = Limits {
    tcp: Some(Duration::from_secs(2)),
    tls: Some(Duration::from_secs(2)),
    get: Some(Duration::from_secs(5)),
    post: Some(Duration::from_secs(20)),
};
/// A connection that has replied may take this long to become ready again.
const GRACE: Duration = Duration::from_secs(1);

/// One set for all cases: making it takes longer than a case.
static CREDENTIALS: LazyLock<Arc<Credentials>> = LazyLock::new(|| {
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    let random = &mut |bytes: &mut [u8]| bytes.fill(42);
    Arc::new(Credentials::generate("sample", "ns", since, random).unwrap())
});

/// A task that was begun, and whether it can end well.
struct Task {
    id: TaskId,
    hopeless: bool,
}

pub(crate) struct Lab {
    fleet: Fleet,
    network: Network,
    agent: HttpsAgent,
    running: [Option<Arc<Running>>; 2],
    incarnation: u32,
    tasks: [Option<Task>; 2],
    begun: u8,
    log: Log,
    _logging: tracing::subscriber::DefaultGuard,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let network = Network::default();
        let mut lab = Self {
            fleet: Fleet::new(FleetOptions::default()),
            agent: HttpsAgent::new(network.connector(OPERATOR)),
            network,
            running: [None, None],
            incarnation: 0,
            tasks: [None, None],
            begun: 0,
            log,
            _logging: tracing::subscriber::set_default(subscriber),
        };
        lab.start(0);
        lab.start(1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        lab
    }

    fn start(&mut self, pod: usize) {
        if let Some(old) = self.running[pod].take() {
            self.network.leave(HOSTS[pod], &old);
        }
        let secret = CREDENTIALS.to_secret_data();
        let files =
            [("cacheUser", "c/t/o"), ("cachegroups.sql", "create cache group cg from t (a int);")];
        let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
        let mut spec = ContainerSpec::new(HOSTS[pod], &format!("volume-{pod}"));
        spec.config = BTreeMap::from(files);
        spec.credentials = Some(fake_agent::Credentials::from_files(&secret).unwrap());
        let container = Arc::new(self.fleet.start(spec));
        self.network.join(HOSTS[pod], &container);
        self.running[pod] = Some(container);
        // The agent's memory of a task went with it.
        self.tasks[pod] = None;
    }

    fn at(&self, pod: usize) -> Endpoint {
        Endpoint {
            host: HOSTS[pod].to_owned(),
            pod_uid: format!("{pod}-{}", self.incarnation),
            object: ObjectContext {
                name: "sample".to_owned(),
                namespace: "ns".to_owned(),
                uid: "uid".to_owned(),
                db_name: "sample".to_owned(),
                ..ObjectContext::default()
            },
            credentials: Arc::clone(&CREDENTIALS),
            limits: LIMITS,
        }
    }

    pub(crate) async fn play(&mut self, step: &Step) {
        match step {
            Step::Ask { pod, ask, fault } => self.ask(*pod, ask, fault.as_ref()).await,
            Step::Restart(pod) => self.start(*pod),
            Step::Replace(pod) => {
                self.incarnation += 1;
                self.start(*pod);
            }
            Step::KillDaemon(pod) => drop(self.fleet.kill_daemon(HOSTS[*pod])),
            Step::Cut(pod, true) => self.network.cut(OPERATOR, HOSTS[*pod]),
            Step::Cut(pod, false) => self.network.mend(OPERATOR, HOSTS[*pod]),
            Step::Wait(duration) => tokio::time::sleep(*duration).await,
            Step::Forget(pod) => self.agent.forget(HOSTS[*pod]),
        }
        for pod in 0..2 {
            // What the kubelet does.
            if !self.alive(pod) {
                self.start(pod);
            }
        }
        self.secret("the log", &self.log.take());
    }

    fn alive(&self, pod: usize) -> bool {
        self.running[pod].as_ref().is_some_and(|running| running.alive())
    }

    /// Asks under a fault that strikes once, and judges what the client makes of it.
    async fn ask(&mut self, pod: usize, ask: &Ask, fault: Option<&Fault>) {
        let script = self.fleet.script(HOSTS[pod]);
        let on = match ask {
            Ask::Status => On::Get,
            Ask::Poll { .. } => On::Poll,
            Ask::Run(verb) | Ask::Start(verb) => On::Verb(verb.name().to_owned()),
        };
        if let Some(fault) = fault {
            script.add(Rule::new(on, fault.clone()).times(1));
        }
        let begun = Instant::now();
        match ask {
            Ask::Status => {
                let reply = self.agent.status(&self.at(pod)).await;
                self.shows_nothing(&reply);
                judge_status(&reply, fault);
                within(begun, LIMITS.get);
            }
            Ask::Run(verb) => {
                let reply = self.agent.run(&self.at(pod), &call(verb)).await;
                self.shows_nothing(&reply);
                if reply.is_ok() {
                    self.judge_run(pod, verb, fault);
                }
                // The older name of a verb is tried, when the newer is not known.
                let turns = if *verb == Verb::SetSubStateStart { 2 } else { 1 };
                within(begun, Some(limit(verb) * turns));
            }
            Ask::Start(verb) => {
                self.begun += 1;
                let id = TaskId::from_random([self.begun; 16]);
                let reply = self.agent.start(&self.at(pod), &call(verb), &id).await;
                self.shows_nothing(&reply);
                self.judge_start(pod, id, &reply, fault);
                within(begun, LIMITS.post);
            }
            Ask::Poll { known } => {
                let task = self.tasks[pod].as_ref().filter(|_| *known);
                let id = task.map_or(TaskId::from_random([0; 16]), |task| task.id.clone());
                let reply = self.agent.task(&self.at(pod), &id).await;
                self.shows_nothing(&reply);
                judge_poll(task, &reply, fault);
                within(begun, LIMITS.get);
            }
        }
        script.clear_all();
    }

    fn judge_run(&self, pod: usize, verb: &Verb, fault: Option<&Fault>) {
        if *verb == Verb::Die {
            // A connection that ends is all that is hoped for, and it may have ended before.
            return;
        }
        match fault {
            Some(Fault::Http(200, body)) => assert!(says_success(body), "{verb:?}: {body}"),
            Some(
                Fault::Refuse
                | Fault::Hang
                | Fault::Http(..)
                | Fault::BadJson
                | Fault::BadJsonVer
                | Fault::LoseReply
                | Fault::LoseBefore
                | Fault::CrashBefore
                | Fault::CrashAfter,
            ) => panic!("{verb:?} is said to have succeeded in spite of {fault:?}"),
            Some(Fault::Lie(lie)) if lie.get("errno").is_some() => {
                assert!(exactly(&lie["errno"], 0.0), "{verb:?}: {lie}");
            }
            // The older name may be known where the newer is not.
            Some(Fault::Errno(255, _)) if *verb == Verb::SetSubStateStart => {}
            Some(Fault::Errno(..)) => panic!("{verb:?} succeeded in spite of {fault:?}"),
            _ => {
                let view = self.fleet.view(HOSTS[pod]).expect("who answers runs");
                assert!(done(verb, &view), "{verb:?} has no effect: {view:?}");
            }
        }
    }

    fn judge_start(
        &mut self,
        pod: usize,
        id: TaskId,
        reply: &Result<Started, AgentError>,
        fault: Option<&Fault>,
    ) {
        match (reply, fault) {
            (Ok(Started::Done(_)), Some(Fault::Http(200, body))) => {
                assert!(says_success(body), "{body}");
            }
            (Ok(Started::Done(_)), _) => panic!("this agent has tasks: {fault:?}"),
            (
                Ok(Started::Accepted),
                None
                | Some(
                    Fault::Slow(_)
                    | Fault::BadJsonVer
                    | Fault::Lie(_)
                    | Fault::FailTask(..)
                    | Fault::SlowTask(_)
                    | Fault::StuckTask
                    | Fault::ForgetTask,
                ),
            ) => {
                let hopeless = matches!(fault, Some(Fault::FailTask(..) | Fault::StuckTask));
                self.tasks[pod] = Some(Task { id, hopeless });
            }
            (Ok(Started::Accepted), _) => panic!("accepted in spite of {fault:?}"),
            (Err(_), _) => {}
        }
    }

    fn shows_nothing<T: Debug>(&self, reply: &Result<T, AgentError>) {
        self.secret("the reply", &format!("{reply:?}"));
        if let Err(error) = reply {
            self.secret("the error", &error.to_string());
        }
    }

    fn secret(&self, what: &str, text: &str) {
        let identity = CREDENTIALS.present();
        let own = [identity.http_user(), identity.http_password()];
        for secret in SECRETS.iter().chain(&own) {
            assert!(!text.contains(*secret), "{what} shows a secret:\n{text}");
        }
    }
}

/// The pair's roles never change here: what matters is the wire.
fn call(verb: &Verb) -> Call {
    let [active, standby] = HOSTS.map(|host| Some(host.to_owned()));
    Call { verb: verb.clone(), roles: Roles { active, standby, subscriber: false } }
}

fn limit(verb: &Verb) -> Duration {
    let post = LIMITS.post.unwrap();
    verb.limit().map_or(post, |own| if verb.is_marker() { own } else { own.min(post) })
}

fn within(begun: Instant, limit: Option<Duration>) {
    let (took, limit) = (begun.elapsed(), limit.unwrap());
    assert!(took <= limit + GRACE, "took {took:?} of {limit:?}");
}

/// A look is taken again when the connection was lost, so that only what repeats can be expected.
fn judge_status(
    reply: &Result<timesten_operator::agent::StatusReply, AgentError>,
    fault: Option<&Fault>,
) {
    match (reply, fault) {
        (Ok(reply), Some(Fault::Errno(errno, _))) => assert_eq!(reply.errno, *errno),
        (Ok(_), Some(Fault::Http(200, body))) => {
            assert!(
                serde_json::from_str::<Value>(body).is_ok_and(|body| body.is_object()),
                "{body}"
            );
        }
        (Ok(_), Some(Fault::Hang | Fault::Http(..) | Fault::BadJson)) => {
            panic!("{fault:?}: {reply:?}")
        }
        _ => {}
    }
}

fn judge_poll(task: Option<&Task>, reply: &Result<TaskReport, AgentError>, fault: Option<&Fault>) {
    let Ok(report) = reply else { return };
    if let Some(Fault::Http(200, _) | Fault::Errno(..) | Fault::ForgetTask) = fault {
        assert_eq!(*report, TaskReport::UnknownId, "nothing was said of the task: {fault:?}");
        return;
    }
    assert!(!matches!(fault, Some(Fault::Hang | Fault::Http(..) | Fault::BadJson)), "{fault:?}");
    match (task, report) {
        (None, report) => assert_eq!(*report, TaskReport::UnknownId),
        (Some(task), TaskReport::Complete { .. }) => {
            let lie = match fault {
                Some(Fault::Lie(lie)) => lie,
                _ => &Value::Null,
            };
            let told = ["complete", "errno"].iter().any(|name| lie.get(name).is_some());
            assert!(!task.hopeless || told, "a task that cannot end well has: {fault:?}");
            assert!(lie["errno"].is_null() || exactly(&lie["errno"], 0.0), "complete: {fault:?}");
        }
        (Some(_), _) => {}
    }
}

/// A reply that may be taken for a success: both numbers there, and exactly as they must be.
fn says_success(body: &str) -> bool {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return false };
    exactly(&body["jsonVer"], 1.0) && exactly(&body["errno"], 0.0)
}

fn exactly(told: &Value, wanted: f64) -> bool {
    match told {
        Value::Number(number) => number.as_f64() == Some(wanted),
        Value::String(text) => text.trim().parse() == Ok(wanted),
        _ => false,
    }
}

/// The effect of a verb that has succeeded just now.
fn done(verb: &Verb, view: &View) -> bool {
    let marker = |path: &str| view.markers.contains(path);
    match verb {
        Verb::StartDaemon => view.daemon,
        Verb::StopDaemon => !view.daemon,
        Verb::CreateDb | Verb::LoadDb => view.database == DatabaseState::Loaded,
        Verb::OpenDb => view.open,
        Verb::CloseDb => !view.open,
        Verb::DestroyDb => view.database == DatabaseState::None,
        Verb::DropCg => view.cache_groups == 0,
        Verb::CreateRepScheme { .. } => view.scheme && view.rep_state == Some(RepState::Active),
        Verb::DropRepScheme => !view.scheme,
        Verb::StartRepAgent => view.rep_agent,
        Verb::StopRepAgent => !view.rep_agent,
        Verb::RepStateSetActive => view.rep_state == Some(RepState::Active),
        Verb::RepDeactivate => view.rep_state != Some(RepState::Active),
        Verb::StartCacheAgent => view.cache_agent,
        Verb::StopCacheAgent => !view.cache_agent,
        Verb::SetReadiness => marker("/tmp/readiness"),
        Verb::ClearReadiness => !marker("/tmp/readiness"),
        Verb::SetActive => marker("/tmp/active"),
        Verb::ClearActive => !marker("/tmp/active"),
        // No lasting effect on this side.
        _ => true,
    }
}

/// What the client logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
