//! Definitions of custom kinds: what they must say, and what follows for their objects.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use fake_apiserver::{ApiServer, Options};
use http::Request;
use kube::Client;
use kube::client::Body;
use rstest::rstest;
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS: &str = "/apis/x.example.com/v1/namespaces/default/things";

struct Answer {
    code: u16,
    warnings: Vec<String>,
    body: Value,
}

impl Answer {
    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

async fn ask(client: &Client, method: &str, path: &str, media: &str, body: &Value) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", media);
    let request = request.body(Body::from(body.to_string().into_bytes())).unwrap();
    let answer = client.send(request).await.unwrap();
    let warnings = answer.headers().get_all("warning").iter();
    let warnings = warnings.map(|warning| warning.to_str().unwrap().to_owned()).collect();
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect_bytes().await.unwrap();
    Answer { code, warnings, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}

async fn post(client: &Client, path: &str, body: &Value) -> Answer {
    ask(client, "POST", path, "application/json", body).await
}

async fn merge(client: &Client, path: &str, body: &Value) -> Answer {
    ask(client, "PATCH", path, "application/merge-patch+json", body).await
}

async fn get(client: &Client, path: &str) -> Answer {
    ask(client, "GET", path, "application/json", &Value::Null).await
}

fn client() -> Client {
    ApiServer::new(Options::at("2026-01-01T00:00:00Z".parse().unwrap(), 7)).client()
}

fn version(name: &str, storage: bool, spec: &Value) -> Value {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema}})
}

fn definition(versions: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.x.example.com"},
        "spec": {
            "group": "x.example.com", "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"}, "versions": versions,
        },
    })
}

fn thing(spec: &Value) -> Value {
    json!({"apiVersion": "x.example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec})
}

fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties})
}

#[rstest]
#[case(json!({"properties": {"a": {"type": "string"}}}), ".type: Required value: must not be empty for specified object fields")]
#[case(json!({"type": "array"}), ".items: Required value: must be specified")]
#[case(json!({"type": "array", "items": {}}), ".items.type: Required value: must not be empty for specified array items")]
#[case(json!({"type": "object", "anyOf": [{"properties": {"b": {"minLength": 1}}}]}),
    ".properties[b]: Required value: because it is defined in spec.validation.openAPIV3Schema.properties[spec].anyOf[0].properties[b]")]
#[case(json!({"type": "object", "not": {"type": "object"}}), ".not.type: Forbidden: must be empty to be structural")]
#[case(json!({"type": "banana"}), ".type: Unsupported value: \"banana\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"")]
#[case(json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"}),
    ".items.x-kubernetes-map-type: Required value: must be atomic as item of a list with x-kubernetes-list-type=set")]
#[case(json!({"type": "string", "pattern": "a("}), ".pattern: Invalid value: \"a(\": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): `a(`")]
#[case(json!({"type": "integer", "default": "x"}), ".default: Invalid value: \"string\":  in body must be of type integer: \"string\"")]
#[tokio::test(start_paused = true)]
async fn a_schema_must_be_in_order(#[case] spec: Value, #[case] why: &str) {
    let refused =
        post(&client(), DEFINITIONS, &definition(&json!([version("v1", true, &spec)]))).await;
    assert_eq!(refused.code, 422);
    let wanted = format!("is invalid: spec.validation.openAPIV3Schema.properties[spec]{why}");
    assert!(refused.message().contains(&wanted), "{}", refused.message());
}

#[tokio::test(start_paused = true)]
async fn an_int_or_string_may_name_its_types() {
    let port = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    let made = post(
        &client(),
        DEFINITIONS,
        &definition(&json!([version("v1", true, &object(&json!({"port": port})))])),
    )
    .await;
    assert_eq!(made.code, 201, "{}", made.message());
}

#[tokio::test(start_paused = true)]
async fn an_update_may_keep_what_a_stricter_schema_refuses() {
    let client = client();
    let loose = object(&json!({"a": {"type": "string"}, "n": {"type": "integer"}}));
    post(&client, DEFINITIONS, &definition(&json!([version("v1", true, &loose)]))).await;
    assert_eq!(post(&client, THINGS, &thing(&json!({"a": "long", "n": 1}))).await.code, 201);
    let strict = object(&json!({
        "a": {"type": "string", "maxLength": 3, "x-kubernetes-validations": [{"rule": "self != 'long'", "message": "not long"}]},
        "n": {"type": "integer"}, "later": {"type": "integer", "default": 7},
    }));
    let stricter = json!({"spec": {"versions": [version("v1", true, &strict)]}});
    assert_eq!(
        merge(&client, &format!("{DEFINITIONS}/things.x.example.com"), &stricter).await.code,
        200
    );

    let path = format!("{THINGS}/a");
    let read = get(&client, &path).await;
    assert_eq!(read.body["spec"], json!({"a": "long", "n": 1, "later": 7}));
    let kept = merge(&client, &path, &json!({"spec": {"n": 2}})).await;
    assert_eq!(kept.code, 200, "{}", kept.message());
    assert_eq!(kept.warnings, ["299 - \"spec.a: Invalid value: \\\"long\\\": not long\""]);
    let changed = merge(&client, &path, &json!({"spec": {"a": "longer"}})).await;
    assert_eq!(changed.code, 422);
    assert!(
        changed.message().contains("spec.a: Too long: may not be more than 3 bytes"),
        "{}",
        changed.message()
    );
}

#[tokio::test(start_paused = true)]
async fn objects_are_kept_in_the_storage_version_alone() {
    let client = client();
    let text = json!({"type": "string"});
    let first = object(&json!({"a": text, "b": {"type": "string", "default": "one"}}));
    let second = object(&json!({"a": text, "c": {"type": "string", "default": "two"}}));
    let versions = json!([version("v1", false, &first), version("v2", true, &second)]);
    post(&client, DEFINITIONS, &definition(&versions)).await;
    let made = post(&client, THINGS, &thing(&json!({"a": "x", "b": "y"}))).await;
    assert_eq!(made.body["spec"], json!({"a": "x"}));
    let other = get(&client, "/apis/x.example.com/v2/namespaces/default/things/a").await;
    assert_eq!(other.body["spec"], json!({"a": "x", "c": "two"}));
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_made_of_a_definition_that_goes() {
    let client = client();
    post(&client, DEFINITIONS, &definition(&json!([version("v1", true, &object(&json!({})))])))
        .await;
    let mut held = thing(&json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/held", "held.example.com"]);
    assert_eq!(post(&client, THINGS, &held).await.code, 201);
    let path = format!("{DEFINITIONS}/things.x.example.com");
    ask(&client, "DELETE", &path, "application/json", &json!({})).await;
    let conditions = get(&client, &path).await.body["status"]["conditions"].clone();
    assert!(
        conditions.as_array().unwrap().iter().any(|known| known["type"] == "Terminating"),
        "{conditions}"
    );
    let mut other = thing(&json!({}));
    other["metadata"]["name"] = "b".into();
    let refused = post(&client, THINGS, &other).await;
    assert_eq!(refused.code, 403);
    assert!(refused.message().contains("while custom resource definition is terminating"));
    merge(&client, &format!("{THINGS}/a"), &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(get(&client, &path).await.code, 404);
}

#[rstest]
#[case(json!({"data": {"k": 1}}), ".data.k: expected string, got &value.valueUnstructured{Value:1}")]
#[case(json!({"data": []}), ".data: expected map, got &{[]}")]
#[case(json!({"immutable": "x"}), ".immutable: expected boolean, got &{x}")]
#[case(json!({"dta": {}}), ".dta: field not declared in schema")]
#[case(json!({"metadata": {"finalizers": ["a/b", "a/b"], "name": "m"}}), ".metadata.finalizers: duplicate entries for key [=\"a/b\"]")]
#[tokio::test(start_paused = true)]
async fn an_apply_must_fit_the_schema(#[case] config: Value, #[case] why: &str) {
    let mut whole = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}});
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let path = "/api/v1/namespaces/default/configmaps/m?fieldManager=op";
    let refused = ask(&client(), "PATCH", path, "application/apply-patch+yaml", &whole).await;
    assert_eq!(refused.code, 500);
    assert_eq!(
        refused.message(),
        format!("failed to create typed patch object (/m; /v1, Kind=ConfigMap): {why}")
    );
}

#[tokio::test(start_paused = true)]
async fn kubectl_takes_over_what_it_applied_from_the_client() {
    let client = client();
    let last = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": "1"}});
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let mut made = last.clone();
    made["metadata"]["annotations"] = json!({annotation: last.to_string()});
    let maps = "/api/v1/namespaces/default/configmaps";
    post(&client, &format!("{maps}?fieldManager=kubectl-client-side-apply"), &made).await;
    let mut next = last.clone();
    next["data"]["k"] = "2".into();
    let apply = |manager: &str| format!("{maps}/m?fieldManager={manager}");
    let media = "application/apply-patch+yaml";
    assert_eq!(ask(&client, "PATCH", &apply("other"), media, &next).await.code, 409);
    let taken = ask(&client, "PATCH", &apply("kubectl"), media, &next).await;
    assert_eq!(taken.code, 200, "{}", taken.message());
    let told = taken.body["metadata"]["annotations"][annotation].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(told).unwrap(), next);
}

#[tokio::test(start_paused = true)]
async fn replicas_applied_to_the_scale_are_owned_there() {
    let client = client();
    let labels = json!({"app": "a"});
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"},
        "spec": {"serviceName": "s", "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    });
    let sets = "/apis/apps/v1/namespaces/default/statefulsets";
    let media = "application/apply-patch+yaml";
    ask(&client, "PATCH", &format!("{sets}/s?fieldManager=op"), media, &set).await;
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "s"}, "spec": {"replicas": 3}});
    let scaled =
        ask(&client, "PATCH", &format!("{sets}/s/scale?fieldManager=hpa"), media, &scale).await;
    assert_eq!(
        (scaled.code, &scaled.body["spec"]["replicas"]),
        (200, &json!(3)),
        "{}",
        scaled.message()
    );
    for (replicas, code, why) in [
        (json!(-1), 422, "must be greater than or equal to 0"),
        (json!("two"), 400, "cannot unmarshal string into Go struct field ScaleSpec.spec.replicas"),
    ] {
        let mut wrong = scale.clone();
        wrong["spec"]["replicas"] = replicas;
        let path = format!("{sets}/s/scale?fieldManager=hpa");
        for (method, media) in [("PATCH", media), ("PUT", "application/json")] {
            let refused = ask(&client, method, &path, media, &wrong).await;
            assert_eq!(refused.code, code, "{method}: {}", refused.message());
            assert!(refused.message().contains(why), "{method}: {}", refused.message());
        }
    }
    let mut greedy = set.clone();
    greedy["spec"]["replicas"] = 1.into();
    let refused = ask(&client, "PATCH", &format!("{sets}/s?fieldManager=op"), media, &greedy).await;
    assert_eq!(
        refused.message(),
        "Apply failed with 1 conflict: conflict with \"hpa\" with subresource \"scale\": .spec.replicas"
    );
}
