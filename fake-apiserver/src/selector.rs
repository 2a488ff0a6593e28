//! Label and field selectors.

use serde_json::Value;

use crate::json;
use crate::refusal::Refusal;
use crate::registry::Resource;

/// Which objects a request is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

#[derive(Debug, Clone, PartialEq)]
struct LabelTerm {
    key: String,
    test: LabelTest,
}

#[derive(Debug, Clone, PartialEq)]
enum LabelTest {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Debug, Clone)]
struct FieldTerm {
    path: Vec<String>,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads both selectors; those the resource does not support are refused.
    pub(crate) fn parse(labels: &str, fields: &str, resource: &Resource) -> Result<Self, Refusal> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(fields, resource)? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|term| term.matches(object))
            && self.fields.iter().all(|term| term.matches(object))
    }
}

impl LabelTerm {
    fn matches(&self, object: &Value) -> bool {
        let value =
            json::at(object, &["metadata", "labels"]).and_then(|labels| labels.get(&self.key));
        let value = value.and_then(Value::as_str);
        match &self.test {
            LabelTest::In(values) => {
                value.is_some_and(|value| values.iter().any(|known| known == value))
            }
            LabelTest::NotIn(values) => {
                value.is_none_or(|value| values.iter().all(|known| known != value))
            }
            LabelTest::Exists => value.is_some(),
            LabelTest::Absent => value.is_none(),
            LabelTest::Greater(bound) => {
                value.and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v > *bound)
            }
            LabelTest::Less(bound) => {
                value.and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v < *bound)
            }
        }
    }
}

impl FieldTerm {
    fn matches(&self, object: &Value) -> bool {
        let found = self.path.iter().try_fold(object, |value, key| value.get(key));
        let equal = match found {
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Null) | None => self.value.is_empty() || self.value == zero_of(&self.path),
            Some(other) => *other == self.value,
        };
        equal == self.equal
    }
}

/// What a field that is absent counts as, besides the empty text.
fn zero_of(path: &[String]) -> &'static str {
    match path.last().map(String::as_str) {
        Some("unschedulable" | "hostNetwork") => "false",
        Some("replicas" | "successful") => "0",
        _ => "",
    }
}

/// The fields a kind can be selected by, besides name and namespace.
fn selectable(resource: &Resource) -> &'static [&'static str] {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "Secret") => &["type"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("", "Node") => &["spec.unschedulable"],
        ("", "Namespace") => &["status.phase"],
        ("", "ReplicationController") | ("apps", "ReplicaSet") => &["status.replicas"],
        ("batch", "Job") => &["status.successful"],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "Event") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        _ => &[],
    }
}

/// Kinds whose own conversion words the refusal of a field, rather than the one for all kinds.
fn has_own_conversion(resource: &Resource) -> bool {
    resource.custom().is_some() || !selectable(resource).is_empty()
}

fn parse_fields(text: &str, resource: &Resource) -> Result<Vec<FieldTerm>, Refusal> {
    let mut terms = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (label, value, equal) = if let Some((label, value)) = part.split_once("!=") {
            (label, value, false)
        } else if let Some((label, value)) = part.split_once("==") {
            (label, value, true)
        } else if let Some((label, value)) = part.split_once('=') {
            (label, value, true)
        } else {
            let message = format!("invalid selector: '{text}'; can't understand '{part}'");
            return Err(Refusal::bad_request(message));
        };
        let known = ["metadata.name", "metadata.namespace"].contains(&label)
            || selectable(resource).contains(&label)
            || resource
                .custom()
                .is_some_and(|custom| custom.selectable_fields.iter().any(|field| field == label));
        if !known {
            let message = if has_own_conversion(resource) {
                format!("field label not supported: {label}")
            } else {
                format!(
                    "{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                )
            };
            return Err(Refusal::bad_request(message));
        }
        // The component that reports an event is stored as its source.
        let path: Vec<String> = match label {
            "source" => vec!["source".into(), "component".into()],
            label => label.split('.').map(str::to_owned).collect(),
        };
        terms.push(FieldTerm { path, value: value.replace("\\,", ",").replace("\\=", "="), equal });
    }
    Ok(terms)
}

/// The words and signs of a label selector.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    const SIGNS: [&str; 9] = ["==", "!=", "!", "=", ",", "(", ")", ">", "<"];
    let mut rest = text.trim_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            found.push(Token::Sign(sign));
            rest = rest.get(sign.len()..).unwrap_or_default();
        } else {
            let end = rest
                .find(|c: char| c.is_whitespace() || "!=,()><".contains(c))
                .unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            found.push(Token::Word(word.to_owned()));
            rest = tail;
        }
        rest = rest.trim_start();
    }
    found
}

fn parse_labels(text: &str) -> Result<Vec<LabelTerm>, Refusal> {
    let tokens = tokens(text);
    let mut parser = LabelParser { tokens: &tokens };
    let mut terms = Vec::new();
    if tokens.is_empty() {
        return Ok(terms);
    }
    loop {
        terms.push(parser.term()?);
        match parser.next() {
            None => return Ok(terms),
            Some(Token::Sign(",")) => match parser.peek() {
                Some(Token::Word(_) | Token::Sign("!")) => {}
                other => return Err(expected(other, "identifier after ','")),
            },
            Some(other) => return Err(expected(Some(other), "',' or 'end of string'")),
        }
    }
}

fn expected(found: Option<&Token>, what: &str) -> Refusal {
    Refusal::bad_request(format!(
        "found '{}', expected: {what}",
        found.map(Token::text).unwrap_or_default()
    ))
}

struct LabelParser<'a> {
    tokens: &'a [Token],
}

impl<'a> LabelParser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn term(&mut self) -> Result<LabelTerm, Refusal> {
        match self.next() {
            Some(Token::Sign("!")) => match self.next() {
                Some(Token::Word(key)) => {
                    Ok(LabelTerm { key: key.clone(), test: LabelTest::Absent })
                }
                other => Err(expected(other, "identifier")),
            },
            Some(Token::Word(key)) => Ok(LabelTerm { key: key.clone(), test: self.test()? }),
            other => Err(expected(other, "!, identifier, or 'end of string'")),
        }
    }

    fn test(&mut self) -> Result<LabelTest, Refusal> {
        match self.peek() {
            None | Some(Token::Sign(",")) => return Ok(LabelTest::Exists),
            _ => {}
        }
        match self.next() {
            Some(Token::Sign("=" | "==")) => Ok(LabelTest::In(vec![self.value()])),
            Some(Token::Sign("!=")) => Ok(LabelTest::NotIn(vec![self.value()])),
            Some(Token::Sign(">")) => {
                Ok(LabelTest::Greater(self.value().parse().unwrap_or(i64::MAX)))
            }
            Some(Token::Sign("<")) => Ok(LabelTest::Less(self.value().parse().unwrap_or(i64::MIN))),
            Some(Token::Word(word)) if word == "in" => Ok(LabelTest::In(self.values()?)),
            Some(Token::Word(word)) if word == "notin" => Ok(LabelTest::NotIn(self.values()?)),
            other => {
                let found = other.map(Token::text).unwrap_or_default();
                let message = format!(
                    "unable to parse requirement: found '{found}', expected: in, notin, =, ==, !=, gt, lt"
                );
                Err(Refusal::bad_request(message))
            }
        }
    }

    fn value(&mut self) -> String {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.next();
                word.clone()
            }
            _ => String::new(),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, Refusal> {
        let open = self.next();
        if open != Some(&Token::Sign("(")) {
            let found = open.map(Token::text).unwrap_or_default();
            let message = format!("unable to parse requirement: found '{found}' expected: '('");
            return Err(Refusal::bad_request(message));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value());
            match self.next() {
                Some(Token::Sign(",")) => {}
                Some(Token::Sign(")")) => return Ok(values),
                other => return Err(expected(other, "',' or ')'")),
            }
        }
    }
}

/// Whether a `LabelSelector` object (`matchLabels`, `matchExpressions`) selects labels.
///
/// An empty selector selects everything; that of a missing selector is the caller's to decide.
pub fn label_selector_matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = json::at(selector, &["matchLabels"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .all(|(key, value)| label(key) == value.as_str());
    equal
        && json::list(selector, &["matchExpressions"]).iter().all(|expression| {
            let found = label(json::text(expression, &["key"]));
            let values = json::list(expression, &["values"]);
            let listed =
                found.is_some_and(|found| values.iter().any(|value| value.as_str() == Some(found)));
            match json::text(expression, &["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}
