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

/// A parallel iterator over the tasks of a batch; of a closed load, over more places than there will ever be lots of tasks.
///
/// Of a list each worker has a part of its own. Tasks without an end have their indices from a counter that all workers
/// share: of short ones a worker takes several at once, so that the counter takes no more of its time than a list would.
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

    /// Runs the next tasks on this worker; `None` where there are no more.
    fn run_lot(&self, sampler: &Sampler) -> Option<()> {
        let worker = rayon::current_thread_index().unwrap_or(0);
        let most = self.lots[worker].load(Ordering::Relaxed);
        let began_ns = now_ns();
        sampler.next_lot(most)?.for_each(|index| self.run_one(sampler, worker, index));
        let took_ns = now_ns().saturating_sub(began_ns).max(1);
        self.lots[worker].store(size_after(most, took_ns), Ordering::Relaxed);
        Some(())
    }

    /// Runs the task at this place of a batch; `None` where no more may begin.
    fn run_place(&self, sampler: &Sampler, place: u64) -> Option<()> {
        let worker = rayon::current_thread_index().unwrap_or(0);
        self.run_one(sampler, worker, sampler.at(place)?);
        Some(())
    }

    fn run_one(&self, sampler: &Sampler, worker: usize, index: u64) {
        let lane = Lane::own(worker as u32);
        let begin_ns = sampler.begin(lane);
        sampler.end(lane, begin_ns, begin_ns, self.task.blocking(index));
    }
}

/// How many tasks a worker takes after a lot of this many that took so long: at most twice as many.
fn size_after(tasks: u64, took_ns: u64) -> u64 {
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
        // Either ends early when no more may begin. (Of a length in `usize`, as a list has it, it is split as a list is.)
        let _ = self.pool.install(|| match sampler.batch() {
            Some(tasks) => {
                (0..tasks as usize).into_par_iter().try_for_each(|place| self.run_place(sampler, place as u64))
            }
            None => (0..usize::MAX).into_par_iter().try_for_each(|_| self.run_lot(sampler)),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tasks_are_taken_in_lots_and_long_ones_alone() {
        let after = |task_ns: u64| (0..20).fold(1, |tasks, _| size_after(tasks, (tasks * task_ns).max(1)));
        assert_eq!([0, 1, 50, 1_000, 4_000, 1_000_000].map(after), [MOST_IN_LOT, MOST_IN_LOT, 100, 5, 1, 1]);
    }
}
