//! The statement that creates the replication scheme.

use std::fmt::Write;

use super::Owner;
use crate::crd::TtSpec;

/// The database user that agents work as.
const AGENT_USER: &str = "ttagent";
/// Where conflicts are reported to.
const CONFLICT_DIR: &str = "/tt/home/timesten/conflict";

/// The user's statement, or one made from the other fields; either with its tokens substituted.
pub(super) fn statement(owner: &Owner, tt: &TtSpec, port: u16) -> String {
    let host = |ordinal: usize| owner.host(&format!("{}-{ordinal}", owner.name));
    let text = match &tt.rep_create_statement {
        Some(text) => text.clone(),
        None => generated(owner, tt, port, &host(0), &host(1)),
    };
    text.replace("{{tt-name}}", owner.db_name())
        .replace("{{tt-rep-port}}", &port.to_string())
        .replace("{{tt-node-0}}", &host(0))
        .replace("{{tt-node-1}}", &host(1))
        .replace("{{tt-conflict-report-dir}}", CONFLICT_DIR)
        .replace("{{tt-agent-user}}", AGENT_USER)
}

fn generated(owner: &Owner, tt: &TtSpec, port: u16, zero: &str, one: &str) -> String {
    let db = owner.db_name();
    let service = tt.rep_return_service_attribute.as_deref().unwrap_or("NO RETURN");
    let store = match &tt.rep_store_attribute {
        Some(attributes) => attributes.clone(),
        None => format!("PORT {port} FAILTHRESHOLD 0"),
    };
    let mut text = format!(
        "create active standby pair \"{db}\" on \"{zero}\", \"{db}\" on \"{one}\" {service}"
    );
    let subscribers = subscriber_hosts(owner, tt);
    if !subscribers.is_empty() {
        let names: Vec<String> =
            subscribers.iter().map(|host| format!("\"{db}\" on \"{host}\"")).collect();
        let _ = write!(text, " subscriber {}", names.join(", "));
    }
    for host in [zero, one] {
        let _ = write!(text, " store \"{db}\" on \"{host}\" {store}");
    }
    for host in &subscribers {
        // Only PORT and TIMEOUT are allowed for a subscriber's store (TT8129).
        let _ = write!(text, " store \"{db}\" on \"{host}\" PORT {port}");
    }
    text
}

/// Every subscriber that there may ever be.
fn subscriber_hosts(owner: &Owner, tt: &TtSpec) -> Vec<String> {
    let Some(subscribers) = &tt.subscribers else { return Vec::new() };
    let most = subscribers.max_replicas.or(subscribers.replicas).unwrap_or_default();
    let name = super::subscribers::name(tt, owner);
    (0..most).map(|ordinal| owner.host(&format!("{name}-{ordinal}"))).collect()
}
