//! Patterns of texts, compiled once: the same few are asked for with every object.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use regex::Regex;

/// Patterns come from definitions that clients write: no more than this are kept.
const MOST: usize = 1_000;

static COMPILED: Mutex<BTreeMap<String, Option<Regex>>> = Mutex::new(BTreeMap::new());

/// Whether a text has a match; never, if the pattern is no regular expression.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = compiled.get(pattern) {
        return known.as_ref().is_some_and(|regex| regex.is_match(text));
    }
    if compiled.len() >= MOST {
        compiled.clear();
    }
    let regex = compiled.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
    regex.as_ref().is_some_and(|regex| regex.is_match(text))
}
