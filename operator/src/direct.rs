//! Direct reads of pods: the second look where a watch may lag behind, or may have lost something.
//!
//! A pod whose agent cannot be heard is read directly, and again while the watch shows less than
//! the last read did. What was read counts in observations until the watch has caught up.
//!
//! Never: decides, or holds up a pass for more than the reads that confirm an irreversible order.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::cluster::{Cluster, ClusterError};
use crate::memory::Memory;
use crate::observation::{Agent, Member};
use crate::observe;
use crate::operator::Operator;
use crate::sight::Sight;

/// How often a pod is read whose agent has fallen silent, or of which the watch lags behind.
const LAGGING: Duration = Duration::from_secs(1);

/// What the direct reads of one pod said, as far as the watch has not shown it.
#[derive(Debug, Default)]
pub struct Reads {
    news: Option<News>,
    reading: bool,
    last: Option<Instant>,
}

/// What the watch has not shown yet.
#[derive(Debug)]
enum News {
    /// The pod of that UID is gone for good.
    Gone(String),
    /// There is a newer version of it, or another pod.
    Newer(Arc<Pod>),
    /// There is one, and the watch has never shown it.
    Unseen(Arc<Pod>),
}

impl Reads {
    /// The freshest that is known of the pod, given what the watch shows.
    pub fn freshest(&mut self, shown: Option<Arc<Pod>>) -> Option<Arc<Pod>> {
        match (&self.news, &shown) {
            (Some(News::Gone(uid)), Some(pod)) if pod.uid().as_ref() == Some(uid) => None,
            (Some(News::Unseen(read)), None) => Some(Arc::clone(read)),
            (Some(News::Newer(read) | News::Unseen(read)), Some(pod))
                if version(read) > version(pod) =>
            {
                Some(Arc::clone(read))
            }
            _ => {
                self.news = None;
                shown
            }
        }
    }

    /// A direct read, made while the watch showed `shown`. Says whether it is news.
    pub fn note(&mut self, shown: Option<&Pod>, read: Option<Pod>, now: Instant) -> bool {
        self.reading = false;
        self.last = Some(now);
        self.news = match (shown, read) {
            (None, None) => None,
            (Some(pod), None) => pod.uid().map(News::Gone),
            (None, Some(read)) => Some(News::Unseen(Arc::new(read))),
            (Some(pod), Some(read)) if version(&read) > version(pod) => {
                Some(News::Newer(Arc::new(read)))
            }
            (Some(_), Some(_)) => None,
        };
        self.news.is_some()
    }

    /// A read has failed.
    fn failed(&mut self, now: Instant) {
        self.reading = false;
        self.last = Some(now);
    }

    /// The pod is to be read now; `doubtful`: what the watch shows may not be all.
    fn begin(&mut self, doubtful: bool, interval: Duration, now: Instant) -> bool {
        if !doubtful && self.news.is_none() {
            self.last = None;
        }
        let pause = if self.news.is_some() { LAGGING } else { interval };
        let due = self.last.is_none_or(|last| now - last >= pause);
        let begins = (doubtful || self.news.is_some()) && due && !self.reading;
        self.reading |= begins;
        begins
    }
}

/// The version of a pod: a higher one is newer, whatever pod of that name it is of.
fn version(pod: &Pod) -> Option<u64> {
    pod.resource_version()?.parse().ok()
}

impl Operator {
    /// The pods are still the ones that were observed, as direct reads say. If they are not, what
    /// was read is observed next, at once.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub(crate) async fn confirmed<Seen>(
        &self,
        sight: &Sight<Seen>,
        members: &[&Member],
    ) -> Result<bool, ClusterError> {
        let mut confirmed = true;
        for member in members {
            let read = self.cluster.pod(&sight.namespace, &member.name).await?;
            let pod = observe::pod(read.as_ref(), &sight.uid, None);
            if observe::essence(&pod) != observe::essence(&member.pod) {
                confirmed = false;
                self.note(sight, &member.name, read);
            }
        }
        Ok(confirmed)
    }

    /// Reads a pod in the background if there is doubt whether the watch shows all.
    pub(crate) fn look<Seen: Send + Sync + 'static>(
        self: &Arc<Self>,
        sight: &Sight<Seen>,
        member: &Member,
        now: Instant,
    ) {
        let Some(desired) = &sight.desired else { return };
        let doubtful = member.heard().is_none();
        // An agent that was heard and no longer answers may have died just now.
        let silent = matches!(member.agent, Agent::Silent { .. });
        let interval = if silent { LAGGING } else { desired.timeouts.polling };
        let begins = |memory: &mut Memory| {
            memory.pod(&member.name, now).reads.begin(doubtful, interval, now)
        };
        if !sight.memory(begins) {
            return;
        }
        let (operator, sight, name) = (Arc::clone(self), sight.clone(), member.name.clone());
        self.jobs.start(async move {
            match operator.cluster.pod(&sight.namespace, &name).await {
                Ok(read) => operator.note(&sight, &name, read),
                Err(error) => {
                    tracing::debug!(object = %sight.key, pod = name, %error, "not read");
                    let now = Instant::now();
                    sight.memory(|memory| memory.pod(&name, now).reads.failed(now));
                }
            }
        });
    }

    /// Remembers what was read, and looks at the object again if it is news.
    fn note<Seen>(&self, sight: &Sight<Seen>, name: &str, read: Option<Pod>) {
        let now = Instant::now();
        let shown = self.shown(&sight.namespace, name);
        let news =
            |memory: &mut Memory| memory.pod(name, now).reads.note(shown.as_deref(), read, now);
        if sight.memory(news) {
            self.wake(&sight.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, version: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.uid = Some(uid.into());
        pod.metadata.resource_version = Some(version.into());
        pod
    }

    /// What counts after a read, and after the watch has gone on to show something else.
    fn counts(shown: Option<&Pod>, read: Option<Pod>, then: Option<Pod>) -> Option<String> {
        let mut reads = Reads::default();
        reads.note(shown, read, Instant::now());
        reads.freshest(then.map(Arc::new))?.resource_version()
    }

    #[test]
    fn the_freshest_counts() {
        let (old, new) = (|| Some(pod("a", "9")), || Some(pod("a", "10")));
        assert_eq!(counts(old().as_ref(), new(), old()).as_deref(), Some("10"));
        assert_eq!(
            counts(new().as_ref(), old(), new()).as_deref(),
            Some("10"),
            "the read was stale"
        );
        assert_eq!(counts(old().as_ref(), new(), Some(pod("a", "11"))).as_deref(), Some("11"));
        assert_eq!(counts(old().as_ref(), new(), None), None, "the watch has shown its end");
    }

    #[test]
    fn a_pod_that_is_gone_does_not_come_back() {
        let old = || Some(pod("a", "9"));
        assert_eq!(counts(old().as_ref(), None, old()), None);
        assert_eq!(counts(old().as_ref(), None, Some(pod("a", "10"))), None);
        assert_eq!(counts(old().as_ref(), None, Some(pod("b", "11"))).as_deref(), Some("11"));
    }

    #[test]
    fn a_pod_that_was_never_shown_counts() {
        assert_eq!(counts(None, Some(pod("b", "9")), None).as_deref(), Some("9"));
        assert_eq!(counts(None, None, None), None);
    }

    #[test]
    fn a_pod_is_read_when_in_doubt_and_oftener_while_the_watch_lags() {
        let (start, interval) = (Instant::now(), Duration::from_secs(5));
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut reads = Reads::default();
        assert!(!reads.begin(false, interval, start), "no doubt");
        assert!(reads.begin(true, interval, start));
        assert!(!reads.begin(true, interval, later(9)), "it is being read");
        reads.note(Some(&pod("a", "1")), Some(pod("a", "1")), start);
        assert!(!reads.begin(true, interval, later(4)));
        assert!(reads.begin(true, interval, later(5)));
        reads.note(Some(&pod("a", "1")), Some(pod("a", "2")), later(5));
        assert!(reads.begin(false, interval, later(6)), "the watch lags behind");
    }
}
