//! `pipeline`: stages behind queues are as fast as the slowest of them.

use super::arm::{Arm, Bench, Fault, Runtime, queue, wait};
use super::cases::SHARING;
use super::rounds::rates;
use super::{Finding, theory};

/// In flight: enough for the slowest stage three times over.
const IN_FLIGHT: u32 = 8;
/// What a task waits before it is handed to the first stage.
const BEFORE_NS: u64 = 4_000_000;
/// Stages, one after another: alone, last, first.
const PIPELINES: [&[u64]; 3] = [&[4_000_000], &[2_000_000, 4_000_000], &[4_000_000, 2_000_000]];
/// A window begins with all tasks at the start of their wait, and the stages idle: little beside its length.
const WINDOW_NS: u64 = 400_000_000;

/// A wait and then one or two consumers behind queues.
pub(super) fn pipeline(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), Fault> {
    for engine in SHARING.into_iter().filter(|engine| runtime.offers(*engine)) {
        let mut arms = PIPELINES
            .iter()
            .map(|stages| {
                let steps = std::iter::once(wait(BEFORE_NS)).chain(stages.iter().map(|time_ns| queue(*time_ns)));
                bench.arm(runtime, engine, IN_FLIGHT, steps.collect())
            })
            .collect::<Result<Vec<Arm>, Fault>>()?;
        let rates = rates(&mut arms, WINDOW_NS)?;
        for ((arm, stages_ns), rate) in arms.iter().zip(PIPELINES).zip(&rates) {
            let times: Vec<f64> = stages_ns.iter().map(|time_ns| *time_ns as f64).collect();
            let named: Vec<String> = times.iter().map(|time_ns| format!("{:.0} ms", time_ns / 1e6)).collect();
            show(Finding {
                law: "pipeline",
                what: arm.candidate.clone(),
                theory: theory::pipeline(IN_FLIGHT, BEFORE_NS as f64, &times),
                measured: *rate,
                unit: "/s",
                tolerance: Some((0.92, 1.08)),
                from: format!("stages of {}", named.join(", ")),
            });
        }
    }
    Ok(())
}
