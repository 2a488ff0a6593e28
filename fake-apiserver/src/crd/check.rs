//! The faults of a definition: names, versions, schemas, and what cannot change.

use serde_json::Value;

use super::{is_established, openapi, structural};
use crate::json;
use crate::meta::{self, NameKind};
use crate::refusal::Cause;
use crate::schema::{Schema, defaulting, pruning, validate};

/// The faults of a definition, in the order of the real server.
pub(crate) fn faults(definition: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |path: &[&str]| json::text(definition, path);
    let wanted = format!("{}.{}", text(&["spec", "names", "plural"]), text(&["spec", "group"]));
    let name = json::at(definition, &["metadata", "name"]).unwrap_or(&Value::Null);
    if old.is_none() && *name != wanted {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", name, why));
    }
    spec(definition, &mut causes);
    if let Some(old) = old.filter(|old| is_established(old)) {
        for path in [
            &["spec", "scope"][..],
            &["spec", "names", "kind"],
            &["spec", "group"],
            &["spec", "names", "plural"],
        ] {
            let new = json::at(definition, path).unwrap_or(&Value::Null);
            if Some(new) != json::at(old, path) {
                causes.push(Cause::invalid(path.join("."), new, "field is immutable"));
            }
        }
    }
    stored_versions(definition, &mut causes);
    causes
}

fn spec(definition: &Value, causes: &mut Vec<Cause>) {
    let group = json::text(definition, &["spec", "group"]);
    if group.is_empty() {
        causes.push(Cause::required("spec.group", ""));
    } else if let Some(why) = meta::fault_of(NameKind::Subdomain, group) {
        causes.push(Cause::invalid("spec.group", &group.into(), why));
    } else if !group.contains('.') {
        let why = "should be a domain with at least one dot";
        causes.push(Cause::invalid("spec.group", &group.into(), why));
    }
    let scope = json::text(definition, &["spec", "scope"]);
    if scope.is_empty() {
        causes.push(Cause::required("spec.scope", ""));
    } else if !["Cluster", "Namespaced"].contains(&scope) {
        causes.push(Cause::unsupported("spec.scope", &scope.into(), &["Cluster", "Namespaced"]));
    }
    if json::at(definition, &["spec", "preserveUnknownFields"]) == Some(&Value::Bool(true)) {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                   spec.versions[*].schema instead";
        causes.push(Cause::invalid("spec.preserveUnknownFields", &true.into(), why));
    }
    versions(definition, causes);
    names(definition, causes);
    schemas(definition, causes);
    conversion(definition, causes);
}

fn versions(definition: &Value, causes: &mut Vec<Cause>) {
    let versions = json::list(definition, &["spec", "versions"]);
    let mut seen: Vec<&str> = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let here = format!("spec.versions[{index}]");
        let name = json::text(version, &["name"]);
        if let Some(why) = meta::fault_of(NameKind::Label1035, name) {
            causes.push(Cause::invalid(format!("{here}.name"), &name.into(), why));
        }
        if json::at(version, &["schema", "openAPIV3Schema"]).is_none() {
            causes.push(Cause::required(format!("{here}.schema.openAPIV3Schema"), ""));
        }
        let deprecated = version.get("deprecated") == Some(&Value::Bool(true));
        let warning = version.get("deprecationWarning").and_then(Value::as_str);
        if let (Some(warning), false) = (warning, deprecated) {
            let why = "can only be set for deprecated versions";
            causes.push(Cause::invalid(format!("{here}.deprecationWarning"), &warning.into(), why));
        }
        columns(version, &here, causes);
        scale(version, &here, causes);
        seen.push(name);
    }
    let shown = Value::from(versions.to_vec());
    let unique = seen
        .iter()
        .enumerate()
        .all(|(index, name)| !seen.iter().take(index).any(|other| other == name));
    if !unique {
        causes.push(Cause::invalid("spec.versions", &shown, "must contain unique version names"));
    }
    let storing = versions
        .iter()
        .filter(|version| version.get("storage") == Some(&Value::Bool(true)))
        .count();
    if storing != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &shown, why));
    }
}

fn columns(version: &Value, path: &str, causes: &mut Vec<Cause>) {
    const KINDS: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    for (index, column) in json::list(version, &["additionalPrinterColumns"]).iter().enumerate() {
        let here = format!("{path}.additionalPrinterColumns[{index}]");
        if json::text(column, &["name"]).is_empty() {
            causes.push(Cause::required(format!("{here}.name"), ""));
        }
        let kind = json::text(column, &["type"]);
        if kind.is_empty() {
            let why = format!("must be one of {}", KINDS.join(","));
            causes.push(Cause::required(format!("{here}.type"), &why));
        } else if !KINDS.contains(&kind) {
            let why = format!("must be one of {}", KINDS.join(","));
            causes.push(Cause::invalid(format!("{here}.type"), &kind.into(), &why));
        }
        let place = json::text(column, &["jsonPath"]);
        if place.is_empty() {
            causes.push(Cause::required(format!("{here}.jsonPath"), ""));
        } else if !place.starts_with(['.', '{', '[']) {
            let why = "must be a simple json path starting with .";
            causes.push(Cause::invalid(format!("{here}.jsonPath"), &place.into(), why));
        }
    }
}

fn scale(version: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(scale) = json::at(version, &["subresources", "scale"]) else { return };
    for (key, roots, why) in [
        ("specReplicasPath", &[".spec."][..], "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."], "should be a json path under .status"),
        (
            "labelSelectorPath",
            &[".spec.", ".status."],
            "should be a json path under either .spec or .status",
        ),
    ] {
        let here = format!("{path}.subresources.scale.{key}");
        let place = json::text(scale, &[key]);
        if place.is_empty() {
            if key != "labelSelectorPath" {
                causes.push(Cause::required(here, ""));
            }
        } else if !roots.iter().any(|root| place.starts_with(root)) {
            causes.push(Cause::invalid(here, &place.into(), why));
        }
    }
}

fn names(definition: &Value, causes: &mut Vec<Cause>) {
    let names = json::at(definition, &["spec", "names"]).unwrap_or(&Value::Null);
    for key in ["plural", "singular", "kind", "listKind"] {
        let name = json::text(names, &[key]);
        let here = format!("spec.names.{key}");
        if name.is_empty() {
            causes.push(Cause::required(here, ""));
            continue;
        }
        if key.to_lowercase().ends_with("kind") {
            if let Some(why) = meta::fault_of(NameKind::Label1035, &name.to_lowercase()) {
                let why = format!("may have mixed case, but should otherwise match: {why}");
                causes.push(Cause::invalid(here, &name.into(), &why));
            }
        } else if let Some(why) = meta::fault_of(NameKind::Label1035, name) {
            causes.push(Cause::invalid(here, &name.into(), why));
        }
    }
    for key in ["shortNames", "categories"] {
        for (index, name) in json::list(names, &[key]).iter().enumerate() {
            if let Some(why) =
                name.as_str().and_then(|name| meta::fault_of(NameKind::Label1035, name))
            {
                causes.push(Cause::invalid(format!("spec.names.{key}[{index}]"), name, why));
            }
        }
    }
    let (kind, list) = (json::text(names, &["kind"]), json::text(names, &["listKind"]));
    if !kind.is_empty() && kind == list {
        let why = "kind and listKind may not be the same";
        causes.push(Cause::invalid("spec.names.listKind", &list.into(), why));
    }
}

/// Checks the schemas. Those of all versions are one, as far as errors go, if they are equal.
fn schemas(definition: &Value, causes: &mut Vec<Cause>) {
    let versions = json::list(definition, &["spec", "versions"]);
    let schemas: Vec<&Value> = versions
        .iter()
        .filter_map(|version| json::at(version, &["schema", "openAPIV3Schema"]))
        .collect();
    let Some((first, others)) = schemas.split_first() else { return };
    if schemas.len() == versions.len() && others.iter().all(|other| other == first) {
        causes.extend(schema(first, "spec.validation.openAPIV3Schema"));
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        if let Some(written) = json::at(version, &["schema", "openAPIV3Schema"]) {
            causes
                .extend(schema(written, &format!("spec.versions[{index}].schema.openAPIV3Schema")));
        }
    }
}

/// Words first, then structure, then defaults: each is looked at when the one before is in order.
fn schema(schema: &Value, path: &str) -> Vec<Cause> {
    for look in [openapi::faults, structural::faults, defaults] {
        let found = look(schema, path);
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Defaults must fit their own schema.
fn defaults(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(default) = schema.get("default") {
        let here = format!("{path}.default");
        let typed = Schema::read(schema);
        let mut filled = default.clone();
        let mut unknown = Vec::new();
        pruning::prune(&mut filled, &typed, false, &mut unknown);
        if let Some(field) = unknown.first() {
            let why = format!("unknown field {field:?}");
            causes.push(Cause::invalid(here.clone(), default, &why));
        }
        defaulting::fill(&mut filled, &typed);
        let mut found = Vec::new();
        validate::validate(&filled, &typed, None, "", &mut found);
        causes.extend(found.into_iter().map(|mut cause| {
            cause.field = if cause.field == "<nil>" {
                here.clone()
            } else {
                format!("{here}.{}", cause.field)
            };
            cause
        }));
    }
    if let Some(items) = schema.get("items") {
        causes.extend(defaults(items, &format!("{path}.items")));
    }
    for (key, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        causes.extend(defaults(field, &format!("{path}.properties[{key}]")));
    }
    if let Some(additional) = schema.get("additionalProperties").filter(|inner| inner.is_object()) {
        causes.extend(defaults(additional, &format!("{path}.additionalProperties")));
    }
    causes
}

fn conversion(definition: &Value, causes: &mut Vec<Cause>) {
    let Some(conversion) = json::at(definition, &["spec", "conversion"]) else { return };
    let strategy = json::text(conversion, &["strategy"]);
    match strategy {
        "" => causes.push(Cause::required("spec.conversion.strategy", "")),
        "None" => {}
        "Webhook" => {
            if json::at(conversion, &["webhook", "clientConfig"]).is_none() {
                let why = "required when strategy is set to Webhook";
                causes.push(Cause::required("spec.conversion.webhookClientConfig", why));
            }
            if json::list(conversion, &["webhook", "conversionReviewVersions"]).is_empty() {
                causes.push(Cause::required("spec.conversion.conversionReviewVersions", ""));
            }
        }
        other => {
            let known = ["None", "Webhook"];
            causes.push(Cause::unsupported("spec.conversion.strategy", &other.into(), &known));
        }
    }
}

/// Every version that objects may still be stored in must be there.
fn stored_versions(definition: &Value, causes: &mut Vec<Cause>) {
    let field = "status.storedVersions";
    let stored = json::list(definition, &["status", "storedVersions"]);
    let versions = json::list(definition, &["spec", "versions"]);
    if stored.is_empty() {
        let why = "must have at least one stored version";
        causes.push(Cause::invalid(field, &Value::Null, why));
        return;
    }
    for version in versions {
        let name = json::text(version, &["name"]);
        let storing = version.get("storage") == Some(&Value::Bool(true));
        if storing && !stored.iter().any(|known| known == name) {
            let why = format!("must have the storage version {name}");
            causes.push(Cause::invalid(field, &Value::from(stored.to_vec()), &why));
        }
    }
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version.get("name") == Some(name)) {
            let shown = name.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {shown} was previously a storage version, and must remain in \
                 spec.versions until a storage migration ensures no data remains persisted in {shown} and removes \
                 {shown} from status.storedVersions"
            );
            causes.push(Cause::invalid(format!("{field}[{index}]"), name, &why));
        }
    }
}
