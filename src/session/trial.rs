//! Feasibility before speed: each engine runs the user's own code once, untimed, before it is measured.
//!
//! Engines of threads and loops do so in their first life of the race. Those whose processes may have to begin in another
//! way are tried before the race, small, since that changes what is raced.

use std::ops::Range;

use super::blocks::grace_ns;
use super::error::AgentError;
use super::hang::Patience;
use super::pool::{AgentSlot, Ask, Beginning};
use super::runner::{Runner, Stop};
use crate::candidate::{Candidate, Engine, Model, Sizes, StartMethod};
use crate::plan::Entry;
use crate::protocol::{Block, BlockKind, Failed, FailureKind, Reference};
use crate::record::Warning;
use crate::workload::Load;

/// Workers and tasks in flight of a trial.
pub(super) const SMALL: u32 = 2;
/// How much longer than its first task lets expect a trial's tasks may take: the reference ran them in less.
const PATIENCE_NS: u64 = 10_000_000_000;
/// The part of a race's time in which trials may begin,
const TRIALS_PART: u64 = 2;
/// and the least part of the session's budget, however late it is.
const LEAST_TRIALS_PART: u64 = 4;
/// The part of the budget that the tasks of one trial may take, as far as its first one tells.
const BUDGET_PART: u64 = 32;

/// The candidate by which an entry is tried: small, and of its ladders' sizes, since an executor may have no others.
pub(super) fn small(entry: &Entry) -> Candidate {
    let from = |ladder: &[u32], size: u32| ladder.iter().find(|one| **one >= size).or(ladder.last()).copied();
    entry.candidate(Sizes {
        workers: from(&entry.workers, SMALL),
        in_flight: from(&entry.in_flight, SMALL),
        chunk: from(&entry.chunk, 1),
    })
}

impl Runner<'_> {
    /// Tries each of these entries that is not tried in the race, and returns those that may run there. What cannot has
    /// its place in the record, with the reason; where `methods` (the runtime's, its default first) has another way to
    /// begin processes, that is tried in its place, by every engine of the runtime.
    pub(super) fn try_out(&mut self, entries: &[Entry], methods: &[StartMethod]) -> Result<Vec<Entry>, Stop> {
        let until_ns = self.end_of_trials_ns();
        let mut sound = Vec::new();
        for entry in entries {
            if self.is_tried_in_race(entry) || self.spent_ns() > until_ns {
                self.seen.untried.insert(small(entry).kind());
                sound.push(entry.clone());
            } else {
                sound.extend(self.first_sound(entry, methods)?);
            }
        }
        // Who came through before it was known that a way hangs may hang later.
        let mut kept = Vec::new();
        for entry in sound {
            if self.is_bad(&entry, methods) {
                kept.extend(self.first_sound(&entry, methods)?);
            } else {
                kept.push(entry);
            }
        }
        Ok(kept)
    }

    /// Whether an entry is tried in its first life of the race. A batch meets a pool that has run nothing, and memory is
    /// that of an agent that has compared nothing. An executor of the user's fails in ways of its own.
    fn is_tried_in_race(&self, entry: &Entry) -> bool {
        let has_one_process = matches!(entry.engine.model(), Model::Threads | Model::Async | Model::AsyncThreads);
        let is_own = matches!(entry.engine, Engine::Own(_));
        // Of long tasks a block is all that there is time for, whoever runs them.
        if self.has_one_turn() && !is_own {
            return true;
        }
        has_one_process && !is_own && !self.meets_new_pools()
    }

    /// Whether what a life is like before it ran tasks is of interest.
    fn meets_new_pools(&self) -> bool {
        self.watches_memory() || matches!(self.record.workload.load, Load::Batch { .. })
    }

    /// Until when trials may begin: whoever is left then is raced untried.
    fn end_of_trials_ns(&self) -> u64 {
        let (allotted_ns, all_ns) = (self.allotment.budget_ns, self.record.settings.budget_ns);
        self.spent_ns().saturating_add((allotted_ns / TRIALS_PART).max(all_ns / LEAST_TRIALS_PART))
    }

    /// Has an engine that was not tried run its first block, whose results are compared, in the life that has begun.
    pub(super) fn prove(&mut self, slot: usize) -> Result<(), AgentError> {
        let candidate = self.record.candidates[slot].candidate.clone();
        if !self.seen.untried.contains(&candidate.kind()) {
            return Ok(());
        }
        // Who should have been tried before, and was not for want of time, meets its first life as others do.
        if self.has_one_turn() || self.meets_new_pools() {
            return Ok(());
        }
        let life = self.record.candidates[slot].lives.last();
        let (first_task_ns, each_ns) =
            life.map_or((0, 0), |life| (life.first_task_ns, life.startup_ns.saturating_sub(life.ready_ns)));
        self.compare_some(slot, &candidate, first_task_ns, each_ns)?;
        self.seen.untried.remove(&candidate.kind());
        Ok(())
    }

    /// After the failure of a candidate: if its engine was not tried, and a small one of it fails too, the engine has a
    /// fault, whatever its size.
    pub(super) fn blame_engine(&mut self, slot: usize) -> Result<(), Stop> {
        let candidate = self.record.candidates[slot].candidate.clone();
        if !self.seen.untried.contains(&candidate.kind()) {
            return Ok(());
        }
        let entries = self.record.races.last().map_or(&[][..], |race| &race.entries);
        let smallest = entries.iter().find(|entry| entry.candidate(candidate.sizes) == candidate).map(small);
        let is_faulty = match smallest {
            Some(smallest) if smallest != candidate => self.try_twice(&smallest)?.is_err(),
            _ => true,
        };
        if is_faulty {
            self.seen.faulty.insert(slot);
        } else {
            self.seen.untried.remove(&candidate.kind());
        }
        Ok(())
    }

    /// The entry, or the first of those in its place, that can run.
    fn first_sound(&mut self, entry: &Entry, methods: &[StartMethod]) -> Result<Option<Entry>, Stop> {
        let mut entry = entry.clone();
        let mut heard: Vec<(Candidate, Failed)> = Vec::new();
        loop {
            let next = next_method(&entry, methods);
            if self.is_bad(&entry, methods) {
                let Some(method) = next else {
                    let message = "processes hang or fail under every start method, as another engine's do";
                    self.refuse(small(&entry), Failed::new(FailureKind::Hang, message, ""));
                    return Ok(None);
                };
                entry.start_method = Some(method);
                continue;
            }
            let candidate = small(&entry);
            // The reference is a run of the plain loop.
            if candidate.engine == Engine::Sequential && self.reference(&candidate).is_some() {
                return Ok(Some(entry));
            }
            let mut tried = self.try_twice(&candidate)?;
            // What goes wrong only at times may go right once by chance: how processes begin is not to blame then.
            if tried.is_ok() && heard.iter().any(|(_, heard)| heard.kind != FailureKind::Hang) {
                tried = self.try_twice(&candidate)?;
            }
            let Err(failed) = tried else {
                return Ok(self.in_place_of(heard, entry, methods));
            };
            let is_new = heard.iter().all(|(_, heard)| is_new(heard, &failed));
            if failed.kind == FailureKind::Hang {
                self.mark_bad(method_of(&entry, methods), &entry.runtime);
            }
            heard.push((candidate.clone(), failed.clone()));
            self.refuse(candidate, failed);
            self.tell_failure();
            match next.filter(|_| is_new) {
                Some(method) => entry.start_method = Some(method),
                None => return Ok(None),
            }
        }
    }

    /// The entry that works in the place of what failed. Where another engine says the same under its way to begin
    /// processes, the fault is none of how they begin: who gave wrong results is right by chance then.
    fn in_place_of(
        &mut self,
        failed: Vec<(Candidate, Failed)>,
        entry: Entry,
        methods: &[StartMethod],
    ) -> Option<Entry> {
        let method = method_of(&entry, methods);
        let is_like = |candidate: &Candidate| candidate.runtime == entry.runtime && candidate.start_method == method;
        let said_here = |failed: &Failed| {
            let mut here = self.record.candidates.iter().filter(|place| is_like(&place.candidate));
            here.any(|place| place.failure.as_ref().is_some_and(|here| here.says_the_same(failed)))
        };
        if failed.iter().any(|(_, failed)| said_here(failed)) {
            let is_wrong = failed.iter().any(|(_, failed)| failed.kind == FailureKind::Checksum);
            return (!is_wrong).then_some(entry);
        }
        self.replace(failed, &entry, methods);
        Some(entry)
    }

    /// What failed in these ways to begin processes works in that of this entry: no engine begins them otherwise.
    fn replace(&mut self, failed: Vec<(Candidate, Failed)>, entry: &Entry, methods: &[StartMethod]) {
        for (candidate, _) in &failed {
            self.mark_bad(candidate.start_method, &entry.runtime);
        }
        if let (Some((candidate, failure)), Some(by)) = (failed.into_iter().next(), method_of(entry, methods)) {
            self.warn(Warning::Replaced { candidate, by, failure });
        }
    }

    /// Whether processes of this entry begin in a way that is known to be bad.
    fn is_bad(&self, entry: &Entry, methods: &[StartMethod]) -> bool {
        let Some(method) = method_of(entry, methods) else { return false };
        self.seen.bad_methods.contains(&(entry.runtime.clone(), method))
    }

    fn mark_bad(&mut self, method: Option<StartMethod>, runtime: &str) {
        let bad = method.map(|method| (runtime.to_owned(), method));
        self.seen.bad_methods.extend(bad.filter(|bad| !self.seen.bad_methods.contains(bad)));
    }

    /// Tries a candidate, and once more if its tasks fail: whoever the agent before it was connected to may not have
    /// noticed yet that it is gone.
    fn try_twice(&mut self, candidate: &Candidate) -> Result<Result<(), Failed>, Stop> {
        match self.try_once(candidate)? {
            Err(failed) if failed.kind == FailureKind::Task => {
                self.wait_for_release();
                self.try_once(candidate)
            }
            tried => Ok(tried),
        }
    }

    /// Starts a candidate and has it run one block that is not timed.
    fn try_once(&mut self, candidate: &Candidate) -> Result<Result<(), Failed>, Stop> {
        if self.pool.interrupted() {
            return Err(Stop::Interrupted);
        }
        let begun_ns = self.pool.elapsed_ns();
        match self.verify(candidate) {
            Ok(()) => {
                self.seen.proven.insert(candidate.kind());
                let shutdown = self.shut_down(AgentSlot::Trial);
                self.watch_leavings(candidate.clone(), shutdown);
                Ok(Ok(()))
            }
            Err(AgentError::Interrupted) => Err(Stop::Interrupted),
            Err(AgentError::Failed(failed)) => {
                self.pool.kill(AgentSlot::Trial);
                if failed.kind == FailureKind::Hang {
                    self.lose(begun_ns);
                }
                Ok(Err(failed))
            }
        }
    }

    /// Where the tasks that are left do not allow it, nothing is found: the race says so.
    fn verify(&mut self, candidate: &Candidate) -> Result<(), AgentError> {
        let Ok(started) = self.launch(AgentSlot::Trial, candidate, None, Beginning::Warm)? else { return Ok(()) };
        // Items may be uneven, and the first one short.
        let mean_ns = self.slowest.task_ns;
        let each_ns = started.ready.startup_ns.saturating_sub(started.ready.ready_ns).max(mean_ns);
        self.compare_some(AgentSlot::Trial, candidate, started.ready.first_task_ns, each_ns)
    }

    /// Has an agent that has just begun run some tasks, and compares their results. `each_ns` is what its first task took
    /// with its process, where each task has one of its own, and the set-up of that.
    fn compare_some(
        &mut self,
        slot: impl Into<AgentSlot>,
        candidate: &Candidate,
        first_task_ns: u64,
        each_ns: u64,
    ) -> Result<(), AgentError> {
        let results = self.reference(candidate).map_or(0, |reference| reference.results.len() as u64);
        // A small part of what may be called: there are other engines, and there is something to measure.
        let tasks = results.max(1).min((self.calls_left() / 16).max(1));
        let each_ns = each_ns.max(self.pace.turns.map_or(1, |turns| turns.task_ns));
        let each_ns = self.pace.rate.map_or(each_ns, |rate| each_ns.max(rate.interval_ns()));
        let tasks = tasks.min((self.pace.budget_ns / BUDGET_PART / each_ns).max(1));
        if self.calls_left() < tasks {
            return Ok(());
        }
        let expected_ns = first_task_ns.saturating_mul(2 * tasks).saturating_add(PATIENCE_NS);
        let block = self.verify_block(slot, candidate, 0..tasks, expected_ns)?;
        self.compared(candidate, &block)
    }

    /// Has the agent in a slot run these tasks, untimed, for their results.
    pub(super) fn verify_block(
        &mut self,
        slot: impl Into<AgentSlot>,
        candidate: &Candidate,
        indices: Range<u64>,
        expected_ns: u64,
    ) -> Result<Block, AgentError> {
        let tasks = indices.end - indices.start;
        let concurrency = candidate.sizes.concurrency().max(SMALL);
        // A process of each task is set up before it.
        let is_each_set_up = matches!(candidate.engine, Engine::Process | Engine::Own(_));
        let set_up_ns = if is_each_set_up { self.slowest.start_ns } else { 0 };
        let idle_ns = self.slowest.idle_in_block_ns(concurrency, self.hangs_may_cost_ns());
        let ask = Ask {
            kind: BlockKind::Verify,
            window_ns: 0,
            first_index: indices.start,
            most_tasks: Some(tasks),
            patience: Patience {
                whole_ns: grace_ns(self.pace.task_timeout_ns).saturating_add(expected_ns),
                idle_ns: idle_ns.map(|idle_ns| idle_ns.saturating_add(set_up_ns)),
            }
            .and(self.pace.waits_ns(tasks))
            .and(self.waits_for_cluster_ns(candidate)),
        };
        Ok(self.checked(slot, candidate, ask, tasks)?.figures)
    }

    /// Whether the results of a verify block are those of the reference, if there is one.
    pub(super) fn compared(&self, candidate: &Candidate, block: &Block) -> Result<(), AgentError> {
        let Some(reference) = self.reference(candidate) else { return Ok(()) };
        if is_short(reference, block) {
            let message = format!("it gave {} results of {} tasks", block.results.len(), block.tasks);
            return Err(AgentError::Failed(Failed::new(FailureKind::Protocol, message, self.place_of_code())));
        }
        let wrong = differs(reference, block, self.tolerates_errors());
        wrong.map_or(Ok(()), |task| Err(AgentError::Failed(self.wrong_result(candidate, task))))
    }

    /// The failure of a candidate whose result of a task is wrong.
    pub(super) fn wrong_result(&self, candidate: &Candidate, task: u64) -> Failed {
        let item = self.reference(candidate).map_or(task, |reference| reference.item(task));
        let message = format!(
            "the result for item {item} is not the one of a sequential run: make it depend on the item alone, not on what ran before or beside it, or name a function of your own in `check`"
        );
        Failed::new(FailureKind::Checksum, message, self.place_of_code())
    }

    pub(super) fn tolerates_errors(&self) -> bool {
        self.record.workload.objective.limits.errors.tolerates()
    }

    /// The user's own code among the steps, as failures name it; empty if there are several.
    fn place_of_code(&self) -> String {
        let steps = self.record.workload.steps.iter().zip(1..);
        let mut codes = steps.filter(|(step, _)| step.python().is_some());
        match (codes.next(), codes.next()) {
            (Some((step, number)), None) => format!("step {number} ({})", step.kind()),
            _ => String::new(),
        }
    }
}

/// Whether a failure says what an earlier one, under another way to begin processes, did not. A hang is told by where it
/// stands, however long it was waited for.
fn is_new(earlier: &Failed, failed: &Failed) -> bool {
    match failed.kind {
        FailureKind::Hang => stands(&earlier.message) != stands(&failed.message),
        _ => !earlier.says_the_same(failed),
    }
}

/// What the message of a hang says after the wait; all of it where it does not say where it stands.
fn stands(message: &str) -> &str {
    message.split_once("; ").map_or(message, |(_, place)| place)
}

/// How the processes of this entry begin; `None` where it has none, or who chose the ways gets no other.
fn method_of(entry: &Entry, methods: &[StartMethod]) -> Option<StartMethod> {
    let default = methods.first().copied()?;
    entry.engine.has_start_method().then(|| entry.start_method.unwrap_or(default))
}

/// The way to begin processes that comes after that of this entry.
fn next_method(entry: &Entry, methods: &[StartMethod]) -> Option<StartMethod> {
    if !entry.engine.has_start_method() {
        return None;
    }
    let at = entry.start_method.map_or(Some(0), |method| methods.iter().position(|one| *one == method))?;
    methods.get(at + 1).copied()
}

/// The entries whose processes can begin in another way, under that: for a race in which one of them hangs.
pub(super) fn alternates(entries: &[Entry], methods: &[StartMethod]) -> Vec<Entry> {
    let next = |entry: &Entry| Some(Entry { start_method: Some(next_method(entry, methods)?), ..entry.clone() });
    entries.iter().filter_map(next).collect()
}

/// Whether a verify block gave fewer results than the reference has of its tasks.
fn is_short(reference: &Reference, block: &Block) -> bool {
    block.results.len() < reference.results.len().min(block.tasks as usize)
}

/// The first task whose result is wrong in a block whose first task is task 0. Where tasks may fail, those of the two runs
/// need not be the same ones: a result is compared where both have one.
fn differs(reference: &Reference, block: &Block, tolerant: bool) -> Option<u64> {
    // Beyond the first items the reference knows only those that come round again.
    let items = if reference.distinct == 0 { usize::MAX } else { reference.distinct as usize };
    let is_wrong = |task: usize, result: u64| {
        reference.results.get(task % items).is_some_and(|expected| Reference::differ(*expected, result, tolerant))
    };
    let wrong = block.results.iter().enumerate().find(|(task, result)| is_wrong(*task, **result));
    wrong.map(|(task, _)| task as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_at_the_same_place_is_the_same_however_long_it_was_waited_for() {
        let hang = |message: &str| Failed::new(FailureKind::Hang, message, "");
        let first = hang("no answer, and no CPU used within 11.7 s; a worker stands in `teardown` (shop.py:4)");
        let same = hang("no answer, and no CPU used within 8.50 s; a worker stands in `teardown` (shop.py:4)");
        let other = hang("no answer, and no CPU used within 8.50 s; a worker stands in `fetch` (shop.py:9)");
        assert!(!is_new(&first, &same) && is_new(&first, &other));
        // Where nothing says where it stands, it may be another.
        assert!(is_new(&hang("no answer within 2.00 s"), &hang("no answer within 3.00 s")));
    }
}
