//! Observing the subscribers of a pair: their pods, and the StatefulSet that makes them.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::caches::find;
use crate::desired::{Desired, Subscribers};
use crate::labels;
use crate::memory::Memory;
use crate::observation::Subscriber;
use crate::operator::Operator;
use crate::report;
use crate::sight::Sight;

impl Operator {
    /// The pods of the subscribers that there are to be, by name.
    pub(super) fn pods_of_subscribers(
        &self,
        memory: &mut Memory,
        sight: &Sight<()>,
        desired: Option<&(i64, Arc<Desired>)>,
        now: Instant,
    ) -> Vec<(String, Option<Arc<Pod>>)> {
        let subscribers = desired.and_then(|(_, desired)| desired.subscribers.as_ref());
        let names = subscribers.into_iter().flat_map(Subscribers::pods);
        names
            .map(|name| {
                let pod = self.freshest(memory, &sight.namespace, &name, now);
                (name, pod)
            })
            .collect()
    }

    /// Looks at the subscribers of a pair.
    pub(super) fn subscribers(
        &self,
        memory: &mut Memory,
        sight: &Sight<()>,
        pods: &[(String, Option<Arc<Pod>>)],
        now: Instant,
    ) -> Vec<Subscriber> {
        let status = sight.object.status.as_ref();
        let standing = report::standing_of_subscribers(status);
        let scheme = status.and_then(|status| status.rep_create_statement.clone());
        let one = |(name, pod): &(String, Option<Arc<Pod>>)| {
            let known = standing.get(name).cloned().unwrap_or_default();
            let task = known.task.as_ref().map(|task| task.id.as_str());
            let host = sight.host(name);
            let member = self.member(memory, sight, name.clone(), pod.as_deref(), task);
            let noted = memory.pod(name, now);
            noted.intent.note(known.intent.clone(), now);
            noted.task.note(task.map(ToOwned::to_owned), now);
            noted.copies.note((known.copies, task.is_some()), now);
            Subscriber {
                named: scheme.as_deref().is_some_and(|scheme| names_host(scheme, &host)),
                intent_age: known.intent.as_ref().map(|_| noted.intent.age(now)),
                task_age: noted.task.age(now),
                rest_age: noted.copies.age(now),
                standing: known,
                member,
            }
        };
        pods.iter().map(one).collect()
    }

    /// The StatefulSet of the subscribers: that of the spec's name, or one that is wanted no more.
    pub(super) fn set_of_subscribers(&self, desired: &Desired) -> Option<Arc<StatefulSet>> {
        let sets = &self.caches.stateful_sets;
        if let Some(subscribers) = &desired.subscribers {
            return find(sets, desired.namespace(), &subscribers.name);
        }
        let ours = |set: &StatefulSet| {
            set.namespace().as_deref() == Some(desired.namespace())
                && set.labels().get(labels::OBJECT).is_some_and(|name| name == desired.name())
                && set.labels().contains_key(labels::SUBSCRIBER)
        };
        sets.find(ours)
    }
}

/// The statement names that host, and not merely one that ends like it.
fn names_host(statement: &str, host: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    statement.split(|c| !of_name(c)).any(|word| word == host)
}

#[cfg(test)]
mod tests {
    use super::names_host;

    #[test]
    fn a_host_is_named_by_its_whole_name() {
        let statement = "create active standby pair d on \"a-0.a.ns\", d on \"a-1.a.ns\" NO RETURN \
             subscriber d on \"a-sub-0.a.ns\"";
        assert!(names_host(statement, "a-sub-0.a.ns"));
        assert!(!names_host(statement, "sub-0.a.ns"));
        assert!(!names_host(statement, "a-sub-1.a.ns"));
        assert!(names_host("subscriber d on a-sub-1.a.ns, d on b", "a-sub-1.a.ns"));
    }
}
