//! What must stay small: what recording costs a task, the memory of an agent that has done many tasks, the memory of
//! many tasks in flight.

use std::path::Path;
use std::process::Command;

use conbench::internal::candidate::Engine;
use conbench::internal::python::Interpreter;
use conbench::internal::workload::{Cpu, Distribution, Kernel, Load, Step};

use super::agent::Bench;
use super::table::Line;

pub(crate) fn measure(interpreter: &Interpreter) -> Vec<Line> {
    let mut bench = Bench::start(interpreter);
    let mut lines = vec![recording(interpreter)];
    for engine in [Engine::ThreadPoolExecutor, Engine::Asyncio] {
        lines.push(growth(&mut bench, engine));
    }
    lines.push(in_flight(&mut bench));
    lines
}

/// See `recording.py`.
fn recording(interpreter: &Interpreter) -> Line {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python/recording.py");
    let agent = interpreter.main.parent().unwrap_or(Path::new("."));
    let output = Command::new(&interpreter.path).arg(script).env("PYTHONPATH", agent).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let cost_ns: f64 = text.trim().parse().unwrap_or(f64::NAN);
    Line {
        what: "recording, per task".to_owned(),
        figure: format!("{cost_ns:.0} ns"),
        target: "under 1,000 ns".to_owned(),
        met: cost_ns < 1000.0,
    }
}

/// The memory that a closed load adds as its tasks go by.
fn growth(bench: &mut Bench<'_>, engine: Engine) -> Line {
    const WORKERS: u32 = 2;
    // The agent folds a log of this many tasks into totals; each worker may have a log.
    const LOG_CAPACITY: f64 = 65_536.0;
    let least = Step::Cpu(Cpu { kernel: Kernel::Loop, input_bytes: 8, time_ns: None });
    let mut agent = bench.agent(engine, WORKERS, least, 1, Load::Closed { max_in_flight: WORKERS });
    let rate = agent.block(1_000_000_000, None).throughput_per_s();
    // A window in which each log is folded twice.
    let window_ns = (2.5 * LOG_CAPACITY * f64::from(WORKERS) / rate * 1e9) as u64;
    agent.block(window_ns, None);
    let before = agent.memory_mib("VmRSS");
    let tasks: u64 = (0..3).map(|_| agent.block(window_ns, None).tasks).sum();
    let grown = agent.memory_mib("VmRSS") - before;
    Line {
        what: format!("growth of an agent's memory, {engine}, {:.2} million tasks", tasks as f64 / 1e6),
        figure: format!("{grown:.2} MiB"),
        target: "under 1 MiB".to_owned(),
        met: grown < 1.0,
    }
}

fn in_flight(bench: &mut Bench<'_>) -> Line {
    const IN_FLIGHT: u32 = 10_000;
    let wait = || Step::Wait { time: Distribution::Fixed { time_ns: 1_000_000_000 } };
    let load = |max_in_flight| Load::Closed { max_in_flight };
    let one = bench.agent(Engine::Asyncio, 1, wait(), 1, load(1)).memory_mib("VmHWM");
    let mut agent = bench.agent(Engine::Asyncio, IN_FLIGHT, wait(), 1, load(IN_FLIGHT));
    let block = agent.block(2_000_000_000, None);
    let more = agent.memory_mib("VmHWM") - one;
    let busy = block.busy_ns as f64 / block.window_ns as f64;
    Line {
        what: format!("memory of {IN_FLIGHT} of `wait 1s` under asyncio ({busy:.0} in flight in the mean)"),
        figure: format!("{more:.0} MiB"),
        target: "under 64 MiB".to_owned(),
        met: more < 64.0,
    }
}
