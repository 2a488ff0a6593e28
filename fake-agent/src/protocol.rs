//! The agent protocol over the model: one request in, one outcome out. Renders the truth; the
//! only liar here is the script.

pub(crate) mod database_verbs;
pub(crate) mod pair_verbs;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod status;
pub(crate) mod tasks;
pub(crate) mod verbs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio::sync::{oneshot, watch};

use crate::events::Happening;
use crate::script::{Fault, Occasion};
use crate::world::{Shared, World};
use reply::Reply;
use request::Call;
use verbs::Order;

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// An answer.
    Response(Response<Bytes>),
    /// Taken, and never answered.
    Hang,
    /// The connection closes without an answer.
    Closed,
    /// Nobody listens.
    Refused,
}

/// The agent of one incarnation of a container.
#[derive(Clone)]
pub(crate) struct Agent {
    pub shared: Arc<Shared>,
    pub host: String,
    pub generation: u64,
    pub exit: watch::Receiver<Option<i32>>,
}

/// The script's say in one request, faults sorted by when they strike.
#[derive(Default)]
struct Treatment {
    slow: Duration,
    before: Option<Fault>,
    change: Vec<Fault>,
    after: Option<Fault>,
}

impl Treatment {
    fn new(faults: Vec<Fault>) -> Self {
        let mut treatment = Self::default();
        for fault in faults {
            match fault {
                Fault::Slow(delay) => treatment.slow += delay,
                Fault::BadJsonVer
                | Fault::Lie(_)
                | Fault::RejectTask(_)
                | Fault::FailTask(..)
                | Fault::SlowTask(_)
                | Fault::StuckTask
                | Fault::ForgetTask => treatment.change.push(fault),
                Fault::LoseReply | Fault::CrashAfter => treatment.after = Some(fault),
                Fault::Refuse
                | Fault::Hang
                | Fault::Http(..)
                | Fault::BadJson
                | Fault::Errno(..)
                | Fault::LoseBefore
                | Fault::CrashBefore => treatment.before = Some(fault),
            }
        }
        treatment
    }
}

impl Agent {
    /// Runs on this incarnation's world only; `None` once it has ended.
    fn alive<T>(&self, act: impl FnOnce(&mut World) -> T) -> Option<T> {
        self.shared.with(|world| {
            world.incarnation(&self.host, self.generation)?;
            Some(act(world))
        })
    }

    /// The agent takes connections.
    pub(crate) fn listening(&self) -> bool {
        self.shared.with(|world| {
            let refuses = world.scripts.get(&self.host).is_some_and(|rules| rules.refuses());
            let up = world.incarnation(&self.host, self.generation).is_some_and(|c| c.listening);
            up && !refuses
        })
    }

    /// Waits for the container to end.
    pub(crate) async fn ended(&self) -> i32 {
        let mut exit = self.exit.clone();
        let code = exit.wait_for(Option::is_some).await.ok().and_then(|code| *code);
        code.unwrap_or(137)
    }

    /// Answers a request; a container that ends meanwhile closes the connection.
    pub(crate) async fn handle(&self, request: &Request<Bytes>) -> Outcome {
        if !self.listening() {
            return Outcome::Refused;
        }
        self.shared.ensure_driver();
        tokio::select! {
            biased;
            outcome = self.answer(request) => outcome,
            _ = self.ended() => Outcome::Closed,
        }
    }

    /// The server side of TLS; `None` without a usable Secret.
    pub(crate) fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.alive(|world| world.containers.get(&self.host)?.tls.clone()).flatten()
    }

    pub(crate) fn say(&self, text: &str) {
        self.alive(|world| world.agent_says(&self.host, text));
    }

    async fn answer(&self, request: &Request<Bytes>) -> Outcome {
        let call = request::parse(request);
        let Some(treatment) = self.alive(|world| received(world, &self.host, &call)) else {
            return Outcome::Refused;
        };
        if let Some(fault) = treatment.before {
            pause(treatment.slow).await;
            return self.strike_before(fault);
        }
        if !self.authorised(request) {
            self.say("Authentication failed");
            pause(treatment.slow).await;
            let denied = Reply::failed(401, "authentication failed").with_status(401);
            return Outcome::Response(denied.render(None).with_challenge());
        }
        let Some(mut reply) = self.perform(call, treatment.slow, &treatment.change).await else {
            return Outcome::Closed;
        };
        match treatment.after {
            Some(Fault::CrashAfter) => {
                self.alive(|world| world.end(&self.host, 137));
                Outcome::Closed
            }
            Some(_) => Outcome::Closed,
            None => {
                for fault in treatment.change {
                    reply = reply.distorted(fault);
                }
                Outcome::Response(reply.render(request.headers().get("x-request-id")).finish())
            }
        }
    }

    fn strike_before(&self, fault: Fault) -> Outcome {
        match fault {
            Fault::Hang => Outcome::Hang,
            Fault::Http(status, body) => Outcome::Response(raw(status, "text/html", body)),
            Fault::BadJson => {
                Outcome::Response(raw(200, "application/json", "{\"jsonVer\":1,".to_owned()))
            }
            Fault::Errno(errno, text) => {
                Outcome::Response(Reply::failed(errno, text).render(None).finish())
            }
            Fault::CrashBefore => {
                self.alive(|world| world.end(&self.host, 137));
                Outcome::Closed
            }
            _ => Outcome::Closed,
        }
    }

    fn authorised(&self, request: &Request<Bytes>) -> bool {
        self.alive(|world| {
            let container = world.containers.get(&self.host);
            let credentials = container.and_then(|c| c.spec.credentials.as_ref());
            credentials.is_none_or(|credentials| request::authorised(request, credentials))
        })
        .unwrap_or(false)
    }

    /// The right answer, so much later; `None` if the container ended before.
    async fn perform(&self, call: Call, slow: Duration, faults: &[Fault]) -> Option<Reply> {
        match call {
            Call::Get { query } => {
                self.take_a_look(slow).await?;
                self.alive(|world| status::get(world, &self.host, &query))
            }
            Call::Poll { id } => {
                self.take_a_look(slow).await?;
                if faults.contains(&Fault::ForgetTask) {
                    return Some(tasks::unknown());
                }
                self.alive(|world| world.poll_task(&self.host, &id))
            }
            Call::Post { verb, form, request_id } => {
                let (sender, reply) = oneshot::channel();
                let faults = faults.to_vec();
                self.alive(|world| {
                    let order = Order {
                        host: self.host.clone(),
                        generation: self.generation,
                        verb,
                        form,
                        request_id,
                        begun: world.now,
                        slow,
                        faults,
                        reply: sender,
                    };
                    world.begin(order);
                })?;
                reply.await.ok()
            }
            Call::Unknown => Some(Reply::failed(404, "no such path").with_status(404)),
        }
    }

    async fn take_a_look(&self, slow: Duration) -> Option<()> {
        let duration = self.alive(|world| world.options.durations.get)?;
        pause(duration + slow).await;
        Some(())
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn received(world: &mut World, host: &str, call: &Call) -> Treatment {
    let (name, params) = match call {
        Call::Get { query } => ("GET", query.clone()),
        Call::Poll { .. } => ("POLL", BTreeMap::new()),
        Call::Post { verb, form, .. } => (verb.as_str(), form.clone()),
        Call::Unknown => return Treatment::default(),
    };
    let occasion = match call {
        Call::Get { .. } => Occasion::Get,
        Call::Poll { .. } => Occasion::Poll,
        Call::Post { .. } | Call::Unknown => Occasion::Verb(name),
    };
    world.tell(host, Happening::Received { verb: name.to_owned(), params });
    let faults = world.scripts.get_mut(host).map(|rules| rules.strike(occasion));
    Treatment::new(faults.unwrap_or_default())
}

fn raw(status: u16, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let value = http::HeaderValue::from_static(content_type);
    response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    response
}
