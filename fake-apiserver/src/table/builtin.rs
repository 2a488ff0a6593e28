//! The columns of the built-in kinds, as `kubectl get` shows them.

use jiff::Timestamp;
use serde_json::Value;

use super::Column;
use super::cells::{self, or_none};
use super::pod;
use crate::json;
use crate::registry::Resource;

use self::Show::{Age, Call, Count, Date, Int, Number, OrNone, OrUnset, Text};

/// What stands in a cell.
#[derive(Clone, Copy)]
pub(super) enum Show {
    /// The text at a path.
    Text(&'static [&'static str]),
    /// The text at a path, or `<none>`.
    OrNone(&'static [&'static str]),
    /// The number at a path, or zero.
    Int(&'static [&'static str]),
    /// How many elements are at a path.
    Count(&'static [&'static str]),
    /// What is at a path, in words; `<unset>` if there is nothing.
    OrUnset(&'static [&'static str]),
    /// The moment at a path.
    Date(&'static [&'static str]),
    Age,
    /// Text that is worked out.
    Call(fn(&Value, Timestamp) -> Value),
    /// A number that is worked out.
    Number(fn(&Value, Timestamp) -> Value),
}

impl Show {
    fn kind(self) -> &'static str {
        match self {
            Self::Int(_) | Self::Number(_) => "integer",
            Self::Date(_) => "date",
            _ => "string",
        }
    }

    pub(super) fn cell(self, item: &Value, now: Timestamp) -> Value {
        match self {
            Self::Text(path) | Self::Date(path) => json::text(item, path).into(),
            Self::OrNone(path) => or_none(json::text(item, path)),
            Self::Int(path) => json::int(item, path).unwrap_or_default().into(),
            Self::Count(path) => cells::count(json::at(item, path)).into(),
            Self::OrUnset(path) => match json::at(item, path) {
                None => "<unset>".into(),
                Some(Value::String(text)) => text.as_str().into(),
                Some(other) => other.to_string().into(),
            },
            Self::Age => super::age(item, now),
            Self::Call(cell) | Self::Number(cell) => cell(item, now),
        }
    }
}

/// A heading and what stands under it.
type Row = (&'static str, Show);

/// The columns of an event, whose name comes last.
const EVENT: &[Row] = &[
    ("Last Seen", Call(cells::last_seen)),
    ("Type", Text(&["type"])),
    ("Reason", Text(&["reason"])),
    ("Object", Call(cells::event_object)),
    ("Message", Call(cells::event_message)),
];
const TEMPLATE: &[Row] = &[
    ("Containers", Call(cells::containers)),
    ("Images", Call(cells::images)),
    ("Selector", Call(cells::selector)),
];
const SUBJECTS: &[Row] = &[
    ("Users", Call(cells::users)),
    ("Groups", Call(cells::groups)),
    ("ServiceAccounts", Call(cells::service_accounts)),
];
const CREATED: &[Row] = &[("Created At", Date(&["metadata", "creationTimestamp"]))];

/// The columns of a kind after its name, and those that only a wide table shows.
#[allow(clippy::too_many_lines, reason = "a table, one entry a kind")]
fn rows(group: &str, kind: &str) -> (&'static [Row], &'static [Row]) {
    match (group, kind) {
        ("", "Pod") => (
            &[
                ("Ready", Call(pod::ready)),
                ("Status", Call(pod::status)),
                ("Restarts", Call(pod::restarts)),
                ("Age", Age),
            ],
            &[
                ("IP", OrNone(&["status", "podIP"])),
                ("Node", OrNone(&["spec", "nodeName"])),
                ("Nominated Node", OrNone(&["status", "nominatedNodeName"])),
                ("Readiness Gates", Call(pod::readiness_gates)),
            ],
        ),
        ("", "PodTemplate") => (
            &[
                ("Containers", Call(cells::containers)),
                ("Images", Call(cells::images)),
                ("Pod Labels", Call(cells::template_labels)),
            ],
            &[],
        ),
        ("", "ReplicationController") => (
            &[
                ("Desired", Int(&["spec", "replicas"])),
                ("Current", Int(&["status", "replicas"])),
                ("Ready", Int(&["status", "readyReplicas"])),
                ("Age", Age),
            ],
            TEMPLATE,
        ),
        ("", "Service") => (
            &[
                ("Type", Text(&["spec", "type"])),
                ("Cluster-IP", OrNone(&["spec", "clusterIP"])),
                ("External-IP", Call(cells::external_ip)),
                ("Port(s)", Call(cells::service_ports)),
                ("Age", Age),
            ],
            &[("Selector", Call(cells::selector))],
        ),
        ("", "Endpoints") => (&[("Endpoints", Call(cells::endpoints)), ("Age", Age)], &[]),
        ("", "Node") => (
            &[
                ("Status", Call(cells::node_status)),
                ("Roles", Call(cells::node_roles)),
                ("Age", Age),
                ("Version", Text(&["status", "nodeInfo", "kubeletVersion"])),
            ],
            &[
                ("Internal-IP", Call(cells::internal_ip)),
                ("External-IP", Call(cells::node_external_ip)),
                ("OS-Image", Call(cells::os_image)),
                ("Kernel-Version", Call(cells::kernel)),
                ("Container-Runtime", Call(cells::container_runtime)),
            ],
        ),
        ("", "Namespace") => (&[("Status", Text(&["status", "phase"])), ("Age", Age)], &[]),
        ("", "Secret") => {
            (&[("Type", Text(&["type"])), ("Data", Count(&["data"])), ("Age", Age)], &[])
        }
        ("", "ConfigMap") => (&[("Data", Call(cells::config_map_data)), ("Age", Age)], &[]),
        ("", "ServiceAccount") => {
            (&[("Secrets", Number(cells::account_secrets)), ("Age", Age)], &[])
        }
        ("", "LimitRange") => (CREATED, &[]),
        ("", "ResourceQuota") => (
            &[
                ("Request", Call(cells::quota_requests)),
                ("Limit", Call(cells::quota_limits)),
                ("Age", Age),
            ],
            &[],
        ),
        ("", "PersistentVolume") => (
            &[
                ("Capacity", Text(&["spec", "capacity", "storage"])),
                ("Access Modes", Call(cells::volume_modes)),
                ("Reclaim Policy", Text(&["spec", "persistentVolumeReclaimPolicy"])),
                ("Status", Call(cells::volume_status)),
                ("Claim", Call(cells::volume_claim)),
                ("StorageClass", Text(&["spec", "storageClassName"])),
                ("VolumeAttributesClass", OrUnset(&["spec", "volumeAttributesClassName"])),
                ("Reason", Text(&["status", "reason"])),
                ("Age", Age),
            ],
            &[("VolumeMode", Text(&["spec", "volumeMode"]))],
        ),
        ("", "PersistentVolumeClaim") => (
            &[
                ("Status", Call(cells::claim_status)),
                ("Volume", Text(&["spec", "volumeName"])),
                ("Capacity", Text(&["status", "capacity", "storage"])),
                ("Access Modes", Call(cells::claim_modes)),
                ("StorageClass", Text(&["spec", "storageClassName"])),
                ("VolumeAttributesClass", OrUnset(&["spec", "volumeAttributesClassName"])),
                ("Age", Age),
            ],
            &[("VolumeMode", Text(&["spec", "volumeMode"]))],
        ),
        ("apps", "Deployment") => (
            &[
                ("Ready", Call(cells::ready)),
                ("Up-to-date", Int(&["status", "updatedReplicas"])),
                ("Available", Int(&["status", "availableReplicas"])),
                ("Age", Age),
            ],
            TEMPLATE,
        ),
        ("apps", "ReplicaSet") => (
            &[
                ("Desired", Int(&["spec", "replicas"])),
                ("Current", Int(&["status", "replicas"])),
                ("Ready", Int(&["status", "readyReplicas"])),
                ("Age", Age),
            ],
            TEMPLATE,
        ),
        ("apps", "DaemonSet") => (
            &[
                ("Desired", Int(&["status", "desiredNumberScheduled"])),
                ("Current", Int(&["status", "currentNumberScheduled"])),
                ("Ready", Int(&["status", "numberReady"])),
                ("Up-to-date", Int(&["status", "updatedNumberScheduled"])),
                ("Available", Int(&["status", "numberAvailable"])),
                ("Node Selector", Call(cells::node_selector)),
                ("Age", Age),
            ],
            TEMPLATE,
        ),
        ("apps", "StatefulSet") => (
            &[("Ready", Call(cells::ready)), ("Age", Age)],
            &[("Containers", Call(cells::containers)), ("Images", Call(cells::images))],
        ),
        ("apps", "ControllerRevision") => (
            &[
                ("Controller", Call(cells::controller)),
                ("Revision", Int(&["revision"])),
                ("Age", Age),
            ],
            &[],
        ),
        ("batch", "Job") => (
            &[
                ("Status", Call(cells::job_status)),
                ("Completions", Call(cells::completions)),
                ("Duration", Call(cells::job_duration)),
                ("Age", Age),
            ],
            TEMPLATE,
        ),
        ("batch", "CronJob") => (
            &[
                ("Schedule", Text(&["spec", "schedule"])),
                ("Timezone", OrNone(&["spec", "timeZone"])),
                ("Suspend", Call(cells::suspend)),
                ("Active", Number(cells::active_jobs)),
                ("Last Schedule", Call(cells::last_schedule)),
                ("Age", Age),
            ],
            &[
                ("Containers", Call(cells::job_containers)),
                ("Images", Call(cells::job_images)),
                ("Selector", Call(cells::job_selector)),
            ],
        ),
        ("autoscaling", "HorizontalPodAutoscaler") => (
            &[
                ("Reference", Call(cells::scale_target)),
                ("Targets", Call(cells::scale_metrics)),
                ("MinPods", OrUnset(&["spec", "minReplicas"])),
                ("MaxPods", Int(&["spec", "maxReplicas"])),
                ("Replicas", Int(&["status", "currentReplicas"])),
                ("Age", Age),
            ],
            &[],
        ),
        ("policy", "PodDisruptionBudget") => (
            &[
                ("Min Available", Call(cells::min_available)),
                ("Max Unavailable", Call(cells::max_unavailable)),
                ("Allowed Disruptions", Int(&["status", "disruptionsAllowed"])),
                ("Age", Age),
            ],
            &[],
        ),
        ("networking.k8s.io", "Ingress") => (
            &[
                ("Class", OrNone(&["spec", "ingressClassName"])),
                ("Hosts", Call(cells::hosts)),
                ("Address", Call(cells::load_balancer)),
                ("Ports", Call(cells::ingress_ports)),
                ("Age", Age),
            ],
            &[],
        ),
        ("networking.k8s.io", "IngressClass") => (
            &[
                ("Controller", Text(&["spec", "controller"])),
                ("Parameters", Call(cells::parameters)),
                ("Age", Age),
            ],
            &[],
        ),
        ("networking.k8s.io", "NetworkPolicy") => {
            (&[("Pod-Selector", Call(cells::pod_selector)), ("Age", Age)], &[])
        }
        ("networking.k8s.io", "IPAddress") => {
            (&[("ParentRef", Call(cells::parent)), ("Age", Age)], &[])
        }
        ("networking.k8s.io", "ServiceCIDR") => {
            (&[("CIDRs", Call(cells::cidrs)), ("Age", Age)], &[])
        }
        ("discovery.k8s.io", "EndpointSlice") => (
            &[
                ("AddressType", Text(&["addressType"])),
                ("Ports", Call(cells::slice_ports)),
                ("Endpoints", Call(cells::slice_addresses)),
                ("Age", Age),
            ],
            &[],
        ),
        ("coordination.k8s.io", "Lease") => {
            (&[("Holder", Text(&["spec", "holderIdentity"])), ("Age", Age)], &[])
        }
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => (CREATED, &[]),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            (&[("Role", Call(cells::role)), ("Age", Age)], SUBJECTS)
        }
        ("certificates.k8s.io", "CertificateSigningRequest") => (
            &[
                ("Age", Age),
                ("SignerName", OrNone(&["spec", "signerName"])),
                ("Requestor", Text(&["spec", "username"])),
                ("RequestedDuration", Call(cells::requested_duration)),
                ("Condition", Call(cells::approval)),
            ],
            &[],
        ),
        ("scheduling.k8s.io", "PriorityClass") => (
            &[
                ("Value", Int(&["value"])),
                ("Global-Default", Call(cells::global_default)),
                ("Age", Age),
                ("PreemptionPolicy", Text(&["preemptionPolicy"])),
            ],
            &[],
        ),
        ("storage.k8s.io", "StorageClass") => (
            &[
                ("Provisioner", Text(&["provisioner"])),
                ("ReclaimPolicy", Text(&["reclaimPolicy"])),
                ("VolumeBindingMode", Text(&["volumeBindingMode"])),
                ("AllowVolumeExpansion", Call(cells::expansion)),
                ("Age", Age),
            ],
            &[],
        ),
        ("storage.k8s.io", "VolumeAttachment") => (
            &[
                ("Attacher", Text(&["spec", "attacher"])),
                ("PV", Text(&["spec", "source", "persistentVolumeName"])),
                ("Node", Text(&["spec", "nodeName"])),
                ("Attached", Call(cells::attached)),
                ("Age", Age),
            ],
            &[],
        ),
        ("storage.k8s.io", "CSINode") => {
            (&[("Drivers", Count(&["spec", "drivers"])), ("Age", Age)], &[])
        }
        ("storage.k8s.io", "CSIStorageCapacity") => (
            &[("StorageClassName", Text(&["storageClassName"])), ("Capacity", Text(&["capacity"]))],
            &[],
        ),
        ("storage.k8s.io", "VolumeAttributesClass") => {
            (&[("DriverName", Text(&["driverName"])), ("Age", Age)], &[])
        }
        ("node.k8s.io", "RuntimeClass") => (&[("Handler", Text(&["handler"])), ("Age", Age)], &[]),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => {
            (&[("Webhooks", Count(&["webhooks"])), ("Age", Age)], &[])
        }
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => {
            (&[("Webhooks", Count(&["webhooks"])), ("Age", Age)], &[])
        }
        ("apiregistration.k8s.io", "APIService") => (
            &[
                ("Service", Call(cells::api_service)),
                ("Available", Call(cells::available)),
                ("Age", Age),
            ],
            &[],
        ),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => (CREATED, &[]),
        _ => (&[("Age", Age)], &[]),
    }
}

/// The columns of a built-in kind.
pub(super) fn columns(resource: &Resource) -> Vec<Column> {
    let shown = |(name, show): &Row| Column::new(name, show.kind(), *show);
    let name = Column::new("Name", "string", Call(cells::name));
    if resource.kind == "Event" {
        let wide = |name, show: Show| Column::new(name, show.kind(), show).wide();
        let mut all: Vec<Column> = EVENT.iter().map(shown).collect();
        all.insert(4, wide("Source", Call(cells::event_source)));
        all.insert(4, wide("Subobject", Text(&["involvedObject", "fieldPath"])));
        all.push(wide("First Seen", Call(cells::first_seen)));
        all.push(wide("Count", Number(cells::event_count)));
        all.push(name.wide());
        return all;
    }
    let (narrow, wide) = rows(&resource.group, &resource.kind);
    let wide = wide.iter().map(|row| shown(row).wide());
    std::iter::once(name).chain(narrow.iter().map(shown)).chain(wide).collect()
}
