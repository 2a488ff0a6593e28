//! Every phase within its limit.

use std::time::Duration;

use timesten_operator::agent::{Agent, AgentError, Outcome, Phase, Verb};
use tokio::time::{Instant, timeout};

use super::server::{self, Dial, Does};
use super::{OK, S, call};

/// What passes its limit, which, and when.
#[rstest::rstest]
#[case::connect(Dial::Hang, false, Phase::Connect, 10)]
#[case::handshake(Dial::Mute, false, Phase::Handshake, 10)]
#[case::get(Dial::Serve, false, Phase::Get, 60)]
#[case::post(Dial::Serve, true, Phase::Post, 600)]
#[tokio::test(start_paused = true)]
async fn each_phase_has_its_limit(
    #[case] dial: Dial,
    #[case] order: bool,
    #[case] expected: Phase,
    #[case] seconds: u32,
) {
    let (server, agent, at) = server::start(Does::Hang);
    server.dial(dial);
    let asked = Instant::now();
    let error = if order {
        agent.run(&at, &call(Verb::LoadDb)).await.unwrap_err()
    } else {
        agent.status(&at).await.unwrap_err()
    };
    assert_eq!(asked.elapsed(), seconds * S);
    let AgentError::TimedOut { phase, after, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*phase, *after), (expected, seconds * S));
    let reached = matches!(expected, Phase::Get | Phase::Post);
    assert_eq!(error.outcome(), if reached { Outcome::Unknown } else { Outcome::NotDone });
}

#[tokio::test(start_paused = true)]
async fn the_whole_limit_covers_every_phase() {
    let (server, agent, mut at) = server::start(Does::Hang);
    at.limits.get = Some(4 * S);
    for dial in [Dial::Hang, Dial::Mute, Dial::Serve] {
        server.dial(dial);
        let asked = Instant::now();
        let error = agent.status(&at).await.unwrap_err();
        assert!(matches!(error, AgentError::TimedOut { phase: Phase::Get, .. }), "{error:?}");
        assert_eq!(asked.elapsed(), 4 * S);
    }
}

#[tokio::test(start_paused = true)]
async fn a_marker_verb_has_five_seconds() {
    let (_server, agent, mut at) = server::start(Does::Hang);
    at.limits.post = None;
    for verb in [Verb::SetActive, Verb::ClearActive, Verb::SetReadiness, Verb::ClearReadiness] {
        let asked = Instant::now();
        let error = agent.run(&at, &call(verb)).await.unwrap_err();
        assert!(matches!(error, AgentError::TimedOut { phase: Phase::Marker, .. }), "{error:?}");
        assert!(!error.to_string().contains("agentPostTimeout"), "{error}");
        assert_eq!(asked.elapsed(), 5 * S);
    }
}

#[tokio::test(start_paused = true)]
async fn no_limit_is_no_limit() {
    let (server, agent, mut at) = server::start(Does::slow(90_000 * S, OK));
    at.limits.tcp = None;
    at.limits.tls = None;
    at.limits.get = None;
    agent.status(&at).await.unwrap();
    server.dial(Dial::Hang);
    agent.forget(&at.host);
    assert!(timeout(90_000 * S, agent.status(&at)).await.is_err());
    at.limits.get = Some(Duration::MAX);
    assert!(timeout(90_000 * S, agent.status(&at)).await.is_err());
}
