//! `utilisation`: the cores are used as much as the tasks that end need them, and a window shows as many as are used.

use super::arm::{Arm, Bench, LOOP, LawError, Runtime, at_once, wait};
use super::rounds::{ROUNDS, median};
use super::{Finding, theory};
use crate::candidate::Engine;
use crate::protocol::Block;

/// What is spent on waking up for a block and on its figures is little beside the tasks in it.
const WINDOW_NS: u64 = 150_000_000;

/// What tasks are in flight where a window is held against the cores that are used.
const IN_FLIGHT: [u32; 3] = [2, 16, 64];
/// No window of a session is shorter.
const SHORTEST_NS: f64 = 1e7;
/// Short windows on either side of a long block.
const SHORT_WINDOWS: usize = 2;

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
pub(super) fn utilisation(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
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
                let references = references.collect::<Result<Vec<Arm>, LawError>>()?;
                show(finding(arm, references, named, *window_ns)?);
            }
        }
        for in_flight in IN_FLIGHT {
            let cpu_ns = if runtime.is_interpreted() { 2e6 } else { 1e6 };
            show(cores_shown(bench.arm(runtime, engine, in_flight, vec![runtime.cpu(LOOP, cpu_ns)])?)?);
        }
    }
    Ok(())
}

/// Holds the cores that windows of two turns of tasks show, as those of a session are (throughput x CPU per task),
/// against the CPU time that is used in blocks so long that their edges do not matter. If the tasks that straddle the
/// edges of a window ran under less than full load, it would show too many, and the more so the more are in flight.
fn cores_shown(mut arm: Arm) -> Result<Finding, LawError> {
    let mut turn_ns = 0.0;
    for _ in 0..2 {
        let block = arm.window(WINDOW_NS)?;
        turn_ns = block.busy_ns as f64 / block.tasks_in_window;
    }
    let (short_ns, long_ns) = (SHORTEST_NS.max(2.0 * turn_ns), (2 * WINDOW_NS) as f64 + 10.0 * turn_ns);
    let (mut theories, mut ratios, mut demands_ns) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Half of the short windows before the long block, and half after it.
        let mut rates = short_rates(&mut arm, short_ns)?;
        let long = arm.window(long_ns as u64)?;
        rates.extend(short_rates(&mut arm, short_ns)?);
        let (theory, demand_ns) = (cpu_ns(&long) / long.elapsed_ns as f64, cpu_ns(&long) / long.tasks as f64);
        let rate = rates.iter().sum::<f64>() / rates.len() as f64;
        theories.push(theory);
        ratios.push(theory::utilisation(rate, demand_ns) / theory);
        demands_ns.push(demand_ns);
    }
    let theory = median(&theories);
    Ok(Finding {
        law: "utilisation",
        what: format!("cores shown by a window, {}", arm.candidate),
        theory,
        measured: theory * median(&ratios),
        unit: "CPU s/s",
        tolerance: Some((0.99, 1.01)),
        from: format!("{:.3} ms of CPU a task, windows of {:.1} ms", median(&demands_ns) / 1e6, short_ns / 1e6),
    })
}

fn short_rates(arm: &mut Arm, window_ns: f64) -> Result<Vec<f64>, LawError> {
    (0..SHORT_WINDOWS).map(|_| arm.rate(window_ns as u64)).collect()
}

/// Holds the usage of `arm` against the demand of the tasks of `references`, in the same rounds.
fn finding(mut arm: Arm, mut references: Vec<Arm>, named: &str, window_ns: u64) -> Result<Finding, LawError> {
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
