//! The engines that a session would race, with their ladders, as `plan` makes them on two cores.

use conbench::internal::candidate::{Candidate, Engine, Model, RUST, Sizes, StartMethod};
use conbench::internal::plan::{Call, Entry, chunk_ladder};

use crate::model::{CORES, Task};

/// The runtime of the simulated interpreter.
pub(crate) const PYTHON: &str = "python3.11";

/// The entries of a runtime for this task.
pub(crate) fn entries(runtime: &str, task: &Task) -> Vec<Entry> {
    let engines: &[Engine] = if runtime == RUST { &Engine::RUST } else { &Engine::PYTHON };
    // No cluster is named, and the simulated interpreter is CPython 3.11, with a GIL and nothing installed.
    let absent = [Engine::Uvloop, Engine::InterpreterPoolExecutor, Engine::ThreadedAsyncio, Engine::Dask];
    let is_mix = |engine: Engine| matches!(engine.model(), Model::AsyncThreads | Model::AsyncProcesses);
    let has_nothing_to_block = task.is_async && task.cpu_share() < 0.01;
    let is_idle = |engine: Engine| engine.model() == Model::ShardedAsync && !task.is_async;
    engines
        .iter()
        .copied()
        .filter(|engine| !engine.is_if_imported() && !engine.is_on_request())
        .filter(|engine| !(absent.contains(engine) || is_idle(*engine) || is_mix(*engine) && has_nothing_to_block))
        .map(|engine| entry(runtime, engine, task))
        .collect()
}

/// The ladder 1, 2, 4, .. `largest`, with `also`.
fn ladder(largest: u32, also: u32) -> Vec<u32> {
    let doubling = std::iter::successors(Some(1_u32), |size| size.checked_mul(2)).take_while(|size| *size < largest);
    let mut sizes: Vec<u32> = doubling.chain([largest, also.clamp(1, largest)]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

fn entry(runtime: &str, engine: Engine, task: &Task) -> Entry {
    let axes = engine.axes();
    let allowed = task.max_in_flight;
    // As the libraries say: tokio's blocking pool has 512 threads, CPython's executor `cpus + 4`.
    let default_workers = match engine {
        Engine::TokioBlockingPool => 512,
        Engine::ThreadPoolExecutor | Engine::AsyncioThreads => CORES + 4,
        _ => CORES,
    }
    .min(allowed);
    let is_of_loops = engine == Engine::TokioMultiThread || engine.model() == Model::ShardedAsync;
    let most_workers = if is_of_loops { allowed.min(2 * CORES) } else { allowed };
    let call = Call { ns: task.alone() * 1e3, bytes: task.payload as u64 };
    Entry {
        runtime: runtime.to_owned(),
        engine,
        start_method: engine.has_start_method().then_some(StartMethod::Fork),
        library_threads: None,
        default_sizes: Sizes {
            workers: axes.workers.then_some(default_workers),
            in_flight: axes.in_flight.then_some(allowed),
            chunk: axes.chunk.then_some(1),
        },
        in_flight: if axes.in_flight { ladder(allowed, 1) } else { Vec::new() },
        workers: if axes.workers { ladder(most_workers, default_workers) } else { Vec::new() },
        chunk: if axes.chunk { chunk_ladder(allowed, call) } else { Vec::new() },
    }
}

/// Every candidate of an entry: all sizes of each axis with all of the others.
pub(crate) fn grid(entry: &Entry) -> Vec<Candidate> {
    let of = |ladder: &[u32]| -> Vec<Option<u32>> {
        if ladder.is_empty() { vec![None] } else { ladder.iter().copied().map(Some).collect() }
    };
    let mut all = Vec::new();
    for workers in of(&entry.workers) {
        for in_flight in of(&entry.in_flight) {
            for chunk in of(&entry.chunk) {
                all.push(entry.candidate(Sizes { workers, in_flight, chunk }));
            }
        }
    }
    all
}

/// An entry of this candidate alone: nothing is searched.
pub(crate) fn fixed(candidate: &Candidate) -> Entry {
    let only = |size: Option<u32>| size.into_iter().collect();
    Entry {
        runtime: candidate.runtime.clone(),
        engine: candidate.engine,
        start_method: candidate.start_method,
        library_threads: candidate.library_threads,
        default_sizes: candidate.sizes,
        in_flight: only(candidate.sizes.in_flight),
        workers: only(candidate.sizes.workers),
        chunk: only(candidate.sizes.chunk),
    }
}
