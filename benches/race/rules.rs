//! What rules of thumb say without measuring.

use conbench::internal::candidate::{Candidate, Engine, RUST, Sizes, StartMethod};
use conbench::internal::plan::Entry;

use crate::cases::Case;
use crate::model::{CORES, Task};

/// Above this share of computation a task counts as computing, below the rest of it as waiting; between as a mix.
const MOSTLY: f64 = 0.9;

/// A rule of thumb.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) names: fn(&Case) -> Candidate,
}

pub(crate) const RULES: [Rule; 3] = [
    Rule { name: "cheat sheet", names: cheat_sheet },
    Rule { name: "library defaults", names: library_defaults },
    Rule { name: "CPU above one half: processes", names: half },
];

/// "Choosing the Right Tool": what waits goes to an event loop with all that is allowed in flight, what computes to
/// processes, one a core, whether it holds the GIL or not; a mix to an event loop with processes.
fn cheat_sheet(case: &Case) -> Candidate {
    let (waits, computes, mixes) = if case.runtime == RUST {
        (Engine::TokioCurrentThread, Engine::ProcessPool, Engine::TokioProcessPool)
    } else {
        (Engine::Asyncio, Engine::ProcessPoolExecutor, Engine::AsyncioProcesses)
    };
    let share = case.task.cpu_share();
    let engine = if share >= MOSTLY {
        computes
    } else if share <= 1.0 - MOSTLY {
        waits
    } else {
        mixes
    };
    candidate(case, engine, CORES)
}

/// The first engine of the cheat sheet's model as its library makes it when nothing is said: what waits goes to a pool
/// of threads, what computes to a pool of processes.
fn library_defaults(case: &Case) -> Candidate {
    let (threads, processes) = pools(case);
    let engine = if case.task.cpu_share() >= MOSTLY { processes } else { threads };
    let entry = case.entries.iter().find(|entry| entry.engine == engine);
    entry.map_or_else(|| candidate(case, engine, CORES), default_of)
}

/// A task that computes for more than half of its time goes to processes, one a core; else to as many threads as are
/// allowed.
fn half(case: &Case) -> Candidate {
    let (threads, processes) = pools(case);
    let Task { max_in_flight, .. } = case.task;
    if case.task.cpu_share() > 0.5 {
        candidate(case, processes, CORES)
    } else {
        candidate(case, threads, max_in_flight)
    }
}

fn pools(case: &Case) -> (Engine, Engine) {
    if case.runtime == RUST {
        (Engine::ThreadPool, Engine::ProcessPool)
    } else {
        (Engine::ThreadPoolExecutor, Engine::ProcessPoolExecutor)
    }
}

fn default_of(entry: &Entry) -> Candidate {
    entry.candidate(entry.default_sizes)
}

fn candidate(case: &Case, engine: Engine, workers: u32) -> Candidate {
    let axes = engine.axes();
    let sizes = Sizes {
        workers: axes.workers.then_some(workers.min(case.task.max_in_flight)),
        in_flight: axes.in_flight.then_some(case.task.max_in_flight),
        chunk: axes.chunk.then_some(1),
    };
    let start_method = engine.has_start_method().then_some(StartMethod::Fork);
    Candidate { start_method, ..Candidate::new(case.runtime, engine, sizes) }
}
