//! What theory says of a candidate: a task's demands, an engine's costs, and the bounds of a closed system.
//!
//! The throughput is the least of the operational bounds (Denning & Buzen 1978; Lazowska et al. 1984, ch. 5): tasks in
//! flight over the time of one task alone, cores over CPU time, workers over their time, and one over the time of each
//! thing that only one task has at once. All times are microseconds of a task.

use conbench::internal::candidate::{Candidate, Engine, Model};

/// The cores of the machine that is simulated.
pub(crate) const CORES: u32 = 2;

/// What one task demands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Task {
    /// Computation; under CPython it holds the GIL.
    pub(crate) compute: f64,
    /// Computation that lets go of the GIL.
    pub(crate) released: f64,
    /// Waiting.
    pub(crate) wait: f64,
    /// Whether its steps have an async form: else they block the loop.
    pub(crate) is_async: bool,
    /// What is waited under one lock that all tasks share.
    pub(crate) locked: f64,
    /// Bytes that go to another process and back.
    pub(crate) payload: f64,
    /// The limit of tasks in flight.
    pub(crate) max_in_flight: u32,
}

impl Task {
    pub(crate) const NOTHING: Task =
        Task { compute: 0.0, released: 0.0, wait: 0.0, is_async: false, locked: 0.0, payload: 0.0, max_in_flight: 64 };

    /// CPU time, without what an engine costs.
    pub(crate) fn cpu(&self) -> f64 {
        self.compute + self.released
    }

    /// The share of its time alone that it computes.
    pub(crate) fn cpu_share(&self) -> f64 {
        self.cpu() / (self.cpu() + self.wait + self.locked).max(1e-9)
    }

    /// Its time alone.
    pub(crate) fn alone(&self) -> f64 {
        self.cpu() + self.wait + self.locked
    }
}

/// What each task of a chunk costs on either side, in microseconds: 4.5 us of computation reach 300,000/s in chunks of 1,024.
const IN_CHUNK: f64 = 0.4;

/// What an engine adds to a task.
struct Costs {
    /// CPU time where the task runs.
    worker: f64,
    /// CPU time of the one thread that hands tasks out and takes results in.
    feeder: f64,
    /// A lock's way from one holder to the next, where several want it.
    handover: f64,
    /// CPU time of a byte that crosses, on either side.
    per_byte: f64,
}

/// Costs of the size that this machine's benches have (`cargo bench`: engines beside loops written by hand).
fn costs(engine: Engine) -> Costs {
    let (worker, feeder, handover, per_byte) = match engine {
        Engine::Sequential => (0.05, 0.0, 0.0, 0.0),
        Engine::ThreadPool => (0.5, 0.4, 3.0, 0.0),
        Engine::ThreadPerTask => (15.0, 8.0, 4.0, 0.0),
        // A worker takes lots of tasks, from a list of its own as it were.
        Engine::Rayon => (0.1, 0.0, 3.0, 0.0),
        Engine::TokioCurrentThread => (0.3, 0.0, 0.2, 0.0),
        Engine::TokioMultiThread => (0.6, 0.0, 2.0, 0.0),
        Engine::TokioSharded => (0.3, 0.0, 0.2, 0.0),
        Engine::ThreadedAsyncio => (25.0, 0.0, 1.0, 0.0),
        Engine::ShardedAsyncio => (20.0, 0.0, 1.0, 0.0),
        Engine::ProcessPool => (10.0, 6.0, 12.0, 0.000_3),
        Engine::ProcessPerTask => (1200.0, 500.0, 12.0, 0.000_3),
        Engine::TokioBlockingPool => (5.0, 3.0, 4.0, 0.0),
        Engine::TokioProcessPool => (14.0, 9.0, 12.0, 0.000_3),
        Engine::ThreadPoolExecutor => (40.0, 0.0, 8.0, 0.0),
        Engine::Thread => (70.0, 0.0, 8.0, 0.0),
        Engine::Asyncio | Engine::TaskGroup => (20.0, 0.0, 1.0, 0.0),
        Engine::Uvloop => (12.0, 0.0, 1.0, 0.0),
        // A hand-over takes 0.7 ms of several threads of both sides; 23 % behind a pool with chunks at 2 ms a task.
        Engine::ProcessPoolExecutor => (250.0, 300.0, 25.0, 0.001),
        Engine::MultiprocessingPool => (200.0, 250.0, 25.0, 0.001),
        Engine::Process => (900.0, 900.0, 25.0, 0.001),
        Engine::InterpreterPoolExecutor => (60.0, 90.0, 25.0, 0.001),
        Engine::AsyncioThreads => (80.0, 0.0, 8.0, 0.0),
        Engine::AsyncioProcesses => (260.0, 330.0, 25.0, 0.001),
        // They are raced where the user's code imports or builds them, or the user names them: not in this simulation.
        Engine::Smol
        | Engine::Compio
        | Engine::PoolOfThreads
        | Engine::JoblibThreading
        | Engine::Trio
        | Engine::Gevent
        | Engine::Loky
        | Engine::JoblibLoky
        | Engine::JoblibAuto
        | Engine::Anyio
        | Engine::Dask
        | Engine::Own(_) => (0.0, 0.0, 0.0, 0.0),
    };
    Costs { worker, feeder, handover, per_byte }
}

/// How an engine runs a task with so many workers and so many in flight.
struct Places {
    /// Tasks begun and not ended, those that a blocked loop cannot begin left out.
    in_flight: f64,
    /// Threads that may compute at once.
    workers: f64,
    /// Whether a GIL lets one of them compute at a time.
    has_gil: bool,
}

fn places(task: &Task, candidate: &Candidate) -> Places {
    let sizes = candidate.sizes;
    let in_flight = f64::from(sizes.concurrency());
    let workers = f64::from(sizes.workers.or(sizes.in_flight).unwrap_or(1));
    let is_python = candidate.runtime != conbench::internal::candidate::RUST;
    let model = candidate.model();
    let (in_flight, workers) = match model {
        Model::Async if sizes.workers.is_none() => (if task.is_async { in_flight } else { 1.0 }, 1.0),
        Model::Async | Model::ShardedAsync | Model::AsyncThreads | Model::AsyncProcesses => {
            (if task.is_async { in_flight } else { in_flight.min(workers) }, workers)
        }
        _ => (in_flight, workers),
    };
    let has_gil = is_python && matches!(model, Model::Sequential | Model::Threads | Model::Async | Model::AsyncThreads);
    Places { in_flight, workers: workers.min(in_flight), has_gil }
}

/// What theory says of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Says {
    /// Tasks a second.
    pub(crate) per_s: f64,
    /// The service time of a task, by Little's law.
    pub(crate) latency: f64,
    /// CPU time of a task, the engine's own with it.
    pub(crate) cpu: f64,
}

/// What this candidate does with this task.
pub(crate) fn says(task: &Task, candidate: &Candidate) -> Says {
    let costs = costs(candidate.engine);
    let places = places(task, candidate);
    let chunk = f64::from(candidate.sizes.chunk.unwrap_or(1));
    let crossing = costs.per_byte * task.payload;
    // A chunk crosses as one message; what it holds crosses byte by byte.
    let shared = |cost: f64| cost / chunk + if chunk > 1.0 { IN_CHUNK } else { 0.0 };
    let worker = shared(costs.worker) + crossing;
    let feeder = shared(costs.feeder) + crossing;
    let computing = task.cpu() + worker;
    let contended = if places.in_flight > 1.0 && task.locked > 0.0 { costs.handover } else { 0.0 };
    let alone = computing + feeder + task.wait + task.locked;

    let cores = f64::from(CORES);
    let cpu = computing + feeder + contended;
    let mut capacity = (cores / cpu).min(places.workers.min(cores) / computing);
    if feeder > 0.0 {
        capacity = capacity.min(1.0 / feeder);
    }
    if task.locked > 0.0 {
        capacity = capacity.min(1.0 / (task.locked + contended));
    }
    if places.has_gil {
        capacity = capacity.min(1.0 / (task.compute + worker + feeder).max(1e-9));
    }
    let by_flight = places.in_flight / alone;
    // Waits do not interleave ideally near the knee: the more of a task is waiting, the rounder it is.
    let waiting = (task.wait / alone).max(0.05);
    let sharpness = 6.0 / waiting;
    let ideal = capacity * (1.0 + (capacity / by_flight).powf(sharpness)).powf(-1.0 / sharpness);
    let per_s = 1e6 * ideal * crowding(task, &places, by_flight / capacity);
    let latency = (1e6 * places.in_flight.min(f64::from(candidate.sizes.concurrency())) / per_s).max(task.alone());
    Says { per_s, latency, cpu }
}

/// What is lost to switching where `beyond` times as many are in flight as the bound needs: half a per cent for each
/// doubling, 3 % where threads fight for a GIL.
fn crowding(task: &Task, places: &Places, beyond: f64) -> f64 {
    let doublings = beyond.max(1.0).log2();
    let loss = if places.has_gil && places.workers > 1.0 && task.compute > 0.0 { 0.03 } else { 0.005 };
    (1.0 - loss * doublings).max(0.2)
}
