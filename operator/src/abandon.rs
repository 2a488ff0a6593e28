//! Giving up the volumes of a pod that is stranded: what cannot be taken back is confirmed first.
//!
//! Never: chooses. The plan carries the proof.

use crate::act::LEAD;
use crate::cluster::{Cluster, ClusterError};
use crate::decide::Abandon;
use crate::observe::node_ready;
use crate::operator::Operator;
use crate::report;
use crate::sight::Sight;

impl Operator {
    /// Deletes the claims, then the pod, which is made anew with others. Says what went wrong.
    pub(crate) async fn abandon(&self, sight: &Sight, abandon: &Abandon) -> Option<String> {
        let pod = &abandon.stranded.pod;
        let done = self.try_to_abandon(sight, abandon).await;
        done.err().map(|error| format!("volume claims of pod {pod}: {error}"))
    }

    async fn try_to_abandon(&self, sight: &Sight, abandon: &Abandon) -> Result<(), ClusterError> {
        let (stranded, members) = (&abandon.stranded, &sight.seen.members);
        if self.leadership.remaining() < LEAD {
            tracing::warn!(object = %sight.key, "claims not deleted: the lease ends too soon");
            return Ok(());
        }
        let back = self.cluster.node(&stranded.node).await?.is_some_and(|node| node_ready(&node));
        if back || !self.confirmed(sight, &[&members.zero, &members.one]).await? {
            tracing::info!(object = %sight.key, "claims not deleted: things have changed");
            return Ok(());
        }
        let member = members.iter().map(|(_, member)| member).find(|m| m.name == stranded.pod);
        let Some(uid) = member.and_then(|m| m.pod()).map(|pod| &pod.incarnation.uid) else {
            return Ok(());
        };
        for (claim, uid) in &stranded.claims {
            self.cluster.delete_claim(&sight.namespace, claim, uid).await?;
        }
        self.tell(sight, &report::abandoned(stranded));
        self.cluster.delete_pod(&sight.namespace, &stranded.pod, uid).await
    }
}
