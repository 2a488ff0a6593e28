//! Aggregated cluster roles: the rules of one are those of all roles that its selectors find.
//!
//! It has a watch of its own, for nothing else is known of roles.

use std::collections::BTreeMap;

use futures::StreamExt;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::cache::{Again, Cluster, overtaken};
use crate::selector::label_selector_matches;

const MANAGER: &str = "clusterrole-aggregation-controller";

type Roles = BTreeMap<String, ClusterRole>;

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let api = Api::<ClusterRole>::all(cluster.client.clone());
    let mut stream = Box::pin(watcher(api.clone(), watcher::Config::default()));
    let (mut roles, mut listed) = (Roles::new(), false);
    let mut pause = None;
    loop {
        let timer = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            event = stream.next() => event,
            () = timer => None,
        };
        match event {
            Some(Ok(event)) => take_in(event, &mut roles, &mut listed),
            Some(Err(error)) => {
                tracing::warn!(%error, "cluster roles cannot be watched");
                tokio::time::sleep(super::cache::RETRY).await;
            }
            None => {}
        }
        pause = if listed { pass(&api, &roles).await } else { None };
    }
}

fn take_in(event: Event<ClusterRole>, roles: &mut Roles, listed: &mut bool) {
    match event {
        Event::Init => {
            roles.clear();
            *listed = false;
        }
        Event::InitDone => *listed = true,
        Event::InitApply(role) | Event::Apply(role) => {
            roles.insert(role.name_any(), role);
        }
        Event::Delete(role) => {
            roles.remove(&role.name_any());
        }
    }
}

/// Writes the rules of each aggregated role that are not as they should be.
async fn pass(api: &Api<ClusterRole>, roles: &Roles) -> Option<std::time::Duration> {
    let mut again = Again::default();
    for (name, role) in roles.iter().filter(|(_, role)| role.aggregation_rule.is_some()) {
        let rules = gathered(role, roles);
        if rules != role.rules.clone().unwrap_or_default() {
            again.note("gathering rules", write(api, name, &rules).await);
        }
    }
    again.pause()
}

/// The rules of all roles that a role selects, each once, by the names of the roles.
fn gathered(role: &ClusterRole, roles: &Roles) -> Vec<PolicyRule> {
    let selectors =
        role.aggregation_rule.iter().flat_map(|r| r.cluster_role_selectors.iter().flatten());
    let selectors: Vec<Value> = selectors.map(|selector| json!(selector)).collect();
    let mut rules: Vec<PolicyRule> = Vec::new();
    for (_, other) in roles.iter().filter(|(name, _)| **name != role.name_any()) {
        let labels = json!(other.labels());
        if selectors.iter().any(|selector| label_selector_matches(selector, &labels)) {
            for rule in other.rules.iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    rules
}

async fn write(api: &Api<ClusterRole>, name: &str, rules: &[PolicyRule]) -> kube::Result<()> {
    let body = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": { "name": name }, "rules": rules,
    });
    let params = PatchParams::apply(MANAGER).force();
    overtaken(api.patch(name, &params, &Patch::Apply(body)).await)?;
    Ok(())
}
