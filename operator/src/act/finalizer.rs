//! The finalizer, which holds up the deletion of an object with cache groups.

use std::sync::Arc;

use crate::cluster::{Cluster, ClusterError};
use crate::decide::Finalizer;
use crate::operator::Operator;
use crate::sight::Sight;

impl Operator {
    /// Adds the finalizer, or takes it away. What stands in the way is said, and tried again.
    ///
    /// # Errors
    /// When the object has changed in the meantime.
    pub(super) async fn finalize<Seen>(
        &self,
        sight: &Sight<Seen>,
        change: Option<Finalizer>,
    ) -> Result<Option<String>, ClusterError> {
        let Some(change) = change else { return Ok(None) };
        match self.cluster.finalize(&sight.object, change).await {
            Ok(written) => {
                tracing::info!(object = %sight.key, ?change, "finalizer");
                sight.memory(|memory| memory.written = Some(Arc::new(written)));
                self.wake(&sight.key);
                Ok(None)
            }
            Err(error @ (ClusterError::Outdated | ClusterError::Gone)) => Err(error),
            Err(error) => Ok(Some(format!("finalizer: {error}"))),
        }
    }
}
