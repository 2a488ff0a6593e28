//! The containers that the operator makes: `tt`, `ttinit`, `daemonlog`, `exporter`.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, ExecAction, Lifecycle, LifecycleHandler, Probe,
    SecurityContext,
};

use super::headless_service::CS_PORT;
use super::pod::Kind;
use super::{pod, resources};
use crate::agent::PORT as AGENT_PORT;
use crate::desired::{Desired, Exporter, Topology};

/// The names of our containers; a user's container of such a name customises ours.
pub(super) const OURS: [&str; 3] = ["tt", "daemonlog", "exporter"];

const INSTANCE: &str = "/tt/home/timesten/instances/instance1";
/// The port of the TimesTen daemon.
const DAEMON_PORT: i32 = 6624;
/// Follows the daemon log for as long as the container lives.
const FOLLOW_LOG: &str = "if [ -x /timesten/operator/operator/daemonlogger ]; then \
    exec /timesten/operator/operator/daemonlogger; fi; \
    while :; do tail --follow=name --max-unchanged-stats=5 \
    /tt/home/timesten/instances/instance1/diag/ttmesg.log; sleep 1; done";
/// Unloads the database before the container of an independent database ends.
const QUIESCE: &str = "/usr/bin/perl /timesten/operator/operator/starthost.pl -quiesce > \
    /tt/home/timesten/preStopHook.log 2>&1";

/// `tt`: TimesTen and its agent.
pub(super) fn tt(
    desired: &Desired,
    kind: Kind,
    user: Option<&Container>,
    config: bool,
) -> Container {
    let nothing = Container::default();
    let user = user.unwrap_or(&nothing);
    let mut mounts = user.volume_mounts.clone().unwrap_or_default();
    mounts.push(pod::mount(pod::PERSISTENT, "/tt"));
    mounts.push(pod::mount(pod::AGENT, "/ttagent"));
    mounts.extend(desired.log_storage.as_ref().map(|_| pod::mount(pod::LOG, "/ttlog")));
    if config {
        mounts.push(pod::mount(pod::CONFIG, "/ttconfig"));
    }
    Container {
        name: "tt".into(),
        image: Some(desired.image.clone()),
        image_pull_policy: Some(desired.image_pull_policy.clone()),
        ports: Some(vec![
            port("agent", i32::from(AGENT_PORT)),
            port("daemon", DAEMON_PORT),
            port("cs", CS_PORT),
            port("repl", i32::from(desired.rep_port)),
        ]),
        env: Some(environment(desired, kind, user)),
        env_from: user.env_from.clone(),
        security_context: Some(user.security_context.clone().unwrap_or_else(|| security(desired))),
        readiness_probe: user.readiness_probe.clone().or_else(|| readiness(desired, kind)),
        liveness_probe: user.liveness_probe.clone(),
        startup_probe: user.startup_probe.clone(),
        lifecycle: user.lifecycle.clone().or_else(|| lifecycle(desired)),
        resources: resources::of_tt(desired, user.resources.as_ref()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// `ttinit`: prepares the instance on the volume before the others start.
pub(super) fn ttinit(desired: &Desired, tt: &Container) -> Container {
    let mut init = tt.clone();
    init.name = "ttinit".into();
    (init.ports, init.lifecycle) = (None, None);
    (init.readiness_probe, init.liveness_probe, init.startup_probe) = (None, None, None);
    init.env
        .get_or_insert_default()
        .extend([env("TT_INIT_CONTAINER", "1"), env("TTC_UID", &desired.owner.uid)]);
    init
}

/// `daemonlog`: prints the daemon log.
pub(super) fn daemonlog(desired: &Desired, tt: &Container, user: Option<&Container>) -> Container {
    let r = &desired.resources;
    Container {
        name: "daemonlog".into(),
        image: tt.image.clone(),
        image_pull_policy: tt.image_pull_policy.clone(),
        command: Some(vec!["sh".into(), "-c".into(), FOLLOW_LOG.into()]),
        env: Some(instance_environment()),
        security_context: tt.security_context.clone(),
        resources: resources::of_sidecar(user, &r.daemon_log_memory, &r.daemon_log_cpu),
        volume_mounts: Some(pod::data_mounts(desired)),
        ..Container::default()
    }
}

/// `exporter`: serves metrics.
pub(super) fn exporter(
    _: &Desired,
    exporter: &Exporter,
    tt: &Container,
    user: Option<&Container>,
) -> Container {
    let mut environment = instance_environment();
    environment.push(env("TT_EXPORTER_CONTAINER", "1"));
    environment.push(env("TT_EXPORTER_PORT", &exporter.port.to_string()));
    environment
        .extend(exporter.limit_rate.map(|rate| env("TT_EXPORTER_LIMIT_RATE", &rate.to_string())));
    let mut mounts = vec![pod::mount(pod::PERSISTENT, "/tt")];
    mounts.extend(exporter.cert_secret.as_ref().map(|name| pod::mount(name, "/ttconfig")));
    Container {
        name: "exporter".into(),
        image: tt.image.clone(),
        image_pull_policy: tt.image_pull_policy.clone(),
        ports: Some(vec![port("exporter", exporter.port)]),
        env: Some(environment),
        security_context: tt.security_context.clone(),
        resources: resources::of_sidecar(user, &exporter.memory, &exporter.cpu),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn environment(desired: &Desired, kind: Kind, user: &Container) -> Vec<EnvVar> {
    let mut all = user.env.clone().unwrap_or_default();
    all.push(env("TT_OPERATOR_MANAGED", "1"));
    all.push(env("TIMESTEN_HOME", INSTANCE));
    all.push(env("LD_LIBRARY_PATH", &libraries()));
    let (suite, mandatory) = &desired.replication_tls;
    all.extend(suite.as_ref().map(|suite| env("TT_REPLICATION_CIPHER_SUITE", suite)));
    all.extend(mandatory.map(|flag| env("TT_REPLICATION_SSL_MANDATORY", &flag.to_string())));
    // The name in full, unlike the database's: the image's scripts cut it themselves.
    all.push(env("TT_DB_NAME", desired.name()));
    // Old agents need it, whatever the topology.
    all.push(env("TT_REPLICATION_TOPOLOGY", "activeStandbyPair"));
    all.extend((kind == Kind::Subscriber).then(|| env("TT_SUBSCRIBER", "1")));
    all
}

fn instance_environment() -> Vec<EnvVar> {
    vec![
        env("TIMESTEN_HOME", INSTANCE),
        env("TT_OPERATOR_MANAGED", "1"),
        env("LD_LIBRARY_PATH", &libraries()),
    ]
}

fn libraries() -> String {
    const FOLDERS: [&str; 5] = [
        "ttclasses/lib",
        "install/lib",
        "install/ttoracle_home/instantclient_11_2",
        "install/ttoracle_home/instantclient_19_17",
        "install/ttoracle_home/instantclient",
    ];
    FOLDERS.map(|folder| format!("{INSTANCE}/{folder}")).join(":")
}

fn env(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value.into()), ..EnvVar::default() }
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

fn security(desired: &Desired) -> SecurityContext {
    SecurityContext {
        run_as_non_root: Some(true),
        privileged: Some(false),
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: desired.read_only_root.then_some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".into()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

/// Ready is who may be written to: in a pair the active, else whoever is up. Subscribers are read.
fn readiness(desired: &Desired, kind: Kind) -> Option<Probe> {
    let file = match desired.topology {
        _ if kind == Kind::Subscriber => "/tmp/readiness",
        Topology::ActiveStandbyPair if !desired.readiness_probe => return None,
        Topology::ActiveStandbyPair => "/tmp/active",
        Topology::NonReplicated { .. } => "/tmp/readiness",
    };
    Some(Probe {
        exec: Some(ExecAction { command: Some(vec!["cat".into(), file.into()]) }),
        initial_delay_seconds: Some(1),
        period_seconds: Some(10),
        success_threshold: Some(1),
        failure_threshold: Some(1),
        ..Probe::default()
    })
}

fn lifecycle(desired: &Desired) -> Option<Lifecycle> {
    let command = || vec!["/bin/sh".into(), "-c".into(), QUIESCE.into()];
    matches!(desired.topology, Topology::NonReplicated { .. }).then(|| Lifecycle {
        pre_stop: Some(LifecycleHandler {
            exec: Some(ExecAction { command: Some(command()) }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    })
}
