//! Misbehaviour of one agent: rules that say which request meets which fault, and how often.
//! The rules outlive containers. The protocol asks; the model never does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::world::Shared;

/// Which requests a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// All.
    Any,
    /// `GET /agent`.
    Get,
    /// `GET /agent/status`.
    Poll,
    /// Any POST.
    Post,
    /// The POST of one verb.
    Verb(String),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Connection refused. With `On::Any` and no number of times the port is closed as long as the
    /// rule lives; otherwise the connection of each such request is closed without an effect.
    Refuse,
    /// The request is taken, and never answered; no effect.
    Hang,
    /// So much slower.
    Slow(Duration),
    /// This HTTP status and body; no effect.
    Http(u16, String),
    /// HTTP 200 with a body that is not JSON; no effect.
    BadJson,
    /// A right answer with a wrong `jsonVer`.
    BadJsonVer,
    /// This errno and errmsg; no effect.
    Errno(i64, String),
    /// The right answer with this JSON merge patch (RFC 7396) applied.
    Lie(Value),
    /// The effect happens; then the connection is closed.
    LoseReply,
    /// The connection is closed; no effect.
    LoseBefore,
    /// An asynchronous verb is turned away with this HTTP status.
    RejectTask(u16),
    /// An asynchronous verb is taken, and its task ends with this error.
    FailTask(i64, String),
    /// An asynchronous verb is taken, and its task takes so much longer.
    SlowTask(Duration),
    /// An asynchronous verb is taken, and its task never ends.
    StuckTask,
    /// A poll is answered as if the task were unknown.
    ForgetTask,
    /// The container is killed before the effect.
    CrashBefore,
    /// The container is killed after the effect, before the answer.
    CrashAfter,
}

/// A fault with its occasion.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    on: On,
    skip: u32,
    times: Option<u32>,
    fault: Fault,
}

impl Rule {
    /// Every such request, until cleared.
    #[must_use]
    pub fn new(on: On, fault: Fault) -> Self {
        Self { on, skip: 0, times: None, fault }
    }

    /// Lets the first `n` such requests pass.
    #[must_use]
    pub fn after(mut self, n: u32) -> Self {
        self.skip = n;
        self
    }

    /// Strikes `n` times only.
    #[must_use]
    pub fn times(mut self, n: u32) -> Self {
        self.times = Some(n);
        self
    }
}

/// Names a rule, to clear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(u64);

/// The kind of a request, as rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Occasion<'a> {
    Get,
    Poll,
    Verb(&'a str),
}

impl On {
    fn covers(&self, occasion: Occasion<'_>) -> bool {
        match (self, occasion) {
            (Self::Any, _)
            | (Self::Get, Occasion::Get)
            | (Self::Poll, Occasion::Poll)
            | (Self::Post, Occasion::Verb(_)) => true,
            (Self::Verb(wanted), Occasion::Verb(verb)) => wanted == verb,
            (Self::Get | Self::Poll | Self::Post | Self::Verb(_), _) => false,
        }
    }
}

/// The rules of one host, in the order they were added.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    next: u64,
    rules: Vec<(RuleId, Rule)>,
}

impl Rules {
    /// The faults this request meets, counting it against the rules.
    pub(crate) fn strike(&mut self, occasion: Occasion<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (_, rule) in &mut self.rules {
            if !rule.on.covers(occasion) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if let Some(left) = &mut rule.times {
                *left = left.saturating_sub(1);
            }
            faults.push(rule.fault.clone());
        }
        self.rules.retain(|(_, rule)| rule.times != Some(0));
        faults
    }

    /// The port is closed.
    pub(crate) fn refuses(&self) -> bool {
        self.rules.iter().any(|(_, rule)| {
            let always = rule.skip == 0 && rule.times.is_none();
            always && rule.on == On::Any && rule.fault == Fault::Refuse
        })
    }
}

/// Handle on the rules of one host.
#[derive(Clone)]
pub struct Script {
    pub(crate) shared: Arc<Shared>,
    pub(crate) host: String,
}

impl Script {
    /// Adds a rule. A rule of `times(0)` is never met.
    pub fn add(&self, rule: Rule) -> RuleId {
        self.shared.with(|world| {
            let rules = world.scripts.entry(self.host.clone()).or_default();
            rules.next += 1;
            let id = RuleId(rules.next);
            if rule.times != Some(0) {
                rules.rules.push((id, rule));
            }
            id
        })
    }

    /// Removes a rule; false if it is gone already.
    pub fn clear(&self, id: RuleId) -> bool {
        self.shared.with(|world| {
            let rules = world.scripts.entry(self.host.clone()).or_default();
            let before = rules.rules.len();
            rules.rules.retain(|(known, _)| *known != id);
            rules.rules.len() < before
        })
    }

    /// Removes all rules.
    pub fn clear_all(&self) {
        self.shared.with(|world| world.scripts.remove(&self.host));
    }
}
