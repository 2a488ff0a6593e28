//! A visit to an API server that others run, and that has no nodes: the world has a namespace and nodes of its own
//! there, and takes everything away when it ends.
//!
//! Never: touches a server that has nodes of somebody else, for pods would be bound to them.

mod hearing;

use std::collections::BTreeMap;
use std::time::Duration;

use fake_apiserver::Changes;
use fake_apiserver::controllers::Controller;
use http::{Request, Response};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::client::Body;
use kube::runtime::conditions;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config, ResourceExt};
use timesten_operator::clock::Clock;
use timesten_operator::crd::TimesTenClassic;
use tokio::sync::watch;
use tokio::time::timeout;
use tower::Service;

use self::hearing::Hearing;

/// The label of all that is not in the namespace, with the namespace's name.
const LABEL: &str = "ttlab/world";
/// Where nodes keep their leases.
const LEASES: &str = "kube-node-lease";
/// How long the server may take for something that it does by itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why a world cannot be on a server.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// A request failed.
    #[error("{what}: {error}")]
    Request {
        /// What was wanted.
        what: &'static str,
        /// Why it failed.
        error: kube::Error,
    },
    /// Pods would be bound to nodes that are somebody else's.
    #[error(
        "the API server has nodes already ({0}): use one that has none (`ttlab serve --no-kubelet`), or delete those \
         that an earlier run left: kubectl delete nodes -l {LABEL}"
    )]
    Nodes(String),
    /// The namespace does not go.
    #[error("the namespace {0} is not gone {PATIENCE:?} after it was deleted")]
    Remains(String),
    /// The definition was created, and is not served.
    #[error("the API server does not serve TimesTenClassic within {PATIENCE:?} of its definition")]
    Definition,
}

fn failed(what: &'static str) -> impl FnOnce(kube::Error) -> VisitError {
    move |error| VisitError::Request { what, error }
}

/// A visit to a server, in which worlds come and go.
pub struct Visit {
    client: Client,
    controllers: Vec<Controller>,
    interrupted: watch::Receiver<bool>,
    /// The definition of `TimesTenClassic` was not there before.
    defined: bool,
}

impl Visit {
    /// Begins a visit. The controllers are those that the server lacks; worlds end early when `interrupted` is true.
    ///
    /// # Errors
    /// When the server cannot be reached, has nodes, or does not take the definition of `TimesTenClassic`.
    pub async fn begin(
        config: Config,
        controllers: Vec<Controller>,
        interrupted: watch::Receiver<bool>,
    ) -> Result<Self, VisitError> {
        let client = Client::try_from(config).map_err(failed("make a client"))?;
        let nodes: Api<Node> = Api::all(client.clone());
        let nodes = nodes.list(&ListParams::default()).await.map_err(failed("list nodes"))?;
        if !nodes.items.is_empty() {
            let names: Vec<String> = nodes.iter().map(ResourceExt::name_any).collect();
            return Err(VisitError::Nodes(names.join(", ")));
        }
        let defined = define(&client).await?;
        Ok(Self { client, controllers, interrupted, defined })
    }

    /// Makes a namespace for a world.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn settle(&self) -> Result<Foreign, VisitError> {
        let clock = Clock::system();
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = Namespace {
            metadata: ObjectMeta {
                generate_name: Some("ttlab-".into()),
                labels: Some(BTreeMap::from([(LABEL.into(), String::new())])),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let made = namespaces.create(&PostParams::default(), &namespace).await;
        let name = made.map_err(failed("create a namespace"))?.name_any();
        let send = self.client.clone();
        let send = move |request: Request<Body>| {
            let client = send.clone();
            async move { client.send(request).await }
        };
        let client = Client::new(tower::service_fn(send), name.clone());
        Ok(Foreign {
            hearing: Hearing::start(&client, &name, clock),
            client,
            namespace: name,
            controllers: self.controllers.clone(),
            interrupted: self.interrupted.clone(),
        })
    }

    /// Somebody wants the visit to end.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    /// Ends the visit: the definition goes, if it came with us and nobody else has use for it.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn end(self) -> Result<(), VisitError> {
        if !self.defined {
            return Ok(());
        }
        let objects: Api<TimesTenClassic> = Api::all(self.client.clone());
        let used = objects.list(&ListParams::default().limit(1)).await;
        if used.map_err(failed("list TimesTenClassics"))?.items.is_empty() {
            let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
            let name = timesten_operator::crd::crd().name_any();
            gone(definitions.delete(&name, &DeleteParams::default()).await)
                .map_err(failed("delete the definition"))?;
        }
        Ok(())
    }
}

/// Creates the definition; whether it was not there.
async fn define(client: &Client) -> Result<bool, VisitError> {
    let definition = timesten_operator::crd::crd();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let made = match definitions.create(&PostParams::default(), &definition).await {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 409 => false,
        Err(error) => return Err(failed("create the definition of TimesTenClassic")(error)),
    };
    let (name, established) = (definition.name_any(), conditions::is_crd_established());
    let served = await_condition(definitions, &name, established);
    match timeout(PATIENCE, served).await {
        Ok(Ok(_)) => Ok(made),
        Ok(Err(_)) | Err(_) => Err(VisitError::Definition),
    }
}

/// A world's place on a foreign server.
pub struct Foreign {
    client: Client,
    namespace: String,
    controllers: Vec<Controller>,
    hearing: Hearing,
    interrupted: watch::Receiver<bool>,
}

impl Foreign {
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The controllers that the server lacks.
    pub(super) fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    pub(super) fn changes(&self) -> Changes {
        self.hearing.changes()
    }

    pub(super) fn node_name(&self, index: u8) -> String {
        format!("{}-{index}", self.namespace)
    }

    /// The labels of nodes.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(LABEL.to_owned(), self.namespace.clone())])
    }

    pub(super) async fn interrupted(&self) {
        let mut interrupted = self.interrupted.clone();
        if interrupted.wait_for(|interrupted| *interrupted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// An operator's way to the server: what it writes is heard before it knows that it is written.
    pub(super) fn way(
        &self,
    ) -> impl Service<
        Request<Body>,
        Response = Response<Body>,
        Error = kube::Error,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static {
        let (client, hearing) = (self.client.clone(), self.hearing.clone());
        tower::service_fn(move |request: Request<Body>| {
            let (client, hearing) = (client.clone(), hearing.clone());
            async move {
                let about = hearing::about(&request);
                let answer = client.send(request).await?;
                if about && answer.status().is_success() {
                    hearing.overhear(answer).await
                } else {
                    Ok(answer)
                }
            }
        })
    }

    /// Deletes the namespace, and waits until it is gone, with the volumes that were made for it. The world's nodes and
    /// operators have to live meanwhile: pods end, and finalizers are taken away.
    ///
    /// # Errors
    /// When the server refuses it, or takes too long.
    pub async fn vacate(&self) -> Result<(), VisitError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        gone(namespaces.delete(&self.namespace, &DeleteParams::default()).await)
            .map_err(failed("delete the namespace"))?;
        let away = async {
            while let Ok(Some(_)) = namespaces.get_opt(&self.namespace).await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        if timeout(PATIENCE, away).await.is_err() {
            return Err(VisitError::Remains(self.namespace.clone()));
        }
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        let all = volumes.list(&ListParams::default()).await.map_err(failed("list volumes"))?;
        for volume in all {
            let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
            if claim.is_some_and(|claim| claim.namespace.as_deref() == Some(&self.namespace)) {
                gone(volumes.delete(&volume.name_any(), &DeleteParams::default()).await)
                    .map_err(failed("delete a volume"))?;
            }
        }
        Ok(())
    }

    /// Deletes the nodes. The world has to be gone: a kubelet registers its node again.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn forget_nodes(&self) -> Result<(), VisitError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), LEASES);
        let ours = ListParams::default().labels(&format!("{LABEL}={}", self.namespace));
        let found = nodes.list(&ours).await.map_err(failed("list nodes"))?;
        for name in found.iter().map(ResourceExt::name_any) {
            gone(nodes.delete(&name, &DeleteParams::default()).await)
                .map_err(failed("delete a node"))?;
            gone(leases.delete(&name, &DeleteParams::default()).await)
                .map_err(failed("delete a node's lease"))?;
        }
        Ok(())
    }
}

/// What is not there need not be deleted.
fn gone<T>(deleted: kube::Result<T>) -> kube::Result<()> {
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}
