//! Comparing an answer with a template: variables, and placeholders for what differs from run to run.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Map, Value};

/// The names that are known, and what they stand for.
pub(super) type Variables = BTreeMap<String, String>;

/// What each kind of placeholder matches.
const PLACEHOLDERS: [(&str, &str); 11] = [
    ("uid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ("rv", "[1-9][0-9]*"),
    ("time", r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
    ("microtime", r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"),
    ("ip", r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}"),
    ("suffix", "[a-z0-9]{5}"),
    ("hash", "[a-z0-9]+"),
    ("continue", ".+"),
    ("age", "(?:[0-9]+[smhdy])+"),
    ("nodePort", "[0-9]+"),
    ("any", "(?s:.*)"),
];

/// A placeholder: its kind, and its number if it has one.
type Token = (&'static str, Option<String>);

/// A text in parts.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    Token(Token),
}

/// What each numbered placeholder stood for so far, both ways round.
#[derive(Debug, Clone, Default)]
pub(super) struct Bindings {
    value_of: BTreeMap<(&'static str, String), String>,
    number_of: BTreeMap<(&'static str, String), String>,
}

impl Bindings {
    /// Whether a placeholder can stand for a value; from then on it does.
    fn bind(&mut self, token: &Token, value: &str, variables: &Variables) -> bool {
        let (kind, Some(number)) = token else { return true };
        if *kind == "uid" && variables.values().any(|known| known == value) {
            return false;
        }
        if let Some(known) = self.value_of.get(&(*kind, number.clone())) {
            return known == value;
        }
        if self.number_of.contains_key(&(*kind, value.to_owned())) {
            return false;
        }
        self.value_of.insert((*kind, number.clone()), value.to_owned());
        self.number_of.insert((*kind, value.to_owned()), number.clone());
        true
    }
}

/// Compares values with templates.
pub(super) struct Matcher<'a> {
    pub(super) variables: &'a Variables,
    pub(super) bindings: Bindings,
    pub(super) differences: Vec<String>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(variables: &'a Variables, bindings: Bindings) -> Self {
        Self { variables, bindings, differences: Vec::new() }
    }

    /// Compares what is there with what was recorded; either may be missing.
    pub(super) fn compare(&mut self, path: &str, want: Option<&Value>, got: Option<&Value>) {
        match (want, got) {
            (None, None) => {}
            (Some(want), None) => self.differs(path, &format!("missing, want {}", brief(want))),
            (None, Some(got)) => self.differs(path, &format!("unexpected {}", brief(got))),
            (Some(Value::Object(want)), Some(Value::Object(got))) => self.objects(path, want, got),
            (Some(Value::Array(want)), Some(Value::Array(got))) => {
                for at in 0..want.len().max(got.len()) {
                    self.compare(&format!("{path}/{at}"), want.get(at), got.get(at));
                }
            }
            (Some(Value::String(want)), Some(got)) => self.text(path, want, got),
            (Some(Value::Number(want)), Some(Value::Number(got)))
                if want.as_f64() == got.as_f64() => {}
            (Some(want), Some(got)) if want == got => {}
            (Some(want), Some(got)) => {
                self.differs(path, &format!("want {}, got {}", brief(want), brief(got)));
            }
        }
    }

    fn objects(&mut self, path: &str, want: &Map<String, Value>, got: &Map<String, Value>) {
        let want: BTreeMap<String, &Value> =
            want.iter().map(|(key, value)| (fill(key, self.variables), value)).collect();
        let keys: BTreeSet<&String> = want.keys().chain(got.keys()).collect();
        for key in keys {
            let here = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
            self.compare(&here, want.get(key).copied(), got.get(key));
        }
    }

    fn text(&mut self, path: &str, want: &str, got: &Value) {
        let want = fill(want, self.variables);
        if want == "<any>" || self.text_matches(&want, got) {
            return;
        }
        let mut shown = brief(&Value::from(want.as_str()));
        for part in parts(&want) {
            if let Part::Token((kind, Some(number))) = part
                && let Some(value) = self.bindings.value_of.get(&(kind, number.clone()))
            {
                shown += &format!(" [<{kind}:{number}> was {value}]");
            }
        }
        self.differs(path, &format!("want {shown}, got {}", brief(got)));
    }

    fn text_matches(&mut self, want: &str, got: &Value) -> bool {
        let parts = parts(want);
        if let [Part::Token(token @ ("nodePort", _))] = parts.as_slice() {
            return got
                .as_i64()
                .is_some_and(|port| self.bindings.bind(token, &port.to_string(), self.variables));
        }
        let Some(got) = got.as_str() else { return false };
        if !parts.iter().any(|part| matches!(part, Part::Token(_))) {
            return want == got;
        }
        let mut pattern = String::from(r"\A");
        for part in &parts {
            match part {
                Part::Text(text) => pattern += &regex::escape(text),
                Part::Token((kind, _)) => pattern += &format!("({})", matches(kind)),
            }
        }
        pattern += r"\z";
        let Ok(pattern) = Regex::new(&pattern) else { return false };
        let Some(found) = pattern.captures(got) else { return false };
        let tokens = parts.iter().filter_map(|part| match part {
            Part::Token(token) => Some(token),
            Part::Text(_) => None,
        });
        found
            .iter()
            .skip(1)
            .flatten()
            .zip(tokens)
            .all(|(value, token)| self.bindings.bind(token, value.as_str(), self.variables))
    }

    fn differs(&mut self, path: &str, how: &str) {
        self.differences.push(format!("{}: {how}", if path.is_empty() { "/" } else { path }));
    }
}

/// A value on one short line.
pub(super) fn brief(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    if text.chars().count() <= 240 {
        return text;
    }
    text.chars().take(237).chain("...".chars()).collect()
}

fn matches(kind: &str) -> &'static str {
    PLACEHOLDERS.iter().find(|(known, _)| *known == kind).map_or("", |(_, pattern)| *pattern)
}

/// A text in parts: placeholders, and what is between them.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while let Some(open) = text.get(at..).and_then(|rest| rest.find('<')).map(|open| at + open) {
        at = open + 1;
        let rest = text.get(at..).unwrap_or_default();
        let Some((token, length)) =
            rest.find('>').and_then(|end| Some((token(rest.get(..end)?)?, end + 1)))
        else {
            continue;
        };
        if open > plain {
            parts.push(Part::Text(text.get(plain..open).unwrap_or_default()));
        }
        parts.push(Part::Token(token));
        at += length;
        plain = at;
    }
    if plain < text.len() {
        parts.push(Part::Text(text.get(plain..).unwrap_or_default()));
    }
    parts
}

fn token(inside: &str) -> Option<Token> {
    let (kind, number) = match inside.split_once(':') {
        Some((kind, number)) => (kind, Some(number)),
        None => (inside, None),
    };
    let digits =
        |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let (kind, _) = PLACEHOLDERS.iter().find(|(known, _)| *known == kind)?;
    number.is_none_or(digits).then(|| (*kind, number.map(str::to_owned)))
}

/// A text with `$name` and `${name}` replaced, for the names that are known; the rest stays.
pub(super) fn fill(text: &str, variables: &Variables) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled += before;
        let braced = after.strip_prefix('{').and_then(|tail| tail.split_once('}'));
        let end = after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let bare = after.split_at_checked(end.unwrap_or(after.len())).unwrap_or((after, ""));
        let (name, tail) = braced.unwrap_or(bare);
        match variables.get(name) {
            Some(value) => {
                filled += value;
                rest = tail;
            }
            None => {
                filled.push('$');
                rest = after;
            }
        }
    }
    filled + rest
}

/// A value with the variables in its texts and keys replaced.
pub(super) fn fill_value(value: &Value, variables: &Variables) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, variables)),
        Value::Array(items) => items.iter().map(|item| fill_value(item, variables)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (fill(key, variables), fill_value(value, variables)))
            .collect::<Map<_, _>>()
            .into(),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("a-$id", "a-x1")]
    #[case("a-${id}b", "a-x1b")]
    #[case("$idb $patch ${none}", "$idb $patch ${none}")]
    fn variables_are_filled_in(#[case] text: &str, #[case] filled: &str) {
        assert_eq!(fill(text, &Variables::from([("id".into(), "x1".into())])), filled);
    }

    #[rstest]
    #[case(json!({"a": "<rv:1>", "b": "<rv:1>"}), json!({"a": "7", "b": "7"}), 0)]
    #[case(json!({"a": "<rv:1>", "b": "<rv:1>"}), json!({"a": "7", "b": "8"}), 1)]
    #[case(json!({"a": "<rv:1>", "b": "<rv:2>"}), json!({"a": "7", "b": "7"}), 1)]
    #[case(json!("x-<suffix> is <any>"), json!("x-ab2de is gone\nnow"), 0)]
    #[case(json!("x-<suffix>"), json!("x-ab2d"), 1)]
    #[case(json!("<nodePort:1>"), json!(30001), 0)]
    #[case(json!("<nodePort:1>"), json!("30001"), 1)]
    #[case(json!(["a", 1, null]), json!(["a", 1.0, null]), 0)]
    #[case(json!(["a"]), json!(["a", "b"]), 1)]
    #[case(json!({"a": 1}), json!({"b": 1}), 2)]
    #[case(json!("a < b <uid:x>"), json!("a < b <uid:x>"), 0)]
    fn templates(#[case] want: Value, #[case] got: Value, #[case] differences: usize) {
        let variables = Variables::new();
        let mut matcher = Matcher::new(&variables, Bindings::default());
        matcher.compare("", Some(&want), Some(&got));
        assert_eq!(matcher.differences.len(), differences, "{:?}", matcher.differences);
    }
}
