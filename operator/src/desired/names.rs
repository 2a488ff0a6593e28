//! Names: whose object it is, and what everything made of it is called.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::{Desired, SpecProblem};
use crate::crd::{GROUP, KIND, STORED, TimesTenClassic};

/// The longest name of an object: its pods, services and claims have longer ones.
pub(super) const LONGEST_NAME: usize = 50;

/// The object that everything belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Owner {
    pub(super) fn of(object: &TimesTenClassic) -> Result<Self, SpecProblem> {
        let name = object.name_any();
        if !is_service_name(&name) || name.len() > LONGEST_NAME {
            return Err(SpecProblem {
                field: "metadata.name".into(),
                problem: format!("no Service can be called {name:?}"),
                cure: format!(
                    "create the object anew with a name of up to {LONGEST_NAME} lower case \
                     letters, digits and '-' that starts with a letter"
                ),
            });
        }
        Ok(Self {
            namespace: object.namespace().unwrap_or_default(),
            uid: object.uid().unwrap_or_default(),
            labels: object.labels().clone(),
            annotations: object.annotations().clone(),
            name,
        })
    }

    /// The database's name and DSN: the object's name, cut at its first `-`. The scripts in the
    /// image share the rule.
    #[must_use]
    pub fn db_name(&self) -> &str {
        self.name.split('-').next().unwrap_or(&self.name)
    }

    /// The full DNS name of a pod of that name.
    #[must_use]
    pub fn host(&self, pod: &str) -> String {
        format!("{pod}.{}.{}.svc.cluster.local", self.name, self.namespace)
    }

    /// The reference that makes an object go when its owner goes.
    #[must_use]
    pub fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: format!("{GROUP}/{STORED}"),
            kind: KIND.into(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// A DNS label that starts with a letter.
pub(super) fn is_service_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.bytes().all(known)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
}

/// The names of the objects that are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNames {
    /// The agents' Secret.
    pub secret: String,
    /// The headless Service.
    pub headless_service: String,
    /// The Service that selects the active.
    pub active_service: String,
    /// The StatefulSet.
    pub stateful_set: String,
    /// The PodDisruptionBudget.
    pub disruption_budget: String,
}

impl Desired {
    /// The names of the objects that are made.
    #[must_use]
    pub fn object_names(&self) -> ObjectNames {
        let name = &self.owner.name;
        ObjectNames {
            secret: format!("tt{}", self.owner.uid),
            headless_service: name.clone(),
            active_service: format!("{name}-active"),
            stateful_set: name.clone(),
            disruption_budget: name.clone(),
        }
    }

    /// The object's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.owner.namespace
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.owner.name
    }

    /// The database's name.
    #[must_use]
    pub fn db_name(&self) -> &str {
        self.owner.db_name()
    }

    /// The name of the pod with that ordinal.
    #[must_use]
    pub fn pod_name(&self, ordinal: usize) -> String {
        format!("{}-{ordinal}", self.owner.name)
    }
}
