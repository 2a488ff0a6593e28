//! Which resources are served: the built-in ones from recorded discovery, the custom ones from their definitions.
//!
//! Owns the answer to "what is at this group, version and plural". It stores no objects.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

use serde_json::Value;

use crate::crd::Custom;
use crate::json;
use crate::refusal::Named;
use crate::schema::{Schema, builtin};
use crate::store::GroupResource;

/// A subresource: the kind it speaks and what can be done with it.
#[derive(Debug, Clone)]
pub(crate) struct Subresource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) verbs: Vec<String>,
}

/// Where a resource's type comes from.
#[derive(Debug, Clone)]
pub(crate) enum Family {
    /// The recorded schema, once it was asked for.
    Builtin(OnceLock<&'static Schema>),
    Custom(Arc<Custom>),
}

/// A resource in one version.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// Its identity in storage.
    pub(crate) id: Arc<GroupResource>,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) verbs: Vec<String>,
    pub(crate) subresources: BTreeMap<String, Subresource>,
    pub(crate) family: Family,
}

impl Resource {
    /// `group/version`, or `version` in the legacy group.
    pub(crate) fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    pub(crate) fn schema(&self) -> &Schema {
        match &self.family {
            Family::Builtin(schema) => schema.get_or_init(|| {
                builtin::kind(&self.group, &self.version, &self.kind).unwrap_or(Schema::any())
            }),
            Family::Custom(custom) => &custom.schema,
        }
    }

    pub(crate) fn custom(&self) -> Option<&Custom> {
        match &self.family {
            Family::Builtin(_) => None,
            Family::Custom(custom) => Some(custom),
        }
    }

    /// How errors name the resource (`statefulsets.apps`).
    pub(crate) fn named(&self) -> Named<'_> {
        Named { group: &self.group, resource: &self.plural }
    }

    /// How errors about fields name it (`StatefulSet.apps`).
    pub(crate) fn named_kind(&self) -> Named<'_> {
        // Of the group that keeps the objects: events are of the core whatever view they came by.
        Named { group: &self.id.group, resource: &self.kind }
    }

    /// Whether this is the kind of a group, such as `("apps", "StatefulSet")`.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Group, version, plural.
type Place = (String, String, String);

static BUILTIN: LazyLock<BTreeMap<Place, Arc<Resource>>> = LazyLock::new(|| {
    ["api", "apis"]
        .iter()
        .flat_map(|root| json::list(&builtin::RECORDED_DISCOVERY, &[root, "items"]))
        .flat_map(|group| {
            let name = json::text(group, &["metadata", "name"]);
            json::list(group, &["versions"]).iter().flat_map(move |version| {
                let version_name = json::text(version, &["version"]);
                json::list(version, &["resources"])
                    .iter()
                    .map(move |json| read_builtin(name, version_name, json))
            })
        })
        .map(|resource| {
            let place = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
            (place, Arc::new(resource))
        })
        .collect()
});

fn words(json: &Value, key: &str) -> Vec<String> {
    json::list(json, &[key]).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn read_builtin(group: &str, version: &str, json: &Value) -> Resource {
    let plural = json::text(json, &["resource"]);
    let kind = json::text(json, &["responseKind", "kind"]);
    // One set of events is seen through two groups.
    let id = match (group, plural) {
        ("events.k8s.io", "events") => {
            GroupResource { group: String::new(), resource: "events".into() }
        }
        _ => GroupResource { group: group.into(), resource: plural.into() },
    };
    let subresources = json::list(json, &["subresources"]).iter().map(|sub| {
        let text = |path: &[&str]| json::text(sub, path).to_owned();
        let subresource = Subresource {
            group: text(&["responseKind", "group"]),
            version: text(&["responseKind", "version"]),
            kind: text(&["responseKind", "kind"]),
            verbs: words(sub, "verbs"),
        };
        (text(&["subresource"]), subresource)
    });
    Resource {
        id: Arc::new(id),
        group: group.into(),
        version: version.into(),
        plural: plural.into(),
        singular: json::text(json, &["singularResource"]).into(),
        kind: kind.into(),
        list_kind: format!("{kind}List"),
        namespaced: json::text(json, &["scope"]) == "Namespaced",
        short_names: words(json, "shortNames"),
        categories: words(json, "categories"),
        verbs: words(json, "verbs"),
        subresources: subresources.collect(),
        family: Family::Builtin(OnceLock::new()),
    }
}

/// The resources served at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    custom: BTreeMap<Place, Arc<Resource>>,
}

impl Registry {
    pub(crate) fn get(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let place = (group.to_owned(), version.to_owned(), plural.to_owned());
        BUILTIN.get(&place).or_else(|| self.custom.get(&place)).cloned()
    }

    /// Every resource, the built-in ones first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        BUILTIN.values().chain(self.custom.values())
    }

    /// The custom resources of a group.
    pub(crate) fn custom(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.custom.values()
    }

    /// Whether a group is one of those every server has.
    pub(crate) fn is_builtin_group(&self, group: &str) -> bool {
        BUILTIN.keys().any(|(known, _, _)| known == group)
    }

    /// Whether a group version is served.
    pub(crate) fn serves(&self, group: &str, version: &str) -> bool {
        self.all().any(|resource| resource.group == group && resource.version == version)
    }

    /// Replaces the served versions of a custom resource.
    pub(crate) fn set_custom(&mut self, group: &str, plural: &str, versions: Vec<Resource>) {
        self.custom.retain(|(known_group, _, known_plural), _| {
            known_group != group || known_plural != plural
        });
        for resource in versions {
            let place = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
            self.custom.insert(place, Arc::new(resource));
        }
    }
}
