//! `makespan`: a batch of equal tasks takes whole turns of its workers.

use super::arm::{Bench, LawError, Runtime, wait};
use super::rounds::{ROUNDS, median};
use super::{Finding, theory};
use crate::candidate::Engine;

/// So long that what an engine spends on a batch, up to some milliseconds, is little beside two turns.
const SERVICE_NS: u64 = 50_000_000;

/// Workers and tasks, of which the last turn is not full: without whole turns a batch would take a sixth less.
const BATCHES: [(u32, u32); 3] = [(2, 5), (4, 10), (6, 15)];

/// One engine for each way in which a batch is handed over.
const ENGINES: [Engine; 6] = [
    Engine::ThreadPool,
    Engine::TokioCurrentThread,
    Engine::ProcessPool,
    Engine::ThreadPoolExecutor,
    Engine::Asyncio,
    Engine::ProcessPoolExecutor,
];

/// Batches of `wait 50ms`, a number of which no number of workers is a divisor.
pub(super) fn makespan(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    for engine in ENGINES.into_iter().filter(|engine| runtime.offers(*engine)) {
        for (workers, tasks) in BATCHES {
            let mut arm = bench.arm(runtime, engine, workers, vec![wait(SERVICE_NS)])?;
            let makespans_ns = (0..ROUNDS).map(|_| arm.makespan_ns(tasks)).collect::<Result<Vec<f64>, LawError>>()?;
            show(Finding {
                law: "makespan",
                what: format!("{tasks} tasks, {}", arm.candidate),
                theory: theory::makespan(tasks, workers, SERVICE_NS as f64) / 1e6,
                measured: median(&makespans_ns) / 1e6,
                unit: "ms",
                tolerance: Some((0.95, 1.05)),
                from: format!("{} turns of 50 ms", tasks.div_ceil(workers)),
            });
        }
    }
    Ok(())
}
