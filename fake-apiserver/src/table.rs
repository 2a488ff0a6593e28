//! Tables: how `kubectl get` shows objects.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::registry::Resource;
use crate::{json, meta};

/// A table of objects. `include` is `None`, `Metadata` or `Object`.
pub(crate) fn table(
    items: &[Arc<Value>],
    resource: &Resource,
    include: &str,
    now: Timestamp,
    version: &str,
) -> Value {
    let columns = columns(resource);
    let definitions: Vec<Value> = columns.iter().map(Column::definition).collect();
    let rows: Vec<Value> = items
        .iter()
        .map(|item| {
            let cells: Vec<Value> = columns.iter().map(|column| column.cell(item, now)).collect();
            let mut row = json!({"cells": cells});
            match include {
                "None" => json::put(&mut row, &["object"], Value::Null),
                "Object" => json::put(&mut row, &["object"], (**item).clone()),
                _ => json::put(&mut row, &["object"], meta::partial(item, false)),
            }
            row
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": version},
        "columnDefinitions": definitions, "rows": rows,
    })
}

type Cell = fn(&Value, Timestamp) -> Value;

enum Source {
    Function(Cell),
    /// A JSON path of a custom kind, and the type of its column.
    Path(String, String),
}

struct Column {
    name: String,
    kind: String,
    format: String,
    priority: i64,
    source: Source,
}

impl Column {
    fn new(name: &str, kind: &str, source: Cell) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            format: if name == "Name" { "name".into() } else { String::new() },
            priority: 0,
            source: Source::Function(source),
        }
    }

    fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    fn definition(&self) -> Value {
        json!({"name": self.name, "type": self.kind, "format": self.format, "description": "", "priority": self.priority})
    }

    fn cell(&self, item: &Value, now: Timestamp) -> Value {
        match &self.source {
            Source::Function(cell) => cell(item, now),
            Source::Path(path, kind) => {
                let Some(found) = find(item, path) else { return Value::Null };
                if kind == "date" {
                    age_of(found.as_str().unwrap_or_default(), now).into()
                } else {
                    found.clone()
                }
            }
        }
    }
}

/// The value at a simple JSON path: keys, indexes, and filters by equality.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut here = value;
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (key, tail) = tail.split_at(end);
            here = if key.is_empty() { here } else { here.get(key)? };
            rest = tail;
        } else if let Some((inside, tail)) =
            rest.strip_prefix('[').and_then(|tail| tail.split_once(']'))
        {
            here = match inside.strip_prefix("?(@.").and_then(|filter| filter.strip_suffix(')')) {
                Some(filter) => {
                    let (key, wanted) = filter.split_once("==")?;
                    let wanted = wanted.trim().trim_matches(['"', '\'']);
                    here.as_array()?
                        .iter()
                        .find(|item| json::text(item, &[key.trim()]) == wanted)?
                }
                None => match inside.parse::<usize>() {
                    Ok(index) => here.get(index)?,
                    Err(_) => here.get(inside.trim_matches(['"', '\'']))?,
                },
            };
            rest = tail;
        } else {
            return None;
        }
    }
    Some(here)
}

/// How long ago, in the short form of tables.
fn age_of(time: &str, now: Timestamp) -> String {
    let Ok(at) = time.parse::<Timestamp>() else { return "<unknown>".into() };
    let seconds = now.duration_since(at).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 && seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 && minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 && hours % 24 > 0 => format!("{days}d{}h", hours % 24),
        () if days < 730 => format!("{days}d"),
        () => format!("{}y", days / 365),
    }
}

fn name(item: &Value, _: Timestamp) -> Value {
    json::text(item, &["metadata", "name"]).into()
}

fn age(item: &Value, now: Timestamp) -> Value {
    age_of(json::text(item, &["metadata", "creationTimestamp"]), now).into()
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

#[allow(clippy::too_many_lines, reason = "a table, one entry a kind")]
fn columns(resource: &Resource) -> Vec<Column> {
    let plain = || vec![Column::new("Name", "string", name)];
    let aged = |mut columns: Vec<Column>| {
        columns.push(Column::new("Age", "string", age));
        columns
    };
    if let Some(custom) = resource.custom() {
        let mut all = plain();
        all.extend(custom.columns.iter().map(|column| Column {
            name: column.name.clone(),
            kind: column.kind.clone(),
            format: column.format.clone(),
            priority: column.priority,
            source: Source::Path(column.path.clone(), column.kind.clone()),
        }));
        if custom.columns.is_empty() {
            all.push(Column { kind: "date".into(), ..Column::new("Age", "date", age) });
        }
        return all;
    }
    let mut all = plain();
    let mut add = |name: &str, kind: &str, cell: Cell| all.push(Column::new(name, kind, cell));
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => return pod_columns(),
        ("", "Service") => return service_columns(),
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
