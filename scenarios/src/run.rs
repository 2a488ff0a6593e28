//! Playing a scenario: a world on a fresh seeded thread, step after step, then all faults end and
//! the pair must come to rest; then an hour in which nothing may be written; then the oracles.
//!
//! Never: leaves a step out. The first thing that is not as it should be ends the run.

mod checks;
mod credentials;
mod damage;
mod faults;
mod foreign;
mod members;
mod nodes;
mod objects;
mod reference;
mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fake_agent::Durations;
use fake_apiserver::kubelet::Timings;

use crate::case::{Case, Setting, Span};
use crate::determinism::on_seeded_thread;
use crate::oracles::Violation;
use crate::timeline::Timeline;
use crate::world::{OBJECT, World, WorldError, WorldOptions};

pub use self::foreign::{obstacle, run_on, skipped};

/// How long a world may take to come to rest when all faults have ended.
const TO_REST: Duration = Duration::from_secs(600);
/// How long the quiet hour is.
const QUIET_HOUR: Duration = Duration::from_secs(3600);
/// How long a world may settle before the quiet hour begins.
const SETTLE: Duration = Duration::from_secs(60);
/// The longest that a scenario may take, unless it says otherwise.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: Option<PathBuf>,
    /// What it was played with.
    pub seed: u64,
    /// Passed, skipped, or what was wrong.
    pub verdict: Verdict,
    /// Equal for equal runs.
    pub trace_hash: String,
    /// How long it took in the world.
    pub virtual_time: Duration,
    /// How long it took outside.
    pub real_time: Duration,
    /// Real time from the world's beginning until the last step was done: what the story itself takes.
    pub told: Duration,
    /// The longest time without service after the first fault.
    pub recovery: Option<Duration>,
    /// The rows of the failure catalogue that it shows.
    pub shows: Vec<u32>,
    /// The states that the object went through.
    pub states: Vec<String>,
    /// What happened.
    pub timeline: Timeline,
}

/// Whether a scenario passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did.
    Passed,
    /// It was not played, for this reason.
    Skipped(String),
    /// This was wrong first.
    Failed(Violation),
}

impl Outcome {
    /// It passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }
}

/// Plays a scenario.
#[must_use]
pub fn run(case: &Case, seed: u64) -> Outcome {
    run_with(case, seed, QUIET_HOUR)
}

/// Plays a scenario without the hour at its end, to measure how long the story takes.
#[must_use]
pub fn without_quiet_hour(case: &Case, seed: u64) -> Outcome {
    run_with(case, seed, Duration::ZERO)
}

fn run_with(case: &Case, seed: u64, hour: Duration) -> Outcome {
    let watch = stopwatch::start();
    let played = reference_shape(case, seed)
        .and_then(|reference| seeded(case.clone(), seed, hour, reference));
    outcome(case, seed, played, watch.elapsed())
}

/// What the world looks like at the end of the same story without its faults, if somebody asks.
fn reference_shape(case: &Case, seed: u64) -> std::thread::Result<Vec<String>> {
    reference::of(case).map_or_else(
        || Ok(Vec::new()),
        |reference| seeded(reference, seed, Duration::ZERO, Vec::new()).map(|played| played.shape),
    )
}

/// What came of a scenario that was played, or that panicked.
fn outcome(
    case: &Case,
    seed: u64,
    played: std::thread::Result<Played>,
    real_time: Duration,
) -> Outcome {
    let played = played.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        let message = "something in the world panicked".into();
        Played { violation: Some(wrong("no-panic", message, vec![text])), ..Played::default() }
    });
    Outcome {
        name: case.name.clone(),
        file: case.file.clone(),
        seed,
        verdict: played.violation.map_or(Verdict::Passed, Verdict::Failed),
        trace_hash: played.trace_hash,
        virtual_time: played.virtual_time,
        real_time,
        told: played.told,
        recovery: played.recovery,
        shows: case.shows.clone(),
        states: played.states,
        timeline: played.timeline,
    }
}

/// Plays a scenario on a thread of its own.
fn seeded(
    case: Case,
    seed: u64,
    hour: Duration,
    reference: Vec<String>,
) -> std::thread::Result<Played> {
    on_seeded_thread(seed, move || play(&case, seed, hour, reference))
}

#[derive(Default)]
struct Played {
    /// What the world looked like at the end.
    shape: Vec<String>,
    violation: Option<Violation>,
    trace_hash: String,
    virtual_time: Duration,
    told: Duration,
    recovery: Option<Duration>,
    states: Vec<String>,
    timeline: Timeline,
}

impl Played {
    /// There was not even a world.
    fn none(law: &str, message: String) -> Self {
        Self { violation: Some(wrong(law, message, Vec::new())), ..Self::default() }
    }
}

/// What is wrong before anything was played.
fn wrong(law: &str, message: String, details: Vec<String>) -> Violation {
    Violation { at: Duration::ZERO, law: law.into(), message, details }
}

/// Plays a scenario on this thread.
fn play(case: &Case, seed: u64, hour: Duration, reference: Vec<String>) -> Played {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    // See .cargo/config.toml: tokio has chance of its own.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    match builder.build() {
        Ok(runtime) => runtime.block_on(async {
            let watch = stopwatch::start();
            let world = World::start(options(&case.world, seed)).await;
            story(case, world, (SETTLE, hour), reference, watch).await
        }),
        Err(error) => Played::none("runtime", format!("no runtime: {error}")),
    }
}

/// Tells a story in a world, since whose beginning the watch runs. At its end the world settles for a while, and is quiet for an hour, or
/// another span; none if that is zero.
async fn story(
    case: &Case,
    world: Result<World, WorldError>,
    (settle, hour): (Duration, Duration),
    reference: Vec<String>,
    watch: stopwatch::Stopwatch,
) -> Played {
    let world = match world {
        Ok(world) => Arc::new(world),
        Err(error) => return Played::none("world", error.to_string()),
    };
    let limit = case.world.limit.map_or(LIMIT, |Span(limit)| limit);
    let mut player = steps::Player::new(Arc::clone(&world), case, reference);
    let acts = async {
        player.provision().await?;
        for (index, step) in case.steps.iter().enumerate() {
            player.step(index + 1, step).await?;
        }
        let told = watch.elapsed();
        player.come_to_rest(TO_REST).await.map(|()| told)
    };
    let played = tokio::select! {
        biased;
        () = world.api.interrupted() => None,
        played = tokio::time::timeout(limit, acts) => Some(played),
    };
    let played = match played {
        Some(Ok(played)) => played,
        Some(Err(_)) => Err(player.wrong("limit", "the scenario takes too long", Vec::new())),
        None => Err(player.wrong("interrupted", "the scenario was interrupted", Vec::new())),
    };
    let virtual_time = world.record.now();
    let recovery = player.recovery();
    let told = played.as_ref().map_or_else(|_| watch.elapsed(), |told| *told);
    match played {
        Ok(_) => player.judge_story(),
        Err(violation) => world.record.with(|record| {
            record.oracles.violation.get_or_insert(violation);
        }),
    }
    // The hash is that of the story; the hour after it adds nothing to compare.
    let trace_hash = world.record.with(|record| record.trace_hash());
    let shape = reference::shape(&world).await;
    let quiet = world.record.violation().is_none() && case.ends != "gone" && !hour.is_zero();
    if quiet {
        tokio::select! {
            biased;
            () = world.api.interrupted() => {}
            () = player.quiet_hour(settle, hour) => {}
        }
    }
    let left = world.leave().await;
    world.operators.stop().await;
    if let Err(error) = left {
        player.left_behind(&error);
    }
    world.record.with(|record| Played {
        shape,
        violation: record.oracles.violation.clone(),
        trace_hash,
        virtual_time,
        told,
        recovery,
        states: record.states.remove(OBJECT).unwrap_or_default(),
        timeline: std::mem::take(&mut record.timeline),
    })
}

/// The world that a scenario asks for.
fn options(setting: &Setting, seed: u64) -> WorldOptions {
    let mut durations = Durations::default();
    if let Some(Span(copy)) = setting.duplicate {
        durations.duplicate_base = copy;
    }
    if let Some(Span(delay)) = setting.agent_delay {
        for verb in [
            &mut durations.get,
            &mut durations.start_daemon,
            &mut durations.create_db,
            &mut durations.open_close,
            &mut durations.create_rep_scheme,
            &mut durations.start_rep_agent,
            &mut durations.rep_state_set_active,
            &mut durations.load_db,
            &mut durations.other,
        ] {
            *verb += delay;
        }
    }
    let kubelet = Timings {
        pull: setting.image_pull.map_or(Duration::ZERO, |Span(pull)| pull),
        ..Timings::default()
    };
    let usual = Duration::from_millis(100);
    WorldOptions {
        seed,
        virtual_time: true,
        nodes: setting.nodes.and_then(|nodes| u8::try_from(nodes).ok()).unwrap_or(3),
        durations,
        kubelet,
        durable: setting.durable.unwrap_or(true),
        commit_bytes: 1024 * u64::from(setting.commit_kilobytes.unwrap_or(1)),
        writes_every: Some(setting.writes_every.map_or(usual, |Span(every)| every)),
        operators: setting.operators.unwrap_or(1),
        election: setting.election.unwrap_or_else(|| setting.operators.is_some()),
    }
}

/// Real time, for the report alone.
mod stopwatch {
    use std::time::Duration;

    pub(super) struct Stopwatch(std::time::Instant);

    #[expect(
        clippy::disallowed_methods,
        reason = "a report tells real time; nothing depends on it"
    )]
    pub(super) fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    impl Stopwatch {
        pub(super) fn elapsed(&self) -> Duration {
            self.0.elapsed()
        }
    }
}
