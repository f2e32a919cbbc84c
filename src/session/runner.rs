//! The session's loop: a race says which block is next, the agent pool takes it, the record keeps it.
//!
//! Several races may follow each other: candidates and rounds go on counting.

use std::collections::{BTreeSet, HashMap};

use super::blocks::{BlockPace, Learned, turn_ns, turns_ns};
use super::hang::{Patience, Slowest, waits_for_cluster_ns};
use super::link::AgentError;
use super::pool::{AgentPool, Ask, Beginning, Measurement, PARKED_SHARE, Shutdown, Started};
use super::saving::Saver;
use super::watch::{Spent, Watch, again};
use super::{Event, Observer};
use crate::candidate::{Candidate, Cluster, Engine, Model, StartMethod};
use crate::decide::{self, Decide, Finding, Meeting, Next, RoundPlan, Turn, TurnOutcome, duel};
use crate::protocol::{Block, BlockKind, Failed, FailureKind, Note, Reference, VARIANTS};
use crate::record::{
    BlockRecord, CandidateRecord, Ending, Exit, ExitReason, Flag, Life, Look, Phase, Record, Round, RuntimeCalibration,
    Warning, figures, observation,
};
use crate::stats::{merged, percentile};
use crate::workload::{Goal, Load};

const MS: u64 = 1_000_000;
/// The window of the block by which a new life is warmed up.
const WARM_UP_NS: u64 = 5 * MS;
/// Tasks as long as this need no warm-up but the one that each slot has run: what is cold costs them little.
const LONG_TASK_NS: u64 = 5 * MS;
/// A cache of the user's own is filled in each life, if that takes no longer than this, one call after another.
const MOST_TO_FILL_NS: u64 = 1_000 * MS;
/// Tasks whose time under load is so many times that of the first one queue for something.
const QUEUES: f64 = 1.4;
/// A queue is filled by blocks of so many turns of its tasks, at most so many of them, until their time grows by less.
const TURNS_TO_FILL: u64 = 2;
const FILLS: usize = 3;
const FILLED: f64 = 1.1;
/// So many tasks are not all short by chance.
const SEVERAL: u64 = 4;
/// Long tasks whose turn takes less than such a part of one are not long.
const NOT_LONG_PART: u64 = 8;
/// So many times its window is what a block should have had, if it was too short.
const SHORT: u64 = 2;
/// How long after agents have ended whoever they were connected to may take to notice.
const RELEASE_NS: u64 = 20 * MS;
/// And how long at most.
const SURE_RELEASE_NS: u64 = 200 * MS;
/// The same on a busy host, for those that are known to need what another had.
const LATE_RELEASE_NS: u64 = 1_000 * MS;
/// What agents that do not answer may cost in all, beside the budget. What is lost from then on the budget pays for.
pub(super) const MOST_LOST_NS: u64 = 15_000 * MS;
/// Memory that no limit looks at is sampled for this part of the budget: a batch is run whole for it.
const WEIGHING_PART: u64 = 40;
/// The window of a memory block.
const MEMORY_NS: u64 = 60 * MS;

/// What the loop needs of a race: [`Decide`], or a script in tests.
pub(super) trait Racing {
    /// What its rounds are for.
    fn phase(&self) -> Phase;
    fn candidates(&self) -> Vec<Candidate>;
    fn next(&mut self, elapsed_ns: u64) -> Next;
    fn feed(&mut self, candidate: usize, outcome: TurnOutcome);
    /// Finds the answer of what was fed; whether there was anything new.
    fn look(&mut self, _elapsed_ns: u64) -> bool {
        false
    }
    /// The answer so far, of a race that names one.
    fn finding(&self) -> Option<Finding> {
        None
    }
    fn retired(&mut self) -> Vec<usize> {
        Vec::new()
    }
    /// The way to begin processes that took the place of another since this was asked last.
    fn replaced_by(&mut self) -> Option<StartMethod> {
        None
    }
    /// Whether a turn of the round that runs is dropped, for what failed in this round.
    fn drops(&mut self, _candidate: usize) -> bool {
        false
    }
    fn took(&mut self, _candidate: usize, _block_ns: u64, _start_ns: Option<u64>) {}
    /// Is shown the candidate whose last block counts, for who looks at more than the objective; `tasks` is how many the
    /// user has.
    fn measured(&mut self, _candidate: usize, _place: &CandidateRecord, _tasks: Option<u32>) {}
}

impl Racing for Decide {
    fn phase(&self) -> Phase {
        Phase::Race
    }

    fn candidates(&self) -> Vec<Candidate> {
        Decide::candidates(self).into_iter().cloned().collect()
    }

    fn next(&mut self, elapsed_ns: u64) -> Next {
        Decide::next(self, elapsed_ns)
    }

    fn feed(&mut self, candidate: usize, outcome: TurnOutcome) {
        Decide::feed(self, candidate, outcome);
    }

    fn look(&mut self, elapsed_ns: u64) -> bool {
        Decide::look(self, elapsed_ns)
    }

    fn finding(&self) -> Option<Finding> {
        Decide::finding(self)
    }

    fn retired(&mut self) -> Vec<usize> {
        Decide::retired(self)
    }

    fn replaced_by(&mut self) -> Option<StartMethod> {
        Decide::replaced_by(self)
    }

    fn drops(&mut self, candidate: usize) -> bool {
        Decide::drops(self, candidate)
    }

    fn took(&mut self, candidate: usize, block_ns: u64, start_ns: Option<u64>) {
        Decide::took(self, candidate, block_ns, start_ns);
    }
}

/// It is of candidates that are known: its indices are the record's.
impl Racing for Meeting {
    fn phase(&self) -> Phase {
        Phase::Runtimes
    }

    fn candidates(&self) -> Vec<Candidate> {
        Vec::new()
    }

    fn next(&mut self, elapsed_ns: u64) -> Next {
        Meeting::next(self, elapsed_ns)
    }

    fn feed(&mut self, candidate: usize, outcome: TurnOutcome) {
        Meeting::feed(self, candidate, outcome);
    }
}

/// It names nobody: what it found is in its comparisons.
impl Racing for duel::Duel {
    fn phase(&self) -> Phase {
        Phase::Duel
    }

    fn candidates(&self) -> Vec<Candidate> {
        duel::Duel::candidates(self).to_vec()
    }

    fn next(&mut self, elapsed_ns: u64) -> Next {
        duel::Duel::next(self, elapsed_ns)
    }

    fn feed(&mut self, candidate: usize, outcome: TurnOutcome) {
        duel::Duel::feed(self, candidate, &outcome);
    }

    fn retired(&mut self) -> Vec<usize> {
        duel::Duel::retired(self)
    }

    fn measured(&mut self, candidate: usize, place: &CandidateRecord, tasks: Option<u32>) {
        // Memory and verify blocks stand before it.
        if let Some(block) = place.blocks.iter().rev().find(|block| block.round.is_some()) {
            duel::Duel::measured(self, candidate, figures(place, block, tasks));
        }
    }
}

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
    /// Engines, each with the way in which its processes begin, of which it was told what tasks leave behind.
    told: BTreeSet<Candidate>,
    /// Time that went to agents which did not answer. One that hangs is out, and the others keep their budget.
    pub(super) lost_ns: u64,
    /// The slowest task and start so far.
    pub(super) slowest: Slowest,
    /// Whether no agent may live beside another: each block then begins a life.
    pub(super) is_exclusive: bool,
    /// So many lives of each candidate begin cold and are weighed, whatever the objective looks at.
    cold_lives: usize,
    /// Ways to begin processes under which an engine of this runtime hung, or did what it does not elsewhere.
    pub(super) bad_methods: Vec<(String, StartMethod)>,
    /// What candidates of so much in flight said that failed though no other agent lived: larger ones say the same.
    failed_alone: Vec<(String, u32)>,
    /// Engines that are tried in their first life of the race.
    pub(super) untried: BTreeSet<Candidate>,
    /// Engines of which a small candidate ran.
    pub(super) proven: BTreeSet<Candidate>,
    /// Candidates whose engine has a fault, whatever its size.
    pub(super) faulty: BTreeSet<usize>,
    slots: Vec<Slot>,
    /// The index of the round's first task, the same for all, so that they draw the same tasks.
    pub(super) first_index: u64,
    /// The most tasks that a block of this round ran.
    longest: u64,
    /// The window that blocks of this round have at least, whoever runs them.
    common_ns: u64,
    watch: Watch,
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
    /// So many lives of each candidate begin cold and are weighed, whatever the objective looks at.
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
            told: BTreeSet::new(),
            lost_ns,
            slowest,
            is_exclusive,
            cold_lives,
            bad_methods: Vec::new(),
            failed_alone: Vec::new(),
            untried: BTreeSet::new(),
            proven: BTreeSet::new(),
            faulty: BTreeSet::new(),
            slots: Vec::new(),
            first_index: 0,
            longest: 0,
            common_ns: 0,
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
            if ending == Ending::Interrupted { self.pool.kill(slot) } else { self.end(slot) }
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

    /// The agent of a candidate that may have ended, alive; `None` where it cannot be.
    pub(super) fn alive(&mut self, slot: usize) -> Result<Option<Learned>, AgentError> {
        self.make_room(slot, false);
        if !self.slots[slot].alive && self.start(slot, Beginning::Warm)?.is_err() {
            return Ok(None);
        }
        Ok(self.slots[slot].learned)
    }

    /// Takes a candidate out that failed.
    pub(super) fn put_out(&mut self, slot: usize, failure: Failed) {
        self.kill(slot);
        let place = &mut self.record.candidates[slot];
        place.failure = Some(failure.clone());
        self.observer.observe(&Event::Failed { candidate: &place.candidate, failure: &failure });
    }

    /// Puts out the other sizes of an engine that has a fault which all of them have, in the race that runs.
    fn put_out_others(&mut self, slot: usize) {
        let place = &self.record.candidates[slot];
        let (failed, failure) = (place.candidate.clone(), place.failure.clone());
        for other in (self.base..self.slots.len()).filter(|other| *other != slot) {
            let place = &mut self.record.candidates[other];
            if place.candidate.kind() == failed.kind() && place.failure.is_none() {
                place.failure.clone_from(&failure);
                self.kill(other);
            }
        }
    }

    /// Begins a cold life of a candidate in the place of its warm one. What goes wrong says nothing of the answer.
    fn restarted_cold(&mut self, slot: usize) -> Option<Learned> {
        self.end(slot);
        if !matches!(self.start(slot, Beginning::Cold), Ok(Ok(()))) {
            self.kill(slot);
        }
        self.slots[slot].learned.filter(|_| self.slots[slot].alive)
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

    /// Samples the memory of what is named and of the best of each other model, as far as their agents live: where no
    /// limit looks at it, it is told all the same, and costs the race nothing.
    fn measure_memory_of_leaders(&mut self, found: Option<Finding>) {
        let Some(found) = found.filter(|_| !self.has_one_turn()) else { return };
        let mut order: Vec<(f64, usize)> =
            found.standings.iter().map(|it| (it.ratio, self.base + it.candidate)).collect();
        order.sort_by(|one, other| other.0.total_cmp(&one.0));
        order.insert(0, (0.0, self.base + found.named));
        let mut models: Vec<Model> = Vec::new();
        let until_ns = self.spent_ns().saturating_add(self.allotment.budget_ns / WEIGHING_PART);
        for (_, slot) in order {
            if self.spent_ns() > until_ns {
                break;
            }
            let Slot { alive, learned, .. } = self.slots[slot];
            let model = self.record.candidates[slot].candidate.model();
            let Some(learned) = learned.filter(|_| alive && !models.contains(&model)) else { continue };
            models.push(model);
            let is_warm = self.record.candidates[slot].lives.last().is_some_and(|life| life.warm);
            // What is named is worth a life for it.
            let learned =
                if is_warm && slot == self.base + found.named { self.restarted_cold(slot) } else { Some(learned) };
            let Some(learned) = learned else { continue };
            // What goes wrong here says nothing of the answer.
            if self.measure_memory(slot, &learned).is_err() {
                self.kill(slot);
            }
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
        self.longest = 0;
        self.common_ns = self.common_window(round);
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
        self.first_index += self.longest.next_multiple_of(VARIANTS) + shift;
        (outcomes, None)
    }

    /// Keeps that a candidate failed, tells the race how, and the user what it does about that.
    fn feed_failure(&mut self, race: &mut dyn Racing, candidate: usize) {
        let is_faulty = self.faulty.contains(&(self.base + candidate));
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

    /// Waits until whoever an agent that ended was connected to has surely noticed.
    pub(super) fn wait_for_release(&mut self) {
        self.pool.idle(if self.is_exclusive { LATE_RELEASE_NS } else { SURE_RELEASE_NS });
    }

    /// What is known of a candidate of the record from its latest block.
    pub(super) fn learned(&self, slot: usize) -> Option<Learned> {
        self.slots.get(slot)?.learned
    }

    /// What of the budget is spent.
    pub(super) fn spent_ns(&self) -> u64 {
        self.pool.elapsed_ns().saturating_sub(self.lost_ns)
    }

    fn turn(&mut self, number: u32, turn: Turn) -> Turned {
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
    pub(super) fn lose(&mut self, begun_ns: u64) {
        let took_ns = self.pool.elapsed_ns().saturating_sub(begun_ns);
        self.lost_ns = self.lost_ns.max(MOST_LOST_NS.min(self.lost_ns.saturating_add(took_ns)));
    }

    /// Says what hangs cost.
    pub(super) fn tell_of_hangs(&mut self) {
        if self.lost_ns > 0 {
            self.warn(Warning::Hung { lost_ns: self.lost_ns });
        }
    }

    /// What hangs may still cost in all.
    pub(super) fn hangs_may_cost_ns(&self) -> u64 {
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
            && !self.failed_alone.iter().any(is_known)
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
            self.failed_alone.push((said(failure), concurrency));
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
        let was_alone = self.failed_alone.contains(&(said(&failure), candidate.sizes.concurrency()));
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
        (self.proven.contains(&kind) && concurrency > super::trial::SMALL)
            || self.record.candidates.iter().any(|place| is_smaller(place) && ran(place))
    }

    /// Ends the agent of a candidate that is to begin anew; where no agent may live beside another, the others, too.
    fn make_room(&mut self, slot: usize, anew: bool) {
        let is_in_the_way = |other: usize| if other == slot { anew } else { self.is_exclusive };
        let ending: Vec<usize> =
            (0..self.slots.len()).filter(|other| self.slots[*other].alive && is_in_the_way(*other)).collect();
        ending.iter().for_each(|other| self.end(*other));
        if self.is_exclusive && !ending.is_empty() {
            self.pool.idle(RELEASE_NS);
        }
    }

    pub(super) fn kill(&mut self, slot: usize) {
        self.pool.kill(slot);
        self.slots[slot].alive = false;
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
        let wished = window.ns.max(self.common_ns);
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
            self.untried.remove(&kind);
        }
        self.slots[slot].learned = Some(seen);
        self.longest = self.longest.max(measurement.figures.tasks);
        self.watch.saw_delay(measurement.run_delay_share);
        self.keep(slot, Some(number), measurement);
        if let Some(round) = self.record.rounds.last_mut() {
            round.order.push(u32::try_from(slot).unwrap_or(u32::MAX));
        }
        Ok(Ok(self.outcome(slot)))
    }

    /// Whether tasks are so long that there is time for nothing but the blocks that are compared.
    pub(super) fn has_one_turn(&self) -> bool {
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
        (self.pace.turns, self.common_ns) = (None, 0);
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
        let failed = place.failed_tasks();
        let breaks_errors = objective.limits.errors.is_broken_beyond_doubt(failed.errors, failed.tasks);
        let looks_at_p99 = objective.goal == Goal::P99 || objective.limits.p99_ns.is_some();
        // Known from as many samples on as may put a candidate out.
        let p99_ns = if looks_at_p99 { p99_ns(self.record, place) } else { None };
        let breaks_p99 = objective.limits.p99_ns.is_some_and(|most| p99_ns > Some(most));
        if breaks_memory || breaks_p99 || breaks_errors {
            return TurnOutcome::Infeasible;
        }
        if objective.goal == Goal::P99 && p99_ns.is_none() {
            return TurnOutcome::Unknown;
        }
        let tasks = self.record.workload.all_tasks();
        observation(objective.goal, place, block, memory_bytes, tasks)
            .map_or(TurnOutcome::Unknown, TurnOutcome::Observed)
    }

    pub(super) fn watches_memory(&self) -> bool {
        self.cold_lives > 0 || self.record.workload.objective.looks_at_memory()
    }

    /// How a life of this candidate is to begin: cold if it will be weighed, if its start-up is compared, or if no life of
    /// its engine was cold yet.
    fn beginning(&self, slot: usize) -> Beginning {
        let candidate = &self.record.candidates[slot].candidate;
        let is_kin = |other: &Candidate| other.kind() == candidate.kind();
        let kin = self.record.candidates.iter().filter(|place| is_kin(&place.candidate));
        let is_known = kin.flat_map(|place| &place.lives).any(|life| !life.warm);
        let is_warm = is_known && !self.is_looked_at(slot) && !super::counts_start_up(&self.record.workload);
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
        let counts = |block: &&BlockRecord| {
            let round = block.round.and_then(|round| self.record.rounds.get(round as usize));
            round.is_some_and(|round| !round.voided)
        };
        place.blocks.iter().filter(is_cold).filter(counts).count()
    }

    /// What starting a candidate's cluster took, where the session started it: the user's program does so, too.
    fn cluster_start_ns(&self, candidate: &Candidate) -> u64 {
        self.cluster(candidate).and_then(|cluster| cluster.start_ns).unwrap_or(0)
    }

    /// How long a candidate's agent may wait for its cluster, and do nothing; 0 where it has none.
    pub(super) fn waits_for_cluster_ns(&self, candidate: &Candidate) -> u64 {
        self.cluster(candidate).map_or(0, waits_for_cluster_ns)
    }

    /// The cluster that this candidate runs on.
    fn cluster(&self, candidate: &Candidate) -> Option<&Cluster> {
        let runtime = self.record.calibration.runtime(&candidate.runtime);
        runtime.and_then(|it| it.cluster.as_ref()).filter(|_| candidate.model() == Model::Cluster)
    }

    /// A new life: started and warmed up. Every block's checksum is compared, this one's too.
    fn start(&mut self, slot: usize, beginning: Beginning) -> Result<Result<(), Stop>, AgentError> {
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
    pub(super) fn launch(
        &mut self,
        slot: usize,
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
        let started = self.pool.start(slot, candidate, iterations, beginning, patience)?;
        self.slowest.saw(started.ready.first_task_ns, started.boot_ns.saturating_add(started.ready.startup_ns));
        self.watch_lock(candidate, &started);
        Ok(Ok(started))
    }

    /// Runs a first block, which counts for nothing but what it teaches.
    pub(super) fn warm_up(
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

    /// Takes a memory block of a candidate: once, or once a life where the objective looks at memory. A life that began
    /// warm is not weighed, since it shares its parent's pages.
    fn measure_memory(&mut self, slot: usize, learned: &Learned) -> Result<Result<(), Stop>, AgentError> {
        if self.record.candidates[slot].lives.last().is_some_and(|life| life.warm) {
            return Ok(Ok(()));
        }
        if std::mem::replace(&mut self.slots[slot].has_memory, true) {
            return Ok(Ok(()));
        }
        let wished = self.pace.untimed(MEMORY_NS, learned.latency_ns);
        let Some(window_ns) = self.affordable_in(slot, wished, learned) else { return Ok(Err(Stop::CallsSpent)) };
        let measurement = self.block(slot, BlockKind::Memory, window_ns, learned)?;
        self.keep(slot, None, measurement);
        Ok(Ok(()))
    }

    /// Runs a block of a candidate of the race.
    fn block(
        &mut self,
        slot: usize,
        kind: BlockKind,
        window_ns: u64,
        learned: &Learned,
    ) -> Result<Measurement, AgentError> {
        let candidate = self.record.candidates[slot].candidate.clone();
        let measurement = self.block_of(slot, &candidate, kind, window_ns, learned)?;
        self.watch_parking(slot, measurement.parked_cpu_share);
        Ok(measurement)
    }

    /// Runs a block of whoever holds this slot.
    pub(super) fn block_of(
        &mut self,
        slot: usize,
        candidate: &Candidate,
        kind: BlockKind,
        window_ns: u64,
        learned: &Learned,
    ) -> Result<Measurement, AgentError> {
        let (ask, expected) = self.ask(candidate, kind, window_ns, learned);
        self.checked(slot, candidate, ask, expected)
    }

    /// As [`Runner::block_of`], of work that the reference does not know.
    pub(super) fn unchecked_block_of(
        &mut self,
        slot: usize,
        candidate: &Candidate,
        kind: BlockKind,
        window_ns: u64,
        learned: &Learned,
    ) -> Result<Measurement, AgentError> {
        let (ask, expected) = self.ask(candidate, kind, window_ns, learned);
        self.counted(slot, candidate, ask, expected)
    }

    /// What a block is asked for, and about how many tasks it will run.
    fn ask(&self, candidate: &Candidate, kind: BlockKind, window_ns: u64, learned: &Learned) -> (Ask, u64) {
        let concurrency = candidate.sizes.concurrency();
        let expected = self.pace.calls(window_ns, learned.throughput_per_s, concurrency);
        let idle_ns = self.slowest.idle_in_block_ns(concurrency, self.hangs_may_cost_ns());
        let whole_ns = self.pace.patience_ns(window_ns, learned);
        // The tasks of a batch all end before its answer comes, and may wait most of their time.
        let batch_ns = match self.record.workload.load {
            Load::Batch { tasks, .. } => {
                let in_turn_ns = self.slowest.in_turn_ns(tasks.div_ceil(concurrency.max(1)));
                learned.elapsed_ns.max(in_turn_ns.min(MOST_LOST_NS))
            }
            Load::Closed { .. } => 0,
        };
        let waits_ns = self.pace.waits_ns(expected).saturating_add(window_ns).saturating_add(batch_ns);
        let patience = Patience { whole_ns, idle_ns }.and(waits_ns).and(self.waits_for_cluster_ns(candidate));
        // What is expected is foresight; whoever sets `max_calls` may pay for each.
        let most_tasks = self.record.workload.max_calls.map(|_| self.calls_left());
        // A batch is all of the user's items, in their order.
        let is_batch = matches!(self.record.workload.load, Load::Batch { .. });
        let first_index = if is_batch { 0 } else { self.first_index };
        (Ask { kind, window_ns, first_index, most_tasks, patience }, expected)
    }

    /// Runs what is asked, counts its tasks (about `expected`) and compares their checksum.
    pub(super) fn checked(
        &mut self,
        slot: usize,
        candidate: &Candidate,
        ask: Ask,
        expected: u64,
    ) -> Result<Measurement, AgentError> {
        let measurement = self.counted(slot, candidate, ask, expected)?;
        let figures = &measurement.figures;
        // Which of its tasks failed is not known, so that of others nothing can be expected.
        let reference = self.reference(candidate).filter(|_| figures.errors == 0);
        if let Some(reference) = reference {
            let expected = reference.expected_of(figures);
            if expected != figures.checksum {
                let message = format!(
                    "the results of {} tasks from task {} on are not the reference's (checksum {:x}, expected {expected:x}): a task's result must depend on its index alone",
                    figures.tasks, figures.first_index, figures.checksum
                );
                return Err(AgentError::new(FailureKind::Checksum, message));
            }
        }
        Ok(measurement)
    }

    /// What the blocks of a candidate are held against, if anything.
    pub(super) fn reference(&self, candidate: &Candidate) -> Option<&Reference> {
        self.references.get(&(candidate.runtime.clone(), candidate.library_threads))
    }

    /// Runs what is asked and counts its tasks (about `expected`).
    fn counted(
        &mut self,
        slot: usize,
        candidate: &Candidate,
        ask: Ask,
        expected: u64,
    ) -> Result<Measurement, AgentError> {
        match self.pool.block(slot, ask) {
            Ok(mut measurement) => {
                self.calls = self.calls.saturating_add(measurement.figures.tasks);
                // Tasks that compute take long beside each other, and do not look as if they hung.
                if measurement.figures.usage.own_cpu_ns() < measurement.figures.elapsed_ns / 2 {
                    self.slowest.saw(slowest_ns(&measurement.figures), 0);
                }
                self.found(&candidate.runtime, &measurement.figures.notes);
                if let Some(cores) = self.record.calibration.usable_cores {
                    measurement.figures = measurement.figures.counted_by_cpu(cores, candidate.sizes.at_once());
                }
                Ok(measurement)
            }
            Err(fault) => {
                // How many it ran before it failed is not known, and the user may pay for each.
                self.calls = self.calls.saturating_add(expected);
                Err(fault)
            }
        }
    }

    fn keep(&mut self, slot: usize, round: Option<u32>, measurement: Measurement) {
        let place = &mut self.record.candidates[slot];
        place.blocks.push(BlockRecord {
            round,
            life: u32::try_from(place.lives.len().saturating_sub(1)).unwrap_or(u32::MAX),
            at_ns: measurement.at_ns,
            server_cpu_ns: measurement.server_cpu_ns,
            memory: measurement.memory,
            figures: measurement.figures,
        });
    }

    fn watch_parking(&mut self, slot: usize, share: f64) {
        let (Some(place), Some(slot)) = (self.record.candidates.get_mut(slot), self.slots.get_mut(slot)) else {
            return;
        };
        if let Some(life) = place.lives.last_mut() {
            life.parked_cpu_share = life.parked_cpu_share.max(share);
        }
        if share > PARKED_SHARE && !std::mem::replace(&mut slot.warned_of_parking, true) {
            let candidate = place.candidate.clone();
            self.warn(Warning::NotParked { candidate, share });
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

    fn end(&mut self, slot: usize) {
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
    pub(super) fn shut_down(&mut self, slot: usize) -> Shutdown {
        let begun_ns = self.pool.elapsed_ns();
        let shutdown = self.pool.end(slot);
        if shutdown.hung {
            self.lose(begun_ns);
        }
        shutdown
    }

    /// Says what a candidate's tasks left behind: of each engine once, since each of its sizes and lives does so.
    pub(super) fn watch_leavings(&mut self, candidate: Candidate, shutdown: Shutdown) {
        let Shutdown { leftover: processes, left_behind, failed_teardown, .. } = shutdown;
        if let Some(failure) = failed_teardown {
            self.watch_teardown(&candidate, failure);
        }
        let kind = candidate.kind();
        if (processes == 0 && left_behind.is_empty()) || !self.told.insert(kind) {
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

    /// Says what an agent found of the user's own code, each thing once: it is the same code under every runtime.
    fn found(&mut self, runtime: &str, notes: &[Note]) {
        for note in notes {
            let is_same = |other: &Note| match (note, other) {
                // A class fails in the same way whatever its instance, in words of its interpreter's own.
                (Note::ErrorCannotCross { type_name: one, .. }, Note::ErrorCannotCross { type_name: other, .. }) => {
                    one == other
                }
                _ => note == other,
            };
            let is_told = |warning: &Warning| matches!(warning, Warning::Found { note, .. } if is_same(note));
            if !self.record.warnings.iter().any(is_told) {
                self.warn(Warning::Found { runtime: runtime.to_owned(), note: note.clone() });
            }
        }
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.observer.observe(&Event::Warning(&warning));
        self.record.warnings.push(warning);
    }

    pub(super) fn calls_left(&self) -> u64 {
        let all = self.record.workload.max_calls.unwrap_or(u64::MAX);
        all.min(self.allotment.most_calls).saturating_sub(self.calls)
    }

    fn affordable_in(&self, slot: usize, window_ns: u64, learned: &Learned) -> Option<u64> {
        self.affordable(&self.record.candidates[slot].candidate, window_ns, learned)
    }

    fn affordable(&self, candidate: &Candidate, window_ns: u64, learned: &Learned) -> Option<u64> {
        self.pace.within_calls(window_ns, learned, candidate.sizes.concurrency(), self.calls_left())
    }
}

/// What a failure says, without the times that a hang tells.
fn said(failure: &Failed) -> String {
    if failure.kind == FailureKind::Hang { String::new() } else { failure.message.clone() }
}

/// The slowest task of a block; 0 where that is not known.
fn slowest_ns(block: &Block) -> u64 {
    block.service.decode().map_or(0, |service| service.max())
}

/// What two turns of each of a candidate's threads take, where they share an interpreter lock; else 0. `plain` is a block
/// of the same tasks in a plain loop.
pub(super) fn turns_of(candidate: &Candidate, started: &Started, plain: Option<&Block>) -> u64 {
    let shares = started.ready.gil == Some(true) && candidate.model() == Model::Threads;
    if shares { turns_ns(candidate.sizes.concurrency(), turn_ns(plain)) } else { 0 }
}

/// The 99th percentile of all the service times of a candidate's timed blocks; `None` below 1,000 of them.
fn p99_ns(record: &Record, place: &CandidateRecord) -> Option<u64> {
    let counts = |block: &&BlockRecord| {
        let round = block.round.and_then(|round| record.rounds.get(round as usize));
        block.figures.kind == BlockKind::Timed && round.is_none_or(|round| !round.voided)
    };
    let timed = place.blocks.iter().filter(counts);
    let services: Vec<_> = timed.filter_map(|block| block.figures.service.decode().ok()).collect();
    percentile(&merged(&services).ok()??, 0.99)
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
