//! Subresources that a pod's node answers: which node and which container, and `exec`, `attach`, `portforward`, which
//! no simulated node serves.

use serde_json::Value;

use super::Call;
use crate::json;
use crate::kubelet::{NodeHandle, Power, WeakNode};
use crate::refusal::Refusal;
use crate::respond::Reply;
use crate::state::State;

/// A connection into a container. It is refused with the words that the real server has when the node does not listen.
pub(super) fn connect(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let existing = call.get(state)?.value();
    if call.subresource() != Some("portforward") {
        choose(call, &existing)?;
    }
    match node_of(state, &existing)? {
        None => {
            Err(Refusal::bad_request(format!("pod {} does not have a host assigned", call.name())))
        }
        Some(_) if !call.request.upgrade => Err(Refusal::bad_request("Upgrade request required")),
        Some(node) => Err(unreachable_node(&node)),
    }
}

fn unreachable_node(node: &NodeHandle) -> Refusal {
    let why = "connect: connection refused";
    let address = node.address();
    Refusal::internal(format!("error dialing backend: dial tcp {address}:10250: {why}"))
}

/// The container that is meant: the one told, or the only one there is.
pub(super) fn choose(call: &Call<'_>, pod: &Value) -> Result<String, Refusal> {
    let names = |list: &str| -> Vec<&str> {
        json::list(pod, &["spec", list]).iter().map(|c| json::text(c, &["name"])).collect()
    };
    let (main, init, ephemeral) =
        (names("containers"), names("initContainers"), names("ephemeralContainers"));
    let told = call.request.query.get("container").filter(|name| !name.is_empty());
    match (told, main.as_slice()) {
        (Some(told), _) if [&main, &init, &ephemeral].iter().any(|all| all.contains(&told)) => {
            Ok(told.to_owned())
        }
        (Some(told), _) => Err(Refusal::bad_request(format!(
            "container {told} is not valid for pod {}",
            call.name()
        ))),
        (None, [only]) => Ok((*only).to_owned()),
        (None, many) => {
            let mut text = format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                call.name(),
                many.join(" ")
            );
            for (what, all) in [("init", init), ("ephemeral", ephemeral)] {
                if !all.is_empty() {
                    text += &format!(" or one of the {what} containers: [{}]", all.join(" "));
                }
            }
            Err(Refusal::bad_request(text))
        }
    }
}

/// The node a pod is bound to; `None` if it is bound to none.
pub(super) fn node_of(state: &State, pod: &Value) -> Result<Option<NodeHandle>, Refusal> {
    let name = json::text(pod, &["spec", "nodeName"]);
    if name.is_empty() {
        return Ok(None);
    }
    let Some(node) = state.nodes.get(name).and_then(WeakNode::upgrade) else {
        return Err(Refusal::internal(format!(
            "error dialing backend: dial tcp: lookup {name}: no such host"
        )));
    };
    match node.power() {
        Power::On => Ok(Some(node)),
        Power::Isolated | Power::Lost => Err(unreachable_node(&node)),
    }
}
