//! Nodes: cordoned and drained, as with `kubectl`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use kube::Api;
use kube::api::{EvictParams, Patch, PatchParams};
use serde_json::json;

use super::steps::{Player, Result};
use crate::case::Member;
use crate::timeline::Who;

/// The taint of nodes that are shut down.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// How long `kubectl drain` waits before it asks again to evict a pod.
const AGAIN: Duration = Duration::from_secs(5);

impl Player<'_> {
    pub(super) async fn cordon(&self, law: &str, of: &Member) -> Result {
        let pod = self.pod(of)?;
        let Some(node) = self.world.node_of(&pod).await else {
            return Err(self.wrong(law, "the pod is on no node", vec![pod]));
        };
        self.world.record.say(Who::User, format!("cordon {}, the node of {pod}", node.name()));
        self.schedulable(node.name(), false).await
    }

    pub(super) async fn drain(&self, law: &str, of: &Member) -> Result {
        let pod = self.pod(of)?;
        self.cordon(law, of).await?;
        self.world.record.say(Who::User, format!("drain: evict pod/{pod}"));
        let pods: Api<Pod> = Api::namespaced(self.world.client(), self.world.api.namespace());
        let uid = self.done("read the pod", pods.get(&pod).await)?.metadata.uid;
        let world = std::sync::Arc::downgrade(&self.world);
        tokio::spawn(async move {
            while let Some(world) = world.upgrade() {
                let same = |pod: &Pod| pod.metadata.uid == uid;
                if !pods.get_opt(&pod).await.ok().flatten().as_ref().is_some_and(same)
                    || pods.evict(&pod, &EvictParams::default()).await.is_ok()
                {
                    return;
                }
                drop(world);
                tokio::time::sleep(AGAIN).await;
            }
        });
        Ok(())
    }

    pub(super) async fn out_of_service(&self, law: &str, of: &Member) -> Result {
        let pod = self.pod(of)?;
        let Some(node) = self.world.node_of(&pod).await else {
            return Err(self.wrong(law, "the pod is on no node", vec![pod]));
        };
        let said = format!("{}, the node of {pod}, is out of service", node.name());
        self.world.record.say(Who::User, said);
        let tainted = self.taint(node.name(), true).await;
        self.done("taint the node", tainted)
    }

    /// Takes away what was said of nodes that are out of service.
    pub(super) async fn in_service(&self) {
        for node in &self.world.nodes {
            // A node that is gone has no taints.
            let _ = self.taint(node.name(), false).await;
        }
    }

    /// Says that a node is out of service, or no longer; as it is said already, nothing is written.
    async fn taint(&self, node: &str, out: bool) -> kube::Result<()> {
        let nodes: Api<Node> = Api::all(self.world.client());
        // A patch replaces all taints.
        let spec = nodes.get(node).await?.spec.unwrap_or_default();
        let mut taints = spec.taints.unwrap_or_default();
        let before = taints.len();
        taints.retain(|taint| taint.key != OUT_OF_SERVICE);
        if !out && taints.len() == before {
            return Ok(());
        }
        if out {
            taints.push(Taint {
                key: OUT_OF_SERVICE.into(),
                value: Some("nodeshutdown".into()),
                effect: "NoExecute".into(),
                ..Taint::default()
            });
        }
        let patch = Patch::Merge(json!({"spec": {"taints": taints}}));
        nodes.patch(node, &PatchParams::default(), &patch).await.map(drop)
    }

    pub(super) async fn uncordon(&self) -> Result {
        self.world.record.say(Who::User, "uncordon all nodes");
        for node in &self.world.nodes {
            self.schedulable(node.name(), true).await?;
        }
        Ok(())
    }

    async fn schedulable(&self, node: &str, schedulable: bool) -> Result {
        let nodes: Api<Node> = Api::all(self.world.client());
        let patch = Patch::Merge(json!({"spec": {"unschedulable": !schedulable}}));
        let patched = nodes.patch(node, &PatchParams::default(), &patch).await;
        self.done("patch the node", patched).map(drop)
    }
}
