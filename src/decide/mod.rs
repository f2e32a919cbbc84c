//! The decision: scores of blocks in; what to measure next, when to stop, and the answer out.
//!
//! The question is which simple candidate nothing else beats by more than the tolerance. All that was measured of a
//! runtime goes into one posterior (`posterior`), which begins with what is expected (`mechanism`) of each size. Joint
//! draws of it give each candidate's loss (`losses`): how far it may be behind the best of all that is considered, the
//! sizes that were not measured among them. The answer is the simplest candidate whose loss is within the tolerance
//! with 95 % confidence; before there is one, the simplest among those whose bound is near the least. What is measured
//! next (`agenda`) is what can narrow that bound most for its cost.
//!
//! A pure state machine: it knows no clock and no process. The live session drives it, and so does the analysis of a
//! stored record, block by block and look by look, so both say the same.

mod agenda;
mod ceiling;
pub mod duel;
mod failures;
mod grid;
mod losses;
mod matrix;
mod mechanism;
mod meeting;
mod models;
mod posterior;
mod scout;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use losses::CONFIDENCE;
pub use meeting::Meeting;
pub use models::ModelStanding;

use self::agenda::Agenda;
use self::ceiling::{Headroom, Used};
use self::failures::Failures;
use self::losses::{Losses, Normals};
use self::mechanism::{Setting, Task};
use self::models::STILL_IN;
use self::posterior::{Deviations, Posterior, Prior, Score};
use crate::candidate::{Candidate, ClusterLimits, Engine, Model, Sizes, StartMethod};
use crate::plan::Entry;

/// The version of the rules by which an answer is found. A record that was made under other rules keeps its answer.
pub const RULES_VERSION: u32 = 12;

/// Blocks that a candidate needs before it is taken for good enough.
const ENOUGH_BLOCKS: usize = 4;
/// Blocks of a neighbouring size before it counts as measured.
const ENOUGH_OF_NEIGHBOUR: usize = 2;
/// Who is this near (logarithm) is measured more than once before anything is good enough: one block may be anything.
const NEAR_RIVAL: f64 = 0.5;
/// So many deviations of the difference beyond a ceiling refute it.
const REFUTED: f64 = 2.0;
/// While nothing is good enough, what is this near to the least bound is named if it is simpler.
const NEAR_LEAST: f64 = 0.03;
/// While nothing is good enough, a chunk is not named if another one seems to be better by more than this part of the
/// tolerance: a larger one takes no more of the host, so that a smaller one is hardly simpler.
const OF_CHUNKS: f64 = 0.5;
/// A simpler candidate with this chance to be good enough is worth waiting for.
const WORTH_A_CHANCE: f64 = 0.15;
/// A block may take this part of the budget.
const BUDGET_PART: f64 = 16.0;
/// What a block takes beside its tasks, and how many turns of tasks it has.
const BLOCK_NS: f64 = 15e6;
/// A block as short as this is never too expensive: of a short budget little would be left to compare.
const SHORT_BLOCK_NS: f64 = 100e6;
const TURNS_OF_TASKS: f64 = 5.0;
/// A block may take so many times as long as that of a plain loop.
const MOST_OF_ALONE: f64 = 1.25;
/// A block of long tasks may take so many times as long as its turns do for whoever has one in flight: two threads that
/// share an interpreter lock take twice as long as one.
const LONG_TURNS: f64 = 2.5;
/// What is good enough may cost at most this part of the tolerance, pooled: looks vary.
const QUALIFIED: f64 = 0.9;
/// What is printed of an answer that ends a race is at most so many tolerances, unless the budget is spent.
const NEAR: f64 = 2.0;
/// After this part of the budget a bound of twice the tolerance is near enough. Against two fifths, the median simulated
/// session is 1 s shorter; 3 % fewer are sure.
const NEAR_PART: f64 = 0.27;
/// The same as long as a simpler model may be good enough, too: two sessions should name the same one. In the simulator that
/// is the case in 91 % of pairs, and in 86 % without it.
const NEAR_PART_FOR_MODEL: f64 = 0.54;
/// No bound is stated below this (logarithm): what lives of all sorts differ by is not seen in a few of them.
const LEAST_LOSS: f64 = 0.022;
/// So many standard deviations are sure, to one side: 95 %.
const SURELY: f64 = 1.645;
/// Lives that a candidate needs before it is taken for good enough: two may be lucky. On this host lives of a pool of four
/// threads behind a queue lie 3 to 24 % above a plain loop; of 20 sessions that asked for two lives, one was sure of it.
const ENOUGH_LIVES: usize = 3;
/// How long after something was good enough first a simpler candidate that may be, too, is waited for: so many times as
/// long as that took, and so much more. Another model is worth more patience than another size: two sessions should
/// name the same one. In the simulator that is the case in 93.3 % of pairs, and in 91.7 % with the patience of a size; the
/// median session is 0.1 s longer.
const PATIENCE_FOR_SIZE: (f64, f64) = (1.5, 1e9);
const PATIENCE_FOR_MODEL: (f64, f64) = (3.0, 3e9);
/// A library's default that was not measured is considered where its tasks take no longer than so many times those of
/// the engine's first size: beyond, it only queues, and its blocks are expensive.
const DEFAULT_LATENCY: f64 = 3.0;
/// A bound of at most so many tolerances is `likely`, beyond it is `rough`.
const LIKELY: f64 = 3.0;

/// What a race needs to know beside its entries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// What the answer may cost, as a ratio: 0.05 is 5 %.
    pub tolerance: f64,
    /// When the race is to end, on the clock of what is spent.
    pub deadline_ns: u64,
    /// How long it may take.
    pub budget_ns: u64,
    /// The seed of shuffles and draws.
    pub seed: u64,
    /// Whether each block begins a life anew: for an objective that hardly varies within one.
    pub is_renewed: bool,
    /// Cores that can be had.
    pub cores: f64,
    /// Whether threads share a global interpreter lock.
    pub has_lock: bool,
    /// How many threads the libraries of a task compute with by themselves, where one is tried, too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub library_threads: Option<u32>,
    /// Whether every step leaves an event loop free.
    pub is_async: bool,
    /// Whether no step does: an event loop then runs one task after another.
    #[serde(default)]
    pub blocks_loops: bool,
    /// Whether tasks may wait for something outside that serves few of them at a time: the user's own code, or a far side
    /// of the user's.
    #[serde(default)]
    pub may_share: bool,
    /// Whether tasks per second are what is compared.
    pub is_throughput: bool,
    /// The longest section of a task that only one runs at a time, as the workload says; 0 where there is none.
    #[serde(default)]
    pub serial_ns: f64,
    /// How many tasks the user has, where that is known: then throughput is that of all of them, start-up included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tasks: Option<u32>,
    /// Whether each block runs all of them.
    #[serde(default)]
    pub is_batch: bool,
    /// Whether each process that runs tasks is set up by the user's own code.
    #[serde(default)]
    pub has_setup: bool,
    /// The tasks per second that the far side allows, where the user states it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate_per_s: Option<f64>,
    /// What the cluster can do, where one takes part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<ClusterLimits>,
    /// Of what a block is where tasks are long.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub turns: Option<Turns>,
}

/// Blocks of long tasks are some turns of as many tasks as are in flight, from their common begin on. (A window that opens
/// after a ramp and closes before the tasks that straddle its end takes as many turns more.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Turns {
    /// What a task takes.
    pub task_ns: u64,
    /// How many turns a block is.
    pub count: u32,
}

impl Turns {
    /// From this part of the budget on there is time for one turn alone.
    pub const VERY_LONG_PART: u64 = 40;

    /// Those of tasks that take so long, if they are long for a session of this budget.
    #[must_use]
    pub fn of(task_ns: u64, budget_ns: u64) -> Option<Turns> {
        /// From such a part of the budget on tasks are long, and for how many turns there is time.
        const LONG: [(u64, u32); 3] = [(Turns::VERY_LONG_PART, 1), (128, 2), (320, 3)];
        /// However short the budget is, what is shorter than this leaves time for a window.
        const LEAST_NS: u64 = 25_000_000;
        let is_long = |part: u64| task_ns > (budget_ns / part).max(LEAST_NS);
        let (_, count) = LONG.into_iter().find(|(part, _)| is_long(*part))?;
        Some(Turns { task_ns, count })
    }

    /// Whether there is time for nothing but the blocks that are compared.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.count == 1
    }
}

/// The throughput (logarithm, tasks a second) of so many tasks from the start of what runs them on, which is ready for
/// them after `ready_ns` and then runs them at the throughput `score`.
#[must_use]
pub fn of_all_tasks(score: f64, tasks: f64, ready_ns: f64) -> f64 {
    let ready_s = ready_ns.max(0.0) / 1e9;
    -(ready_s / tasks.max(1.0) + (-score).exp()).ln()
}

/// The least loss (logarithm) that makes an answer `rough`, with this tolerance (a ratio).
#[must_use]
pub fn rough_loss(tolerance: f64) -> f64 {
    (LIKELY * tolerance).ln_1p() + 1e-4
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Run these blocks, in this order, then ask again.
    Round(RoundPlan),
    /// The race is over.
    Over(Ending),
}

/// Why a race is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The answer is good enough.
    Decided,
    /// The time is spent.
    BudgetSpent,
    /// There is nothing that can be measured.
    NoCandidate,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundPlan {
    /// Its blocks, in their shuffled order.
    pub turns: Vec<Turn>,
}

/// One block of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// An index into [`Decide::candidates`].
    pub candidate: usize,
    /// Whether its agent is started anew before the block.
    pub anew: bool,
}

/// What a block said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observation {
    /// The candidate's life, from 0.
    pub life: u32,
    /// The natural logarithm of the objective, more is better.
    pub score: f64,
    /// The mean service time of a task.
    pub latency_ns: f64,
    /// The median service time; 0 where it is not known.
    pub median_ns: f64,
    /// CPU time per task.
    pub cpu_ns: f64,
    /// What of it is used by programs that the task starts.
    pub children_ns: f64,
    /// Cores in use in its window; 0 where that is not known.
    pub cores: f64,
    /// How long the life took until it was ready for tasks.
    pub ready_ns: f64,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TurnOutcome {
    /// The block ran.
    Observed(Observation),
    /// Too few tasks stand behind the block: it counts for nothing.
    Unknown,
    /// The candidate broke a limit of the objective and is out.
    Infeasible,
    /// The candidate failed and is out.
    Failed,
    /// As `Failed`: it neither answered nor did anything.
    Hung,
    /// As `Failed`, by a fault that any size of its engine has: none of them counts.
    Faulty,
}

/// What a look found: the answer so far. Candidates are indices into [`Decide::candidates`].
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What is named.
    pub named: usize,
    /// What it may cost at most, with 95 % confidence: `ln(best / named)`. Where neighbouring sizes were not measured it
    /// is at least what makes an answer rough.
    pub loss: f64,
    /// Whether its neighbouring sizes were measured.
    pub is_settled: bool,
    /// Whether something simpler may be good enough, too.
    pub may_be_simpler: Option<usize>,
    /// Every candidate that was measured and is not out.
    pub standings: Vec<Standing>,
    /// By how much blocks of one round vary (logarithm).
    pub deviation: f64,
}

/// How a candidate stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The candidate.
    pub candidate: usize,
    /// What it may cost at most, with 95 % confidence: `ln(best / candidate)`.
    pub loss: f64,
    /// The probability that it costs no more than the tolerance.
    pub chance: f64,
    /// `ln(candidate / named)`, and its 95 % interval.
    pub ratio: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// One size of one entry.
#[derive(Clone, Debug)]
struct Arm {
    entry: usize,
    candidate: Candidate,
    /// Its index among the candidates, once it runs.
    entered: Option<usize>,
    /// It failed or broke a limit.
    is_out: bool,
    /// Blocks that count.
    blocks: usize,
    /// What its blocks took on average, ramp and drain included, and how many there were.
    took: (f64, u32),
    /// Blocks of its present life; `None` where it does not live.
    life: Option<u32>,
}

/// What was seen at the last look.
#[derive(Clone, Debug)]
struct View {
    /// The arms of the posterior, in its order.
    arms: Vec<usize>,
    posterior: Posterior,
    losses: Losses,
    task: Task,
    /// Places in `arms`.
    named: usize,
    /// The simplest that may be good enough.
    aim: usize,
    is_settled: bool,
    is_qualified: bool,
    /// Whether something measured seems to beat what is named by more than the tolerance.
    is_beaten: bool,
    /// By how much (logarithm) the best of what there is no time to measure is expected to beat what is named.
    out_of_reach: f64,
}

/// The state of a race among the candidates of one runtime.
#[derive(Clone, Debug)]
pub struct Decide {
    entries: Vec<Entry>,
    rules: Rules,
    arms: Vec<Arm>,
    entered: Vec<usize>,
    /// What broke a limit or failed, by entry.
    broken: Vec<Vec<Sizes>>,
    failures: Failures,
    /// Whether an entry races. One in the place of another waits until that one's way to begin processes is out.
    is_in: Vec<bool>,
    /// The way to begin processes that took the place of another, until it is asked for.
    replaced_by: Option<StartMethod>,
    /// The least that a start of each entry took, warm-up included.
    starts_ns: Vec<Option<f64>>,
    scores: Vec<Score>,
    /// Lives by candidate and number.
    lives: BTreeMap<(usize, u32), usize>,
    /// Service and CPU times by arm.
    tasks: BTreeMap<usize, Vec<Task>>,
    /// What blocks used of the cores.
    used: BTreeMap<usize, Used>,
    /// What is left above each arm, as of the last look.
    headrooms: Vec<Headroom>,
    /// How many tasks may be in flight under any entry.
    most_in_flight: f64,
    /// How many tasks wait at once in one process, where that is less than were in flight there, as of the last look.
    at_once: Option<f64>,
    rounds: usize,
    noise: Deviations,
    normals: Normals,
    random: ChaCha8Rng,
    view: Option<View>,
    /// Who was named at the look before, with what it might cost, and whether it was good enough.
    before: Option<(usize, f64, bool)>,
    /// When something was good enough first.
    qualified_ns: Option<u64>,
    is_looked_at: bool,
}

impl Decide {
    /// A race of these entries, of one runtime. Where processes of one hang for the way in which they begin, the
    /// `alternates` (the same engines under another way) race in the place of all entries that begin them so.
    #[must_use]
    pub fn new(entries: &[Entry], alternates: &[Entry], rules: Rules) -> Decide {
        let mut is_in = vec![true; entries.len()];
        is_in.resize(entries.len() + alternates.len(), false);
        let entries = [entries, alternates].concat();
        let sizes = entries.iter().flat_map(grid::all);
        let most_in_flight = sizes.map(|sizes| sizes.concurrency()).max().unwrap_or(1);
        Decide {
            is_in,
            replaced_by: None,
            rules,
            arms: Vec::new(),
            entered: Vec::new(),
            broken: vec![Vec::new(); entries.len()],
            failures: Failures::new(&entries),
            starts_ns: vec![None; entries.len()],
            entries,
            scores: Vec::new(),
            lives: BTreeMap::new(),
            tasks: BTreeMap::new(),
            used: BTreeMap::new(),
            headrooms: Vec::new(),
            most_in_flight: f64::from(most_in_flight),
            at_once: None,
            rounds: 0,
            noise: Deviations::default(),
            normals: Normals::new(rules.seed),
            random: ChaCha8Rng::seed_from_u64(rules.seed),
            view: None,
            before: None,
            qualified_ns: None,
            is_looked_at: true,
        }
    }

    /// Every candidate that has entered so far; indices stay.
    #[must_use]
    pub fn candidates(&self) -> Vec<&Candidate> {
        self.entered.iter().map(|arm| &self.arms[*arm].candidate).collect()
    }

    /// Has a candidate enter, as a stored record says that it did. Returns its index, or `None` where it is of none of
    /// the entries.
    pub fn enter(&mut self, candidate: &Candidate) -> Option<usize> {
        let is_of = |entry: &Entry| entry.candidate(candidate.sizes) == *candidate;
        let entry = self.entries.iter().position(is_of)?;
        let arm = self.arm(entry, candidate.sizes);
        Some(self.entered(arm))
    }

    /// What comes next, at `elapsed_ns` on the clock of what is spent.
    pub fn next(&mut self, elapsed_ns: u64) -> Next {
        self.look(elapsed_ns);
        if let Some(ending) = self.ending(elapsed_ns) {
            return Next::Over(ending);
        }
        let mut chosen = Agenda::new(self, elapsed_ns).choose();
        if chosen.is_empty() {
            return Next::Over(match &self.view {
                None => Ending::NoCandidate,
                Some(view) if view.is_qualified && view.is_settled => Ending::Decided,
                // Whatever else might be measured takes more time than there is.
                Some(_) => Ending::BudgetSpent,
            });
        }
        chosen.shuffle(&mut self.random);
        let turns = chosen.into_iter().map(|arm| self.turn(arm)).collect();
        Next::Round(RoundPlan { turns })
    }

    /// What a turn of the round that runs came to.
    pub fn feed(&mut self, candidate: usize, outcome: TurnOutcome) {
        let Some(arm) = self.entered.get(candidate).copied() else { return };
        let entry = self.arms[arm].entry;
        self.is_looked_at = false;
        match outcome {
            TurnOutcome::Observed(seen) if seen.score.is_finite() => self.observe(candidate, arm, seen),
            // A block without a task: the slowest there is.
            TurnOutcome::Observed(_) | TurnOutcome::Unknown => {}
            TurnOutcome::Infeasible => {
                self.arms[arm].is_out = true;
                self.broken[entry].push(self.arms[arm].candidate.sizes);
            }
            TurnOutcome::Faulty => {
                self.arms.iter_mut().filter(|arm| arm.entry == entry).for_each(|arm| arm.is_out = true);
                self.failures.saw_fault(entry);
            }
            TurnOutcome::Failed | TurnOutcome::Hung => {
                // Of long tasks no engine was tried before the race.
                let is_untried = self.rules.turns.is_some_and(|turns| turns.is_one()) && self.best_of(entry).is_none();
                let may_be_its_start = outcome == TurnOutcome::Hung || is_untried;
                if may_be_its_start && self.failures.blames_start_method(&self.arms[arm].candidate) {
                    self.replace(self.entries[entry].start_method);
                }
                self.arms[arm].is_out = true;
                self.arms[arm].life = None;
                self.failures.saw(entry, &self.arms[arm].candidate);
                // What is too large for something fails where a smaller size may work.
                self.broken[entry].push(self.arms[arm].candidate.sizes);
            }
        }
    }

    /// Has the alternates race in the place of the entries whose processes begin in this way.
    fn replace(&mut self, method: Option<StartMethod>) {
        let is_of_it = |entry: &Entry| entry.start_method == method;
        let is_waiting = |one: &usize| !self.is_in[*one] && !is_of_it(&self.entries[*one]);
        let others: Vec<usize> = (0..self.entries.len()).filter(is_waiting).collect();
        let Some(first) = others.first() else { return };
        self.replaced_by = self.entries[*first].start_method;
        for entry in 0..self.entries.len() {
            self.is_in[entry] &= !is_of_it(&self.entries[entry]);
        }
        others.into_iter().for_each(|entry| self.is_in[entry] = true);
    }

    /// The way to begin processes that took the place of another since this was asked last.
    pub fn replaced_by(&mut self) -> Option<StartMethod> {
        self.replaced_by.take()
    }

    /// Whether an entry can give nothing any more, or not yet.
    fn is_out(&self, entry: usize) -> bool {
        !self.is_in[entry] || self.failures.is_out(entry)
    }

    /// Whether a turn of the round that runs is not worth its risk any more, since something failed in this round with
    /// not many more in flight. It is dropped then.
    pub fn drops(&mut self, candidate: usize) -> bool {
        let Some(arm) = self.entered.get(candidate).copied() else { return false };
        let Arm { entry, blocks, ref candidate, .. } = self.arms[arm];
        let sizes = candidate.sizes;
        let is_new = blocks == 0 && self.best_of(entry).is_none();
        let is_late = || is_new && !self.begins(entry, &self.allowed(entry)).contains(&sizes);
        let dropped = !self.is_in[entry] || self.failures.is_faulty(entry) || is_late();
        if dropped {
            self.arms[arm].life = None;
        }
        dropped
    }

    fn observe(&mut self, candidate: usize, arm: usize, seen: Observation) {
        let next = self.lives.len();
        let life = *self.lives.entry((candidate, seen.life)).or_insert(next);
        self.scores.push(Score { arm, life, round: self.rounds, score: seen.score });
        self.arms[arm].blocks += 1;
        if seen.latency_ns.is_finite() && seen.cpu_ns.is_finite() && seen.latency_ns > 0.0 {
            let children_ns = if seen.children_ns.is_finite() { seen.children_ns.clamp(0.0, seen.cpu_ns) } else { 0.0 };
            let (latency_ns, cpu_ns, ready_ns) = (seen.latency_ns, seen.cpu_ns.max(1.0), seen.ready_ns);
            let median_ns = if seen.median_ns > 0.0 { seen.median_ns } else { latency_ns };
            let task = Task { latency_ns, median_ns, cpu_ns, children_ns, ready_ns };
            self.tasks.entry(arm).or_default().push(task);
            if seen.cores.is_finite() && seen.cores > 0.0 {
                self.used.entry(arm).or_default().add(self.rounds, seen.cores, cpu_ns);
            }
        }
    }

    /// How long the block of a candidate took, ramp and drain included, and the start of its agent, if it was started.
    pub fn took(&mut self, candidate: usize, block_ns: u64, start_ns: Option<u64>) {
        let Some(arm) = self.entered.get(candidate).copied() else { return };
        let (mean, count) = self.arms[arm].took;
        let weight = f64::from(count.min(3));
        self.arms[arm].took = ((mean * weight + block_ns as f64) / (weight + 1.0), count + 1);
        if let Some(start_ns) = start_ns {
            let known = &mut self.starts_ns[self.arms[arm].entry];
            *known = Some(known.unwrap_or(f64::INFINITY).min(start_ns as f64));
        }
    }

    /// Ends a round: what was fed since the look before becomes part of the posterior, and the answer is found anew.
    /// Returns whether there was anything new.
    pub fn look(&mut self, elapsed_ns: u64) -> bool {
        if std::mem::replace(&mut self.is_looked_at, true) {
            return false;
        }
        self.rounds += 1;
        let before = self.view.take();
        self.before = before.map(|view| (view.arms[view.named], view.losses.stated(view.named), view.is_qualified));
        self.at_once = self.waits_at_once();
        self.view = self.see();
        if self.view.as_ref().is_some_and(|view| view.is_qualified) && self.qualified_ns.is_none() {
            self.qualified_ns = Some(elapsed_ns);
        }
        true
    }

    /// The answer so far; `None` before anything could be compared.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        let view = self.view.as_ref()?;
        let named = view.arms[view.named];
        // One unlucky look does not make a bound small.
        let before = self.before.filter(|(arm, ..)| *arm == named).map_or(0.0, |(_, bound, _)| bound);
        let bound = view.losses.stated(view.named).max(before).max(LEAST_LOSS);
        let rough = rough_loss(self.rules.tolerance);
        let measured = (0..view.arms.len()).filter(|place| self.arms[view.arms[*place]].blocks > 0);
        let standings = measured.filter_map(|place| {
            let (low, high) = view.losses.between(place, view.named);
            Some(Standing {
                candidate: self.arms[view.arms[place]].entered?,
                loss: view.losses.stated(place).max(LEAST_LOSS),
                chance: view.losses.chance[place],
                // What bounds the interval (cores that are all in use) bounds what is best guessed, too.
                ratio: (view.posterior.mean[place] - view.posterior.mean[view.named]).max(low).min(high),
                low,
                high,
            })
        });
        let simpler = (view.aim != view.named).then(|| self.arms[view.arms[view.aim]].entered).flatten();
        Some(Finding {
            named: self.arms[named].entered?,
            loss: if view.is_settled { bound } else { bound.max(rough).max(view.out_of_reach) },
            is_settled: view.is_settled,
            may_be_simpler: simpler,
            standings: standings.collect(),
            deviation: view.posterior.noise.sigma,
        })
    }

    /// Candidates whose agents may be ended: each is told once a life.
    pub fn retired(&mut self) -> Vec<usize> {
        let Some(view) = &self.view else { return Vec::new() };
        let mut retired = Vec::new();
        for arm in 0..self.arms.len() {
            let place = view.arms.iter().position(|one| *one == arm);
            let may_matter = place.is_some_and(|place| {
                place == view.named
                    || place == view.aim
                    || view.losses.chance[place] > STILL_IN
                    || self.arms[arm].blocks < 2
            });
            if self.arms[arm].life.is_some() && !may_matter {
                self.arms[arm].life = None;
                retired.extend(self.arms[arm].entered);
            }
        }
        retired
    }

    fn tolerance(&self) -> f64 {
        self.rules.tolerance.ln_1p()
    }

    /// What the candidates of an entry run on.
    fn setting(&self, entry: usize) -> Setting {
        let serial_ns = self.rules.serial_ns.max(self.serial_ns_of(entry));
        self.setting_with(entry, serial_ns)
    }

    /// The same with a section of this length that only one task runs at a time.
    fn setting_with(&self, entry: usize, serial_ns: f64) -> Setting {
        let Rules { cores, has_lock, is_async, is_throughput, tasks, .. } = self.rules;
        let Rules { is_batch, has_setup, rate_per_s, cluster, .. } = self.rules;
        let tasks = tasks.map(f64::from);
        let batch = tasks.filter(|_| is_batch);
        let task_threads = self.entries[entry].library_threads.or(self.rules.library_threads).map_or(1.0, f64::from);
        Setting {
            cores,
            has_lock,
            task_threads,
            is_async,
            is_throughput,
            serial_ns,
            section_ns: self.rules.serial_ns,
            tasks,
            batch,
            has_setup,
            rate_per_s,
            cluster,
        }
    }

    /// The number of an arm, which is new where it was not known.
    fn arm(&mut self, entry: usize, sizes: Sizes) -> usize {
        let is_it = |arm: &Arm| arm.entry == entry && arm.candidate.sizes == sizes;
        self.arms.iter().position(is_it).unwrap_or_else(|| {
            let candidate = self.entries[entry].candidate(sizes);
            let arm = Arm { entry, candidate, entered: None, is_out: false, blocks: 0, took: (0.0, 0), life: None };
            self.arms.push(arm);
            self.arms.len() - 1
        })
    }

    /// A number of an arm that does not depend on when it was first considered.
    fn name_of(&self, arm: usize) -> u64 {
        let Arm { entry, candidate, .. } = &self.arms[arm];
        let size = |size: Option<u32>| u64::from(size.unwrap_or(0));
        let Sizes { workers, in_flight, chunk } = candidate.sizes;
        (*entry as u64) << 56 ^ size(workers) << 36 ^ size(in_flight) << 12 ^ size(chunk)
    }

    fn entered(&mut self, arm: usize) -> usize {
        if let Some(index) = self.arms[arm].entered {
            return index;
        }
        self.entered.push(arm);
        self.arms[arm].entered = Some(self.entered.len() - 1);
        self.entered.len() - 1
    }

    /// What a block of an arm that was not measured is expected to take.
    fn expected_block_ns(&self, arm: usize, task: &Task) -> f64 {
        let Arm { entry, candidate, .. } = &self.arms[arm];
        let (setting, task) = (self.setting(*entry), self.task_under(*entry, task));
        let entry = &self.entries[*entry];
        let tasks_ns = mechanism::batch_ns(entry, candidate.sizes, &task, &setting);
        let turns = self.rules.turns.map_or(TURNS_OF_TASKS, |turns| f64::from(turns.count));
        let turns_ns = || turns * mechanism::latency_ns(entry, candidate.sizes, &task, &setting);
        BLOCK_NS + tasks_ns.unwrap_or_else(turns_ns)
    }

    /// Whether a block of an arm that was not measured would take too much of the time.
    fn is_out_of_reach(&self, arm: usize, task: &Task) -> bool {
        self.arms[arm].blocks == 0 && self.expected_block_ns(arm, task) > self.longest_block_ns(task)
    }

    /// What a block may take. However long a task is, whoever has no more to wait for than a plain loop can be measured. Of
    /// a batch a block is all of it.
    fn longest_block_ns(&self, task: &Task) -> f64 {
        let Rules { budget_ns, turns, is_batch, tasks, .. } = self.rules;
        let part_ns = (budget_ns as f64 / BUDGET_PART).max(SHORT_BLOCK_NS);
        let turns_ns = |turns: Turns| LONG_TURNS * turns.task_ns as f64 * f64::from(turns.count);
        let in_turn = tasks.filter(|_| is_batch).map_or(TURNS_OF_TASKS, f64::from);
        let alone_ns = || (MOST_OF_ALONE * in_turn * task.latency_ns).min(budget_ns as f64);
        part_ns.max(turns.map_or_else(alone_ns, turns_ns))
    }

    /// Whether long tasks have left a plain loop without a rival, which is measured however little time is left: one
    /// candidate alone is no answer.
    fn lacks_rival(&self) -> bool {
        let Rules { turns, deadline_ns, .. } = self.rules;
        let measured = self.arms.iter().filter(|arm| arm.blocks > 0).count();
        let is_untried = |arm: &Arm| !arm.is_out && arm.took.1 == 0;
        measured == 1 && self.arms.iter().any(is_untried) && turns.is_some_and(|turns| turns.task_ns <= deadline_ns)
    }

    /// The scores of an arm's blocks.
    fn scores_of(&self, arm: usize) -> Vec<f64> {
        self.scores.iter().filter(|score| score.arm == arm).map(|score| score.score).collect()
    }

    /// How many lives of an arm were measured.
    fn lives_of(&self, arm: usize) -> usize {
        let Some(candidate) = self.arms[arm].entered else { return 0 };
        self.lives.range((candidate, 0)..=(candidate, u32::MAX)).count()
    }

    /// The next block of an arm: in a new life where it has none, or where the present one has given what it can.
    fn turn(&mut self, arm: usize) -> Turn {
        let candidate = self.entered(arm);
        let most = self.blocks_of_a_life(arm);
        let anew = self.arms[arm].life.is_none_or(|blocks| blocks >= most);
        self.arms[arm].life = Some(if anew { 1 } else { self.arms[arm].life.unwrap_or(0) + 1 });
        Turn { candidate, anew }
    }

    /// How many blocks of a life are worth their time: `sqrt(start / block x sigma^2 / tau^2)`, the optimal allocation
    /// of two-stage sampling (Cochran 1977, 10.6).
    fn blocks_of_a_life(&self, arm: usize) -> u32 {
        if self.rules.is_renewed {
            return 1;
        }
        let block_ns = self.arms[arm].took.0;
        let Some(start_ns) = self.starts_ns[self.arms[arm].entry].filter(|_| block_ns > 0.0) else { return 2 };
        let ratio = (self.noise.sigma / self.noise.tau).powi(2);
        // Until there are enough lives, none has more blocks than are needed of it.
        let most = if self.lives_of(arm) < ENOUGH_LIVES { 2.0 } else { 8.0 };
        (start_ns / block_ns * ratio).sqrt().round().clamp(2.0, most) as u32
    }

    /// What is known of a task alone: of the smallest candidate that ran.
    fn task(&self) -> Option<Task> {
        self.task_of(&|_| true)
    }

    /// What a task is under an entry, as far as is known, where `task` is what it is under the smallest candidate of all.
    fn task_under(&self, entry: usize, task: &Task) -> Task {
        let Some(threads) = self.entries[entry].library_threads else { return *task };
        let measured = self.task_of(&|candidate| candidate.library_threads == Some(threads));
        measured.unwrap_or_else(|| task.with_one_thread())
    }

    /// The same of the smallest among those candidates.
    fn task_of(&self, is_meant: &dyn Fn(&Candidate) -> bool) -> Option<Task> {
        let meant = self.tasks.keys().filter(|arm| is_meant(&self.arms[**arm].candidate));
        let smallest = meant.min_by_key(|arm| {
            let simplicity = self.arms[**arm].candidate.simplicity();
            (simplicity.concurrency, simplicity)
        })?;
        let of = |figure: fn(&Task) -> f64| {
            let figures: Vec<f64> = self.tasks[smallest].iter().map(figure).collect();
            crate::stats::median(&figures)
        };
        Some(Task {
            latency_ns: of(|task| task.latency_ns)?,
            median_ns: of(|task| task.median_ns)?,
            cpu_ns: of(|task| task.cpu_ns)?,
            children_ns: of(|task| task.children_ns)?,
            ready_ns: of(|task| task.ready_ns)?,
        })
    }

    /// The arms of an entry that are considered: its first size, its library's default, what was measured, and the
    /// neighbours of the best of that. Returns them with the first size.
    fn considered(&mut self, entry: usize, task: &Task) -> (Vec<usize>, Option<Sizes>) {
        if self.is_out(entry) {
            return (Vec::new(), None);
        }
        let plan = self.entries[entry].clone();
        let allowed = self.allowed(entry);
        let begins = self.begins(entry, &allowed);
        let (setting, task) = (self.setting(entry), &self.task_under(entry, task));
        let Some(first) = mechanism::first(&plan, &begins, task, &setting) else {
            return (Vec::new(), None);
        };
        let best = self.best_of(entry);
        let near = best.map(|arm| grid::neighbours(&plan, self.arms[arm].candidate.sizes)).unwrap_or_default();
        let latency_ns = |sizes: Sizes| mechanism::latency_ns(&plan, sizes, task, &setting);
        // Of a batch nothing queues beyond its end. What several workers do whose libraries compute with several threads
        // each is what users have who set nothing.
        let is_near = setting.batch.is_some()
            || setting.task_threads > 1.0
            || latency_ns(plan.default_sizes) <= DEFAULT_LATENCY * latency_ns(first);
        let default = if is_near && begins.contains(&plan.default_sizes) { plan.default_sizes } else { first };
        for sizes in [first, default].iter().chain(&near).filter(|sizes| allowed.contains(sizes)) {
            self.arm(entry, *sizes);
        }
        // Of these, and in this order: so a record that is read again gives the same, whatever the session asked for.
        let wanted: Vec<Sizes> = [first, default].into_iter().chain(near).collect();
        let mut arms: Vec<usize> = (0..self.arms.len()).filter(|arm| self.arms[*arm].entry == entry).collect();
        arms.retain(|arm| {
            let Arm { is_out, blocks, candidate, .. } = &self.arms[*arm];
            let is_considered = *blocks > 0 || wanted.contains(&candidate.sizes);
            !is_out && is_considered && allowed.contains(&candidate.sizes)
        });
        arms.sort_by_key(|arm| self.arms[*arm].candidate.sizes);
        (arms, Some(first))
    }

    /// The sizes of an entry that are neither as large as one that failed or broke a limit, nor forbidden by others.
    fn allowed(&self, entry: usize) -> Vec<Sizes> {
        let mut allowed = mechanism::allowed(&self.entries[entry], &self.broken[entry]);
        allowed.retain(|sizes| !self.failures.forbids(entry, sizes.concurrency()));
        allowed
    }

    /// Those of an entry's sizes with which it may begin: far from what others failed with, and not far beyond what waits
    /// at once, as far as there are such.
    fn begins(&self, entry: usize, allowed: &[Sizes]) -> Vec<Sizes> {
        let most = [self.failures.begin_at_most(), self.begins_with_at_most(entry)].into_iter().flatten().min();
        let Some(most) = most else { return allowed.to_vec() };
        let least = allowed.iter().map(|sizes| sizes.concurrency()).min().unwrap_or(0);
        allowed.iter().copied().filter(|sizes| sizes.concurrency() <= most.max(least)).collect()
    }

    /// The arm of an entry with the best blocks.
    fn best_of(&self, entry: usize) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        let mut arms: Vec<(usize, &Arm)> = self.arms.iter().enumerate().collect();
        arms.retain(|(_, arm)| arm.entry == entry && !arm.is_out && arm.blocks > 0);
        arms.sort_by_key(|(_, arm)| arm.candidate.simplicity());
        for (number, _) in arms {
            // Of near equals the smaller: its neighbours are those that matter.
            let Some(score) = crate::stats::median(&self.scores_of(number)) else { continue };
            if best.is_none_or(|(value, _)| score > value + self.tolerance()) {
                best = Some((score, number));
            }
        }
        best.map(|(_, arm)| arm)
    }

    /// The prior of all arms that are considered.
    fn prior(&mut self, task: &Task) -> Option<(Vec<usize>, Prior)> {
        let (mut arms, mut prior) = (Vec::new(), Prior::default());
        // Theory knows throughputs. Of what else is compared it is expected that all engines are about the same.
        let all: Vec<f64> = self.scores.iter().map(|score| score.score).collect();
        let level = if self.rules.is_throughput { 0.0 } else { crate::stats::median(&all).unwrap_or(0.0) };
        for entry in 0..self.entries.len() {
            let (of_entry, Some(first)) = self.considered(entry, task) else { continue };
            let sizes: Vec<Sizes> = of_entry.iter().map(|arm| self.arms[*arm].candidate.sizes).collect();
            let (setting, task) = (self.setting(entry), self.task_under(entry, task));
            let idle = self.idle_of(&of_entry);
            let of = |scale| mechanism::prior(&self.entries[entry], &sizes, first, scale, &task, &setting, &idle);
            let (mut means, covariance) = of(1.0);
            means.iter_mut().for_each(|mean| *mean += level);
            let scale = self.surprise(&of_entry, &means, |at| covariance.at(at, at).sqrt());
            let covariance = if scale > 1.0 { of(scale).1 } else { covariance };
            prior.engines.push(covariance);
            arms.extend(of_entry);
            prior.mean.extend(means);
        }
        (!arms.is_empty()).then_some((arms, prior))
    }

    /// By how much the prior of an engine is widened: where its blocks are further from what was expected than two of
    /// its deviations, the expectation is wrong.
    fn surprise(&self, arms: &[usize], means: &[f64], deviation: impl Fn(usize) -> f64) -> f64 {
        let seen = |place: usize| {
            let far = (crate::stats::median(&self.scores_of(arms[place]))? - means[place]) / deviation(place);
            Some((far / 2.0).powi(2))
        };
        (0..arms.len()).filter_map(seen).fold(1.0, f64::max)
    }

    /// Finds the answer of what was fed.
    fn see(&mut self) -> Option<View> {
        let task = self.task()?;
        let (arms, prior) = self.prior(&task)?;
        let place_of: BTreeMap<usize, usize> = arms.iter().enumerate().map(|(place, arm)| (*arm, place)).collect();
        // Lives of arms that are out are none.
        let mut lives: BTreeMap<usize, usize> = BTreeMap::new();
        let mut scores = Vec::new();
        for score in &self.scores {
            let Some(place) = place_of.get(&score.arm) else { continue };
            let next = lives.len();
            let life = *lives.entry(score.life).or_insert(next);
            scores.push(Score { arm: *place, life, ..*score });
        }
        let posterior = Posterior::solve(&prior, &scores, lives.len(), self.noise)?;
        self.noise = posterior.noise;
        let blocks: Vec<usize> = arms.iter().map(|arm| self.arms[*arm].blocks).collect();
        let is_measured = |place: usize| blocks[place] > 0;
        let measured: Vec<usize> = (0..arms.len()).filter(|place| is_measured(*place)).collect();
        let top = measured.iter().map(|place| posterior.mean[*place]).fold(f64::NEG_INFINITY, f64::max);
        let may_matter = |place: usize| posterior.mean[place] + 2.0 * posterior.deviation[place] > top;
        // What cannot be measured in the time that there is would hold the bound up for ever: it is not considered.
        let is_in_reach: Vec<bool> = arms.iter().map(|arm| !self.is_out_of_reach(*arm, &task)).collect();
        let counts: Vec<bool> =
            (0..arms.len()).map(|place| is_measured(place) || (may_matter(place) && is_in_reach[place])).collect();
        self.find_headrooms();
        let names: Vec<u64> = arms.iter().map(|arm| self.name_of(*arm)).collect();
        let is_seen: Vec<bool> = (0..arms.len()).map(is_measured).collect();
        // What was measured of others may refute a ceiling: the CPU time of a task differs by more than is likely.
        let is_refuted = |place: usize, headroom: f64| {
            measured.iter().any(|other| {
                let deviation = posterior.deviation[*other].hypot(posterior.deviation[place]);
                posterior.mean[*other] - posterior.mean[place] > headroom + REFUTED * deviation
            })
        };
        for (place, arm) in arms.iter().enumerate() {
            if is_refuted(place, self.headroom(*arm).all) {
                self.headrooms[*arm] = Headroom::UNBOUNDED;
            }
        }
        let headroom: Vec<f64> = arms.iter().map(|arm| self.headroom(*arm).all).collect();
        let tolerance = self.tolerance();
        let losses = Losses::new(&posterior, &names, &counts, &is_seen, tolerance, headroom, &mut self.normals);
        let simplest = |places: &mut dyn Iterator<Item = usize>| {
            places.min_by_key(|place| self.arms[arms[*place]].candidate.simplicity())
        };
        let nameable: Vec<usize> = measured
            .iter()
            .copied()
            .filter(|place| !self.is_idle_wrapping(*place, &measured, &arms, &posterior))
            .collect();
        let is_settled = |place: usize| {
            self.is_settled(arms[place], &|arm| {
                place_of
                    .get(&arm)
                    .is_some_and(|other| posterior.mean[*other] < posterior.mean[place] - self.tolerance())
            })
        };
        // Beyond a ceiling nothing is gained, whatever was not measured.
        let has_rival_of_one_block = |place: usize, times: f64| {
            let is_near = |other: usize| posterior.mean[other] > posterior.mean[place] - NEAR_RIVAL;
            !self.is_at_ceiling(arms[place], times)
                && measured.iter().any(|other| {
                    is_near(*other) && self.arms[arms[*other]].blocks < ENOUGH_OF_NEIGHBOUR && *other != place
                })
        };
        // What something measured seems to beat by more than the tolerance is not named for its simplicity.
        let is_beaten = |place: &usize| top - posterior.mean[*place] > self.tolerance();
        let is_qualified = |place: usize| {
            !has_rival_of_one_block(place, QUALIFIED)
                && !is_beaten(&place)
                && self.has_enough(arms[place])
                && losses.pooled_bound[place] <= QUALIFIED * self.tolerance()
                && losses.stated(place) <= NEAR * self.tolerance()
                && is_settled(place)
        };
        let qualified = simplest(&mut nameable.iter().copied().filter(|place| is_qualified(*place)));
        let least = measured.iter().map(|place| losses.pooled_bound[*place]).fold(f64::INFINITY, f64::min);
        let near = |place: &usize| losses.pooled_bound[*place] <= least + NEAR_LEAST;
        let but_its_chunk = |place: usize| {
            let Arm { entry, candidate, .. } = &self.arms[arms[place]];
            (*entry, candidate.sizes.concurrency(), candidate.sizes.workers)
        };
        let is_behind = |place: &usize| {
            let of_other_chunks = measured.iter().filter(|other| but_its_chunk(**other) == but_its_chunk(*place));
            let best = of_other_chunks.map(|other| posterior.mean[*other]).fold(f64::NEG_INFINITY, f64::max);
            best - posterior.mean[*place] > OF_CHUNKS * self.tolerance()
        };
        let unbeaten = |place: &usize| near(place) && !is_beaten(place) && !is_behind(place);
        let named = qualified
            .or_else(|| simplest(&mut nameable.iter().copied().filter(unbeaten)))
            .or_else(|| simplest(&mut nameable.iter().copied().filter(near)))
            .or_else(|| simplest(&mut nameable.iter().copied()))?;
        let hopes = |place: &usize| losses.chance[*place] >= WORTH_A_CHANCE && counts[*place];
        let aim = simplest(&mut (0..arms.len()).filter(hopes)).unwrap_or(named);
        let is_settled = is_settled(named) && !has_rival_of_one_block(named, LIKELY);
        let unreached = (0..arms.len()).filter(|place| !is_in_reach[*place]).map(|place| posterior.mean[place]);
        let lead = unreached.fold(f64::NEG_INFINITY, f64::max) - posterior.mean[named];
        let lead = lead.min(losses.headroom(named));
        let out_of_reach = if lead > self.tolerance() { lead } else { 0.0 };
        let is_settled = is_settled && out_of_reach == 0.0;
        let is_qualified = qualified.is_some() && out_of_reach == 0.0;
        let is_beaten = is_beaten(&named);
        Some(View { arms, posterior, losses, task, named, aim, is_settled, is_qualified, is_beaten, out_of_reach })
    }

    /// Whether an engine that runs one task at a time was measured beside a plain loop: what an engine adds to a loop is
    /// only its cost, so that its lead is luck, unless it is surely more than the tolerance (another process may have its
    /// memory to itself). Of a task that blocks an event loop that lead, too, is no gain: the loop runs on the same thread.
    fn is_idle_wrapping(&self, place: usize, measured: &[usize], arms: &[usize], posterior: &Posterior) -> bool {
        let candidate = |place: usize| &self.arms[arms[place]].candidate;
        let one = candidate(place);
        // gevent patches what blocks, files leave the loop of compio free, and a loop of several threads runs as many tasks.
        let is_never_blocked = matches!(one.engine, Engine::Gevent | Engine::Compio);
        let is_one_thread = !is_never_blocked && one.sizes.workers.unwrap_or(1) == 1;
        let blocks_its_loop = one.model() == Model::Async && is_one_thread && self.rules.blocks_loops;
        if one.engine == Engine::Sequential || (one.sizes.concurrency() > 1 && !blocks_its_loop) {
            return false;
        }
        let is_its_loop = |other: &usize| {
            candidate(*other).engine == Engine::Sequential && candidate(*other).library_threads == one.library_threads
        };
        let Some(plain) = measured.iter().copied().find(is_its_loop) else { return false };
        if blocks_its_loop {
            return true;
        }
        let lead = posterior.mean[place] - posterior.mean[plain];
        let deviation = posterior.deviation[place].hypot(posterior.deviation[plain]);
        lead - SURELY * deviation <= self.tolerance()
    }

    /// Whether every neighbouring size of an arm was measured, is out, or lies before a measured one that `lost`.
    fn is_settled(&self, arm: usize, lost: &dyn Fn(usize) -> bool) -> bool {
        self.unsettled(arm, lost).is_empty()
    }

    /// The neighbouring sizes of an arm that are still to be measured: where it reaches all that can be reached, the
    /// smaller ones alone.
    fn unsettled(&self, arm: usize, lost: &dyn Fn(usize) -> bool) -> Vec<Sizes> {
        let Arm { entry, candidate, .. } = &self.arms[arm];
        let sizes = candidate.sizes;
        let mut unsettled = grid::neighbours(&self.entries[*entry], sizes);
        unsettled.retain(|near| {
            let is_broken = self.broken[*entry].iter().any(|broken| grid::is_at_least(*near, *broken))
                || self.failures.forbids(*entry, near.concurrency());
            let is_upwards = grid::is_at_least(*near, sizes);
            let settles = self.arms.iter().enumerate().any(|(number, other)| {
                let is_beyond = if is_upwards {
                    grid::is_at_least(other.candidate.sizes, *near)
                } else {
                    grid::is_at_least(*near, other.candidate.sizes)
                };
                let is_it = other.candidate.sizes == *near;
                other.entry == *entry
                    && ((is_it && (other.is_out || other.blocks >= ENOUGH_OF_NEIGHBOUR))
                        || (is_beyond && other.blocks >= ENOUGH_OF_NEIGHBOUR && lost(number)))
            });
            !(is_broken || settles || is_upwards && self.gains_nothing(arm, *near))
        });
        unsettled
    }

    /// Why the race is over now, if it is.
    fn ending(&self, elapsed_ns: u64) -> Option<Ending> {
        if self.entries.is_empty() {
            return Some(Ending::NoCandidate);
        }
        if elapsed_ns >= self.rules.deadline_ns && !self.lacks_rival() {
            return Some(Ending::BudgetSpent);
        }
        let view = self.view.as_ref()?;
        let began_ns = self.rules.deadline_ns.saturating_sub(self.rules.budget_ns);
        let raced_ns = elapsed_ns.saturating_sub(began_ns);
        let named = view.arms[view.named];
        let (before, bound_before, was_qualified) = self.before?;
        let is_steady = before == named && view.is_settled;
        let model = |arm: usize| self.arms[arm].candidate.model();
        let is_of_model = model(view.arms[view.aim]) == model(named);
        if is_steady && view.is_qualified && was_qualified {
            let qualified_ns = self.qualified_ns.unwrap_or(elapsed_ns).saturating_sub(began_ns);
            let (times, more_ns) = if is_of_model { PATIENCE_FOR_SIZE } else { PATIENCE_FOR_MODEL };
            let patience_ns = (qualified_ns as f64).mul_add(times, more_ns);
            if view.aim == view.named || raced_ns as f64 >= patience_ns {
                return Some(Ending::Decided);
            }
        }
        // The rest of the time is for those who are far from an answer, and for what something measured seems to beat by
        // more than the tolerance: that it may not is no reason to name it as long as there is time.
        let printed = view.losses.stated(view.named).max(bound_before);
        let is_near = printed <= NEAR * self.tolerance() && !view.is_beaten && self.has_enough(named);
        let near_part = if is_of_model { NEAR_PART } else { NEAR_PART_FOR_MODEL };
        let is_late = raced_ns as f64 >= near_part * self.rules.budget_ns as f64;
        (is_steady && is_near && is_late).then_some(Ending::Decided)
    }
}
