//! A version of an object: a tree while it is new, text when it has been left alone for long.
//!
//! A small object takes some 5 KB as a tree, most of it empty room in the nodes of its maps, and a tenth as text. Most
//! objects of a cluster are written rarely, and most reads want the text.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use crate::json;

/// How deep a tree may be to be read again from its text.
const DEPTH: usize = 100;

/// One version of an object.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) revision: u64,
    api_version: Box<str>,
    /// Nothing if there is only the text.
    tree: Mutex<Option<Arc<Value>>>,
    /// Made when somebody wants it.
    text: OnceLock<Bytes>,
}

impl Stored {
    pub(super) fn new(value: Value, revision: u64) -> Arc<Self> {
        let api_version = json::text(&value, &["apiVersion"]).into();
        let tree = Mutex::new(Some(Arc::new(value)));
        Arc::new(Self { revision, api_version, tree, text: OnceLock::new() })
    }

    /// The object.
    pub(crate) fn value(&self) -> Arc<Value> {
        let read = || self.text.get().and_then(|text| serde_json::from_slice(text).ok());
        self.tree().unwrap_or_else(|| Arc::new(read().unwrap_or_default()))
    }

    /// The version it is stored in.
    pub(crate) fn api_version(&self) -> &str {
        &self.api_version
    }

    /// The object as JSON, in the version it is stored in.
    pub(crate) fn bytes(&self) -> &Bytes {
        let write = || Bytes::from(self.value().to_string().into_bytes().into_boxed_slice());
        self.text.get_or_init(write)
    }

    /// Whether a value is this object as it is stored, as far as that is known without reading it.
    pub(crate) fn reads(&self, value: &Arc<Value>) -> bool {
        self.tree().is_some_and(|tree| Arc::ptr_eq(&tree, value))
    }

    /// Keeps the text alone, where the tree can be had again from it.
    pub(super) fn fold(&self) {
        if self.tree().is_some_and(|tree| survives(&tree, DEPTH)) {
            self.bytes();
            *self.tree.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn tree(&self) -> Option<Arc<Value>> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether a value is the same after it was written and read: fractions may differ in their last digit, and what is
/// nested too deep is not read.
fn survives(value: &Value, depth: usize) -> bool {
    let Some(below) = depth.checked_sub(1) else { return false };
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(list) => list.iter().all(|element| survives(element, below)),
        Value::Object(map) => map.values().all(|element| survives(element, below)),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_folded_object_is_the_same() {
        let value =
            json!({"a": [1, -2, 18_446_744_073_709_551_615_u64, null, true], "b": {"c": "é\n"}});
        let stored = Stored::new(value.clone(), 7);
        let before = stored.value();
        assert!(stored.reads(&before));
        stored.fold();
        assert!(!stored.reads(&before));
        assert_eq!(*stored.value(), value);
        assert_eq!(*stored.bytes(), value.to_string());
    }

    #[test]
    fn what_could_change_stays_a_tree() {
        let deep = (0..200).fold(json!(0), |inner, _| json!([inner]));
        for value in [json!({"a": [0.1]}), deep] {
            let stored = Stored::new(value, 7);
            let before = stored.value();
            stored.fold();
            assert!(stored.reads(&before));
        }
    }
}
