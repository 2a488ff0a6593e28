//! What is remembered of an object's credentials: what is held, what its Secret is to say, and what
//! it was seen to say.
//!
//! Never: decides; that is `credentials::keeping`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use crate::credentials::Credentials;
use crate::credentials::keeping::{Read, Upkeep};

/// The credentials of one object.
#[derive(Debug, Default)]
pub struct Keyring {
    /// What the agents are spoken to with.
    pub held: Option<Arc<Credentials>>,
    /// What the Secret is to say, if that is something else.
    pub wanted: Option<Arc<Credentials>>,
    /// Why nothing is held, though pods were started with something.
    pub locked_out: Option<String>,
    /// How it is, for people.
    pub upkeep: Option<Upkeep>,
    /// What is held was made by this process, and no Secret was seen to have it.
    made: bool,
    /// The Secret as it was read last, by its version.
    read: Option<(String, Arc<Read>)>,
}

impl Keyring {
    /// Holds what a Secret says.
    pub fn hold(&mut self, credentials: Arc<Credentials>) {
        *self = Self { held: Some(credentials), read: self.read.take(), ..Self::default() };
    }

    /// Holds what was just made.
    pub fn make(&mut self, credentials: Arc<Credentials>) {
        self.hold(credentials);
        self.made = true;
    }

    /// Another Secret was there first. It counts, unless agents may have been started with what is
    /// held.
    pub fn outdone(&mut self) {
        if self.made {
            *self = Self::default();
        }
    }

    /// Reads a Secret, once for each of its versions.
    pub fn read(&mut self, secret: &Secret) -> Arc<Read> {
        let version = secret.resource_version().unwrap_or_default();
        if let Some((_, read)) = self.read.as_ref().filter(|(known, _)| *known == version) {
            return Arc::clone(read);
        }
        let read = Arc::new(read(secret));
        self.made &= read.is_err();
        self.read = Some((version, Arc::clone(&read)));
        read
    }

    /// What the Secret is to say.
    #[must_use]
    pub fn to_write(&self) -> Option<Arc<Credentials>> {
        self.wanted.clone().or_else(|| self.held.clone())
    }
}

/// Reads a Secret.
pub fn read(secret: &Secret) -> Read {
    let data = secret.data.iter().flatten();
    Credentials::from_secret_data(
        &data.map(|(key, value)| (key.clone(), value.0.clone())).collect(),
    )
}
