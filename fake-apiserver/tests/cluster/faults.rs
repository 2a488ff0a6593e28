use std::time::Duration;

use fake_apiserver::faults::{Effect, Faults, Rule, Verb};
use fake_apiserver::{ApiServer, Options};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{PostParams, WatchEvent, WatchParams};
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
