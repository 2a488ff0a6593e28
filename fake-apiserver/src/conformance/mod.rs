//! Replays exchanges that were recorded from a real API server, and says where a server answers otherwise.
//!
//! A case is a list of steps: requests, watches and waits, each with the answer that the real server gave, as a template.
//! The runner talks through a `kube::Client`, so it replays as well in process as over HTTP against any server. It only
//! compares: it knows nothing of what an answer means.
//!
//! `cases/AREA.json` and `fixtures/` in `fake-apiserver/conformance` are in the format it reads.

mod exchange;
mod invariants;
mod pointer;
mod replay;
mod template;
mod watching;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::exchange::Exchange;
use self::replay::Replay;
use crate::json::{list, text};
use crate::state::Seeds;

/// What a namespace has from the start, on servers with controllers.
const OF_A_NAMESPACE: [&str; 2] = ["serviceaccounts/default", "configmaps/kube-root-ca.crt"];
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// What kept a case from being replayed at all.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    /// A file of cases that is not in the format.
    #[error("cases of {area} cannot be read: {cause}")]
    Unreadable {
        /// The area: the file's name without `.json`.
        area: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No answer: the server is away, or broke off.
    #[error("{request}: {cause}")]
    NoAnswer {
        /// Method and path.
        request: String,
        /// What the connection said.
        cause: String,
    },
    /// A step that does not make sense.
    #[error("a step cannot be carried out: {0}")]
    Step(String),
    /// The server does not serve what the cases need.
    #[error("before the cases: {0}")]
    Unprepared(String),
}

/// One recorded case.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is about: the name of its file.
    pub area: String,
    /// Its name, unique in its area.
    pub name: String,
    content: Value,
}

impl Case {
    /// Reads the cases of an area from the text of its file.
    ///
    /// # Errors
    /// When the text is not a list of cases with names.
    pub fn read(area: &str, file: &str) -> Result<Vec<Self>, ConformanceError> {
        let unreadable =
            |cause: String| ConformanceError::Unreadable { area: area.to_owned(), cause };
        let cases: Vec<Value> =
            serde_json::from_str(file).map_err(|error| unreadable(error.to_string()))?;
        let named = |content: Value| match text(&content, &["name"]) {
            "" => Err(unreadable("a case has no name".to_owned())),
            name => Ok(Self { area: area.to_owned(), name: name.to_owned(), content }),
        };
        cases.into_iter().map(named).collect()
    }

    /// Whether it is about a namespace of its own, which must be there first.
    fn needs_namespace(&self) -> bool {
        self.content.to_string().contains("$ns")
    }
}

/// A step that was answered otherwise than recorded.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its place in the case, from 1; 0 for what comes before the first.
    pub step: usize,
    /// What it does.
    pub title: String,
    /// Where the answer differs, one line each.
    pub differences: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {} ({})", self.step, self.title)?;
        self.differences.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Replays cases against one server.
#[derive(Debug)]
pub struct Runner {
    exchange: Exchange,
    /// What waits are multiplied by.
    patience: f64,
    /// What this server does not put into new namespaces.
    absent: BTreeSet<&'static str>,
    seeds: Mutex<Seeds>,
}

impl Runner {
    /// A runner whose requests carry the token if there is one; names in cases come from the seed.
    #[must_use]
    pub fn new(client: Client, token: Option<String>, seed: u64) -> Self {
        Self {
            exchange: Exchange::new(client, token),
            patience: 1.0,
            absent: BTreeSet::new(),
            seeds: Mutex::new(Seeds::new(seed)),
        }
    }

    /// Multiplies how long every wait may take.
    #[must_use]
    pub fn patience(mut self, factor: f64) -> Self {
        self.patience = factor;
        self
    }

    /// Creates the definitions that the cases need, unless they are there, and learns what this server makes by itself.
    ///
    /// # Errors
    /// When a definition is refused or not served in 30 seconds, or no namespace can be made.
    pub async fn prepare(&mut self, definitions: &[Value]) -> Result<(), ConformanceError> {
        for definition in definitions {
            self.define(definition).await?;
        }
        let name = format!("conf-{}", self.id());
        self.exchange.make_namespace(&name).await?;
        for what in OF_A_NAMESPACE {
            let path = format!("/api/v1/namespaces/{name}/{what}");
            if !self.comes(&path, Duration::from_secs(10).mul_f64(self.patience)).await {
                self.absent.insert(what);
            }
        }
        self.exchange.end_namespace(&name).await;
        Ok(())
    }

    /// Replays a case: where the server answers otherwise, step by step; empty if nowhere. Several may run at once.
    pub async fn run(&self, case: &Case) -> Vec<Failure> {
        let id = self.id();
        Replay::new(self, &case.content, id).run(case.needs_namespace()).await
    }

    fn id(&self) -> String {
        let mut seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut id = format!("c{}{}", seeds.suffix(), seeds.suffix());
        id.truncate(9);
        id
    }

    async fn define(&self, definition: &Value) -> Result<(), ConformanceError> {
        let name = text(definition, &["metadata", "name"]);
        let answer = self.exchange.ask("POST", DEFINITIONS, Some(definition)).await?;
        if !matches!(answer.status, 201 | 409) {
            let said = text(&answer.body, &["message"]);
            return Err(ConformanceError::Unprepared(format!("{name} was refused: {said}")));
        }
        let (group, plural) =
            (text(definition, &["spec", "group"]), text(definition, &["spec", "names", "plural"]));
        for version in list(definition, &["spec", "versions"]) {
            let path = format!("/apis/{group}/{}/{plural}?limit=1", text(version, &["name"]));
            let served = version.get("served") == Some(&json!(true));
            if served && !self.comes(&path, Duration::from_secs(30)).await {
                return Err(ConformanceError::Unprepared(format!("{path} is not served")));
            }
        }
        Ok(())
    }

    /// Whether something can be read within the time.
    async fn comes(&self, path: &str, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        loop {
            match self.exchange.ask("GET", path, None).await {
                Ok(answer) if answer.status == 200 => return true,
                _ if Instant::now() >= deadline => return false,
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
