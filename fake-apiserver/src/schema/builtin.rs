//! The recorded documents of the built-in kinds: their schemas, and the discovery of their resources.
//!
//! Each is read once in a process, when it is needed first.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

use super::Schema;

macro_rules! archive {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../openapi/", $name, ".json.gz")))),*]
    };
}

/// One document a group version, without descriptions, compressed.
static DOCUMENTS: &[(&str, &[u8])] = archive![
    "apiextensions.k8s.io__v1",
    "apps__v1",
    "authentication.k8s.io__v1",
    "authorization.k8s.io__v1",
    "autoscaling__v2",
    "batch__v1",
    "certificates.k8s.io__v1",
    "coordination.k8s.io__v1",
    "core__v1",
    "discovery.k8s.io__v1",
    "events.k8s.io__v1",
    "networking.k8s.io__v1",
    "policy__v1",
    "rbac.authorization.k8s.io__v1",
    "scheduling.k8s.io__v1",
    "storage.k8s.io__v1",
];
static DISCOVERY: &[u8] = include_bytes!("../../openapi/discovery.json.gz");

/// Group, version and kind of a definition.
type GroupVersionKind = (String, String, String);

/// What is defined in a document, which refers to nothing beyond it.
#[derive(Default)]
struct Library {
    definitions: BTreeMap<String, Schema>,
    kinds: BTreeMap<GroupVersionKind, String>,
}

/// Each document, read when something in it is asked for.
static LIBRARIES: [OnceLock<Library>; DOCUMENTS.len()] =
    [const { OnceLock::new() }; DOCUMENTS.len()];

impl Library {
    fn read(bytes: &[u8]) -> Self {
        let mut library = Self::default();
        let document = unpack(bytes);
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        for (name, json) in schemas.into_iter().flatten() {
            let kinds = json.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            for kind in kinds.into_iter().flatten() {
                let part = |key: &str| {
                    kind.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                library.kinds.insert((part("group"), part("version"), part("kind")), name.clone());
            }
            library.definitions.insert(name.clone(), Schema::read(json));
        }
        library
    }
}

fn library((index, library): (usize, &'static OnceLock<Library>)) -> &'static Library {
    library.get_or_init(|| {
        DOCUMENTS.get(index).map(|(_, bytes)| Library::read(bytes)).unwrap_or_default()
    })
}

/// What the recorded server answered to `/version`, `/api` and `/apis`.
pub(crate) static RECORDED_DISCOVERY: LazyLock<Value> = LazyLock::new(|| unpack(DISCOVERY));

/// The schema documents as recorded, by group version (`apps/v1`, `v1`), for `/openapi/v3`.
pub(crate) fn document(group: &str, version: &str) -> Option<Value> {
    let name = document_name(group, version);
    DOCUMENTS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| unpack(bytes))
}

fn document_name(group: &str, version: &str) -> String {
    format!("{}__{version}", if group.is_empty() { "core" } else { group })
}

/// The group versions that have a document.
pub(crate) fn documented() -> impl Iterator<Item = (&'static str, &'static str)> {
    DOCUMENTS
        .iter()
        .filter_map(|(name, _)| name.split_once("__"))
        .map(|(group, version)| (if group == "core" { "" } else { group }, version))
}

/// The JSON of a compressed archive that is part of the program.
pub(crate) fn unpack(bytes: &[u8]) -> Value {
    let mut text = Vec::new();
    let read = flate2::read::GzDecoder::new(bytes).read_to_end(&mut text);
    // A test reads them all.
    read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// A definition by name; one that is not there allows everything. It is looked for in what has been read first: who
/// asks has the name from there.
pub(super) fn definition(name: &str) -> &'static Schema {
    let read = LIBRARIES.iter().filter_map(OnceLock::get);
    let mut all = read.chain(LIBRARIES.iter().enumerate().map(library));
    all.find_map(|library| library.definitions.get(name)).unwrap_or(Schema::any())
}

/// The definition of a kind: in the document of its group version, else in another one, as those of subresources are.
pub(crate) fn kind(group: &str, version: &str, kind: &str) -> Option<&'static Schema> {
    let document = document_name(group, version);
    let own = DOCUMENTS.iter().position(|(name, _)| *name == document);
    let own = own.and_then(|index| Some((index, LIBRARIES.get(index)?)));
    let kind = (group.to_owned(), version.to_owned(), kind.to_owned());
    own.into_iter()
        .chain(LIBRARIES.iter().enumerate())
        .map(library)
        .find_map(|library| library.kinds.get(&kind).and_then(|name| library.definitions.get(name)))
}

/// The definition of the metadata of every object.
pub(crate) fn object_meta() -> &'static Schema {
    static META: LazyLock<&Schema> =
        LazyLock::new(|| definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
    *META
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_archive_can_be_read() {
        for (name, bytes) in DOCUMENTS {
            assert!(unpack(bytes).pointer("/components/schemas").is_some(), "{name}");
        }
        assert!(RECORDED_DISCOVERY.get("apis").is_some());
    }

    #[test]
    fn a_kind_leads_to_its_fields_through_references() {
        let pod = kind("", "v1", "Pod").unwrap();
        let containers = pod.field("spec").unwrap().field("containers").unwrap();
        assert_eq!(containers.list, super::super::ListKind::Map(vec!["name".into()]));
        assert!(containers.element().field("image").is_some());
    }
}
