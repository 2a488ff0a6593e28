//! Damage: what befalls databases, volumes and owned objects, by accident or by hand.

use fake_agent::{PeerState, RepState};
use fake_apiserver::kubelet::Kill;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::{EvictParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::checks;
use super::steps::{Player, Result};
use crate::case::{
    BreakImage, Evict, Files, ImageFault, Member, Peer, Reach, Rep, Scale, SetClock, Sidecar, Span,
    Step,
};
use crate::timeline::Who;
use crate::world::{Broken, OBJECT};

impl Player<'_> {
    /// Plays a step that damages something.
    pub(super) async fn damage(&mut self, law: &str, step: &Step) -> Result {
        match step {
            Step::KillSidecar(sidecar) => self.kill_sidecar(law, sidecar).await,
            Step::Evict(evict) => self.evict(law, evict).await,
            Step::Cordon(of) => self.cordon(law, of).await,
            Step::Drain(of) => self.drain(law, of).await,
            Step::OutOfService(of) => self.out_of_service(law, of).await,
            Step::Uncordon(_) => self.uncordon().await,
            Step::Scale(scale) => self.scale(scale).await,
            Step::DeleteCredentials(_)
            | Step::RestoreCredentials(_)
            | Step::EditCredentials(_)
            | Step::ReplaceCertificate(_) => self.credentials(law, step).await,
            Step::WipeStatus(_) => self.wipe_status().await,
            Step::Recreate(_) => self.create_object(OBJECT).await,
            Step::CreateFiles(files) => self.create_files(files).await,
            Step::AllowGrowth(_) => self.allow_growth().await,
            Step::SetClock(set) => self.set_clock(law, set),
            Step::BreakImage(BreakImage { image, on }) => {
                let broken = match on {
                    ImageFault::Pull => Broken::Pull,
                    ImageFault::Crash => Broken::Crash,
                };
                self.say(format!("image {image} is broken: {broken:?}"));
                self.world.containers.break_image(image, broken);
                Ok(())
            }
            Step::MendImages(_) => {
                self.say("all images can be used again".into());
                self.world.containers.mend_images();
                Ok(())
            }
            other => self.database(law, other),
        }
    }

    /// Something happens to a database or its volume.
    fn database(&self, law: &str, step: &Step) -> Result {
        let fleet = &self.world.fleet;
        let done = match step {
            Step::Invalidate(of) => {
                fleet.invalidate(&self.host(&of.of)?, of.held);
                true
            }
            Step::Release(of) => {
                fleet.release(&self.host(of)?);
                true
            }
            Step::WipeDatabase(of) => {
                fleet.wipe_database(&self.host(of)?);
                true
            }
            Step::UnloadDatabase(of) => {
                fleet.unload_database(&self.host(of)?);
                true
            }
            Step::LoseVolume(of) => {
                let host = self.host(of)?;
                let volume = fleet.view(&host).map(|view| view.volume);
                self.say(format!("the volume of {} is lost", self.pod(of)?));
                volume.map(|volume| fleet.lose_volume(&volume)).is_some()
            }
            Step::FailUpgrade(of) => {
                let volume = fleet.view(&self.host(of)?).map(|view| view.volume);
                self.say(format!("the next upgrade of {} fails", self.pod(of)?));
                volume.map(|volume| fleet.fail_upgrade(&volume)).is_some()
            }
            Step::StopCacheAgent(of) => fleet.stop_cache_agent(&self.host(of)?),
            Step::Oracle(reach) => {
                self.say(format!("the Oracle database is {reach:?}"));
                fleet.set_oracle(*reach == Reach::Up);
                true
            }
            Step::DropScheme(of) => fleet.drop_scheme(&self.host(of)?),
            Step::SetPeer(set) => fleet.set_peer(&self.host(&set.of)?, peer(set.to)),
            Step::SetRepState(set) => fleet.set_rep_state(&self.host(&set.of)?, state(set.to)),
            other => return Err(self.wrong(law, &format!("{other:?} is no fault"), vec![])),
        };
        if done { Ok(()) } else { Err(self.wrong(law, "there is nothing of the kind", vec![])) }
    }

    async fn kill_sidecar(&self, law: &str, Sidecar { of, container }: &Sidecar) -> Result {
        let pod = self.pod(&Member::clone(of))?;
        self.say(format!("kill container {container} of {pod}"));
        let node = self.world.node_of(&pod).await;
        if node.is_some_and(|n| {
            n.kill_container(self.world.api.namespace(), &pod, container, Kill::Killed)
        }) {
            return Ok(());
        }
        Err(self.wrong(law, "no such container runs", vec![format!("{container} of {pod}")]))
    }

    async fn evict(&self, law: &str, evict: &Evict) -> Result {
        let pod = self.pod(&evict.of)?;
        self.world.record.say(Who::User, format!("evict pod/{pod}"));
        let api: Api<Pod> = Api::default_namespaced(self.world.client());
        match (api.evict(&pod, &EvictParams::default()).await, evict.refused) {
            (Ok(_), false) => Ok(()),
            (Ok(_), true) => Err(self.wrong(law, "the eviction was allowed", vec![pod])),
            (Err(error), true) => {
                self.world.record.say(Who::User, format!("is refused: {error}"));
                Ok(())
            }
            (Err(error), false) => self.done("evict the pod", Err(error)),
        }
    }

    async fn scale(&self, scale: &Scale) -> Result {
        self.world.record.say(Who::User, format!("scale statefulset/{OBJECT} to {}", scale.to));
        let api: Api<StatefulSet> = Api::default_namespaced(self.world.client());
        let patch = Patch::Merge(json!({"spec": {"replicas": scale.to}}));
        let scaled = api.patch(OBJECT, &PatchParams::default(), &patch).await;
        self.done("scale the StatefulSet", scaled).map(drop)
    }

    async fn wipe_status(&self) -> Result {
        self.world.record.say(Who::User, "the status is emptied");
        let api = checks::objects(self.world.client());
        let object = self.done("read the object", api.get(OBJECT).await)?;
        // A merge patch takes away what it names with null.
        let status = object.data.get("status").and_then(Value::as_object).cloned();
        let nothing: serde_json::Map<_, _> =
            status.unwrap_or_default().into_iter().map(|(key, _)| (key, Value::Null)).collect();
        let patch = Patch::Merge(json!({"status": nothing}));
        let wiped = api.patch_status(OBJECT, &PatchParams::default(), &patch).await;
        self.done("empty the status", wiped).map(drop)
    }

    async fn create_files(&self, files: &Files) -> Result {
        let Files { name, secret, files } = files;
        let metadata = || kube::api::ObjectMeta {
            name: Some(name.clone()),
            ..kube::api::ObjectMeta::default()
        };
        let client = self.world.client();
        if *secret {
            self.world.record.say(Who::User, format!("create secret/{name}"));
            let secret = Secret {
                metadata: metadata(),
                string_data: Some(files.clone()),
                ..Secret::default()
            };
            let api = Api::default_namespaced(client);
            let created = api.create(&PostParams::default(), &secret).await;
            return self.done("create the Secret", created).map(drop);
        }
        self.world.record.say(Who::User, format!("create configmap/{name}"));
        let map =
            ConfigMap { metadata: metadata(), data: Some(files.clone()), ..ConfigMap::default() };
        let api = Api::default_namespaced(client);
        let created = api.create(&PostParams::default(), &map).await;
        self.done("create the ConfigMap", created).map(drop)
    }

    async fn allow_growth(&self) -> Result {
        self.world.record.say(Who::User, "the class of the volumes lets them grow");
        let api: Api<StorageClass> = Api::all(self.world.client());
        let patch = Patch::Merge(json!({"allowVolumeExpansion": true}));
        let allowed = api.patch("fast", &PatchParams::default(), &patch).await;
        self.done("edit the class", allowed).map(drop)
    }

    fn set_clock(&self, law: &str, set: &SetClock) -> Result {
        let seconds = |Span(span): Span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let by = match (set.ahead, set.back) {
            (Some(ahead), None) => seconds(ahead),
            (None, Some(back)) => -seconds(back),
            _ => return Err(self.wrong(law, "write either ahead or back", vec![])),
        };
        self.say(format!("the operator's clock jumps by {by} s"));
        self.world.operators.shift_clock(by);
        Ok(())
    }
}

fn peer(word: Peer) -> PeerState {
    match word {
        Peer::Start => PeerState::Start,
        Peer::Pause => PeerState::Pause,
        Peer::Stop => PeerState::Stop,
        Peer::Failed => PeerState::Failed,
    }
}

fn state(word: Rep) -> RepState {
    match word {
        Rep::Active => RepState::Active,
        Rep::Standby => RepState::Standby,
        Rep::Idle => RepState::Idle,
        Rep::Recovering => RepState::Recovering,
        Rep::Failed => RepState::Failed,
    }
}
