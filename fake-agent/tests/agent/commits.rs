//! Commits: what the return services promise, and what a crash loses.

use std::time::Duration;

use fake_agent::{App, CommitError, FleetOptions, Service};
use rstest::rstest;

use super::lab::{HOSTS, Lab};

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[rstest]
#[case::receipt("RETURN RECEIPT", Service::Receipt)]
#[case::twosafe("RETURN TWOSAFE", Service::Twosafe)]
#[case::none("NO RETURN", Service::Local)]
#[tokio::test(start_paused = true)]
async fn return_services_vouch(#[case] service: &str, #[case] expected: Service) {
    let lab = Lab::new().await;
    lab.pair(service).await;
    let app = App::new(&lab.fleet);
    let ack = app.commit(HOSTS[0]).await.unwrap();
    assert_eq!(ack.service, expected);
    let at_once = lab.fleet.holds(HOSTS[1], ack.id);
    assert_eq!(at_once, expected != Service::Local);
    assert!(lab.fleet.holds(HOSTS[0], ack.id));
    assert!(matches!(app.commit(HOSTS[1]).await, Err(CommitError::Refused { errno: 16_265, .. })));
}

#[rstest]
#[case::receipt("RETURN RECEIPT", true)]
#[case::twosafe("RETURN TWOSAFE", false)]
#[tokio::test(start_paused = true)]
async fn without_the_standby_8170_after_ten_seconds(#[case] service: &str, #[case] kept: bool) {
    let mut lab = Lab::new().await;
    lab.pair(service).await;
    lab.running[1] = None;
    let app = App::new(&lab.fleet);
    let began = tokio::time::Instant::now();
    let Err(CommitError::ReturnTimeout(id)) = app.commit(HOSTS[0]).await else { panic!("no 8170") };
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(lab.fleet.holds(HOSTS[0], id), kept);
    assert!(app.acknowledged().is_empty());
}

#[rstest]
#[case::local_commit("RETURN TWOSAFE LOCAL COMMIT ACTION COMMIT", 10)]
#[case::disable_return("RETURN TWOSAFE DISABLE RETURN ALL 1", 0)]
#[tokio::test(start_paused = true)]
async fn degraded_twosafe_commits_alone(#[case] service: &str, #[case] seconds: u64) {
    let mut lab = Lab::new().await;
    lab.pair(service).await;
    lab.running[1] = None;
    let began = tokio::time::Instant::now();
    let ack = App::new(&lab.fleet).commit(HOSTS[0]).await.unwrap();
    assert_eq!((ack.service, began.elapsed().as_secs()), (Service::Local, seconds));
    assert!(lab.fleet.holds(HOSTS[0], ack.id));
}

#[tokio::test(start_paused = true)]
async fn declaring_the_standby_failed_releases_waiting_commits() {
    let mut lab = Lab::new().await;
    lab.pair("RETURN TWOSAFE").await;
    lab.running[1] = None;
    let app = App::new(&lab.fleet);
    let waiting = tokio::spawn({
        let app = app.clone();
        async move { app.commit(HOSTS[0]).await }
    });
    pass(3000).await;
    assert!(!waiting.is_finished());
    lab.ok(0, "repStateSave").await;
    assert_eq!(waiting.await.unwrap().unwrap().service, Service::Local);
    assert_eq!(app.commit(HOSTS[0]).await.unwrap().service, Service::Local);
}

#[tokio::test(start_paused = true)]
async fn without_durable_commits_a_crash_loses_the_tail_nobody_got() {
    let options = FleetOptions { durable: false, ..FleetOptions::default() };
    let mut lab = Lab::with(options, &[]).await;
    lab.active("NO RETURN").await;
    let app = App::new(&lab.fleet);
    let early = app.commit(HOSTS[0]).await.unwrap();
    pass(300).await;
    let late = app.commit(HOSTS[0]).await.unwrap();
    lab.restart(0).await;
    assert!(lab.fleet.holds(HOSTS[0], early.id));
    assert_eq!(app.lost_acknowledged(&[HOSTS[0]]), [late]);
    // The position is given out again, to another commit.
    for verb in ["startDaemon", "loadDb", "repStateSetActive", "openDb"] {
        lab.ok(0, verb).await;
    }
    let again = app.commit(HOSTS[0]).await.unwrap();
    assert!(again.id.lsn == late.id.lsn && !lab.fleet.holds(HOSTS[0], late.id));
}

#[tokio::test(start_paused = true)]
async fn latency_delays_what_the_standby_vouches_for() {
    let lab = Lab::new().await;
    lab.pair("RETURN RECEIPT").await;
    lab.fleet.links().set_latency(HOSTS[0], HOSTS[1], Duration::from_millis(300));
    lab.fleet.links().set_latency(HOSTS[1], HOSTS[0], Duration::from_millis(200));
    let began = tokio::time::Instant::now();
    App::new(&lab.fleet).commit(HOSTS[0]).await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 500);
}

#[tokio::test(start_paused = true)]
async fn twosafe_commits_at_the_same_time_are_told_apart() {
    let lab = Lab::new().await;
    lab.pair("RETURN TWOSAFE").await;
    let app = App::new(&lab.fleet);
    let commits = (0..5).map(|_| app.commit(HOSTS[0]));
    let acks = futures::future::join_all(commits).await;
    let lsns: Vec<u64> = acks.into_iter().map(|ack| ack.unwrap().id.lsn).collect();
    assert_eq!(lsns, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_position_is_not_taken_for_the_commit_that_gets_it_next() {
    let options = FleetOptions { durable: false, ..FleetOptions::default() };
    let mut lab = Lab::with(options, &[]).await;
    for verb in ["startDaemon", "createDb", "openDb"] {
        lab.ok(0, verb).await;
    }
    let app = App::new(&lab.fleet);
    let lost = app.commit(HOSTS[0]).await.unwrap();
    lab.restart(0).await;
    for verb in ["startDaemon", "loadDb", "openDb"] {
        lab.ok(0, verb).await;
    }
    let next = app.commit(HOSTS[0]).await.unwrap();
    assert_eq!(next.id.lsn, lost.id.lsn);
    assert_eq!(app.lost_acknowledged(&[HOSTS[0]]), [lost]);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_on_disk_before() {
    let options = FleetOptions { durable: false, ..FleetOptions::default() };
    let mut lab = Lab::with(options, &[]).await;
    lab.pair("RETURN RECEIPT").await;
    let app = App::new(&lab.fleet);
    app.commit(HOSTS[0]).await.unwrap();
    lab.restart(0).await;
    assert!(app.lost_acknowledged(&[HOSTS[0]]).is_empty(), "the standby is never ahead");
}

#[tokio::test(start_paused = true)]
async fn a_twosafe_commit_goes_on_when_the_standby_comes_back_in_time() {
    let lab = Lab::new().await;
    lab.pair("RETURN TWOSAFE").await;
    let app = App::new(&lab.fleet);
    lab.fleet.links().cut(HOSTS[0], HOSTS[1]);
    let heal = async {
        pass(4000).await;
        lab.fleet.links().heal(HOSTS[0], HOSTS[1]);
    };
    let (ack, ()) = tokio::join!(app.commit(HOSTS[0]), heal);
    let ack = ack.unwrap();
    assert_eq!(ack.service, Service::Twosafe);
    assert!(HOSTS.iter().all(|host| lab.fleet.holds(host, ack.id)));
}

#[tokio::test(start_paused = true)]
async fn losing_the_role_ends_waiting_commits() {
    let mut lab = Lab::new().await;
    lab.pair("RETURN TWOSAFE").await;
    lab.running[1] = None;
    let app = App::new(&lab.fleet);
    let began = tokio::time::Instant::now();
    let deactivate = async {
        pass(1000).await;
        lab.ok(0, "repDeactivate").await;
    };
    let (commit, ()) = tokio::join!(app.commit(HOSTS[0]), deactivate);
    assert!(matches!(commit, Err(CommitError::ConnectionLost(_))), "{commit:?}");
    assert!(began.elapsed() < Duration::from_secs(2));
}
