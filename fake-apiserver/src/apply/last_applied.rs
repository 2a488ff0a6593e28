//! From client-side to server-side apply: the annotation in which `kubectl apply` keeps what it applied.
//!
//! Only the field manager `kubectl` takes part.

use serde_json::Value;

use super::fieldset::FieldSet;
use crate::json;
use crate::schema::Schema;
use crate::verbs::Call;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
const KUBECTL: &str = "kubectl";

fn annotation(object: &Value) -> Option<&str> {
    json::at(object, &["metadata", "annotations", ANNOTATION])?.as_str()
}

/// The fields that the last client-side apply set and nobody changed since: a conflict over them is none.
pub(super) fn allowed(live: Option<&Value>, schema: &Schema, call: &Call<'_>) -> FieldSet {
    let last = live.filter(|_| call.manager == KUBECTL).and_then(|live| {
        let last: Value = serde_json::from_str(annotation(live)?).ok()?;
        let unlike = FieldSet::changed(Some(live), &last, schema);
        let whole = FieldSet::of(&last, schema);
        Some(whole.difference(&unlike))
    });
    last.unwrap_or_default()
}

/// Brings the annotation up to date, if the object has it.
pub(super) fn note(object: &mut Value, config: &Value, call: &Call<'_>) {
    if call.manager != KUBECTL || annotation(object).is_none() {
        return;
    }
    let mut config = config.clone();
    json::take(&mut config, &["metadata", "annotations", ANNOTATION]);
    json::take(&mut config, &["metadata", "managedFields"]);
    json::put(object, &["metadata", "annotations", ANNOTATION], format!("{config}\n").into());
}
