//! Orders as Oracle's operator was recorded to send them: ours are the same, parameter by parameter.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use timesten_operator::agent::{Agent, Call, Roles, Started, TaskId, Urgency, Verb};

use super::server::{self, Does};

/// A request, its namespace replaced by `ns`.
#[derive(Deserialize)]
struct Recorded {
    host: String,
    form: BTreeMap<String, String>,
    /// It carried a request id.
    task: bool,
}

fn verb_of(form: &BTreeMap<String, String>) -> Verb {
    match form["verb"].as_str() {
        "clearActive" => Verb::ClearActive,
        "clearReadiness" => Verb::ClearReadiness,
        "closeDb" => Verb::CloseDb,
        "createDb" => Verb::CreateDb,
        "createRepEpilog" => Verb::CreateRepEpilog,
        "createRepScheme" => {
            Verb::CreateRepScheme { statement: form["repCreateStatement"].clone() }
        }
        "destroyDb" => Verb::DestroyDb,
        "die" => Verb::Die,
        "doForceDisconnect" if form["urgency"] == "immediate" => {
            Verb::ForceDisconnect { urgency: Urgency::Immediate }
        }
        "doForceDisconnect" => Verb::ForceDisconnect { urgency: Urgency::Transactional },
        "doRepAdminWait" => {
            Verb::RepAdminWait { timeout: Duration::from_secs(form["timeout"].parse().unwrap()) }
        }
        "loadDb" => Verb::LoadDb,
        "openDb" => Verb::OpenDb,
        "repDuplicate" => Verb::RepDuplicate,
        "repStateSave" => Verb::RepStateSave,
        "repStateSetActive" => Verb::RepStateSetActive,
        "repDeactivate" => Verb::RepDeactivate,
        "setActive" => Verb::SetActive,
        "setReadiness" => Verb::SetReadiness,
        "startDaemon" => Verb::StartDaemon,
        "startRepAgent" => Verb::StartRepAgent,
        "stopDaemon" => Verb::StopDaemon,
        "stopRepAgent" => Verb::StopRepAgent,
        other => panic!("a recorded verb this test does not know: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn our_orders_are_the_recorded_ones() {
    let lines = include_str!("recorded/requests.jsonl").lines();
    let recorded: Vec<Recorded> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(recorded.len() > 20);
    for Recorded { host, form, task } in recorded {
        let verb = verb_of(&form);
        assert_eq!((verb.name(), verb.is_async()), (form["verb"].as_str(), task));
        let roles = Roles {
            active: form.get("activeDNSName").cloned(),
            standby: form.get("standbyDNSName").cloned(),
            subscriber: false,
        };
        let call = Call { verb, roles };
        let (server, agent, mut at) = server::start(Does::reply(200, r#"{"jsonVer":1,"errno":0}"#));
        at.host.clone_from(&host);
        if task {
            let id = TaskId::from_random([1; 16]);
            let started = agent.start(&at, &call, &id).await.unwrap();
            assert!(matches!(started, Started::Done(_)));
        } else {
            agent.run(&at, &call).await.unwrap();
        }
        let seen = server.seen().pop().unwrap();
        let sent: BTreeMap<String, String> =
            form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect();
        assert_eq!(sent, form, "{host}");
    }
}
