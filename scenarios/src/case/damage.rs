//! What befalls databases, volumes and owned objects in a scenario.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Member, Span};

/// A database that is thrown out of memory while its daemon lives.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Invalidate {
    /// Whose database.
    pub of: Member,
    /// A process holds on to the old memory: the database reads Transitioning.
    #[serde(default)]
    pub held: bool,
}

/// What a database believes of its peer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetPeer {
    /// Whose database.
    pub of: Member,
    /// What it believes.
    pub to: Peer,
}

/// What a database can believe of its peer.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// It is sent what is committed.
    Start,
    /// It is sent nothing for now.
    Pause,
    /// It is sent nothing.
    Stop,
    /// It has failed.
    Failed,
}

/// A replication state that no verb leads to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetRepState {
    /// Whose database.
    pub of: Member,
    /// The state.
    pub to: Rep,
}

/// Replication states of a database.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Rep {
    /// Takes writes.
    Active,
    /// Follows the active.
    Standby,
    /// Has no role.
    Idle,
    /// Synchronises with the active.
    Recovering,
    /// Was declared failed.
    Failed,
}

/// A container beside `tt` that dies.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sidecar {
    /// In whose pod.
    pub of: Member,
    /// Which container.
    pub container: String,
}

/// The StatefulSet is scaled by hand.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scale {
    /// How many pods it is to have.
    pub to: u32,
}

/// A ConfigMap or Secret with metadata files that comes late.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Files {
    /// Its name.
    pub name: String,
    /// It is a Secret. Default: a ConfigMap.
    #[serde(default)]
    pub secret: bool,
    /// The files.
    #[serde(default)]
    pub files: std::collections::BTreeMap<String, String>,
}

/// An image that is of no use.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BreakImage {
    /// The image.
    pub image: String,
    /// What is wrong with it. Default: `pull`.
    #[serde(default)]
    pub on: ImageFault,
}

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFault {
    /// It cannot be pulled.
    #[default]
    Pull,
    /// Its containers end as soon as they are started.
    Crash,
}

/// A pod that is evicted, as by `kubectl drain`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Evict {
    /// Whose pod.
    pub of: Member,
    /// The API server has to refuse it.
    #[serde(default)]
    pub refused: bool,
}

/// The operator's wall clock is set, forwards or backwards.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetClock {
    /// Ahead by so much.
    #[serde(default)]
    pub ahead: Option<Span>,
    /// Back by so much.
    #[serde(default)]
    pub back: Option<Span>,
}
