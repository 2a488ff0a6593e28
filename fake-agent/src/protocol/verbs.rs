//! The verbs: their names, how long each takes, and what begins and ends with it.

use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use super::reply::Reply;
use super::request::Params;
use crate::events::Happening;
use crate::model::{TtError, TtResult};
use crate::options::Durations;
use crate::script::Fault;
use crate::view::PeerState;
use crate::world::{Due, World};

/// A POST under way. Its effect comes when its time has passed, whether or not anyone waits.
#[derive(Debug)]
pub(crate) struct Order {
    pub host: String,
    pub generation: u64,
    pub verb: String,
    pub form: Params,
    pub request_id: Option<String>,
    pub begun: tokio::time::Instant,
    /// The script's delay, on top of the verb's own time.
    pub slow: Duration,
    pub faults: Vec<Fault>,
    pub reply: oneshot::Sender<Reply>,
}

/// From the answer to `die` until the end: time for the answer to get out.
const LAST_WORDS: Duration = Duration::from_millis(100);

macro_rules! verbs {
    ($($variant:ident = $($name:literal)|+,)*) => {
        /// Every verb the agent knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Verb { $($variant,)* }

        impl Verb {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// By its name on the wire; some have two.
            pub(crate) fn parse(name: &str) -> Option<Self> {
                match name { $($($name)|+ => Some(Self::$variant),)* _ => None }
            }

            /// Its name on the wire.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => verbs!(@first $($name)|+),)* }
            }
        }
    };
    (@first $first:literal $(| $rest:literal)*) => { $first };
}

verbs! {
    StartDaemon = "startDaemon",
    StopDaemon = "stopDaemon",
    CreateDb = "createDb",
    LoadDb = "loadDb",
    OpenDb = "openDb",
    CloseDb = "closeDb",
    DoForceDisconnect = "doForceDisconnect",
    DoRepAdminWait = "doRepAdminWait",
    DestroyDb = "destroyDb",
    RepDuplicate = "repDuplicate",
    CreateCg = "createCg",
    DropCg = "dropCg",
    CreateRepScheme = "createRepScheme",
    DropRepScheme = "dropRepScheme",
    CreateRepEpilog = "createRepEpilog",
    StartRepAgent = "startRepAgent",
    StopRepAgent = "stopRepAgent",
    RepStateSetActive = "repStateSetActive",
    RepStateSave = "repStateSave",
    RepDeactivate = "repDeactivate",
    SetSubStateStart = "setSubStateStart" | "setSubStartStart",
    StartCacheAgent = "startCacheAgent",
    StopCacheAgent = "stopCacheAgent",
    CleanupCache = "cleanupCache",
    SetReadiness = "setReadiness",
    ClearReadiness = "clearReadiness",
    SetActive = "setActive",
    ClearActive = "clearActive",
    RemoveNonRepUpgradeFailedFile = "removeNonRepUpgradeFailedFile",
    Die = "die",
    CheckNonRepQuiesce = "checkNonRepQuiesce",
}

impl Verb {
    fn duration(self, durations: &Durations) -> Duration {
        match self {
            Self::StartDaemon => durations.start_daemon,
            Self::StopDaemon | Self::DestroyDb => durations.destroy_db,
            Self::CreateDb => durations.create_db,
            Self::LoadDb => durations.load_db,
            Self::OpenDb | Self::CloseDb => durations.open_close,
            Self::CreateRepScheme => durations.create_rep_scheme,
            Self::StartRepAgent => durations.start_rep_agent,
            Self::RepStateSetActive => durations.rep_state_set_active,
            _ => durations.other,
        }
    }
}

/// A line of utility output that clients make an event of.
pub(crate) fn stderr_line(message: &str) -> String {
    format!(
        "Error Message: [TimesTen][TimesTen 22.1 ODBC Driver][TimesTen]{message} -- file \"ttagent\", lineno 1"
    )
}

/// Result of an order without output of its own.
pub(crate) fn generic(result: TtResult) -> Reply {
    match result {
        Ok(()) => Reply::generic(),
        Err(error) => {
            let line = stderr_line(&error.message);
            Reply::from(error).with("stdout", json!([])).with("stderr", json!([line]))
        }
    }
}

impl World {
    /// Starts an order: what shows at once, and when it ends.
    pub(crate) fn begin(&mut self, order: Order) {
        let verb = Verb::parse(&order.verb);
        let began = match verb {
            Some(Verb::LoadDb) => self.begin_load(&order.host),
            Some(Verb::StopDaemon | Verb::DestroyDb) => {
                self.begin_unload(&order.host);
                Ok(())
            }
            _ => Ok(()),
        };
        match began {
            Err(error) => self.conclude(order, generic(Err(error))),
            Ok(()) => {
                let delay = verb.map_or(self.options.durations.other, |verb| {
                    verb.duration(&self.options.durations)
                });
                self.after(delay + order.slow, Due::Finish(Box::new(order)));
            }
        }
    }

    /// Ends an order, unless its container is gone.
    pub(crate) fn finish(&mut self, order: Order) {
        if self.incarnation(&order.host, order.generation).is_none() {
            return;
        }
        let Some(verb) = Verb::parse(&order.verb) else {
            let text = format!("unknown verb {}", order.verb);
            return self.conclude(order, Reply::failed(255, text));
        };
        if verb == Verb::DoRepAdminWait && self.must_wait(&order) {
            let again = Duration::from_millis(100);
            return self.after(again, Due::Finish(Box::new(order)));
        }
        let reply = self.effect(verb, &order);
        self.conclude(order, reply);
    }

    fn conclude(&mut self, order: Order, reply: Reply) {
        let errno = reply.errno();
        self.agent_says(&order.host, &format!("{} ended with errno {errno}", order.verb));
        self.tell(&order.host, Happening::Done { verb: order.verb, errno });
        // Whoever gave the order may have gone away; the effect stays.
        let _ = order.reply.send(reply);
    }

    /// The table of effects.
    fn effect(&mut self, verb: Verb, order: &Order) -> Reply {
        let host = order.host.as_str();
        let form = &order.form;
        match verb {
            Verb::StartDaemon => {
                self.start_daemon(host);
                Reply::generic()
            }
            Verb::StopDaemon => generic(self.stop_daemon(host)),
            Verb::CreateDb => self.create_db(host, form),
            Verb::LoadDb => generic(self.end_load(host)),
            Verb::OpenDb => self.open_or_close(host, true),
            Verb::CloseDb => self.open_or_close(host, false),
            Verb::DoForceDisconnect => self.force_disconnect(host, form),
            Verb::DoRepAdminWait => self.rep_admin_wait(host, form),
            Verb::DestroyDb => self.destroy_db(host),
            Verb::RepDuplicate | Verb::CreateCg => self.accept_task(order, verb),
            Verb::DropCg => generic(self.drop_cache_groups(host)),
            Verb::CreateRepScheme => {
                let statement = form.get("repCreateStatement").map_or("", String::as_str);
                generic(self.create_scheme(host, statement))
            }
            Verb::DropRepScheme => generic(self.drop_scheme(host)),
            Verb::CreateRepEpilog => generic(self.run_epilog(host)),
            Verb::StartRepAgent => generic(self.set_rep_agent(host, true)),
            Verb::StopRepAgent => generic(self.set_rep_agent(host, false)),
            Verb::RepStateSetActive => generic(self.set_active(host)),
            Verb::RepStateSave => generic(self.rep_state_save(host, form)),
            Verb::RepDeactivate => generic(self.deactivate(host)),
            Verb::SetSubStateStart => generic(self.set_peer(host, PeerState::Start)),
            Verb::StartCacheAgent => generic(self.set_cache_agent(host, true)),
            Verb::StopCacheAgent => generic(self.set_cache_agent(host, false)),
            Verb::CleanupCache => self.cleanup_cache(host, form),
            Verb::SetReadiness => self.marker(host, "/tmp/readiness", true),
            Verb::ClearReadiness => self.marker(host, "/tmp/readiness", false),
            Verb::SetActive => self.marker(host, "/tmp/active", true),
            Verb::ClearActive => self.marker(host, "/tmp/active", false),
            Verb::RemoveNonRepUpgradeFailedFile => self.remove_upgrade_failed(host),
            Verb::CheckNonRepQuiesce => {
                let quiescing = self.containers.get(host).is_some_and(|c| c.quiescing);
                Reply::generic().with("quiescing", json!(quiescing))
            }
            Verb::Die => {
                let (host, generation) = (order.host.clone(), order.generation);
                self.after(LAST_WORDS, Due::Exit { host, generation, code: 0 });
                Reply::ok()
            }
        }
    }

    fn marker(&mut self, host: &str, path: &str, present: bool) -> Reply {
        self.mark(host, path, present);
        Reply::ok()
    }

    fn rep_state_save(&mut self, host: &str, form: &Params) -> TtResult {
        let failed = form.get("standbyDNSName");
        let failed = failed.ok_or_else(|| TtError::other("repStateSave needs standbyDNSName"))?;
        self.save_peer_failed(host, failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_found_by_its_name() {
        assert_eq!(Verb::ALL.len(), 31);
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.name()), Some(*verb));
        }
        assert_eq!(Verb::parse("setSubStartStart"), Some(Verb::SetSubStateStart));
        assert_eq!(Verb::parse("setactive"), None, "names are case-sensitive");
    }
}
