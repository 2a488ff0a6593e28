//! What a pod that does not get its volumes lacks: ConfigMaps and Secrets that do not exist. The pod
//! says no more than that it waits; only events of the kubelet have the names.
//!
//! Never: waits. What is read in the background counts in the next pass.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use tokio::time::Instant;

use super::lock;
use super::pod::PENDING;
use crate::cluster::{Cluster, ClusterError};
use crate::memory::Memory;
use crate::observation::{self, Member, PodFacts, TtContainer};
use crate::operator::Operator;
use crate::sight::Sight;

/// How often they are looked for while a pod waits.
const INTERVAL: Duration = Duration::from_secs(5);
/// What Kubernetes says of the containers of a pod whose volumes are not mounted yet.
const WAITS: [&str; 2] = [PENDING, "ContainerCreating"];

/// What a pod was found to lack.
#[derive(Debug, Default)]
pub struct Missing {
    sources: Vec<Source>,
    asked: Option<Instant>,
}

/// Where a volume has its files from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    ConfigMap(String),
    Secret(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConfigMap(name) => write!(f, "ConfigMap {name} does not exist"),
            Self::Secret(name) => write!(f, "Secret {name} does not exist"),
        }
    }
}

impl Operator {
    /// Says what a pod waits for, as far as that is known, and has it looked for.
    pub(super) fn tell_missing(
        &self,
        memory: &mut Memory,
        sight: &Sight<()>,
        member: &mut Member,
        shown: Option<&Pod>,
        now: Instant,
    ) {
        let missing = &mut memory.pod(&member.name, now).missing;
        let (
            Some(shown),
            observation::Pod::Present(PodFacts { tt: TtContainer::Waiting { reason }, .. }),
        ) = (shown, &mut member.pod)
        else {
            *missing = Missing::default();
            return;
        };
        if !WAITS.contains(&reason.as_str()) {
            *missing = Missing::default();
            return;
        }
        if !missing.sources.is_empty() {
            let all: Vec<String> = missing.sources.iter().map(ToString::to_string).collect();
            *reason = all.join(", ");
        }
        if missing.asked.is_none_or(|asked| now - asked >= INTERVAL) {
            missing.asked = Some(now);
            self.look_for(sight, member.name.clone(), sources(shown));
        }
    }

    /// Looks in the background which of them do not exist.
    fn look_for(&self, sight: &Sight<()>, pod: String, sources: BTreeSet<Source>) {
        let (cluster, wake) = (self.cluster.clone(), self.wake.clone());
        let (memory, key) = (Arc::clone(&sight.memory), sight.key.clone());
        self.jobs.start(async move {
            let mut missing = Vec::new();
            for source in sources {
                // What cannot be told is not said to be missing.
                if matches!(exists(&cluster, &key.namespace, &source).await, Ok(false)) {
                    missing.push(source);
                }
            }
            let known = std::mem::replace(
                &mut lock(&memory).pod(&pod, Instant::now()).missing.sources,
                missing.clone(),
            );
            if known != missing {
                let _ = wake.send(key.reference());
            }
        });
    }
}

async fn exists(
    cluster: &impl Cluster,
    namespace: &str,
    source: &Source,
) -> Result<bool, ClusterError> {
    match source {
        Source::ConfigMap(name) => cluster.exists::<ConfigMap>(namespace, name).await,
        Source::Secret(name) => cluster.exists::<Secret>(namespace, name).await,
    }
}

/// What a pod's volumes cannot do without.
fn sources(pod: &Pod) -> BTreeSet<Source> {
    let needed = |optional: Option<bool>| optional != Some(true);
    let mut all = BTreeSet::new();
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let secret = volume.secret.as_ref().filter(|source| needed(source.optional));
        all.extend(secret.and_then(|source| source.secret_name.clone()).map(Source::Secret));
        let map = volume.config_map.as_ref().filter(|source| needed(source.optional));
        all.extend(map.map(|source| Source::ConfigMap(source.name.clone())));
        for source in volume.projected.iter().flat_map(|source| source.sources.iter().flatten()) {
            let secret = source.secret.as_ref().filter(|source| needed(source.optional));
            all.extend(secret.map(|source| Source::Secret(source.name.clone())));
            let map = source.config_map.as_ref().filter(|source| needed(source.optional));
            all.extend(map.map(|source| Source::ConfigMap(source.name.clone())));
        }
    }
    all
}
