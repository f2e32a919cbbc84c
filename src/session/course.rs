//! The session's loop: the race says which block is next, hands take it, the record keeps it.

use super::blocks::{Learned, Pace};
use super::hands::{Ask, Hands, PARKED_SHARE, Taken};
use super::link::Fault;
use super::saving::Saver;
use super::{Event, Observer};
use crate::candidate::Candidate;
use crate::protocol::{BlockKind, FailureKind, Reference, VARIANTS};
use crate::race::{Next, Outcome, Race, RoundPlan, Turn};
use crate::record::{BlockRecord, CandidateRecord, Ending, Incarnation, Phase, Record, Round, Warning};
use crate::workload::Goal;

const MS: u64 = 1_000_000;
/// The window of the block by which a new incarnation is warmed up.
const WARM_UP_NS: u64 = 10 * MS;
/// Tasks as long as this need no warm-up but the one that each slot has run: what is cold costs them little.
const LONG_TASK_NS: u64 = 5 * MS;
/// The window of a memory block.
const MEMORY_NS: u64 = 60 * MS;

/// What the loop needs of a race: [`Race`], or a script in tests.
pub(super) trait Racing {
    fn candidates(&self) -> &[Candidate];
    fn next(&mut self, elapsed_ns: u64) -> Next;
    fn feed(&mut self, candidate: usize, outcome: Outcome);
    fn retired(&mut self) -> Vec<usize>;
    fn cut_searches(&self) -> Vec<usize>;
}

impl Racing for Race {
    fn candidates(&self) -> &[Candidate] {
        Race::candidates(self)
    }

    fn next(&mut self, elapsed_ns: u64) -> Next {
        Race::next(self, elapsed_ns)
    }

    fn feed(&mut self, candidate: usize, outcome: Outcome) {
        Race::feed(self, candidate, outcome);
    }

    fn retired(&mut self) -> Vec<usize> {
        Race::retired(self)
    }

    fn cut_searches(&self) -> Vec<usize> {
        Race::cut_searches(self)
    }
}

/// Why a session stops before its race is over.
enum Stop {
    Interrupted,
    BudgetSpent,
    CallsSpent,
}

/// What a turn came to.
enum Turned {
    Fed(Outcome),
    Stopped(Stop),
}

/// What is known of a candidate beside its record.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    alive: bool,
    learned: Option<Learned>,
    has_memory: bool,
    warned_of_parking: bool,
    warned_of_length: bool,
}

/// One session's race.
pub(super) struct Course<'a> {
    hands: &'a mut dyn Hands,
    observer: &'a mut dyn Observer,
    record: &'a mut Record,
    saver: &'a mut Saver,
    pub pace: Pace,
    /// What checksums are compared with; `None` compares nothing.
    pub reference: Option<Reference>,
    /// Tasks run so far.
    pub calls: u64,
    /// Time that went to agents which did not answer. One that hangs is out, and the others keep their budget.
    lost_ns: u64,
    slots: Vec<Slot>,
    /// The index of the round's first task, the same for all, so that they draw the same tasks.
    first_index: u64,
    /// The most tasks that a block of this round ran.
    longest: u64,
    /// The window that blocks of this round have at least, whoever runs them.
    common_ns: u64,
}

/// What a course needs beside the hands and the record.
pub(super) struct Rules {
    pub pace: Pace,
    pub reference: Option<Reference>,
    pub calls: u64,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        hands: &'a mut dyn Hands,
        observer: &'a mut dyn Observer,
        record: &'a mut Record,
        saver: &'a mut Saver,
        rules: Rules,
    ) -> Course<'a> {
        let Rules { pace, reference, calls } = rules;
        let (lost_ns, slots, first_index, longest, common_ns) = (0, Vec::new(), 0, 0, 0);
        Course {
            hands,
            observer,
            record,
            saver,
            pace,
            reference,
            calls,
            lost_ns,
            slots,
            first_index,
            longest,
            common_ns,
        }
    }

    /// Runs the race to its end, or until the budget, the calls or the user's patience are spent.
    pub(super) fn run(&mut self, race: &mut dyn Racing) -> Ending {
        let ending = self.rounds(race);
        let engines: Vec<String> = race
            .cut_searches()
            .into_iter()
            .filter_map(|entry| self.record.plan.entries.get(entry).map(|entry| entry.engine.to_string()))
            .collect();
        if !engines.is_empty() {
            self.warn(Warning::SearchCut { engines });
        }
        for slot in 0..self.slots.len() {
            // Who interrupts does not wait for goodbyes.
            if ending == Ending::Interrupted { self.hands.kill(slot) } else { self.end(slot) }
        }
        ending
    }

    fn rounds(&mut self, race: &mut dyn Racing) -> Ending {
        loop {
            if self.hands.interrupted() {
                return Ending::Interrupted;
            }
            let round = match race.next(self.spent_ns()) {
                Next::Round(round) => round,
                Next::Over(ending) => return ending,
            };
            self.enter(race);
            let stopped = self.round(race, &round);
            for slot in race.retired() {
                self.end(slot);
            }
            match stopped {
                Some(Stop::Interrupted) => return Ending::Interrupted,
                Some(Stop::BudgetSpent) => return Ending::BudgetSpent,
                Some(Stop::CallsSpent) => return Ending::CallsSpent,
                None => {}
            }
        }
    }

    /// Gives every candidate that has entered the race its place in the record.
    fn enter(&mut self, race: &dyn Racing) {
        for candidate in &race.candidates()[self.slots.len()..] {
            self.slots.push(Slot::default());
            self.record.candidates.push(CandidateRecord {
                candidate: candidate.clone(),
                incarnations: Vec::new(),
                blocks: Vec::new(),
                failure: None,
            });
        }
    }

    fn round(&mut self, race: &mut dyn Racing, round: &RoundPlan) -> Option<Stop> {
        let number = u32::try_from(self.record.rounds.len()).unwrap_or(u32::MAX);
        self.observer.observe(&Event::Round {
            number,
            phase: round.phase,
            candidates: round.turns.len(),
            elapsed_ns: self.spent_ns(),
            budget_ns: self.pace.budget_ns,
        });
        self.record.rounds.push(Round { order: Vec::new(), phase: round.phase });
        self.longest = 0;
        // A search looks for gains that are larger than what this evens out.
        self.common_ns = if round.phase == Phase::Final { self.common_window(round) } else { 0 };
        for turn in &round.turns {
            if self.overspent() {
                return Some(Stop::BudgetSpent);
            }
            match self.turn(number, round.phase, *turn) {
                Turned::Fed(outcome) => race.feed(turn.candidate, outcome),
                Turned::Stopped(stop) => return Some(stop),
            }
            // Between blocks, not only between rounds: the first round may take seconds.
            self.record.elapsed_ns = self.hands.elapsed_ns();
            self.saver.save_at_times(self.record, self.observer);
        }
        // The draws of tasks are spread over each sixteen of them, so a round begins at a multiple.
        self.first_index += self.longest.next_multiple_of(VARIANTS);
        None
    }

    /// The median of the windows that the candidates of a round need. Shorter ones are lengthened to it: a
    /// pause of the host falls into few short windows and wholly, into most long ones and in part, so that
    /// a trimmed mean would favour whoever has short windows.
    fn common_window(&self, round: &RoundPlan) -> u64 {
        let known = round.turns.iter().filter_map(|turn| self.slots.get(turn.candidate)?.learned);
        let mut needs: Vec<u64> = known.map(|learned| self.pace.window(&learned, round.phase).ns).collect();
        needs.sort_unstable();
        needs.get(needs.len() / 2).copied().unwrap_or(0)
    }

    /// A round is finished beyond the budget, for the sake of its pairs, but not far beyond.
    fn overspent(&self) -> bool {
        self.spent_ns() > self.pace.budget_ns.saturating_add(self.pace.budget_ns / 4)
    }

    /// What of the budget is spent.
    fn spent_ns(&self) -> u64 {
        self.hands.elapsed_ns().saturating_sub(self.lost_ns)
    }

    fn turn(&mut self, number: u32, phase: Phase, turn: Turn) -> Turned {
        let begun_ns = self.hands.elapsed_ns();
        match self.measure(number, phase, turn) {
            Ok(Ok(score)) => Turned::Fed(Outcome::Score(score)),
            Ok(Err(stop)) => Turned::Stopped(stop),
            Err(Fault::Interrupted) => Turned::Stopped(Stop::Interrupted),
            Err(Fault::Failed(failure)) => {
                self.hands.kill(turn.candidate);
                self.slots[turn.candidate].alive = false;
                if failure.kind == FailureKind::Hang {
                    self.lost_ns += self.hands.elapsed_ns().saturating_sub(begun_ns);
                }
                let place = &mut self.record.candidates[turn.candidate];
                place.failure = Some(failure.clone());
                self.observer.observe(&Event::Failed { candidate: &place.candidate, failure: &failure });
                Turned::Fed(Outcome::Failed)
            }
        }
    }

    /// One timed block, with all that must come before it. The inner error is a stop, not a failure.
    fn measure(&mut self, number: u32, phase: Phase, turn: Turn) -> Result<Result<f64, Stop>, Fault> {
        let slot = turn.candidate;
        if turn.anew && self.slots[slot].alive {
            self.end(slot);
        }
        if !self.slots[slot].alive
            && let Err(stop) = self.start(slot)?
        {
            return Ok(Err(stop));
        }
        let Some(learned) = self.slots[slot].learned else {
            return Err(Fault::new(FailureKind::Protocol, "nothing is known of the candidate's tasks".to_owned()));
        };
        if phase == Phase::Final
            && let Err(stop) = self.weigh(slot, &learned)?
        {
            return Ok(Err(stop));
        }
        let window = self.pace.window(&learned, phase);
        let wished = window.ns.max(self.common_ns);
        let Some(window_ns) = self.affordable(slot, wished, &learned) else { return Ok(Err(Stop::CallsSpent)) };
        if window.long_tasks && !std::mem::replace(&mut self.slots[slot].warned_of_length, true) {
            let candidate = self.record.candidates[slot].candidate.clone();
            self.warn(Warning::LongTasks { candidate, task_ns: learned.latency_ns });
        }
        if window.idle_before_ns > 0 {
            self.hands.idle(window.idle_before_ns);
        }
        let taken = self.block(slot, BlockKind::Timed, window_ns, self.first_index, &learned)?;
        let score = score(self.record.workload.objective.goal, &taken);
        self.slots[slot].learned = Some(Learned::from_block(&taken.figures));
        self.longest = self.longest.max(taken.figures.tasks);
        self.keep(slot, Some(number), taken);
        if let Some(round) = self.record.rounds.last_mut() {
            round.order.push(u32::try_from(slot).unwrap_or(u32::MAX));
        }
        Ok(Ok(score))
    }

    /// A new incarnation: started and warmed up. Every block's checksum is compared, this one's too.
    fn start(&mut self, slot: usize) -> Result<Result<(), Stop>, Fault> {
        let candidate = self.record.candidates[slot].candidate.clone();
        let concurrency = self.concurrency(slot);
        // An agent's first task, and one for each in flight.
        let first_tasks = u64::from(concurrency) + 1;
        if self.calls_left() < first_tasks {
            return Ok(Err(Stop::CallsSpent));
        }
        // One that fails in its set-up may have run them, too.
        self.calls += first_tasks;
        let born = self.hands.start(slot, &candidate)?;
        self.slots[slot].alive = true;
        self.record.candidates[slot].incarnations.push(Incarnation {
            boot_ns: born.boot_ns,
            startup_ns: born.ready.startup_ns,
            first_task_ns: born.ready.first_task_ns,
            teardown_ns: None,
            parked_cpu_share: 0.0,
            gil: born.ready.gil,
        });
        let objective = self.record.workload.objective;
        if objective.goal == Goal::Memory || objective.limits.memory_bytes.is_some() {
            self.slots[slot].has_memory = false;
        }
        let learned = Learned::from_first_task(born.ready.first_task_ns, concurrency, self.record.workload.load);
        if learned.latency_ns > LONG_TASK_NS {
            self.slots[slot].learned = Some(learned);
            return Ok(Ok(()));
        }
        let wished = self.pace.untimed(WARM_UP_NS, learned.latency_ns.min(WARM_UP_NS));
        let Some(window_ns) = self.affordable(slot, wished, &learned) else { return Ok(Err(Stop::CallsSpent)) };
        let taken = self.block(slot, BlockKind::Timed, window_ns, self.first_index, &learned)?;
        self.slots[slot].learned = Some(Learned::from_block(&taken.figures));
        Ok(Ok(()))
    }

    /// Takes a memory block of a candidate that has come as far as the final: once, or once a life where
    /// the objective looks at memory. What the search passes over is not weighed, which would take longer
    /// than its rounds.
    fn weigh(&mut self, slot: usize, learned: &Learned) -> Result<Result<(), Stop>, Fault> {
        if std::mem::replace(&mut self.slots[slot].has_memory, true) {
            return Ok(Ok(()));
        }
        let wished = self.pace.untimed(MEMORY_NS, learned.latency_ns);
        let Some(window_ns) = self.affordable(slot, wished, learned) else { return Ok(Err(Stop::CallsSpent)) };
        let taken = self.block(slot, BlockKind::Memory, window_ns, self.first_index, learned)?;
        self.keep(slot, None, taken);
        Ok(Ok(()))
    }

    /// Runs a block and compares its checksum.
    fn block(
        &mut self,
        slot: usize,
        kind: BlockKind,
        window_ns: u64,
        first_index: u64,
        learned: &Learned,
    ) -> Result<Taken, Fault> {
        let patience_ns = self.pace.patience_ns(window_ns, learned);
        let expected = self.pace.calls(window_ns, learned.throughput_per_s, self.concurrency(slot));
        // What is expected is foresight; whoever sets `max_calls` may pay for each.
        let most_tasks = self.record.workload.max_calls.map(|_| self.calls_left());
        let taken = match self.hands.block(slot, Ask { kind, window_ns, first_index, most_tasks, patience_ns }) {
            Ok(taken) => taken,
            Err(fault) => {
                // How many it ran before it failed is not known, and the user may pay for each.
                self.calls = self.calls.saturating_add(expected);
                return Err(fault);
            }
        };
        self.calls += taken.figures.tasks;
        self.watch_parking(slot, taken.parked_cpu_share);
        let figures = &taken.figures;
        if let Some(reference) = &self.reference {
            let expected = reference.expected(figures.first_index, figures.tasks);
            if expected != figures.checksum {
                let message = format!(
                    "the results of {} tasks from task {} on are not the reference's (checksum {:x}, expected {expected:x}): a task's result must depend on its index alone",
                    figures.tasks, figures.first_index, figures.checksum
                );
                return Err(Fault::new(FailureKind::Checksum, message));
            }
        }
        Ok(taken)
    }

    fn keep(&mut self, slot: usize, round: Option<u32>, taken: Taken) {
        let place = &mut self.record.candidates[slot];
        place.blocks.push(BlockRecord {
            round,
            incarnation: u32::try_from(place.incarnations.len().saturating_sub(1)).unwrap_or(u32::MAX),
            at_ns: taken.at_ns,
            server_cpu_ns: taken.server_cpu_ns,
            memory: taken.memory,
            figures: taken.figures,
        });
    }

    fn watch_parking(&mut self, slot: usize, share: f64) {
        let place = &mut self.record.candidates[slot];
        if let Some(incarnation) = place.incarnations.last_mut() {
            incarnation.parked_cpu_share = incarnation.parked_cpu_share.max(share);
        }
        if share > PARKED_SHARE && !std::mem::replace(&mut self.slots[slot].warned_of_parking, true) {
            let candidate = place.candidate.clone();
            self.warn(Warning::NotParked { candidate, share });
        }
    }

    fn end(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.slots[slot].alive, false) {
            return;
        }
        let farewell = self.hands.end(slot);
        let place = &mut self.record.candidates[slot];
        if let Some(incarnation) = place.incarnations.last_mut() {
            incarnation.teardown_ns = farewell.teardown_ns;
        }
        if farewell.leftover > 0 {
            let candidate = place.candidate.clone();
            self.warn(Warning::Leftover { candidate, processes: farewell.leftover });
        }
    }

    fn warn(&mut self, warning: Warning) {
        self.observer.observe(&Event::Warning(&warning));
        self.record.warnings.push(warning);
    }

    fn concurrency(&self, slot: usize) -> u32 {
        self.record.candidates[slot].candidate.sizes.concurrency()
    }

    fn calls_left(&self) -> u64 {
        self.record.workload.max_calls.map_or(u64::MAX, |most| most.saturating_sub(self.calls))
    }

    fn affordable(&self, slot: usize, window_ns: u64, learned: &Learned) -> Option<u64> {
        self.pace.within_calls(window_ns, learned, self.concurrency(slot), self.calls_left())
    }
}

/// The natural logarithm of what is compared, more is better. A window without a task has the lowest there is:
/// it may have been the host's pause, and says nothing against the next one, which will be longer.
fn score(goal: Goal, taken: &Taken) -> f64 {
    let figures = &taken.figures;
    let score = match goal {
        Goal::CpuPerTask if figures.tasks > 0 => -(figures.usage.cpu_ns().max(1) as f64 / figures.tasks as f64).ln(),
        Goal::CpuPerTask => f64::NEG_INFINITY,
        Goal::Throughput | Goal::P99 | Goal::Memory => figures.throughput_per_s().ln(),
    };
    if score.is_finite() { score } else { f64::NEG_INFINITY }
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
