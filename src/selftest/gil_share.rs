//! `gil-share`: threads of which each holds the global interpreter lock for a share of its time.

use super::arm::{Bench, LOOP, LawError, Runtime};
use super::rounds::{ROUNDS, median};
use super::{Finding, theory};
use crate::candidate::Engine;

/// A task's computation. Less than the 5 ms after which a thread that waits for the lock has it taken from the
/// one that holds it: so the lock is handed over only where a task lets go of it.
const CPU_NS: f64 = 4e6;

const WINDOW_NS: u64 = 150_000_000;

/// A computation that holds the lock, and then one that lets go of it, for two shares of the lock.
pub(super) fn gil_share(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    let engine = Engine::ThreadPoolExecutor;
    if !runtime.offers(engine) {
        return Ok(());
    }
    for held in [0.25, 0.75] {
        let (holding, free) = (runtime.cpu(LOOP, held * CPU_NS), runtime.one_sha256((1.0 - held) * CPU_NS));
        let steps = vec![holding.clone(), free.clone()];
        let mut holds = bench.arm(runtime, Engine::Sequential, 1, vec![holding])?;
        let mut lets_go = bench.arm(runtime, Engine::Sequential, 1, vec![free])?;
        let mut host = bench.cores(runtime, &steps)?;
        for workers in [1, 2, 4] {
            let mut arm = bench.arm(runtime, engine, workers, steps.clone())?;
            if !arm.gil {
                return Ok(());
            }
            let (mut theories, mut ratios, mut shares) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let (held_ns, free_ns) = (1e9 / holds.rate(WINDOW_NS)?, 1e9 / lets_go.rate(WINDOW_NS)?);
                let usable = host.usable()?;
                let rate = arm.rate(WINDOW_NS)?;
                let task_ns = held_ns + free_ns;
                let theory = theory::lock_share(workers, held_ns / task_ns, usable) * 1e9 / task_ns;
                theories.push(theory);
                ratios.push(rate / theory);
                shares.push(held_ns / task_ns);
            }
            let theory = median(&theories);
            show(Finding {
                law: "gil-share",
                what: arm.candidate.clone(),
                theory,
                measured: theory * median(&ratios),
                unit: "/s",
                tolerance: Some((0.90, 1.10)),
                from: format!("the lock held {:.0} % of a task", median(&shares) * 100.0),
            });
        }
    }
    Ok(())
}
