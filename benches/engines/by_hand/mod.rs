//! The programs that a programmer would write by hand: the same idioms as the engines', no measurement.

mod in_process;
mod processes;

use std::sync::Arc;

use conbench::internal::agent::task::Task;
use conbench::internal::candidate::Engine;
use conbench::internal::protocol::Job;

pub(crate) use processes::{WORKER, worker};

/// A program that runs tasks `0..tasks` and returns when all are done.
pub(crate) trait Loop {
    fn run(&mut self, tasks: u64);
}

/// The program for the engine of `job`. Its threads and processes are started here, as the engine's are.
pub(crate) fn build(job: &Job, task: &Arc<Task>) -> Box<dyn Loop> {
    let workers = job.candidate.sizes.workers.unwrap_or(1) as usize;
    let in_flight = job.candidate.sizes.concurrency() as usize;
    let task = Arc::clone(task);
    match job.candidate.engine {
        Engine::Sequential => Box::new(in_process::Plain(task)),
        Engine::ThreadPool => Box::new(in_process::Channel::new(task, workers)),
        Engine::ThreadPerTask => Box::new(in_process::Spawning { task, in_flight }),
        Engine::Rayon => Box::new(in_process::Rayon::new(task, workers)),
        Engine::TokioCurrentThread => Box::new(in_process::Tokio::current_thread(task, in_flight)),
        Engine::TokioMultiThread => Box::new(in_process::Tokio::multi_thread(task, workers, in_flight)),
        Engine::Smol => Box::new(in_process::Smol { task, in_flight }),
        #[cfg(feature = "compio")]
        Engine::Compio => Box::new(in_process::Compio::new(task, in_flight)),
        Engine::TokioSharded => Box::new(in_process::Sharded::new(&task, workers, in_flight)),
        Engine::TokioBlockingPool => Box::new(in_process::Tokio::blocking_pool(task, workers, in_flight)),
        Engine::ProcessPool => Box::new(processes::Pool::new(job, workers)),
        Engine::ProcessPerTask => Box::new(processes::PerTask { job: job.clone(), in_flight }),
        Engine::TokioProcessPool => Box::new(processes::AsyncPool::new(job, &task, workers, in_flight)),
        other => unreachable!("`{other}` is not a native engine"),
    }
}
