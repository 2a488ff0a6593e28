//! The failure catalogue: its rows, as `rows.yaml` has them.
//!
//! Never: knows scenarios. They name the rows that they show.

use serde::Deserialize;

/// The rows that belong together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What they have in common.
    pub title: String,
    /// The rows, in the order of their numbers.
    pub rows: Vec<Row>,
}

/// One failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The number that scenarios name.
    pub row: u32,
    /// What happens.
    pub what: String,
    /// What Oracle's own operator does there.
    pub peer: String,
}

/// `rows.yaml` is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("scenarios/rows.yaml: {0}")]
pub struct RowsError(#[from] serde_saphyr::Error);

/// The failure catalogue.
///
/// # Errors
/// When the file that was compiled in is not valid.
pub fn parts() -> Result<Vec<Part>, RowsError> {
    Ok(serde_saphyr::from_str(include_str!("../rows.yaml"))?)
}
