//! The roles and bindings that every cluster has.

use serde_json::{Value, json};

use super::rbac::id;
use crate::state::{State, time};
use crate::store::{Author, Key};

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

const GROUP: &str = "rbac.authorization.k8s.io";

/// Makes them.
pub(super) fn found(state: &mut State) {
    for Role { name, feeds, gathers, rules } in roles() {
        let mut role = json!({"kind": "ClusterRole", "rules": rules});
        if let Some(label) = gathers {
            let selectors = json!([{"matchLabels": {feeding(label): "true"}}]);
            crate::json::put(&mut role, &["aggregationRule", "clusterRoleSelectors"], selectors);
        }
        put(state, "clusterroles", name, feeds, role);
    }
    let bindings: [(&str, &[&str]); 6] = [
        ("cluster-admin", &["system:masters"]),
        ("system:basic-user", &["system:authenticated"]),
        ("system:discovery", &["system:authenticated"]),
        ("system:monitoring", &["system:monitoring"]),
        ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
        ("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
    ];
    for (name, groups) in bindings {
        let subject = |group: &&str| json!({"kind": "Group", "apiGroup": GROUP, "name": group});
        let binding = json!({
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
            "subjects": groups.iter().map(subject).collect::<Vec<_>>(),
        });
        put(state, "clusterrolebindings", name, None, binding);
    }
}

/// The label of roles whose rules another one gathers.
fn feeding(role: &str) -> String {
    format!("{GROUP}/aggregate-to-{role}")
}

fn put(state: &mut State, resource: &str, name: &str, feeds: Option<&str>, mut object: Value) {
    let now = state.now();
    crate::json::put(&mut object, &["apiVersion"], format!("{GROUP}/v1").into());
    let mut metadata = json!({
        "name": name, "uid": state.seeds.uid(), "creationTimestamp": time(now),
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
    });
    if let Some(role) = feeds {
        crate::json::put(&mut metadata, &["labels", &feeding(role)], "true".into());
    }
    crate::json::put(&mut object, &["metadata"], metadata);
    let author = Author { at: now, user_agent: "kube-apiserver".into() };
    state.store.put(&id(resource), Key::new("", name), object, &author);
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": groups, "resources": resources})
}

/// A cluster role, which may feed another one that gathers its rules.
struct Role {
    name: &'static str,
    feeds: Option<&'static str>,
    gathers: Option<&'static str>,
    rules: Vec<Value>,
}

impl Role {
    fn new(name: &'static str, rules: Vec<Value>) -> Self {
        Self { name, feeds: None, gathers: None, rules }
    }

    fn feeds(self, role: &'static str) -> Self {
        Self { feeds: Some(role), ..self }
    }

    fn gathers(self, label: &'static str) -> Self {
        Self { gathers: Some(label), ..self }
    }
}

fn roles() -> Vec<Role> {
    let discovery = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
    let info = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let monitoring = [
        "/healthz",
        "/healthz/*",
        "/livez",
        "/livez/*",
        "/metrics",
        "/metrics/slis",
        "/readyz",
        "/readyz/*",
    ];
    let issuer = [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/",
        "/openid/v1/jwks",
        "/openid/v1/jwks/",
    ];
    let paths = |urls: &[&str]| json!({"verbs": ["get"], "nonResourceURLs": urls});
    let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    // Gathered at once, as if the controller that does it had run: in the order of the names of what feeds them.
    let edit = [changes(), view()].concat();
    let admin = [edit.clone(), grants()].concat();
    let all = vec![rule(&["*"], &["*"], &["*"]), json!({"verbs": ["*"], "nonResourceURLs": ["*"]})];
    let basic = vec![
        rule(&["create"], &["authorization.k8s.io"], &reviews),
        rule(&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"]),
    ];
    let delegator = vec![
        rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
        rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
    ];
    let mut roles = vec![
        Role::new("admin", admin).gathers("admin"),
        Role::new("cluster-admin", all),
        Role::new("edit", edit).gathers("edit").feeds("admin"),
        Role::new("system:aggregate-to-admin", grants()).feeds("admin"),
        Role::new("system:aggregate-to-edit", changes()).feeds("edit"),
        Role::new("system:aggregate-to-view", view()).feeds("view"),
        Role::new("system:auth-delegator", delegator),
        Role::new("system:basic-user", basic),
        Role::new("system:discovery", vec![paths(&[&discovery[..], &info].concat())]),
        Role::new("system:monitoring", vec![paths(&monitoring)]),
        Role::new("system:public-info-viewer", vec![paths(&info)]),
        Role::new("system:service-account-issuer-discovery", vec![paths(&issuer)]),
        Role::new("view", view()).gathers("view").feeds("edit"),
    ];
    roles.extend(approvers());
    roles
}

/// Who may approve certificates of the signers of Kubernetes.
fn approvers() -> impl Iterator<Item = Role> {
    let signers = [
        ("system:certificates.k8s.io:kube-apiserver-client-approver", "kube-apiserver-client"),
        (
            "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
            "kube-apiserver-client-kubelet",
        ),
        ("system:certificates.k8s.io:kubelet-serving-approver", "kubelet-serving"),
        ("system:certificates.k8s.io:legacy-unknown-approver", "legacy-unknown"),
    ];
    signers.into_iter().map(|(name, signer)| {
        let signer = format!("kubernetes.io/{signer}");
        let mut approve = rule(&["approve"], &["certificates.k8s.io"], &["signers"]);
        crate::json::put(&mut approve, &["resourceNames"], json!([signer]));
        Role::new(name, vec![approve])
    })
}

/// What an administrator of a namespace does besides.
fn grants() -> Vec<Value> {
    vec![
        rule(&["create"], &["authorization.k8s.io"], &["localsubjectaccessreviews"]),
        rule(&[&READ[..], &WRITE].concat(), &[GROUP], &["rolebindings", "roles"]),
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
