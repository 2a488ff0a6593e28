//! Patterns of texts, compiled once: the same few are asked for with every object.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use regex::Regex;

/// Patterns come from definitions that clients write: no more than this are kept.
const MOST: usize = 1_000;

static COMPILED: Mutex<BTreeMap<String, Option<Regex>>> = Mutex::new(BTreeMap::new());

/// Whether a text has a match; never, if the pattern is no regular expression.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    try_matches(pattern, text).unwrap_or_default()
}

/// Whether a text has a match; `None`, if the pattern is no regular expression.
pub(super) fn try_matches(pattern: &str, text: &str) -> Option<bool> {
    with(pattern, |regex| regex.is_match(text))
}

/// All matches in a text.
pub(super) fn all(pattern: &str, text: &str) -> Vec<String> {
    let found = with(pattern, |regex| {
        regex.find_iter(text).map(|found| found.as_str().to_owned()).collect()
    });
    found.unwrap_or_default()
}

fn with<T>(pattern: &str, look: impl FnOnce(&Regex) -> T) -> Option<T> {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = compiled.get(pattern) {
        return known.as_ref().map(look);
    }
    if compiled.len() >= MOST {
        compiled.clear();
    }
    let regex = compiled.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
    regex.as_ref().map(look)
}

/// Why a pattern is no regular expression, as the real server tells it.
pub(crate) fn fault(pattern: &str) -> Option<String> {
    let Err(regex::Error::Syntax(text)) = Regex::new(pattern) else { return None };
    let from = |start: Option<usize>| start.and_then(|at| pattern.get(at..)).unwrap_or(pattern);
    Some(if text.contains("unclosed group") {
        format!("missing closing ): `{pattern}`")
    } else if text.contains("unopened group") {
        format!("unexpected ): `{pattern}`")
    } else if text.contains("unclosed character class") {
        format!("missing closing ]: `{}`", from(pattern.find('[')))
    } else if text.contains("repetition operator missing expression") {
        let repeated = from(pattern.find(['*', '+', '?']));
        format!(
            "missing argument to repetition operator: `{}`",
            repeated.chars().take(1).collect::<String>()
        )
    } else if text.contains("look-around") || text.contains("unrecognized flag") {
        let look = from(pattern.find("(?"));
        format!(
            "invalid or unsupported Perl syntax: `{}`",
            look.chars().take(3).collect::<String>()
        )
    } else if text.contains("invalid character class range") {
        format!(
            "invalid character class range: `{}`",
            from(pattern.find('[')).trim_matches(['[', ']'])
        )
    } else if text.contains("unrecognized escape") || text.contains("incomplete escape") {
        let escape = from(pattern.rfind('\\'));
        format!("invalid escape sequence: `{}`", escape.chars().take(2).collect::<String>())
    } else {
        format!("invalid regexp: `{pattern}`")
    })
}
