//! The entries of `managedFields`: reading, writing, ordering and bounding them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fieldset::FieldSet;
use crate::json;
use crate::refusal::quote;

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: String,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: String,
    pub(super) fields: FieldSet,
}

impl Manager {
    pub(super) fn read(entry: &Value) -> Self {
        let text = |key: &str| json::text(entry, &[key]).to_owned();
        Self {
            name: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: FieldSet::read(json::at(entry, &["fieldsV1"]).unwrap_or(&Value::Null)),
        }
    }

    pub(super) fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.name, "operation": self.operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.write(),
        });
        if !self.time.is_empty() {
            json::put(&mut entry, &["time"], self.time.as_str().into());
        }
        if !self.subresource.is_empty() {
            json::put(&mut entry, &["subresource"], self.subresource.as_str().into());
        }
        entry
    }

    /// Whether two entries are of one writer.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.is_writer(&other.name, &other.operation, &other.subresource, &other.api_version)
    }

    /// Whether an entry, as objects have it, is of this writer.
    pub(super) fn wrote(&self, entry: &Value) -> bool {
        let text = |key: &str| json::text(entry, &[key]);
        self.is_writer(text("manager"), text("operation"), text("subresource"), text("apiVersion"))
    }

    fn is_writer(&self, name: &str, operation: &str, subresource: &str, version: &str) -> bool {
        self.name == name
            && self.operation == operation
            && self.subresource == subresource
            && (operation == "Apply" || self.api_version == version)
    }

    /// As conflicts name it: who applies is one manager in all versions.
    pub(super) fn shown(&self) -> String {
        let mut text = quote(&self.name);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {}", quote(&self.subresource));
        }
        if self.operation == "Update" {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

/// The managers of an object.
pub(super) fn managers(object: &Value) -> Vec<Manager> {
    json::list(object, &["metadata", "managedFields"]).iter().map(Manager::read).collect()
}

/// Writes the managers that own something into an object, in the order of the real server.
pub(super) fn set_managers(object: &mut Value, mut managers: Vec<Manager>) {
    managers.retain(|manager| !manager.fields.is_empty());
    managers.sort_by(|a, b| {
        let order = |manager: &Manager| {
            (manager.operation == "Update", manager.time.clone(), manager.name.clone())
        };
        order(a).cmp(&order(b))
    });
    let metadata = json::metadata_mut(object);
    if managers.is_empty() {
        metadata.remove("managedFields");
    } else {
        let entries: Vec<Value> = managers.iter().map(Manager::write).collect();
        metadata.insert("managedFields".into(), entries.into());
    }
}

/// More entries of updates than this are folded into one for each version.
const MOST_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";

/// Folds the oldest updates together when there are too many.
pub(super) fn cap(all: &mut Vec<Manager>) {
    let is_update = |manager: &Manager| manager.operation == "Update";
    let mut excess = all.iter().filter(|manager| is_update(manager)).count();
    all.sort_by(|a, b| (&a.time, &a.name).cmp(&(&b.time, &b.name)));
    let mut index = 0;
    let mut first_of: BTreeMap<String, usize> = BTreeMap::new();
    while excess > MOST_UPDATERS {
        let Some(manager) = all.get(index) else { return };
        if !is_update(manager) {
            index += 1;
            continue;
        }
        let (version, fields, time) =
            (manager.api_version.clone(), manager.fields.clone(), manager.time.clone());
        match first_of.get(&version).and_then(|first| all.get_mut(*first)) {
            Some(bucket) => {
                bucket.name = ANCIENT.into();
                bucket.subresource = String::new();
                bucket.fields = bucket.fields.union(&fields);
                bucket.time = time;
                all.remove(index);
                excess -= 1;
            }
            None => {
                first_of.insert(version, index);
                index += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updater(number: usize, version: &str) -> Manager {
        Manager {
            name: format!("m{number:02}"),
            operation: "Update".into(),
            api_version: version.into(),
            subresource: String::new(),
            time: format!("2026-01-01T00:00:{number:02}Z"),
            fields: FieldSet::read(&json!({format!("f:k{number:02}"): {}})),
        }
    }

    #[test]
    fn the_oldest_updates_of_a_version_are_folded() {
        let mut all: Vec<Manager> = (0..12).map(|number| updater(number, "v1")).collect();
        cap(&mut all);
        assert_eq!(all.len(), 10);
        let ancient = all.iter().find(|manager| manager.name == ANCIENT).unwrap();
        assert_eq!(ancient.fields.write(), json!({"f:k00": {}, "f:k01": {}, "f:k02": {}}));
        assert_eq!(ancient.time, "2026-01-01T00:00:02Z");
    }

    #[test]
    fn ten_updates_stay_as_they_are() {
        let mut all: Vec<Manager> = (0..10).map(|number| updater(number, "v1")).collect();
        let before = all.clone();
        cap(&mut all);
        assert_eq!(all, before);
    }
}
