//! The environment of a container: literals, and references to Secrets, `ConfigMap`s and fields of the pod.

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};
use kube::ResourceExt;
use tokio::time::sleep;

use super::pod::PodWorker;
use super::state::Stand;
use super::volumes::{Files, NotYet, config_map, secret};

/// How often the real kubelet looks at a pod again whose container cannot be made.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(10);

/// Resolves a container's environment; while something is missing, the container waits with `CreateContainerConfigError`.
pub(super) async fn resolve(worker: &PodWorker, spec: &Container) -> BTreeMap<String, String> {
    loop {
        match attempt(worker, spec).await {
            Ok(env) => return env,
            Err(error) => {
                let message = error.to_string();
                worker.change_container(&spec.name, |c| {
                    c.stand = Stand::Waiting { reason: "CreateContainerConfigError", message };
                });
            }
        }
        sleep(AGAIN).await;
    }
}

async fn attempt(worker: &PodWorker, spec: &Container) -> Result<BTreeMap<String, String>, NotYet> {
    let mut env = BTreeMap::new();
    for from in spec.env_from.iter().flatten() {
        let (kind, name, optional, all) = if let Some(source) = &from.secret_ref {
            ("secret", &source.name, source.optional, secret(worker, &source.name).await?)
        } else if let Some(source) = &from.config_map_ref {
            ("configmap", &source.name, source.optional, config_map(worker, &source.name).await?)
        } else {
            continue;
        };
        if all.is_none() && optional != Some(true) {
            return Err(NotYet::Missing { kind, name: name.clone() });
        }
        let prefix = from.prefix.as_deref().unwrap_or_default();
        env.extend(
            all.into_iter().flatten().map(|(key, value)| (format!("{prefix}{key}"), text(&value))),
        );
    }
    for variable in spec.env.iter().flatten() {
        if let Some(value) = value(worker, variable).await? {
            env.insert(variable.name.clone(), value);
        }
    }
    Ok(env)
}

async fn value(worker: &PodWorker, variable: &EnvVar) -> Result<Option<String>, NotYet> {
    let Some(from) = &variable.value_from else {
        return Ok(Some(variable.value.clone().unwrap_or_default()));
    };
    if let Some(source) = &from.field_ref {
        let ip = worker.state().ip.clone();
        return Ok(Some(match source.field_path.as_str() {
            "status.podIP" | "status.podIPs" => ip.unwrap_or_default(),
            "status.hostIP" => worker.state().host_ip.clone(),
            path => field(&worker.pod(), path),
        }));
    }
    if let Some(source) = &from.secret_key_ref {
        return key(
            "secret",
            &source.name,
            secret(worker, &source.name).await?,
            &source.key,
            source.optional,
        );
    }
    if let Some(source) = &from.config_map_key_ref {
        return key(
            "configmap",
            &source.name,
            config_map(worker, &source.name).await?,
            &source.key,
            source.optional,
        );
    }
    Ok(None)
}

fn key(
    kind: &'static str,
    name: &str,
    all: Option<Files>,
    key: &str,
    optional: Option<bool>,
) -> Result<Option<String>, NotYet> {
    let optional = optional == Some(true);
    match all {
        None if optional => Ok(None),
        None => Err(NotYet::Missing { kind, name: name.to_owned() }),
        Some(files) => match files.get(key) {
            Some(value) => Ok(Some(text(value))),
            None if optional => Ok(None),
            None => Err(NotYet::NoKey { kind, name: name.to_owned(), key: key.to_owned() }),
        },
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A field of a pod as the downward API writes it; empty for one it does not offer.
pub(super) fn field(pod: &Pod, path: &str) -> String {
    let listed = |map: &BTreeMap<String, String>| {
        map.iter().fold(String::new(), |mut text, (key, value)| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}={value:?}");
            text
        })
    };
    let spec = pod.spec.as_ref();
    match path {
        "metadata.name" => pod.name_any(),
        "metadata.namespace" => pod.namespace().unwrap_or_default(),
        "metadata.uid" => pod.uid().unwrap_or_default(),
        "metadata.labels" => listed(pod.labels()).trim_end().to_owned(),
        "metadata.annotations" => listed(pod.annotations()).trim_end().to_owned(),
        "spec.nodeName" => spec.and_then(|s| s.node_name.clone()).unwrap_or_default(),
        "spec.serviceAccountName" => {
            spec.and_then(|s| s.service_account_name.clone()).unwrap_or_default()
        }
        _ => {
            let entry =
                |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']").map(str::to_owned);
            let label = entry("metadata.labels['").and_then(|key| pod.labels().get(&key).cloned());
            let annotation = || {
                entry("metadata.annotations['").and_then(|key| pod.annotations().get(&key).cloned())
            };
            label.or_else(annotation).unwrap_or_default()
        }
    }
}
