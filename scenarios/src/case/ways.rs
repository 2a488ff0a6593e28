//! What stands between the parts of a world: the network, and an operator that is not there.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;

/// Whether something can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// By nobody.
    Down,
    /// By all.
    Up,
}

/// A direction of the network.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// `operator`, `active`, `standby`, or a pod's name.
    pub from: String,
    /// `active`, `standby`, or a pod's name.
    pub to: String,
    /// Ends by itself after so long.
    #[serde(default)]
    pub until: Option<Span>,
}

/// When the operator stops, and for how long.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Crash {
    /// At a point of its work. Default: now.
    #[serde(default)]
    pub at: Option<CrashPoint>,
    /// How long until a new one starts. Default: 2s.
    #[serde(default)]
    pub down: Option<Span>,
}

/// A point of the operator's work.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CrashPoint {
    /// Counts only while the object is in this state.
    #[serde(default)]
    pub state: Option<String>,
    /// At the n-th write from now on. Default: 1.
    #[serde(default)]
    pub write: Option<u32>,
    /// Before the write, after it, or after it without having got the answer.
    #[serde(default)]
    pub point: Trigger,
}

/// Where at a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Before it is sent.
    #[default]
    Before,
    /// After it is done and answered.
    After,
    /// After it is done, before the answer.
    NoReply,
}
