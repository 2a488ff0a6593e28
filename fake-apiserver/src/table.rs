//! Tables: how `kubectl get` shows objects.

mod builtin;
mod cells;
mod pod;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::builtin::Show;
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

enum Source {
    Builtin(Show),
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
    fn new(name: &str, kind: &str, show: Show) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            format: if name == "Name" { "name".into() } else { String::new() },
            priority: 0,
            source: Source::Builtin(show),
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
            Source::Builtin(show) => show.cell(item, now),
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

fn age(item: &Value, now: Timestamp) -> Value {
    age_of(json::text(item, &["metadata", "creationTimestamp"]), now).into()
}

fn columns(resource: &Resource) -> Vec<Column> {
    let Some(custom) = resource.custom() else { return builtin::columns(resource) };
    let mut all = vec![Column::new("Name", "string", Show::Call(cells::name))];
    all.extend(custom.columns.iter().map(|column| Column {
        name: column.name.clone(),
        kind: column.kind.clone(),
        format: column.format.clone(),
        priority: column.priority,
        source: Source::Path(column.path.clone(), column.kind.clone()),
    }));
    if custom.columns.is_empty() {
        all.push(Column { kind: "date".into(), ..Column::new("Age", "date", Show::Age) });
    }
    all
}
