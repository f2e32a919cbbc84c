//! `utilisation`: the cores are used as much as the tasks that end need them.

use super::arm::{Arm, Bench, Fault, LOOP, Runtime, at_once, wait};
use super::rounds::{ROUNDS, median};
use super::{Finding, theory};
use crate::candidate::Engine;
use crate::protocol::Block;

/// What is spent on waking up for a block and on its figures is little beside the tasks in it.
const WINDOW_NS: u64 = 150_000_000;

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
    // What is named, a window's length, and how many tasks compute at a time at most.
    let cases = [("computing", busy, WINDOW_NS, bench.usable_cpus), ("waiting 4/5", mix, 2 * WINDOW_NS, 1)];
    for engine in ENGINES.into_iter().filter(|engine| runtime.offers(*engine)) {
        for (named, steps, window_ns, most) in &cases {
            for size in [1, 2] {
                let arm = bench.arm(runtime, engine, size, steps.clone())?;
                // A task that has its core to itself needs less than one that shares it with a neighbour on the
                // core's other hardware thread: as many run beside each other in the reference.
                let at_a_time = if arm.computes_one_at_a_time() { 1 } else { size.min(*most) };
                let references = (0..at_a_time).map(|_| bench.arm(runtime, Engine::Sequential, 1, steps.clone()));
                let references = references.collect::<Result<Vec<Arm>, Fault>>()?;
                show(finding(arm, references, named, *window_ns)?);
            }
        }
    }
    Ok(())
}

/// Holds the usage of `arm` against the demand of the tasks of `references`, in the same rounds.
fn finding(mut arm: Arm, mut references: Vec<Arm>, named: &str, window_ns: u64) -> Result<Finding, Fault> {
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
