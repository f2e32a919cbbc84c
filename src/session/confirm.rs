//! What is about to be named runs once more, with as many in flight as it has, for its results alone.

use super::course::{Course, Stop};
use super::link::Fault;
use super::trial::SMALL;
use crate::candidate::Candidate;
use crate::protocol::FailureKind;

/// How long what is about to be named runs once more, for its results alone.
const CONFIRM_NS: f64 = 0.5e9;
/// The most tasks that it runs for it: an agent keeps what they hand back.
const MOST_CONFIRMED: u64 = 8_192;

impl Course<'_> {
    /// Has what is named run once more with as many in flight as it has, and compares the results: what is wrong only
    /// then (a directory or an environment that tasks change) was not seen with two. Returns whether it may be named.
    pub(super) fn confirm(&mut self, slot: usize) -> Result<bool, Stop> {
        let candidate = self.record.candidates[slot].candidate.clone();
        let Some(tasks) = self.tasks_to_confirm(slot, &candidate) else { return Ok(true) };
        let mut held = self.results_hold(slot, &candidate, tasks);
        if matches!(&held, Err(Fault::Failed(failed)) if failed.kind == FailureKind::Task) {
            // As in a trial: whoever the agent before it was connected to may not have noticed yet that it is gone.
            self.kill(slot);
            self.wait_for_release();
            held = self.results_hold(slot, &candidate, tasks);
        }
        match held {
            Ok(()) => Ok(true),
            Err(Fault::Interrupted) => Err(Stop::Interrupted),
            Err(Fault::Failed(failed)) => {
                self.put_out(slot, failed);
                Ok(false)
            }
        }
    }

    /// How many tasks are enough; `None` where there is nothing to compare, or nothing new.
    fn tasks_to_confirm(&self, slot: usize, candidate: &Candidate) -> Option<u64> {
        if self.has_one_turn() {
            return None;
        }
        let known = self.reference(candidate)?.results.len() as u64;
        let learned = self.learned(slot)?;
        let wished = (learned.throughput_per_s * CONFIRM_NS / 1e9) as u64;
        let tasks = wished.clamp(known.max(1), MOST_CONFIRMED.max(known)).min(self.calls_left() / 4);
        let is_new = known > 0 && candidate.sizes.concurrency() > SMALL && tasks > 0;
        is_new.then_some(tasks)
    }

    fn results_hold(&mut self, slot: usize, candidate: &Candidate, tasks: u64) -> Result<(), Fault> {
        let Some(learned) = self.alive(slot)? else { return Ok(()) };
        let batch_ns = (tasks as f64 / learned.throughput_per_s.max(1e-3) * 1e9) as u64;
        let block = self.verify_block(slot, candidate, tasks, batch_ns.saturating_mul(2))?;
        self.compared(candidate, &block)
    }
}
