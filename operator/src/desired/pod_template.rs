//! What a user's pod template must not say.

use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::SpecProblem;

/// Names of volumes and containers that the operator makes.
const OURS: [&str; 2] = ["tt-persistent", "tt-agent"];

/// Looks for what would collide with the operator's own parts.
pub(super) fn check(template: &PodTemplateSpec) -> Result<(), SpecProblem> {
    let Some(spec) = &template.spec else { return Ok(()) };
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        if OURS.contains(&volume.name.as_str()) {
            return Err(SpecProblem::new(
                format!("template.spec.volumes[{index}].name"),
                format!("{:?} is a volume that the operator makes", volume.name),
                "give it another name",
            ));
        }
    }
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        if container.name == "ttinit" {
            return Err(SpecProblem::new(
                format!("template.spec.initContainers[{index}].name"),
                "\"ttinit\" is a container that the operator makes",
                "give it another name",
            ));
        }
    }
    Ok(())
}
