//! Volumes: what a pod's containers find mounted, read through the API when
//! the pod starts, and anew when a container is started again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, DownwardAPIVolumeFile, KeyToPath, PersistentVolumeClaim, Pod,
    ProjectedVolumeSource, Secret, Volume,
};
use kube::{Api, ResourceExt};
use tokio::time::sleep;

use super::core::Trouble;
use super::environment::field;
use super::pod::PodWorker;
use super::runtime::{Content, Mount};

/// The files of a volume, by relative path.
pub(super) type Files = BTreeMap<String, Bytes>;

/// The volumes of a pod, by name.
pub(super) struct Volumes(BTreeMap<String, Content>);

/// Why a volume cannot be mounted yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotYet {
    #[error("{kind} {name:?} not found")]
    Missing { kind: &'static str, name: String },
    #[error("{kind} {name:?} has no key {key:?}")]
    NoKey { kind: &'static str, name: String, key: String },
    #[error("persistentvolumeclaim {0:?} is not bound")]
    Unbound(String),
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

impl Volumes {
    /// Mounts a pod's volumes; what is missing is tried again, as the real kubelet does, after 0.5 s doubling to 122 s.
    pub(super) async fn mount(worker: &PodWorker) -> Self {
        let mut mounted = BTreeMap::new();
        for volume in worker.spec.volumes.iter().flatten() {
            let mut delay = Duration::from_millis(500);
            let content = loop {
                match content(worker, volume).await {
                    Ok(content) => break content,
                    Err(error) => {
                        tracing::debug!(volume = volume.name, %error, "a volume cannot be mounted yet");
                    }
                }
                sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(122));
            };
            mounted.insert(volume.name.clone(), content);
        }
        Self(mounted)
    }

    /// Reads Secrets and ConfigMaps anew, as the kubelet does while a pod runs; what has gone, or can not
    /// be read, stays as it was.
    pub(super) async fn refreshed(&self, worker: &PodWorker) -> Self {
        let mut mounted = self.0.clone();
        for volume in worker.spec.volumes.iter().flatten() {
            if volume.secret.is_none() && volume.config_map.is_none() && volume.projected.is_none()
            {
                continue;
            }
            if let Ok(fresh) = content(worker, volume).await {
                mounted.insert(volume.name.clone(), fresh);
            }
        }
        Self(mounted)
    }

    /// What a container mounts.
    pub(super) fn of(&self, container: &Container) -> Vec<Mount> {
        let mounts = container.volume_mounts.iter().flatten();
        mounts
            .filter_map(|mount| {
                let content = self.0.get(&mount.name)?.clone();
                Some(Mount {
                    path: mount.mount_path.clone(),
                    sub_path: mount.sub_path.clone(),
                    content,
                })
            })
            .collect()
    }
}

async fn content(worker: &PodWorker, volume: &Volume) -> Result<Content, NotYet> {
    if let Some(source) = &volume.persistent_volume_claim {
        return claim(worker, &source.claim_name).await;
    }
    if let Some(source) = &volume.ephemeral
        && source.volume_claim_template.is_some()
    {
        return claim(worker, &format!("{}-{}", worker.pod().name_any(), volume.name)).await;
    }
    let files = if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        pick("secret", name, secret(worker, name).await?, source.items.as_deref(), source.optional)?
    } else if let Some(source) = &volume.config_map {
        pick(
            "configmap",
            &source.name,
            config_map(worker, &source.name).await?,
            source.items.as_deref(),
            source.optional,
        )?
    } else if let Some(source) = &volume.downward_api {
        downward(&worker.pod(), source.items.as_deref())
    } else if let Some(source) = &volume.projected {
        projected(worker, source).await?
    } else {
        let id = match &volume.host_path {
            Some(host) => format!("{}:{}", worker.core.spec.name, host.path),
            None => format!("{}/{}", worker.pod().uid().unwrap_or_default(), volume.name),
        };
        return Ok(Content::Empty { id });
    };
    Ok(Content::Files(Arc::new(files)))
}

async fn claim(worker: &PodWorker, name: &str) -> Result<Content, NotYet> {
    let api: Api<PersistentVolumeClaim> =
        Api::namespaced(worker.core.client.clone(), &worker.namespace());
    let Some(claim) = worker.core.call(api.get_opt(name)).await? else {
        return Err(NotYet::Missing { kind: "persistentvolumeclaim", name: name.to_owned() });
    };
    let phase = claim.status.as_ref().and_then(|s| s.phase.as_deref());
    if phase != Some("Bound") {
        return Err(NotYet::Unbound(name.to_owned()));
    }
    Ok(Content::Claim { name: name.to_owned(), uid: claim.uid().unwrap_or_default() })
}

async fn projected(worker: &PodWorker, volume: &ProjectedVolumeSource) -> Result<Files, NotYet> {
    let mut files = Files::new();
    for source in volume.sources.iter().flatten() {
        if let Some(from) = &source.secret {
            files.extend(pick(
                "secret",
                &from.name,
                secret(worker, &from.name).await?,
                from.items.as_deref(),
                from.optional,
            )?);
        }
        if let Some(from) = &source.config_map {
            let all = config_map(worker, &from.name).await?;
            files.extend(pick("configmap", &from.name, all, from.items.as_deref(), from.optional)?);
        }
        if let Some(from) = &source.downward_api {
            files.extend(downward(&worker.pod(), from.items.as_deref()));
        }
        if let Some(from) = &source.service_account_token {
            let account = worker.spec.service_account_name.as_deref().unwrap_or("default");
            files.insert(
                from.path.clone(),
                Bytes::from(format!("token of {}/{account}", worker.namespace())),
            );
        }
    }
    Ok(files)
}

/// The data of a Secret, if there is one of that name.
pub(super) async fn secret(worker: &PodWorker, name: &str) -> Result<Option<Files>, Trouble> {
    let api: Api<Secret> = Api::namespaced(worker.core.client.clone(), &worker.namespace());
    let secret = worker.core.call(api.get_opt(name)).await?;
    Ok(secret.map(|s| {
        s.data.into_iter().flatten().map(|(key, value)| (key, Bytes::from(value.0))).collect()
    }))
}

/// The data of a `ConfigMap`, if there is one of that name.
pub(super) async fn config_map(worker: &PodWorker, name: &str) -> Result<Option<Files>, Trouble> {
    let api: Api<ConfigMap> = Api::namespaced(worker.core.client.clone(), &worker.namespace());
    let map = worker.core.call(api.get_opt(name)).await?;
    Ok(map.map(|m| {
        let texts = m.data.into_iter().flatten().map(|(key, value)| (key, Bytes::from(value)));
        let bytes =
            m.binary_data.into_iter().flatten().map(|(key, value)| (key, Bytes::from(value.0)));
        texts.chain(bytes).collect()
    }))
}

/// The files a volume shows: all, or the items it names under the paths it names.
fn pick(
    kind: &'static str,
    name: &str,
    all: Option<Files>,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
) -> Result<Files, NotYet> {
    let optional = optional.unwrap_or(false);
    let Some(all) = all else {
        let missing = NotYet::Missing { kind, name: name.to_owned() };
        return if optional { Ok(Files::new()) } else { Err(missing) };
    };
    let Some(items) = items else { return Ok(all) };
    let mut files = Files::new();
    for item in items {
        match all.get(&item.key) {
            Some(bytes) => drop(files.insert(item.path.clone(), bytes.clone())),
            None if optional => {}
            None => {
                return Err(NotYet::NoKey { kind, name: name.to_owned(), key: item.key.clone() });
            }
        }
    }
    Ok(files)
}

fn downward(pod: &Pod, items: Option<&[DownwardAPIVolumeFile]>) -> Files {
    let items = items.unwrap_or_default().iter();
    items
        .filter_map(|item| {
            Some((item.path.clone(), Bytes::from(field(pod, &item.field_ref.as_ref()?.field_path))))
        })
        .collect()
}
