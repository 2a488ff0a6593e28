//! Role-based access control: what the roles bound to a user allow.

use std::sync::Arc;

use serde_json::{Value, json};

use super::User;
use crate::json::{list, text};
use crate::state::State;
use crate::store::{GroupResource, Key};

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// What somebody wants to do: to a resource, or to another path.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    /// Empty for all namespaces, and for kinds outside of them.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The path, if it is no resource's.
    pub(crate) path: Option<String>,
}

impl Attributes {
    /// The resource as roles name it (`pods/status`).
    pub(crate) fn full_resource(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}

/// Whether something is allowed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Yes, and by what; empty for those who may do everything.
    Allowed(String),
    /// No; with the roles that could not be found.
    Denied(Vec<String>),
}

pub(super) fn authorize(state: &State, user: &User, attributes: &Attributes) -> Verdict {
    if user.groups.iter().any(|group| group == "system:masters") {
        return Verdict::Allowed(String::new());
    }
    let mut missing = Vec::new();
    let places = [("clusterrolebindings", ""), ("rolebindings", attributes.namespace.as_str())];
    for (resource, namespace) in places {
        if resource == "rolebindings" && namespace.is_empty() {
            continue;
        }
        for (key, binding) in state.store.list(&id(resource), Some(namespace)) {
            let binding = binding.value();
            let Some(subject) = subject_of(&binding, user, namespace) else { continue };
            let role_ref = binding.get("roleRef").unwrap_or(&Value::Null);
            let (kind, name) = (text(role_ref, &["kind"]), text(role_ref, &["name"]));
            let Some(rules) = rules(state, kind, name, namespace) else {
                let kind = kind.to_ascii_lowercase();
                missing.push(format!("{kind}.{GROUP} {name:?} not found"));
                continue;
            };
            if rules.iter().any(|rule| allows(rule, attributes)) {
                let binding = match namespace {
                    "" => format!("ClusterRoleBinding {:?}", key.name),
                    namespace => format!("RoleBinding \"{}/{namespace}\"", key.name),
                };
                return Verdict::Allowed(format!(
                    "RBAC: allowed by {binding} of {kind} {name:?} to {subject}"
                ));
            }
        }
    }
    Verdict::Denied(missing)
}

/// All rules that hold for a user in a namespace (empty: in none), for reviews.
pub(crate) fn rules_of(state: &State, user: &User, namespace: &str) -> Vec<Value> {
    // Who need not say who they are may do everything.
    if !state.access.required() {
        let resources = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        return vec![resources, json!({"verbs": ["*"], "nonResourceURLs": ["*"]})];
    }
    let mut found = Vec::new();
    for (resource, place) in [("clusterrolebindings", ""), ("rolebindings", namespace)] {
        for (_, binding) in state.store.list(&id(resource), Some(place)) {
            let binding = binding.value();
            let role = binding.get("roleRef").unwrap_or(&Value::Null);
            if subject_of(&binding, user, place).is_some() {
                found.extend(
                    rules(state, text(role, &["kind"]), text(role, &["name"]), place)
                        .unwrap_or_default(),
                );
            }
        }
    }
    found
}

/// Errors as one, as the real server joins them.
pub(super) fn aggregate(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

pub(super) fn id(resource: &str) -> Arc<GroupResource> {
    Arc::new(GroupResource { group: GROUP.into(), resource: resource.into() })
}

/// The rules of a role, if it is there.
pub(super) fn rules(state: &State, kind: &str, name: &str, namespace: &str) -> Option<Vec<Value>> {
    let (resource, namespace) =
        if kind == "Role" { ("roles", namespace) } else { ("clusterroles", "") };
    let role = state.store.get(&id(resource), &Key::new(namespace, name))?;
    Some(list(&role.value(), &["rules"]).to_vec())
}

/// The subject of a binding that the user is, worded.
fn subject_of(binding: &Value, user: &User, namespace: &str) -> Option<String> {
    list(binding, &["subjects"]).iter().find_map(|subject| {
        let name = text(subject, &["name"]);
        match text(subject, &["kind"]) {
            "User" => (user.name == name).then(|| format!("User {name:?}")),
            "Group" => {
                user.groups.iter().any(|group| group == name).then(|| format!("Group {name:?}"))
            }
            "ServiceAccount" => {
                let own = text(subject, &["namespace"]);
                let place = if own.is_empty() { namespace } else { own };
                let is = user.name == format!("system:serviceaccount:{place}:{name}");
                is.then(|| format!("ServiceAccount \"{name}/{place}\""))
            }
            _ => None,
        }
    })
}

fn allows(rule: &Value, wanted: &Attributes) -> bool {
    let has = |key: &str, value: &str| {
        list(rule, &[key]).iter().any(|known| known == "*" || known == value)
    };
    if !has("verbs", &wanted.verb) {
        return false;
    }
    if let Some(path) = &wanted.path {
        return list(rule, &["nonResourceURLs"]).iter().filter_map(Value::as_str).any(|url| {
            url == path || url.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
        });
    }
    let any = format!("*/{}", wanted.subresource);
    let resource = has("resources", &wanted.full_resource())
        || (!wanted.subresource.is_empty() && has("resources", &any));
    let names = list(rule, &["resourceNames"]);
    let named = names.is_empty() || names.iter().any(|name| *name == wanted.name.as_str());
    has("apiGroups", &wanted.group) && resource && named
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}), false)]
    #[case(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods/log"]}), true)]
    #[case(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/log"]}), true)]
    #[case(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}), true)]
    #[case(json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]}), false)]
    #[case(json!({"verbs": ["list"], "apiGroups": [""], "resources": ["*"]}), false)]
    #[case(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["*"], "resourceNames": ["q"]}), false)]
    #[case(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["*"], "resourceNames": ["p"]}), true)]
    fn rules_of_resources(#[case] rule: Value, #[case] allowed: bool) {
        let wanted = Attributes {
            verb: "get".into(),
            resource: "pods".into(),
            subresource: "log".into(),
            namespace: "n".into(),
            name: "p".into(),
            ..Attributes::default()
        };
        assert_eq!(allows(&rule, &wanted), allowed);
    }

    #[rstest]
    #[case("/version", true)]
    #[case("/openapi/v3", true)]
    #[case("/metrics", false)]
    fn rules_of_paths(#[case] path: &str, #[case] allowed: bool) {
        let rule = json!({"verbs": ["get"], "nonResourceURLs": ["/version", "/openapi/*"]});
        let wanted =
            Attributes { verb: "get".into(), path: Some(path.into()), ..Attributes::default() };
        assert_eq!(allows(&rule, &wanted), allowed);
    }
}
