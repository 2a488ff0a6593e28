//! The credentials of an object, as a pass begins: remembered, else read, else made; and what its
//! Secret is to say.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::lock;
use crate::caches::find;
use crate::cluster::{Cluster, ClusterError};
use crate::credentials::keeping::{self, Next, Scene, Upkeep};
use crate::credentials::{Credentials, CredentialsError, Identity};
use crate::desired::{Desired, Subscribers};
use crate::memory::Memory;
use crate::memory::keyring::read;
use crate::operator::Operator;
use crate::writes::Trouble;

impl Operator {
    /// What the agents of an object are spoken to with. What is in use is never made anew (I15).
    ///
    /// # Errors
    /// When the Secret has to be read and the API server does not answer.
    pub async fn credentials(
        &self,
        memory: &Mutex<Memory>,
        desired: &Desired,
        started: bool,
    ) -> Result<Option<Arc<Credentials>>, ClusterError> {
        if lock(memory).keyring.held.is_none() {
            self.find_credentials(memory, desired, started).await?;
        }
        let mut memory = lock(memory);
        self.keep_credentials(&mut memory, desired);
        Ok(memory.keyring.held.clone())
    }

    /// Reads the Secret, or makes new credentials if no pod was started with others.
    async fn find_credentials(
        &self,
        memory: &Mutex<Memory>,
        desired: &Desired,
        started: bool,
    ) -> Result<(), ClusterError> {
        let name = desired.object_names().secret;
        let secret = self.cluster.secret(desired.namespace(), &name).await?;
        let mut memory = lock(memory);
        let lost = match secret.as_ref().map(read) {
            Some(Ok(credentials)) => {
                memory.keyring.hold(Arc::new(credentials));
                return Ok(());
            }
            Some(Err(error)) => format!("Secret {name}: {error}"),
            None => format!("Secret {name}, with the credentials of the agents, is gone"),
        };
        // New ones would lock the operator out of agents that run with the old (I15).
        if started {
            memory.keyring.locked_out = Some(format!("{lost}, and no other copy of it is known"));
            return Ok(());
        }
        match self.make(|now, random| {
            Credentials::generate(desired.name(), desired.namespace(), now, random)
        }) {
            Ok(made) => memory.keyring.make(made),
            Err(error) => memory.writes.trouble = Some(Trouble::Failed(error.to_string())),
        }
        Ok(())
    }

    /// Looks after the Secret of what is held.
    fn keep_credentials(&self, memory: &mut Memory, desired: &Desired) {
        let Some(held) = memory.keyring.held.clone() else { return };
        let name = desired.object_names().secret;
        let all_present = behind(memory, desired, held.present()).is_empty();
        let shown = find(&self.caches.secrets, desired.namespace(), &name);
        let shown = shown.map(|secret| memory.keyring.read(&secret));
        let wanted = memory.keyring.wanted.clone();
        let service = desired.object_names().headless_service;
        let host =
            format!("{0}-0.{service}.{1}.svc.cluster.local", desired.name(), desired.namespace());
        let scene = Scene {
            held: &held,
            wanted: wanted.as_deref(),
            shown: shown.as_deref(),
            all_present,
            host: &host,
            now: self.clock.now(),
        };
        let next = keeping::next(&scene);
        let keyring = &mut memory.keyring;
        let mut undone = None;
        match next {
            Next::Await => {}
            Next::Keep => keyring.wanted = None,
            Next::Write(wanted) => keyring.wanted = Some(Arc::new(wanted)),
            Next::Hold(shown) => keyring.hold(Arc::new(shown)),
            Next::Undo(why) => {
                keyring.wanted = None;
                undone = Some(format!("Secret {name} was edited and is written back: {why}"));
            }
            Next::Renew => {
                let made = self.make(|now, random| {
                    held.renewed(desired.name(), desired.namespace(), now, random)
                });
                match made {
                    Ok(made) => keyring.wanted = Some(made),
                    Err(error) => memory.writes.trouble = Some(Trouble::Failed(error.to_string())),
                }
            }
        }
        let held = memory.keyring.held.clone().unwrap_or(held);
        let behind = behind(memory, desired, held.present());
        memory.keyring.upkeep = Some(match undone {
            Some(why) => Upkeep::Edited(why),
            None if held.former().is_some() && !behind.is_empty() => Upkeep::Renewed(behind),
            None => Upkeep::Current {
                until: held.present().not_after(),
                renewal: held.present().renewal(),
            },
        });
    }

    fn make(
        &self,
        how: impl FnOnce(
            jiff::Timestamp,
            &mut dyn FnMut(&mut [u8]),
        ) -> Result<Credentials, CredentialsError>,
    ) -> Result<Arc<Credentials>, CredentialsError> {
        let random = Arc::clone(&self.random);
        how(self.clock.now(), &mut |bytes| random(bytes)).map(Arc::new)
    }
}

/// The pods whose agents are not known to have this identity, of all there are to be.
fn behind(memory: &mut Memory, desired: &Desired, present: &Identity) -> Vec<String> {
    let members = (0..desired.replicas()).map(|ordinal| format!("{}-{ordinal}", desired.name()));
    let subscribers = desired.subscribers.iter().flat_map(Subscribers::pods);
    let now = Instant::now();
    let mut has_it = |name: &String| memory.pod(name, now).link.identity() == Some(present);
    members.chain(subscribers).filter(|name| !has_it(name)).collect()
}
