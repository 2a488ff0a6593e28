//! `TimesTenClassic`, as users write it and as the API server stores it.
//!
//! Never: believes what it reads. Types here say what may be stored; `desired` says what it means.
//! What Kubernetes types describe (pod templates, claims, selectors) stays JSON here, so that one
//! object with a mistake in it cannot keep the others from being read.

mod schema;
mod spec;
mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition,
};
use kube::CustomResourceExt;

pub use spec::{
    ClientTls, CustomClientTls, Prometheus, RollingUpdate, Subscribers, TimesTenClassic,
    TimesTenClassicSpec, TtSpec, UpdateStrategy,
};
pub use status::{
    AsyncStatus, CacheGroupStatus, CacheScriptStatus, CacheStatus, ClassicUpgradeStatus, Condition,
    DbStatus, IntentStatus, LastFailover, PodStatus, PodStatusPodStatus, ReplicationStatus,
    StandbyRebuild, SubscriberStatus, SwitchoverStatus, TimesTenClassicStatus, TimestenStatus,
};

/// The API group.
pub const GROUP: &str = "timesten.oracle.com";
/// The kind.
pub const KIND: &str = "TimesTenClassic";
/// The version that is stored.
pub const STORED: &str = "v5";
/// All versions that are served. They have one schema, a superset of each.
pub const SERVED: [&str; 3] = ["v3", "v4", STORED];

/// The definition that `timesten-operator crd` prints.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    let mut crd = TimesTenClassic::crd();
    let Some(mut version) = crd.spec.versions.pop() else { return crd };
    if let Some(root) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
        schema::finish(root);
    }
    version.additional_printer_columns = Some(columns());
    crd.spec.versions = SERVED
        .into_iter()
        .map(|name| {
            let mut version = version.clone();
            version.name = name.into();
            version.storage = name == STORED;
            version
        })
        .collect();
    crd
}

fn columns() -> Vec<CustomResourceColumnDefinition> {
    let column = |name: &str, path: &str, type_: &str, priority| CustomResourceColumnDefinition {
        name: name.into(),
        json_path: path.into(),
        type_: type_.into(),
        priority: (priority > 0).then_some(priority),
        ..CustomResourceColumnDefinition::default()
    };
    let because = ".status.conditions[?(@.type==\"Managed\")].message";
    vec![
        column("State", ".status.highLevelState", "string", 0),
        column("Active", ".status.activePods", "string", 0),
        column("Age", ".metadata.creationTimestamp", "date", 0),
        column("Subscribers", ".status.subscriber.state", "string", 1),
        column("Because", because, "string", 1),
    ]
}
