//! Pods, and the pods of templates.

use serde_json::{Map, Value, json};

use super::pod_spec;
use crate::json;
use crate::quantity::Quantity;
use crate::refusal::Cause;

/// How long a pod has before it is removed, in seconds.
pub(crate) fn grace_period(pod: &Value, asked: Option<i64>) -> i64 {
    let finished = ["Succeeded", "Failed"].contains(&json::text(pod, &["status", "phase"]));
    if finished || json::text(pod, &["spec", "nodeName"]).is_empty() {
        return 0;
    }
    asked.or_else(|| json::int(pod, &["spec", "terminationGracePeriodSeconds"])).unwrap_or(30)
}

/// The defaults of a pod's spec.
pub(crate) fn default_spec(spec: &mut Value) {
    let host_network = json::at(spec, &["hostNetwork"]) == Some(&Value::Bool(true));
    let map = json::as_object(spec);
    json::default_to(map, "restartPolicy", "Always");
    json::default_to(map, "terminationGracePeriodSeconds", 30);
    json::default_to(map, "dnsPolicy", "ClusterFirst");
    json::default_to(map, "securityContext", json!({}));
    json::default_to(map, "schedulerName", "default-scheduler");
    if let Some(account) = map.get("serviceAccountName").cloned() {
        map.insert("serviceAccount".into(), account);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        if let Some(Value::Array(containers)) = map.get_mut(list) {
            containers
                .iter_mut()
                .for_each(|container| default_container(json::as_object(container), host_network));
        }
    }
    if let Some(Value::Array(volumes)) = map.get_mut("volumes") {
        volumes.iter_mut().for_each(|volume| default_volume(json::as_object(volume)));
    }
}

fn default_container(container: &mut Map<String, Value>, host_network: bool) {
    json::default_to(container, "terminationMessagePath", "/dev/termination-log");
    json::default_to(container, "terminationMessagePolicy", "File");
    json::default_to(container, "resources", json!({}));
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    let latest = !image.contains('@') && tag.is_none_or(|tag| tag == "latest");
    json::default_to(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    if let Some(Value::Array(ports)) = container.get_mut("ports") {
        for port in ports {
            let number = json::at(port, &["containerPort"]).cloned().unwrap_or_default();
            let port = json::as_object(port);
            json::default_to(port, "protocol", "TCP");
            if host_network {
                json::default_to(port, "hostPort", number);
            }
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(Value::Object(probe)) = container.get_mut(probe) {
            for (key, seconds) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                json::default_to(probe, key, seconds);
            }
            default_handler(probe);
        }
    }
    if let Some(Value::Object(lifecycle)) = container.get_mut("lifecycle") {
        lifecycle.values_mut().filter_map(Value::as_object_mut).for_each(default_handler);
    }
    if let Some(Value::Array(env)) = container.get_mut("env") {
        for variable in env {
            if let Some(Value::Object(reference)) = variable.pointer_mut("/valueFrom/fieldRef") {
                json::default_to(reference, "apiVersion", "v1");
            }
        }
    }
}

/// Defaults of a pod that a template does not get.
pub(crate) fn default_pod(pod: &mut Value) {
    default_spec(json::as_object(pod).entry("spec").or_insert_with(|| json!({})));
    for list in ["initContainers", "containers"] {
        for container in pod
            .pointer_mut(&format!("/spec/{list}"))
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            default_requests(json::as_object(container));
        }
    }
    for condition in
        pod.pointer_mut("/status/conditions").and_then(Value::as_array_mut).into_iter().flatten()
    {
        let condition = json::as_object(condition);
        condition.entry("lastProbeTime").or_insert(Value::Null);
        condition.entry("lastTransitionTime").or_insert(Value::Null);
    }
}

/// What is limited is requested.
fn default_requests(container: &mut Map<String, Value>) {
    let limits = container.get("resources").and_then(|resources| resources.get("limits")).cloned();
    if let Some(Value::Object(limits)) = limits {
        let resources = container.entry("resources").or_insert_with(|| json!({}));
        let requests = json::object_mut(resources, "requests");
        for (key, limit) in limits {
            json::default_to(requests, &key, limit);
        }
    }
}

fn default_handler(handler: &mut Map<String, Value>) {
    if let Some(Value::Object(get)) = handler.get_mut("httpGet") {
        json::default_to(get, "path", "/");
        json::default_to(get, "scheme", "HTTP");
    }
    if let Some(Value::Object(grpc)) = handler.get_mut("grpc") {
        json::default_to(grpc, "service", "");
    }
}

fn default_volume(volume: &mut Map<String, Value>) {
    if let Some(Value::Array(items)) =
        volume.get_mut("downwardAPI").and_then(|api| api.get_mut("items"))
    {
        for reference in items.iter_mut().filter_map(|item| item.get_mut("fieldRef")) {
            json::default_to(json::as_object(reference), "apiVersion", "v1");
        }
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(Value::Object(source)) = volume.get_mut(source) {
            json::default_to(source, "defaultMode", 420);
        }
    }
    if let Some(Value::Array(sources)) =
        volume.get_mut("projected").and_then(|projected| projected.get_mut("sources"))
    {
        for source in sources {
            if let Some(Value::Object(token)) = source.get_mut("serviceAccountToken") {
                json::default_to(token, "expirationSeconds", 3600);
            }
        }
    }
    if let Some(Value::Object(path)) = volume.get_mut("hostPath") {
        json::default_to(path, "type", "");
    }
    if volume.len() == 1 {
        volume.insert("emptyDir".into(), json!({}));
    }
}

/// What admission and the strategy put into a new pod.
pub(crate) fn prepare_create(value: &mut Value) {
    let quality = quality_of_service(value);
    json::put(value, &["status"], json!({"phase": "Pending", "qosClass": quality}));
    let spec = json::object_mut(value, "spec");
    json::default_to(spec, "enableServiceLinks", true);
    json::default_to(spec, "preemptionPolicy", "PreemptLowerPriority");
    json::default_to(spec, "priority", 0);
    json::default_to(spec, "serviceAccountName", "default");
    let account = spec.get("serviceAccountName").cloned().unwrap_or_default();
    spec.insert("serviceAccount".into(), account);
    tolerate(value);
    mount_token(value);
}

/// A pod stays for a while on a node that is not ready or not reachable, unless it says otherwise.
pub(crate) fn tolerate(value: &mut Value) {
    let spec = json::object_mut(value, "spec");
    let tolerated = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let mut tolerations =
        spec.get("tolerations").and_then(Value::as_array).cloned().unwrap_or_default();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = tolerations.iter().any(|known| {
            let (name, effect) = (json::text(known, &["key"]), json::text(known, &["effect"]));
            (name == key || name.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if !covered {
            tolerations.push(tolerated(key));
        }
    }
    spec.insert("tolerations".into(), tolerations.into());
}

/// The token of the pod's service account, unless the pod does without.
fn mount_token(value: &mut Value) {
    if json::at(value, &["spec", "automountServiceAccountToken"]) == Some(&Value::Bool(false)) {
        return;
    }
    const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let uid = json::text(value, &["metadata", "uid"]);
    // Real names are random; this one follows from the pod.
    let suffix: String = uid.chars().filter(char::is_ascii_alphanumeric).take(5).collect();
    let name = format!("kube-api-access-{suffix}");
    let mount = json!({"mountPath": PATH, "name": name, "readOnly": true});
    for list in ["initContainers", "containers"] {
        for container in value
            .pointer_mut(&format!("/spec/{list}"))
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let mut mounts = json::list(container, &["volumeMounts"]).to_vec();
            if mounts.iter().all(|known| json::text(known, &["mountPath"]) != PATH) {
                mounts.push(mount.clone());
                json::put(container, &["volumeMounts"], mounts.into());
            }
        }
    }
    let volume = json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}});
    let mut volumes = json::list(value, &["spec", "volumes"]).to_vec();
    volumes.push(volume);
    json::put(value, &["spec", "volumes"], volumes.into());
}

fn quality_of_service(pod: &Value) -> &'static str {
    let containers: Vec<&Value> = ["initContainers", "containers"]
        .iter()
        .flat_map(|list| json::list(pod, &["spec", list]))
        .collect();
    let amount = |container: &Value, kind: &str, key: &str| {
        Quantity::parse(json::text(container, &["resources", kind, key]))
            .map(Quantity::nanos)
            .filter(|n| *n > 0)
    };
    let any = containers.iter().any(|c| {
        ["requests", "limits"]
            .iter()
            .any(|kind| ["cpu", "memory"].iter().any(|key| amount(c, kind, key).is_some()))
    });
    let all = containers.iter().all(|c| {
        ["cpu", "memory"].iter().all(|key| {
            let limit = amount(c, "limits", key);
            limit.is_some() && limit == amount(c, "requests", key)
        })
    });
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

pub(crate) fn validate(value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let none = json!({});
    let spec = json::at(value, &["spec"]).unwrap_or(&none);
    match old {
        None => pod_spec::validate(spec, "spec", &[], &mut causes),
        Some(old) if count_of(spec) != count_of(json::at(old, &["spec"]).unwrap_or(&none)) => {
            let why = "pod updates may not add or remove containers";
            causes.push(Cause::forbidden("spec.containers", why));
        }
        Some(old) => {
            let before = json::list(old, &["spec", "tolerations"]);
            let now = json::list(spec, &["tolerations"]);
            let seconds_aside = |toleration: &Value| {
                let mut toleration = toleration.clone();
                json::take(&mut toleration, &["tolerationSeconds"]);
                toleration
            };
            let kept = before
                .iter()
                .all(|was| now.iter().any(|is| seconds_aside(is) == seconds_aside(was)));
            if !kept {
                let why = "existing toleration can not be modified except its tolerationSeconds";
                causes.push(Cause::forbidden("spec.tolerations", why));
            }
            if fixed(spec) != fixed(json::at(old, &["spec"]).unwrap_or(&none)) {
                let why = "pod updates may not change fields other than `spec.containers[*].image`,\
                           `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions \
                           to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                           previously negative)";
                causes.push(Cause::forbidden("spec", why));
            }
        }
    }
    causes
}

/// `ValidatePodEphemeralContainersUpdate`: containers are added, and stay as they are.
pub(crate) fn validate_ephemeral(value: &Value, old: &Value) -> Vec<Cause> {
    let path = ["spec", "ephemeralContainers"];
    let now = json::list(value, &path);
    let faults = json::list(old, &path).iter().filter_map(|was| {
        let name = json::text(was, &["name"]);
        let fault = match now.iter().find(|is| json::text(is, &["name"]) == name) {
            None => "removed",
            Some(is) if is != was => "changed",
            Some(_) => return None,
        };
        let why = format!("existing ephemeral containers {name:?} may not be {fault}\n");
        Some(Cause::forbidden(path.join("."), &why))
    });
    faults.collect()
}

fn count_of(spec: &Value) -> usize {
    json::list(spec, &["containers"]).len()
}

/// The part of a spec that cannot change.
fn fixed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            json::take(container, &["image"]);
        }
    }
    for key in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        json::take(&mut spec, &[key]);
    }
    spec
}
