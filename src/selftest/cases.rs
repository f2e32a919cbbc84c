//! The laws of one resource at a time: waits, cores, a lock.

use super::arm::{Arm, Bench, LOOP, LawError, Runtime, SHA256, lock, wait};
use super::rounds::{ROUNDS, rates};
use super::{Finding, theory};
use crate::candidate::{Engine, Model};
use crate::protocol::{Block, StepJob};
use crate::stats;

const WAIT_NS: u64 = 10_000_000;

/// Beyond this many waits in flight, what an interpreter does for each of them shows: a cost, and no law.
const MOST_INTERPRETED: u32 = 16;

/// How far threads under a global interpreter lock may be from one thread: they hand it to each other, at a cost
/// that differs from version to version.
const UNDER_A_LOCK: (f64, f64) = (0.8, 1.1);

/// `wait 10ms` under every engine that overlaps waits.
pub(super) fn waits(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    const WORKERS: &[u32] = &[1, 4, 16, 64];
    const LOOPS: &[u32] = &[1, 16, 64, 1000];
    let cases = [
        (Engine::ThreadPool, WORKERS),
        (Engine::ThreadPerTask, WORKERS),
        (Engine::Rayon, WORKERS),
        (Engine::ProcessPool, WORKERS),
        (Engine::TokioCurrentThread, LOOPS),
        (Engine::TokioMultiThread, LOOPS),
        (Engine::ThreadPoolExecutor, WORKERS),
        (Engine::Thread, WORKERS),
        (Engine::ProcessPoolExecutor, WORKERS),
        (Engine::MultiprocessingPool, WORKERS),
        (Engine::InterpreterPoolExecutor, WORKERS),
        (Engine::Asyncio, LOOPS),
        (Engine::Uvloop, LOOPS),
    ];
    for (engine, sizes) in cases.into_iter().filter(|case| runtime.offers(case.0)) {
        let mut arms = sizes
            .iter()
            .map(|size| bench.arm(runtime, engine, *size, vec![wait(WAIT_NS)]))
            .collect::<Result<Vec<Arm>, LawError>>()?;
        let rates = rates(&mut arms, 5 * WAIT_NS)?;
        let extra_ns = 1e9 / rates[0] - WAIT_NS as f64;
        for ((arm, size), rate) in arms.iter().zip(sizes).zip(&rates) {
            let finding = |theory, tolerance, from: String| Finding {
                law: "wait",
                what: arm.candidate.clone(),
                theory,
                measured: *rate,
                unit: "/s",
                tolerance,
                from,
            };
            let alone = theory::waits(*size, WAIT_NS as f64, 0.0);
            if runtime.is_interpreted() && *size > MOST_INTERPRETED {
                let more_us = (f64::from(*size) * 1e9 / rate - WAIT_NS as f64) / 1e3;
                show(finding(alone, None, format!("a wait takes {more_us:.0} us more")));
                continue;
            }
            let from = format!("one in flight adds {:.1} us", extra_ns / 1e3);
            show(finding(theory::waits(*size, WAIT_NS as f64, extra_ns), Some((0.97, 1.03)), from));
            // A thread per task pays for its start; pools and event loops have no excuse.
            if ![Engine::ThreadPerTask, Engine::Thread].contains(&engine) {
                show(finding(alone, Some((0.95, 1.05)), "10 ms alone".to_owned()));
            }
        }
    }
    Ok(())
}

/// Computing 2 ms: workers scale up to the usable cores; one event loop does not, and threads do under a global
/// interpreter lock only with a computation that lets go of it.
pub(super) fn cpu(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    let plain = [
        Engine::ThreadPool,
        Engine::Rayon,
        Engine::ProcessPool,
        Engine::TokioMultiThread,
        Engine::TokioCurrentThread,
        Engine::ThreadPoolExecutor,
        Engine::ProcessPoolExecutor,
        Engine::MultiprocessingPool,
        Engine::InterpreterPoolExecutor,
        Engine::Asyncio,
        Engine::Uvloop,
    ];
    let task = vec![runtime.cpu(LOOP, 2e6)];
    for engine in plain.into_iter().filter(|engine| runtime.offers(*engine)) {
        scaling(bench, runtime, engine, &task, Holds::Interpreter, show)?;
    }
    let task = vec![runtime.cpu(SHA256, 2e6)];
    for engine in [Engine::ThreadPoolExecutor].into_iter().filter(|engine| runtime.offers(*engine)) {
        scaling(bench, runtime, engine, &task, Holds::Nothing, show)?;
    }
    Ok(())
}

/// What a computation holds while it runs.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    /// The global interpreter lock, where there is one.
    Interpreter,
    Nothing,
}

/// How the rate of `engine` grows from one worker to as many as there are CPUs, and to twice as many.
fn scaling(
    bench: &mut Bench,
    runtime: &Runtime,
    engine: Engine,
    task: &[StepJob],
    holds: Holds,
    show: &mut dyn FnMut(Finding),
) -> Result<(), LawError> {
    const WINDOW_NS: u64 = 40_000_000;
    let mut one = bench.arm(runtime, engine, 1, task.to_vec())?;
    let alone = one.computes_one_at_a_time() && holds == Holds::Interpreter;
    let under_a_lock = alone && engine.model() == Model::Threads;
    if under_a_lock {
        one = bench.arm(runtime, Engine::Sequential, 1, task.to_vec())?;
    }
    let mut host = bench.cores(runtime, task)?;
    for size in [bench.usable_cpus, 2 * bench.usable_cpus] {
        let mut many = bench.arm(runtime, engine, size, task.to_vec())?;
        let expected = |usable| if alone { 1.0 } else { theory::cpu_scaling(size, usable) };
        let (mut ratios, mut cores) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let first = one.rate(WINDOW_NS)?;
            let usable = host.usable()?;
            let together = many.rate(WINDOW_NS)?;
            ratios.push(together / first / expected(usable));
            cores.push(usable);
        }
        let usable = stats::median(&cores).unwrap_or(f64::NAN);
        let theory = expected(usable);
        let kernel = if holds == Holds::Nothing { "sha256 of 1 MiB, " } else { "" };
        show(Finding {
            law: "cpu",
            what: many.candidate.clone(),
            theory,
            measured: theory * stats::median(&ratios).unwrap_or(f64::NAN),
            unit: if under_a_lock { "x sequential" } else { "x one worker" },
            tolerance: Some(if under_a_lock { UNDER_A_LOCK } else { (0.95, 1.05) }),
            from: format!("{kernel}{usable:.2} usable cores"),
        });
    }
    Ok(())
}

/// A lock held for 2 ms of a 10 ms task. Near the knee (4 to 6 in flight) tasks wait for each other by
/// chance, which the bound leaves out.
pub(super) fn locks(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    for engine in SHARING.into_iter().filter(|engine| runtime.offers(*engine)) {
        let sizes = [1, 2, 3, 8, 16];
        let mut arms = sizes
            .iter()
            .map(|size| bench.arm(runtime, engine, *size, vec![wait(8_000_000), lock(2_000_000)]))
            .collect::<Result<Vec<Arm>, LawError>>()?;
        let rates = rates(&mut arms, 10 * WAIT_NS)?;
        for ((arm, size), rate) in arms.iter().zip(sizes).zip(&rates) {
            show(Finding {
                law: "lock",
                what: arm.candidate.clone(),
                theory: theory::lock(size, 10e6, 2e6),
                measured: *rate,
                unit: "/s",
                tolerance: Some((0.90, 1.01)),
                from: "2 ms of 10 ms held".to_owned(),
            });
        }
    }
    Ok(())
}

/// The engines whose tasks meet at a lock or a queue: one for each kind of lock.
pub(super) const SHARING: [Engine; 7] = [
    Engine::ThreadPool,
    Engine::TokioCurrentThread,
    Engine::ProcessPool,
    Engine::ThreadPoolExecutor,
    Engine::Asyncio,
    Engine::ProcessPoolExecutor,
    Engine::MultiprocessingPool,
];

/// Little's law: tasks in flight are throughput times latency, pooled over 1,000 tasks and more.
pub(super) fn little(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    for engine in SHARING.into_iter().filter(|engine| runtime.offers(*engine)) {
        let mut arm = bench.arm(runtime, engine, 8, vec![wait(8_000_000), lock(2_000_000)])?;
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
            tolerance: Some((0.98, 1.02)),
            from: format!("{tasks:.0} tasks"),
        });
    }
    Ok(())
}

/// A program of which a share runs on one thread, and the rest under a pool that scales.
pub(super) fn amdahl(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    // What a process pool of an interpreter spends on a task, some 100 us, must be little beside the task.
    let (tasks, task_ns) = if runtime.is_interpreted() { (80, 2e6) } else { (160, 5e5) };
    let steps = vec![runtime.cpu(LOOP, task_ns)];
    let engines = [
        Engine::ThreadPool,
        Engine::ThreadPoolExecutor,
        Engine::ProcessPoolExecutor,
        Engine::MultiprocessingPool,
        Engine::InterpreterPoolExecutor,
    ];
    let mut whole = bench.arm(runtime, Engine::Sequential, 1, steps.clone())?;
    let mut host = bench.cores(runtime, &steps)?;
    for engine in engines.into_iter().filter(|engine| runtime.offers(*engine)) {
        for serial in [0.1, 0.25, 0.5] {
            let serial_tasks = (f64::from(tasks) * serial).round() as u32;
            let mut rest = bench.arm(runtime, engine, bench.usable_cpus, steps.clone())?;
            if rest.computes_one_at_a_time() {
                break;
            }
            let mut first = bench.arm(runtime, Engine::Sequential, 1, steps.clone())?;
            let (mut ratios, mut cores) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let alone_ns = whole.makespan_ns(tasks)?;
                let usable = host.usable()?;
                let together_ns = first.makespan_ns(serial_tasks)? + rest.makespan_ns(tasks - serial_tasks)?;
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
                tolerance: Some((0.95, 1.05)),
                from: format!("{usable:.2} usable cores"),
            });
        }
    }
    Ok(())
}
