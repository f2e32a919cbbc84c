//! A race against blocks that are computed: truth, noise, and a clock that blocks and starts move.

use conbench::candidate::{Candidate, Model, RUST};
use conbench::plan::Entry;
use conbench::race::{Next, Outcome, Race};
use conbench::record::{Ending, Phase};

use crate::named::{Named, named, rules};
use crate::noise::Noise;

const MS: f64 = 1e6;
/// No window is shorter, or without need longer (`session::blocks`).
const SHORTEST_NS: f64 = 10.0 * MS;
const LONGEST_NS: f64 = 100.0 * MS;
/// A window holds so many tasks at least (`session::blocks`).
const ENOUGH_TASKS: f64 = 4.0;
/// A window is at most this part of the budget (`session::blocks`).
const BUDGET_PART: f64 = 20.0;
/// How long a thread keeps the GIL (CPython's switch interval); two turns of each belong in a window.
const TURN_NS: f64 = 5.0 * MS;
/// Ramp and drain, in latencies: of what waits (all begin, all end), of what shares cores (records of
/// `parallel-computation`: 4 to 7).
const OUTSIDE_OF_WAITS: f64 = 2.0;
const OUTSIDE_OF_CPU: f64 = 4.0;

/// Times that a session spends beside blocks. Medians of records of `parallel-computation` on two cores:
/// `boot_ns + startup_ns` of the incarnations, and from the end of a block to the next one's `at_ns`.
pub(crate) struct Costs {
    /// Between two blocks.
    pub(crate) gap_ns: f64,
    /// A start of a native agent, and of each of its worker processes.
    pub(crate) native_ns: (f64, f64),
    /// A start of an interpreter, and of each of its worker processes.
    pub(crate) python_ns: (f64, f64),
}

/// Without anything but boot and startup.
pub(crate) const COSTS: Costs =
    Costs { gap_ns: 4.0 * MS, native_ns: (21.0 * MS, 1.0 * MS), python_ns: (65.0 * MS, 4.0 * MS) };

impl Costs {
    /// What a start of this candidate takes, with its first task.
    pub(crate) fn start_ns(&self, candidate: &Candidate, alone_ns: f64) -> f64 {
        let (agent, worker) = if candidate.runtime == RUST { self.native_ns } else { self.python_ns };
        let has_processes = matches!(candidate.model(), Model::Processes | Model::AsyncProcesses | Model::Interpreters);
        let workers = candidate.sizes.workers.filter(|_| has_processes).unwrap_or(0);
        // The first worker costs more: the pool itself, and what it forks from.
        let pool = if workers > 0 { 0.5 * agent } else { 0.0 };
        agent + pool + worker * f64::from(workers) + alone_ns
    }

    /// What a block of this candidate takes.
    fn block_ns(&self, candidate: &Candidate, session: &Session<'_>, phase: Phase) -> f64 {
        let per_s = (session.truth)(candidate);
        let in_flight = f64::from(candidate.sizes.concurrency());
        // Little's law.
        let latency = in_flight / per_s * 1e9;
        let is_crowded = latency > 1.5 * session.alone_ns;
        let outside = match in_flight {
            one if one <= 1.0 => latency,
            _ if is_crowded => OUTSIDE_OF_CPU * latency,
            _ => OUTSIDE_OF_WAITS * latency,
        };
        let asked = if phase == Phase::Search { outside / 4.0 } else { outside };
        let wanted = SHORTEST_NS.max(2.0 * latency).max(ENOUGH_TASKS / per_s * 1e9).max(asked.min(LONGEST_NS));
        let has_gil = candidate.runtime != RUST && candidate.model() == Model::Threads && is_crowded;
        let turns = if has_gil { 2.0 * f64::from(candidate.sizes.concurrency()) * TURN_NS } else { 0.0 };
        let share = (session.budget_ns as f64 / BUDGET_PART - 2.0 * latency).max(latency);
        self.gap_ns + wanted.min(LONGEST_NS.max(2.0 * latency)).max(turns).min(share) + outside
    }
}

/// What is raced.
pub(crate) struct Session<'a> {
    pub(crate) entries: &'a [Entry],
    pub(crate) margin: f64,
    pub(crate) budget_ns: u64,
    pub(crate) seed: u64,
    /// Tasks a second.
    pub(crate) truth: &'a dyn Fn(&Candidate) -> f64,
    /// The time of one task alone.
    pub(crate) alone_ns: f64,
}

/// What came of it.
pub(crate) struct Run {
    pub(crate) race: Race,
    pub(crate) ending: Ending,
    pub(crate) named: Named,
    /// Simulated time.
    pub(crate) elapsed_ns: u64,
    /// Of it in the search.
    pub(crate) search_ns: u64,
    /// Rounds of the final.
    pub(crate) final_rounds: u32,
    /// Starts.
    pub(crate) starts: u32,
}

impl Run {
    /// The candidate of an index.
    pub(crate) fn candidate(&self, index: usize) -> &Candidate {
        &self.race.candidates()[index]
    }
}

/// Runs a race to its end.
pub(crate) fn run(session: &Session<'_>, noise: &mut Noise<'_>) -> Run {
    let mut race = Race::new(session.entries, rules(session.margin, session.budget_ns, session.seed));
    let (mut elapsed, mut search, mut final_rounds, mut starts) = (0.0, 0.0, 0, 0);
    let ending = loop {
        let plan = match race.next(elapsed as u64) {
            Next::Round(plan) => plan,
            Next::Over(ending) => break ending,
        };
        noise.round();
        if plan.phase == Phase::Final {
            final_rounds += 1;
        }
        for turn in &plan.turns {
            let candidate = race.candidates()[turn.candidate].clone();
            if turn.anew {
                noise.life(turn.candidate);
                elapsed += COSTS.start_ns(&candidate, session.alone_ns);
                starts += 1;
            }
            let block_ns = COSTS.block_ns(&candidate, session, plan.phase);
            elapsed += block_ns;
            race.took(turn.candidate, block_ns as u64);
            let score = (session.truth)(&candidate).ln() + noise.block(turn.candidate);
            race.feed(turn.candidate, Outcome::Score(score));
        }
        race.retired();
        if plan.phase == Phase::Search {
            search = elapsed;
        }
    };
    let named = named(&race, ending);
    Run { race, ending, named, elapsed_ns: elapsed as u64, search_ns: search as u64, final_rounds, starts }
}

/// How long it takes to run each of these candidates for so many rounds, in three lives.
pub(crate) fn exhaustive_ns(candidates: &[Candidate], session: &Session<'_>, rounds: u32) -> f64 {
    let of = |candidate: &Candidate| {
        let block = COSTS.block_ns(candidate, session, Phase::Final);
        f64::from(rounds) * block + 3.0 * COSTS.start_ns(candidate, session.alone_ns)
    };
    candidates.iter().map(of).sum()
}
