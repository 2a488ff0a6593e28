//! What users write, what is believed of it, and what is made of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, ServicePort};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use timesten_operator::crd::{SERVED, TimesTenClassic, crd};
use timesten_operator::desired::Desired;
use timesten_operator::objects::{Live, Parts, Wanted, Write, drift, taken, unapplied, wanted};

const MINIMAL: &str = include_str!("../../deploy/samples/minimal.yaml");
const COPIES: &str = include_str!("../../deploy/samples/copies.yaml");
const ORDERS: &str = include_str!("../../deploy/samples/orders.yaml");
const INITDEMO: &str = include_str!("../../deploy/samples/initdemo.yaml");
/// Where `kubectl apply` would no longer get the definition through.
const MOST_BYTES: usize = 256 * 1024;

/// The object in a sample, as the API server would hand it out.
fn sample(text: &str) -> TimesTenClassic {
    let documents =
        text.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let mut object: TimesTenClassic = documents
        .filter(|document| document["kind"] == "TimesTenClassic")
        .map(|document| serde_json::from_value(document).unwrap())
        .next()
        .unwrap();
    object.metadata.namespace = Some("db".into());
    object.metadata.uid = Some("0b5a6f2e-0000-4000-8000-000000000001".into());
    // The default is the machine's own.
    object.spec.ttspec.arch = Some("amd64".into());
    object
}

fn built(object: &TimesTenClassic) -> Wanted {
    let secret = [("tls.crt".to_owned(), b"certificate".to_vec())].into();
    wanted(&Desired::of(object).unwrap(), &Parts { secret, image: None })
}

fn live(wanted: &Wanted) -> Live {
    Live {
        secret: Some(Arc::new(wanted.secret.clone())),
        headless_service: Some(Arc::new(wanted.headless_service.clone())),
        active_service: wanted.active_service.clone().map(Arc::new),
        stateful_set: Some(Arc::new(wanted.stateful_set.clone())),
        subscribers: wanted.subscribers.clone().map(Arc::new),
        disruption_budget: Some(Arc::new(wanted.disruption_budget.clone())),
        ..Live::default()
    }
}

fn keys(writes: &[Write]) -> Vec<String> {
    writes.iter().map(Write::key).collect()
}

/// A minimal object with these changes of its `ttspec`.
fn object(changes: &Value) -> TimesTenClassic {
    let mut ttspec = json!({"image": "timesten:1", "arch": "amd64"});
    for (key, value) in changes.as_object().unwrap() {
        ttspec[key] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "timesten.oracle.com/v5",
        "kind": "TimesTenClassic",
        "metadata": {"name": "my-db", "namespace": "db", "uid": "u"},
        "spec": {"ttspec": ttspec},
    }))
    .unwrap()
}

/// To renew the file: `timesten-operator crd > deploy/crd/timestenclassics.yaml`.
#[test]
fn the_committed_definition_is_ours() {
    let text = include_str!("../../deploy/crd/timestenclassics.yaml");
    let committed: Value = serde_saphyr::from_str(text).unwrap();
    assert!(committed == serde_json::to_value(crd()).unwrap(), "renew it: timesten-operator crd");
    assert!(text.len() < MOST_BYTES);
}

#[test]
fn one_version_is_stored_and_all_have_one_schema() {
    let versions = crd().spec.versions;
    let names: Vec<&str> = versions.iter().map(|version| version.name.as_str()).collect();
    assert_eq!(names, SERVED);
    assert!(versions.iter().map(|version| version.storage).eq([false, false, true]));
    assert!(versions.iter().all(|version| version.schema == versions[0].schema && version.served));
}

/// A field that is not declared is lost without a word when an object is stored.
#[rstest]
#[case("ttspec", &[
    "additionalMemoryRequest", "agentAsyncTimeout", "agentGetTimeout", "agentPostTimeout",
    "agentTcpTimeout", "agentTlsTimeout", "arch", "automaticMemoryRequests", "bothDownBehavior",
    "cacheCleanup", "clientTLS", "createASReadinessProbe", "customClientTLS", "daemonLogCPURequest",
    "daemonLogMemoryRequest", "daemonLogSidecar", "databaseCPURequest", "databaseMemorySize",
    "dbConfigMap", "dbSecret", "deleteDbOnNotReadyNode", "exporterCPURequest",
    "exporterMemoryRequest", "image", "imagePullPolicy", "imagePullSecret", "imageUpgradeStrategy",
    "logStorageClassName", "logStorageSelector", "logStorageSize", "memoryWarningPercent",
    "pollingInterval", "prometheus", "readOnlyRootFilesystem", "reexamine", "repCreateStatement",
    "repPort", "repReturnServiceAttribute", "repStateTimeout", "repStoreAttribute", "replicas",
    "replicationCipherSuite", "replicationSSLMandatory", "replicationTopology",
    "resetUpgradeState", "rollingUpdatePartition", "stopManaging", "storageClassName",
    "storageSelector", "storageSize", "subscribers", "terminationGracePeriod",
    "unreachableTimeout", "updateStrategy", "upgradeDownPodTimeout", "useHugePages",
    "zzAgentDebugInfo", "zzTestInfo",
])]
#[case("ttspec.prometheus", &[
    "certSecret", "createPodMonitors", "insecure", "limitRate", "port", "publish",
])]
#[case("ttspec.subscribers", &["maxReplicas", "name", "replicas", "template"])]
#[case("ttspec.updateStrategy", &["rollingUpdate", "type"])]
#[case("ttspec.clientTLS", &[
    "auto", "ciphersuites", "eccurve", "encryption", "signAlg", "validity",
])]
fn documented_fields_are_declared(#[case] path: &str, #[case] fields: &[&str]) {
    let crd = serde_json::to_value(crd()).unwrap();
    let mut schema = &crd["spec"]["versions"][2]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    for name in path.split('.') {
        schema = &schema["properties"][name];
    }
    let declared = schema["properties"].as_object().unwrap();
    let missing: Vec<_> = fields.iter().filter(|name| !declared.contains_key(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[rstest]
#[case("minimal", MINIMAL)]
#[case("copies", COPIES)]
#[case("orders", ORDERS)]
#[case("initdemo", INITDEMO)]
fn samples(#[case] name: &str, #[case] text: &str) {
    let built = built(&sample(text));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/objects");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        let all = json!({
            "1 secret": built.secret,
            "2 headless service": built.headless_service,
            "3 active service": built.active_service,
            "4 stateful set": built.stateful_set,
            "5 disruption budget": built.disruption_budget,
        });
        insta::assert_yaml_snapshot!(name, all);
    });
}

#[rstest]
#[case::image(json!({"image": " "}), "ttspec.image")]
#[case::no_image(json!({"image": null}), "ttspec.image")]
#[case::topology(json!({"replicationTopology": "ring"}), "ttspec.replicationTopology")]
#[case::replicas(json!({"replicationTopology": "none", "replicas": 0}), "ttspec.replicas")]
#[case::port(json!({"repPort": 80}), "ttspec.repPort")]
#[case::port_of_the_agent(json!({"repPort": 8443}), "ttspec.repPort")]
#[case::exporter_port(json!({"prometheus": {"port": 4444}}), "ttspec.prometheus.port")]
#[case::arch(json!({"arch": "s390x"}), "ttspec.arch")]
#[case::size(json!({"storageSize": "big"}), "ttspec.storageSize")]
#[case::log_size(json!({"logStorageSize": "-1Gi"}), "ttspec.logStorageSize")]
#[case::selector(json!({"storageSelector": {"matchLabels": 1}}), "ttspec.storageSelector")]
#[case::memory(json!({"databaseMemorySize": "1 Gi"}), "ttspec.databaseMemorySize")]
#[case::more(json!({"additionalMemoryRequest": ""}), "ttspec.additionalMemoryRequest")]
#[case::cpu(json!({"databaseCPURequest": "two"}), "ttspec.databaseCPURequest")]
#[case::log_cpu(json!({"daemonLogCPURequest": "1Gi"}), "ttspec.daemonLogCPURequest")]
#[case::fencing(json!({"fencingPolicy": "Never"}), "ttspec.fencingPolicy")]
#[case::upgrades(
    json!({"replicationTopology": "none", "imageUpgradeStrategy": "Later"}),
    "ttspec.imageUpgradeStrategy"
)]
#[case::partition(
    json!({"replicationTopology": "none", "rollingUpdatePartition": -1}),
    "ttspec.rollingUpdatePartition"
)]
#[case::both_down(json!({"bothDownBehavior": "best"}), "ttspec.bothDownBehavior")]
fn mistakes_name_their_field(#[case] changes: Value, #[case] field: &str) {
    let problem = Desired::of(&object(&changes)).unwrap_err();
    assert_eq!(problem.field, field);
    assert!(!problem.cure.is_empty());
}

#[test]
fn a_spec_without_anything_is_read_and_refused() {
    let mut object = object(&json!({}));
    object.spec = serde_json::from_value(json!({})).unwrap();
    assert_eq!(Desired::of(&object).unwrap_err().field, "ttspec.image");
}

#[rstest]
#[case("0sample")]
#[case("a.b")]
#[case("A")]
#[case("ends-")]
#[case("a123456789a123456789a123456789a123456789a123456789x")]
fn names_that_services_cannot_have(#[case] name: &str) {
    let mut object = object(&json!({}));
    object.metadata.name = Some(name.into());
    assert_eq!(Desired::of(&object).unwrap_err().field, "metadata.name");
}

#[test]
fn the_scheme_of_a_pair_with_subscribers() {
    let object = object(&json!({
        "repReturnServiceAttribute": "RETURN RECEIPT",
        "subscribers": {"replicas": 1, "maxReplicas": 1},
    }));
    assert_eq!(
        Desired::of(&object).unwrap().rep_create_statement(),
        "create active standby pair \"my\" on \"my-db-0.my-db.db.svc.cluster.local\", \
         \"my\" on \"my-db-1.my-db.db.svc.cluster.local\" RETURN RECEIPT \
         subscriber \"my\" on \"my-db-sub-0.my-db.db.svc.cluster.local\" \
         store \"my\" on \"my-db-0.my-db.db.svc.cluster.local\" PORT 4444 FAILTHRESHOLD 0 \
         store \"my\" on \"my-db-1.my-db.db.svc.cluster.local\" PORT 4444 FAILTHRESHOLD 0 \
         store \"my\" on \"my-db-sub-0.my-db.db.svc.cluster.local\" PORT 4444"
    );
}

#[test]
fn tokens_of_a_users_scheme_are_substituted() {
    let statement = "{{tt-name}} {{tt-node-1}} {{tt-rep-port}} {{tt-agent-user}}";
    let object = object(&json!({"repCreateStatement": statement, "repPort": 5555}));
    assert_eq!(
        Desired::of(&object).unwrap().rep_create_statement(),
        "my my-db-1.my-db.db.svc.cluster.local 5555 ttagent"
    );
}

#[test]
fn zero_seconds_is_no_limit_but_the_default_of_a_cadence() {
    let object =
        object(&json!({"agentGetTimeout": 0, "agentPostTimeout": 7, "pollingInterval": 0}));
    let timeouts = Desired::of(&object).unwrap().timeouts;
    assert_eq!(timeouts.get, None);
    assert_eq!(timeouts.task.unwrap().as_secs(), 7);
    assert_eq!(timeouts.polling.as_secs(), 5);
}

#[test]
fn everything_is_made_in_order_and_then_left_alone() {
    let wanted = built(&sample(MINIMAL));
    let uid = "tt0b5a6f2e-0000-4000-8000-000000000001";
    assert_eq!(
        keys(&drift(&wanted, &Live::default())),
        [
            &format!("Secret {uid}"),
            "Service sample",
            "Service sample-active",
            "PodDisruptionBudget sample",
            "StatefulSet sample",
        ]
    );
    assert!(drift(&wanted, &live(&wanted)).is_empty());
}

/// Else the operator and whoever else has a say would write forever.
#[test]
fn what_others_add_is_no_drift() {
    let wanted = built(&sample(MINIMAL));
    let mut live = live(&wanted);
    let service = Arc::make_mut(live.headless_service.as_mut().unwrap());
    service.metadata.labels.as_mut().unwrap().insert("theirs".into(), "1".into());
    let spec = service.spec.as_mut().unwrap();
    spec.session_affinity = Some("None".into());
    spec.ports.as_mut().unwrap().insert(0, ServicePort { port: 1, ..ServicePort::default() });
    let set = Arc::make_mut(live.stateful_set.as_mut().unwrap());
    let pod = set.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
    pod.dns_policy = Some("ClusterFirst".into());
    pod.containers.insert(0, Container { name: "theirs".into(), ..Container::default() });
    assert!(drift(&wanted, &live).is_empty());
}

#[test]
fn what_others_change_of_ours_is_restored() {
    let wanted = built(&sample(MINIMAL));
    let mut live = live(&wanted);
    let spec = Arc::make_mut(live.active_service.as_mut().unwrap()).spec.as_mut().unwrap();
    spec.selector.as_mut().unwrap().insert("timesten.oracle.com/role".into(), "standby".into());
    Arc::make_mut(live.stateful_set.as_mut().unwrap()).spec.as_mut().unwrap().replicas = Some(1);
    let writes = drift(&wanted, &live);
    assert_eq!(keys(&writes), ["Service sample-active", "StatefulSet sample"]);
    assert_eq!(writes[1].object().data["spec"]["replicas"], 2);
}

#[test]
fn what_belongs_to_another_is_not_written() {
    let wanted = built(&sample(MINIMAL));
    let mut live = live(&wanted);
    let service = Arc::make_mut(live.active_service.as_mut().unwrap());
    service.metadata.owner_references.as_mut().unwrap()[0].uid = "another".into();
    assert!(drift(&wanted, &live).is_empty());
    assert_eq!(taken(&wanted, &live), None, "that of a namesake is about to go");
    let service = Arc::make_mut(live.active_service.as_mut().unwrap());
    service.metadata.owner_references.as_mut().unwrap()[0].kind = "Shop".into();
    assert!(drift(&wanted, &live).is_empty());
    let told = taken(&wanted, &live).unwrap();
    assert!(told.starts_with("Service sample-active is not of this object"), "{told}");
}

/// An edit of the spec, and what it makes of the StatefulSet that exists.
fn edited(change: impl Fn(&mut TimesTenClassic)) -> (Wanted, Live, Option<Value>) {
    let mut object = sample(MINIMAL);
    let live = live(&built(&object));
    change(&mut object);
    let wanted = built(&object);
    let writes = drift(&wanted, &live);
    let set = writes.iter().find(|write| write.resource().kind == "StatefulSet");
    let set = set.map(|write| serde_json::to_value(write.object()).unwrap());
    (wanted, live, set)
}

#[test]
fn an_edited_template_is_written_as_a_whole_but_for_the_image() {
    let grace = |object: &mut TimesTenClassic| {
        object.spec.ttspec.termination_grace_period = Some(60);
        object.spec.ttspec.image = Some("timesten:2".into());
    };
    let (_, live, set) = edited(grace);
    let set = set.unwrap();
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 60);
    let before = serde_json::to_value(live.stateful_set.as_deref().unwrap()).unwrap();
    let image = &before["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(&pod["containers"][0]["image"], image, "it belongs to upgrades");
    assert_eq!(&pod["initContainers"][0]["image"], image);
}

#[rstest]
#[case(json!({}), json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}))]
#[case(
    json!({"rollingUpdatePartition": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}),
    json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
)]
#[case(
    json!({"updateStrategy": {"rollingUpdate": {"partition": 1}}}),
    json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})
)]
#[case(json!({"updateStrategy": {"type": "OnDelete"}}), json!({"type": "OnDelete"}))]
#[case(
    json!({"imageUpgradeStrategy": "Manual", "rollingUpdatePartition": 2}),
    json!({"type": "OnDelete"})
)]
fn who_replaces_pods_without_replication(#[case] mut changes: Value, #[case] strategy: Value) {
    changes["replicationTopology"] = json!("none");
    let before = built(&object(&changes));
    changes["image"] = json!("timesten:2");
    let writes = drift(&built(&object(&changes)), &live(&before));
    let spec = &writes[0].object().data["spec"];
    assert_eq!(spec["updateStrategy"], strategy);
    assert_eq!(spec["template"]["spec"]["containers"][0]["image"], "timesten:2");
}

#[test]
fn what_an_edit_takes_away_is_taken_away() {
    let mut object = sample(MINIMAL);
    object.spec.template = Some(json!({"spec": {"priorityClassName": "high"}}));
    let live = live(&built(&object));
    object.spec.template = None;
    let writes = drift(&built(&object), &live);
    assert_eq!(keys(&writes), ["StatefulSet sample"]);
    let pod = &writes[0].object().data["spec"]["template"]["spec"];
    assert_eq!(pod.get("priorityClassName"), None);
}

/// Else pods would mount what they have not.
#[test]
fn volumes_are_not_added_to_pods_that_exist() {
    let (wanted, live, set) =
        edited(|object| object.spec.ttspec.log_storage_size = Some("1Gi".into()));
    let before = serde_json::to_value(live.stateful_set.as_deref().unwrap()).unwrap();
    assert_eq!(set.unwrap()["spec"], before["spec"]);
    let desired = Desired::of(&sample(MINIMAL)).unwrap();
    let told = unapplied(&desired, &wanted, &live, &[], None);
    assert!(told[0].to_string().starts_with("spec.ttspec.logStorageSize:"), "{told:?}");
}

#[test]
fn a_users_pod_keeps_what_it_says() {
    let mut object = object(&json!({"databaseCPURequest": "2"}));
    object.metadata.labels = Some([("app".to_owned(), "theirs".to_owned())].into());
    object.spec.template = Some(json!({"spec": {
        "securityContext": {"fsGroup": 7},
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]}}},
        "containers": [
            {"name": "tt", "resources": {"limits": {"cpu": "1"}}},
            {"name": "daemonlog", "resources": {"limits": {"memory": "50Mi"}}},
            {"name": "mine", "image": "mine:1"},
        ],
    }}));
    let template = built(&object).stateful_set.spec.unwrap().template;
    assert_eq!(template.metadata.unwrap().labels.unwrap()["app"], "my-db");
    let pod = serde_json::to_value(template.spec.unwrap()).unwrap();
    assert_eq!(pod["securityContext"]["fsGroup"], 7);
    let node = &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let keys = &node["nodeSelectorTerms"][0]["matchExpressions"];
    assert_eq!((&keys[0]["key"], &keys[1]["key"]), (&json!("zone"), &json!("kubernetes.io/arch")));
    let names: Vec<&Value> =
        pod["containers"].as_array().unwrap().iter().map(|container| &container["name"]).collect();
    assert_eq!(names, ["mine", "tt", "daemonlog"]);
    let tt = &pod["containers"][1];
    assert_eq!(tt["readinessProbe"]["exec"]["command"], json!(["cat", "/tmp/active"]));
    assert_eq!(tt["resources"]["limits"]["cpu"], "1");
    assert_eq!(tt["resources"]["requests"].get("cpu"), None, "2 would be more than the limit");
    assert_eq!(pod["containers"][2]["resources"]["requests"]["memory"], "50Mi");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[0-9]{1,20}[.]?[0-9]{0,12}(Ki|Mi|Pi|m|E|)".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("spec|containers|name|[a-z]{1,4}", inner, 0..3)
                .prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    /// Whatever can be stored is believed or refused.
    #[test]
    fn no_spec_brings_the_operator_down(
        field in prop::sample::select(vec![
            "image", "storageSize", "databaseMemorySize", "repPort", "replicas", "subscribers",
            "prometheus", "pollingInterval", "agentPostTimeout", "storageSelector",
            "databaseCPURequest", "replicationTopology", "additionalMemoryRequest", "useHugePages",
        ]),
        value in json_value(),
        template in json_value(),
        name in "\\PC{0,60}",
    ) {
        let mut spec = json!({"ttspec": {"image": "timesten:1"}, "template": template});
        spec["ttspec"][field] = value;
        let object = json!({
            "apiVersion": "timesten.oracle.com/v5", "kind": "TimesTenClassic",
            "metadata": {"name": name}, "spec": spec,
        });
        if let Ok(object) = serde_json::from_value::<TimesTenClassic>(object)
            && let Ok(desired) = Desired::of(&object)
        {
            let wanted = wanted(&desired, &Parts::default());
            prop_assert!(drift(&wanted, &live(&wanted)).is_empty());
        }
    }
}
