//! Acting: a plan is carried out, in an order that makes a crash anywhere harmless.
//!
//! The status first, guarded by the version it was made of: nothing is done that is not on record
//! (I7). Then owned objects, then role labels, then orders, which only start here and go on in the
//! background (I11). Events last, and none of them can fail a pass (I9).
//!
//! Never: chooses. What to do is in the plan.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use crate::agent::{Agent, AgentError, Call, Endpoint, Roles, TaskId, Verb};
use crate::cluster::{Cluster, ClusterError};
use crate::crd::TimesTenClassicStatus;
use crate::decide::{Order, Plan};
use crate::memory::Link;
use crate::objects::{self, Write};
use crate::observation::Member;
use crate::observe::{self, Post, Sight};
use crate::operator::Operator;
use crate::pair::Ordinal;
use crate::report;
use crate::writes::Trouble;

/// The least time between two passes that nothing asked for.
const SHORTEST_REST: Duration = Duration::from_millis(50);

/// The time between two questions to an agent that is silent and whose answer is urgent.
const HURRIED: Duration = Duration::from_millis(100);

/// What must be left of the lease when something irreversible is ordered: the next leader must not
/// have begun when it reaches the agent.
const LEAD: Duration = Duration::from_secs(3);

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
        let recorded = self.record(sight, plan).await?;
        self.write(sight, plan).await;
        for ordinal in Ordinal::ALL {
            if let Some(order) = &plan.give[ordinal] {
                let roles = Roles {
                    active: Some(sight.host(&sight.seen.members[plan.standing.active].name)),
                    standby: Some(sight.host(&sight.seen.members[plan.standing.standby()].name)),
                    subscriber: false,
                };
                self.give(sight, &sight.seen.members[ordinal], order, roles).await?;
            }
        }
        let mut rest = plan.interval;
        for ordinal in Ordinal::ALL {
            let member = &sight.seen.members[ordinal];
            let task = sight.seen.standing.task_of(ordinal).and_then(TaskId::from_status);
            rest = rest.min(self.watch(sight, member, task, plan.ask[ordinal], plan.interval));
        }
        if recorded { Ok(Acted::Again) } else { Ok(Acted::Rest(rest.max(SHORTEST_REST))) }
    }

    /// Records the status, if it differs, and tells what has changed.
    async fn record(&self, sight: &Sight, plan: &Plan) -> Result<bool, ClusterError> {
        let before = sight.object.status.clone().unwrap_or_default();
        let after = report::status(&before, &sight.seen, plan, &self.identity);
        if !report::differs(&before, &after) {
            return Ok(false);
        }
        tracing::debug!(object = %sight.key, before = ?report::essence(&before), after = ?report::essence(&after), "differs");
        self.respect(sight, &before)?;
        let written = self.cluster.record(&sight.object, &after).await?;
        let version = written.resource_version();
        tracing::info!(
            object = %sight.key, state = %plan.standing.state, term = plan.standing.term,
            because = %plan.because, version, "recorded"
        );
        let now = Instant::now();
        sight.memory(|memory| {
            memory.written = Some(Arc::new(written));
            memory.wrote = true;
            memory.note(&plan.standing, now);
        });
        for note in report::events(&before, &after, &sight.seen) {
            self.tell(sight, &note);
        }
        Ok(true)
    }

    /// What another operator wrote stands for a while before it is written over.
    fn respect(&self, sight: &Sight, before: &TimesTenClassicStatus) -> Result<(), ClusterError> {
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

    /// Writes owned objects and role labels; trouble with one of them stops nothing else (I9).
    async fn write(&self, sight: &Sight, plan: &Plan) {
        let now = Instant::now();
        let mut trouble = None;
        for write in &plan.writes {
            match self.cluster.write(write).await {
                Ok(()) => {
                    sight.memory(|memory| memory.writes.written(write, now));
                    self.tell(sight, &report::written(write));
                }
                // Somebody was faster, and the watch will show it; or the name is somebody else's.
                Err(ClusterError::Outdated) => {
                    if write.makes_credentials() {
                        // The Secret that is there counts, not the one that was to be made.
                        sight.memory(|memory| memory.credentials = None);
                    }
                    self.look_in_the_way(sight, write, now).await;
                }
                Err(error) => trouble = Some(format!("{}: {error}", write.key())),
            }
        }
        let namespace = &sight.namespace;
        for label in &plan.labels {
            let pod = &sight.seen.members[label.member].name;
            match self.cluster.label(namespace, pod, &label.uid, label.role).await {
                Ok(()) => sight.memory(|memory| {
                    let shown = sight.version(label.member);
                    memory.pod(pod, now).link.labelled(shown, label.role);
                }),
                Err(ClusterError::Outdated | ClusterError::Gone) => break,
                Err(error) => {
                    trouble = Some(format!("role label of pod {pod}: {error}"));
                    // A label that could not be taken away must not be given to the other pod.
                    break;
                }
            }
        }
        if let Some((ordinal, uid)) =
            plan.delete.and_then(|o| Some((o, observe::uid(&sight.seen, o)?)))
        {
            let pod = &sight.seen.members[ordinal].name;
            let deleted = match self.confirmed(sight).await {
                Ok(true) => self.cluster.delete_pod(namespace, pod, uid).await,
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = deleted {
                trouble = Some(format!("deletion of pod {pod}: {error}"));
            }
        }
        if let Some(text) = &trouble {
            tracing::warn!(object = %sight.key, trouble = text, "could not write");
        }
        sight.memory(|memory| memory.writes.trouble = trouble.map(Trouble::Failed));
    }

    /// An object could not be created, because there is one of its name: whose is it?
    async fn look_in_the_way(&self, sight: &Sight, write: &Write, now: Instant) {
        let Write::Create(_) = write else { return };
        let Ok(Some(found)) = self.cluster.metadata(write).await else { return };
        if let Some(whose) = objects::whose(&write.key(), &found, &write.object().metadata) {
            sight.memory(|memory| memory.writes.taken(write, whose, now));
        }
    }

    /// Starts an order. What cannot be taken back is confirmed with direct reads first.
    async fn give(
        self: &Arc<Self>,
        sight: &Sight,
        to: &Member,
        order: &Order,
        roles: Roles,
    ) -> Result<(), ClusterError> {
        if order.irreversible() {
            if self.leadership.remaining() < LEAD {
                tracing::warn!(object = %sight.key, ?order, "not given: the lease ends too soon");
                return Ok(());
            }
            if !self.confirmed(sight).await? {
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
            let result = match &order {
                Order::Duplicate(_, id) => match TaskId::from_status(id) {
                    Some(id) => agent.start(&endpoint, &call(&verb), &id).await.map(drop),
                    None => Ok(()),
                },
                Order::Do(..)
                | Order::Create
                | Order::Promote(..)
                | Order::Activate(_)
                | Order::Found(..)
                | Order::Destroy(_) => agent.run(&endpoint, &call(&verb)).await.map(drop),
            };
            if let (Some(then), Ok(())) = (order.then(), &result)
                && let Err(error) = agent.run(&endpoint, &call(&then)).await
            {
                tracing::warn!(object = %sight.key, verb = then.name(), %error, "ignored");
            }
            operator.ended(&sight, &post, &verb, result, &endpoint).await;
        });
        Ok(())
    }

    /// The order has ended: what it did is seen before anything else is decided.
    async fn ended(
        &self,
        sight: &Sight,
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

    /// Looks after one pod: asks its agent, and reads the pod itself where there is doubt. Says
    /// when that is due next.
    fn watch(
        self: &Arc<Self>,
        sight: &Sight,
        member: &Member,
        task: Option<TaskId>,
        urgent: bool,
        interval: Duration,
    ) -> Duration {
        // An agent that refuses connections answers at once: asking it without pause would spin.
        let interval = match urgent {
            true if member.heard().is_some() => Duration::ZERO,
            true => interval.min(HURRIED),
            false => interval,
        };
        let now = Instant::now();
        self.look(sight, member, now);
        self.ask(sight, sight.post(member), task, interval, now)
    }

    /// Asks an agent in the background if it is due; says when it is due next.
    fn ask(
        self: &Arc<Self>,
        sight: &Sight,
        post: Post,
        task: Option<TaskId>,
        interval: Duration,
        now: Instant,
    ) -> Duration {
        let Some(endpoint) = post.endpoint.clone() else { return interval.max(SHORTEST_REST) };
        let (due, next) = sight.memory(|memory| {
            let link = &mut memory.pod(&post.name, now).link;
            let due = link.due(interval, now);
            if due {
                link.ask(now);
            }
            (due, link.next_due(interval, now))
        });
        if due {
            let (operator, sight) = (Arc::clone(self), sight.clone());
            self.jobs.start(async move {
                let agent = &operator.agent;
                let reply = agent.status(&endpoint).await;
                let answer = observe::answer(reply, &endpoint.object.db_name);
                let report = match &task {
                    Some(id) if answer.is_ok() => Some((id, agent.task(&endpoint, id).await)),
                    _ => None,
                };
                let then = Instant::now();
                let unguarded = sight.link(&post, |link| {
                    let answered = answer.is_ok();
                    link.answer(now, answer, then);
                    if let Some((id, report)) = report {
                        link.report(id.as_str(), &report, now, then);
                    }
                    answered && link.guard()
                });
                if unguarded == Some(true) {
                    operator.guard(&sight, post, endpoint);
                }
                operator.wake(&sight.key);
            });
        }
        next
    }

    /// Waits in the background for the connection to an agent to end: a dead process or node is
    /// noticed then, and not at the next question.
    fn guard(self: &Arc<Self>, sight: &Sight, post: Post, endpoint: Endpoint) {
        let (operator, sight) = (Arc::clone(self), sight.clone());
        self.jobs.start(async move {
            operator.agent.closed(&endpoint).await;
            sight.link(&post, Link::broken);
            operator.wake(&sight.key);
        });
    }
}
