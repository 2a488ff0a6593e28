//! Nobody gives what they do not have: who writes a role or binds one must hold its rules already, or be allowed to
//! `escalate` or `bind`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rbac::{self, Attributes, GROUP, Verdict};
use super::{User, rules_of};
use crate::json::{list, text};
use crate::refusal::{Named, Refusal, quote};
use crate::registry::Resource;
use crate::state::State;

/// A role or a binding that somebody wants to write.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) user: &'a User,
    pub(crate) resource: &'a Resource,
    pub(crate) namespace: &'a str,
    pub(crate) old: Option<&'a Value>,
    pub(crate) new: &'a Value,
}

/// Refuses a role or a binding that gives more than the one who writes it has.
pub(crate) fn check(state: &State, grant: &Grant<'_>) -> Result<(), Refusal> {
    let Grant { resource, new, .. } = grant;
    if resource.group != GROUP || grant.user.groups.iter().any(|group| group == "system:masters") {
        return Ok(());
    }
    let granted = match resource.kind.as_str() {
        "Role" | "ClusterRole" => {
            if grant.keeps(&["rules", "aggregationRule"])
                || grant.may(state, "escalate", &resource.plural, grant.name())
            {
                return Ok(());
            }
            let mut rules = list(new, &["rules"]).to_vec();
            if new.get("aggregationRule").is_some_and(|rule| !rule.is_null()) {
                // What is gathered later may be anything.
                rules.push(json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}));
                rules.push(json!({"nonResourceURLs": ["*"], "verbs": ["*"]}));
            }
            rules
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let role = new.get("roleRef").unwrap_or(&Value::Null);
            let (kind, name) = (text(role, &["kind"]), text(role, &["name"]));
            let plural = format!("{}s", kind.to_ascii_lowercase());
            if grant.keeps(&["roleRef", "subjects"]) || grant.may(state, "bind", &plural, name) {
                return Ok(());
            }
            rbac::rules(state, kind, name, grant.namespace).ok_or_else(|| {
                let kind = kind.to_ascii_lowercase();
                Refusal::not_found(Named { group: GROUP, resource: &kind }, name)
            })?
        }
        _ => return Ok(()),
    };
    let missing = missing(&rules_of(state, grant.user, grant.namespace), &granted);
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!(
        "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        quote(&grant.user.name),
        quoted(grant.user.groups.iter().map(String::as_str)),
        missing.into_iter().collect::<Vec<_>>().join("\n")
    );
    Err(Refusal::forbidden(resource.named(), grant.name(), &why, &[]))
}

impl Grant<'_> {
    fn name(&self) -> &str {
        text(self.new, &["metadata", "name"])
    }

    /// Whether an update leaves these fields alone.
    fn keeps(&self, fields: &[&str]) -> bool {
        let same = |old: &Value| fields.iter().all(|field| set(old, field) == set(self.new, field));
        self.old.is_some_and(same)
    }

    fn may(&self, state: &State, verb: &str, plural: &str, name: &str) -> bool {
        let attributes = Attributes {
            verb: verb.to_owned(),
            group: GROUP.to_owned(),
            resource: plural.to_owned(),
            namespace: self.namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        matches!(rbac::authorize(state, self.user, &attributes), Verdict::Allowed(_))
    }
}

fn set<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}

/// One verb on one resource or path: what rules are broken down to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Right<'a> {
    /// Group, resource, and name if the rule is for names.
    Resource {
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        name: Option<&'a str>,
    },
    Path {
        verb: &'a str,
        url: &'a str,
    },
}

fn strings<'a>(rule: &'a Value, key: &str) -> impl Iterator<Item = &'a str> + Clone {
    list(rule, &[key]).iter().filter_map(Value::as_str)
}

/// `BreakdownRule`.
fn rights(rule: &Value) -> Vec<Right<'_>> {
    let mut found = Vec::new();
    let names: Vec<Option<&str>> = strings(rule, "resourceNames").map(Some).collect();
    let names = if names.is_empty() { vec![None] } else { names };
    for group in strings(rule, "apiGroups") {
        for resource in strings(rule, "resources") {
            for verb in strings(rule, "verbs") {
                found.extend(names.iter().map(|name| Right::Resource {
                    verb,
                    group,
                    resource,
                    name: *name,
                }));
            }
        }
    }
    for url in strings(rule, "nonResourceURLs") {
        found.extend(strings(rule, "verbs").map(|verb| Right::Path { verb, url }));
    }
    found
}

/// `ruleCovers`.
fn covers(rule: &Value, right: &Right<'_>) -> bool {
    let has =
        |key: &str, wanted: &str| strings(rule, key).any(|known| known == "*" || known == wanted);
    match right {
        Right::Resource { verb, group, resource, name } => {
            let sub = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
            let mut names = strings(rule, "resourceNames").peekable();
            let named = names.peek().is_none() || names.any(|known| Some(known) == *name);
            let resource = has("resources", resource)
                || sub.is_some_and(|sub| strings(rule, "resources").any(|known| known == sub));
            has("verbs", verb) && has("apiGroups", group) && resource && named
        }
        Right::Path { verb, url } => {
            let covered = strings(rule, "nonResourceURLs").any(|known| {
                known == *url || known.strip_suffix('*').is_some_and(|start| url.starts_with(start))
            });
            has("verbs", verb) && covered
        }
    }
}

/// What `granted` gives beyond `held`, worded; rights on the same resource are one line.
fn missing(held: &[Value], granted: &[Value]) -> BTreeSet<String> {
    let lacks = |right: &Right<'_>| !held.iter().any(|rule| covers(rule, right));
    let lacking: Vec<Right<'_>> = granted.iter().flat_map(rights).filter(lacks).collect();
    let mut lines = BTreeSet::new();
    for right in &lacking {
        lines.insert(match right {
            Right::Resource { group, resource, name, .. } => {
                let mut verbs: Vec<&str> = Vec::new();
                for other in &lacking {
                    if let Right::Resource { verb, group: g, resource: r, name: n } = other
                        && (g, r, n) == (group, resource, name)
                        && !verbs.contains(verb)
                    {
                        verbs.push(verb);
                    }
                }
                let named = name.map(|name| format!(", ResourceNames:{}", quoted([name])));
                format!(
                    "{{APIGroups:{}, Resources:{}{}, Verbs:{}}}",
                    quoted([*group]),
                    quoted([*resource]),
                    named.unwrap_or_default(),
                    quoted(verbs)
                )
            }
            Right::Path { verb, url } => {
                format!("{{NonResourceURLs:{}, Verbs:{}}}", quoted([*url]), quoted([*verb]))
            }
        });
    }
    lines
}

/// Strings as Go's `%q` prints a list of them.
fn quoted<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", texts.into_iter().map(quote).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_same(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}), "")]
    #[case::stars(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}), "")]
    #[case::for_a_name(
        json!({"verbs": ["*"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}),
        r#"{APIGroups:[""], Resources:["pods"], Verbs:["get"]}"#,
    )]
    #[case::a_subresource(
        json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods/log"]}),
        r#"{APIGroups:[""], Resources:["pods"], Verbs:["get"]}"#,
    )]
    fn what_is_missing(#[case] held: Value, #[case] want: &str) {
        let granted = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        let missing: Vec<String> = missing(&[held], &[granted]).into_iter().collect();
        assert_eq!(missing.join("\n"), want);
    }

    #[test]
    fn what_is_missing_is_told_by_resource_and_path() {
        let granted = [
            json!({"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["x/scale"]}),
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["y"], "resourceNames": ["n"]}),
            json!({"verbs": ["get"], "nonResourceURLs": ["/a/b", "/c"]}),
        ];
        let held = [
            json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*/scale"]}),
            json!({"verbs": ["get"], "nonResourceURLs": ["/a/*"]}),
        ];
        let lines: Vec<String> = missing(&held, &granted).into_iter().collect();
        let want = [
            r#"{APIGroups:[""], Resources:["x/scale"], Verbs:["get" "list"]}"#,
            r#"{APIGroups:[""], Resources:["y"], ResourceNames:["n"], Verbs:["get"]}"#,
            r#"{NonResourceURLs:["/c"], Verbs:["get"]}"#,
        ];
        assert_eq!(lines, want);
    }
}
