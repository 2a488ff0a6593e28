//! The faults of a pod's spec, in a pod or in a template (`ValidatePodSpec`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{check, container};
use crate::refusal::Cause;
use crate::{json, meta};

/// Adds the faults of a spec that is at a path. Each of `claims` will be a volume of the pod, too.
pub(super) fn validate(spec: &Value, path: &str, claims: &[Value], causes: &mut Vec<Cause>) {
    let mut volumes = validate_volumes(spec, path, causes);
    volumes.extend(claims.iter().map(|claim| json::text(claim, &["metadata", "name"])));
    let containers = json::list(spec, &["containers"]);
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names = BTreeSet::new();
    for list in ["containers", "initContainers"] {
        for (index, one) in json::list(spec, &[list]).iter().enumerate() {
            let here = format!("{path}.{list}[{index}]");
            container::validate(one, &here, &volumes, causes);
            let name = json::text(one, &["name"]);
            if !name.is_empty() && !names.insert(name) {
                causes.push(Cause::duplicate(format!("{here}.name"), &name.into()));
            }
        }
    }
    const POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
    let policy = json::text(spec, &["restartPolicy"]);
    // A template without a spec has no policy, and is refused for its containers.
    if !POLICIES.contains(&policy) && spec.as_object().is_some_and(|spec| !spec.is_empty()) {
        let field = format!("{path}.restartPolicy");
        causes.push(Cause::unsupported(field, &policy.into(), &POLICIES));
    }
    validate_settings(spec, path, causes);
}

fn validate_settings(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(seconds) = json::int(spec, &["activeDeadlineSeconds"])
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let field = format!("{path}.activeDeadlineSeconds");
        let why = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid(field, &seconds.into(), why));
    }
    if let Some(Value::Object(labels)) = json::at(spec, &["nodeSelector"]) {
        meta::validate_labels(labels, &format!("{path}.nodeSelector"), causes);
    }
    for key in ["serviceAccountName", "nodeName", "priorityClassName"] {
        let name = json::text(spec, &[key]);
        if !name.is_empty() {
            check::dns_subdomain(name, &format!("{path}.{key}"), causes);
        }
    }
    for key in ["hostname", "subdomain"] {
        let name = json::text(spec, &[key]);
        if !name.is_empty() {
            check::dns_label(name, &format!("{path}.{key}"), causes);
        }
    }
    for (index, toleration) in json::list(spec, &["tolerations"]).iter().enumerate() {
        let field = format!("{path}.tolerations[{index}]");
        validate_toleration(toleration, &field, causes);
    }
}

fn validate_toleration(toleration: &Value, path: &str, causes: &mut Vec<Cause>) {
    let text = |key: &str| json::text(toleration, &[key]);
    let (key, operator) = (text("key"), text("operator"));
    if !key.is_empty() {
        causes.extend(
            meta::key_fault(key).map(|why| Cause::invalid(format!("{path}.key"), &key.into(), why)),
        );
    }
    if key.is_empty() && operator != "Exists" {
        let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        causes.push(Cause::invalid(format!("{path}.operator"), &operator.into(), why));
    }
    if json::at(toleration, &["tolerationSeconds"]).is_some() && text("effect") != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        causes.push(Cause::invalid(format!("{path}.effect"), &text("effect").into(), why));
    }
    if !["", "Equal", "Exists"].contains(&operator) {
        let field = format!("{path}.operator");
        causes.push(Cause::unsupported(field, &operator.into(), &["Equal", "Exists"]));
    }
}

/// The names of the volumes, whose faults are added.
fn validate_volumes<'a>(spec: &'a Value, path: &str, causes: &mut Vec<Cause>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (index, volume) in json::list(spec, &["volumes"]).iter().enumerate() {
        let here = format!("{path}.volumes[{index}]");
        let sources = volume.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
        for (order, (kind, source)) in sources.enumerate() {
            if order > 0 {
                let why = "may not specify more than 1 volume type";
                causes.push(Cause::forbidden(format!("{here}.{kind}"), why));
            }
            let needed = match kind.as_str() {
                "secret" => "secretName",
                "configMap" => "name",
                "persistentVolumeClaim" => "claimName",
                "hostPath" => "path",
                "csi" => "driver",
                _ => continue,
            };
            if json::text(source, &[needed]).is_empty() {
                causes.push(Cause::required(format!("{here}.{kind}.{needed}"), ""));
            }
        }
        let name = json::text(volume, &["name"]);
        if name.is_empty() {
            causes.push(Cause::required(format!("{here}.name"), ""));
            continue;
        }
        check::dns_label(name, &format!("{here}.name"), causes);
        if !names.insert(name) {
            causes.push(Cause::duplicate(format!("{here}.name"), &name.into()));
        }
    }
    names
}
