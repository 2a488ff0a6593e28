//! What holds whatever happens.

use std::time::Duration;

use fake_agent::{App, FleetOptions, Service};
use proptest::prelude::*;

use super::lab::{HOSTS, Lab};

#[derive(Clone, Copy, Debug)]
enum Step {
    Commit(usize),
    Wait(u16),
    Kill(usize),
    KillDaemon(usize),
    Cut(usize),
    Heal,
    Verb(usize, &'static str),
    Rebuild(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let verbs = prop::sample::select(vec![
        "startDaemon",
        "loadDb",
        "startRepAgent",
        "stopRepAgent",
        "openDb",
        "repStateSetActive",
        "repStateSave",
        "repDeactivate",
        "setSubStateStart",
    ]);
    prop_oneof![
        6 => (0..2_usize).prop_map(Step::Commit),
        3 => (0..3000_u16).prop_map(Step::Wait),
        1 => (0..2_usize).prop_map(Step::Kill),
        1 => (0..2_usize).prop_map(Step::KillDaemon),
        1 => (0..2_usize).prop_map(Step::Cut),
        1 => Just(Step::Heal),
        6 => (0..2_usize, verbs).prop_map(|(pod, verb)| Step::Verb(pod, verb)),
        1 => (0..2_usize).prop_map(Step::Rebuild),
    ]
}

async fn take(lab: &mut Lab, app: &App, step: Step) {
    match step {
        Step::Commit(pod) => {
            let app = app.clone();
            tokio::spawn(async move { app.commit(HOSTS[pod]).await });
        }
        Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(u64::from(ms))).await,
        Step::Kill(pod) => lab.restart(pod).await,
        Step::KillDaemon(pod) => drop(lab.fleet.kill_daemon(HOSTS[pod])),
        Step::Cut(pod) => lab.fleet.links().cut(HOSTS[pod], HOSTS[1 - pod]),
        Step::Heal => {
            lab.fleet.links().heal(HOSTS[0], HOSTS[1]);
            lab.fleet.links().heal(HOSTS[1], HOSTS[0]);
        }
        Step::Verb(pod, verb) => drop(lab.post_as(pod, pod, verb, &[]).await),
        Step::Rebuild(pod) => {
            // Only over a good source, as an operator must.
            let good = lab.fleet.good_copies(&format!("tt-sample-{pod}"));
            if good.iter().any(|copy| copy.source) {
                lab.post_as(pod, 1 - pod, "destroyDb", &[]).await;
                lab.post_as(pod, 1 - pod, "repDuplicate", &[]).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

fn run(service: &str, durable: bool, steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = FleetOptions { durable, ..FleetOptions::default() };
        let mut lab = Lab::with(options, &[]).await;
        lab.pair(service).await;
        let app = App::new(&lab.fleet);
        for step in steps {
            let before = app.acknowledged().len();
            take(&mut lab, &app, *step).await;
            let ways = lab.fleet.links().up(HOSTS[0], HOSTS[1])
                && lab.fleet.links().up(HOSTS[1], HOSTS[0]);
            let views = HOSTS.map(|host| lab.fleet.view(host).unwrap());
            let touching = ways && views.iter().all(|view| view.rep_agent && view.scheme);
            let both_write = views.iter().all(|view| view.writable);
            prop_assert!(!(touching && both_write), "two actives in contact: {views:#?}");
            for ack in app.acknowledged().iter().skip(before) {
                let holders = HOSTS.iter().filter(|host| lab.fleet.holds(host, ack.id)).count();
                let destroyed = matches!(step, Step::Rebuild(_));
                let wanted = if ack.service == Service::Local || destroyed { 1 } else { 2 };
                prop_assert!(holders >= wanted, "held by {holders}, acknowledged: {ack:?}");
            }
        }
        let lost = app.lost_acknowledged(&HOSTS);
        let excused = |service| !durable && service == Service::Local;
        prop_assert!(lost.iter().all(|ack| excused(ack.service)), "lost {lost:?}");
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// With durable volumes and copies made only over good sources, no acknowledged commit is ever
    /// missing from both.
    #[test]
    fn twosafe_acknowledged_is_never_missing_from_both(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run("RETURN TWOSAFE", true, &steps)?;
    }

    /// Without durable commits only what the active alone vouched for may go.
    #[test]
    fn what_the_standby_vouched_for_survives_a_lossy_crash(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run("RETURN RECEIPT", false, &steps)?;
    }
}
