//! TimesTen Classic as a model behind the agent protocol: instances, databases, logs and
//! replication that behave as documented, agents that can be made to misbehave, an application
//! that commits, and the truth for oracles.
//!
//! Everything runs on tokio's clock, which tests can pause; there are no sockets, threads or
//! random numbers in the library. The truth lives in the model; the protocol only renders it.
//! Nothing here knows of Kubernetes or of any operator.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use fake_agent::{ContainerSpec, Fleet, FleetOptions, Outcome};
//!
//! let fleet = Fleet::new(FleetOptions::default());
//! let running = fleet.start(ContainerSpec::new("db-0.db.ns.svc.cluster.local", "tt-db-0"));
//! tokio::time::sleep(std::time::Duration::from_secs(1)).await;
//! let request = http::Request::get("/agent").body(bytes::Bytes::new()).unwrap();
//! assert!(matches!(running.handle(request).await, Outcome::Response(_)));
//! # }
//! ```

mod app;
mod events;
mod fleet;
mod links;
mod logs;
mod model;
mod options;
mod protocol;
mod script;
mod serve;
mod view;
mod world;

pub use app::{Ack, App, CommitError, Service};
pub use events::{Event, Events, Fact, Happening};
pub use fleet::{Fleet, Running};
pub use links::Links;
pub use logs::{Line, Logs};
pub use options::{
    ContainerSpec, Credentials, CredentialsError, Durations, FleetOptions, PeerView, UnixTime,
};
pub use protocol::Outcome;
pub use script::{Fault, On, Rule, RuleId, Script};
pub use serve::{IdentityError, server_config};
pub use view::{CommitId, CopyReport, DatabaseState, PeerState, RepState, View};
