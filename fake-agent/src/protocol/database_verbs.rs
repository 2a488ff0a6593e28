//! Verbs about the database of one host: making it from the metadata files, opening, destroying.

use serde_json::{Value, json};

use super::reply::Reply;
use super::request::Params;
use super::verbs::stderr_line;
use crate::model::sql;
use crate::model::{TtError, TtResult};
use crate::world::World;

/// Default PermSize in MB.
const DEFAULT_PERM_SIZE: u64 = 200;

/// The database name: cut at the first `-`, as the client does for most verbs and not for all.
pub(crate) fn database_name(form: &Params, env_name: Option<&String>) -> String {
    let name = form.get("dbName").or(env_name).map_or("", String::as_str);
    name.split('-').next().unwrap_or_default().to_owned()
}

impl World {
    pub(crate) fn config(&self, host: &str, file: &str) -> Option<&Vec<u8>> {
        self.containers.get(host)?.spec.config.get(file)
    }

    /// `createDb`: the database, its users, then `schema.sql`. What was done stays done when a
    /// later step fails.
    pub(crate) fn create_db(&mut self, host: &str, form: &Params) -> Reply {
        let env = self.containers.get(host).and_then(|c| c.spec.env.get("TT_DB_NAME")).cloned();
        let name = database_name(form, env.as_ref());
        let has = |world: &Self, file: &str| world.config(host, file).is_some();
        let cache = has(self, "cacheUser");
        let (admin, test) = (has(self, "adminUser"), has(self, "testUser"));
        let schema = self.config(host, "schema.sql").cloned();
        let created = self
            .read_perm_size(host)
            .and_then(|perm_size| self.create_database(host, &name, perm_size));
        let users = created.clone().and_then(|()| self.create_users(host));
        let ran = users.clone().and_then(|()| match &schema {
            Some(script) => sql::run(script).map(drop),
            None => Ok(()),
        });
        let lines = |result: &TtResult| match result {
            Err(error) => json!([stderr_line(&error.message)]),
            Ok(()) => json!([]),
        };
        let none: TtResult = Ok(());
        let schema_failed = if users.is_ok() { &ran } else { &none };
        let users_failed = if created.is_ok() { &users } else { &none };
        let reply = ran.as_ref().err().cloned().map_or_else(Reply::ok, Reply::from);
        let fields: [(&str, Value); 16] = [
            ("createdDatabase", json!(created.is_ok())),
            ("createdOurAdminUser", json!(created.is_ok())),
            ("createdUserAdminUser", json!(users.is_ok() && admin)),
            ("createdUserTestUser", json!(users.is_ok() && test)),
            ("usingCache", json!(cache)),
            ("readCacheUserFile", json!(cache)),
            ("readAdminUserFile", json!(admin)),
            ("schemaFileExists", json!(schema.is_some())),
            ("schemaFileRc", json!(i64::from(schema_failed.is_err()))),
            ("createdCacheUser", json!(users.is_ok() && cache)),
            ("setCacheUidPwdSet", json!(users.is_ok() && cache)),
            ("errors", lines(users_failed)),
            ("create1Out", json!([])),
            ("create1Err", lines(&created)),
            ("schemaOut", json!([])),
            ("schemaErr", lines(schema_failed)),
        ];
        fields.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    /// Checks `db.ini` line by line; the PermSize in it.
    fn read_perm_size(&self, host: &str) -> TtResult<u64> {
        let mut size = DEFAULT_PERM_SIZE;
        let text =
            String::from_utf8_lossy(self.config(host, "db.ini").map_or(&[], |f| f.as_slice()));
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with('#') || line.starts_with('[') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                let text = format!("Invalid line in db.ini: \"{line}\" is not Name=Value");
                return Err(TtError::tt(15_001, &text));
            };
            if name.trim().eq_ignore_ascii_case("PermSize") {
                let invalid = || TtError::tt(15_003, "Invalid value for the PermSize attribute");
                size = value.trim().parse().map_err(|_| invalid())?;
            }
        }
        Ok(size)
    }

    fn create_users(&mut self, host: &str) -> TtResult {
        for (file, parts) in [("adminUser", 2), ("testUser", 2), ("cacheUser", 3)] {
            let Some(text) = self.config(host, file) else { continue };
            let text = String::from_utf8_lossy(text);
            let given = text.trim().split('/').filter(|part| !part.is_empty()).count();
            if given < parts {
                let form = if parts == 2 { "user/password" } else { "user/password/password" };
                return Err(TtError::other(format!("{file}: not of the form {form}")));
            }
        }
        let cache = self.config(host, "cacheUser").is_some();
        if let Some(database) = self.database_mut(host) {
            database.cache_user_set = cache;
        }
        Ok(())
    }

    pub(crate) fn open_or_close(&mut self, host: &str, open: bool) -> Reply {
        match self.set_open(host, open) {
            Ok(()) => {
                Reply::ok().with("cmdRc", json!(0)).with("cmdOut", json!([])).with("msg", json!(""))
            }
            Err(error) => {
                let line = stderr_line(&error.message);
                Reply::from(error)
                    .with("cmdRc", json!(1))
                    .with("cmdOut", json!([]))
                    .with("msg", json!(line))
            }
        }
    }

    /// Succeeds when nothing exists, but not without the daemon.
    pub(crate) fn destroy_db(&mut self, host: &str) -> Reply {
        if let Err(error) = self.need_daemon(host) {
            let line = stderr_line(&error.message);
            return Reply::from(error).with("destroyOut", json!([line]));
        }
        self.destroy(host);
        Reply::ok().with("destroyOut", json!([]))
    }

    /// The work of `createCg`.
    pub(crate) fn create_cache_groups(&mut self, host: &str) -> TtResult {
        self.need_loaded(host)?;
        let Some(script) = self.config(host, "cachegroups.sql").cloned() else {
            return Err(TtError::other("there is no cachegroups.sql in /ttconfig"));
        };
        self.set_cache_agent(host, true)?;
        self.need_oracle()?;
        let ran = sql::run(&script)?;
        let Some(database) = self.database_mut(host) else { return Ok(()) };
        for group in ran.cache_groups {
            if database.cache_groups.iter().any(|known| known.name == group.name) {
                let text = format!("Cache group {} already exists", group.name);
                return Err(TtError::tt(2207, &text));
            }
            database.cache_groups.push(group);
        }
        if !database.cache_groups.is_empty() {
            self.oracle.made.insert(host.to_owned());
        }
        Ok(())
    }

    pub(crate) fn run_epilog(&self, host: &str) -> TtResult {
        match self.config(host, "epilog.sql") {
            Some(script) => {
                self.need_loaded(host)?;
                sql::run(script).map(drop)
            }
            None => Ok(()),
        }
    }

    pub(crate) fn remove_upgrade_failed(&mut self, host: &str) -> Reply {
        let volume = self.containers.get(host).map(|container| container.spec.volume.clone());
        let volume = volume.and_then(|id| self.volumes.get_mut(&id));
        let removed = volume.is_some_and(|volume| std::mem::take(&mut volume.upgrade_failed));
        Reply::generic().with("removed", json!(removed))
    }
}
