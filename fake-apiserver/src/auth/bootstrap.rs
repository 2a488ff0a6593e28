//! The roles and bindings that every cluster has.

use serde_json::{Value, json};

use super::rbac::id;
use crate::state::{State, time};
use crate::store::{Author, Key};

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

/// Makes them.
pub(super) fn found(state: &mut State) {
    for (name, rules) in roles() {
        let role = json!({"kind": "ClusterRole", "rules": rules});
        put(state, "clusterroles", name, role);
    }
    let bindings: [(&str, &[&str]); 4] = [
        ("cluster-admin", &["system:masters"]),
        ("system:basic-user", &["system:authenticated"]),
        ("system:discovery", &["system:authenticated"]),
        ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ];
    for (name, groups) in bindings {
        let subject = |group: &&str| json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group});
        let binding = json!({
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": groups.iter().map(subject).collect::<Vec<_>>(),
        });
        put(state, "clusterrolebindings", name, binding);
    }
}

fn put(state: &mut State, resource: &str, name: &str, mut object: Value) {
    let now = state.now();
    crate::json::put(&mut object, &["apiVersion"], "rbac.authorization.k8s.io/v1".into());
    let metadata = json!({
        "name": name, "uid": state.seeds.uid(), "creationTimestamp": time(now),
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
    });
    crate::json::put(&mut object, &["metadata"], metadata);
    let author = Author { at: now, user_agent: "kube-apiserver".into() };
    state.store.put(&id(resource), Key::new("", name), object, &author);
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": groups, "resources": resources})
}

fn roles() -> Vec<(&'static str, Vec<Value>)> {
    let discovery = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
    let info = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let paths = |urls: &[&str]| json!({"verbs": ["get"], "nonResourceURLs": urls});
    let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    let mut view = view();
    let mut edit = view.clone();
    edit.extend(changes());
    let mut admin = edit.clone();
    let local = ["localsubjectaccessreviews"];
    admin.push(rule(&["create"], &["authorization.k8s.io"], &local));
    let rbac = ["rolebindings", "roles"];
    admin.push(rule(&[&READ[..], &WRITE].concat(), &["rbac.authorization.k8s.io"], &rbac));
    view.sort_by_cached_key(Value::to_string);
    vec![
        ("admin", admin),
        (
            "cluster-admin",
            vec![rule(&["*"], &["*"], &["*"]), json!({"verbs": ["*"], "nonResourceURLs": ["*"]})],
        ),
        ("edit", edit),
        (
            "system:basic-user",
            vec![
                rule(&["create"], &["authorization.k8s.io"], &reviews),
                rule(&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"]),
            ],
        ),
        ("system:discovery", vec![paths(&[&discovery[..], &info].concat())]),
        ("system:public-info-viewer", vec![paths(&info)]),
        ("view", view),
    ]
}

/// What a viewer of a namespace sees: everything but secrets and roles.
fn view() -> Vec<Value> {
    let core = [
        "bindings",
        "configmaps",
        "endpoints",
        "events",
        "limitranges",
        "namespaces",
        "namespaces/status",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "pods/log",
        "pods/status",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "replicationcontrollers/status",
        "resourcequotas",
        "resourcequotas/status",
        "serviceaccounts",
        "services",
        "services/status",
    ];
    let apps = [
        "controllerrevisions",
        "daemonsets",
        "daemonsets/status",
        "deployments",
        "deployments/scale",
        "deployments/status",
        "replicasets",
        "replicasets/scale",
        "replicasets/status",
        "statefulsets",
        "statefulsets/scale",
        "statefulsets/status",
    ];
    let batch = ["cronjobs", "cronjobs/status", "jobs", "jobs/status"];
    let scalers = ["horizontalpodautoscalers", "horizontalpodautoscalers/status"];
    let networks = ["ingresses", "ingresses/status", "networkpolicies"];
    let budgets = ["poddisruptionbudgets", "poddisruptionbudgets/status"];
    vec![
        rule(&READ, &[""], &core),
        rule(&READ, &["apps"], &apps),
        rule(&READ, &["batch"], &batch),
        rule(&READ, &["autoscaling"], &scalers),
        rule(&READ, &["networking.k8s.io"], &networks),
        rule(&READ, &["policy"], &budgets),
        rule(&READ, &["discovery.k8s.io"], &["endpointslices"]),
    ]
}

/// What an editor of a namespace does besides.
fn changes() -> Vec<Value> {
    let core = [
        "configmaps",
        "events",
        "persistentvolumeclaims",
        "pods",
        "pods/attach",
        "pods/exec",
        "pods/portforward",
        "pods/proxy",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "secrets",
        "serviceaccounts",
        "services",
        "services/proxy",
    ];
    let apps = [
        "daemonsets",
        "deployments",
        "deployments/rollback",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ];
    vec![
        rule(
            &READ,
            &[""],
            &["secrets", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"],
        ),
        rule(&["impersonate"], &[""], &["serviceaccounts"]),
        rule(&WRITE, &[""], &core),
        rule(&["create"], &[""], &["pods/eviction", "serviceaccounts/token"]),
        rule(&WRITE, &["apps"], &apps),
        rule(&WRITE, &["batch"], &["cronjobs", "jobs"]),
        rule(&WRITE, &["autoscaling"], &["horizontalpodautoscalers"]),
        rule(&WRITE, &["networking.k8s.io"], &["ingresses", "networkpolicies"]),
        rule(&WRITE, &["policy"], &["poddisruptionbudgets"]),
        rule(&[&READ[..], &WRITE].concat(), &["coordination.k8s.io"], &["leases"]),
    ]
}
