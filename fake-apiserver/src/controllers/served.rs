//! What kinds the API serves: for controllers that care for objects of any kind.

use kube::Client;
use kube::api::ApiResource;
use kube::core::GroupVersionKind;

/// A kind that can be listed, watched and deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) resource: ApiResource,
    pub(super) namespaced: bool,
}

/// Asks the API what it serves, each kind in its preferred version.
pub(super) async fn served(client: &Client) -> kube::Result<Vec<Served>> {
    let mut lists = vec![("v1".to_owned(), client.list_core_api_resources("v1").await?)];
    for group in client.list_api_groups().await?.groups {
        let version = group.preferred_version.or_else(|| group.versions.into_iter().next());
        let Some(version) = version.map(|v| v.group_version) else { continue };
        lists.push((version.clone(), client.list_api_group_resources(&version).await?));
    }
    let needed = ["list", "watch", "delete"];
    let mut found = Vec::new();
    for (version, list) in lists {
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        for resource in list.resources {
            let able = needed.iter().all(|verb| resource.verbs.iter().any(|v| v == verb));
            if able && !resource.name.contains('/') {
                let kind = GroupVersionKind::gvk(group, version, &resource.kind);
                let namespaced = resource.namespaced;
                found.push(Served {
                    resource: ApiResource::from_gvk_with_plural(&kind, &resource.name),
                    namespaced,
                });
            }
        }
    }
    Ok(found)
}
