//! The idioms of the native engines. Their code is a skeleton: `task` and `items` are the user's.

use super::Idiom;
use crate::candidate::Engine;

pub(super) fn code(idiom: &Idiom<'_>) -> String {
    let sizes = idiom.candidate.sizes;
    let (workers, in_flight) = (sizes.workers.unwrap_or(1), sizes.in_flight.unwrap_or(1));
    let engine = idiom.candidate.engine;
    let template = match engine {
        Engine::ThreadPool => THREAD_POOL,
        Engine::ThreadPerTask => THREAD_PER_TASK,
        Engine::Rayon => RAYON,
        Engine::TokioCurrentThread | Engine::TokioMultiThread | Engine::TokioBlockingPool => TOKIO,
        Engine::Smol => SMOL,
        Engine::Compio => COMPIO,
        Engine::TokioSharded => TOKIO_SHARDED,
        Engine::ProcessPool => PROCESS_POOL,
        Engine::ProcessPerTask => PROCESS_PER_TASK,
        Engine::TokioProcessPool => TOKIO_PROCESS_POOL,
        // Those of CPython are not the native runtime's.
        _ => SEQUENTIAL,
    };
    let (builder, size, spawn) = match engine {
        Engine::TokioCurrentThread => ("new_current_thread()", String::new(), ASYNC_TASK),
        Engine::TokioBlockingPool => {
            ("new_current_thread()", format!("max_blocking_threads({workers})."), BLOCKING_TASK)
        }
        _ => ("new_multi_thread()", format!("worker_threads({workers})."), ASYNC_TASK),
    };
    // A loop without a task in flight would wait for ever.
    let workers = if engine == Engine::TokioSharded { workers.min(in_flight) } else { workers };
    template
        .replace("SHARES", &shares(workers, in_flight))
        .replace("BUILDER", builder)
        .replace("SIZES", &size)
        .replace("SPAWN", spawn)
        .replace("BACKLOG", &workers.saturating_mul(2).to_string())
        .replace("WORKERS", &workers.to_string())
        .replace("IN_FLIGHT", &in_flight.to_string())
}

/// What each of the workers has in flight, as an iterator: the first have one more where it cannot be shared equally.
fn shares(workers: u32, in_flight: u32) -> String {
    match (in_flight / workers.max(1), in_flight % workers.max(1)) {
        (each, 0) => format!("[{each}; {workers}].into_iter()"),
        (each, rest) => format!("(0..{workers}).map(|n| {each} + usize::from(n < {rest}))"),
    }
}

const SEQUENTIAL: &str = "let results: Vec<_> = items.into_iter().map(task).collect();\n";

const THREAD_POOL: &str = include_str!("native/thread_pool.txt");

const THREAD_PER_TASK: &str = include_str!("native/thread_per_task.txt");

const RAYON: &str = include_str!("native/rayon.txt");

const TOKIO: &str = include_str!("native/tokio.txt");

const SMOL: &str = include_str!("native/smol.txt");

const COMPIO: &str = include_str!("native/compio.txt");

const TOKIO_SHARDED: &str = include_str!("native/tokio_sharded.txt");

const ASYNC_TASK: &str = "tokio::spawn(task(item))";

const BLOCKING_TASK: &str = "tokio::task::spawn_blocking(move || task(item))";

const PROCESS_POOL: &str = include_str!("native/process_pool.txt");

const PROCESS_PER_TASK: &str = include_str!("native/process_per_task.txt");

const TOKIO_PROCESS_POOL: &str = include_str!("native/tokio_process_pool.txt");
