//! What is about to be named runs once more, with as many in flight as it has, for its results alone.

use hdrhistogram::Histogram;

use super::error::AgentError;
use super::runner::{Runner, Stop};
use super::trial::SMALL;
use crate::candidate::{Candidate, Engine};
use crate::protocol::{Block, FailureKind, Reference};
use crate::record::{FewLong, Warning};
use crate::stats::Skew;

/// How long what is about to be named runs once more, for its results alone.
const CONFIRM_NS: f64 = 0.5e9;
/// The most tasks that it runs for it: an agent keeps what they hand back.
const MOST_CONFIRMED: u64 = 8_192;
/// How much longer it runs where another size of its model gave wrong results.
const LONGER: f64 = 4.0;
/// Blocks missed long tasks where all of them take so many times as long as its rate lets expect.
const LATER: f64 = 1.5;
/// How long a plain loop runs for the results of items that the reference does not know.
const PLAIN_NS: f64 = 0.2e9;

impl Runner<'_> {
    /// Has what is named run once more with as many in flight as it has, and compares the results: what goes wrong seldom,
    /// or only then (a directory or an environment that tasks change), its engine's trial did not see. Returns whether it
    /// may be named.
    pub(super) fn confirm(&mut self, slot: usize) -> Result<bool, Stop> {
        let candidate = self.record.candidates[slot].candidate.clone();
        let Some(tasks) = self.tasks_to_confirm(slot, &candidate) else { return Ok(true) };
        let mut held = self.results_hold(slot, &candidate, tasks);
        if matches!(&held, Err(AgentError::Failed(failed)) if failed.kind == FailureKind::Task) {
            // As in a trial: whoever the agent before it was connected to may not have noticed yet that it is gone.
            self.kill(slot);
            self.wait_for_release();
            held = self.results_hold(slot, &candidate, tasks);
        }
        match held.and_then(|block| self.watch_few_long(slot, &candidate, block.as_ref())) {
            Ok(()) => Ok(true),
            Err(AgentError::Interrupted) => Err(Stop::Interrupted),
            Err(AgentError::Failed(failed)) => {
                self.put_out(slot, failed);
                Ok(false)
            }
        }
    }

    /// How many tasks are enough; `None` where there is nothing to compare, or nothing runs beside a task.
    fn tasks_to_confirm(&self, slot: usize, candidate: &Candidate) -> Option<u64> {
        if self.has_one_turn() || candidate.sizes.concurrency() < SMALL {
            return None;
        }
        let known = self.reference(candidate)?.results.len() as u64;
        let learned = self.learned(slot)?;
        let longer = if self.has_wrong_sibling(candidate) { LONGER } else { 1.0 };
        let within = |ns: f64| (learned.throughput_per_s * ns / 1e9) as u64;
        // Where it is known how many tasks there are, these run, if they can: what all of them take is told.
        let all = self.record.workload.all_tasks().map(u64::from).filter(|all| *all <= within(LONGER * CONFIRM_NS));
        let wished = all.unwrap_or_else(|| within(longer * CONFIRM_NS));
        let tasks = wished.clamp(known.max(1), MOST_CONFIRMED.max(known)).min(self.calls_left() / 4);
        (known > 0 && tasks > 0).then_some(tasks)
    }

    /// Whether a candidate of the same model gave wrong results: what goes wrong there seldom, goes wrong here too.
    fn has_wrong_sibling(&self, candidate: &Candidate) -> bool {
        self.record.candidates.iter().any(|other| {
            other.candidate.runtime == candidate.runtime
                && other.candidate.engine.model() == candidate.engine.model()
                && other.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Checksum)
        })
    }

    /// Says that few tasks hold most of the time, where the candidate's blocks saw too few of these: a task that takes
    /// longer than a block is in few of them. A host that stood still for a while looks alike, so that it is seen twice.
    fn watch_few_long(&mut self, slot: usize, candidate: &Candidate, whole: Option<&Block>) -> Result<(), AgentError> {
        let is_new = self.record.few_long(&candidate.runtime).is_none();
        let suspect = whole.filter(|whole| is_new && self.few_long(slot, whole).is_some());
        let Some(whole) = suspect.filter(|whole| whole.tasks <= self.calls_left() / 2) else { return Ok(()) };
        let again = self.verify_block(slot, candidate, 0..whole.tasks, whole.elapsed_ns)?;
        if let Some(found) = self.few_long(slot, &again) {
            // The answer's condition says it.
            self.record.warnings.push(Warning::FewLong { candidate: candidate.clone(), found });
        }
        Ok(())
    }

    /// The few tasks of this block that hold most of the time, where timed blocks of the candidate saw too few of them.
    fn few_long(&self, slot: usize, whole: &Block) -> Option<FewLong> {
        missed(&whole.service.decode().ok()?, whole.tasks, whole.window_ns, self.mean_rate_per_s(slot)?)
    }

    /// The mean rate of a candidate's timed blocks.
    fn mean_rate_per_s(&self, slot: usize) -> Option<f64> {
        let timed = self.record.candidates[slot].timed();
        let rates: Vec<f64> = timed.map(|block| block.figures.throughput_per_s()).collect();
        (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
    }

    fn results_hold(&mut self, slot: usize, candidate: &Candidate, tasks: u64) -> Result<Option<Block>, AgentError> {
        let plain = self.plain_results(candidate, tasks)?;
        let Some(learned) = self.alive(slot)? else { return Ok(None) };
        let batch_ns = (tasks as f64 / learned.throughput_per_s.max(1e-3) * 1e9) as u64;
        let block = self.verify_block(slot, candidate, 0..tasks, batch_ns.saturating_mul(2))?;
        self.compared(candidate, &block)?;
        let different = plain.first_difference(&block.results, self.tolerates_errors());
        let Some(task) = different else { return Ok(Some(block)) };
        // A task whose result varies by itself is no fault of who runs it.
        let again = self.plain_results(candidate, tasks)?;
        if again.results == plain.results {
            Err(AgentError::Failed(self.wrong_result(candidate, task)))
        } else {
            Ok(Some(block))
        }
    }

    /// The results of a plain loop for the items that come after those of the reference, as many as its time holds;
    /// none where it is not in the race, or is what is compared.
    fn plain_results(&mut self, candidate: &Candidate, tasks: u64) -> Result<PlainResults, AgentError> {
        let mut plain = PlainResults::default();
        let Some(reference) = self.reference(candidate) else { return Ok(plain) };
        plain.first = reference.results.len() as u64;
        let end = tasks.min(reference.distinct);
        let Some(slot) = self.plain_loop(candidate) else { return Ok(plain) };
        let Some(learned) = self.learned(slot) else { return Ok(plain) };
        let most = ((learned.throughput_per_s * PLAIN_NS / 1e9) as u64).min(self.calls_left() / 8);
        let end = end.min(plain.first + most);
        if end <= plain.first || self.alive(slot)?.is_none() {
            return Ok(plain);
        }
        let candidate = self.record.candidates[slot].candidate.clone();
        match self.verify_block(slot, &candidate, plain.first..end, (PLAIN_NS * 2.0) as u64) {
            Ok(block) => plain.results = block.results,
            Err(AgentError::Interrupted) => return Err(AgentError::Interrupted),
            // Its failure is not that of the candidate that is compared.
            Err(AgentError::Failed(_)) => self.kill(slot),
        }
        Ok(plain)
    }

    /// Where the plain loop of the candidate's runtime stands, sound.
    fn plain_loop(&self, candidate: &Candidate) -> Option<usize> {
        self.record.candidates.iter().rposition(|place| {
            let plain = &place.candidate;
            plain.engine == Engine::Sequential
                && (&plain.runtime, plain.library_threads) == (&candidate.runtime, candidate.library_threads)
                && place.failure.is_none()
        })
    }
}

/// What a plain loop gave for the tasks from the first on.
#[derive(Default)]
struct PlainResults {
    first: u64,
    results: Vec<u64>,
}

impl PlainResults {
    /// The first task whose result is another one, of results from task 0 on. Where tasks may fail, a result is compared
    /// where both have one.
    fn first_difference(&self, results: &[u64], tolerant: bool) -> Option<u64> {
        let theirs = results.iter().skip(usize::try_from(self.first).unwrap_or(usize::MAX));
        let at = self.results.iter().zip(theirs).position(|(one, other)| Reference::differ(*one, *other, tolerant))?;
        Some(self.first + at as u64)
    }
}

/// The few long tasks among these, which took so long in all, where timed blocks with this rate saw too little of them.
/// (Threads that wait for each other's lock look skewed, too, and lose no time by it.)
fn missed(service: &Histogram<u64>, tasks: u64, elapsed_ns: u64, rate_per_s: f64) -> Option<FewLong> {
    let skew = Skew::of(service)?;
    let expected_ns = tasks as f64 * 1e9 / rate_per_s;
    (elapsed_ns as f64 >= LATER * expected_ns).then(|| FewLong {
        tasks,
        long: (skew.share_of_tasks * tasks as f64).round() as u64,
        share: skew.share_of_time,
        longest_ns: skew.longest_ns,
        elapsed_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn results_are_compared_from_the_first_that_the_plain_loop_ran() {
        let plain = PlainResults { first: 2, results: vec![5, 6, 7] };
        assert_eq!(plain.first_difference(&[0, 0, 5, 6, 7, 9], false), None);
        assert_eq!(plain.first_difference(&[0, 0, 5, 0], false), Some(3));
        assert_eq!(plain.first_difference(&[0, 0, 5, 0], true), None);
        assert_eq!(plain.first_difference(&[1], false), None);
    }

    #[test]
    fn few_long_tasks_are_told_where_blocks_saw_too_few_of_them() {
        let mut service = Histogram::new(3).expect("three digits are legal");
        service.record_n(MS / 2, 1000).expect("resizes");
        service.record_n(400 * MS, 10).expect("resizes");
        // Of 64 in flight; tasks of 0.5 ms alone would reach 128,000 a second.
        let found = missed(&service, 1010, 410 * MS, 30_000.0).expect("they are few and long");
        assert_eq!((found.tasks, found.long, found.elapsed_ns), (1010, 10, 410 * MS));
        assert!(found.share > 0.85 && found.longest_ns >= 400 * MS, "{found:?}");
        // All of them take as long as the rate says, or all are alike.
        assert_eq!(missed(&service, 1010, 40 * MS, 30_000.0), None);
        service.record_n(400 * MS, 1000).expect("resizes");
        assert_eq!(missed(&service, 2010, 410 * MS, 30_000.0), None);
    }
}
