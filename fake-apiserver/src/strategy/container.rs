//! The faults of a container (`validateContainerCommon`, `validateProbe`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::check;
use crate::json;
use crate::quantity::Quantity;
use crate::refusal::{Cause, quote};

const ENV_NAME: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";

/// Adds the faults of a container at a path, in a pod that has these volumes.
pub(super) fn validate(
    container: &Value,
    path: &str,
    volumes: &BTreeSet<&str>,
    causes: &mut Vec<Cause>,
) {
    let name = json::text(container, &["name"]);
    if name.is_empty() {
        causes.push(Cause::required(format!("{path}.name"), ""));
    } else {
        check::dns_label(name, &format!("{path}.name"), causes);
    }
    let image = json::text(container, &["image"]);
    if image.is_empty() {
        causes.push(Cause::required(format!("{path}.image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(format!("{path}.image"), &image.into(), why));
    }
    validate_ports(container, path, causes);
    validate_env(container, path, causes);
    validate_mounts(container, path, volumes, causes);
    validate_resources(container, path, causes);
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = json::at(container, &[key]) {
            validate_probe(probe, &format!("{path}.{key}"), key == "readinessProbe", causes);
        }
    }
    for key in ["postStart", "preStop"] {
        if let Some(handler) = json::at(container, &["lifecycle", key]) {
            validate_handler(handler, &format!("{path}.lifecycle.{key}"), causes);
        }
    }
}

fn validate_ports(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut names = BTreeSet::new();
    for (index, port) in json::list(container, &["ports"]).iter().enumerate() {
        let here = format!("{path}.ports[{index}]");
        let name = json::text(port, &["name"]);
        if !name.is_empty() {
            check::port_name(name, &format!("{here}.name"), causes);
            if !names.insert(name) {
                causes.push(Cause::duplicate(format!("{here}.name"), &name.into()));
            }
        }
        match port.get("containerPort").filter(|number| number.as_i64() != Some(0)) {
            None => causes.push(Cause::required(format!("{here}.containerPort"), "")),
            Some(number) => check::port(number, &format!("{here}.containerPort"), causes),
        }
        if let Some(number) = port.get("hostPort").filter(|number| number.as_i64() != Some(0)) {
            check::port(number, &format!("{here}.hostPort"), causes);
        }
    }
}

fn validate_env(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, variable) in json::list(container, &["env"]).iter().enumerate() {
        let here = format!("{path}.env[{index}]");
        let name = json::text(variable, &["name"]);
        if name.is_empty() {
            causes.push(Cause::required(format!("{here}.name"), ""));
        } else if !name.bytes().all(|c| (b' '..=b'~').contains(&c) && c != b'=') {
            causes.push(Cause::invalid(format!("{here}.name"), &name.into(), ENV_NAME));
        }
        let Some(source) = json::at(variable, &["valueFrom"]) else { continue };
        let field = format!("{here}.valueFrom");
        let sources = source.as_object().map_or(0, serde_json::Map::len);
        if sources == 0 {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            causes.push(Cause::invalid(field, &"".into(), why));
        } else if !json::text(variable, &["value"]).is_empty() {
            let why = "may not be specified when `value` is not empty";
            causes.push(Cause::invalid(field, &"".into(), why));
        } else if sources > 1 {
            let why = "may not have more than one field specified at a time";
            causes.push(Cause::invalid(field, &"".into(), why));
        }
    }
}

fn validate_mounts(
    container: &Value,
    path: &str,
    volumes: &BTreeSet<&str>,
    causes: &mut Vec<Cause>,
) {
    let mut places = BTreeSet::new();
    for (index, mount) in json::list(container, &["volumeMounts"]).iter().enumerate() {
        let here = format!("{path}.volumeMounts[{index}]");
        let name = json::text(mount, &["name"]);
        if name.is_empty() {
            causes.push(Cause::required(format!("{here}.name"), ""));
        }
        if !volumes.contains(name) {
            let message = format!("Not found: {}", quote(name));
            causes.push(Cause::new("FieldValueNotFound", message, format!("{here}.name")));
        }
        let place = json::text(mount, &["mountPath"]);
        if place.is_empty() {
            causes.push(Cause::required(format!("{here}.mountPath"), ""));
        } else if !places.insert(place) {
            let field = format!("{here}.mountPath");
            causes.push(Cause::invalid(field, &place.into(), "must be unique"));
        }
    }
}

fn validate_resources(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let amounts = |kind: &str| {
        json::at(container, &["resources", kind]).and_then(Value::as_object).into_iter().flatten()
    };
    let parse = |amount: &Value| Quantity::parse(amount.as_str().unwrap_or_default());
    for kind in ["limits", "requests"] {
        for (key, amount) in amounts(kind) {
            if parse(amount).is_some_and(|amount| amount.nanos() < 0) {
                let field = format!("{path}.resources.{kind}[{key}]");
                let why = "must be greater than or equal to 0";
                causes.push(Cause::invalid(field, amount, why));
            }
        }
    }
    for (key, request) in amounts("requests") {
        let Some(limit) = json::at(container, &["resources", "limits", key]) else { continue };
        let (Some(asked), Some(most)) = (parse(request), parse(limit)) else { continue };
        if asked.nanos() > most.nanos() {
            let most = most.canonical();
            let why = format!("must be less than or equal to {key} limit of {most}");
            causes.push(Cause::invalid(format!("{path}.resources.requests"), request, &why));
        }
    }
}

fn validate_probe(probe: &Value, path: &str, many: bool, causes: &mut Vec<Cause>) {
    validate_handler(probe, path, causes);
    for key in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        check::non_negative(probe, key, path, causes);
    }
    let successes = json::int(probe, &["successThreshold"]).unwrap_or(1);
    if !many && successes > 1 {
        let field = format!("{path}.successThreshold");
        causes.push(Cause::invalid(field, &successes.into(), "must be 1"));
    }
}

fn validate_handler(handler: &Value, path: &str, causes: &mut Vec<Cause>) {
    let kinds = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
    let mut found = kinds.iter().filter_map(|kind| Some((*kind, handler.get(*kind)?))).peekable();
    if found.peek().is_none() {
        causes.push(Cause::required(path, "must specify a handler type"));
    }
    for (order, (kind, action)) in found.enumerate() {
        let here = format!("{path}.{kind}");
        if order > 0 {
            causes.push(Cause::forbidden(here, "may not specify more than 1 handler type"));
            continue;
        }
        match kind {
            "exec" if json::list(action, &["command"]).is_empty() => {
                causes.push(Cause::required(format!("{here}.command"), ""));
            }
            "httpGet" | "tcpSocket" | "grpc" => {
                let port = action.get("port").cloned().unwrap_or_else(|| 0.into());
                check::port(&port, &format!("{here}.port"), causes);
            }
            _ => {}
        }
    }
}
