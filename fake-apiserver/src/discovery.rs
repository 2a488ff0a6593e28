//! What is served, and how the server is: discovery, versions, health.

use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::registry::{Resource, Subresource, group_version};
use crate::request::Request;
use crate::respond::Reply;
use crate::schema::builtin::RECORDED_DISCOVERY;
use crate::state::State;
use crate::{json, openapi};

/// Answers a path that is no resource's.
pub(crate) fn answer(state: &State, request: &Request, parts: &[String]) -> Result<Reply, Refusal> {
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    let aggregated = request.accept.contains("as=APIGroupDiscoveryList");
    match words.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Ok(Reply::text(200, "ok")),
        ["version"] => recorded("version"),
        ["api"] if aggregated => recorded_aggregate("api"),
        ["api"] => recorded("api_legacy"),
        ["apis"] if aggregated => Ok(aggregate(state)),
        ["apis"] => Ok(Reply::json(200, &group_list(state))),
        ["api", "v1"] => Ok(resource_list(state, "", "v1")),
        ["apis", group] => match group_list_entry(state, group) {
            Some(mut found) => {
                json::put(&mut found, &["apiVersion"], "v1".into());
                json::put(&mut found, &["kind"], "APIGroup".into());
                Ok(Reply::json(200, &found))
            }
            None => Err(Refusal::page_not_found()),
        },
        ["apis", group, version] if state.registry.serves(group, version) => {
            Ok(resource_list(state, group, version))
        }
        ["apis", group, _] if !state.registry.is_builtin_group(group) => {
            Err(Refusal::page_not_found())
        }
        ["api" | "apis", ..] => Err(Refusal::no_such_resource()),
        ["openapi", "v3"] => Ok(openapi::root(state)),
        ["openapi", "v3", "api", version] => openapi::document(state, "", version),
        ["openapi", "v3", "apis", group, version] => openapi::document(state, group, version),
        _ => Err(Refusal::page_not_found()),
    }
}

fn recorded(key: &str) -> Result<Reply, Refusal> {
    let found = RECORDED_DISCOVERY.get(key).ok_or_else(Refusal::page_not_found)?;
    Ok(Reply::json(200, found))
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn recorded_aggregate(key: &str) -> Result<Reply, Refusal> {
    Ok(Reply { content_type: AGGREGATED, ..recorded(key)? })
}

/// The resources of a version.
type Version<'a> = (String, Vec<&'a Resource>);
/// The versions of a group.
type Group<'a> = (String, Vec<Version<'a>>);

/// Custom resources by group, and by version within the group, the preferred version first.
fn custom_groups(state: &State) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for resource in state.registry.custom() {
        if !groups.iter().any(|(name, _)| *name == resource.group) {
            groups.push((resource.group.clone(), Vec::new()));
        }
        let Some((_, versions)) = groups.iter_mut().find(|(name, _)| *name == resource.group)
        else {
            continue;
        };
        if !versions.iter().any(|(name, _)| *name == resource.version) {
            versions.push((resource.version.clone(), Vec::new()));
        }
        if let Some((_, resources)) =
            versions.iter_mut().find(|(name, _)| *name == resource.version)
        {
            resources.push(resource);
        }
    }
    for (_, versions) in &mut groups {
        versions.sort_by_key(|(name, _)| std::cmp::Reverse(priority(name)));
    }
    groups
}

/// Stable versions before beta and alpha ones, the newest first; odd names last.
pub(crate) fn priority(version: &str) -> (u8, u32, u32) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let (stage, name) = if rest.contains("alpha") {
        (1, "alpha")
    } else if rest.contains("beta") {
        (2, "beta")
    } else {
        (3, "")
    };
    let (major, minor) =
        if name.is_empty() { (rest, "0") } else { rest.split_once(name).unwrap_or((rest, "0")) };
    match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => (stage, major, minor),
        _ => (0, 0, 0),
    }
}

fn group_list(state: &State) -> Value {
    let mut list = RECORDED_DISCOVERY.get("apis_legacy").cloned().unwrap_or_default();
    let custom = custom_groups(state).into_iter().map(|(group, versions)| {
        let names: Vec<String> = versions.into_iter().map(|(name, _)| name).collect();
        custom_group(&group, &names)
    });
    let mut groups = json::list(&list, &["groups"]).to_vec();
    groups.extend(custom);
    json::put(&mut list, &["groups"], groups.into());
    list
}

fn custom_group(group: &str, versions: &[String]) -> Value {
    let entry = |version: &String| json!({"groupVersion": group_version(group, version), "version": version});
    let entries: Vec<Value> = versions.iter().map(entry).collect();
    json!({"name": group, "preferredVersion": entries.first(), "versions": entries})
}

fn group_list_entry(state: &State, group: &str) -> Option<Value> {
    json::list(&group_list(state), &["groups"])
        .iter()
        .find(|known| json::text(known, &["name"]) == group)
        .cloned()
}

fn resource_list(state: &State, group: &str, version: &str) -> Reply {
    let mut resources = Vec::new();
    for resource in state.registry.all().filter(|r| r.group == group && r.version == version) {
        resources.push(legacy_entry(resource));
        resources.extend(
            resource.subresources.iter().map(|(name, sub)| legacy_subresource(resource, name, sub)),
        );
    }
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version(group, version), "resources": resources});
    if !group.is_empty() {
        json::put(&mut list, &["apiVersion"], "v1".into());
    }
    Reply::json(200, &list)
}

fn legacy_entry(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs,
    });
    for (key, words) in
        [("shortNames", &resource.short_names), ("categories", &resource.categories)]
    {
        if !words.is_empty() {
            json::put(&mut entry, &[key], words.clone().into());
        }
    }
    entry
}

fn legacy_subresource(resource: &Resource, name: &str, sub: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{name}", resource.plural), "singularName": "", "namespaced": resource.namespaced,
        "kind": sub.kind, "verbs": sub.verbs,
    });
    if !sub.version.is_empty() {
        json::put(&mut entry, &["group"], sub.group.as_str().into());
        json::put(&mut entry, &["version"], sub.version.as_str().into());
    }
    entry
}

fn aggregate(state: &State) -> Reply {
    let mut list = RECORDED_DISCOVERY.get("apis").cloned().unwrap_or_default();
    let mut items = json::list(&list, &["items"]).to_vec();
    for (group, versions) in custom_groups(state) {
        let versions: Vec<Value> = versions
            .into_iter()
            .map(|(version, resources)| {
                let resources: Vec<Value> = resources.into_iter().map(aggregated_entry).collect();
                json!({"version": version, "freshness": "Current", "resources": resources})
            })
            .collect();
        items.push(json!({"metadata": {"name": group}, "versions": versions}));
    }
    json::put(&mut list, &["items"], items.into());
    Reply { content_type: AGGREGATED, ..Reply::json(200, &list) }
}

fn aggregated_entry(resource: &Resource) -> Value {
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let mut entry = json!({
        "resource": resource.plural, "responseKind": kind, "singularResource": resource.singular,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" }, "verbs": resource.verbs,
    });
    for (key, words) in
        [("shortNames", &resource.short_names), ("categories", &resource.categories)]
    {
        if !words.is_empty() {
            json::put(&mut entry, &[key], words.clone().into());
        }
    }
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|(name, sub)| {
            let own = sub.version.is_empty();
            let group = if own { &resource.group } else { &sub.group };
            let version = if own { &resource.version } else { &sub.version };
            json!({
                "subresource": name, "verbs": sub.verbs,
                "responseKind": {"group": group, "version": version, "kind": sub.kind},
            })
        })
        .collect();
    if !subresources.is_empty() {
        json::put(&mut entry, &["subresources"], subresources.into());
    }
    entry
}
