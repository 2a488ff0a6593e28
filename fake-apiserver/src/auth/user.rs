//! Users: name, groups, and being taken for another one.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde_json::{Value, json};

use super::rbac::Attributes;
use crate::authority::Subject;

const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
pub(super) const ANONYMOUS: &str = "system:anonymous";

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    pub(crate) fn master(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            groups: vec!["system:masters".to_owned(), AUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    pub(super) fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    pub(super) fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let mut groups = account_groups(namespace);
        groups.push(AUTHENTICATED.to_owned());
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            uid: uid.to_owned(),
            groups,
            ..Self::default()
        }
    }

    /// Who shows a certificate is its common name, in the groups of its organizations.
    pub(crate) fn certified(subject: Subject, digest: &str) -> Self {
        let Subject { common_name, organizations: mut groups } = subject;
        groups.push(AUTHENTICATED.to_owned());
        let id = (
            "authentication.kubernetes.io/credential-id".to_owned(),
            vec![format!("X509SHA256={digest}")],
        );
        Self { name: common_name, groups, extra: [id].into(), ..Self::default() }
    }

    /// The user as reviews show it.
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            crate::json::put(&mut info, &["uid"], self.uid.as_str().into());
        }
        if !self.extra.is_empty() {
            crate::json::put(&mut info, &["extra"], json!(self.extra));
        }
        info
    }
}

fn account_groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

/// Namespace and name of the service account that a user is.
fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// The user that a request wants to be taken for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Impersonation(User);

impl Impersonation {
    /// What the `Impersonate-` headers ask for.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let groups = headers.get_all("impersonate-group").iter();
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in headers {
            if let (Some(key), Ok(value)) =
                (name.as_str().strip_prefix("impersonate-extra-"), value.to_str())
            {
                extra.entry(key.to_owned()).or_default().push(value.to_owned());
            }
        }
        Some(Self(User {
            name: text("impersonate-user")?.to_owned(),
            uid: text("impersonate-uid").unwrap_or_default().to_owned(),
            groups: groups.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect(),
            extra,
        }))
    }

    /// What the one who asks must be allowed to do.
    pub(super) fn needed(&self) -> Vec<Attributes> {
        let Self(user) = self;
        let of = |group: &str, resource: &str, subresource: &str, name: &str| Attributes {
            verb: "impersonate".to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        let mut needed = vec![match account(&user.name) {
            Some((namespace, name)) => Attributes {
                namespace: namespace.to_owned(),
                ..of("", "serviceaccounts", "", name)
            },
            None => of("", "users", "", &user.name),
        }];
        let authentication = "authentication.k8s.io";
        needed.extend(user.groups.iter().map(|group| of("", "groups", "", group)));
        for (key, values) in &user.extra {
            needed.extend(values.iter().map(|v| of(authentication, "userextras", key, v)));
        }
        if !user.uid.is_empty() {
            needed.push(of(authentication, "uids", "", &user.uid));
        }
        needed
    }

    /// The user, with the groups that it has by itself.
    pub(super) fn user(&self) -> User {
        let mut user = self.0.clone();
        if let (Some((namespace, _)), []) = (account(&user.name), user.groups.as_slice()) {
            user.groups = account_groups(namespace);
        }
        let own = if user.name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
        if !user
            .groups
            .iter()
            .any(|group| [AUTHENTICATED, UNAUTHENTICATED].contains(&group.as_str()))
        {
            user.groups.push(own.to_owned());
        }
        user
    }
}
