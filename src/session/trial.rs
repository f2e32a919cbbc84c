//! Feasibility before speed: each engine runs the user's own code once, small, before any is measured.

use super::blocks::grace_ns;
use super::course::{Course, Stop};
use super::hands::{Ask, Beginning};
use super::link::Fault;
use crate::candidate::{Candidate, Sizes, StartMethod};
use crate::plan::Entry;
use crate::protocol::{Block, BlockKind, Failed, FailureKind, Reference};

/// Workers and tasks in flight of a trial.
const SMALL: u32 = 2;
/// The slot of a trial's agent: no candidate of the record has it.
const SLOT: usize = usize::MAX;
/// How much longer than its first task lets expect a trial's tasks may take: the reference ran them in less.
const PATIENCE_NS: u64 = 10_000_000_000;
/// The part of the budget that the tasks of one trial may take, as far as its first one tells.
const BUDGET_PART: u64 = 32;

/// The candidate by which an entry is tried: small, within its ladders.
pub(super) fn small(entry: &Entry) -> Candidate {
    let at_most = |ladder: &[u32], size: u32| ladder.last().map(|largest| size.min(*largest));
    entry.candidate(Sizes {
        workers: at_most(&entry.workers, SMALL),
        in_flight: at_most(&entry.in_flight, SMALL),
        chunk: at_most(&entry.chunk, 1),
    })
}

impl Course<'_> {
    /// Tries each of these entries, and returns those that can run. What cannot has its place in the record, with
    /// the reason; where `methods` (the runtime's, its default first) has another way to begin processes, that is
    /// tried in the default's place.
    pub(super) fn try_out(&mut self, entries: &[Entry], methods: &[StartMethod]) -> Result<Vec<Entry>, Stop> {
        let mut sound = Vec::new();
        for entry in entries {
            sound.extend(self.first_sound(entry, methods)?);
        }
        Ok(sound)
    }

    /// The entry, or the first of those in its place, that can run.
    fn first_sound(&mut self, entry: &Entry, methods: &[StartMethod]) -> Result<Option<Entry>, Stop> {
        let mut entry = entry.clone();
        let mut heard: Option<String> = None;
        loop {
            let candidate = small(&entry);
            let Err(failed) = self.try_once(&candidate)? else { return Ok(Some(entry)) };
            let is_new = heard.as_ref() != Some(&failed.message);
            let next = next_method(&entry, methods).filter(|_| is_new && may_lie_in_the_start(failed.kind));
            heard = Some(failed.message.clone());
            self.refuse(candidate, failed);
            self.tell_failure();
            match next {
                Some(method) => entry.start_method = Some(method),
                None => return Ok(None),
            }
        }
    }

    /// Starts a candidate and has it run one block that is not timed.
    fn try_once(&mut self, candidate: &Candidate) -> Result<Result<(), Failed>, Stop> {
        if self.hands.interrupted() {
            return Err(Stop::Interrupted);
        }
        let begun_ns = self.hands.elapsed_ns();
        match self.verify(candidate) {
            Ok(()) => {
                let farewell = self.hands.end(SLOT);
                self.watch_leavings(candidate.clone(), farewell);
                Ok(Ok(()))
            }
            Err(Fault::Interrupted) => Err(Stop::Interrupted),
            Err(Fault::Failed(failed)) => {
                self.hands.kill(SLOT);
                if failed.kind == FailureKind::Hang {
                    self.lost_ns += self.hands.elapsed_ns().saturating_sub(begun_ns);
                }
                Ok(Err(failed))
            }
        }
    }

    /// Where the tasks that are left do not allow it, nothing is found: the race says so.
    fn verify(&mut self, candidate: &Candidate) -> Result<(), Fault> {
        let Ok(born) = self.bear(SLOT, candidate, None, Beginning::Warm)? else { return Ok(()) };
        let results = self.references.get(&candidate.runtime).map_or(0, |reference| reference.results.len() as u64);
        // A small part of what may be called: there are other engines, and there is something to measure.
        let tasks = results.max(1).min((self.calls_left() / 16).max(1));
        // With its process, where each task has one of its own, and the set-up of that.
        let each_ns = born.ready.startup_ns.saturating_sub(born.ready.ready_ns).max(1);
        let tasks = tasks.min((self.pace.budget_ns / BUDGET_PART / each_ns).max(1));
        if self.calls_left() < tasks {
            return Ok(());
        }
        let expected_ns = born.ready.first_task_ns.saturating_mul(2 * tasks).saturating_add(PATIENCE_NS);
        let ask = Ask {
            kind: BlockKind::Verify,
            window_ns: 0,
            first_index: 0,
            most_tasks: Some(tasks),
            patience_ns: expected_ns.saturating_add(grace_ns(self.pace.task_timeout_ns)),
        };
        let taken = self.checked(SLOT, candidate, ask, tasks)?;
        let place = self.place_of_code();
        match self.references.get(&candidate.runtime) {
            Some(reference) => {
                let tolerant = self.record.workload.objective.limits.errors.tolerates();
                let wrong = differs(reference, &taken.figures, place, tolerant);
                wrong.map_or(Ok(()), |it| Err(Fault::Failed(it)))
            }
            None => Ok(()),
        }
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

/// Whether another way to begin processes may help: not where a task or its result is at fault.
fn may_lie_in_the_start(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Setup | FailureKind::Worker | FailureKind::Agent | FailureKind::Hang => true,
        FailureKind::Task | FailureKind::Checksum | FailureKind::Protocol => false,
    }
}

/// The way to begin processes that comes after that of this entry.
fn next_method(entry: &Entry, methods: &[StartMethod]) -> Option<StartMethod> {
    if !entry.engine.has_start_method() {
        return None;
    }
    let at = entry.start_method.map_or(Some(0), |method| methods.iter().position(|one| *one == method))?;
    methods.get(at + 1).copied()
}

/// What is wrong with the results of a block whose first task is task 0. Where tasks may fail, those of the two runs
/// need not be the same ones: a result is compared where both have one.
fn differs(reference: &Reference, block: &Block, place: String, tolerant: bool) -> Option<Failed> {
    let expected = reference.results.get(..block.tasks as usize).unwrap_or(&reference.results);
    if block.results.len() < expected.len() {
        let message = format!("it gave {} results of {} tasks", block.results.len(), block.tasks);
        return Some(Failed::new(FailureKind::Protocol, message, place));
    }
    let differ = |(one, other): (&u64, &u64)| one != other && !(tolerant && (*one == 0 || *other == 0));
    let item = expected.iter().zip(&block.results).position(differ)?;
    let message = format!(
        "the result for item {item} is not the one of a sequential run: make it depend on the item alone, not on what ran before or beside it, or name a function of your own in `check`"
    );
    Some(Failed::new(FailureKind::Checksum, message, place))
}
