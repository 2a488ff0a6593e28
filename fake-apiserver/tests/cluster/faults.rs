use std::time::Duration;

use fake_apiserver::faults::{Effect, Faults, Rule, Verb};
use fake_apiserver::{ApiServer, Options};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::runtime::WatchStreamExt;
use kube::{Api, Client};
use tokio::time::{Instant, timeout};

use crate::world::clock;

fn faulty() -> (ApiServer, Faults, Api<ConfigMap>) {
    let server = ApiServer::new(Options { clock: clock(), seed: 1 });
    let faults = Faults::new();
    let client = Client::new(faults.wrap(server.front()), "default");
    (server, faults, Api::default_namespaced(client))
}

fn map(name: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map
}

fn on(verb: Verb, effect: Effect) -> Rule {
    Rule { verb: Some(verb), resource: Some("configmaps".to_owned()), ..Rule::always(effect) }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_and_end() {
    let (_, faults, api) = faulty();
    let effect = Effect::Status {
        code: 503,
        reason: "ServiceUnavailable".to_owned(),
        message: "not now".to_owned(),
    };
    let rule = faults.add(Rule { skip: 1, times: Some(2), ..on(Verb::Create, effect) });
    let mut codes = Vec::new();
    for name in ["a", "b", "c", "d"] {
        codes.push(match api.create(&PostParams::default(), &map(name)).await {
            Ok(_) => 201,
            Err(kube::Error::Api(status)) => status.code,
            Err(error) => panic!("{error}"),
        });
    }
    assert_eq!((codes, faults.fired(rule)), (vec![201, 503, 503, 201], 2));
}

#[tokio::test(start_paused = true)]
async fn a_connection_breaks_before_or_after_the_deed() {
    let (server, faults, api) = faulty();
    for (effect, done) in [(Effect::DropBefore, false), (Effect::DropAfter, true)] {
        faults.add(on(Verb::Create, effect));
        let before = server.revision();
        let error = api.create(&PostParams::default(), &map("a")).await.unwrap_err();
        assert!(matches!(error, kube::Error::Service(_)), "{error:?}");
        assert_eq!(server.revision() > before, done);
        faults.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_late_or_never_come() {
    let (_, faults, api) = faulty();
    faults.add(on(Verb::Get, Effect::Latency(Duration::from_secs(2))));
    let start = Instant::now();
    api.get_opt("a").await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 2);
    faults.add(on(Verb::Get, Effect::Hang));
    assert!(timeout(Duration::from_secs(3600), api.get_opt("a")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn watches_fall_silent_and_end() {
    let (_, faults, api) = faulty();
    let mut events = api.watch(&WatchParams::default().timeout(200), "0").await.unwrap().boxed();
    let stall = faults.add(Rule::always(Effect::StallWatches));
    api.create(&PostParams::default(), &map("a")).await.unwrap();
    assert!(timeout(Duration::from_secs(60), events.next()).await.is_err());
    faults.remove(stall);
    let event = events.next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Added(map) if map.metadata.name.as_deref() == Some("a")));
    let cut = faults.add(Rule::always(Effect::CutWatches));
    assert!(events.next().await.is_none());
    assert_eq!(faults.fired(cut), 1);
    let mut again = api.watch(&WatchParams::default().timeout(200), "0").await.unwrap().boxed();
    assert!(matches!(again.next().await.unwrap().unwrap(), WatchEvent::Added(_)));
}

/// The next event of a watch, within a minute: its type, name and label `n`.
async fn told(
    events: &mut (impl futures::Stream<Item = kube::Result<WatchEvent<ConfigMap>>> + Unpin),
) -> Option<String> {
    let event = timeout(Duration::from_secs(60), events.next()).await.ok()??;
    let (kind, map) = match event.unwrap() {
        WatchEvent::Added(map) => ("added", map),
        WatchEvent::Modified(map) => ("modified", map),
        WatchEvent::Deleted(map) => ("deleted", map),
        WatchEvent::Bookmark(_) => return Some("bookmark".to_owned()),
        WatchEvent::Error(status) => return Some(format!("error {}", status.code)),
    };
    let number = map.metadata.labels.and_then(|labels| labels.get("n").cloned());
    Some(format!("{kind} {} {}", map.metadata.name?, number.unwrap_or_default()))
}

async fn number(api: &Api<ConfigMap>, name: &str, n: u32) {
    let patch = serde_json::json!({"metadata": {"labels": {"n": n.to_string()}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reads_lag_behind() {
    let (server, faults, api) = faulty();
    api.create(&PostParams::default(), &map("a")).await.unwrap();
    api.create(&PostParams::default(), &map("b")).await.unwrap();
    let then = server.revision();
    let stale = faults.add(Rule::always(Effect::Stale(then)));
    number(&api, "a", 1).await;
    api.delete("b", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &map("c")).await.unwrap();
    assert!(api.get("a").await.unwrap().metadata.labels.is_none());
    assert!(api.get_opt("b").await.unwrap().is_some());
    assert!(api.get_opt("c").await.unwrap().is_none());
    let list = api.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.metadata.resource_version, Some(then.to_string()));
    assert_eq!(list.items.len(), 2);
    faults.remove(stale);
    assert!(api.get("a").await.unwrap().metadata.labels.is_some());
    assert!(api.get_opt("b").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn events_are_lost_late_or_merged() {
    let (_, faults, api) = faulty();
    let mut events = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let lost = Rule { name: Some("a".into()), times: Some(1), ..Rule::always(Effect::LoseEvents) };
    let lost = faults.add(lost);
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &map(name)).await.unwrap();
    }
    number(&api, "a", 1).await;
    assert_eq!(told(&mut events).await.unwrap(), "added b ");
    assert_eq!(told(&mut events).await.unwrap(), "modified a 1");
    assert_eq!(faults.fired(lost), 1);
    faults.clear();

    faults.add(Rule::always(Effect::DelayEvents(Duration::from_secs(5))));
    let start = Instant::now();
    number(&api, "a", 2).await;
    assert_eq!(told(&mut events).await.unwrap(), "modified a 2");
    assert_eq!(start.elapsed().as_secs(), 5);
    faults.clear();

    faults.add(Rule::always(Effect::MergeEvents(Duration::from_secs(5))));
    number(&api, "a", 3).await;
    number(&api, "b", 4).await;
    api.delete("a", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &map("a")).await.unwrap();
    assert_eq!(told(&mut events).await.unwrap(), "modified b 4");
    assert_eq!(told(&mut events).await.unwrap(), "modified a ");
}

#[tokio::test(start_paused = true)]
async fn watches_expire_and_a_reflector_lists_again() {
    let (_, faults, api) = faulty();
    let (reader, writer) = kube::runtime::reflector::store();
    let watched = kube::runtime::watcher(api.clone(), kube::runtime::watcher::Config::default());
    let reflected = kube::runtime::reflector(writer, watched).default_backoff();
    tokio::spawn(reflected.for_each(|_| async {}));
    reader.wait_until_ready().await.unwrap();
    faults.add(Rule { times: Some(1), ..Rule::always(Effect::LoseEvents) });
    api.create(&PostParams::default(), &map("a")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(reader.is_empty(), "the event was not lost");
    faults.add(Rule::always(Effect::ExpireWatches));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(reader.len(), 1, "nothing was listed again");
}
