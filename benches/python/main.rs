//! `cargo bench --bench python`: the engines of Python beside scripts that a Python programmer would write, paired in
//! the same run.
//!
//!     cargo bench --bench python                         # everything, some ten minutes on an idle machine
//!     cargo bench --bench python -- 'gather'             # the lines that contain this
//!     cargo bench --bench python -- limits               # recording, growth, tasks in flight
//!     CONBENCH_PYTHON=/usr/bin/python3.13 cargo bench --bench python
//!
//! Each line pairs a script of `by_hand/` with the engine of the same idiom: both run the same number of the same tasks
//! in the same interpreter, one process each, with a pool that stays alive, and tell how long they took. The order
//! within a pair is drawn by chance. The figure is the trimmed mean of the paired ratios of their throughputs with its
//! 95 % interval (Yuen), so the host's drift cancels. Both times end with the last task: the script's when it has all
//! results, the engine's when the last task has ended.

mod agent;
mod limits;
mod script;
#[path = "../common/table.rs"]
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use conbench::internal::candidate::Engine;
use conbench::internal::python::{self, Interpreter};
use conbench::internal::workload::{Cpu, Distribution, Kernel, Load, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use agent::{Agent, Bench};
use script::Script;
use table::{Line, show};

/// Pairs behind each ratio.
const PAIRS: usize = 60;

/// About how long one side of a pair runs.
const SIDE_NS: f64 = 50e6;

/// The least that an engine may reach of its script's throughput.
const LEAST: f64 = 0.97;

/// The same of a cluster, whose scheduler and workers share this host's cores.
const LEAST_OF_CLUSTER: f64 = 0.9;

/// Which interpreter is measured; the `python3` on `PATH` if it is not set.
const INTERPRETER: &str = "CONBENCH_PYTHON";

#[expect(clippy::print_stderr, reason = "a benchmark says why it measures nothing")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    let named: Vec<PathBuf> = std::env::var_os(INTERPRETER).map(PathBuf::from).into_iter().collect();
    let found = python::find(&named);
    let Some(interpreter) = found.interpreters.first() else {
        for refused in &found.refused {
            eprintln!("{}: {}", refused.named, refused.reason);
        }
        return ExitCode::FAILURE;
    };
    if filter != "limits" {
        let title = format!("{} {}: engine beside script", interpreter.name, interpreter.hello.version);
        show(&title, &ratios(interpreter, filter));
    }
    if filter.is_empty() || filter == "limits" {
        show("limits", &limits::measure(interpreter));
    }
    ExitCode::SUCCESS
}

/// A script, and the engine of the same idiom.
struct Pair {
    script: &'static str,
    engine: Engine,
    /// How tasks arrive, where the idioms for it are those of the engine.
    loads: &'static [Arrival],
    /// Whether tasks that sleep are compared: a mixed engine keeps them on its loop.
    sleeps: bool,
}

/// How tasks arrive.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Arrival {
    /// All at once.
    Batch,
    /// As there is room.
    Closed,
}

impl Arrival {
    fn name(self) -> &'static str {
        if self == Arrival::Batch { "batch" } else { "closed" }
    }
}

const BOTH: &[Arrival] = &[Arrival::Batch, Arrival::Closed];

const SCRIPTS: [Pair; 20] = [
    Pair { script: "sequential", engine: Engine::Sequential, loads: &[Arrival::Closed], sleeps: true },
    Pair { script: "threads", engine: Engine::Thread, loads: &[Arrival::Closed], sleeps: true },
    Pair { script: "thread_pool_executor", engine: Engine::ThreadPoolExecutor, loads: BOTH, sleeps: true },
    Pair { script: "process_pool_executor", engine: Engine::ProcessPoolExecutor, loads: BOTH, sleeps: true },
    Pair { script: "pool_map", engine: Engine::MultiprocessingPool, loads: BOTH, sleeps: true },
    Pair { script: "gather", engine: Engine::Asyncio, loads: &[Arrival::Batch], sleeps: true },
    Pair { script: "create_task", engine: Engine::Asyncio, loads: &[Arrival::Closed], sleeps: true },
    Pair { script: "threaded", engine: Engine::ThreadedAsyncio, loads: &[Arrival::Batch], sleeps: true },
    Pair { script: "sharded", engine: Engine::ShardedAsyncio, loads: &[Arrival::Batch], sleeps: true },
    Pair { script: "run_in_executor", engine: Engine::AsyncioThreads, loads: &[Arrival::Batch], sleeps: false },
    Pair { script: "run_in_processes", engine: Engine::AsyncioProcesses, loads: &[Arrival::Batch], sleeps: false },
    Pair { script: "pool_of_threads", engine: Engine::PoolOfThreads, loads: BOTH, sleeps: true },
    Pair { script: "joblib_threads", engine: Engine::JoblibThreading, loads: &[Arrival::Closed], sleeps: true },
    Pair { script: "trio_nursery", engine: Engine::Trio, loads: &[Arrival::Batch], sleeps: false },
    Pair { script: "gevent_pool", engine: Engine::Gevent, loads: &[Arrival::Closed], sleeps: true },
    Pair { script: "loky_executor", engine: Engine::Loky, loads: BOTH, sleeps: true },
    Pair { script: "joblib_auto", engine: Engine::JoblibAuto, loads: &[Arrival::Closed], sleeps: true },
    Pair { script: "joblib_processes", engine: Engine::JoblibLoky, loads: &[Arrival::Closed], sleeps: true },
    Pair { script: "anyio_threads", engine: Engine::Anyio, loads: &[Arrival::Batch], sleeps: false },
    Pair { script: "dask_by_hand", engine: Engine::Dask, loads: &[Arrival::Closed], sleeps: true },
];

/// A task: its name, what a script is told to do (what, how much), and the same as a step with its iterations.
struct Work {
    name: &'static str,
    told: (&'static str, u64),
    step: Step,
    iterations: u64,
}

impl Work {
    fn is_sleep(&self) -> bool {
        matches!(self.step, Step::Sleep { .. })
    }

    /// Threads, processes or tasks in flight for it.
    fn size(&self, engine: Engine) -> u32 {
        if engine == Engine::Dask {
            return 16;
        }
        if self.is_sleep() || engine.axes().in_flight && engine != Engine::Thread { 8 } else { 2 }
    }
}

/// The tasks on which they are compared.
fn works(bench: &mut Bench) -> Vec<Work> {
    let plain = Cpu { kernel: Kernel::Loop, input_bytes: 8192, time_ns: None };
    let rounds = |time_ns: f64, iteration_ns: f64| (time_ns / iteration_ns).round().max(1.0) as u64;
    let iteration_ns = bench.iteration_ns(plain);
    let cpu = |name, time_ns: f64| {
        let iterations = rounds(time_ns, iteration_ns);
        Work { name, told: ("cpu", iterations), step: Step::Cpu(plain), iterations }
    };
    let hash = Cpu { kernel: Kernel::Sha256, input_bytes: 1 << 20, time_ns: None };
    // Where one is faster than a millisecond, as many as take that long.
    let hashes = rounds(1e6, bench.iteration_ns(hash));
    vec![
        cpu("cpu 1 ms", 1e6),
        cpu("cpu 5 ms", 5e6),
        sleep("sleep 1 ms", 1_000_000),
        sleep("sleep 5 ms", 5_000_000),
        Work { name: "sha256 of 1 MiB", told: ("sha256", hashes), step: Step::Cpu(hash), iterations: hashes },
    ]
}

fn sleep(name: &'static str, time_ns: u64) -> Work {
    let step = Step::Sleep { time: Distribution::Fixed { time_ns } };
    Work { name, told: ("sleep", time_ns), step, iterations: 1 }
}

/// The tasks on which a cluster is compared: what it hands out at most, and what its workers can do.
fn works_of_cluster() -> Vec<Work> {
    vec![sleep("nothing", 0), sleep("sleep 20 ms", 20_000_000)]
}

/// The lines that contain `filter`.
fn ratios(interpreter: &Interpreter, filter: &str) -> Vec<Line> {
    let mut bench = Bench::start(interpreter);
    let (works, of_cluster) = (works(&mut bench), works_of_cluster());
    let mut lines = Vec::new();
    let is_there = |engine| interpreter.hello.engines.iter().any(|offer| offer.engine == engine);
    for pair in SCRIPTS.iter().filter(|pair| is_there(pair.engine)) {
        let (works, least) =
            if pair.engine == Engine::Dask { (&of_cluster, LEAST_OF_CLUSTER) } else { (&works, LEAST) };
        for work in works.iter().filter(|work| pair.sleeps || !work.is_sleep()) {
            for load in pair.loads {
                let what = format!("{}.py, {}, {}, {}", pair.script, pair.engine, work.name, load.name());
                if what.contains(filter) {
                    lines.push(Line::of_ratios(what, &ratio(&mut bench, pair, work, *load), least));
                }
            }
        }
    }
    lines
}

/// How much more throughput the engine has than the script: logarithms of paired ratios.
fn ratio(bench: &mut Bench, pair: &Pair, work: &Work, arrival: Arrival) -> Vec<f64> {
    let size = work.size(pair.engine);
    let cluster = (pair.engine == Engine::Dask).then(|| bench.cluster());
    let mut theirs =
        Script::start(bench.interpreter(), pair.script, work.told, size, arrival.name(), cluster.as_deref());
    // What one trial takes tells how many tasks fill a side; the first lets the pool come up.
    let trial = 32;
    theirs.run(trial);
    let tasks = (SIDE_NS / theirs.run(trial) * trial as f64).ceil().max(8.0) as u64;
    let load = match arrival {
        Arrival::Batch => Load::Batch { tasks: u32::try_from(tasks).unwrap_or(u32::MAX), max_in_flight: size },
        Arrival::Closed => Load::Closed { max_in_flight: size },
    };
    let mut ours = bench.agent(pair.engine, size, work.step.clone(), work.iterations, load);
    let warm_up = |ours: &mut Agent, theirs: &mut Script| (ours.run(tasks), theirs.run(tasks));
    warm_up(&mut ours, &mut theirs);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..PAIRS)
        .map(|_| {
            let (ours_ns, theirs_ns) = if rng.random() {
                let first = ours.run(tasks);
                (first, theirs.run(tasks))
            } else {
                let first = theirs.run(tasks);
                (ours.run(tasks), first)
            };
            (theirs_ns / ours_ns).ln()
        })
        .collect()
}
