//! Subresources that a pod's node answers: its log, and `exec`, `attach`, `portforward`, which no simulated node serves.

use serde_json::Value;

use super::Call;
use crate::json;
use crate::kubelet::{ContainerRef, NodeHandle, Power, WeakNode};
use crate::refusal::{Cause, Named, Refusal};
use crate::respond::Reply;
use crate::state::State;

/// What a container wrote. A log that is followed ends with what is there now; `sinceSeconds` and `sinceTime` are not
/// heeded, as its lines carry no times.
pub(super) fn log(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let query = &call.request.query;
    let (tail, limit) = (amount(call, "tailLines", 0)?, amount(call, "limitBytes", 1)?);
    amount(call, "sinceSeconds", 1)?;
    let existing = call.get(state)?;
    let container = choose(call, &existing.value)?;
    let Some(node) = node_of(state, &existing.value)? else {
        return Ok(Reply::text(204, ""));
    };
    let previous = query.flag("previous");
    if let Some(reason) = waiting(&existing.value, &container).filter(|_| !previous) {
        return Err(Refusal::bad_request(format!(
            "container {container:?} in pod {:?} is waiting to start: {reason}",
            call.name()
        )));
    }
    let at = ContainerRef {
        namespace: call.namespace().to_owned(),
        pod: call.name().to_owned(),
        uid: json::text(&existing.value, &["metadata", "uid"]).to_owned(),
        container,
        node: node.name().to_owned(),
    };
    let lines = node.log(&at, previous).ok_or_else(|| {
        Refusal::bad_request(format!(
            "previous terminated container {:?} in pod {:?} not found",
            at.container,
            call.name()
        ))
    })?;
    let skip = tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    let mut text: String = lines.iter().skip(skip).flat_map(|line| [line.as_str(), "\n"]).collect();
    if let Some(limit) = limit {
        let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
    }
    Ok(Reply { content_type: "text/plain", ..Reply::text(200, &text) })
}

/// A connection into a container. It is refused with the words that the real server has when the node does not listen.
pub(super) fn connect(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let existing = call.get(state)?;
    if call.subresource() != Some("portforward") {
        choose(call, &existing.value)?;
    }
    match node_of(state, &existing.value)? {
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

/// A number in the query that may not be smaller than `least`.
fn amount(call: &Call<'_>, key: &str, least: i64) -> Result<Option<usize>, Refusal> {
    let Some(number) = call.request.query.int(key)? else { return Ok(None) };
    if number < least {
        let why = match least {
            0 => "must be greater than or equal to 0",
            _ => "must be greater than 0",
        };
        let cause = Cause::invalid(key, &number.into(), why);
        let of = Named { group: "", resource: "PodLogOptions" };
        return Err(Refusal::invalid(of, call.name(), &[cause]));
    }
    Ok(usize::try_from(number).ok())
}

/// The container that is meant: the one told, or the only one there is.
fn choose(call: &Call<'_>, pod: &Value) -> Result<String, Refusal> {
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
fn node_of(state: &State, pod: &Value) -> Result<Option<NodeHandle>, Refusal> {
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

/// Why a container does not run yet.
fn waiting<'a>(pod: &'a Value, container: &str) -> Option<&'a str> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let mut all = lists.iter().flat_map(|list| json::list(pod, &["status", list]));
    let status = all.find(|status| json::text(status, &["name"]) == container)?;
    json::at(status, &["state", "waiting", "reason"]).and_then(Value::as_str)
}
