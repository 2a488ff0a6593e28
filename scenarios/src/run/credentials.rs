//! What befalls the Secret that the agents' credentials are in.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use timesten_operator::credentials::{self, Credentials};

use super::steps::{Player, Result};
use crate::case::Step;
use crate::timeline::Who;
use crate::world::OBJECT;

/// Before every world begins, so that what a user brings is valid.
const LONG_AGO: &str = "2024-01-01T00:00:00Z";

impl Player<'_> {
    /// Plays a step that is about them.
    pub(super) async fn credentials(&mut self, law: &str, step: &Step) -> Result {
        let api: Api<Secret> = Api::default_namespaced(self.world.client());
        match step {
            Step::RestoreCredentials(_) => self.restore(law, &api).await,
            Step::DeleteCredentials(_) => {
                let secret = self.secret(law, &api).await?;
                self.world.record.say(Who::User, "delete the Secret of the agents");
                let deleted = api.delete(&secret.name_any(), &DeleteParams::default()).await;
                self.credentials = Some(secret);
                self.done("delete the Secret", deleted).map(drop)
            }
            Step::EditCredentials(entries) => {
                let edit = |text: &String| ByteString(text.clone().into_bytes());
                let entries = entries.iter();
                let edited = entries.map(|(k, text)| (k.clone(), text.as_ref().map(edit)));
                self.edit(law, &api, edited.collect()).await
            }
            Step::ReplaceCertificate(_) => {
                let made = self.done("read a time", LONG_AGO.parse())?;
                let namespace = self.world.api.namespace();
                let made = Credentials::generate(OBJECT, namespace, made, &mut |b| b.fill(77));
                let mut data = self.done("make a certificate", made)?.to_secret_data();
                // Databases know this user.
                data.retain(|key, _| {
                    ![credentials::AGENT_USER, credentials::AGENT_PASSWORD].contains(&key.as_str())
                });
                let data = data.into_iter().map(|(key, value)| (key, Some(ByteString(value))));
                self.edit(law, &api, data.collect()).await
            }
            other => Err(self.wrong(law, &format!("{other:?} is about no Secret"), vec![])),
        }
    }

    /// The Secret. It is named `tt` and the object's UID.
    async fn secret(&self, law: &str, api: &Api<Secret>) -> Result<Secret> {
        let secrets = self.done("list Secrets", api.list(&ListParams::default()).await)?;
        let ours = |secret: &Secret| {
            secret.name_any().strip_prefix("tt").is_some_and(|uid| uid.len() == 36)
        };
        let found = secrets.items.into_iter().find(ours);
        found.ok_or_else(|| self.wrong(law, "there is none", vec![]))
    }

    async fn edit(
        &mut self,
        law: &str,
        api: &Api<Secret>,
        entries: BTreeMap<String, Option<ByteString>>,
    ) -> Result {
        let secret = self.secret(law, api).await?;
        let name = secret.name_any();
        self.credentials.get_or_insert(secret);
        let keys: Vec<&str> = entries.keys().map(String::as_str).collect();
        self.world
            .record
            .say(Who::User, format!("edit the Secret of the agents: {}", keys.join(", ")));
        let patch = Patch::Merge(json!({"data": entries}));
        let edited = api.patch(&name, &PatchParams::default(), &patch).await;
        self.done("edit the Secret", edited).map(drop)
    }

    async fn restore(&mut self, law: &str, api: &Api<Secret>) -> Result {
        self.world.record.say(Who::User, "restore the Secret of the agents");
        let Some(mut secret) = self.credentials.take() else {
            return Err(self.wrong(law, "nothing has befallen it", vec![]));
        };
        secret.metadata = ObjectMeta {
            name: secret.metadata.name,
            labels: secret.metadata.labels,
            owner_references: secret.metadata.owner_references,
            ..ObjectMeta::default()
        };
        let restored = match self.done("read the Secret", api.get_opt(&secret.name_any()).await)? {
            Some(_) => api.replace(&secret.name_any(), &PostParams::default(), &secret).await,
            None => api.create(&PostParams::default(), &secret).await,
        };
        self.done("restore the Secret", restored).map(drop)
    }
}
