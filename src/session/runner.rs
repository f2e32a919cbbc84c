//! The session's loop: a race says which block is next, the agent pool takes it, the record keeps it.
//!
//! Several races may follow each other: candidates and rounds go on counting.

mod blocks;
mod lives;
mod turn;

use std::collections::{BTreeSet, HashMap};

use super::blocks::{BlockPace, Learned};
use super::hang::Slowest;
use super::pool::AgentPool;
use super::racing::Racing;
use super::saving::Saver;
use super::watch::{Spent, Watch, again};
use super::{Event, Observer};
use crate::candidate::{Candidate, StartMethod};
use crate::decide::{self, Next, RoundPlan, Turn, TurnOutcome};
use crate::protocol::{Failed, Reference, VARIANTS};
use crate::record::{CandidateRecord, Ending, Exit, ExitReason, Flag, Look, Phase, Record, Round, Warning};

pub(super) use lives::turns_of;

const MS: u64 = 1_000_000;
/// How long after agents have ended whoever they were connected to may take to notice, at most.
const SURE_RELEASE_NS: u64 = 200 * MS;
/// The same on a busy host, for those that are known to need what another had.
const LATE_RELEASE_NS: u64 = 1_000 * MS;
/// What agents that do not answer may cost in all, beside the budget. What is lost from then on the budget pays for.
pub(super) const MOST_LOST_NS: u64 = 15_000 * MS;

/// Why a race stops before it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Interrupted,
    BudgetSpent,
    CallsSpent,
}

/// What a turn came to.
enum Turned {
    Fed(TurnOutcome),
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
    /// Blocks of its present life, the latest in a row, that are too short for turns of long tasks.
    short_turns: u32,
    /// What two turns of each of its threads take, where they share an interpreter lock; else 0.
    turns_ns: u64,
    /// What its latest start took, warm-up included, until the race is told.
    start_ns: Option<u64>,
}

/// What part of a session the next race is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allotment {
    /// When it is to end, on the clock of what is spent.
    pub deadline_ns: u64,
    /// How long it may take.
    pub budget_ns: u64,
    /// How many tasks may have been run at its end.
    pub most_calls: u64,
}

/// References by runtime and by how many threads libraries may compute with.
pub(super) type References = HashMap<(String, Option<u32>), Reference>;

/// One session's races.
pub(super) struct Runner<'a> {
    pub(super) pool: &'a mut dyn AgentPool,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) record: &'a mut Record,
    saver: &'a mut Saver,
    pub(super) pace: BlockPace,
    /// What checksums are compared with; where there is none, nothing is compared.
    pub(super) references: References,
    /// Tasks run so far.
    pub(super) calls: u64,
    pub(super) allotment: Allotment,
    /// The place in the record of the first candidate of the race that runs.
    base: usize,
    /// Time that went to agents which did not answer. One that hangs is out, and the others keep their budget.
    pub(super) lost_ns: u64,
    /// The slowest task and start so far.
    pub(super) slowest: Slowest,
    /// Whether no agent may live beside another: each block then begins a life.
    pub(super) is_exclusive: bool,
    /// So many lives of each candidate begin cold and have their memory measured, whatever the objective looks at.
    cold_lives: usize,
    pub(super) seen: Seen,
    slots: Vec<Slot>,
    pub(super) tasks: RoundTasks,
    watch: Watch,
}

/// What a session has seen of engines, beside their figures.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Ways to begin processes under which an engine of this runtime hung, or did what it does not elsewhere.
    pub bad_methods: Vec<(String, StartMethod)>,
    /// What candidates of so much in flight said that failed though no other agent lived: larger ones say the same.
    pub failed_alone: Vec<(String, u32)>,
    /// Engines that are tried in their first life of the race.
    pub untried: BTreeSet<Candidate>,
    /// Engines of which a small candidate ran.
    pub proven: BTreeSet<Candidate>,
    /// Candidates whose engine has a fault, whatever its size.
    pub faulty: BTreeSet<usize>,
    /// Engines, each with the way in which its processes begin, of which it was told what tasks leave behind.
    pub told: BTreeSet<Candidate>,
}

/// Which tasks the blocks of a round run.
#[derive(Debug, Default)]
pub(super) struct RoundTasks {
    /// The index of the first, the same for all, so that they draw the same tasks.
    pub first_index: u64,
    /// The most that a block of this round ran.
    pub longest: u64,
    /// The window that blocks of this round have at least, whoever runs them.
    pub common_ns: u64,
}

/// What a runner needs beside the agent pool and the record.
pub(super) struct RunnerRules {
    pub pace: BlockPace,
    pub references: References,
    /// Tasks that were run before.
    pub calls: u64,
    /// Time that was lost before to agents which did not answer.
    pub lost_ns: u64,
    /// What the references took.
    pub slowest: Slowest,
    /// Whether no agent may live beside another.
    pub is_exclusive: bool,
    /// So many lives of each candidate begin cold and have their memory measured, whatever the objective looks at.
    pub cold_lives: usize,
}

impl RunnerRules {
    /// Those before which nothing was run or lost, and whose agents may live beside others.
    pub(super) fn new(pace: BlockPace, references: References) -> RunnerRules {
        let slowest = Slowest::default();
        RunnerRules { pace, references, calls: 0, lost_ns: 0, slowest, is_exclusive: false, cold_lives: 0 }
    }
}

impl<'a> Runner<'a> {
    pub(super) fn new(
        pool: &'a mut dyn AgentPool,
        observer: &'a mut dyn Observer,
        record: &'a mut Record,
        saver: &'a mut Saver,
        rules: RunnerRules,
    ) -> Runner<'a> {
        let RunnerRules { pace, references, calls, lost_ns, slowest, is_exclusive, cold_lives } = rules;
        // All of the session, unless it is told otherwise.
        let most_calls = record.workload.max_calls.unwrap_or(u64::MAX);
        let allotment = Allotment { deadline_ns: pace.budget_ns, budget_ns: pace.budget_ns, most_calls };
        let mut watch = Watch::default();
        watch.begin_allotment(Spent { ns: allotment.budget_ns, calls: most_calls });
        Runner {
            pool,
            observer,
            record,
            saver,
            pace,
            references,
            calls,
            allotment,
            base: 0,
            lost_ns,
            slowest,
            is_exclusive,
            cold_lives,
            seen: Seen::default(),
            slots: Vec::new(),
            tasks: RoundTasks::default(),
            watch,
        }
    }

    /// What is done from now on is this part of the session.
    pub(super) fn begin(&mut self, allotment: Allotment) {
        self.allotment = allotment;
        self.pace.budget_ns = allotment.budget_ns;
        self.watch
            .begin_allotment(Spent { ns: allotment.budget_ns, calls: allotment.most_calls.saturating_sub(self.calls) });
    }

    /// Runs a race of new candidates to its end, or until the allotment's budget, its calls or the user's patience are
    /// spent. Returns how it ended, and the place in the record of its first candidate.
    pub(super) fn run(&mut self, race: &mut dyn Racing) -> (Ending, usize) {
        self.base = self.slots.len();
        (self.race(race), self.base)
    }

    /// Runs a meeting of candidates that the record has.
    pub(super) fn meet(&mut self, meeting: &mut dyn Racing) -> Ending {
        self.base = 0;
        self.race(meeting)
    }

    fn race(&mut self, race: &mut dyn Racing) -> Ending {
        let ending = self.rounds(race);
        self.look(race);
        if ending != Ending::Interrupted {
            self.measure_memory_of_leaders(race.finding());
        }
        for slot in 0..self.slots.len() {
            // Who interrupts does not wait for goodbyes.
            if ending == Ending::Interrupted { self.pool.kill(slot.into()) } else { self.end(slot) }
        }
        ending
    }

    fn rounds(&mut self, race: &mut dyn Racing) -> Ending {
        loop {
            if self.pool.interrupted() {
                return Ending::Interrupted;
            }
            let round = match race.next(self.spent_ns()) {
                Next::Round(round) => round,
                Next::Over(ending) => match self.over(race, ending) {
                    Some(ending) => return ending,
                    None => continue,
                },
            };
            self.enter(race);
            let stopped = self.round(race, &round);
            self.look(race);
            for candidate in race.retired() {
                self.end(self.base + candidate);
            }
            match stopped {
                Some(Stop::Interrupted) => return Ending::Interrupted,
                Some(Stop::BudgetSpent) => return Ending::BudgetSpent,
                Some(Stop::CallsSpent) => return Ending::CallsSpent,
                None => {}
            }
        }
    }

    /// How a race that is over ended; `None` where what it names gives wrong results, and is out.
    fn over(&mut self, race: &mut dyn Racing, ending: decide::Ending) -> Option<Ending> {
        let named = race.finding().map(|found| found.named).filter(|_| race.phase() == Phase::Race);
        if let Some(named) = named {
            match self.confirm(self.base + named) {
                Ok(true) => {}
                Ok(false) => {
                    // In a round of its own, so that the record tells it in its place.
                    self.record.rounds.push(Round::of(race.phase()));
                    self.feed_failure(race, named);
                    self.look(race);
                    return None;
                }
                Err(_) => return Some(Ending::Interrupted),
            }
        }
        Some(match ending {
            decide::Ending::Decided => Ending::Decided,
            decide::Ending::BudgetSpent => Ending::BudgetSpent,
            decide::Ending::NoCandidate => Ending::NoCandidate,
        })
    }

    /// Gives every candidate that has entered the race its place in the record.
    fn enter(&mut self, race: &dyn Racing) {
        let known = self.slots.len() - self.base;
        for candidate in race.candidates().into_iter().skip(known) {
            self.place(candidate, None);
        }
    }

    /// Has the race find its answer so far; keeps it and shows it.
    fn look(&mut self, race: &mut dyn Racing) {
        let elapsed_ns = self.spent_ns();
        if !race.look(elapsed_ns) {
            return;
        }
        let found = race.finding();
        let round = u32::try_from(self.record.rounds.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let place = |one: usize| u32::try_from(self.base + one).unwrap_or(u32::MAX);
        let look = Look {
            round,
            elapsed_ns,
            named: found.as_ref().map(|found| place(found.named)),
            may_cost: found.as_ref().map(|found| found.loss.min(20.0).exp_m1()),
            tried: found.as_ref().map_or(0, |found| u32::try_from(found.standings.len()).unwrap_or(u32::MAX)),
        };
        if let Some(race) = self.record.races.last_mut() {
            race.looks.push(look);
        }
        if let (Some(named), Some(may_cost)) = (look.named, look.may_cost)
            && let Some(place) = self.record.candidates.get(named as usize)
        {
            let budget_ns = self.record.settings.budget_ns;
            let models = found.map_or_else(Vec::new, |found| {
                found.models(|one| self.record.candidates.get(self.base + one).map(|place| &place.candidate))
            });
            self.observer.observe(&Event::Answer {
                candidate: &place.candidate,
                may_cost,
                tried: look.tried,
                models: &models,
                elapsed_ns,
                budget_ns,
            });
        }
    }

    fn place(&mut self, candidate: Candidate, failure: Option<Failed>) {
        self.slots.push(Slot::default());
        let (lives, blocks) = (Vec::new(), Vec::new());
        self.record.candidates.push(CandidateRecord { candidate, lives, blocks, failure });
    }

    /// Gives a candidate its place in the record that will not run: it cannot, for this reason, or another one cannot.
    pub(super) fn stand_by(&mut self, candidate: Candidate, failure: Option<Failed>) {
        self.place(candidate, failure);
        self.tell_failure();
    }

    /// Gives a candidate that cannot run its place in the record, with the reason.
    pub(super) fn refuse(&mut self, candidate: Candidate, failure: Failed) {
        self.place(candidate, Some(failure));
    }

    /// Tells the observer of the failure of the candidate that came last.
    pub(super) fn tell_failure(&mut self) {
        if let Some(CandidateRecord { candidate, failure: Some(failure), .. }) = self.record.candidates.last() {
            self.observer.observe(&Event::Failed { candidate, failure });
        }
    }

    /// Runs a round, and again while it is disturbed and may be repeated. The race is told of the attempt that counts.
    fn round(&mut self, race: &mut dyn Racing, round: &RoundPlan) -> Option<Stop> {
        let mut round = round.clone();
        for repeats in 0.. {
            let (begun_ns, calls) = (self.spent_ns(), self.calls);
            let (outcomes, stopped) = self.attempt(race, &round);
            let spent = Spent { ns: self.spent_ns().saturating_sub(begun_ns), calls: self.calls - calls };
            if stopped.is_none() && !outcomes.is_empty() && self.is_voided(spent, repeats) {
                round.turns = again(&outcomes, self.record.settings.seed, self.record.rounds.len());
                // Every block of a duel begins a life.
                round.turns.iter_mut().for_each(|turn| turn.anew = race.phase() == Phase::Duel);
                continue;
            }
            for (candidate, outcome) in outcomes {
                if outcome == TurnOutcome::Infeasible {
                    self.exit(candidate, ExitReason::Infeasible);
                }
                if let Some(place) = self.record.candidates.get(self.base + candidate) {
                    race.measured(candidate, place, self.record.workload.all_tasks());
                }
                race.feed(candidate, outcome);
            }
            return stopped;
        }
        None
    }

    /// Keeps that a candidate of the race went out.
    fn exit(&mut self, candidate: usize, reason: ExitReason) {
        let round = u32::try_from(self.record.rounds.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let candidate = u32::try_from(self.base + candidate).unwrap_or(u32::MAX);
        self.record.exits.push(Exit { round, candidate, reason });
    }

    /// Whether the round that ended was disturbed and is repeated; notes what was seen.
    fn is_voided(&mut self, spent: Spent, repeats: u32) -> bool {
        let (conditions, flags) = self.watch.end_round(self.pool);
        let left_ns = self.allotment.deadline_ns.saturating_sub(self.spent_ns());
        // What makes all blocks slower alike cancels in the round, and what does not widens the answer's bound.
        let is_biased = flags.iter().any(|flag| matches!(flag, Flag::Steal { .. } | Flag::Others { .. }));
        let voided = is_biased && self.watch.voids(spent, repeats, left_ns);
        if let Some(round) = self.record.rounds.last_mut() {
            (round.conditions, round.flags, round.voided) = (conditions, flags, voided);
        }
        voided
    }

    /// Runs a round once. The race is told of those who are out; returns what the others scored.
    fn attempt(&mut self, race: &mut dyn Racing, round: &RoundPlan) -> (Vec<(usize, TurnOutcome)>, Option<Stop>) {
        let mut outcomes = Vec::new();
        let number = u32::try_from(self.record.rounds.len()).unwrap_or(u32::MAX);
        self.observer.observe(&Event::Round {
            number,
            phase: race.phase(),
            runtime: self.record.races.last().map_or("", |race| &race.runtime),
            candidates: round.turns.len(),
            elapsed_ns: self.spent_ns(),
            budget_ns: self.record.settings.budget_ns,
        });
        self.record.rounds.push(Round::of(race.phase()));
        self.tasks.longest = 0;
        self.tasks.common_ns = self.common_window(round);
        self.watch.begin_round(self.pool);
        for turn in &round.turns {
            if self.overspent(turn) {
                return (outcomes, Some(Stop::BudgetSpent));
            }
            if race.drops(turn.candidate) {
                continue;
            }
            let placed = Turn { candidate: self.base + turn.candidate, ..*turn };
            let turned = self.turn(number, placed);
            let blocks = self.record.candidates.get(placed.candidate).map(|place| &place.blocks);
            if let Some(block) = blocks.and_then(|blocks| blocks.last()) {
                race.took(turn.candidate, block.figures.elapsed_ns, self.slots[placed.candidate].start_ns.take());
            }
            match turned {
                Turned::Fed(TurnOutcome::Failed) => self.feed_failure(race, turn.candidate),
                // A limit that is broken in a round that is voided does not count.
                Turned::Fed(outcome) => outcomes.push((turn.candidate, outcome)),
                Turned::Stopped(stop) => return (outcomes, Some(stop)),
            }
            // Between blocks, not only between rounds: the first round may take seconds.
            self.record.elapsed_ns = self.pool.elapsed_ns();
            self.saver.save_at_times(self.record, self.observer);
            self.observer.observe(&Event::BetweenBlocks { elapsed_ns: self.spent_ns() });
        }
        // The draws of tasks are spread over each sixteen of them, so a round begins at a multiple. Turns have too few tasks
        // for that: were each to begin at a multiple, a plain loop would meet the same few items again and again.
        let shift = u64::from(self.pace.turns.is_some());
        self.tasks.first_index += self.tasks.longest.next_multiple_of(VARIANTS) + shift;
        (outcomes, None)
    }

    /// Keeps that a candidate failed, tells the race how, and the user what it does about that.
    fn feed_failure(&mut self, race: &mut dyn Racing, candidate: usize) {
        let is_faulty = self.seen.faulty.contains(&(self.base + candidate));
        let reason = if is_faulty { ExitReason::Faulty } else { ExitReason::Failed };
        self.exit(candidate, reason);
        let place = &self.record.candidates[self.base + candidate];
        let (failed, failure) = (place.candidate.clone(), place.failure.clone());
        let outcome = place.failed_outcome(reason);
        race.feed(candidate, outcome);
        if outcome == TurnOutcome::Faulty {
            self.put_out_others(self.base + candidate);
        }
        if let (Some(by), Some(failure)) = (race.replaced_by(), failure) {
            self.warn(Warning::Replaced { candidate: failed, by, failure });
        }
    }

    /// The median of the windows that the candidates of a round need. Shorter ones are lengthened to it: a
    /// pause of the host falls into few short windows and wholly, into most long ones and in part, so that
    /// a trimmed mean would favour whoever has short windows.
    fn common_window(&self, round: &RoundPlan) -> u64 {
        let known = round.turns.iter().filter_map(|turn| self.slots.get(self.base + turn.candidate)?.learned);
        let mut needs: Vec<u64> = known.map(|learned| self.pace.window(&learned).ns).collect();
        needs.sort_unstable();
        needs.get(needs.len() / 2).copied().unwrap_or(0)
    }

    /// A round is finished beyond the budget, for the sake of its pairs, but not far beyond.
    fn overspent(&self, turn: &Turn) -> bool {
        let measured = self.record.candidates[self.base..].iter().filter(|place| !place.blocks.is_empty()).count();
        let turn_ns = self.pace.turns.map_or(0, |turns| turns.task_ns);
        // One candidate alone is no answer.
        let lacks_rival = self.pace.turns.is_some() && measured < 2;
        // Two of them are: no life begins then that ends beyond it.
        let start_ns = if measured < 2 { 0 } else { self.expected_start_ns(self.base + turn.candidate, turn.anew) };
        let most_ns = self.allotment.deadline_ns.saturating_add(self.allotment.budget_ns / 4);
        !lacks_rival && self.spent_ns().saturating_add(turn_ns).saturating_add(start_ns) > most_ns
    }

    /// What the start of a candidate takes, by its latest one or that of its engine; 0 where it lives on.
    fn expected_start_ns(&self, slot: usize, anew: bool) -> u64 {
        if self.slots[slot].alive && !anew {
            return 0;
        }
        let own = &self.record.candidates[slot];
        let is_kin = |place: &&CandidateRecord| place.candidate.kind() == own.candidate.kind();
        let mut kin = self.record.candidates.iter().filter(is_kin).filter_map(|place| place.lives.last());
        let life = own.lives.last().or_else(|| kin.next_back());
        life.map_or(0, |life| life.boot_ns.saturating_add(life.startup_ns))
    }

    /// What is known of a candidate of the record from its latest block.
    pub(super) fn learned(&self, slot: usize) -> Option<Learned> {
        self.slots.get(slot)?.learned
    }

    /// What of the budget is spent.
    pub(super) fn spent_ns(&self) -> u64 {
        self.pool.elapsed_ns().saturating_sub(self.lost_ns)
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.observer.observe(&Event::Warning(&warning));
        self.record.warnings.push(warning);
    }
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
