//! Acting: a plan is carried out, in an order that makes a crash anywhere harmless.
//!
//! The status first, guarded by the version it was made of: nothing is done that is not on record
//! (I7). Then owned objects, then role labels, then orders, which only start here and go on in the
//! background (I11). Events last, and none of them can fail a pass (I9).
//!
//! Never: chooses. What to do is in the plan.

mod ask;
mod finalizer;
mod task;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use crate::agent::{Agent, AgentError, Call, Endpoint, Roles, TaskId, Verb};
use crate::cluster::{Cluster, ClusterError};
use crate::crd::TimesTenClassicStatus;
use crate::decide::{Order, Plan, Reason, replicas};
use crate::objects::{self, Write};
use crate::observation::{Member, Replicas};
use crate::observe;
use crate::operator::Operator;
use crate::pair::Ordinal;
use crate::report;
use crate::sight::{Post, Sight};
use crate::standing::Work;
use crate::writes::Trouble;

use self::task::errand;

/// The least time between two passes that nothing asked for.
const SHORTEST_REST: Duration = Duration::from_millis(50);

/// What must be left of the lease when something irreversible is ordered: the next leader must not
/// have begun when it reaches the agent.
pub(crate) const LEAD: Duration = Duration::from_secs(3);

/// How long what another operator wrote stands.
const RESPECT: Duration = Duration::from_secs(2);

/// What a pass does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    /// Something was recorded that the next look will act on.
    Again,
    /// Nothing is left to do until something changes, or for so long.
    Rest(Duration),
}

impl Operator {
    /// Carries out a plan.
    ///
    /// # Errors
    /// When the API server does not take the status; nothing else was done then.
    pub async fn act(self: &Arc<Self>, sight: &Sight, plan: &Plan) -> Result<Acted, ClusterError> {
        if sight.seen.deleting && sight.object.finalizers().is_empty() {
            // It goes as soon as the API server has done with it.
            return Ok(Acted::Rest(plan.interval));
        }
        let before = sight.status();
        let after = report::status(before, &sight.seen, plan, &self.identity);
        let recorded = self.record(sight, before, &after, &plan.because).await?;
        if recorded {
            sight.memory(|memory| memory.note(&plan.standing, Instant::now()));
        }
        let members = &sight.seen.members;
        let finalized = self.finalize(sight, plan.finalizer).await?;
        let mut trouble = self.write(sight, &plan.writes).await.or(finalized);
        let labelled = self.label(sight, plan).await;
        let deleted = match (plan.delete, plan.replace) {
            (Some(ordinal), _) => self.delete(sight, &members[ordinal], None).await,
            (None, Some(ordinal)) => {
                let image = plan.standing.upgrades.target();
                self.delete(sight, &members[ordinal], image).await
            }
            (None, None) => None,
        };
        let abandoned = match &plan.abandon {
            Some(abandon) => self.abandon(sight, abandon).await,
            None => None,
        };
        trouble = deleted.or(labelled).or(abandoned).or(trouble);
        self.remember(sight, trouble);
        for ordinal in Ordinal::ALL {
            if let Some(order) = &plan.give[ordinal] {
                let roles = Roles {
                    active: Some(sight.host(&members[plan.standing.active].name)),
                    standby: Some(sight.host(&members[plan.standing.standby()].name)),
                    subscriber: false,
                };
                let all = [&members.zero, &members.one];
                self.give(sight, &members[ordinal], order, roles, &all).await?;
            }
        }
        let mut rest = plan.interval;
        for ordinal in Ordinal::ALL {
            let task = sight.seen.standing.task.as_ref().filter(|task| task.member == ordinal);
            let task = task.and_then(|task| errand(task.work, &task.id));
            let urgent = plan.ask[ordinal];
            rest = rest.min(self.watch(sight, &members[ordinal], task, urgent, plan.interval));
        }
        rest = rest.min(self.attend(sight, plan).await);
        if recorded { Ok(Acted::Again) } else { Ok(Acted::Rest(rest.max(SHORTEST_REST))) }
    }

    /// Carries out what is planned for the subscribers. No trouble with one of them is the pair's
    /// (I9). Says when the next of them is due to be asked.
    async fn attend(self: &Arc<Self>, sight: &Sight, plan: &Plan) -> Duration {
        let members = &sight.seen.members;
        let host = |ordinal: Ordinal| Some(sight.host(&members[ordinal].name));
        let mut rest = plan.interval;
        for (subscriber, planned) in sight.seen.subscribers.iter().zip(&plan.subscribers) {
            let member = &subscriber.member;
            if let Some(order) = &planned.give {
                let roles = Roles {
                    active: host(plan.standing.active),
                    // A subscriber is copied from whom it is told is the standby.
                    standby: host(plan.feeds.unwrap_or(plan.standing.standby())),
                    subscriber: true,
                };
                let all = [member, &members.zero, &members.one];
                if let Err(error) = self.give(sight, member, order, roles, &all).await {
                    tracing::warn!(object = %sight.key, pod = member.name, %error, "not given");
                }
            }
            let task = planned.standing.task.as_ref().and_then(|t| errand(Work::Copy, &t.id));
            rest = rest.min(self.watch(sight, member, task, false, plan.interval));
        }
        rest
    }

    /// Carries out a plan for databases without replication.
    ///
    /// # Errors
    /// When the API server does not take the status; nothing else was done then.
    pub async fn act_on_replicas(
        self: &Arc<Self>,
        sight: &Sight<Replicas>,
        plan: &replicas::Plan,
    ) -> Result<Acted, ClusterError> {
        let before = sight.status();
        let after = report::status_of_replicas(before, &sight.seen, plan, &self.identity);
        let recorded = self.record(sight, before, &after, &plan.because).await?;
        let finalized = self.finalize(sight, plan.finalizer).await?;
        let trouble = self.write(sight, &plan.writes).await.or(finalized);
        self.remember(sight, trouble);
        let pods = || sight.seen.pods.iter().map(|pod| &pod.member);
        for (member, order) in pods().zip(&plan.give) {
            if let Some(order) = order {
                self.give(sight, member, order, Roles::default(), &[member]).await?;
            }
        }
        let mut rest = plan.interval;
        for member in pods() {
            rest = rest.min(self.watch(sight, member, None, false, plan.interval));
        }
        if recorded { Ok(Acted::Again) } else { Ok(Acted::Rest(rest.max(SHORTEST_REST))) }
    }

    /// Records the status, if it differs, and tells what has changed.
    async fn record<Seen>(
        &self,
        sight: &Sight<Seen>,
        before: &TimesTenClassicStatus,
        after: &TimesTenClassicStatus,
        because: &Reason,
    ) -> Result<bool, ClusterError> {
        if !report::differs(before, after) {
            return Ok(false);
        }
        tracing::debug!(object = %sight.key, ?before, ?after, "differs");
        self.respect(sight, before)?;
        let written = self.cluster.record(&sight.object, after).await?;
        let version = written.resource_version();
        let state = after.high_level_state.as_deref().unwrap_or_default();
        tracing::info!(
            object = %sight.key, state, term = after.term, %because, version, "recorded"
        );
        let deleting = sight.object.metadata.deletion_timestamp.is_some();
        sight.memory(|memory| {
            memory.written = Some(Arc::new(written));
            memory.wrote = true;
        });
        for note in report::events(before, after, deleting) {
            self.tell(sight, &note);
        }
        Ok(true)
    }

    /// What another operator wrote stands for a while before it is written over.
    fn respect<Seen>(
        &self,
        sight: &Sight<Seen>,
        before: &TimesTenClassicStatus,
    ) -> Result<(), ClusterError> {
        let other = before.last_reconciling_operator.as_ref();
        let other = other.filter(|name| **name != self.identity.instance);
        let version = other.and_then(|_| sight.object.resource_version());
        match (other, sight.memory(|memory| memory.rival(version, Instant::now()))) {
            (Some(other), Some(stood)) if stood < RESPECT => {
                Err(ClusterError::Rival(other.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Writes owned objects; trouble with one of them stops nothing else (I9).
    async fn write<Seen>(&self, sight: &Sight<Seen>, writes: &[Write]) -> Option<String> {
        let now = Instant::now();
        let mut trouble = None;
        for write in writes {
            match self.cluster.write(write).await {
                Ok(()) => {
                    sight.memory(|memory| memory.writes.written(write, now));
                    self.tell(sight, &report::written(write));
                }
                // Somebody was faster, and the watch will show it; or the name is somebody else's.
                Err(ClusterError::Outdated) => {
                    if write.makes_credentials() {
                        // The Secret that is there counts, not the one that was to be made.
                        sight.memory(|memory| memory.keyring.outdone());
                    }
                    self.look_in_the_way(sight, write, now).await;
                }
                Err(error) => trouble = Some(format!("{}: {error}", write.key())),
            }
        }
        trouble
    }

    /// Writes role labels.
    async fn label(&self, sight: &Sight, plan: &Plan) -> Option<String> {
        let now = Instant::now();
        for label in &plan.labels {
            let pod = &sight.seen.members[label.member].name;
            match self.cluster.label(&sight.namespace, pod, &label.uid, label.role).await {
                Ok(()) => sight.memory(|memory| {
                    memory.pod(pod, now).link.labelled(sight.version(pod), label.role);
                }),
                Err(ClusterError::Outdated | ClusterError::Gone) => return None,
                // A label that could not be taken away must not be given to the other pod.
                Err(error) => return Some(format!("role label of pod {pod}: {error}")),
            }
        }
        None
    }

    /// Deletes a pod: as a fence, or so that it is made anew with an image.
    async fn delete(&self, sight: &Sight, member: &Member, image: Option<&str>) -> Option<String> {
        let (uid, members) = (&member.pod()?.incarnation.uid, &sight.seen.members);
        let deleted = match self.confirmed(sight, &[&members.zero, &members.one]).await {
            Ok(true) => {
                let deleted = self.cluster.delete_pod(&sight.namespace, &member.name, uid).await;
                if let (Ok(()), Some(image)) = (&deleted, image) {
                    self.tell(sight, &report::replaced(&member.name, image));
                }
                deleted
            }
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        deleted.err().map(|error| format!("deletion of pod {}: {error}", member.name))
    }

    /// Remembers what could not be written, for people.
    fn remember<Seen>(&self, sight: &Sight<Seen>, trouble: Option<String>) {
        if let Some(text) = &trouble {
            tracing::warn!(object = %sight.key, trouble = text, "could not write");
        }
        sight.memory(|memory| memory.writes.trouble = trouble.map(Trouble::Failed));
    }

    /// An object could not be created, because there is one of its name: whose is it?
    async fn look_in_the_way<Seen>(&self, sight: &Sight<Seen>, write: &Write, now: Instant) {
        let Write::Create(_) = write else { return };
        let Ok(Some(found)) = self.cluster.metadata(write).await else { return };
        if let Some(whose) = objects::whose(&write.key(), &found, &write.object().metadata) {
            sight.memory(|memory| memory.writes.taken(write, whose, now));
        }
    }

    /// Starts an order. What cannot be taken back is confirmed with direct reads of these pods first.
    async fn give<Seen: Send + Sync + 'static>(
        self: &Arc<Self>,
        sight: &Sight<Seen>,
        to: &Member,
        order: &Order,
        roles: Roles,
        confirm: &[&Member],
    ) -> Result<(), ClusterError> {
        if order.irreversible() {
            if self.leadership.remaining() < LEAD {
                tracing::warn!(object = %sight.key, ?order, "not given: the lease ends too soon");
                return Ok(());
            }
            if !self.confirmed(sight, confirm).await? {
                tracing::info!(object = %sight.key, ?order, "not given: the pods have changed");
                return Ok(());
            }
        }
        let post = sight.post(to);
        let Some(endpoint) = post.endpoint.clone() else { return Ok(()) };
        let verb = order.verb();
        tracing::info!(object = %sight.key, pod = post.name, verb = verb.name(), "order");
        sight.link(&post, |link| link.give(verb.clone(), Instant::now()));
        let (operator, order, sight) = (Arc::clone(self), order.clone(), sight.clone());
        self.jobs.start(async move {
            let agent = &operator.agent;
            let call = |verb: &Verb| Call { verb: verb.clone(), roles: roles.clone() };
            let result = match order.task().map(|(_, id)| TaskId::from_status(id)) {
                Some(Some(id)) => agent.start(&endpoint, &call(&verb), &id).await.map(drop),
                Some(None) => Ok(()),
                None => agent.run(&endpoint, &call(&verb)).await.map(drop),
            };
            if let (Some(then), Ok(())) = (order.then(), &result)
                && let Err(error) = agent.run(&endpoint, &call(&then)).await
            {
                tracing::warn!(object = %sight.key, verb = then.name(), %error, "ignored");
                operator.tell(&sight, &report::order_failed(&post.name, &then, &error));
                sight.link(&post, |link| link.failed(&then, &error, Instant::now()));
            }
            operator.ended(&sight, &post, &verb, result, &endpoint).await;
        });
        Ok(())
    }

    /// The order has ended: what it did is seen before anything else is decided.
    async fn ended<Seen>(
        &self,
        sight: &Sight<Seen>,
        post: &Post,
        verb: &Verb,
        result: Result<(), AgentError>,
        endpoint: &Endpoint,
    ) {
        if let Err(error) = &result {
            tracing::warn!(object = %sight.key, verb = verb.name(), %error, "order failed");
            self.tell(sight, &report::order_failed(&post.name, verb, error));
        }
        let asked = Instant::now();
        let answer = if verb.is_marker() {
            None
        } else {
            Some(observe::answer(self.agent.status(endpoint).await, &endpoint.object.db_name))
        };
        let now = Instant::now();
        sight.link(post, |link| {
            link.done(verb, &result, asked);
            if let Some(answer) = answer {
                link.answer(asked, answer, now);
            }
        });
        self.wake(&sight.key);
    }
}
