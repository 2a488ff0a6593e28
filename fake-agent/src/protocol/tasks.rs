//! Asynchronous tasks: at most one at a time, remembered until the next or the container's end.

use std::time::Duration;

use serde_json::json;

use super::reply::Reply;
use super::request::Params;
use super::verbs::{Order, Verb};
use crate::model::{TtError, TtResult};
use crate::script::Fault;
use crate::world::{Due, World};

/// An asynchronous verb under way or done.
#[derive(Debug)]
pub(crate) struct Task {
    pub number: u64,
    pub id: String,
    pub verb: Verb,
    form: Params,
    started: i64,
    ended: Option<(i64, TtResult)>,
    fate: Fate,
}

/// How the script wants a task to end.
#[derive(Clone, Debug)]
enum Fate {
    Natural,
    Fails(TtError),
    Never,
}

impl Fate {
    fn of(faults: &[Fault]) -> Self {
        let mut fates = faults.iter().filter_map(|fault| match fault {
            Fault::FailTask(errno, text) => {
                Some(Self::Fails(TtError { errno: *errno, message: text.clone() }))
            }
            Fault::StuckTask => Some(Self::Never),
            _ => None,
        });
        fates.next().unwrap_or(Self::Natural)
    }
}

impl Task {
    pub(crate) fn running(&self) -> bool {
        self.ended.is_none()
    }
}

/// The answer about an id nobody knows.
pub(crate) fn unknown() -> Reply {
    Reply::object(json!({"jsonVer": 1, "id": "", "running": false, "complete": false}))
}

impl World {
    /// Takes an asynchronous order, or turns it away.
    pub(crate) fn accept_task(&mut self, order: &Order, verb: Verb) -> Reply {
        if let Some(status) = order.faults.iter().find_map(|fault| match fault {
            Fault::RejectTask(status) => Some(*status),
            _ => None,
        }) {
            return Reply::failed(1, "task rejected").with_status(status);
        }
        let number = self.fresh();
        let started = (self.options.unix_time)();
        let busy = self.containers.get(&order.host).and_then(|container| container.task.as_ref());
        if busy.is_some_and(Task::running) {
            return Reply::failed(1, "another task is running").with_status(409);
        }
        let id = order.request_id.clone().unwrap_or_default();
        let task = Task {
            number,
            id: id.clone(),
            verb,
            form: order.form.clone(),
            started,
            ended: None,
            fate: Fate::of(&order.faults),
        };
        let slower = order.faults.iter().filter_map(|fault| match fault {
            Fault::SlowTask(delay) => Some(*delay),
            _ => None,
        });
        let delay = self.task_duration(&order.host, &task) + slower.sum::<Duration>();
        if let Some(container) = self.containers.get_mut(&order.host) {
            container.task = Some(task);
        }
        let (host, generation) = (order.host.clone(), order.generation);
        self.after(delay, Due::TaskEnd { host, generation, task: number });
        Reply::ok().with("id", json!(id)).with_status(202)
    }

    fn may_begin(&self, host: &str, task: &Task) -> TtResult {
        match task.verb {
            Verb::RepDuplicate => {
                let (source, subscriber) = source(&task.form)?;
                self.begin_duplicate(host, &source, subscriber)
            }
            _ => Ok(()),
        }
    }

    fn task_duration(&self, host: &str, task: &Task) -> Duration {
        let durations = &self.options.durations;
        if task.verb != Verb::RepDuplicate {
            return durations.create_db;
        }
        let source = source(&task.form).map(|(source, _)| source).unwrap_or_default();
        let commits = self.database(&source).or(self.database(host));
        let bytes = commits.map_or(0, |database| {
            self.options.database_bytes
                + database.history.end().saturating_mul(self.options.commit_bytes)
        });
        let rate = durations.duplicate_bytes_per_second.max(1);
        durations.duplicate_base + Duration::from_secs_f64(bytes as f64 / rate as f64)
    }

    /// A duplicate dies at once with its source or its daemon.
    pub(crate) fn check_tasks(&mut self) {
        let broken: Vec<(String, u64, TtError)> = self
            .containers
            .iter()
            .filter_map(|(host, container)| {
                let task = container.task.as_ref().filter(|task| task.running())?;
                if matches!(task.fate, Fate::Never) {
                    return None;
                }
                let error = self.may_begin(host, task).err()?;
                Some((host.clone(), task.number, error))
            })
            .collect();
        for (host, number, error) in broken {
            self.close_task(&host, number, Err(error));
        }
    }

    /// A task has taken its time.
    pub(crate) fn end_task(&mut self, host: &str, generation: u64, number: u64) {
        let Some(container) = self.incarnation(host, generation) else { return };
        let Some(task) = container.task.as_ref().filter(|t| t.number == number && t.running())
        else {
            return;
        };
        let (verb, form, fate) = (task.verb, task.form.clone(), task.fate.clone());
        let outcome = match fate {
            Fate::Never => return,
            Fate::Fails(error) => Err(error),
            Fate::Natural if verb == Verb::RepDuplicate => source(&form)
                .and_then(|(source, subscriber)| self.end_duplicate(host, &source, subscriber)),
            Fate::Natural => self.create_cache_groups(host),
        };
        self.close_task(host, number, outcome);
    }

    fn close_task(&mut self, host: &str, number: u64, outcome: TtResult) {
        let now = (self.options.unix_time)();
        let Some(container) = self.containers.get_mut(host) else { return };
        let Some(task) = container.task.as_mut().filter(|task| task.number == number) else {
            return;
        };
        let verb = task.verb.name().to_owned();
        let errno = outcome.as_ref().err().map_or(0, |error| error.errno);
        task.ended = Some((now, outcome));
        self.tell(host, crate::events::Happening::Done { verb, errno });
    }

    /// `GET /agent/status`.
    pub(crate) fn poll_task(&self, host: &str, id: &str) -> Reply {
        let now = (self.options.unix_time)();
        let task = self.containers.get(host).and_then(|container| container.task.as_ref());
        let Some(task) = task.filter(|task| task.id == id && !id.is_empty()) else {
            return unknown();
        };
        let reply = Reply::object(json!({
            "jsonVer": 1, "id": task.id, "type": task.verb.name(),
            "running": task.running(), "complete": !task.running(), "started": task.started,
        }));
        let Some((ended, outcome)) = &task.ended else { return reply.with("updated", json!(now)) };
        let reply = reply.with("updated", json!(ended)).with("ended", json!(ended));
        let reply = with_detail(reply, task.verb, outcome);
        match outcome {
            Ok(()) => reply,
            Err(error) => {
                reply.with("errno", json!(error.errno)).with("errmsg", json!(error.message))
            }
        }
    }
}

/// The `dup` or `cg` part.
fn with_detail(reply: Reply, verb: Verb, outcome: &TtResult) -> Reply {
    let (rc, lines) = match outcome {
        Ok(()) => (0, vec![]),
        Err(error) => (1, vec![super::verbs::stderr_line(&error.message)]),
    };
    let errno = outcome.as_ref().err().map_or(0, |error| error.errno);
    if verb == Verb::RepDuplicate {
        let dup = json!({
            "jsonVer": 1, "errno": errno, "dupRc": rc, "dupOut": [], "dupErr": lines, "csOut": [],
            "csErr": [], "policyOut": [], "policyErr": [], "errors": [],
        });
        return reply.with("dup", dup);
    }
    let cg = json!({
        "jsonVer": 1, "errno": errno, "cgFileExists": true, "cgFileRc": rc,
        "readCacheUserFile": true, "cgout": [], "cgErr": lines, "debugMsgs": [], "errors": [],
    });
    reply.with("cg", cg)
}

/// Where to duplicate from, and whether for a subscriber.
fn source(form: &Params) -> TtResult<(String, bool)> {
    let subscriber = form.get("weAreSubscriber").is_some_and(|value| value == "1");
    let key = if subscriber { "standbyDNSName" } else { "otherDNSName" };
    let host = form.get(key).filter(|host| !host.is_empty());
    let missing = || TtError::other(format!("repDuplicate needs {key}"));
    Ok((host.ok_or_else(missing)?.clone(), subscriber))
}
