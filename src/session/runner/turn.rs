//! One turn of a race: a timed block with all that must come before it, and what follows from a failure.

use super::{LATE_RELEASE_NS, MOST_LOST_NS, MS, Runner, SURE_RELEASE_NS, Stop, Turned};
use crate::candidate::{Candidate, Engine, StartMethod};
use crate::decide::{Turn, TurnOutcome};
use crate::protocol::{Block, BlockKind, Failed, FailureKind};
use crate::record::{BlockRecord, CandidateRecord, FailedTasks, Record, Warning, observation};
use crate::session::blocks::Learned;
use crate::session::error::AgentError;
use crate::stats::{merged, percentile};
use crate::workload::Load;

/// So many tasks are not all short by chance.
const SEVERAL: u64 = 4;
/// Long tasks whose turn takes less than such a part of one are not long.
const NOT_LONG_PART: u64 = 8;
/// So many times its window is what a block should have had, if it was too short.
const SHORT: u64 = 2;
/// How long after agents have ended whoever they were connected to may take to notice.
const RELEASE_NS: u64 = 20 * MS;

impl Runner<'_> {
    pub(super) fn turn(&mut self, number: u32, turn: Turn) -> Turned {
        let mut measured = self.measure_or_lose(number, turn);
        if let Err(AgentError::Failed(failure)) = &measured
            && self.may_be_ours(turn.candidate, failure)
        {
            let failure = failure.clone();
            measured = self.measure_alone(number, turn, failure);
        }
        match measured {
            Ok(Ok(outcome)) => Turned::Fed(outcome),
            Ok(Err(stop)) => Turned::Stopped(stop),
            Err(AgentError::Interrupted) => Turned::Stopped(Stop::Interrupted),
            Err(AgentError::Failed(failure)) => {
                self.put_out(turn.candidate, failure);
                match self.blame_engine(turn.candidate) {
                    Ok(()) => {
                        self.watch_scarcity(turn.candidate);
                        Turned::Fed(TurnOutcome::Failed)
                    }
                    Err(stop) => Turned::Stopped(stop),
                }
            }
        }
    }

    /// As [`Runner::measure`]; what a hang takes is lost.
    fn measure_or_lose(&mut self, number: u32, turn: Turn) -> Result<Result<TurnOutcome, Stop>, AgentError> {
        let begun_ns = self.pool.elapsed_ns();
        let measured = self.measure(number, turn);
        if matches!(&measured, Err(AgentError::Failed(failure)) if failure.kind == FailureKind::Hang) {
            self.lose(begun_ns);
        }
        measured
    }

    /// Counts the time since then as lost to an agent that did not answer, which the budget does not pay for: up to a
    /// bound, or a session whose agents all hang would not end.
    pub(in crate::session) fn lose(&mut self, begun_ns: u64) {
        let took_ns = self.pool.elapsed_ns().saturating_sub(begun_ns);
        self.lost_ns = self.lost_ns.max(MOST_LOST_NS.min(self.lost_ns.saturating_add(took_ns)));
    }

    /// Says what hangs cost.
    pub(in crate::session) fn tell_of_hangs(&mut self) {
        if self.lost_ns > 0 {
            self.warn(Warning::Hung { lost_ns: self.lost_ns });
        }
    }

    /// What hangs may still cost in all.
    pub(in crate::session) fn hangs_may_cost_ns(&self) -> u64 {
        MOST_LOST_NS.saturating_sub(self.lost_ns)
    }

    /// Whether a failure may come of other agents that live, and hold what there is a limited number of, or of one that
    /// has ended, which whoever it was connected to has not noticed yet.
    fn may_be_ours(&self, slot: usize, failure: &Failed) -> bool {
        let others = (0..self.slots.len()).any(|other| other != slot && self.slots[other].alive);
        let concurrency = self.record.candidates[slot].candidate.sizes.concurrency();
        let said = said(failure);
        let is_known = |known: &(String, u32)| known.0 == said && known.1 <= concurrency;
        // A hang is told by its length: who lived alone is not given that again.
        let was_alone = failure.kind == FailureKind::Hang && !others;
        // An executor of the user's that hangs or loses tasks does so by itself: other agents are not the cause.
        let is_its_own = matches!(self.record.candidates[slot].candidate.engine, Engine::Own(_))
            && failure.kind != FailureKind::Task;
        (others || self.is_exclusive)
            && !was_alone
            && !is_its_own
            && !matches!(failure.kind, FailureKind::Checksum | FailureKind::Protocol)
            && !self.seen.failed_alone.iter().any(is_known)
    }

    /// Measures a candidate that failed once more, while no other agent lives. If it works then, none will live beside
    /// another from now on.
    fn measure_alone(
        &mut self,
        number: u32,
        turn: Turn,
        failure: Failed,
    ) -> Result<Result<TurnOutcome, Stop>, AgentError> {
        self.kill(turn.candidate);
        for slot in 0..self.slots.len() {
            self.end(slot);
        }
        self.pool.idle(SURE_RELEASE_NS);
        let mut measured = self.measure_or_lose(number, Turn { anew: true, ..turn });
        if self.is_exclusive && matches!(&measured, Err(AgentError::Failed(again)) if again.kind == FailureKind::Task) {
            self.kill(turn.candidate);
            self.pool.idle(LATE_RELEASE_NS);
            measured = self.measure_or_lose(number, Turn { anew: true, ..turn });
        }
        if let Err(AgentError::Failed(failure)) = &measured {
            let concurrency = self.record.candidates[turn.candidate].candidate.sizes.concurrency();
            self.seen.failed_alone.push((said(failure), concurrency));
        }
        let measured = measured?;
        if measured.is_ok() && !std::mem::replace(&mut self.is_exclusive, true) {
            let candidate = self.record.candidates[turn.candidate].candidate.clone();
            self.warn(Warning::Exclusive { candidate, failure });
        }
        Ok(measured)
    }

    /// Whoever hangs alone with many in flight, though its engine ran with few, waits for something that tasks share.
    /// Parked agents may hold some of it, and others hang for that: none lives beside another from now on.
    fn watch_scarcity(&mut self, slot: usize) {
        let CandidateRecord { candidate, failure: Some(failure), .. } = &self.record.candidates[slot] else { return };
        let (candidate, failure) = (candidate.clone(), failure.clone());
        let was_alone = self.seen.failed_alone.contains(&(said(&failure), candidate.sizes.concurrency()));
        // What a fork copied may be what its workers wait for.
        let is_forked = candidate.start_method == Some(StartMethod::Fork);
        let is_scarce =
            failure.kind == FailureKind::Hang && was_alone && !is_forked && self.works_with_fewer(&candidate);
        if is_scarce && !std::mem::replace(&mut self.is_exclusive, true) {
            self.warn(Warning::Scarce { candidate, failure });
        }
    }

    /// Whether the same engine, begun in the same way, ran with fewer tasks in flight.
    fn works_with_fewer(&self, candidate: &Candidate) -> bool {
        let (kind, concurrency) = (candidate.kind(), candidate.sizes.concurrency());
        let is_smaller = |place: &CandidateRecord| {
            place.candidate.kind() == kind && place.candidate.sizes.concurrency() < concurrency
        };
        let ran = |place: &CandidateRecord| place.failure.is_none() && !place.blocks.is_empty();
        (self.seen.proven.contains(&kind) && concurrency > crate::session::trial::SMALL)
            || self.record.candidates.iter().any(|place| is_smaller(place) && ran(place))
    }

    /// Ends the agent of a candidate that is to begin anew; where no agent may live beside another, the others, too.
    pub(super) fn make_room(&mut self, slot: usize, anew: bool) {
        let is_in_the_way = |other: usize| if other == slot { anew } else { self.is_exclusive };
        let ending: Vec<usize> =
            (0..self.slots.len()).filter(|other| self.slots[*other].alive && is_in_the_way(*other)).collect();
        ending.iter().for_each(|other| self.end(*other));
        if self.is_exclusive && !ending.is_empty() {
            self.pool.idle(RELEASE_NS);
        }
    }

    /// One timed block, with all that must come before it. The inner error is a stop, not a failure.
    fn measure(&mut self, number: u32, turn: Turn) -> Result<Result<TurnOutcome, Stop>, AgentError> {
        let slot = turn.candidate;
        self.make_room(slot, turn.anew);
        if !self.slots[slot].alive {
            let begun_ns = self.pool.elapsed_ns();
            let beginning = self.beginning(slot);
            if let Err(stop) = self.start(slot, beginning)? {
                return Ok(Err(stop));
            }
            self.slots[slot].start_ns = Some(self.pool.elapsed_ns().saturating_sub(begun_ns));
            self.prove(slot)?;
        }
        let Some(learned) = self.slots[slot].learned else {
            return Err(AgentError::new(FailureKind::Protocol, "nothing is known of the candidate's tasks".to_owned()));
        };
        if !self.has_one_turn()
            && self.watches_memory()
            && let Err(stop) = self.measure_memory(slot, &learned)?
        {
            return Ok(Err(stop));
        }
        let window = self.pace.window(&learned);
        let wished = window.ns.max(self.tasks.common_ns);
        let Some(window_ns) = self.affordable_in(slot, wished, &learned) else { return Ok(Err(Stop::CallsSpent)) };
        if window.long_tasks
            && (self.pace.turns.is_none() || self.has_one_turn())
            && !std::mem::replace(&mut self.slots[slot].warned_of_length, true)
        {
            self.warn_of_length(slot, learned.latency_ns);
        }
        if window.idle_before_ns > 0 {
            self.pool.idle(window.idle_before_ns);
        }
        let mut measurement = self.block(slot, BlockKind::Timed, window_ns, &learned)?;
        if self.are_not_long(slot, &measurement.figures) {
            return self.leave_turns(number, turn);
        }
        let mut seen = Learned::from_block(&measurement.figures, self.slots[slot].turns_ns);
        // Tasks that queue for something take long under load. A window that turns out to be short beside them shows how
        // the queue fills, not what the candidate does: it was one more warm-up.
        let needed_ns = self.pace.window(&seen).ns;
        let has_window = matches!(self.record.workload.load, Load::Closed { .. }) && self.pace.turns.is_none();
        if has_window
            && needed_ns > SHORT * window_ns
            && let Some(longer_ns) = self.affordable_in(slot, needed_ns, &seen)
        {
            measurement = self.block(slot, BlockKind::Timed, longer_ns, &seen)?;
            seen = Learned::from_block(&measurement.figures, self.slots[slot].turns_ns);
        }
        // In one turn there is no time for more than that it ran.
        if self.has_one_turn() {
            let kind = self.record.candidates[slot].candidate.kind();
            self.seen.untried.remove(&kind);
        }
        self.slots[slot].learned = Some(seen);
        self.tasks.longest = self.tasks.longest.max(measurement.figures.tasks);
        self.watch.saw_delay(measurement.run_delay_share);
        self.keep(slot, Some(number), measurement);
        if let Some(round) = self.record.rounds.last_mut() {
            round.order.push(u32::try_from(slot).unwrap_or(u32::MAX));
        }
        Ok(Ok(self.outcome(slot)))
    }

    /// Whether tasks are so long that there is time for nothing but the blocks that are compared.
    pub(in crate::session) fn has_one_turn(&self) -> bool {
        self.pace.turns.is_some_and(|turns| turns.is_one())
    }

    /// Whether tasks turn out not to be long: in several tasks at once, or in two blocks of a life. One may be short by chance.
    fn are_not_long(&mut self, slot: usize, figures: &Block) -> bool {
        let Some(turns) = self.pace.turns else { return false };
        let is_short = figures.errors == 0 && figures.elapsed_ns < turns.task_ns / NOT_LONG_PART;
        let short = if is_short { self.slots[slot].short_turns + 1 } else { 0 };
        self.slots[slot].short_turns = short;
        is_short && (short > 1 || figures.tasks >= SEVERAL)
    }

    /// Tasks are not as long as the calls before the race were, which loaded something: from now on blocks have windows.
    fn leave_turns(&mut self, number: u32, turn: Turn) -> Result<Result<TurnOutcome, Stop>, AgentError> {
        (self.pace.turns, self.tasks.common_ns) = (None, 0);
        self.pool.leave_turns();
        for slot in 0..self.slots.len() {
            self.end(slot);
            self.slots[slot].learned = None;
        }
        self.measure(number, Turn { anew: true, ..turn })
    }

    /// Says that tasks are long: where each block is a turn of them, it is said of all candidates at once.
    fn warn_of_length(&mut self, slot: usize, task_ns: u64) {
        let is_told = |warning: &Warning| matches!(warning, Warning::LongTasks { .. });
        if self.pace.turns.is_none() || !self.record.warnings.iter().any(is_told) {
            let candidate = self.record.candidates[slot].candidate.clone();
            self.warn(Warning::LongTasks { candidate, task_ns });
        }
    }

    /// What the last block of a candidate says to the race.
    fn outcome(&self, slot: usize) -> TurnOutcome {
        let place = &self.record.candidates[slot];
        let Some(block) = place.blocks.last() else { return TurnOutcome::Failed };
        let objective = self.record.workload.objective;
        let baseline_bytes = self.record.calibration.baseline_bytes(&place.candidate.runtime);
        let memory_bytes = place.memory_bytes(block.life, baseline_bytes);
        let breaks_memory = objective.limits.memory_bytes.zip(memory_bytes).is_some_and(|(most, found)| found > most);
        let counted = place.blocks.iter().filter(|block| !self.record.is_voided(block));
        let failed = FailedTasks::of(counted);
        let breaks_errors = objective.limits.errors.is_broken(failed.errors, failed.tasks);
        let breaks_p99 = objective.limits.p99_ns.is_some_and(|most| p99_ns(self.record, place) > Some(most));
        if breaks_memory || breaks_p99 || breaks_errors {
            return TurnOutcome::Infeasible;
        }
        let tasks = self.record.workload.all_tasks();
        observation(objective.goal, place, block, memory_bytes, tasks)
            .map_or(TurnOutcome::Unknown, TurnOutcome::Observed)
    }
}

/// What a failure says, without the times that a hang tells.
fn said(failure: &Failed) -> String {
    if failure.kind == FailureKind::Hang { String::new() } else { failure.message.clone() }
}

/// The 99th percentile of all the service times of a candidate's timed blocks; `None` below 1,000 of them.
fn p99_ns(record: &Record, place: &CandidateRecord) -> Option<u64> {
    let counts = |block: &&BlockRecord| block.figures.kind == BlockKind::Timed && !record.is_voided(block);
    let timed = place.blocks.iter().filter(counts);
    let services: Vec<_> = timed.filter_map(|block| block.figures.service.decode().ok()).collect();
    percentile(&merged(&services).ok()??, 0.99)
}
