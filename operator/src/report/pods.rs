//! `status.podStatus`: what is known of each pod, in Oracle's fields and words.
//!
//! Never: keeps what was not seen. A fact that nobody confirms reads `Unknown`.

use jiff::Timestamp;

use crate::agent::{CacheGroup, Daemon, Db, Facts};
use crate::crd::{
    CacheGroupStatus, CacheStatus, DbStatus, PodStatus, ReplicationStatus, TimesTenClassicStatus,
    TimestenStatus,
};
use crate::decide::Plan;
use crate::observation::{Agent, Member, Observation, TtContainer};
use crate::pair::Ordinal;
use crate::standing::Incarnation;

const UNKNOWN: &str = "Unknown";

/// The entry of one pod.
pub(super) fn status(
    before: &TimesTenClassicStatus,
    seen: &Observation,
    plan: &Plan,
    of: Ordinal,
) -> PodStatus {
    let active = of == plan.standing.active;
    let stand = Stand {
        kind: "Database",
        role: if active { "Active" } else { "Standby" },
        state: plan.health[of].word(),
        ready: plan.ready[of],
        active: plan.ready[of] && active,
        known: plan.standing.incarnations[of].as_ref(),
    };
    entry(before, &seen.members[of], &stand, seen.now)
}

/// Where a pod stands, in Oracle's words.
pub(super) struct Stand<'a> {
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) state: &'static str,
    pub(super) ready: bool,
    pub(super) active: bool,
    /// The incarnation in which its database was last good.
    pub(super) known: Option<&'a Incarnation>,
}

/// The entry of a pod of any kind.
pub(super) fn entry(
    before: &TimesTenClassicStatus,
    member: &Member,
    stand: &Stand<'_>,
    now: Timestamp,
) -> PodStatus {
    let old = before.pod_status.iter().find(|pod| pod.name.as_deref() == Some(&member.name));
    let mut pod = old.cloned().unwrap_or_default();
    pod.name = Some(member.name.clone());
    pod.initialized = Some(true);
    pod.tt_pod_type = Some(stand.kind.into());
    moved(&mut pod.intended_state, &mut pod.prev_intended_state, stand.role);
    if pod.high_level_state.as_deref() != Some(stand.state) {
        pod.last_high_level_state_switch = Some(now.as_second());
    }
    moved(&mut pod.high_level_state, &mut pod.prev_high_level_state, stand.state);
    pod.prev_ready = pod.ready;
    pod.ready = Some(stand.ready);
    pod.prev_active = pod.active;
    pod.active = Some(stand.active);
    pod.has_been_seen = Some(pod.has_been_seen.unwrap_or_default() || member.pod().is_some());
    kubernetes(&mut pod, member, stand.known);
    facts(&mut pod, member);
    pod
}

/// Sets what passes by to what it was, so that it alone is no reason to write.
pub(super) fn still(pod: &mut PodStatus, before: &PodStatus) {
    pod.prev_ready.clone_from(&before.prev_ready);
    pod.prev_active.clone_from(&before.prev_active);
    if let (Some(database), Some(before)) = (&mut pod.db_status, &before.db_status) {
        database.db_id.clone_from(&before.db_id);
    }
    if let (Some(cache), Some(before)) = (&mut pod.cache_status, &before.cache_status) {
        cache.awt_behind_mb.clone_from(&before.awt_behind_mb);
    }
}

/// The copies of pod values that stand at the top of the status.
pub(super) fn roles(status: &mut TimesTenClassicStatus, plan: &Plan) {
    let (active, standby) = (plan.standing.active.number(), plan.standing.standby().number());
    let of = |number: usize| status.pod_status.get(number).cloned().unwrap_or_default();
    let (active, standby) = (of(active), of(standby));
    let agent = |pod: &PodStatus| pod.replication_status.as_ref().and_then(|r| r.rep_agent.clone());
    let cache = |pod: &PodStatus| pod.cache_status.as_ref().and_then(|c| c.cache_agent.clone());
    status.active_rep_agent = agent(&active);
    status.standby_rep_agent = agent(&standby);
    status.active_cache_agent = cache(&active);
    status.standby_cache_agent = cache(&standby);
}

fn moved(now: &mut Option<String>, before: &mut Option<String>, value: &str) {
    if now.as_deref() != Some(value) {
        before.clone_from(now);
        *now = Some(value.into());
    }
}

fn kubernetes(pod: &mut PodStatus, member: &Member, known: Option<&Incarnation>) {
    let mut status = pod.pod_status.take().unwrap_or_default();
    let facts = member.pod();
    status.pod_phase = Some(facts.map_or_else(|| UNKNOWN.into(), |pod| pod.phase.clone()));
    status.pod_ip = facts.and_then(|pod| pod.ip.clone());
    let runs = facts.is_some_and(|pod| pod.tt == TtContainer::Running);
    status.agent = Some(
        match &member.agent {
            Agent::Heard(_) => "Up",
            Agent::NotYet { .. } | Agent::Silent { .. } if runs => UNKNOWN,
            Agent::NotYet { .. } | Agent::Silent { .. } => "Down",
        }
        .into(),
    );
    status.prev_uid = known.map(|known| known.uid.clone());
    status.prev_restarts = known.map(|known| known.restarts);
    pod.pod_status = Some(status);
}

fn facts(pod: &mut PodStatus, member: &Member) {
    let nothing = Facts::default();
    let facts = member.facts().unwrap_or(&nothing);
    pod.timesten_status = Some(TimestenStatus {
        release: facts.release.clone(),
        instance: Some(facts.instance.to_string()),
        daemon: Some(facts.daemon.to_string()),
    });
    let updatable = match facts.updatable {
        Some(true) if facts.db == Db::Loaded => "Yes",
        Some(false) if facts.db == Db::Loaded => "No",
        Some(_) | None => UNKNOWN,
    };
    pod.db_status = Some(DbStatus {
        db: Some(facts.db.to_string()),
        db_updatable: Some(updatable.into()),
        db_id: facts.db_id,
        open: facts.open,
    });
    pod.replication_status = Some(ReplicationStatus {
        rep_agent: Some(facts.rep_agent.to_string()),
        rep_scheme: Some(facts.rep_scheme.to_string()),
        rep_state: Some(facts.rep_state.to_string()),
        rep_peer_p_state: Some(facts.peer_state.to_string()),
        rep_peer_p_state_fetch_err: facts.peer_state_error.clone(),
    });
    pod.cache_status = Some(CacheStatus {
        cache_agent: Some(facts.cache_agent.to_string()),
        cache_uid_pwd_set: facts.cache_credentials,
        n_cache_groups: facts.n_cache_groups.and_then(|count| i64::try_from(count).ok()),
        awt_behind_mb: facts.awt_behind_mb,
        cachegroups: facts.cache_groups.iter().map(cache_group).collect(),
        ..CacheStatus::default()
    });
    pod.quiescing = Some(facts.quiescing).filter(|quiescing| *quiescing);
    pod.install_release.clone_from(&facts.release);
    pod.image_release.clone_from(&facts.image_release);
    if facts.daemon == Daemon::Up {
        pod.admin_user_file = facts.files.admin_user;
        pod.schema_file = facts.files.schema;
        pod.cg_file = facts.files.cache_groups;
        pod.cache_user_file = facts.files.cache_user;
    }
    pod.using_twosafe = facts.twosafe;
    pod.disable_return = facts.disable_return;
    pod.local_commit = facts.local_commit;
}

fn cache_group(group: &CacheGroup) -> CacheGroupStatus {
    CacheGroupStatus {
        owner: group.owner.clone(),
        name: group.name.clone(),
        refresh_mode: group.refresh_mode.clone(),
        refresh_state: group.refresh_state.clone(),
    }
}
