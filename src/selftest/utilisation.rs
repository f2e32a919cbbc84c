//! `utilisation`: the cores are used as much as the tasks that end need them.

use super::arm::{Arm, Bench, Fault, LOOP, Runtime, at_once, wait};
use super::rounds::{ROUNDS, median};
use super::{Finding, theory};
use crate::candidate::Engine;
use crate::protocol::{Block, StepJob};

/// What is spent on waking up for a block and on its figures is little beside the tasks in it.
const TASKS_IN_A_WINDOW: f64 = 60.0;

/// One engine for each way in which CPU time is spent and metered.
const ENGINES: [Engine; 6] = [
    Engine::ThreadPool,
    Engine::TokioMultiThread,
    Engine::ProcessPool,
    Engine::ThreadPoolExecutor,
    Engine::Asyncio,
    Engine::ProcessPoolExecutor,
];

/// Tasks that compute, and tasks that wait four times as long as they compute, under one worker and two.
pub(super) fn utilisation(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), Fault> {
    // What an interpreter spends on a task, up to some 200 us, must be little beside the task.
    let cpu_ns = if runtime.is_interpreted() { 1e7 } else { 2e6 };
    let busy = vec![runtime.cpu(LOOP, cpu_ns)];
    let mix = vec![wait(4 * cpu_ns as u64), runtime.cpu(LOOP, cpu_ns)];
    for engine in ENGINES.into_iter().filter(|engine| runtime.offers(*engine)) {
        for (steps, named) in [(&busy, "computing"), (&mix, "waiting 4/5")] {
            for size in [1, 2] {
                let arm = bench.arm(runtime, engine, size, steps.clone())?;
                // The demand of a task that has its core to itself is less than that of one which shares the core
                // with a neighbour on its other hardware thread: the same number of tasks compute at a time.
                let alone = arm.computes_one_at_a_time() || named != "computing";
                let at_a_time = if alone { 1 } else { size.min(bench.usable_cpus) };
                let references = (0..at_a_time).map(|_| bench.arm(runtime, Engine::Sequential, 1, steps.clone()));
                let references = references.collect::<Result<Vec<Arm>, Fault>>()?;
                show(finding(arm, references, named, steps, TASKS_IN_A_WINDOW * cpu_ns)?);
            }
        }
    }
    Ok(())
}

/// Holds the usage of `arm` against the demand of the tasks of `references`, in the same rounds.
fn finding(
    mut arm: Arm,
    mut references: Vec<Arm>,
    named: &str,
    steps: &[StepJob],
    window_ns: f64,
) -> Result<Finding, Fault> {
    let window_ns = (window_ns * if steps.len() > 1 { 2.0 } else { 1.0 }) as u64;
    let (mut theories, mut ratios, mut demands_ns) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let alone = at_once(&mut references, window_ns)?;
        let demand_ns =
            alone.iter().map(cpu_ns).sum::<f64>() / alone.iter().map(|block| block.tasks as f64).sum::<f64>();
        let block = arm.window(window_ns)?;
        let elapsed_ns = block.elapsed_ns as f64;
        let theory = theory::utilisation(block.tasks as f64 * 1e9 / elapsed_ns, demand_ns);
        theories.push(theory);
        ratios.push(cpu_ns(&block) / elapsed_ns / theory);
        demands_ns.push(demand_ns);
    }
    let theory = median(&theories);
    Ok(Finding {
        law: "utilisation",
        what: format!("{named}, {}", arm.candidate),
        theory,
        measured: theory * median(&ratios),
        unit: "CPU s/s",
        tolerance: Some((0.95, 1.05)),
        from: format!("{:.3} ms of CPU a task on sequential", median(&demands_ns) / 1e6),
    })
}

fn cpu_ns(block: &Block) -> f64 {
    block.usage.cpu_ns() as f64
}
