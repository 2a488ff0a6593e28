//! The finalizer, which holds up the deletion of an object with cache groups.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{Cluster, ClusterError};
use crate::decide::Finalizer;
use crate::operator::Operator;
use crate::sight::Sight;

/// The pause after a try that failed.
const PAUSE: Duration = Duration::from_secs(2);

impl Operator {
    /// Adds the finalizer, or takes it away. Gives what stands in the way, which is tried again.
    ///
    /// # Errors
    /// When the object has changed in the meantime.
    pub(super) async fn finalize<Seen>(
        &self,
        sight: &Sight<Seen>,
        change: Option<Finalizer>,
    ) -> Result<Option<String>, ClusterError> {
        let Some(change) = change else { return Ok(None) };
        let now = Instant::now();
        let (failed, written) =
            sight.memory(|memory| (memory.not_finalized.clone(), memory.written.clone()));
        if let Some((_, text)) = failed.filter(|(at, _)| now - *at < PAUSE) {
            return Ok(Some(text));
        }
        let object = written.unwrap_or_else(|| Arc::clone(&sight.object));
        let result = self.cluster.finalize(&object, change).await;
        match result {
            Ok(written) => {
                tracing::info!(object = %sight.key, ?change, "finalizer");
                sight.memory(|memory| {
                    memory.not_finalized = None;
                    memory.written = Some(Arc::new(written));
                });
                self.wake(&sight.key);
                Ok(None)
            }
            Err(error @ (ClusterError::Outdated | ClusterError::Gone)) => Err(error),
            Err(error) => {
                let text = format!("finalizer: {error}");
                sight.memory(|memory| memory.not_finalized = Some((now, text.clone())));
                Ok(Some(text))
            }
        }
    }
}
