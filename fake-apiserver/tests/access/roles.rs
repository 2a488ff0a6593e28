use serde_json::{Value, json};

use crate::{Guarded, get, send, until};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

fn cluster_role(name: &str, rules: &Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})
}

fn binding(name: &str, role: &str, user: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    })
}

fn role(name: &str, verbs: &Value) -> Value {
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]);
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules})
}

/// A world in which ann administers what RBAC holds, and may read pods.
async fn world() -> Guarded {
    let world = Guarded::new();
    let rules = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["create", "update", "patch", "get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    ]);
    world.create(&format!("{RBAC}/clusterroles"), cluster_role("warden", &rules)).await;
    world
        .create(&format!("{RBAC}/namespaces/default/rolebindings"), binding("ann", "warden", "ann"))
        .await;
    world
}

#[tokio::test(start_paused = true)]
async fn nobody_writes_a_role_that_gives_more_than_they_have() {
    let world = world().await;
    let (ann, roles) = (world.user("ann"), format!("{RBAC}/namespaces/default/roles"));
    assert_eq!(world.post(&ann, &roles, &role("reader", &json!(["get"]))).await.0, 201);
    let (code, status) =
        world.post(&ann, &roles, &role("writer", &json!(["get", "delete", "create"]))).await;
    let text = "roles.rbac.authorization.k8s.io \"writer\" is forbidden: user \"ann\" (groups=[\"system:authenticated\"]) \
                is attempting to grant RBAC permissions not currently held:\n\
                {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\" \"create\"]}";
    assert_eq!((code, status["message"].as_str()), (403, Some(text)));
    let place = format!("{roles}/reader");
    let more = json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
    let kind = "application/merge-patch+json";
    assert_eq!(send(&ann, "PATCH", &place, kind, &more).await.0, 403);
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(send(&ann, "PATCH", &place, kind, &label).await.0, 200);
    // Whoever may escalate, may.
    let escalate = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]}]);
    world.create(&format!("{RBAC}/clusterroles"), cluster_role("escalate", &escalate)).await;
    world
        .create(
            &format!("{RBAC}/namespaces/default/rolebindings"),
            binding("up", "escalate", "ann"),
        )
        .await;
    assert_eq!(send(&ann, "PATCH", &place, kind, &more).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn nobody_binds_a_role_that_gives_more_than_they_have() {
    let world = world().await;
    let (ann, bindings) = (world.user("ann"), format!("{RBAC}/namespaces/default/rolebindings"));
    let (code, status) = world.post(&ann, &bindings, &binding("b", "edit", "bob")).await;
    assert_eq!(code, 403);
    assert!(status["message"].as_str().unwrap().contains("not currently held"), "{status}");
    assert_eq!(world.post(&ann, &bindings, &binding("b", "warden", "bob")).await.0, 201);
    let (code, status) = world.post(&ann, &bindings, &binding("c", "none", "bob")).await;
    let text = "clusterrole.rbac.authorization.k8s.io \"none\" not found";
    assert_eq!((code, status["message"].as_str()), (404, Some(text)));
    let bind = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
        "resourceNames": ["edit"], "verbs": ["bind"]}]);
    world.create(&format!("{RBAC}/clusterroles"), cluster_role("binder", &bind)).await;
    world.create(&bindings, binding("d", "binder", "ann")).await;
    assert_eq!(world.post(&ann, &bindings, &binding("e", "edit", "bob")).await.0, 201);
    assert_eq!(world.post(&ann, &bindings, &binding("f", "admin", "bob")).await.0, 403);
}

#[tokio::test(start_paused = true)]
async fn an_aggregated_role_gathers_the_rules_of_others() {
    let world = world().await;
    let place = format!("{RBAC}/clusterroles");
    // The default ones are gathered to begin with: nobody writes them again.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let first = world
        .server
        .history(0)
        .into_iter()
        .filter(|c| c.resource == "clusterroles" && c.name == "admin");
    assert_eq!(first.count(), 1);
    let rules =
        json!([{"apiGroups": ["stable.example.com"], "resources": ["*"], "verbs": ["get"]}]);
    let mut extra = cluster_role("crontab-view", &rules);
    extra["metadata"]["labels"] = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    world.create(&place, extra).await;
    let has = |role: &Value| role["rules"].as_array().unwrap().contains(&rules[0]);
    for role in ["view", "edit", "admin"] {
        until(&world.master, &format!("{place}/{role}"), has).await;
    }
    let (_, view) = get(&world.master, &format!("{place}/view")).await;
    let managers = view["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        managers.iter().any(|m| m["manager"] == "clusterrole-aggregation-controller"),
        "{view}"
    );
    send(
        &world.master,
        "DELETE",
        &format!("{place}/crontab-view"),
        "application/json",
        &Value::Null,
    )
    .await;
    for role in ["view", "edit", "admin"] {
        until(&world.master, &format!("{place}/{role}"), |role| !has(role)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_aggregated_role_is_for_those_who_have_everything() {
    let world = world().await;
    let body = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
    });
    let bindings = format!("{RBAC}/clusterrolebindings");
    let mut everywhere = binding("ann", "warden", "ann");
    everywhere["kind"] = "ClusterRoleBinding".into();
    world.create(&bindings, everywhere).await;
    let (code, status) =
        world.post(&world.user("ann"), &format!("{RBAC}/clusterroles"), &body).await;
    assert_eq!(code, 403);
    let text = status["message"].as_str().unwrap();
    assert!(text.contains(r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#), "{text}");
}
