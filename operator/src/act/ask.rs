//! Asking agents how they are, in the background.
//!
//! Never: judges an answer. Passes are woken by news: in calm times an agent that says what it said
//! before is not worth one, for the next question has its own.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::SHORTEST_REST;
use crate::agent::{Agent, AgentError, Endpoint, StatusReply, TaskId, Verb};
use crate::decide::BUSY_INTERVAL;
use crate::memory::link::Link;
use crate::observation::Member;
use crate::observe;
use crate::operator::Operator;
use crate::report;
use crate::sight::{Post, Sight};

/// The time between two questions to an agent that is silent and whose answer is urgent.
const HURRIED: Duration = Duration::from_millis(100);

impl Operator {
    /// Looks after one pod: asks its agent, and reads the pod itself where there is doubt. Says
    /// when that is due next.
    pub(super) fn watch<Seen: Send + Sync + 'static>(
        self: &Arc<Self>,
        sight: &Sight<Seen>,
        member: &Member,
        task: Option<(Verb, TaskId)>,
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
    fn ask<Seen: Send + Sync + 'static>(
        self: &Arc<Self>,
        sight: &Sight<Seen>,
        post: Post,
        task: Option<(Verb, TaskId)>,
        interval: Duration,
        now: Instant,
    ) -> Duration {
        let Some(endpoint) = post.endpoint.clone() else { return interval.max(SHORTEST_REST) };
        let (due, patience, next) = sight.memory(|memory| {
            let link = &mut memory.pod(&post.name, now).link;
            link.keep_calm(interval > BUSY_INTERVAL);
            let due = link.due(interval, now);
            if due {
                link.ask(now);
            }
            (due, link.patience(), link.next_due(interval, now))
        });
        if due {
            let (operator, sight) = (Arc::clone(self), sight.clone());
            self.jobs.start(async move {
                let agent = &operator.agent;
                let (reply, late) = operator.question(&sight, &post, &endpoint, patience).await;
                let answer = observe::answer(reply, &endpoint.object.db_name);
                let report = match &task {
                    Some((verb, id)) if answer.is_ok() => {
                        Some(((verb, id.as_str()), agent.task(&endpoint, id).await))
                    }
                    _ => None,
                };
                let then = Instant::now();
                let heard = sight.link(&post, |link| {
                    let answered = answer.is_ok();
                    let news = link.answer(now, answer, then) || report.is_some() || late;
                    let said = report.map(|(task, report)| link.report(task, &report, now, then));
                    (answered && link.guard(), said.unwrap_or_default(), news || !link.is_calm())
                });
                let (unguarded, said, wake) = heard.unwrap_or((false, Vec::new(), true));
                for text in said {
                    operator.tell(&sight, &report::task_said(&post.name, &text));
                }
                if unguarded {
                    operator.guard(&sight, post, endpoint);
                }
                if wake {
                    operator.wake(&sight.key);
                }
            });
        }
        next
    }

    /// Asks an agent. In calm times nobody else looks whether it lets the question wait for too long.
    async fn question<Seen>(
        &self,
        sight: &Sight<Seen>,
        post: &Post,
        endpoint: &Endpoint,
        patience: Duration,
    ) -> (Result<StatusReply, AgentError>, bool) {
        let mut status = pin!(self.agent.status(endpoint));
        if let Ok(reply) = timeout(patience, &mut status).await {
            return (reply, false);
        }
        if sight.link(post, |link| link.is_calm()) == Some(true) {
            self.wake(&sight.key);
        }
        (status.await, true)
    }

    /// Waits in the background for the connection to an agent to end: a dead process or node is
    /// noticed then, and not at the next question.
    fn guard<Seen: Send + Sync + 'static>(
        self: &Arc<Self>,
        sight: &Sight<Seen>,
        post: Post,
        endpoint: Endpoint,
    ) {
        let (operator, sight) = (Arc::clone(self), sight.clone());
        self.jobs.start(async move {
            operator.agent.closed(&endpoint).await;
            sight.link(&post, Link::broken);
            operator.wake(&sight.key);
        });
    }
}
