use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fake_apiserver::controllers;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::{Guarded, get, send, until};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// A world that signs.
fn world() -> Guarded {
    let world = Guarded::new();
    let authority = world.server.authority().unwrap();
    tokio::spawn(controllers::certificates(
        world.server.client(),
        Arc::clone(&world.clock),
        authority,
    ));
    world
}

fn request(name: &str, organization: &str, spec: &Value) -> (KeyPair, Value) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, organization);
    let key = KeyPair::generate().unwrap();
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    let mut body = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {"request": STANDARD.encode(pem), "signerName": SIGNER, "usages": ["client auth"]},
    });
    for (field, value) in spec.as_object().unwrap() {
        body["spec"][field] = value.clone();
    }
    (key, body)
}

async fn decide(world: &Guarded, name: &str, kind: &str) -> (u16, Value) {
    let place = format!("{REQUESTS}/{name}");
    let (_, mut object) = get(&world.master, &place).await;
    object["status"]["conditions"] = json!([{"type": kind, "status": "True", "reason": "Test"}]);
    send(&world.master, "PUT", &format!("{place}/approval"), "application/json", &object).await
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

#[tokio::test(start_paused = true)]
async fn an_approved_request_is_signed_and_a_change_of_its_spec_is_dropped() {
    let world = world();
    let (_, body) = request("ann", "dbas", &json!({"username": "root"}));
    let made = world.create(REQUESTS, body).await;
    assert_eq!(made["spec"]["username"], "system:admin");
    assert_eq!(made["spec"]["groups"], json!(["system:masters", "system:authenticated"]));
    let place = format!("{REQUESTS}/ann");
    let patch = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"usages": ["server auth"]}});
    let (code, patched) =
        send(&world.master, "PATCH", &place, "application/merge-patch+json", &patch).await;
    assert_eq!((code, &patched["spec"]), (200, &made["spec"]));
    assert_eq!(patched["metadata"]["labels"]["a"], "b");
    let (code, approved) = decide(&world, "ann", "Approved").await;
    assert_eq!(code, 200, "{approved}");
    assert_eq!(condition(&approved, "Approved").unwrap()["lastUpdateTime"], "2026-01-01T00:00:00Z");
    let signed = until(&world.master, &place, |o| o["status"]["certificate"].is_string()).await;
    let pem = STANDARD.decode(signed["status"]["certificate"].as_str().unwrap()).unwrap();
    assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
    let (code, status) = decide(&world, "ann", "Denied").await;
    assert_eq!(code, 422);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("updates may not remove a condition of type \"Approved\""),
        "{status}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_approved_or_not_fit_for_its_signer_is_not_signed() {
    let world = world();
    let requests = [
        ("denied", "Denied", json!({})),
        ("unfit", "Approved", json!({"usages": ["server auth"]})),
        ("others", "Approved", json!({"signerName": "example.com/mine"})),
    ];
    for (name, decision, spec) in requests {
        let (_, body) = request(name, "dbas", &spec);
        world.create(REQUESTS, body).await;
        assert_eq!(decide(&world, name, decision).await.0, 200);
    }
    let failed =
        until(&world.master, &format!("{REQUESTS}/unfit"), |o| condition(o, "Failed").is_some())
            .await;
    let why = &condition(&failed, "Failed").unwrap()["message"];
    assert_eq!(why, "invalid usage for client certificate: server auth");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    for name in ["denied", "others"] {
        let (_, object) = get(&world.master, &format!("{REQUESTS}/{name}")).await;
        assert!(
            object["status"]["certificate"].is_null() && condition(&object, "Failed").is_none(),
            "{object}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_not_approve_for_a_signer_cannot() {
    let world = world();
    let (_, body) = request("bob", "dbas", &json!({}));
    world.create(REQUESTS, body).await;
    let rules = json!([{"apiGroups": ["certificates.k8s.io"], "verbs": ["update", "get"],
        "resources": ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"]}]);
    let group = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "writer"}, "rules": rules});
    world.create(&format!("/apis/{group}/v1/clusterroles"), role).await;
    let bind = |name: &str, role: &str| {
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "apiGroup": group, "name": "cat"}],
        })
    };
    let bindings = format!("/apis/{group}/v1/clusterrolebindings");
    world.create(&bindings, bind("one", "writer")).await;
    let (cat, place) = (world.user("cat"), format!("{REQUESTS}/bob"));
    let (_, mut object) = get(&cat, &place).await;
    object["status"]["conditions"] = json!([{"type": "Approved", "status": "True"}]);
    let (code, status) =
        send(&cat, "PUT", &format!("{place}/status"), "application/json", &object).await;
    assert_eq!(code, 403, "{status}");
    let (code, status) =
        send(&cat, "PUT", &format!("{place}/approval"), "application/json", &object).await;
    let text = "certificatesigningrequests.certificates.k8s.io \"bob\" is forbidden: user not permitted to approve \
                requests with signerName \"kubernetes.io/kube-apiserver-client\"";
    assert_eq!((code, status["message"].as_str()), (403, Some(text)));
    world
        .create(&bindings, bind("two", "system:certificates.k8s.io:kube-apiserver-client-approver"))
        .await;
    assert_eq!(
        send(&cat, "PUT", &format!("{place}/approval"), "application/json", &object).await.0,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn faulty_requests_are_refused() {
    let world = world();
    let cases = [
        (json!({"request": STANDARD.encode("no")}), "PEM block type must be CERTIFICATE REQUEST"),
        (json!({"usages": []}), "usages must be provided"),
        (json!({"usages": ["spying"]}), "Unsupported value: \"spying\""),
        (json!({"signerName": "mine"}), "must be a fully qualified domain and path"),
        (json!({"expirationSeconds": 5}), "may not specify a duration less than 600 seconds"),
    ];
    for (spec, text) in cases {
        let (_, body) = request("bad", "dbas", &spec);
        let (code, status) = world.post(&world.master, REQUESTS, &body).await;
        assert_eq!(code, 422, "{status}");
        assert!(status["message"].as_str().unwrap().contains(text), "{status}");
    }
    let (_, body) = request("evil", "system:masters", &json!({}));
    let (code, status) = world.post(&world.master, REQUESTS, &body).await;
    assert_eq!(code, 403, "{status}");
    let (_, body) = request("twice", "dbas", &json!({}));
    world.create(REQUESTS, body).await;
    let place = format!("{REQUESTS}/twice");
    let (_, mut object) = get(&world.master, &place).await;
    object["status"]["conditions"] = json!([
        {"type": "Approved", "status": "True"}, {"type": "Denied", "status": "True"}, {"type": "Failed", "status": "False"},
    ]);
    let (code, status) =
        send(&world.master, "PUT", &format!("{place}/approval"), "application/json", &object).await;
    let text = status["message"].as_str().unwrap();
    assert_eq!(code, 422);
    assert!(
        text.contains("mutually exclusive") && text.contains("supported values: \"True\""),
        "{text}"
    );
}

/// In real time, over TLS: the certificate that was signed opens the server that signed it.
#[tokio::test]
async fn a_signed_certificate_tells_who_its_owner_is() {
    // The clock of TLS is that of the machine.
    #[allow(clippy::disallowed_methods, reason = "certificates are checked in real time")]
    let clock: fake_apiserver::Clock = Arc::new(jiff::Timestamp::now);
    let server = fake_apiserver::ApiServer::new(fake_apiserver::Options {
        clock: Arc::clone(&clock),
        seed: 4,
    });
    server.require_token("master");
    let authority = server.authority().unwrap();
    tokio::spawn(controllers::certificates(server.client(), Arc::clone(&clock), authority.clone()));
    let world = Guarded { master: crate::with_token(&server, "master"), server, clock };
    let (key, body) =
        request("dora", "dbas", &json!({"usages": ["client auth", "digital signature"]}));
    world.create(REQUESTS, body).await;
    decide(&world, "dora", "Approved").await;
    let signed = until(&world.master, &format!("{REQUESTS}/dora"), |o| {
        o["status"]["certificate"].is_string()
    })
    .await;
    let pem = STANDARD.decode(signed["status"]["certificate"].as_str().unwrap()).unwrap();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = world.server.tls(&["127.0.0.1"]).unwrap();
    let serving = world.server.clone();
    tokio::spawn(async move { serving.serve_tls(listener, &tls).await });
    let mut config = kube::Config::new(format!("https://{address}").parse().unwrap());
    config.root_cert =
        Some(vec![CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap().to_vec()]);
    assert!(PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).is_ok());
    config.auth_info.client_certificate_data = Some(STANDARD.encode(&pem));
    config.auth_info.client_key_data = Some(STANDARD.encode(key.serialize_pem()).into());
    let client = kube::Client::try_from(config).unwrap();
    let who = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let (code, me) =
        world.post(&client, "/apis/authentication.k8s.io/v1/selfsubjectreviews", &who).await;
    assert_eq!(code, 201, "{me}");
    let info = &me["status"]["userInfo"];
    assert_eq!(
        (&info["username"], &info["groups"]),
        (&json!("dora"), &json!(["dbas", "system:authenticated"]))
    );
}
