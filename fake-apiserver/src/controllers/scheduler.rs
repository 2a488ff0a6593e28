//! The scheduler: gives pods nodes.
//!
//! Counts pods, not CPU or memory. Honours cordons, taints, node selectors, required node affinity, required pod
//! affinity and anti-affinity, and volumes that live on one node; prefers the node with the fewest pods of the same
//! controller, then of any.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Binding, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, ObjectReference,
    PersistentVolumeClaim, Pod, PodAffinityTerm, PodCondition, Taint, Toleration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::cache::{Again, Cluster, Snapshot, controller_uid, overtaken, phase, selects};
use super::volumes::{SELECTED_NODE, awaits_consumer, claims_of, selected_node};

/// Runs the controller; never ends.
pub(super) async fn run(cluster: &Cluster) {
    let mut turns = cluster.turns();
    let mut pause = None;
    let mut assumed: Assumed = BTreeMap::new();
    loop {
        let known = turns.next(pause).await;
        assumed.retain(|uid, _| {
            known.pods.iter().any(|pod| pod.metadata.uid.as_deref() == Some(uid) && waits(pod))
        });
        let mut again = Again::default();
        for pod in known.pods.iter().filter(|pod| waits(pod)) {
            let given = assumed.get(&pod.uid().unwrap_or_default());
            if given.is_none_or(|given| !given.bound) {
                again.note("scheduling a pod", schedule(cluster, &known, pod, &mut assumed).await);
            }
        }
        pause = again.pause();
    }
}

/// The nodes that pods were given a moment ago, by the pods' UIDs.
type Assumed = BTreeMap<String, Given>;

/// A node that a pod was given.
struct Given {
    node: String,
    /// The pod is told; else its volumes are waited for.
    bound: bool,
}

/// Whether a pod is ours to schedule.
fn waits(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    spec.node_name.is_none()
        && pod.metadata.deletion_timestamp.is_none()
        && !matches!(phase(pod), "Succeeded" | "Failed")
        && spec.scheduler_name.as_deref().unwrap_or("default-scheduler") == "default-scheduler"
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
}

async fn schedule(
    cluster: &Cluster,
    known: &Snapshot,
    pod: &Pod,
    assumed: &mut Assumed,
) -> kube::Result<()> {
    let uid = pod.uid().unwrap_or_default();
    let before = assumed.remove(&uid).map(|given| given.node);
    let view = View { known, assumed, pod };
    let node = match view.choose(before.as_deref()) {
        Ok(node) => node,
        Err(message) => return refuse(cluster, pod, &message).await,
    };
    let bound = have_volumes(cluster, &view, &node).await?;
    if bound {
        bind(cluster, pod, &node).await?;
    }
    assumed.insert(uid, Given { node, bound });
    Ok(())
}

/// The pod's volumes are there. Those that were to be made for it are from now on to be made for that
/// node.
async fn have_volumes(cluster: &Cluster, view: &View<'_>, node: &str) -> kube::Result<bool> {
    let namespace = view.pod.namespace().unwrap_or_default();
    let mut all = true;
    for claim in claims_of(view.pod).filter_map(|name| view.known.claims.get(&namespace, name)) {
        if !awaits_consumer(view.known, claim) {
            continue;
        }
        all = false;
        if selected_node(claim).is_none() {
            let claims: Api<PersistentVolumeClaim> =
                Api::namespaced(cluster.client.clone(), &namespace);
            let body = json!({ "metadata": { "annotations": { SELECTED_NODE: node } } });
            let patch = Patch::Merge(body);
            let name = claim.name_any();
            let patched = claims.patch(&name, &PatchParams::default(), &patch).await;
            if let Some(claim) = overtaken(patched)? {
                cluster.saw(claim);
            }
        }
    }
    Ok(all)
}

async fn bind(cluster: &Cluster, pod: &Pod, node: &str) -> kube::Result<()> {
    let name = pod.name_any();
    let target = ObjectReference {
        kind: Some("Node".to_owned()),
        name: Some(node.to_owned()),
        ..ObjectReference::default()
    };
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: pod.namespace(),
        uid: pod.uid(),
        ..ObjectMeta::default()
    };
    let binding = Binding { metadata, target };
    let answer = api(cluster, pod)
        .create_subresource::<_, Value>("binding", &name, &PostParams::default(), &binding)
        .await;
    overtaken(answer).map(drop)
}

/// Writes why a pod has no node, unless that is written already.
async fn refuse(cluster: &Cluster, pod: &Pod, message: &str) -> kube::Result<()> {
    let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let known = conditions.find(|c| c.type_ == "PodScheduled");
    if known.is_some_and(|c| c.status == "False" && c.message.as_deref() == Some(message)) {
        return Ok(());
    }
    let since = known.filter(|c| c.status == "False").and_then(|c| c.last_transition_time.clone());
    let condition = PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: since.or_else(|| Some(Time((cluster.clock)()))),
        ..PodCondition::default()
    };
    let body = Patch::Strategic(
        json!({ "metadata": { "uid": pod.uid() }, "status": { "conditions": [condition] } }),
    );
    let answer =
        api(cluster, pod).patch_status(&pod.name_any(), &PatchParams::default(), &body).await;
    if let Some(pod) = overtaken(answer)? {
        cluster.saw(pod);
    }
    Ok(())
}

fn api(cluster: &Cluster, pod: &Pod) -> Api<Pod> {
    Api::namespaced(cluster.client.clone(), &pod.namespace().unwrap_or_default())
}

/// A pod, and the cluster it is to be placed in.
struct View<'a> {
    known: &'a Snapshot,
    assumed: &'a Assumed,
    pod: &'a Pod,
}

impl View<'_> {
    /// The best node, or why there is none: the one that was chosen before, if it still will do.
    fn choose(&self, before: Option<&str>) -> Result<String, String> {
        let total = self.known.nodes.iter().count();
        let pinned =
            self.pinned().map_err(|why| format!("0/{total} nodes are available: {why}."))?;
        let mut why: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut best: Option<(bool, usize, usize, String)> = None;
        for node in self.known.nodes.iter() {
            match self.objection(node, &pinned) {
                Some(objection) => *why.entry(objection).or_default() += 1,
                None => {
                    let same = controller_uid(self.pod);
                    let kin = self
                        .on(node)
                        .filter(|pod| same.is_some() && controller_uid(pod.as_ref()) == same)
                        .count();
                    let name = node.name_any();
                    let other = before != Some(name.as_str());
                    let rank = (other, kin, self.on(node).count(), name);
                    best = Some(best.map_or(rank.clone(), |known| known.min(rank)));
                }
            }
        }
        let reasons = || {
            why.iter()
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        best.map(|(_, _, _, name)| name).ok_or_else(|| match total {
            0 => "no nodes available to schedule pods".to_owned(),
            _ => format!("0/{total} nodes are available: {}.", reasons()),
        })
    }

    /// The pods that run on a node, or will.
    fn on<'b>(&'b self, node: &'b Node) -> impl Iterator<Item = &'b Arc<Pod>> {
        self.known.pods.iter().filter(move |pod| {
            self.node_of(pod) == node.metadata.name.as_deref()
                && !matches!(phase(pod), "Succeeded" | "Failed")
        })
    }

    fn node_of<'b>(&'b self, pod: &'b Pod) -> Option<&'b str> {
        let bound = pod.spec.as_ref().and_then(|s| s.node_name.as_deref());
        bound.or_else(|| Some(&*self.assumed.get(pod.metadata.uid.as_deref()?)?.node))
    }

    /// Where the pod's volumes want it.
    fn pinned(&self) -> Result<Vec<&NodeSelector>, String> {
        let namespace = self.pod.namespace().unwrap_or_default();
        let mut pins = Vec::new();
        for name in claims_of(self.pod) {
            let claim = self.known.claims.get(&namespace, name);
            let claim = claim.ok_or_else(|| format!("persistentvolumeclaim {name:?} not found"))?;
            if claim.metadata.deletion_timestamp.is_some() {
                return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
            }
            if awaits_consumer(self.known, claim) {
                continue;
            }
            if claim.status.as_ref().and_then(|s| s.phase.as_deref()) != Some("Bound") {
                return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
            }
            let volume = claim
                .spec
                .as_ref()
                .and_then(|s| self.known.volumes.get("", s.volume_name.as_deref()?));
            pins.extend(
                volume.and_then(|v| v.spec.as_ref()?.node_affinity.as_ref()?.required.as_ref()),
            );
        }
        Ok(pins)
    }

    /// Why a node will not do.
    fn objection(&self, node: &Node, pinned: &[&NodeSelector]) -> Option<&'static str> {
        let spec = self.pod.spec.as_ref()?;
        let ready = node
            .status
            .iter()
            .flat_map(|s| s.conditions.iter().flatten())
            .any(|c| c.type_ == "Ready" && c.status == "True");
        let room = node
            .status
            .as_ref()
            .and_then(|s| s.allocatable.as_ref()?.get("pods")?.0.parse().ok())
            .unwrap_or(110_usize);
        let selector = spec.node_selector.iter().flatten();
        let affinity = spec.affinity.as_ref();
        let wanted = affinity.and_then(|a| {
            a.node_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
        });
        let near = affinity.and_then(|a| {
            a.pod_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
        });
        let far = affinity.and_then(|a| {
            a.pod_anti_affinity
                .as_ref()?
                .required_during_scheduling_ignored_during_execution
                .as_ref()
        });
        let tainted = node
            .spec
            .iter()
            .flat_map(|s| s.taints.iter().flatten())
            .any(|taint| taint.effect != "PreferNoSchedule" && !tolerates(self.pod, taint));
        if node.spec.as_ref().is_some_and(|s| s.unschedulable == Some(true)) {
            Some("node(s) were unschedulable")
        } else if !ready {
            Some("node(s) were not ready")
        } else if tainted {
            Some("node(s) had untolerated taint(s)")
        } else if !selector.clone().all(|(key, value)| node.labels().get(key) == Some(value))
            || !wanted.is_none_or(|w| admits(w, node))
        {
            Some("node(s) didn't match Pod's node affinity/selector")
        } else if !pinned.iter().all(|pin| admits(pin, node)) {
            Some("node(s) had volume node affinity conflict")
        } else if self.on(node).count() >= room {
            Some("Too many pods")
        } else if !near
            .into_iter()
            .flatten()
            .all(|term| self.neighbours(term, node) || self.first_of(term))
        {
            Some("node(s) didn't match pod affinity rules")
        } else if far.into_iter().flatten().any(|term| self.neighbours(term, node)) {
            Some("node(s) didn't match pod anti-affinity rules")
        } else {
            None
        }
    }

    /// Whether a pod that a term selects is in the same topology as a node.
    fn neighbours(&self, term: &PodAffinityTerm, node: &Node) -> bool {
        let Some(place) = node.labels().get(&term.topology_key) else { return false };
        self.known.pods.iter().filter(|other| self.meant(term, other)).any(|other| {
            let home = self.node_of(other).and_then(|name| self.known.nodes.get("", name));
            home.is_some_and(|home| home.labels().get(&term.topology_key) == Some(place))
        })
    }

    /// Whether a pod wants to be near its own kind and is the first of it.
    fn first_of(&self, term: &PodAffinityTerm) -> bool {
        self.meant(term, self.pod)
            && !self
                .known
                .pods
                .iter()
                .any(|other| self.meant(term, other) && self.node_of(other).is_some())
    }

    fn meant(&self, term: &PodAffinityTerm, other: &Pod) -> bool {
        let own = self.pod.metadata.namespace.as_ref();
        let listed = term.namespaces.as_ref().filter(|list| !list.is_empty());
        let namespace = other.metadata.namespace.as_ref();
        let within =
            listed.map_or(namespace == own, |list| namespace.is_some_and(|n| list.contains(n)));
        let ended = matches!(phase(other), "Succeeded" | "Failed");
        within
            && !ended
            && term.label_selector.as_ref().is_some_and(|selector| selects(selector, other))
    }
}

/// Whether a pod puts up with a taint.
fn tolerates(pod: &Pod, taint: &Taint) -> bool {
    let mut tolerations = pod.spec.iter().flat_map(|s| s.tolerations.iter().flatten());
    tolerations.any(|toleration| matches(toleration, taint))
}

/// Whether a toleration is for a taint.
pub(super) fn matches(toleration: &Toleration, taint: &Taint) -> bool {
    let same = |wanted: &Option<String>, is: &str| {
        wanted.as_deref().is_none_or(|w| w.is_empty() || w == is)
    };
    let exists = toleration.operator.as_deref() == Some("Exists");
    let value = toleration.value.as_deref().unwrap_or_default()
        == taint.value.as_deref().unwrap_or_default();
    same(&toleration.key, &taint.key)
        && same(&toleration.effect, &taint.effect)
        && (exists || value)
}

/// Whether a node selector admits a node: one of its terms has to.
fn admits(selector: &NodeSelector, node: &Node) -> bool {
    let named = BTreeMap::from([("metadata.name".to_owned(), node.name_any())]);
    let term = |term: &NodeSelectorTerm| {
        let labels = term.match_expressions.iter().flatten().all(|r| meets(r, node.labels()));
        let fields = term.match_fields.iter().flatten().all(|r| meets(r, &named));
        labels && fields && (term.match_expressions.is_some() || term.match_fields.is_some())
    };
    selector.node_selector_terms.iter().any(term)
}

fn meets(requirement: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let listed = || requirement.values.iter().flatten().any(|wanted| Some(wanted) == value);
    let number = |text: Option<&String>| text.and_then(|t| t.parse::<i64>().ok());
    let limit = || number(requirement.values.as_ref().and_then(|v| v.first()));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number(value).zip(limit()).is_some_and(|(is, limit)| is > limit),
        "Lt" => number(value).zip(limit()).is_some_and(|(is, limit)| is < limit),
        _ => false,
    }
}
