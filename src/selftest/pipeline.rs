//! `pipeline`: stages behind queues are as fast as the slowest of them.

use super::arm::{Bench, LawError, Runtime, queue, wait};
use super::cases::SHARING;
use super::rounds::rates;
use super::{Finding, theory};

/// In flight: enough for the slowest stage three times over.
const IN_FLIGHT: u32 = 8;
/// What a task waits before it is handed to the first stage.
const BEFORE_NS: u64 = 4_000_000;
/// Stages, one after another: alone, last, first.
const PIPELINES: [&[u64]; 3] = [&[SLOWEST_NS], &[2_000_000, SLOWEST_NS], &[SLOWEST_NS, 2_000_000]];
/// A window begins with all tasks at the start of their wait, and the stages idle: little beside its length.
const WINDOW_NS: u64 = 300_000_000;
/// The slowest stage of each.
const SLOWEST_NS: u64 = 4_000_000;

/// A wait and then one or two consumers behind queues.
pub(super) fn pipeline(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    for engine in SHARING.into_iter().filter(|engine| runtime.offers(*engine)) {
        // The slowest stage as a task of its own, one after another: what the engine adds to its time. (With a hand-over
        // to the consumer in it, one in flight would pay for two wake-ups that a stage with a backlog does without.)
        let mut arms = vec![bench.arm(runtime, engine, 1, vec![wait(SLOWEST_NS)])?];
        for stages_ns in PIPELINES {
            let stages = stages_ns.iter().map(|time_ns| queue(*time_ns));
            let steps = std::iter::once(wait(BEFORE_NS)).chain(stages).collect();
            arms.push(bench.arm(runtime, engine, IN_FLIGHT, steps)?);
        }
        let rates = rates(&mut arms, WINDOW_NS)?;
        let extra_ns = 1e9 / rates[0] - SLOWEST_NS as f64;
        for ((arm, stages_ns), rate) in arms.iter().skip(1).zip(PIPELINES).zip(rates.iter().skip(1)) {
            let times: Vec<f64> = stages_ns.iter().map(|time_ns| *time_ns as f64 + extra_ns).collect();
            let named: Vec<String> = stages_ns.iter().map(|time_ns| format!("{} ms", time_ns / 1_000_000)).collect();
            show(Finding {
                law: "pipeline",
                what: arm.candidate.clone(),
                theory: theory::pipeline(IN_FLIGHT, BEFORE_NS as f64, &times),
                measured: *rate,
                unit: "/s",
                tolerance: Some((0.92, 1.08)),
                from: format!("stages of {}, each {:.0} us more", named.join(", "), extra_ns / 1e3),
            });
        }
    }
    Ok(())
}
