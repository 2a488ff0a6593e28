//! Carrying out the steps of one case.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::exchange::{Question, Reply, read};
use super::invariants::Invariants;
use super::pointer::{lookup, shape};
use super::template::{Bindings, Matcher, Variables, brief, fill, fill_value};
use super::watching::{Awaited, Bookmarks, Stream};
use super::{ConformanceError, Failure, OF_A_NAMESPACE, Runner};
use crate::json::text;

type Differences = Result<Vec<String>, ConformanceError>;

/// One run of a case.
pub(super) struct Replay<'a> {
    runner: &'a Runner,
    case: &'a Value,
    variables: Variables,
    bindings: Bindings,
    invariants: Invariants,
    streams: BTreeMap<String, Stream>,
    /// A wait was in vain: later ones are cut short.
    lost: bool,
}

impl<'a> Replay<'a> {
    pub(super) fn new(runner: &'a Runner, case: &'a Value, id: String) -> Self {
        let namespace = format!("conf-{id}");
        Self {
            runner,
            case,
            variables: [("id".to_owned(), id), ("ns".to_owned(), namespace)].into(),
            bindings: Bindings::default(),
            invariants: Invariants::default(),
            streams: BTreeMap::new(),
            lost: false,
        }
    }

    pub(super) async fn run(mut self, needs_namespace: bool) -> Vec<Failure> {
        let mut failures = Vec::new();
        let namespace = fill("$ns", &self.variables);
        if needs_namespace && let Err(error) = self.furnish(&namespace).await {
            let differences = vec![error.to_string()];
            failures.push(Failure { step: 0, title: "prepare".into(), differences });
        } else {
            for (step, number) in crate::json::list(self.case, &["steps"]).iter().zip(1..) {
                let differences =
                    self.step(step).await.unwrap_or_else(|error| vec![error.to_string()]);
                if !differences.is_empty() {
                    failures.push(Failure { step: number, title: title(step), differences });
                }
            }
        }
        self.streams.clear();
        for request in crate::json::list(self.case, &["cleanup"]) {
            let _ = self.request(&json!({}), request.as_str().unwrap_or_default()).await;
        }
        if needs_namespace {
            self.runner.exchange.end_namespace(&namespace).await;
        }
        failures
    }

    async fn furnish(&self, namespace: &str) -> Result<(), ConformanceError> {
        self.runner.exchange.make_namespace(namespace).await?;
        for what in OF_A_NAMESPACE.iter().filter(|what| !self.runner.absent.contains(*what)) {
            let path = format!("/api/v1/namespaces/{namespace}/{what}");
            self.runner.comes(&path, Duration::from_secs(30)).await;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Value) -> Differences {
        if let Some(seconds) = step.get("sleep").and_then(Value::as_f64) {
            sleep(Duration::from_secs_f64(seconds)).await;
            return Ok(Vec::new());
        }
        if step.get("watch").is_some() {
            return self.open_watch(step).await;
        }
        if step.get("expect_events").is_some() {
            return self.expect_events(step).await;
        }
        if step.get("eventually").is_some() {
            return self.eventually(step).await;
        }
        let reply = self.request(step, text(step, &["do"])).await?;
        let method = method(text(step, &["do"]));
        let broken = self.invariants.check(method, reply.status, &reply.body, step);
        let missing = self.capture(step, &reply.body)?;
        let (bindings, differences) = self.compare(step, reply)?;
        self.bindings = bindings;
        Ok([differences, broken, missing].concat())
    }

    fn question(&self, step: &Value, request: &str) -> Question {
        let request = fill(request, &self.variables);
        let (method, path) = request.split_once(' ').unwrap_or((&request, ""));
        let body = step.get("body").map(|body| match fill_value(body, &self.variables) {
            Value::String(text) => text,
            body => body.to_string(),
        });
        let headers = step.get("headers").and_then(Value::as_object).into_iter().flatten();
        let headers = headers.map(|(name, value)| {
            (name.clone(), value.as_str().map(|value| fill(value, &self.variables)))
        });
        Question {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers.collect(),
            body,
        }
    }

    async fn request(&self, step: &Value, request: &str) -> Result<Reply, ConformanceError> {
        self.runner.exchange.request(self.question(step, request)).await
    }

    /// Keeps values of an answer in variables; says which are not there.
    fn capture(&mut self, step: &Value, body: &Value) -> Differences {
        let mut missing = Vec::new();
        let captures = step.get("capture").and_then(Value::as_object).into_iter().flatten();
        for (name, pointer) in captures {
            let pointer = pointer.as_str().unwrap_or_default();
            match lookup(body, pointer)? {
                None => missing.push(format!("nothing at {pointer} to capture as ${name}")),
                Some(Value::String(text)) => {
                    self.variables.insert(name.clone(), text.clone());
                }
                Some(value) => {
                    self.variables.insert(name.clone(), value.to_string());
                }
            }
        }
        Ok(missing)
    }

    /// Compares an answer with the recorded one. What placeholders stand for then is handed back.
    fn compare(
        &self,
        step: &Value,
        reply: Reply,
    ) -> Result<(Bindings, Vec<String>), ConformanceError> {
        let empty = Value::Object(Map::new());
        let want = step.get("want").unwrap_or(&empty);
        let mut matcher = Matcher::new(&self.variables, self.bindings.clone());
        let status = Value::from(reply.status);
        if want.get("status") != Some(&status) {
            let said = reply.body.get("message").unwrap_or(&reply.body);
            let wanted = want.get("status").unwrap_or(&Value::Null);
            let text = format!("status: want {wanted}, got {status} {}", brief(said));
            matcher.differences.push(text);
        }
        let headers = want.get("headers").and_then(Value::as_object);
        let recorded = headers.into_iter().flat_map(|map| map.keys().map(String::as_str));
        let names: std::collections::BTreeSet<&str> = recorded.chain(["warning"]).collect();
        for name in names {
            let (mut want, mut got) =
                (headers.and_then(|map| map.get(name)).cloned(), reply.headers.get(name).cloned());
            if name == "content-type" {
                want = want.map(|value| plain_media_type(&value));
                got = got.map(|value| plain_media_type(&value));
            }
            matcher.compare(&format!("header {name}"), want.as_ref(), got.as_ref());
        }
        let nothing =
            matches!(&reply.body, Value::Null) || reply.body.as_str().is_some_and(str::is_empty);
        let body = (!nothing).then(|| shape(reply.body, step, self.case, reply.status));
        matcher.compare("", want.get("body"), body.transpose()?.as_ref());
        Ok((matcher.bindings, matcher.differences))
    }

    async fn eventually(&mut self, step: &Value) -> Differences {
        let request = text(step, &["eventually"]);
        let deadline = Instant::now() + self.within(step, 20.0);
        let settle = seconds(step, "settle", 3.0);
        let mut met_at = None;
        loop {
            let reply = self.request(step, request).await?;
            let now = Instant::now();
            let unmet = self.unmet(step, &reply)?;
            if unmet.is_empty() {
                let met_at = *met_at.get_or_insert(now);
                let saved = self.variables.clone();
                let missing = self.capture(step, &reply.body)?;
                let (status, body) = (reply.status, reply.body.clone());
                let (bindings, differences) = self.compare(step, reply)?;
                let differences = [missing, differences].concat();
                if differences.is_empty() || now > met_at + settle || now > deadline {
                    self.bindings = bindings;
                    let broken = self.invariants.check(method(request), status, &body, step);
                    return Ok([differences, broken].concat());
                }
                self.variables = saved;
            }
            if now > deadline {
                self.lost = true;
                return Ok(vec![format!("not in time: {}", unmet.join("; "))]);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn unmet(&self, step: &Value, reply: &Reply) -> Differences {
        let mut unmet = Vec::new();
        for (pointer, wanted) in step.get("until").and_then(Value::as_object).into_iter().flatten()
        {
            if pointer == "status" {
                if wanted.as_u64() != Some(u64::from(reply.status)) {
                    unmet.push(format!("status is {}, not {wanted}", reply.status));
                }
                continue;
            }
            let found = lookup(&reply.body, pointer)?;
            let mut matcher = Matcher::new(&self.variables, self.bindings.clone());
            matcher.compare(pointer, Some(wanted).filter(|wanted| !wanted.is_null()), found);
            unmet.append(&mut matcher.differences);
        }
        Ok(unmet)
    }

    async fn open_watch(&mut self, step: &Value) -> Differences {
        let question = self.question(step, text(step, &["do"]));
        let response = self.runner.exchange.send(question).await?;
        if response.status() != 200 {
            let (bindings, differences) =
                self.compare(step, read(response, text(step, &["do"])).await?)?;
            self.bindings = bindings;
            return Ok(differences);
        }
        let (parts, body) = response.into_parts();
        self.streams.insert(text(step, &["watch"]).to_owned(), Stream::new(body));
        let headers = http::Response::from_parts(parts, kube::client::Body::empty());
        let (bindings, differences) =
            self.compare(step, read(headers, text(step, &["do"])).await?)?;
        self.bindings = bindings;
        Ok(differences)
    }

    async fn expect_events(&mut self, step: &Value) -> Differences {
        let name = text(step, &["expect_events"]);
        let count = step.get("count").and_then(Value::as_u64).unwrap_or_default();
        let awaited = Awaited {
            count: usize::try_from(count).unwrap_or(usize::MAX),
            within: self.within(step, 10.0),
            settle: seconds(step, "settle", 0.4),
            until_closed: flag(step, "until_closed"),
            bookmarks: match text(step, &["bookmarks"]) {
                "drop" => Bookmarks::Drop,
                "collapse" => Bookmarks::Collapse,
                _ => Bookmarks::Keep,
            },
        };
        let Some(mut stream) = self.streams.remove(name) else {
            return Err(ConformanceError::Step(format!("no watch named {name} was opened")));
        };
        let mut events = stream.collect(&awaited).await;
        self.lost |= events.len() < awaited.count;
        let closed = stream.ended;
        if flag(step, "keep_open") {
            self.streams.insert(name.to_owned(), stream);
        }
        let missing = self.capture(step, &Value::from(events.clone()))?;
        let broken = self.invariants.check_events(&events, flag(step, "initial"));
        if flag(step, "by_name") {
            events.sort_by_cached_key(|event| {
                text(event, &["object", "metadata", "name"]).to_owned()
            });
        }
        for event in &mut events {
            if let Some(object) = event.get_mut("object") {
                *object = shape(object.take(), step, self.case, 200)?;
            }
        }
        let mut got = json!({"events": events});
        if awaited.until_closed {
            crate::json::as_object(&mut got).insert("closed".into(), closed.into());
        }
        let mut matcher = Matcher::new(&self.variables, self.bindings.clone());
        matcher.compare("", step.get("want"), Some(&got));
        let Matcher { bindings, differences, .. } = matcher;
        self.bindings = bindings;
        Ok([differences, missing, broken].concat())
    }

    fn within(&self, step: &Value, default: f64) -> Duration {
        let within = seconds(step, "within", default).mul_f64(self.runner.patience);
        if self.lost { within.min(Duration::from_secs(1)) } else { within }
    }
}

/// A media type without spaces, in lower case.
fn plain_media_type(value: &Value) -> Value {
    value.as_str().map(|text| text.replace(' ', "").to_lowercase()).into()
}

fn method(request: &str) -> &str {
    request.split(' ').next().unwrap_or_default()
}

fn flag(step: &Value, key: &str) -> bool {
    step.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn seconds(step: &Value, key: &str, default: f64) -> Duration {
    let seconds = step.get(key).and_then(Value::as_f64).unwrap_or(default);
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn title(step: &Value) -> String {
    let about = ["watch", "expect_events", "eventually", "do", "sleep"]
        .into_iter()
        .find_map(|key| Some((key, step.get(key)?)));
    match about {
        Some(("watch", _)) => format!("watch: {}", text(step, &["do"])),
        Some(("do", request)) => brief(request),
        Some((key, value)) => format!("{key} {}", brief(value)),
        None => "nothing".to_owned(),
    }
}
