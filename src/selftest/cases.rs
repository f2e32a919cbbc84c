//! The laws, each measured in rounds in which everything that is compared runs once.

use super::arm::{Arm, Bench, Fault, lock, wait};
use super::{Finding, theory};
use crate::candidate::Engine;
use crate::protocol::Block;
use crate::stats;

/// A law: measures, and shows its findings.
type Case = fn(&mut Bench, &mut dyn FnMut(Finding)) -> Result<(), Fault>;

/// The laws, by name.
pub(super) const ALL: [(&str, Case); 5] =
    [("wait", waits), ("cpu", cpu), ("lock", locks), ("little", little), ("amdahl", amdahl)];

/// Rounds behind each median.
const ROUNDS: usize = 9;

const WAIT_NS: u64 = 10_000_000;

/// `wait 10ms` under every engine that overlaps waits.
fn waits(bench: &mut Bench, show: &mut dyn FnMut(Finding)) -> Result<(), Fault> {
    let cases: [(Engine, &[u32]); 6] = [
        (Engine::ThreadPool, &[1, 4, 16, 64]),
        (Engine::ThreadPerTask, &[1, 4, 16, 64]),
        (Engine::Rayon, &[1, 4, 16, 64]),
        (Engine::ProcessPool, &[1, 4, 16, 64]),
        (Engine::TokioCurrentThread, &[1, 16, 64, 1000]),
        (Engine::TokioMultiThread, &[1, 16, 64, 1000]),
    ];
    for (engine, sizes) in cases {
        let mut arms = sizes
            .iter()
            .map(|size| bench.arm(engine, *size, vec![wait(WAIT_NS)]))
            .collect::<Result<Vec<Arm>, Fault>>()?;
        let rates = rates(&mut arms, 5 * WAIT_NS)?;
        let extra_ns = 1e9 / rates[0] - WAIT_NS as f64;
        let from = format!("one in flight adds {:.1} us", extra_ns / 1e3);
        for ((arm, size), rate) in arms.iter().zip(sizes).zip(&rates) {
            let law = |theory, tolerance, from: &str| Finding {
                law: "wait",
                what: arm.candidate.clone(),
                theory,
                measured: *rate,
                unit: "/s",
                tolerance,
                from: from.to_owned(),
            };
            show(law(theory::waits(*size, WAIT_NS as f64, extra_ns), (0.97, 1.03), &from));
            // A thread per task pays for its start; pools and event loops have no excuse.
            if engine != Engine::ThreadPerTask {
                show(law(theory::waits(*size, WAIT_NS as f64, 0.0), (0.95, 1.05), "10 ms alone"));
            }
        }
    }
    Ok(())
}

/// The median rate of each arm over rounds in which each runs one window.
fn rates(arms: &mut [Arm], window_ns: u64) -> Result<Vec<f64>, Fault> {
    let mut rates = vec![Vec::with_capacity(ROUNDS); arms.len()];
    for _ in 0..ROUNDS {
        for (arm, rates) in arms.iter_mut().zip(&mut rates) {
            rates.push(arm.window(window_ns)?.throughput_per_s());
        }
    }
    Ok(rates.iter().map(|rates| stats::median(rates).unwrap_or(f64::NAN)).collect())
}

/// Computing 2 ms: workers scale up to the usable cores, one event loop does not.
fn cpu(bench: &mut Bench, show: &mut dyn FnMut(Finding)) -> Result<(), Fault> {
    const WINDOW_NS: u64 = 40_000_000;
    let task = |bench: &Bench| vec![bench.cpu(2e6)];
    let engines =
        [Engine::ThreadPool, Engine::Rayon, Engine::ProcessPool, Engine::TokioMultiThread, Engine::TokioCurrentThread];
    for engine in engines {
        let steps = task(bench);
        let mut one = bench.arm(engine, 1, steps)?;
        for size in [bench.usable_cpus, 2 * bench.usable_cpus] {
            let steps = task(bench);
            let mut many = bench.arm(engine, size, steps)?;
            let (mut ratios, mut cores) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let alone = one.window(WINDOW_NS)?.throughput_per_s();
                let usable = bench.usable_cores()?;
                let together = many.window(WINDOW_NS)?.throughput_per_s();
                let expected =
                    if engine == Engine::TokioCurrentThread { 1.0 } else { theory::cpu_scaling(size, usable) };
                ratios.push(together / alone / expected);
                cores.push(usable);
            }
            let usable = stats::median(&cores).unwrap_or(f64::NAN);
            let theory = if engine == Engine::TokioCurrentThread { 1.0 } else { theory::cpu_scaling(size, usable) };
            show(Finding {
                law: "cpu",
                what: many.candidate.clone(),
                theory,
                measured: theory * stats::median(&ratios).unwrap_or(f64::NAN),
                unit: "x one worker",
                tolerance: (0.95, 1.05),
                from: format!("{usable:.2} usable cores"),
            });
        }
    }
    Ok(())
}

/// A lock held for 2 ms of a 10 ms task. Near the knee (4 to 6 in flight) tasks wait for each other by
/// chance, which the bound leaves out.
fn locks(bench: &mut Bench, show: &mut dyn FnMut(Finding)) -> Result<(), Fault> {
    for engine in [Engine::ThreadPool, Engine::TokioCurrentThread, Engine::ProcessPool] {
        let sizes = [1, 2, 3, 8, 16];
        let mut arms = sizes
            .iter()
            .map(|size| bench.arm(engine, *size, vec![wait(8_000_000), lock(2_000_000)]))
            .collect::<Result<Vec<Arm>, Fault>>()?;
        let rates = rates(&mut arms, 10 * WAIT_NS)?;
        for ((arm, size), rate) in arms.iter().zip(sizes).zip(&rates) {
            show(Finding {
                law: "lock",
                what: arm.candidate.clone(),
                theory: theory::lock(size, 10e6, 2e6),
                measured: *rate,
                unit: "/s",
                tolerance: (0.90, 1.01),
                from: "2 ms of 10 ms held".to_owned(),
            });
        }
    }
    Ok(())
}

/// Little's law: tasks in flight are throughput times latency, pooled over 1,000 tasks and more.
fn little(bench: &mut Bench, show: &mut dyn FnMut(Finding)) -> Result<(), Fault> {
    for engine in [Engine::ThreadPool, Engine::TokioCurrentThread, Engine::ProcessPool] {
        let mut arm = bench.arm(engine, 8, vec![wait(8_000_000), lock(2_000_000)])?;
        let mut blocks: Vec<Block> = Vec::new();
        while blocks.iter().map(|block| block.tasks_in_window).sum::<f64>() < 1100.0 {
            blocks.push(arm.window(400_000_000)?);
        }
        let window_ns: f64 = blocks.iter().map(|block| block.window_ns as f64).sum();
        let tasks: f64 = blocks.iter().map(|block| block.tasks_in_window).sum();
        let services: Vec<_> = blocks.iter().filter_map(|block| block.service.decode().ok()).collect();
        let service_ns = stats::merged(&services).ok().flatten().map_or(f64::NAN, |service| service.mean());
        show(Finding {
            law: "little",
            what: arm.candidate.clone(),
            theory: tasks / window_ns * service_ns,
            measured: blocks.iter().map(|block| block.busy_ns as f64).sum::<f64>() / window_ns,
            unit: "in flight",
            tolerance: (0.98, 1.02),
            from: format!("{tasks:.0} tasks"),
        });
    }
    Ok(())
}

/// A program of which a share runs on one thread, and the rest under a pool.
fn amdahl(bench: &mut Bench, show: &mut dyn FnMut(Finding)) -> Result<(), Fault> {
    const TASKS: u32 = 160;
    let steps = vec![bench.cpu(5e5)];
    let mut whole = bench.arm(Engine::Sequential, 1, steps.clone())?;
    for serial in [0.1, 0.25, 0.5] {
        let serial_tasks = (f64::from(TASKS) * serial).round() as u32;
        let mut first = bench.arm(Engine::Sequential, 1, steps.clone())?;
        let mut rest = bench.arm(Engine::ThreadPool, bench.usable_cpus, steps.clone())?;
        let (mut ratios, mut cores) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let alone_ns = whole.makespan_ns(TASKS)?;
            let usable = bench.usable_cores()?;
            let together_ns = first.makespan_ns(serial_tasks)? + rest.makespan_ns(TASKS - serial_tasks)?;
            ratios.push(alone_ns / together_ns / theory::amdahl(serial, usable));
            cores.push(usable);
        }
        let usable = stats::median(&cores).unwrap_or(f64::NAN);
        let theory = theory::amdahl(serial, usable);
        show(Finding {
            law: "amdahl",
            what: format!("{:.0} % serial, rest {}", serial * 100.0, rest.candidate),
            theory,
            measured: theory * stats::median(&ratios).unwrap_or(f64::NAN),
            unit: "x sequential",
            tolerance: (0.95, 1.05),
            from: format!("{usable:.2} usable cores"),
        });
    }
    Ok(())
}
