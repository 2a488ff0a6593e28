//! Playing a scenario on an API server of somebody else, in real time: the same steps, checks and oracles.
//!
//! Never: asks more of the server than an API server has to give. What it cannot do is told beforehand.

use std::sync::Arc;
use std::time::Duration;

use super::{Outcome, Played, Verdict, options, outcome, reference_shape, stopwatch, story};
use crate::case::{ApiFault, Case, Span, Step};
use crate::timeline::Timeline;
use crate::world::{Visit, World, WorldOptions};

/// How long a world settles before it has to be quiet.
const SETTLE: Duration = Duration::from_secs(5);
/// How long it has to be quiet: nobody waits for an hour.
const QUIET: Duration = Duration::from_secs(15);

/// Why a scenario cannot be played on somebody else's server, if it cannot; one that takes longer than `longest` by
/// the times in it alone is among those.
#[must_use]
pub fn obstacle(case: &Case, longest: Duration) -> Option<String> {
    let stale = |step: &Step| matches!(step, Step::Api(api) if matches!(api.does, ApiFault::Stale));
    if let Some(index) = case.steps.iter().position(stale) {
        let step = index + 1;
        return Some(format!("step {step} needs a fault inside the API server: stale reads"));
    }
    let least = least(case);
    (least > longest).then(|| {
        format!("it takes at least {least:?} of real time, which is more than {longest:?}")
    })
}

/// How long a scenario takes at least: the sum of what it waits for regardless of what happens.
fn least(case: &Case) -> Duration {
    let waits = case.steps.iter().map(|step| match step {
        Step::Quiet(Span(span)) | Step::IsolateOperator(Span(span)) => *span,
        Step::Never(seen) | Step::Always(seen) => seen.span.map_or(Duration::ZERO, |Span(s)| s),
        Step::CrashOperator(crash) => crash.down.map_or(Duration::ZERO, |Span(down)| down),
        _ => Duration::ZERO,
    });
    waits.sum()
}

/// Plays a scenario in a namespace of its own, which is gone afterwards. What it compares itself with is played in the
/// fake cluster.
pub async fn run_on(case: &Case, seed: u64, visit: &Visit, quick: bool) -> Outcome {
    let watch = stopwatch::start();
    let quiet = if quick { Duration::ZERO } else { QUIET };
    let played = match reference_shape(case, seed) {
        Ok(reference) => Ok(play(case, seed, visit, quiet, reference).await),
        Err(panic) => Err(panic),
    };
    outcome(case, seed, played, watch.elapsed())
}

async fn play(
    case: &Case,
    seed: u64,
    visit: &Visit,
    quiet: Duration,
    reference: Vec<String>,
) -> Played {
    let foreign = match visit.settle().await {
        Ok(foreign) => Arc::new(foreign),
        Err(error) => return Played::none("world", error.to_string()),
    };
    let watch = stopwatch::start();
    let options = WorldOptions { virtual_time: false, ..options(&case.world, seed) };
    let world = Ok(World::start_on(Arc::clone(&foreign), &options));
    let mut played = story(case, world, (SETTLE, quiet), reference, watch).await;
    if let Err(error) = foreign.forget_nodes().await {
        played.violation =
            played.violation.or(Played::none("clean-up", error.to_string()).violation);
    }
    played
}

/// A scenario that is not played.
#[must_use]
pub fn skipped(case: &Case, seed: u64, reason: String) -> Outcome {
    Outcome {
        name: case.name.clone(),
        file: case.file.clone(),
        seed,
        verdict: Verdict::Skipped(reason),
        trace_hash: String::new(),
        virtual_time: Duration::ZERO,
        real_time: Duration::ZERO,
        told: Duration::ZERO,
        recovery: None,
        shows: case.shows.clone(),
        states: Vec::new(),
        timeline: Timeline::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(steps: &str) -> Option<String> {
        let text = format!("scenario: x\nabout: y\nsteps:\n{steps}");
        obstacle(&Case::parse("x", &text).unwrap(), Duration::from_secs(60))
    }

    #[test]
    fn what_a_foreign_server_cannot_do_is_told() {
        assert_eq!(why("  - kill-container: active\n  - quiet: 1m\n"), None);
        let stale = why("  - quiet: 1s\n  - api: {verb: list, does: stale}\n").unwrap();
        assert!(stale.contains("step 2"), "{stale}");
        let long = why("  - quiet: 1m\n  - always: {state: Normal, for: 2s}\n").unwrap();
        assert!(long.contains("62s"), "{long}");
    }
}
