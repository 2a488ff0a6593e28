//! Pods that no node can take, because their volumes are on a node that is lost.
//!
//! Never: decides. How long a node is lost is counted by this process alone (I14).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use super::pod::node_ready;
use crate::caches::find;
use crate::desired::{Desired, Topology};
use crate::memory::Memory;
use crate::objects;
use crate::observation::Stranded;
use crate::operator::Operator;

/// Annotation of a claim: the node that was chosen for its volume, because a pod was to run there.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

impl Operator {
    /// The members of a pair that are stranded, if anything would be done about it.
    pub(super) fn stranded(
        &self,
        memory: &mut Memory,
        desired: &Desired,
        now: Instant,
    ) -> Vec<Stranded> {
        if desired.topology != Topology::ActiveStandbyPair || desired.timeouts.node_lost.is_none() {
            return Vec::new();
        }
        let names = (0..desired.replicas()).map(|ordinal| format!("{}-{ordinal}", desired.name()));
        names.filter_map(|name| self.stranded_pod(memory, desired, name, now)).collect()
    }

    fn stranded_pod(
        &self,
        memory: &mut Memory,
        desired: &Desired,
        name: String,
        now: Instant,
    ) -> Option<Stranded> {
        let claims: Vec<Arc<PersistentVolumeClaim>> = objects::claim_names(desired, &name)
            .iter()
            .filter_map(|claim| find(&self.caches.claims, desired.namespace(), claim))
            .collect();
        let on = |claim: &PersistentVolumeClaim| claim.annotations().get(SELECTED_NODE).cloned();
        let node = claims.iter().filter_map(|claim| on(claim)).find(|node| self.is_lost(node));
        let since = &mut memory.pod(&name, now).lost_node;
        since.note(node.clone(), now);
        let (node, lost_for) = (node?, since.age(now));
        let pod = find(&self.caches.pods, desired.namespace(), &name)?;
        let there = claims.iter().filter(|claim| on(claim).as_ref() == Some(&node));
        let there = there.filter_map(|claim| Some((claim.name_any(), claim.uid()?))).collect();
        waits_for_node(&pod).then_some(Stranded { pod: name, claims: there, node, lost_for })
    }

    /// Kubernetes does not hear from the node, or no longer knows it.
    fn is_lost(&self, node: &str) -> bool {
        let known = self.caches.nodes.get(&ObjectRef::new(node));
        known.is_none_or(|node| !node_ready(&node))
    }
}

fn waits_for_node(pod: &Pod) -> bool {
    let placed = pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_some());
    !placed && pod.metadata.deletion_timestamp.is_none()
}
