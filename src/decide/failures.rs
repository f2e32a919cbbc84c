//! What failed with so many in flight, and who is not tried with as many.
//!
//! A far side that serves a few connections, or a limit of the user's own, puts out every engine at the same size. Each
//! failure may cost seconds (a hang), so engines learn from each other's.

use std::collections::BTreeSet;

use crate::candidate::{Candidate, Engine, Model, StartMethod};
use crate::plan::Entry;

/// An engine that failed at so many sizes, each smaller than the one before, is out.
const MOST_FAILURES: usize = 5;
/// After a failure with so many in flight others begin at this part of it.
const PART: u32 = 4;
/// So many engines of a family that failed with as many in flight speak for all of it.
const SPEAK_FOR_ALL: usize = 2;
/// Whoever hangs with at most so many processes hangs for the way in which they begin, unless something else failed
/// with nearly as few in flight.
const FEW_PROCESSES: u32 = 8;

/// What has its own of what there may be little of (a connection, say), and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Thread,
    ThreadOfTask,
    Loop,
    Process(Option<StartMethod>),
    ProcessOfTask(Option<StartMethod>),
    Interpreter,
    Cluster,
}

/// Engines of one family fail for the same causes.
fn family(entry: &Entry) -> Unit {
    let is_per_task = !entry.engine.axes().workers;
    match (entry.engine.model(), is_per_task) {
        (Model::Threads, true) => Unit::ThreadOfTask,
        (Model::Threads | Model::AsyncThreads, _) => Unit::Thread,
        (Model::Sequential | Model::Async, _) => Unit::Loop,
        (Model::ShardedAsync, _) if entry.engine.has_worker_processes() => Unit::Process(entry.start_method),
        (Model::ShardedAsync, _) => Unit::Thread,
        (Model::Processes, true) => Unit::ProcessOfTask(entry.start_method),
        (Model::Processes | Model::AsyncProcesses, _) => Unit::Process(entry.start_method),
        (Model::Interpreters, _) => Unit::Interpreter,
        (Model::Cluster, _) => Unit::Cluster,
    }
}

/// The failures of a race.
#[derive(Clone, Debug)]
pub(super) struct Failures {
    /// The family and the engine of each entry.
    kinds: Vec<(Unit, Engine)>,
    /// The tasks that were in flight at each failure, by entry.
    concurrency: Vec<Vec<u32>>,
    /// Whether an entry has a fault that its every size has.
    is_faulty: Vec<bool>,
}

impl Failures {
    pub(super) fn new(entries: &[Entry]) -> Failures {
        Failures {
            kinds: entries.iter().map(|entry| (family(entry), entry.engine)).collect(),
            concurrency: vec![Vec::new(); entries.len()],
            is_faulty: vec![false; entries.len()],
        }
    }

    /// A candidate of this entry failed.
    pub(super) fn saw(&mut self, entry: usize, candidate: &Candidate) {
        self.concurrency[entry].push(candidate.sizes.concurrency());
    }

    /// A candidate of this entry failed by a fault that its every size has.
    pub(super) fn saw_fault(&mut self, entry: usize) {
        self.is_faulty[entry] = true;
    }

    /// Whether an entry has such a fault.
    pub(super) fn is_faulty(&self, entry: usize) -> bool {
        self.is_faulty[entry]
    }

    /// Whether the failures of an entry say something of others: an executor of the user's may fail by its own fault.
    fn speaks(&self, entry: usize) -> bool {
        !matches!(self.kinds[entry].1, Engine::Own(_))
    }

    /// Whether an entry failed so often that it is out, or has a fault.
    pub(super) fn is_out(&self, entry: usize) -> bool {
        self.is_faulty[entry] || self.concurrency[entry].len() >= MOST_FAILURES
    }

    /// With how many in flight an entry is not tried: two others of its family failed with no more.
    pub(super) fn forbids(&self, entry: usize, concurrency: u32) -> bool {
        let is_relative = |other: &usize| self.kinds[*other].0 == self.kinds[entry].0 && self.speaks(*other);
        let has_failed = |other: &usize| self.concurrency[*other].iter().any(|failed| *failed <= concurrency);
        let failed = (0..self.kinds.len()).filter(is_relative).filter(has_failed);
        failed.map(|other| self.kinds[other].1).collect::<BTreeSet<Engine>>().len() >= SPEAK_FOR_ALL
    }

    /// Whether a hang of this candidate, which is not told yet, comes of the way in which its processes begin.
    pub(super) fn blames_start_method(&self, candidate: &Candidate) -> bool {
        let concurrency = candidate.sizes.concurrency();
        let is_scarce = self.begin_at_most().is_some_and(|most| concurrency > most);
        candidate.start_method.is_some() && concurrency <= FEW_PROCESSES && !is_scarce
    }

    /// The most in flight with which engines begin; `None` where nothing failed.
    pub(super) fn begin_at_most(&self) -> Option<u32> {
        let of_those = (0..self.kinds.len()).filter(|entry| self.speaks(*entry));
        of_those.flat_map(|entry| &self.concurrency[entry]).min().map(|least| (least / PART).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Engine, OwnExecutor, Sizes, Word};

    fn entry(engine: Engine, start_method: Option<StartMethod>) -> Entry {
        Entry {
            runtime: "python3.11".to_owned(),
            engine,
            start_method,
            library_threads: None,
            default_sizes: Sizes::default(),
            in_flight: Vec::new(),
            workers: Vec::new(),
            chunk: Vec::new(),
        }
    }

    fn with(entries: &[Entry], failed: &[(usize, u32)]) -> Failures {
        let mut failures = Failures::new(entries);
        for (number, workers) in failed {
            let sizes = Sizes { workers: Some(*workers), ..Sizes::default() };
            failures.saw(*number, &entries[*number].candidate(sizes));
        }
        failures
    }

    #[test]
    fn two_engines_of_a_family_speak_for_all_of_it() {
        let fork = Some(StartMethod::Fork);
        let entries = [
            entry(Engine::ThreadPoolExecutor, None),
            entry(Engine::AsyncioThreads, None),
            entry(Engine::Thread, None),
            entry(Engine::ProcessPoolExecutor, fork),
        ];
        let one = with(&entries, &[(0, 64)]);
        assert!(!one.forbids(1, 64));
        let both = with(&entries, &[(0, 64), (1, 32)]);
        assert!(both.forbids(0, 64) && both.forbids(1, 64));
        assert!(!both.forbids(0, 32), "only one failed with 32");
        assert!(!both.forbids(2, 64), "a thread of each task lets go of what it has");
        assert!(!both.forbids(3, 64), "processes fail for causes of their own");
    }

    #[test]
    fn ways_to_begin_processes_fail_by_themselves() {
        let entries = [
            entry(Engine::ProcessPoolExecutor, Some(StartMethod::Fork)),
            entry(Engine::MultiprocessingPool, Some(StartMethod::Fork)),
            entry(Engine::MultiprocessingPool, Some(StartMethod::Spawn)),
        ];
        let both = with(&entries, &[(0, 2), (1, 2)]);
        assert!(both.forbids(0, 2) && !both.forbids(0, 1) && !both.forbids(2, 2));
    }

    #[test]
    fn a_hang_of_few_processes_is_laid_to_their_start() {
        let entries = [entry(Engine::ProcessPoolExecutor, Some(StartMethod::Fork))];
        let of = |workers| entries[0].candidate(Sizes { workers: Some(workers), ..Sizes::default() });
        assert!(with(&entries, &[]).blames_start_method(&of(2)));
        assert!(!with(&entries, &[]).blames_start_method(&of(64)), "something may allow fewer");
        assert!(!with(&entries, &[(0, 16)]).blames_start_method(&of(8)), "others failed with few, too");
        let threads = Candidate { start_method: None, ..of(2) };
        assert!(!with(&entries, &[]).blames_start_method(&threads));
    }

    #[test]
    fn an_executor_of_the_users_fails_for_itself() {
        let (factory, model) = (Word::of("pools:make"), Model::Threads);
        let own = Engine::Own(OwnExecutor { factory, model, is_context: true, fixed_workers: None });
        let entries = [entry(own, None), entry(Engine::ThreadPoolExecutor, None), entry(Engine::AsyncioThreads, None)];
        let failures = with(&entries, &[(0, 2), (1, 64)]);
        assert!(!failures.forbids(2, 64));
        assert_eq!(failures.begin_at_most(), Some(16));
        assert!(with(&entries, &[(0, 32), (0, 16), (0, 8), (0, 4), (0, 2)]).is_out(0));
    }

    #[test]
    fn others_begin_far_below_a_failure() {
        let entries = [entry(Engine::ThreadPoolExecutor, None)];
        assert_eq!(with(&entries, &[]).begin_at_most(), None);
        assert_eq!(with(&entries, &[(0, 64)]).begin_at_most(), Some(16));
        assert_eq!(with(&entries, &[(0, 64), (0, 2)]).begin_at_most(), Some(1));
        assert!(with(&entries, &[(0, 32), (0, 16), (0, 8), (0, 4), (0, 2)]).is_out(0));
    }
}
