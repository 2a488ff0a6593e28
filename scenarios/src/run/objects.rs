//! Objects: what users do to them beside the spec, and what others have left in the way.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::checks;
use super::steps::{Player, Result};
use crate::timeline::Who;
use crate::world::OBJECT;

impl Player<'_> {
    /// The user sets labels of the object.
    pub(super) async fn label(&self, labels: &BTreeMap<String, String>) -> Result {
        self.world.record.say(Who::User, format!("label timestenclassic/{OBJECT} {labels:?}"));
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        let api = checks::objects(self.world.client());
        let labelled = api.patch(OBJECT, &PatchParams::default(), &patch).await;
        self.done("label the object", labelled).map(drop)
    }

    /// An object that is gone has left nothing in the Oracle database that nobody was told of: unless
    /// the whole namespace has gone with it, where nothing can be told.
    pub(super) async fn left_in_oracle(&self) {
        let namespaces: Api<Namespace> = Api::all(self.world.client());
        let name = self.world.api.namespace();
        let there = namespaces.get_opt(name).await.ok().flatten();
        let goes = there.is_none_or(|there| there.metadata.deletion_timestamp.is_some());
        if self.case.ends != "gone" || goes {
            return;
        }
        let (at, left) = (self.world.record.now(), self.world.fleet.left_in_oracle());
        self.world.record.with(|record| record.oracles.left_in_oracle(at, &left));
    }

    /// Somebody else has made these objects, such as `service/sample`.
    pub(super) async fn put_in_the_way(&self, objects: &[String]) -> Result {
        for object in objects {
            let parts = object.split_once('/');
            let api = parts.and_then(|(kind, _)| checks::api(self.world.client(), kind));
            let (Some((kind, name)), Some(api)) = (parts, api) else {
                return Err(self.wrong("scenario", "write kind/name", vec![object.clone()]));
            };
            let somebody = json!({"metadata": {"name": name}, "spec": spec(kind)});
            let somebody: DynamicObject =
                self.done("write it", serde_json::from_value(somebody))?;
            self.done("create it", api.create(&PostParams::default(), &somebody).await)?;
        }
        Ok(())
    }
}

/// The least that an object of a kind has to say.
fn spec(kind: &str) -> Value {
    let labels = json!({"app": "somebody"});
    match kind {
        "service" => json!({"selector": labels, "ports": [{"port": 80}]}),
        "poddisruptionbudget" => json!({"minAvailable": 1, "selector": {"matchLabels": labels}}),
        "statefulset" => json!({
            "serviceName": "somebody",
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "somebody:1"}]},
            },
        }),
        _ => Value::Null,
    }
}
