//! Engines: how tasks are run. Each is one small file with the idiom that its users write, and knows no step.

#[cfg(feature = "compio")]
mod compio;
mod process_per_task;
mod process_pool;
mod rayon;
mod sequential;
mod smol;
mod thread_per_task;
mod thread_pool;
mod tokio_loop;
mod tokio_mixes;
mod tokio_sharded;

use std::sync::Arc;

use super::sampler::Sampler;
use super::task::Task;
use crate::candidate::Engine as Kind;
use crate::protocol::{Absent, Failed, FailureKind, Job, Offer, Usage};

/// Runs blocks of tasks under one concurrency model. Between blocks its threads and processes are alive and
/// parked.
pub trait Engine {
    /// Tasks in flight at once.
    fn slots(&self) -> u32;

    /// How many logs a block needs so that recording is not contended.
    fn shards(&self) -> u32;

    /// Runs tasks until the sampler has no more, and returns when each task begun has ended. Failures of
    /// tasks go to the sampler.
    ///
    /// # Errors
    /// When the engine itself cannot go on: a thread cannot be made, a worker died.
    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed>;

    /// Worker processes that are alive between blocks.
    fn pids(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Whether the children that this process reaps are workers, and not programs that tasks start in it.
    fn reaps_workers(&self) -> bool {
        false
    }

    /// What live worker processes used so far, as they say themselves.
    ///
    /// # Errors
    /// When a worker does not answer.
    fn workers_usage(&mut self) -> Result<Usage, Failed> {
        Ok(Usage::default())
    }
}

/// Why this build has no compio.
#[cfg(not(feature = "compio"))]
const NOT_BUILT: &str = "this build is without compio: `cargo install --path . --features compio` builds it in";

/// What the native runtime offers in this build and on this host, and what it does not, with the reason.
#[must_use]
pub fn offers() -> (Vec<Offer>, Vec<Absent>) {
    #[cfg(feature = "compio")]
    let refusal = compio::refusal();
    #[cfg(not(feature = "compio"))]
    let refusal = Some(NOT_BUILT.to_owned());
    let absent: Vec<Absent> = refusal.map(|reason| Absent { engine: Kind::Compio, reason }).into_iter().collect();
    let is_here = |offer: &Offer| absent.iter().all(|absent| absent.engine != offer.engine);
    (Offer::native().into_iter().filter(is_here).collect(), absent)
}

/// Makes the engine of a job's candidate, its workers started.
///
/// # Errors
/// When its workers cannot be started.
pub fn build(job: &Job, task: Arc<Task>) -> Result<Box<dyn Engine>, Failed> {
    let sizes = job.candidate.sizes;
    let workers = sizes.workers.unwrap_or(1).max(1);
    let in_flight = sizes.concurrency().max(1);
    Ok(match job.candidate.engine {
        Kind::Sequential => Box::new(sequential::Sequential::new(task)),
        Kind::ThreadPool => Box::new(thread_pool::ThreadPool::new(task, workers)?),
        Kind::ThreadPerTask => Box::new(thread_per_task::ThreadPerTask::new(task, in_flight)),
        Kind::Rayon => Box::new(rayon::Rayon::new(task, workers)?),
        Kind::TokioCurrentThread => Box::new(tokio_loop::TokioLoop::current_thread(task, in_flight)?),
        Kind::TokioMultiThread => Box::new(tokio_loop::TokioLoop::multi_thread(task, workers, in_flight)?),
        Kind::Smol => Box::new(smol::Smol::new(task, in_flight)),
        #[cfg(feature = "compio")]
        Kind::Compio => Box::new(compio::Compio::new(task, in_flight)?),
        Kind::TokioSharded => Box::new(tokio_sharded::TokioSharded::new(&task, workers, in_flight)?),
        Kind::ProcessPool => Box::new(process_pool::ProcessPool::new(job, task, workers)?),
        Kind::ProcessPerTask => Box::new(process_per_task::ProcessPerTask::new(job, task, in_flight)?),
        Kind::TokioBlockingPool => Box::new(tokio_mixes::BlockingPool::new(job, task, workers, in_flight)?),
        Kind::TokioProcessPool => Box::new(tokio_mixes::ProcessPool::new(job, task, workers, in_flight)?),
        other => {
            let message = format!("the native runtime has no engine `{other}`");
            return Err(Failed::new(FailureKind::Setup, message, ""));
        }
    })
}

/// A failure to set an engine up.
fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failed {
    Failed {
        kind: FailureKind::Setup,
        message: format!("cannot {what}: {error}"),
        place: String::new(),
        traceback: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
