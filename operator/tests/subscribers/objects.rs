//! The objects that are made for subscribers.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};
use timesten_operator::crd::TimesTenClassic;
use timesten_operator::desired::Desired;
use timesten_operator::objects::{Live, Parts, Wanted, drift, wanted};

/// The sample, in which the machine's own architecture is none of the matter.
fn sample() -> TimesTenClassic {
    let text = include_str!("../../../deploy/samples/readers.yaml");
    // Before it is the ConfigMap with its metadata files.
    let (_, text) = text.split_once("---\n").unwrap();
    let mut object: TimesTenClassic = serde_saphyr::from_str(text).unwrap();
    object.metadata.namespace = Some("db".into());
    object.metadata.uid = Some("0b5a6f2e-0000-4000-8000-000000000001".into());
    object.spec.ttspec.arch = Some("amd64".into());
    object
}

#[test]
fn objects_of_the_sample() {
    let built = wanted(&Desired::of(&sample()).unwrap(), &Parts::default());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/objects");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        let all = json!({
            "1 subscribers": built.subscribers,
            "2 disruption budget": built.disruption_budget,
        });
        insta::assert_yaml_snapshot!("readers", all);
    });
}

/// What is wanted no more is scaled to none; the StatefulSet and its volumes stay.
#[test]
fn subscribers_that_are_wanted_no_more_are_scaled_to_none() {
    let mut object = sample();
    let build = |object: &TimesTenClassic| wanted(&Desired::of(object).unwrap(), &Parts::default());
    let mut set = build(&object).subscribers.unwrap();
    set.metadata.resource_version = Some("7".into());
    let live = Live { subscribers: Some(Arc::new(set.clone())), ..Live::default() };
    let written = |wanted: &Wanted| {
        let mut writes = drift(wanted, &live).into_iter().map(|write| write.object().clone());
        writes.rfind(|object| object.metadata.name == set.metadata.name)
    };
    assert_eq!(written(&build(&object)), None, "it is as it should be");
    object.spec.ttspec.subscribers = None;
    let none = written(&build(&object)).unwrap();
    assert_eq!(none.data["spec"]["replicas"], 0);
}

#[rstest]
#[case::more_than_the_scheme_has(json!({"replicas": 3, "maxReplicas": 2}), "replicas")]
#[case::the_pairs_own_name(json!({"replicas": 1, "name": "readers"}), "name")]
#[case::no_name(json!({"replicas": 1, "name": "Readers!"}), "name")]
fn what_makes_no_sense_is_refused(#[case] subscribers: Value, #[case] field: &str) {
    let mut object = sample();
    object.spec.ttspec.subscribers = serde_json::from_value(subscribers).unwrap();
    let problem = Desired::of(&object).unwrap_err();
    assert_eq!(problem.field, format!("ttspec.subscribers.{field}"));
}
