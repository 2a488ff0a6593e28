//! Certificates: signs the approved requests for the signers of Kubernetes, as `kube-controller-manager` does when it
//! is given a key to sign with.

use std::collections::BTreeMap;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::PostParams;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{RETRY, overtaken};
use crate::Clock;
use crate::authority::{Authority, Subject};
use crate::named::named;

/// How long a certificate holds that does not say, and how far back it begins.
const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// Signs what is approved; never ends.
pub async fn certificates(client: Client, clock: Clock, authority: Authority) {
    let client = named(client, "kube-controller-manager");
    let api = Api::<CertificateSigningRequest>::all(client);
    let mut stream = Box::pin(watcher(api.clone(), watcher::Config::default()));
    let mut waiting: BTreeMap<String, CertificateSigningRequest> = BTreeMap::new();
    loop {
        let retry = async {
            match waiting.is_empty() {
                true => std::future::pending().await,
                false => tokio::time::sleep(RETRY).await,
            }
        };
        let event = tokio::select! {
            biased;
            event = stream.next() => event,
            () = retry => None,
        };
        match event {
            Some(Ok(Event::InitApply(request) | Event::Apply(request))) => {
                waiting.insert(request.name_any(), request);
            }
            Some(Ok(Event::Delete(request))) => drop(waiting.remove(&request.name_any())),
            Some(Ok(Event::Init | Event::InitDone)) | None => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "certificate signing requests cannot be watched");
                tokio::time::sleep(RETRY).await;
            }
        }
        for (name, request) in std::mem::take(&mut waiting) {
            if let Err(error) = handle(&api, &authority, &request, (clock)()).await {
                tracing::warn!(%error, name, "a certificate cannot be issued yet");
                waiting.insert(name, request);
            }
        }
    }
}

/// Signs one request if it is approved and there is no certificate yet.
async fn handle(
    api: &Api<CertificateSigningRequest>,
    authority: &Authority,
    request: &CertificateSigningRequest,
    now: Timestamp,
) -> kube::Result<()> {
    let status = request.status.clone().unwrap_or_default();
    let is = |kind: &str| status.conditions.iter().flatten().any(|c| c.type_ == kind);
    let done = status.certificate.is_some() || is("Denied") || is("Failed");
    let Some(signer) = Signer::of(&request.spec.signer_name).filter(|_| is("Approved") && !done)
    else {
        return Ok(());
    };
    let mut next = request.clone();
    let status = next.status.get_or_insert_default();
    match issue(authority, signer, request, now) {
        Ok(certificate) => status.certificate = Some(ByteString(certificate.into_bytes())),
        Err(why) => {
            let failed = serde_json::from_value(json!({
                "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why,
                "lastUpdateTime": now,
            }));
            status
                .conditions
                .get_or_insert_default()
                .push(failed.map_err(kube::Error::SerdeError)?);
        }
    }
    overtaken(api.replace_status(&request.name_any(), &PostParams::default(), &next).await)?;
    Ok(())
}

/// The certificate, or why the signer refuses.
fn issue(
    authority: &Authority,
    signer: Signer,
    request: &CertificateSigningRequest,
    now: Timestamp,
) -> Result<String, String> {
    let text = &request.spec.request.0;
    let subject = Subject::of_request(text)?;
    let usages = request.spec.usages.clone().unwrap_or_default();
    signer.check(&subject, &usages)?;
    let asked = request.spec.expiration_seconds;
    let lasts = asked.map_or(YEAR, |s| SignedDuration::from_secs(s.into()).min(YEAR));
    let pem = String::from_utf8_lossy(text);
    authority.sign(&pem, &usages, now - BACKDATED, now + lasts).map_err(|error| error.to_string())
}

/// A signer of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signer {
    Client,
    KubeletClient,
    KubeletServing,
}

impl Signer {
    fn of(name: &str) -> Option<Self> {
        match name {
            "kubernetes.io/kube-apiserver-client" => Some(Self::Client),
            "kubernetes.io/kube-apiserver-client-kubelet" => Some(Self::KubeletClient),
            "kubernetes.io/kubelet-serving" => Some(Self::KubeletServing),
            _ => None,
        }
    }

    fn check(self, subject: &Subject, usages: &[String]) -> Result<(), String> {
        // A subject is kept as a map of its parts: a second organization would be lost without a word.
        if subject.organizations.len() > 1 {
            return Err("the fake cluster signs for one organization only".to_owned());
        }
        let (needed, what) = match self {
            Self::KubeletServing => ("server auth", "serving"),
            Self::Client | Self::KubeletClient => ("client auth", "client"),
        };
        let optional = ["digital signature", "key encipherment"];
        if let Some(other) = usages.iter().find(|u| *u != needed && !optional.contains(&u.as_str()))
        {
            return Err(format!("invalid usage for {what} certificate: {other}"));
        }
        if !usages.iter().any(|usage| usage == needed) {
            return Err(format!("missing required usage for {what} certificate: {needed}"));
        }
        if self == Self::Client {
            return Ok(());
        }
        if subject.organizations != ["system:nodes"] {
            return Err("subject organization is not system:nodes".to_owned());
        }
        if !subject.common_name.starts_with("system:node:") {
            return Err("subject common name does not begin with system:node: ".to_owned());
        }
        Ok(())
    }
}
