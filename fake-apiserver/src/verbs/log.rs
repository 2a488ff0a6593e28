//! `pods/log`: what a container wrote, as its node tells it, at once or as it comes.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::node::{choose, node_of};
use super::{Answer, Call};
use crate::kubelet::{ContainerRef, LogLine};
use crate::refusal::{Cause, Named, Refusal};
use crate::respond::Reply;
use crate::state::State;
use crate::store::{GroupResource, Key};
use crate::{ApiServer, json};

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What of a log is wanted, and how.
#[derive(Debug, Clone)]
struct Options {
    tail: Option<usize>,
    since: Option<Timestamp>,
    timestamps: bool,
    /// How many bytes may still be told.
    left: usize,
}

impl Options {
    fn read(call: &Call<'_>) -> Result<Self, Refusal> {
        let query = &call.request.query;
        let (tail, limit) = (amount(call, "tailLines", 0)?, amount(call, "limitBytes", 1)?);
        let seconds = amount(call, "sinceSeconds", 1)?;
        let time = query.get("sinceTime").filter(|text| !text.is_empty());
        let time = time.map(str::parse::<Timestamp>).transpose().map_err(|_| {
            Refusal::bad_request(format!("parsing time {:?}", time.unwrap_or_default()))
        })?;
        if time.is_some() && seconds.is_some() {
            let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            return Err(invalid(call, &Cause::forbidden("sinceSeconds", why)));
        }
        let ago = |seconds: usize| {
            let ago = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            call.now().checked_sub(ago).unwrap_or(Timestamp::MIN)
        };
        Ok(Self {
            tail,
            since: time.or(seconds.map(ago)),
            timestamps: query.flag("timestamps"),
            left: limit.unwrap_or(usize::MAX),
        })
    }

    /// Of a whole log the lines that are wanted.
    fn select<'a>(&self, lines: &'a [LogLine]) -> impl Iterator<Item = &'a LogLine> {
        let skip = self.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
        let since = self.since;
        lines.iter().skip(skip).filter(move |line| since.is_none_or(|since| line.at >= since))
    }

    /// Lines as they are told, as far as the limit goes.
    fn write<'a>(&mut self, lines: impl Iterator<Item = &'a LogLine>) -> String {
        let mut text = String::new();
        for line in lines {
            if self.timestamps {
                text += &line.at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ ").to_string();
            }
            text += &line.text;
            text.push('\n');
        }
        let end = (0..=self.left.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        self.left -= text.len();
        text
    }
}

/// Answers with a log.
pub(super) fn log(state: &State, call: &Call<'_>) -> Result<Answer, Refusal> {
    let mut options = Options::read(call)?;
    let pod = call.get(state)?.value();
    let container = choose(call, &pod)?;
    let Some(node) = node_of(state, &pod)? else {
        return Ok(Answer::Reply(Reply::text(204, "")));
    };
    let status = status_of(&pod, &container);
    let follow = call.request.query.flag("follow");
    let (run, runs) = if call.request.query.flag("previous") {
        let ended = status.and_then(|status| ended(status, "lastState"));
        let missing = || {
            format!(
                "previous terminated container {container:?} in pod {:?} not found",
                call.name()
            )
        };
        (ended.ok_or_else(|| Refusal::bad_request(missing()))?, false)
    } else {
        latest(status).map_err(|why| {
            Refusal::bad_request(format!(
                "container {container:?} in pod {:?} is {why}",
                call.name()
            ))
        })?
    };
    let run = run.to_owned();
    let at = ContainerRef {
        namespace: call.namespace().to_owned(),
        pod: call.name().to_owned(),
        uid: json::text(&pod, &["metadata", "uid"]).to_owned(),
        container,
        node: node.name().to_owned(),
    };
    let Some(lines) = node.log(&at, &run) else {
        let text = format!("unable to retrieve container logs for {run}");
        return Ok(Answer::Reply(Reply { content_type: "text/plain", ..Reply::text(200, &text) }));
    };
    if follow && runs {
        let follow = Follow { at, run, options, last: None, begun: false };
        return Ok(Answer::Follow(Box::new(follow)));
    }
    let text = options.write(options.clone().select(&lines));
    Ok(Answer::Reply(Reply { content_type: "text/plain", ..Reply::text(200, &text) }))
}

/// A log that is followed as long as the container runs.
pub(crate) struct Follow {
    at: ContainerRef,
    /// The id of the container, another one after it was restarted.
    run: String,
    options: Options,
    last: Option<LogLine>,
    begun: bool,
}

impl Follow {
    /// The lines, as they come.
    pub(crate) fn stream(self, server: ApiServer) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(Some(self), move |follow| {
            let server = server.clone();
            async move {
                let mut follow = follow?;
                loop {
                    let (text, over) = follow.look(&server.lock());
                    if !text.is_empty() {
                        return Some((Bytes::from(text), (!over).then_some(follow)));
                    }
                    if over {
                        return None;
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        })
    }

    /// What is new, and whether nothing more will come.
    fn look(&mut self, state: &State) -> (String, bool) {
        let id = GroupResource { group: String::new(), resource: "pods".to_owned() };
        let pod = state.store.get(&id, &Key::new(&self.at.namespace, &self.at.pod));
        let pod = pod.map(|stored| stored.value()).unwrap_or_default();
        let over = json::text(&pod, &["metadata", "uid"]) != self.at.uid
            || latest(status_of(&pod, &self.at.container)) != Ok((self.run.as_str(), true));
        let lines = match node_of(state, &pod) {
            Ok(Some(node)) => node.log(&self.at, &self.run).unwrap_or_default(),
            Ok(None) | Err(_) => return (String::new(), true),
        };
        let text = if self.begun {
            // The oldest lines go when there are many: where the last one is now tells what is new.
            let seen = |last: &LogLine| lines.iter().rposition(|line| line == last);
            let from = self.last.as_ref().and_then(seen).map_or(0, |at| at + 1);
            self.options.write(lines.iter().skip(from))
        } else {
            self.begun = true;
            self.options.write(self.options.clone().select(&lines))
        };
        self.last = lines.last().cloned().or(self.last.take());
        (text, over || self.options.left == 0)
    }
}

fn invalid(call: &Call<'_>, cause: &Cause) -> Refusal {
    let of = Named { group: "", resource: "PodLogOptions" };
    Refusal::invalid(of, call.name(), std::slice::from_ref(cause))
}

/// A number in the query that may not be smaller than `least`.
fn amount(call: &Call<'_>, key: &str, least: i64) -> Result<Option<usize>, Refusal> {
    let Some(number) = call.request.query.int(key)? else { return Ok(None) };
    if number < least {
        let why = match least {
            0 => "must be greater than or equal to 0",
            _ => "must be greater than 0",
        };
        return Err(invalid(call, &Cause::invalid(key, &number.into(), why)));
    }
    Ok(usize::try_from(number).ok())
}

fn status_of<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let mut all = lists.iter().flat_map(|list| json::list(pod, &["status", list]));
    all.find(|status| json::text(status, &["name"]) == container)
}

/// The id of the run that a container's log is of, and whether it still goes on; or why there is none yet.
/// Between two runs it is the one that ended.
fn latest(status: Option<&Value>) -> Result<(&str, bool), String> {
    let status = status.ok_or("not available")?;
    if json::at(status, &["state", "running"]).is_some() {
        return Ok((json::text(status, &["containerID"]), true));
    }
    let run = ended(status, "state").or_else(|| ended(status, "lastState"));
    run.map(|id| (id, false)).ok_or_else(|| {
        format!("waiting to start: {}", json::text(status, &["state", "waiting", "reason"]))
    })
}

/// The id of a run that has ended, by the state or the last state.
fn ended<'a>(status: &'a Value, which: &str) -> Option<&'a str> {
    json::at(status, &[which, "terminated", "containerID"]).and_then(Value::as_str)
}
