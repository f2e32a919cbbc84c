//! A rayon pool fed by `par_bridge`.

use std::sync::Arc;

use rayon::iter::{ParallelBridge as _, ParallelIterator as _};

use super::{Engine, cannot};
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::Task;
use crate::protocol::Failed;

/// A parallel iterator over the indices; workers pull them one by one.
pub(super) struct Rayon {
    task: Arc<Task>,
    pool: rayon::ThreadPool,
}

impl Rayon {
    pub(super) fn new(task: Arc<Task>, workers: u32) -> Result<Rayon, Failed> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(workers as usize)
            .build()
            .map_err(|error| cannot("start a rayon pool", &error))?;
        Ok(Rayon { task, pool })
    }
}

impl Engine for Rayon {
    fn slots(&self) -> u32 {
        self.pool.current_num_threads() as u32
    }

    fn shards(&self) -> u32 {
        self.slots()
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        self.pool.install(|| {
            std::iter::from_fn(|| sampler.next()).par_bridge().for_each(|index| {
                let lane = Lane::own(rayon::current_thread_index().unwrap_or(0) as u32);
                let begin_ns = sampler.begin(lane);
                sampler.end(lane, begin_ns, begin_ns, self.task.blocking(index));
            });
        });
        Ok(())
    }
}
