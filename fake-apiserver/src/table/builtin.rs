//! The columns of the built-in kinds, as `kubectl get` shows them.

use jiff::Timestamp;
use serde_json::Value;

use super::{Cell, Column, age, age_of, name};
use crate::json;
use crate::registry::Resource;

/// The columns of a built-in kind.
#[allow(clippy::too_many_lines, reason = "a table, one entry a kind")]
pub(super) fn columns(resource: &Resource) -> Vec<Column> {
    let plain = || vec![Column::new("Name", "string", name)];
    let aged = |mut columns: Vec<Column>| {
        columns.push(Column::new("Age", "string", age));
        columns
    };
    let mut all = plain();
    let mut add = |name: &str, kind: &str, cell: Cell| all.push(Column::new(name, kind, cell));
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => return pod_columns(),
        ("", "Service") => return service_columns(),
        ("", "Event") | ("events.k8s.io", "Event") => return event_columns(),
        ("", "Node") => return node_columns(),
        ("", "Secret") => {
            add("Type", "string", |item, _| json::text(item, &["type"]).into());
            add("Data", "string", |item, _| count(json::at(item, &["data"])).into());
        }
        ("", "ConfigMap") => add("Data", "string", |item, _| {
            (count(json::at(item, &["data"])) + count(json::at(item, &["binaryData"]))).into()
        }),
        ("", "Namespace") => {
            add("Status", "string", |item, _| json::text(item, &["status", "phase"]).into());
        }
        ("", "PersistentVolumeClaim") => {
            add("Status", "string", |item, _| json::text(item, &["status", "phase"]).into());
            add("Volume", "string", |item, _| json::text(item, &["spec", "volumeName"]).into());
            add("Capacity", "string", |item, _| {
                json::text(item, &["status", "capacity", "storage"]).into()
            });
            add("Access Modes", "string", access_modes);
            add("StorageClass", "string", |item, _| {
                json::text(item, &["spec", "storageClassName"]).into()
            });
            add("VolumeAttributesClass", "string", |item, _| {
                match json::text(item, &["spec", "volumeAttributesClassName"]) {
                    "" => "<unset>".into(),
                    class => class.into(),
                }
            });
            let mut all = aged(all);
            all.push(
                Column::new("VolumeMode", "string", |item, _| {
                    json::text(item, &["spec", "volumeMode"]).into()
                })
                .wide(),
            );
            return all;
        }
        ("policy", "PodDisruptionBudget") => {
            add("Min Available", "string", |item, _| bound(item, "minAvailable"));
            add("Max Unavailable", "string", |item, _| bound(item, "maxUnavailable"));
            add("Allowed Disruptions", "integer", |item, _| {
                json::int(item, &["status", "disruptionsAllowed"]).unwrap_or_default().into()
            });
        }
        ("apps", "StatefulSet") => {
            add("Ready", "string", |item, _| {
                let ready = json::int(item, &["status", "readyReplicas"]).unwrap_or_default();
                format!("{ready}/{}", json::int(item, &["spec", "replicas"]).unwrap_or_default())
                    .into()
            });
            let mut all = aged(all);
            all.push(
                Column::new("Containers", "string", |item, _| template_list(item, "name")).wide(),
            );
            all.push(
                Column::new("Images", "string", |item, _| template_list(item, "image")).wide(),
            );
            return all;
        }
        ("coordination.k8s.io", "Lease") => {
            add("Holder", "string", |item, _| json::text(item, &["spec", "holderIdentity"]).into());
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            add("Created At", "date", |item, _| {
                json::text(item, &["metadata", "creationTimestamp"]).into()
            });
            return all;
        }
        _ => {}
    }
    aged(all)
}

fn count(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Object(map)) => map.len(),
        Some(Value::Array(items)) => items.len(),
        _ => 0,
    }
}

fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn template_list(item: &Value, key: &str) -> Value {
    let containers = json::list(item, &["spec", "template", "spec", "containers"]);
    containers
        .iter()
        .map(|container| json::text(container, &[key]))
        .collect::<Vec<_>>()
        .join(",")
        .into()
}

fn pod_columns() -> Vec<Column> {
    vec![
        Column::new("Name", "string", name),
        Column::new("Ready", "string", |item, _| {
            let ready = json::list(item, &["status", "containerStatuses"])
                .iter()
                .filter(|status| status.get("ready") == Some(&Value::Bool(true)))
                .count();
            format!("{ready}/{}", count(json::at(item, &["spec", "containers"]))).into()
        }),
        Column::new("Status", "string", |item, _| pod_status(item).into()),
        Column::new("Restarts", "string", |item, _| {
            let restarts: i64 = json::list(item, &["status", "containerStatuses"])
                .iter()
                .filter_map(|status| json::int(status, &["restartCount"]))
                .sum();
            restarts.to_string().into()
        }),
        Column::new("Age", "string", age),
        Column::new("IP", "string", |item, _| or_none(json::text(item, &["status", "podIP"])))
            .wide(),
        Column::new("Node", "string", |item, _| or_none(json::text(item, &["spec", "nodeName"])))
            .wide(),
        Column::new("Nominated Node", "string", |item, _| {
            or_none(json::text(item, &["status", "nominatedNodeName"]))
        })
        .wide(),
        Column::new("Readiness Gates", "string", |_, _| "<none>".into()).wide(),
    ]
}

fn pod_status(item: &Value) -> String {
    if json::at(item, &["metadata", "deletionTimestamp"]).is_some() {
        return "Terminating".into();
    }
    let reason = json::text(item, &["status", "reason"]);
    let waiting = json::list(item, &["status", "containerStatuses"]).iter().find_map(|status| {
        let waiting = json::text(status, &["state", "waiting", "reason"]);
        let ended = json::text(status, &["state", "terminated", "reason"]);
        [waiting, ended].into_iter().find(|reason| !reason.is_empty()).map(str::to_owned)
    });
    match (waiting, reason) {
        (Some(waiting), _) => waiting,
        (None, "") => json::text(item, &["status", "phase"]).into(),
        (None, reason) => reason.into(),
    }
}

fn service_columns() -> Vec<Column> {
    vec![
        Column::new("Name", "string", name),
        Column::new("Type", "string", |item, _| json::text(item, &["spec", "type"]).into()),
        Column::new("Cluster-IP", "string", |item, _| {
            or_none(json::text(item, &["spec", "clusterIP"]))
        }),
        Column::new("External-IP", "string", |item, _| match json::text(item, &["spec", "type"]) {
            "ExternalName" => json::text(item, &["spec", "externalName"]).into(),
            "LoadBalancer" => "<pending>".into(),
            _ => "<none>".into(),
        }),
        Column::new("Port(s)", "string", |item, _| {
            let ports = json::list(item, &["spec", "ports"]).iter().map(|port| {
                let number = json::int(port, &["port"]).unwrap_or_default();
                let node = json::int(port, &["nodePort"])
                    .map(|node| format!(":{node}"))
                    .unwrap_or_default();
                format!("{number}{node}/{}", json::text(port, &["protocol"]))
            });
            or_none(&ports.collect::<Vec<_>>().join(","))
        }),
        Column::new("Age", "string", age),
        Column::new("Selector", "string", |item, _| {
            let labels = json::at(item, &["spec", "selector"])
                .and_then(Value::as_object)
                .into_iter()
                .flatten();
            let pairs =
                labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
            or_none(&pairs.collect::<Vec<_>>().join(","))
        })
        .wide(),
    ]
}

fn bound(item: &Value, key: &str) -> Value {
    match json::at(item, &["spec", key]) {
        Some(Value::String(text)) => text.as_str().into(),
        Some(number) => number.to_string().into(),
        None => "N/A".into(),
    }
}

fn access_modes(item: &Value, _: Timestamp) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    let modes: Vec<&str> = json::list(item, &["status", "accessModes"]).iter().map(short).collect();
    modes.join(",").into()
}

/// The first text that is there: events have other names for the same in each of their groups.
fn first<'a>(item: &'a Value, paths: &[&[&str]]) -> &'a str {
    paths
        .iter()
        .map(|path| json::text(item, path))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn event_columns() -> Vec<Column> {
    vec![
        Column::new("Last Seen", "string", |item, now| {
            let last = first(
                item,
                &[
                    &["series", "lastObservedTime"],
                    &["lastTimestamp"],
                    &["deprecatedLastTimestamp"],
                    &["eventTime"],
                ],
            );
            age_of(last, now).into()
        }),
        Column::new("Type", "string", |item, _| json::text(item, &["type"]).into()),
        Column::new("Reason", "string", |item, _| json::text(item, &["reason"]).into()),
        Column::new("Object", "string", |item, _| {
            let kind = first(item, &[&["involvedObject", "kind"], &["regarding", "kind"]]);
            let name = first(item, &[&["involvedObject", "name"], &["regarding", "name"]]);
            format!("{}/{name}", kind.to_lowercase()).into()
        }),
        Column::new("Source", "string", |item, _| {
            first(
                item,
                &[&["source", "component"], &["reportingComponent"], &["reportingController"]],
            )
            .into()
        })
        .wide(),
        Column::new("Message", "string", |item, _| first(item, &[&["message"], &["note"]]).into()),
        Column::new("First Seen", "string", |item, now| {
            let since =
                first(item, &[&["firstTimestamp"], &["deprecatedFirstTimestamp"], &["eventTime"]]);
            age_of(since, now).into()
        })
        .wide(),
        Column::new("Count", "integer", |item, _| {
            [&["series", "count"][..], &["count"], &["deprecatedCount"]]
                .iter()
                .find_map(|path| json::int(item, path))
                .unwrap_or(1)
                .into()
        })
        .wide(),
        Column::new("Name", "string", name).wide(),
    ]
}

fn node_columns() -> Vec<Column> {
    vec![
        Column::new("Name", "string", name),
        Column::new("Status", "string", |item, _| {
            let ready = json::list(item, &["status", "conditions"])
                .iter()
                .find(|condition| json::text(condition, &["type"]) == "Ready");
            let mut status = match ready.map(|condition| json::text(condition, &["status"])) {
                Some("True") => "Ready".to_owned(),
                Some(_) => "NotReady".to_owned(),
                None => "Unknown".to_owned(),
            };
            if json::at(item, &["spec", "unschedulable"]) == Some(&Value::Bool(true)) {
                status.push_str(",SchedulingDisabled");
            }
            status.into()
        }),
        Column::new("Roles", "string", |item, _| {
            let labels = json::at(item, &["metadata", "labels"]).and_then(Value::as_object);
            let roles: Vec<&str> = labels
                .into_iter()
                .flatten()
                .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
                .collect();
            or_none(&roles.join(","))
        }),
        Column::new("Age", "string", age),
        Column::new("Version", "string", |item, _| {
            json::text(item, &["status", "nodeInfo", "kubeletVersion"]).into()
        }),
        Column::new("Internal-IP", "string", |item, _| {
            let addresses = json::list(item, &["status", "addresses"]).iter();
            let internal = addresses
                .filter(|address| json::text(address, &["type"]) == "InternalIP")
                .map(|address| json::text(address, &["address"]))
                .next();
            or_none(internal.unwrap_or_default())
        })
        .wide(),
    ]
}
