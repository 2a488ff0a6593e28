//! Subscribers: read-only copies that the pair feeds.

use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::names::{LONGEST_NAME, is_service_name};
use super::{Owner, SpecProblem, Topology, pod_template, read};
use crate::crd::TtSpec;

/// The subscribers of a pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribers {
    /// The name of their StatefulSet, and what their pods' names begin with.
    pub name: String,
    /// How many there are.
    pub replicas: i32,
    /// Their pod template, if it is another than that of the pair.
    pub template: Option<PodTemplateSpec>,
}

impl Subscribers {
    /// Those of the spec, if it wants any.
    pub(super) fn of(
        tt: &TtSpec,
        owner: &Owner,
        topology: Topology,
    ) -> Result<Option<Self>, SpecProblem> {
        let spec = tt.subscribers.as_ref().filter(|_| topology == Topology::ActiveStandbyPair);
        let Some((spec, replicas)) = spec.and_then(|spec| Some((spec, spec.replicas?))) else {
            return Ok(None);
        };
        let most = spec.max_replicas.unwrap_or(replicas);
        if !(1..=most).contains(&replicas) {
            let problem = format!("{replicas} is out of range");
            let cure = format!("write a number from 1 to maxReplicas, which is {most}");
            return Err(SpecProblem::new("ttspec.subscribers.replicas", problem, cure));
        }
        let name = name(tt, owner);
        if !is_service_name(&name) || name.len() > LONGEST_NAME || name == owner.name {
            let problem = format!("no StatefulSet beside that of the pair can be called {name:?}");
            let cure = format!(
                "write up to {LONGEST_NAME} lower case letters, digits and '-' that start with a \
                 letter, and not the object's own name"
            );
            return Err(SpecProblem::new("ttspec.subscribers.name", problem, cure));
        }
        let template: Option<PodTemplateSpec> = match &spec.template {
            Some(template) => Some(read("ttspec.subscribers.template", Some(template))?),
            None => None,
        };
        if let Some(template) = &template {
            pod_template::check(template)?;
        }
        Ok(Some(Self { name, replicas, template }))
    }

    /// The names of their pods.
    #[must_use]
    pub fn pods(&self) -> Vec<String> {
        (0..self.replicas).map(|ordinal| format!("{}-{ordinal}", self.name)).collect()
    }
}

/// The name of their StatefulSet.
pub(super) fn name(tt: &TtSpec, owner: &Owner) -> String {
    let written = tt.subscribers.as_ref().and_then(|subscribers| subscribers.name.clone());
    written.unwrap_or_else(|| format!("{}-sub", owner.name))
}
