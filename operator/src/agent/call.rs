//! One order to one agent, and the form it is sent as.

use std::collections::BTreeMap;

use form_urlencoded::Serializer;

use super::{Endpoint, Verb, mask};

/// A verb and the roles the pair is meant to have when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What to do.
    pub verb: Verb,
    /// Intended roles; already swapped when a failover is under way.
    pub roles: Roles,
}

/// Who is meant to be what. Empty for an object that is not replicated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// Full DNS name of the pod meant to be active.
    pub active: Option<String>,
    /// Full DNS name of the pod meant to be standby.
    pub standby: Option<String>,
    /// The addressed pod is a subscriber.
    pub subscriber: bool,
}

/// A form: ordered, one value a key.
pub(super) struct Form(BTreeMap<&'static str, String>);

impl Form {
    /// The form of `call` for the agent at `at`.
    ///
    /// The order of precedence is the protocol's: common values, then the verb's own, then roles.
    pub(super) fn of(at: &Endpoint, call: &Call) -> Self {
        let mut form = Self(BTreeMap::new());
        form.set("verb", call.verb.name());
        if call.verb == Verb::Die {
            return form;
        }
        form.common(at);
        if call.verb == Verb::CheckNonRepQuiesce {
            return form;
        }
        form.set("dbName", &at.object.db_name);
        form.own(at, call);
        form.roles(&call.roles);
        form
    }

    fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.0.insert(key, value.into());
    }

    fn common(&mut self, at: &Endpoint) {
        self.set("ourDNSName", &at.host);
        self.set("objectName", &at.object.name);
        self.set("objectNamespace", &at.object.namespace);
        self.set("zzAgentDebugInfo", at.object.zz_agent_debug_info.to_string());
        if let Some(info) = &at.object.zz_test_info {
            self.set("zzTestInfo", info);
        }
    }

    fn own(&mut self, at: &Endpoint, call: &Call) {
        let standby = || call.roles.standby.clone().unwrap_or_default();
        match &call.verb {
            Verb::CloseDb => self.set("podName", pod_name(&at.host)),
            Verb::ForceDisconnect { urgency } => {
                self.set("podName", pod_name(&at.host));
                self.set("standbyHost", standby());
                self.set("urgency", urgency.word());
            }
            Verb::RepAdminWait { timeout } => {
                self.set("podName", pod_name(&at.host));
                self.set("standbyHost", standby());
                self.set("timeout", timeout.as_secs().to_string());
            }
            Verb::CreateRepScheme { statement } => self.set("repCreateStatement", statement),
            Verb::CleanupCache(cleanup) => {
                self.set("hlState", &cleanup.state);
                self.set("repState", cleanup.side.word());
                self.set("activePodName", &cleanup.active_pod);
                self.set("standbyPodName", &cleanup.standby_pod);
                if let Some(other) = &cleanup.also_for {
                    self.set("runOraScript", "yes");
                    self.set("runOraScriptForOther", other);
                }
            }
            _ => {}
        }
    }

    fn roles(&mut self, roles: &Roles) {
        if let Some(active) = &roles.active {
            self.set("activeDNSName", active);
            if !roles.subscriber {
                // "Duplicate from here": always the active, even when it is the addressed pod.
                self.set("otherDNSName", active);
            }
        }
        if let Some(standby) = &roles.standby {
            self.set("standbyDNSName", standby);
        }
        if roles.subscriber {
            self.set("weAreSubscriber", "1");
        }
    }

    /// The same form under the verb's older name.
    pub(super) fn renamed(mut self, verb: &'static str) -> Self {
        self.set("verb", verb);
        self
    }

    /// The form as a request body.
    pub(super) fn encode(&self) -> String {
        Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// The form as a line for the log: readable, masked.
    pub(super) fn log_line(&self) -> String {
        let pairs: Vec<String> =
            self.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        mask(&pairs.join("&"))
    }
}

/// The path and query of the status request to `at`.
pub(super) fn status_path(at: &Endpoint) -> String {
    let path = "/agent?";
    let mut query = Serializer::for_suffix(path.to_owned(), path.len());
    query.append_pair("ourDNSName", &at.host).append_pair("ttObjectName", &at.object.name);
    if let Some(info) = &at.object.zz_test_info {
        query.append_pair("zzTestInfo", info);
    }
    query.finish()
}

fn pod_name(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}
