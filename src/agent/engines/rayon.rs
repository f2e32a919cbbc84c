//! A rayon pool that runs a parallel iterator, as `into_par_iter` of a list is run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::{Engine, cannot};
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::Task;
use crate::clock::now_ns;
use crate::protocol::Failed;

/// A worker takes about as many tasks at once as it runs in this time.
const LOT_NS: u64 = 5_000;
/// The most of them.
const MOST_IN_LOT: u64 = 256;
/// And of a batch, where a few tasks may take far longer than the others: so many lots for each worker at least.
const LOTS_OF_BATCH: u64 = 8;

/// A parallel iterator over more places than there will ever be lots of tasks, which rayon shares among its workers.
///
/// Of a list each worker has a part of its own. Here the indices of a block follow one another, from a counter that all
/// workers share: of short tasks they take several at once, so that the counter takes no more of their time than a list would.
pub(super) struct Rayon {
    task: Arc<Task>,
    pool: rayon::ThreadPool,
    /// How many tasks each worker takes next.
    lots: Box<[CachePadded<AtomicU64>]>,
}

impl Rayon {
    pub(super) fn new(task: Arc<Task>, workers: u32) -> Result<Rayon, Failed> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(workers as usize)
            .build()
            .map_err(|error| cannot("start a rayon pool", &error))?;
        let lots = (0..pool.current_num_threads()).map(|_| CachePadded::new(AtomicU64::new(1))).collect();
        Ok(Rayon { task, pool, lots })
    }

    /// Runs the next tasks on this worker, so many at most; `None` where there are no more.
    fn run_lot(&self, sampler: &Sampler, at_most: u64) -> Option<()> {
        let worker = rayon::current_thread_index().unwrap_or(0);
        let lane = Lane::own(worker as u32);
        let most = self.lots[worker].load(Ordering::Relaxed).min(at_most);
        let began_ns = now_ns();
        for index in sampler.next_lot(most)? {
            let begin_ns = sampler.begin(lane);
            sampler.end(lane, begin_ns, begin_ns, self.task.blocking(index));
        }
        let took_ns = now_ns().saturating_sub(began_ns).max(1);
        self.lots[worker].store(next_lot(most, took_ns), Ordering::Relaxed);
        Some(())
    }
}

/// How many tasks a worker takes after a lot of this many that took so long: at most twice as many.
fn next_lot(tasks: u64, took_ns: u64) -> u64 {
    (LOT_NS * tasks / took_ns).clamp(1, (2 * tasks).min(MOST_IN_LOT))
}

impl Engine for Rayon {
    fn slots(&self) -> u32 {
        self.pool.current_num_threads() as u32
    }

    fn shards(&self) -> u32 {
        self.slots()
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let places = (0..usize::MAX).into_par_iter();
        let lots = LOTS_OF_BATCH * u64::from(self.slots());
        let at_most = sampler.tasks().map_or(MOST_IN_LOT, |tasks| (tasks / lots).max(1));
        // It ends early, when there is no next task.
        let _ = self.pool.install(|| places.try_for_each(|_| self.run_lot(sampler, at_most)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tasks_are_taken_in_lots_and_long_ones_alone() {
        let after = |task_ns: u64| (0..20).fold(1, |tasks, _| next_lot(tasks, (tasks * task_ns).max(1)));
        assert_eq!([0, 1, 50, 1_000, 4_000, 1_000_000].map(after), [MOST_IN_LOT, MOST_IN_LOT, 100, 5, 1, 1]);
    }
}
