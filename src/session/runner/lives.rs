//! Lives of candidates: how they begin, are warmed up and end.

use super::{LATE_RELEASE_NS, MS, Runner, SURE_RELEASE_NS, Stop};
use crate::candidate::{Candidate, Cluster, Engine, Model};
use crate::protocol::{Block, BlockKind, Failed};
use crate::record::{BlockRecord, CandidateRecord, Life, RuntimeCalibration, Warning};
use crate::session::blocks::{Learned, turn_ns, turns_ns};
use crate::session::error::AgentError;
use crate::session::hang::waits_for_cluster_ns;
use crate::session::pool::{AgentSlot, Beginning, Shutdown, Started};
use crate::session::{Event, counts_start_up};
use crate::workload::Load;

/// The window of the block by which a new life is warmed up.
pub(super) const WARM_UP_NS: u64 = 5 * MS;
/// Tasks as long as this need no warm-up but the one that each slot has run: what is cold costs them little.
const LONG_TASK_NS: u64 = 5 * MS;
/// A cache of the user's own is filled in each life, if that takes no longer than this, one call after another.
const MOST_TO_FILL_NS: u64 = 1_000 * MS;
/// Tasks whose time under load is so many times that of the first one queue for something.
const QUEUES: f64 = 1.4;
/// A queue is filled by blocks of so many turns of its tasks, at most so many of them, until their time grows by less.
pub(super) const TURNS_TO_FILL: u64 = 2;
const FILLS: usize = 3;
const FILLED: f64 = 1.1;

impl Runner<'_> {
    /// The agent of a candidate that may have ended, alive; `None` where it cannot be.
    pub(in crate::session) fn alive(&mut self, slot: usize) -> Result<Option<Learned>, AgentError> {
        self.make_room(slot, false);
        if !self.slots[slot].alive && self.start(slot, Beginning::Warm)?.is_err() {
            return Ok(None);
        }
        Ok(self.slots[slot].learned)
    }

    /// Takes a candidate out that failed.
    pub(in crate::session) fn put_out(&mut self, slot: usize, failure: Failed) {
        self.kill(slot);
        let place = &mut self.record.candidates[slot];
        place.failure = Some(failure.clone());
        self.observer.observe(&Event::Failed { candidate: &place.candidate, failure: &failure });
    }

    /// Puts out the other sizes of an engine that has a fault which all of them have, in the race that runs.
    pub(super) fn put_out_others(&mut self, slot: usize) {
        let place = &self.record.candidates[slot];
        let (failed, failure) = (place.candidate.clone(), place.failure.clone());
        for other in (self.base..self.slots.len()).filter(|other| *other != slot) {
            let place = &mut self.record.candidates[other];
            if place.candidate.without_sizes() == failed.without_sizes() && place.failure.is_none() {
                place.failure.clone_from(&failure);
                self.kill(other);
            }
        }
    }

    /// Begins a cold life of a candidate in the place of its warm one. What goes wrong says nothing of the answer.
    pub(super) fn restarted_cold(&mut self, slot: usize) -> Option<Learned> {
        self.end(slot);
        if !matches!(self.start(slot, Beginning::Cold), Ok(Ok(()))) {
            self.kill(slot);
        }
        self.slots[slot].learned.filter(|_| self.slots[slot].alive)
    }

    pub(in crate::session) fn watches_memory(&self) -> bool {
        self.cold_lives > 0 || self.record.workload.objective.looks_at_memory()
    }

    /// How a life of this candidate is to begin: cold if its memory is measured, if its start-up is compared, or if no life of
    /// its engine was cold yet.
    pub(super) fn beginning(&self, slot: usize) -> Beginning {
        let candidate = &self.record.candidates[slot].candidate;
        let is_kin = |other: &Candidate| other.kind() == candidate.kind();
        let kin = self.record.candidates.iter().filter(|place| is_kin(&place.candidate));
        let is_known = kin.flat_map(|place| &place.lives).any(|life| !life.warm);
        let is_warm = is_known && !self.is_looked_at(slot) && !counts_start_up(&self.record.workload);
        if is_warm { Beginning::Warm } else { Beginning::Cold }
    }

    /// Whether the start-up and the memory of a candidate's next life are of interest.
    fn is_looked_at(&self, slot: usize) -> bool {
        self.record.workload.objective.looks_at_memory() || self.cold_lives_that_count(slot) < self.cold_lives
    }

    /// The cold lives of a candidate with a block in a round that counts.
    fn cold_lives_that_count(&self, slot: usize) -> usize {
        let place = &self.record.candidates[slot];
        let is_cold = |block: &&BlockRecord| place.lives.get(block.life as usize).is_some_and(|life| !life.warm);
        let counts = |block: &&BlockRecord| self.record.round_of(block).is_some_and(|round| !round.voided);
        place.blocks.iter().filter(is_cold).filter(counts).count()
    }

    /// What starting a candidate's cluster took, where the session started it: the user's program does so, too.
    fn cluster_start_ns(&self, candidate: &Candidate) -> u64 {
        self.cluster(candidate).and_then(|cluster| cluster.start_ns).unwrap_or(0)
    }

    /// How long a candidate's agent may wait for its cluster, and do nothing; 0 where it has none.
    pub(in crate::session) fn waits_for_cluster_ns(&self, candidate: &Candidate) -> u64 {
        self.cluster(candidate).map_or(0, waits_for_cluster_ns)
    }

    /// The cluster that this candidate runs on.
    fn cluster(&self, candidate: &Candidate) -> Option<&Cluster> {
        let runtime = self.record.calibration.runtime(&candidate.runtime);
        runtime.and_then(|it| it.cluster.as_ref()).filter(|_| candidate.model() == Model::Cluster)
    }

    /// A new life: started and warmed up. Every block's checksum is compared, this one's too.
    pub(super) fn start(&mut self, slot: usize, beginning: Beginning) -> Result<Result<(), Stop>, AgentError> {
        let candidate = self.record.candidates[slot].candidate.clone();
        let concurrency = candidate.sizes.concurrency();
        let started = match self.launch(slot, &candidate, None, beginning)? {
            Ok(started) => started,
            Err(stop) => return Ok(Err(stop)),
        };
        (self.slots[slot].alive, self.slots[slot].short_turns) = (true, 0);
        let cluster_ns = self.cluster_start_ns(&candidate);
        self.record.candidates[slot].lives.push(Life {
            boot_ns: started.boot_ns,
            ready_ns: started.ready.ready_ns.saturating_add(cluster_ns),
            startup_ns: started.ready.startup_ns.saturating_add(cluster_ns),
            first_task_ns: started.ready.first_task_ns,
            teardown_ns: None,
            parked_cpu_share: 0.0,
            gil: started.ready.gil,
            warm: started.beginning == Beginning::Warm,
            library_threads: started.ready.library_threads,
        });
        if self.watches_memory() && self.is_looked_at(slot) {
            self.slots[slot].has_memory = false;
        }
        let turns_ns = turns_of(&candidate, &started, self.plain(&candidate));
        let before = std::mem::replace(&mut self.slots[slot].turns_ns, turns_ns);
        // Whether its threads wait for each other is known from its life before, or from a first block.
        let is_known = before == turns_ns;
        let first_task_ns = self.pace.turns.map_or(started.ready.first_task_ns, |turns| turns.task_ns);
        let learned = Learned::from_first_task(first_task_ns, concurrency, self.record.workload.load);
        // A user's batch meets a pool that has just started, and queues that are empty; so does a turn of long tasks.
        if matches!(self.record.workload.load, Load::Batch { .. }) || self.pace.turns.is_some() {
            self.slots[slot].learned = Some(learned);
            return Ok(Ok(()));
        }
        self.fill_cache(slot, &candidate)?;
        // Before its first life nothing is known of its queue, unless it has one task at a time.
        let earlier = self.slots[slot].learned;
        let has_known_queue = earlier.is_some() || concurrency == 1;
        let before = earlier.unwrap_or(learned);
        let queues = |seen: &Learned| seen.latency_ns as f64 > QUEUES * learned.latency_ns as f64;
        // Before a window opens each slot has run what it is handed at once.
        let is_long = learned.latency_ns.saturating_mul(u64::from(candidate.sizes.chunk.unwrap_or(1))) > LONG_TASK_NS;
        if is_long && is_known && has_known_queue {
            // How its tasks queue is known from the life before.
            let known = if queues(&before) { before } else { Learned { turns_ns: before.turns_ns, ..learned } };
            self.slots[slot].learned = Some(known);
            return Ok(Ok(()));
        }
        let warmed = if is_known && queues(&before) {
            self.fill_queue(slot, &candidate, &before, turns_ns)?
        } else {
            self.warm_up_to_full(slot, &candidate, &learned, turns_ns)?
        };
        Ok(warmed.map(|seen| self.slots[slot].learned = Some(seen)))
    }

    /// Runs each item once, untimed, where the user's code keeps what it found and that takes little time: whoever runs
    /// more tasks would find more of them kept.
    fn fill_cache(&mut self, slot: usize, candidate: &Candidate) -> Result<(), AgentError> {
        let cached = self.record.calibration.runtime(&candidate.runtime).and_then(RuntimeCalibration::cached_ns);
        let (Some((first_ns, _)), Some(reference)) = (cached, self.reference(candidate)) else { return Ok(()) };
        let (items, all_ns) = (reference.distinct, reference.distinct.saturating_mul(first_ns));
        if items == 0 || all_ns > MOST_TO_FILL_NS || items > self.calls_left() / 4 {
            return Ok(());
        }
        self.verify_block(slot, candidate, 0..items, all_ns).map(|_| ())
    }

    /// Warms up a life whose queue is not known: after a first block, its queue is filled until its tasks take no longer.
    fn warm_up_to_full(
        &mut self,
        slot: usize,
        candidate: &Candidate,
        learned: &Learned,
        turns_ns: u64,
    ) -> Result<Result<Learned, Stop>, AgentError> {
        let grows = |latency_ns: u64, times: f64, from_ns: u64| latency_ns as f64 > times * from_ns as f64;
        let foreseen_ns = self.queueing_ns(candidate);
        let (mut warmed, mut expected_ns) = if grows(foreseen_ns, QUEUES, learned.latency_ns) {
            let foreseen = Learned { latency_ns: foreseen_ns, ..*learned };
            (self.fill_queue(slot, candidate, &foreseen, turns_ns)?, foreseen_ns)
        } else {
            (self.warm_up(slot, candidate, learned, turns_ns)?, learned.latency_ns)
        };
        let mut times = QUEUES;
        for _ in 0..FILLS {
            let Ok(seen) = warmed else { break };
            if !grows(seen.latency_ns, times, expected_ns) {
                break;
            }
            (expected_ns, times) = (seen.latency_ns, FILLED);
            warmed = self.fill_queue(slot, candidate, &seen, turns_ns)?;
        }
        Ok(warmed)
    }

    /// What a task of this candidate takes at least under its full load, since all that are in flight share the cores: by
    /// the CPU time that a task took in the plain loop of its runtime. 0 where that is not known.
    fn queueing_ns(&self, candidate: &Candidate) -> u64 {
        let (Some(block), Some(cores)) = (self.plain(candidate), self.record.calibration.usable_cores) else {
            return 0;
        };
        let cpu_ns = block.usage.own_cpu_ns() as f64 / block.tasks as f64;
        (f64::from(candidate.sizes.concurrency()) * cpu_ns / cores.max(1.0)) as u64
    }

    /// The first block with tasks of the plain loop of a candidate's runtime.
    fn plain(&self, candidate: &Candidate) -> Option<&Block> {
        let is_plain = |place: &&CandidateRecord| {
            place.candidate.engine == Engine::Sequential && place.candidate.runtime == candidate.runtime
        };
        let blocks = self.record.candidates.iter().filter(is_plain).flat_map(|place| &place.blocks);
        let mut plain = blocks.map(|block| &block.figures);
        plain.find(|block| block.kind == BlockKind::Timed && block.tasks > 0)
    }

    /// Runs an untimed block of some turns of tasks that queue for something (a lock, a core): at first the queue is short,
    /// and tasks end sooner than they will. Whether it is run depends on warm-ups alone, never on a block that counts.
    fn fill_queue(
        &mut self,
        slot: usize,
        candidate: &Candidate,
        learned: &Learned,
        turns_ns: u64,
    ) -> Result<Result<Learned, Stop>, AgentError> {
        let wished = self.pace.untimed(learned.latency_ns.saturating_mul(TURNS_TO_FILL), learned.latency_ns);
        let Some(window_ns) = self.affordable(candidate, wished, learned) else { return Ok(Err(Stop::CallsSpent)) };
        let measurement = self.block_of(slot, candidate, BlockKind::Timed, window_ns, learned)?;
        Ok(Ok(Learned::from_block(&measurement.figures, turns_ns)))
    }

    /// Starts an agent, and counts the tasks that it runs by itself.
    /// `iterations` as for [`AgentPool::start`].
    pub(in crate::session) fn launch(
        &mut self,
        slot: impl Into<AgentSlot>,
        candidate: &Candidate,
        iterations: Option<&[u64]>,
        beginning: Beginning,
    ) -> Result<Result<Started, Stop>, AgentError> {
        // An agent's first task, and one for each in flight.
        let all_first = u64::from(candidate.sizes.concurrency()) + 1;
        let first_tasks = if self.pace.turns.is_some() { 0 } else { all_first };
        if self.calls_left() < first_tasks {
            return Ok(Err(Stop::CallsSpent));
        }
        // One that fails in its set-up may have run them, too.
        self.calls = self.calls.saturating_add(first_tasks);
        let processes = if candidate.engine.crosses() { candidate.sizes.at_once() } else { 0 };
        let patience = self
            .slowest
            .patience_in_start(candidate.sizes.concurrency(), processes, self.hangs_may_cost_ns())
            .and(self.pace.waits_ns(first_tasks))
            .and(self.waits_for_cluster_ns(candidate));
        let started = self.pool.start(slot.into(), candidate, iterations, beginning, patience)?;
        self.slowest.saw(started.ready.first_task_ns, started.boot_ns.saturating_add(started.ready.startup_ns));
        self.watch_lock(candidate, &started);
        Ok(Ok(started))
    }

    /// Runs a first block, which counts for nothing but what it teaches.
    pub(in crate::session) fn warm_up(
        &mut self,
        slot: usize,
        candidate: &Candidate,
        learned: &Learned,
        turns_ns: u64,
    ) -> Result<Result<Learned, Stop>, AgentError> {
        let wished = self.pace.untimed(WARM_UP_NS, learned.latency_ns.min(WARM_UP_NS));
        let Some(window_ns) = self.affordable(candidate, wished, learned) else { return Ok(Err(Stop::CallsSpent)) };
        let measurement = self.block_of(slot, candidate, BlockKind::Timed, window_ns, learned)?;
        self.watch_parking(slot, measurement.parked_cpu_share);
        Ok(Ok(Learned::from_block(&measurement.figures, turns_ns)))
    }

    pub(in crate::session) fn kill(&mut self, slot: usize) {
        self.pool.kill(slot.into());
        self.slots[slot].alive = false;
    }

    pub(super) fn end(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.slots[slot].alive, false) {
            return;
        }
        let shutdown = self.shut_down(slot);
        let place = &mut self.record.candidates[slot];
        if let Some(life) = place.lives.last_mut() {
            life.teardown_ns = shutdown.teardown_ns;
        }
        let candidate = place.candidate.clone();
        self.watch_leavings(candidate, shutdown);
    }

    /// Ends an agent in peace; what a teardown takes that does not end is lost.
    pub(in crate::session) fn shut_down(&mut self, slot: impl Into<AgentSlot>) -> Shutdown {
        let begun_ns = self.pool.elapsed_ns();
        let shutdown = self.pool.end(slot.into());
        if shutdown.hung {
            self.lose(begun_ns);
        }
        shutdown
    }

    /// Says what a candidate's tasks left behind: of each engine once, since each of its sizes and lives does so.
    pub(in crate::session) fn watch_leavings(&mut self, candidate: Candidate, shutdown: Shutdown) {
        let Shutdown { leftover: processes, left_behind, failed_teardown, .. } = shutdown;
        if let Some(failure) = failed_teardown {
            self.watch_teardown(&candidate, failure);
        }
        let kind = candidate.kind();
        if (processes == 0 && left_behind.is_empty()) || !self.seen.told.insert(kind) {
            return;
        }
        if processes > 0 {
            self.warn(Warning::Leftover { candidate: candidate.clone(), processes });
        }
        if !left_behind.is_empty() {
            self.warn(Warning::LeftBehind { candidate, left_behind });
        }
    }

    /// Says that the user's own teardown failed, each failure once: it is the same code in each candidate.
    fn watch_teardown(&mut self, candidate: &Candidate, failure: Failed) {
        let is_same = |warning: &Warning| matches!(warning, Warning::FailedTeardown { failure: told, .. } if told.message == failure.message);
        if !self.record.warnings.iter().any(is_same) {
            self.warn(Warning::FailedTeardown { candidate: candidate.clone(), failure });
        }
    }

    /// Says, once a runtime, that an import turned the lock on again that it was built and started without.
    fn watch_lock(&mut self, candidate: &Candidate, started: &Started) {
        let runtime = &candidate.runtime;
        let hello = self.record.calibration.runtime(runtime).map(|runtime| &runtime.hello);
        let was_free = hello.is_some_and(|hello| hello.free_threaded == Some(true) && hello.gil == Some(false));
        let is_told = |warning: &Warning| matches!(warning, Warning::GilEnabled { runtime: told } if told == runtime);
        if was_free && started.ready.gil == Some(true) && !self.record.warnings.iter().any(is_told) {
            self.warn(Warning::GilEnabled { runtime: runtime.clone() });
        }
    }

    /// Waits until whoever an agent that ended was connected to has surely noticed.
    pub(in crate::session) fn wait_for_release(&mut self) {
        self.pool.idle(if self.is_exclusive { LATE_RELEASE_NS } else { SURE_RELEASE_NS });
    }
}

/// What two turns of each of a candidate's threads take, where they share an interpreter lock; else 0. `plain` is a block
/// of the same tasks in a plain loop.
pub(in crate::session) fn turns_of(candidate: &Candidate, started: &Started, plain: Option<&Block>) -> u64 {
    let shares = started.ready.gil == Some(true) && candidate.model() == Model::Threads;
    if shares { turns_ns(candidate.sizes.concurrency(), turn_ns(plain)) } else { 0 }
}
