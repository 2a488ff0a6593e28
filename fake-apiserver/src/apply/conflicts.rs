//! Conflicts between field managers.

use super::fieldset::FieldSet;
use super::managers::Manager;
use crate::refusal::{Cause, Refusal};

/// Refuses to change what others own, or takes it over by force.
pub(super) fn settle(
    all: &mut [Manager],
    changed: &FieldSet,
    allowed: &FieldSet,
    force: bool,
) -> Result<(), Refusal> {
    let mut found: Vec<(String, String)> = Vec::new();
    let disputed = |manager: &Manager| manager.fields.intersection(changed);
    let permitted = all.iter().all(|manager| disputed(manager).difference(allowed).is_empty());
    let force = force || permitted;
    for manager in all.iter_mut() {
        let both = disputed(manager);
        if both.is_empty() {
            continue;
        }
        if force {
            manager.fields = manager.fields.difference(&both);
        } else {
            let who = manager.shown();
            let both = both.difference(allowed);
            found.extend(both.paths().into_iter().map(|path| (who.clone(), path)));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    found.sort();
    let causes: Vec<Cause> = found
        .iter()
        .map(|(who, path)| {
            Cause::new("FieldManagerConflict", format!("conflict with {who}"), path.as_str())
        })
        .collect();
    let message = match found.as_slice() {
        [(who, path)] => format!("Apply failed with 1 conflict: conflict with {who}: {path}"),
        many => {
            let mut lines = format!("Apply failed with {} conflicts: ", many.len());
            let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
            for (who, path) in many {
                match groups.last_mut().filter(|(known, _)| known == who) {
                    Some((_, paths)) => paths.push(path),
                    None => groups.push((who, vec![path])),
                }
            }
            let texts: Vec<String> = groups
                .iter()
                .map(|(who, paths)| format!("conflicts with {who}:\n- {}", paths.join("\n- ")))
                .collect();
            lines += &texts.join("\n");
            lines
        }
    };
    Err(Refusal::apply_conflict(message, &causes))
}
