//! How long to be patient: seconds, and what zero means.

use std::time::Duration;

use crate::crd::TtSpec;

/// How long to be patient. `None`: without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Between two looks at a healthy pair.
    pub polling: Duration,
    /// With an agent that is silent.
    pub unreachable: Duration,
    /// With a passing database or replication state.
    pub rep_state: Duration,
    /// To connect to an agent.
    pub tcp: Option<Duration>,
    /// For the TLS handshake.
    pub tls: Option<Duration>,
    /// For a whole GET.
    pub get: Option<Duration>,
    /// For a whole POST.
    pub post: Option<Duration>,
    /// For an asynchronous task.
    pub task: Option<Duration>,
    /// For the standby of a pair, when its pod was replaced by an upgrade.
    pub upgrade: Option<Duration>,
    /// For the pod with the best database, after both have failed.
    pub waiting: Option<Duration>,
    /// For the node of a standby, before its volumes there are given up; `None`: never.
    pub node_lost: Option<Duration>,
}

impl Timeouts {
    /// Those of the spec, with the defaults filled in.
    pub(super) fn of(tt: &TtSpec) -> Self {
        let seconds = |value: i32| Duration::from_secs(u64::try_from(value).unwrap_or_default());
        // Null, zero and less mean the default here.
        let cadence = |value: Option<i32>, default: i32| {
            seconds(value.filter(|value| *value > 0).unwrap_or(default))
        };
        // Zero means: without limit.
        let limit = |value: Option<i32>, default: i32| {
            let value = value.unwrap_or(default);
            (value > 0).then(|| seconds(value))
        };
        let post = tt.agent_post_timeout.unwrap_or(600);
        Self {
            polling: cadence(tt.polling_interval, 5),
            unreachable: cadence(tt.unreachable_timeout, 30),
            rep_state: cadence(tt.rep_state_timeout, 30),
            tcp: limit(tt.agent_tcp_timeout, 10),
            tls: limit(tt.agent_tls_timeout, 10),
            get: limit(tt.agent_get_timeout, 60),
            post: limit(Some(post), post),
            task: limit(tt.agent_async_timeout, post),
            upgrade: limit(tt.upgrade_down_pod_timeout, 600),
            waiting: limit(tt.waiting_for_active_timeout, 0),
            node_lost: limit(tt.delete_db_on_not_ready_node, 0),
        }
    }
}
