//! What a request is about, read from its method and address.

use http::{Method, Uri};

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads a collection.
    List,
    /// Watches a collection.
    Watch,
    /// Creates an object, or a binding or eviction of one.
    Create,
    /// Replaces an object.
    Update,
    /// Patches an object.
    Patch,
    /// Deletes an object or a collection.
    Delete,
}

/// What a request is about. Absent parts are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What it does.
    pub verb: Verb,
    /// The plural of the kind.
    pub resource: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name; empty in a request on a collection.
    pub name: String,
    /// The subresource.
    pub subresource: String,
}

impl Target {
    /// Reads a request's target.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let (namespace, rest) = match rest {
            // The namespace itself, and its own subresources.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] | ["namespaces"] => {
                ("", rest)
            }
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        let name = part(1);
        let flag = |pair: &str| matches!(pair, "watch=true" | "watch=1");
        let watches = uri.query().is_some_and(|query| query.split('&').any(flag));
        let verb = match method.as_str() {
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "PATCH" => Verb::Patch,
            "DELETE" => Verb::Delete,
            _ if watches => Verb::Watch,
            _ if name.is_empty() => Verb::List,
            _ => Verb::Get,
        };
        Self {
            verb,
            resource: part(0),
            namespace: namespace.to_owned(),
            name,
            subresource: part(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("GET", "/api/v1/namespaces/d/pods/p", Verb::Get, "d pods p ")]
    #[case("GET", "/api/v1/pods?watch=true&x=1", Verb::Watch, " pods  ")]
    #[case("GET", "/api/v1/namespaces/d/pods?limit=5", Verb::List, "d pods  ")]
    #[case("GET", "/api/v1/namespaces/d", Verb::Get, " namespaces d ")]
    #[case("PUT", "/api/v1/namespaces/d/finalize", Verb::Update, " namespaces d finalize")]
    #[case(
        "PATCH",
        "/apis/apps/v1/namespaces/d/statefulsets/s/status",
        Verb::Patch,
        "d statefulsets s status"
    )]
    #[case("DELETE", "/apis/apps/v1/namespaces/d/statefulsets", Verb::Delete, "d statefulsets  ")]
    #[case("POST", "/api/v1/namespaces/d/pods/p/eviction", Verb::Create, "d pods p eviction")]
    #[case("GET", "/version", Verb::List, "   ")]
    fn targets_are_read(
        #[case] method: Method,
        #[case] uri: Uri,
        #[case] verb: Verb,
        #[case] rest: &str,
    ) {
        let target = Target::of(&method, &uri);
        let shown = format!(
            "{} {} {} {}",
            target.namespace, target.resource, target.name, target.subresource
        );
        assert_eq!((target.verb, shown.as_str()), (verb, rest));
    }
}
