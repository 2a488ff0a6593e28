//! The scenario language: YAML, one action a step, strict, with line numbers in errors.
//!
//! Never: runs anything. See docs/scenarios-language.md for the guide.

mod actions;
mod damage;
mod span;
mod ways;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub use actions::{
    AgentFault, AgentMisbehaves, ApiFault, ApiMisbehaves, Delete, History, Member, Nothing,
    Refused, Seen, Step,
};
pub use damage::{
    BreakImage, Evict, Files, ImageFault, Invalidate, Peer, Rep, Scale, SetClock, SetPeer,
    SetRepState, Sidecar,
};
pub use span::Span;
pub use ways::{Crash, CrashPoint, Link, Reach, Trigger};

/// A scenario.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Case {
    /// Its name, the same as its file's.
    #[serde(rename = "scenario")]
    pub name: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The rows of the failure catalogue that it shows.
    #[serde(default)]
    pub shows: Vec<u32>,
    /// The world it begins in.
    #[serde(default)]
    pub world: Setting,
    /// What happens, one after the other.
    pub steps: Vec<Step>,
    /// The longest time that clients may be without service after the first fault.
    #[serde(default)]
    pub recovery: Option<Span>,
    /// The state that the pair must come to when all faults have ended. Default: Normal. `gone`:
    /// the object no longer exists.
    #[serde(default = "normal")]
    pub ends: String,
    /// Where it was read from.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// The world that a scenario begins in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Setting {
    /// Merged over the sample object's `spec.ttspec`.
    #[serde(default)]
    pub ttspec: serde_json::Map<String, serde_json::Value>,
    /// The object's `spec.template`.
    #[serde(default)]
    pub template: serde_json::Map<String, serde_json::Value>,
    /// Objects of somebody else that are there before: `service/sample-active`.
    #[serde(default)]
    pub in_the_way: Vec<String>,
    /// Metadata files (`schema.sql: ...`), given by a ConfigMap.
    #[serde(default)]
    pub files: std::collections::BTreeMap<String, String>,
    /// Metadata files that are secret (`adminUser: ...`), given by a Secret.
    #[serde(default)]
    pub secret_files: std::collections::BTreeMap<String, String>,
    /// Whether the class of the volumes lets them grow. Default: there is no such class.
    #[serde(default)]
    pub volumes_grow: Option<bool>,
    /// Volumes live on the node that the pod was first placed on. Default: on none.
    #[serde(default)]
    pub local_volumes: bool,
    /// How many nodes there are. Default: 3.
    #[serde(default)]
    pub nodes: Option<u32>,
    /// How long an image takes to be pulled. Default: no time.
    #[serde(default)]
    pub image_pull: Option<Span>,
    /// How long a copy takes at least. Default: 4s.
    #[serde(default)]
    pub duplicate: Option<Span>,
    /// How long every other verb of an agent takes longer. Default: no time.
    #[serde(default)]
    pub agent_delay: Option<Span>,
    /// A commit is on disk when it is acknowledged. Default: true. Else what was neither flushed nor
    /// sent is lost in a crash.
    #[serde(default)]
    pub durable: Option<bool>,
    /// How many kilobytes of log a commit takes. Default: 1.
    #[serde(default)]
    pub commit_kilobytes: Option<u32>,
    /// How often the application writes; `never` for not at all. Default: 100ms.
    #[serde(default)]
    pub writes_every: Option<Span>,
    /// The names of further objects, made as `sample` is. The application writes to `sample` alone.
    #[serde(default)]
    pub objects: Vec<String>,
    /// How many operators there are. Default: one, that acts without being elected.
    #[serde(default)]
    pub operators: Option<u8>,
    /// The operators elect a leader. Default: true if `operators` is given.
    #[serde(default)]
    pub election: Option<bool>,
    /// The longest that the scenario may take. Default: 30m.
    #[serde(default)]
    pub limit: Option<Span>,
}

/// A scenario file that cannot be read. The text names file, line and what is allowed.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct CaseError {
    file: String,
    problem: String,
}

impl Case {
    /// Reads a scenario. `file` is for messages.
    ///
    /// # Errors
    /// With file, line, the line itself and what is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, CaseError> {
        let error = |problem: String| CaseError { file: file.to_owned(), problem };
        let mut case: Self = serde_saphyr::from_str(text).map_err(|e| error(e.to_string()))?;
        if case.steps.is_empty() {
            return Err(error("a scenario without steps shows nothing: add some".into()));
        }
        for (index, step) in case.steps.iter().enumerate() {
            if let Step::Agent(AgentMisbehaves { on, .. }) = step
                && !actions::known_occasion(on)
            {
                let known = actions::OCCASIONS.join(", ");
                return Err(error(format!("step {}: on: {on}: write one of {known}", index + 1)));
            }
            let (Step::Eventually(seen) | Step::Never(seen) | Step::Always(seen)) = step else {
                continue;
            };
            if seen.of.is_some() && seen.serves.is_some() {
                return Err(error(format!(
                    "step {}: serves: the application writes to `sample` alone; leave out `of`",
                    index + 1
                )));
            }
            if let Step::Eventually(_) = step {
                continue;
            }
            if seen.span.is_none() {
                return Err(error(format!(
                    "step {}: add for how long, as in `for: 10s`",
                    index + 1
                )));
            }
        }
        let stem = std::path::Path::new(file).file_stem().map(|stem| stem.to_string_lossy());
        if file.ends_with(".yaml") && stem.as_deref() != Some(case.name.as_str()) {
            return Err(error(format!(
                "scenario: {} stands in a file of another name; rename one of them",
                case.name
            )));
        }
        case.file = Some(file.into());
        Ok(case)
    }

    /// Reads a scenario from a file.
    ///
    /// # Errors
    /// When it cannot be read, with file, line and what is wrong.
    pub fn read(path: &std::path::Path) -> Result<Self, CaseError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| CaseError { file: file.clone(), problem: error.to_string() })?;
        Self::parse(&file, &text)
    }
}

/// The JSON Schema of scenario files, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Case).to_value()
}

fn normal() -> String {
    "Normal".into()
}
