//! Verbs about the pair that have replies of their own: waiting for the standby, quiescing,
//! cache clean-up.

use std::time::Duration;

use serde_json::json;

use super::reply::Reply;
use super::request::Params;
use super::verbs::Order;
use crate::model::TtResult;
use crate::model::container::Contact;
use crate::world::World;

impl World {
    fn standby_has_all(&self, host: &str) -> bool {
        let contact = self.loaded(host).is_some_and(|loaded| loaded.contact == Contact::Now);
        let flowing = self
            .loaded(host)
            .and_then(|loaded| loaded.stream.as_ref())
            .is_some_and(|stream| stream.caught_up);
        contact && flowing && self.behind(host) == 0
    }

    /// `doRepAdminWait` has something to wait for, and time left.
    pub(crate) fn must_wait(&self, order: &Order) -> bool {
        let host = &order.host;
        let seconds = order.form.get("timeout").and_then(|text| text.parse().ok()).unwrap_or(30);
        let left = self.now < order.begun + Duration::from_secs(seconds);
        let peer = order.form.get("standbyHost").map(String::as_str);
        left && self.need_loaded(host).is_ok()
            && peer == self.peer_of(host)
            && !self.standby_has_all(host)
    }

    pub(crate) fn rep_admin_wait(&self, host: &str, form: &Params) -> Reply {
        let fields = |reply: Reply, rc: i64| {
            reply.with("rc", json!(rc)).with("stdout", json!([])).with("stderr", json!([]))
        };
        if let Err(error) = self.need_loaded(host) {
            return fields(error.into(), 1);
        }
        if form.get("standbyHost").map(String::as_str) != self.peer_of(host) {
            return fields(Reply::failed(1, "standbyHost is not the other store of the pair"), 1);
        }
        if self.standby_has_all(host) {
            fields(Reply::ok(), 0)
        } else {
            fields(Reply::failed(9, "the standby is still catching up"), 1)
        }
    }

    pub(crate) fn force_disconnect(&mut self, host: &str, form: &Params) -> Reply {
        let urgency = form.get("urgency").map_or("", String::as_str);
        let reply = match self.need_loaded(host) {
            Err(error) => error.into(),
            Ok(()) if !matches!(urgency, "transactional" | "immediate") => {
                Reply::failed(1, format!("unknown urgency \"{urgency}\""))
            }
            Ok(()) => {
                self.disconnect(host, urgency == "immediate");
                Reply::ok()
            }
        };
        let rc = i64::from(reply.errno() != 0);
        let reply = reply.with("cmdRc", json!(rc)).with("msg", json!(""));
        reply.with("stdout", json!([])).with("stderr", json!([]))
    }

    pub(crate) fn drop_cache_groups(&mut self, host: &str) -> TtResult {
        self.need_loaded(host)?;
        if let Some(database) = self.database_mut(host) {
            database.cache_groups.clear();
        }
        Ok(())
    }

    pub(crate) fn cleanup_cache(&mut self, host: &str, form: &Params) -> Reply {
        let script = form.get("runOraScript").is_some_and(|word| word == "yes");
        let other = form.get("runOraScriptForOther").filter(|_| script);
        match self.clean_up(host, other) {
            Ok(()) => Reply::ok().with("msg", json!("")),
            Err(error) => {
                let text = error.message.clone();
                Reply::from(error).with("msg", json!(text))
            }
        }
    }
}
