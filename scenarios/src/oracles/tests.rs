//! Each law is broken once, and kept once.

use super::*;

const NOW: Duration = Duration::from_secs(1);

fn law(sights: Vec<Sight>) -> Option<String> {
    let mut oracles = Oracles::default();
    for sight in sights {
        oracles.see(NOW, sight);
    }
    oracles.violation.map(|violation| violation.law)
}

fn copy(position: u64, source: bool) -> CopyReport {
    CopyReport {
        volume: "v".into(),
        host: None,
        position,
        rep_state: None,
        subscriber: false,
        complete: source,
        source,
    }
}

#[test]
fn two_writable_hosts_that_are_both_routed_break_one_active() {
    let writable = |host: &str| Sight::Writable(host.into(), true);
    let routed = |hosts: &[&str]| Sight::Routed(hosts.iter().map(|h| (*h).into()).collect());
    assert_eq!(law(vec![writable("a"), writable("b"), routed(&["a"])]), None);
    let both = law(vec![writable("a"), writable("b"), routed(&["a", "b"])]);
    assert_eq!(both.as_deref(), Some("one-active"));
    let others = law(vec![writable("a.x"), writable("a.y"), routed(&["a.x", "a.y"])]);
    assert_eq!(others, None, "each object has its active");
    let dead = vec![writable("a"), Sight::Writable("a".into(), false), writable("b")];
    assert_eq!(law([dead, vec![routed(&["a", "b"])]].concat()), None);
}

#[test]
fn destroying_the_last_copy_is_noticed() {
    assert_eq!(law(vec![Sight::Destroyed(copy(9, false), vec![copy(9, true)])]), None);
    assert_eq!(law(vec![Sight::Destroyed(copy(0, false), vec![])]), None);
    let last = law(vec![Sight::Destroyed(copy(9, false), vec![copy(3, false)])]);
    assert_eq!(last.as_deref(), Some("no-destruction-without-source"));
    let reader = CopyReport { subscriber: true, ..copy(9, true) };
    let last = law(vec![Sight::Destroyed(copy(9, false), vec![reader])]);
    assert_eq!(last.as_deref(), Some("no-destruction-without-source"), "it is no source");
}

#[test]
fn a_subscriber_that_is_made_more_of_is_noticed() {
    let deed = |deed| law(vec![Sight::Subscriber("a".into(), deed)]);
    assert_eq!(deed(Deed::Told("repDuplicate".into())), None);
    let deeds = ["createDb", "setActive", "repStateSetActive"].map(|v| Deed::Told(v.into()));
    for wrong in deeds.into_iter().chain([Deed::Routed, Deed::Writable]) {
        assert_eq!(deed(wrong.clone()).as_deref(), Some("subscribers-are-read"), "{wrong:?}");
    }
}

#[test]
fn a_pair_that_suffers_from_its_subscribers_is_noticed() {
    let state = |word: &str| state(word, true, "", false);
    let touched = |subscriber| Sight::Touched { subscriber };
    let story = |sights: Vec<Sight>| law([vec![state("Normal")], sights].concat());
    assert_eq!(story(vec![state("ActiveDown")]), None);
    assert_eq!(story(vec![touched(true), touched(false), state("ActiveDown")]), None);
    assert_eq!(story(vec![touched(false), touched(true), state("ActiveDown")]), None);
    let harmed = story(vec![touched(true), state("ActiveDown")]);
    assert_eq!(harmed.as_deref(), Some("pair-unharmed"));
    let ordered = Sight::Ordered {
        pod: "a-1".into(),
        subscriber: false,
        verb: "destroyDb".into(),
        intent: Some(("destroyDb".into(), "a-1".into())),
        state: "Normal".into(),
    };
    assert_eq!(story(vec![touched(true), ordered]).as_deref(), Some("pair-unharmed"));
}

#[test]
fn destroying_a_database_without_replication_is_noticed() {
    let told = |verb: &str| law(vec![Sight::Lone("a".into(), verb.into())]);
    assert_eq!(told("loadDb"), None);
    assert_eq!(told("destroyDb").as_deref(), Some("no-destruction-without-source"));
}

#[test]
fn an_order_that_is_not_on_record_is_noticed() {
    let order = |verb: &str, intent: Option<(&str, &str)>, state: &str| Sight::Ordered {
        pod: "a".into(),
        subscriber: false,
        verb: verb.into(),
        intent: intent.map(|(verb, pod)| (verb.into(), pod.into())),
        state: state.into(),
    };
    assert_eq!(law(vec![order("destroyDb", Some(("destroyDb", "a")), "StandbyDown")]), None);
    assert_eq!(law(vec![order("repStateSetActive", None, "ConfiguringActive")]), None);
    for intent in [None, Some(("destroyDb", "b")), Some(("repDuplicate", "a"))] {
        let law = law(vec![order("destroyDb", intent, "StandbyDown")]);
        assert_eq!(law.as_deref(), Some("intent-before-act"), "{intent:?}");
    }
}

fn state(word: &str, replicated: bool, says: &str, held: bool) -> Sight {
    Sight::State { word: word.into(), replicated, says: says.into(), held }
}

#[test]
fn destroying_over_and_over_is_noticed() {
    let spread = |pause: u64| {
        let mut oracles = Oracles::default();
        for time in 0..20 {
            let (pod, verb) = ("a".to_owned(), "destroyDb".to_owned());
            let intent = Some((verb.clone(), pod.clone()));
            let state = "StandbyDown".into();
            let sight = Sight::Ordered { pod, subscriber: false, verb, intent, state };
            oracles.see(Duration::from_secs(time * pause), sight);
        }
        oracles.violation.map(|violation| violation.law)
    };
    assert_eq!(spread(60), None);
    assert_eq!(spread(5).as_deref(), Some("bounded-rebuilds"));
}

#[test]
fn a_stop_without_a_way_on_is_noticed() {
    let stop = |says| law(vec![state("ManualInterventionRequired", true, says, true)]);
    assert_eq!(stop("both failed. Next: kubectl patch ttc sample ... reexamine"), None);
    assert_eq!(stop("both failed").as_deref(), Some("explained-stop"));
    let failed = |held| law(vec![state("Failed", true, "", held)]);
    assert_eq!(failed(false), None);
    assert_eq!(failed(true).as_deref(), Some("no-failed-with-data"));
}

#[test]
fn an_empty_state_is_noticed() {
    assert_eq!(law(vec![state("Normal", true, "", false)]), None);
    assert_eq!(law(vec![state("AllReplicasReady", false, "", false)]), None);
    let unknown = [("", true), ("", false), ("AllReplicasReady", true), ("ActiveDown", false)];
    for (word, replicated) in unknown {
        let sight = state(word, replicated, "", false);
        assert_eq!(law(vec![sight]).as_deref(), Some("known-state"));
    }
}

#[test]
fn clients_that_are_turned_away_for_long_are_noticed() {
    let judge = |seconds| {
        let mut oracles = Oracles::default();
        oracles.turned_away(NOW, "a", Duration::from_secs(seconds));
        oracles.violation.map(|violation| violation.law)
    };
    assert_eq!(judge(59), None);
    assert_eq!(judge(61).as_deref(), Some("ready-means-serving"));
}

#[test]
fn cache_groups_that_go_too_early_are_noticed() {
    let told = |verb: &str, deleting| {
        law(vec![Sight::Uncached { pod: "a".into(), verb: verb.into(), deleting }])
    };
    assert_eq!(told("cleanupCache", true), None);
    assert_eq!(told("cleanupCache", false).as_deref(), Some("cache-groups-kept"));
    assert_eq!(told("dropCg", true).as_deref(), Some("cache-groups-kept"));
}

#[test]
fn an_object_that_does_not_go_is_noticed() {
    let judge = |interfered: u64, gone: u64| {
        let mut oracles = Oracles::default();
        oracles.see(NOW, Sight::Deleting("a".into()));
        oracles.see(Duration::from_secs(interfered), Sight::Interfered);
        oracles.see(Duration::from_secs(gone), Sight::Gone { object: "a".into(), cleanup: true });
        oracles.violation.map(|violation| violation.law)
    };
    assert_eq!(judge(1, 310), None);
    assert_eq!(judge(1, 312).as_deref(), Some("bounded-goodbye"));
    assert_eq!(judge(60, 360), None, "it has its time from when nobody interferes");
}

#[test]
fn what_is_left_in_oracle_has_to_be_told() {
    let judge = |reason: &str, note: &str| {
        let mut oracles = Oracles::default();
        let (of, reason, note) = ("x".into(), reason.into(), note.into());
        oracles.see(NOW, Sight::Event { of, reason, note });
        oracles.left_in_oracle(NOW, &["a.x".into()]);
        oracles.violation.map(|violation| violation.law)
    };
    assert_eq!(judge("FailedFinalizer", "Pod a: a.x is left"), None);
    assert_eq!(judge("Info", "Pod a: a.x").as_deref(), Some("told-what-is-left"));
    assert_eq!(judge("FailedFinalizer", "Pod b").as_deref(), Some("told-what-is-left"));
}

#[test]
fn an_event_that_is_said_twice_is_noticed() {
    let event =
        |of: &str| Sight::Event { of: of.into(), reason: "Info".into(), note: "Agent Up".into() };
    assert_eq!(law(vec![event("one"), event("other")]), None);
    assert_eq!(law(vec![event("one"), event("one")]).as_deref(), Some("one-event-a-change"));
}

#[test]
fn lost_commits_are_judged_by_what_was_promised() {
    let ack = |lsn, service| Ack { id: fake_agent::CommitId { lineage: 1, lsn }, service };
    let judge = |acks: &[Ack], lost: &[Ack], failovers| {
        let mut oracles = Oracles::default();
        oracles.acknowledged(NOW, acks, lost, failovers);
        oracles.violation.map(|violation| violation.message)
    };
    let local = [ack(1, Service::Local), ack(2, Service::Local)];
    assert_eq!(judge(&local, &[], 0), None);
    assert_eq!(judge(&local, &local[1..], 1), None, "a tail may be lost");
    assert!(judge(&local, &local[1..], 0).is_some(), "but not without a failover");
    assert!(judge(&local, &local[..1], 1).is_some(), "and not from the middle");
    let safe = [ack(1, Service::Twosafe)];
    assert!(judge(&safe, &safe, 1).is_some());
}

#[test]
fn credentials_made_anew_under_running_agents_are_noticed() {
    let host = || "a-0.a.ns.svc.cluster.local".to_owned();
    let made = |uid: &str, secrets: &[&str], created| Sight::Credentials {
        of: uid.trim_end_matches('\'').into(),
        uid: uid.into(),
        secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
        created,
    };
    let secret = |uid: &str, secret: &str, created| made(uid, &[secret], created);
    let story = |sights: Vec<Sight>| {
        let begin = vec![secret("a", "one", true), Sight::Agent(host(), true)];
        law([begin, sights].concat())
    };
    assert_eq!(story(vec![secret("a", "one", true)]), None, "the same again");
    assert_eq!(story(vec![secret("b", "two", true)]), None, "of another object");
    assert_eq!(story(vec![secret("a'", "two", true)]), None, "of another object of that name");
    assert_eq!(story(vec![made("a", &["two", "one"], true)]), None, "these are still used");
    assert_eq!(story(vec![secret("a", "two", false)]), None, "an edit");
    let ended = vec![Sight::Agent(host(), false), secret("a", "two", true)];
    assert_eq!(story(ended), None, "nobody knows the old ones");
    let anew = story(vec![secret("a", "two", true)]);
    assert_eq!(anew.as_deref(), Some("credentials-kept"));
    let stayed = vec![secret("a", "two", false), secret("a", "two", true)];
    assert_eq!(story(stayed).as_deref(), Some("credentials-kept"), "the edit changed no agent");
}

#[test]
fn marks_of_another_role_are_noticed() {
    let judge = |active, markers: &[&str]| {
        let mut oracles = Oracles::default();
        let markers = markers.iter().map(|path| (*path).to_owned()).collect();
        oracles.marked(NOW, "a", active, &markers);
        oracles.violation.map(|violation| violation.law)
    };
    let both = ["/tmp/active", "/tmp/readiness"];
    assert_eq!(judge(true, &both), None);
    assert_eq!(judge(false, &both[1..]), None);
    for (active, markers) in [(true, &both[1..]), (true, &both[..1]), (false, &both), (false, &[])]
    {
        assert_eq!(
            judge(active, markers).as_deref(),
            Some("marks-match-roles"),
            "{active} {markers:?}"
        );
    }
}
