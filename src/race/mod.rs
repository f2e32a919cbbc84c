//! The race: which candidates run in the next round, who is out, when to stop.
//!
//! A pure state machine: fed with scores, it knows no clock and no process. `session` drives it with
//! live agents; tests drive it with a simulator.
//!
//! Two phases. In the *search*, each entry climbs its ladders (`in_flight` at the default workers, then
//! `workers`, then `chunk`) until no larger size gains more than the margin. That is coarse: it finds the sizes that may
//! be the best. In the *final*, those of all entries meet in the same rounds, in lives that begin anew. Who is far behind
//! is out after three rounds; then, at a few looks, who is worse beyond doubt, and of two sizes of an engine the larger
//! if it is no better. It is over when two looks in a row find the best with the confidence that [`Judgement`] defines,
//! or when the budget is spent. A race is one of one runtime's candidates; who led in several of them is compared in a
//! [`Meeting`].
//!
//! ```text
//! let mut race = Race::new(..);
//! while let Next::Round(round) = race.next(elapsed_ns) {
//!     for turn in round.turns { race.feed(turn.candidate, outcome_of_its_block); }
//!     // agents of race.retired() can be ended
//! }
//! ```

mod climb;
mod contest;
mod finals;
mod meeting;
mod pace;
mod search;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

pub use contest::{Contest, Judgement, MOST_CONFIDENCE, Margins, Rival, Scored, implied_rounds};
pub use meeting::Meeting;
pub use standing::{Difference, Standing};

use self::finals::Finals;
use self::pace::Pace;
use self::search::Search;
use crate::candidate::{Candidate, Simplicity};
use crate::plan::Entry;
use crate::record::{Conclusion, Ending, Phase};

/// What a race needs to know beside its entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The relative differences below which two candidates are equivalent in practice.
    pub margins: Margins,
    /// The session's budget.
    pub budget_ns: u64,
    /// The seed of the shuffles.
    pub seed: u64,
    /// Whether each round of the final begins a life anew: for an objective that hardly varies within one.
    pub is_renewed: bool,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Run these blocks, in this order, then ask again.
    Round(RoundPlan),
    /// The race is over.
    Over(Ending),
}

/// One round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundPlan {
    /// What it is for.
    pub phase: Phase,
    /// Its blocks, in their shuffled order.
    pub turns: Vec<Turn>,
}

/// One block of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// An index into [`Race::candidates`].
    pub candidate: usize,
    /// Whether its agent is started anew before the block (a new incarnation): on its first turn, on its
    /// return after it was retired, and where a life of the final begins.
    pub anew: bool,
}

/// What a block said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The natural logarithm of the objective, more is better.
    Score(f64),
    /// A score that may not put anybody out yet: too few tasks stand behind it.
    Weak(f64),
    /// The candidate broke a limit of the objective and is out.
    Infeasible,
    /// The candidate failed and is out.
    Failed,
}

impl Outcome {
    fn is_out(self) -> bool {
        matches!(self, Outcome::Failed | Outcome::Infeasible)
    }

    fn score(self) -> Option<f64> {
        match self {
            Outcome::Score(score) | Outcome::Weak(score) if !score.is_nan() => Some(score),
            _ => None,
        }
    }
}

/// How simple a candidate of these is; equals are named in this order.
fn simplicity(candidates: &[Candidate], one: usize) -> Option<Simplicity> {
    candidates.get(one).map(Candidate::simplicity)
}

/// The state of a race.
#[derive(Clone, Debug)]
pub struct Race {
    rules: Rules,
    random: ChaCha8Rng,
    roster: Roster,
    searches: Vec<Search>,
    finals: Option<Finals>,
    pace: Pace,
    /// The turns of the round that runs, with what was fed so far.
    running: BTreeMap<usize, Option<Outcome>>,
    /// How many of them were not fed yet.
    pending: usize,
    /// Candidates whose agents live.
    resident: BTreeSet<usize>,
    conclusions: Vec<Conclusion>,
    /// The least that a block of each candidate took, as far as it was told.
    costs: BTreeMap<usize, u64>,
}

/// A block that is likely to gain nothing may cost such a part of the budget.
const DEAR: u64 = 80;
/// A final of fewer rounds than this decides little: then one size of each engine must do.
const ENOUGH_ROUNDS: u64 = 12;
/// An engine whose best block scored this far below the best of all (logarithm of a ratio) is far behind.
const FAR_BEHIND: f64 = 0.5;

/// Everyone who has entered.
#[derive(Clone, Debug, Default)]
struct Roster {
    candidates: Vec<Candidate>,
    /// Who failed, or broke a limit.
    out: BTreeSet<usize>,
}

impl Roster {
    /// The index of this candidate, which enters if it has not.
    fn enter(&mut self, candidate: Candidate) -> usize {
        self.find(&candidate).unwrap_or_else(|| {
            self.candidates.push(candidate);
            self.candidates.len() - 1
        })
    }

    fn find(&self, candidate: &Candidate) -> Option<usize> {
        self.candidates.iter().position(|other| other == candidate)
    }
}

impl Race {
    /// A race of these entries.
    #[must_use]
    pub fn new(entries: &[Entry], rules: Rules) -> Race {
        let margin = rules.margins.usual.ln_1p();
        Race {
            rules,
            random: ChaCha8Rng::seed_from_u64(rules.seed),
            roster: Roster::default(),
            searches: entries.iter().map(|entry| Search::new(entry.clone(), margin, rules.budget_ns / DEAR)).collect(),
            finals: None,
            pace: Pace::new(rules.budget_ns),
            running: BTreeMap::new(),
            pending: 0,
            resident: BTreeSet::new(),
            conclusions: Vec::new(),
            costs: BTreeMap::new(),
        }
    }

    /// Every candidate that has entered so far; indices stay.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.roster.candidates
    }

    /// What comes next, `elapsed_ns` after the session's start. Every turn of the round before must have
    /// been fed; one that was not says nothing.
    pub fn next(&mut self, elapsed_ns: u64) -> Next {
        self.settle();
        self.pace.observe(elapsed_ns);
        if self.finals.is_none() {
            if self.pace.search_is_spent() {
                self.searches.iter_mut().for_each(Search::cut);
            }
            let mut turns: Vec<usize> =
                self.searches.iter_mut().flat_map(|search| search.turns(&mut self.roster)).collect();
            if !turns.is_empty() {
                turns.sort_unstable();
                turns.dedup();
                return self.round(Phase::Search, &turns, false);
            }
        }
        self.next_final()
    }

    /// What the block of a turn said. Anything but a finite score counts as the lowest.
    pub fn feed(&mut self, candidate: usize, outcome: Outcome) {
        if outcome.is_out() {
            self.roster.out.insert(candidate);
        }
        if let Some(fed) = self.running.get_mut(&candidate) {
            self.pending -= usize::from(fed.is_none());
            *fed = Some(outcome);
        }
        if self.pending == 0 {
            self.settle();
        }
    }

    /// How long the block of a turn took, ramp and drain included; to be told before what it said. Who is never told
    /// counts every block as cheap.
    pub fn took(&mut self, candidate: usize, ns: u64) {
        let least = self.costs.entry(candidate).or_insert(ns);
        *least = (*least).min(ns);
    }

    /// Sizes that their libraries give when the user says nothing, and that were not measured: a block of them would
    /// have taken a large part of the budget, and smaller sizes gained nothing.
    #[must_use]
    pub fn passed_defaults(&self) -> Vec<Candidate> {
        self.searches.iter().flat_map(|search| search.passed().iter().cloned()).collect()
    }

    /// Candidates whose agents may be ended, each told once a stay. One of them may come back as its
    /// engine's champion: its turn is then `anew`.
    pub fn retired(&mut self) -> Vec<usize> {
        let needed: BTreeSet<usize> = match &self.finals {
            Some(finals) => finals.contenders().into_iter().collect(),
            None => self.searches.iter().flat_map(|search| search.needed(&self.roster)).collect(),
        };
        let running = &self.running;
        let retired: Vec<usize> = self
            .resident
            .iter()
            .copied()
            .filter(|one| !running.contains_key(one) && (!needed.contains(one) || self.roster.out.contains(one)))
            .collect();
        for one in &retired {
            self.resident.remove(one);
        }
        retired
    }

    /// Entries (indices) whose search for sizes was cut by the budget.
    #[must_use]
    pub fn cut_searches(&self) -> Vec<usize> {
        (0..self.searches.len()).filter(|entry| self.searches[*entry].was_cut()).collect()
    }

    /// How the final stands. `None` before its first round.
    #[must_use]
    pub fn judge(&self) -> Option<Judgement> {
        self.finals.as_ref()?.judge(&self.roster.candidates)
    }

    /// Who leads the final, and what would be recommended, if that is another. Empty before the final's first round.
    #[must_use]
    pub fn leaders(&self) -> Vec<usize> {
        let judged = self.judge();
        judged.map_or_else(Vec::new, |it| {
            [it.leader].into_iter().chain((it.best != it.leader).then_some(it.best)).collect()
        })
    }

    /// What was concluded since this was asked last; its candidates are indices into [`Race::candidates`].
    pub fn conclusions(&mut self) -> Vec<Conclusion> {
        let mut conclusions = std::mem::take(&mut self.conclusions);
        conclusions.extend(self.finals.as_mut().map(Finals::conclusions).unwrap_or_default());
        conclusions
    }

    /// Takes in the round that ran.
    fn settle(&mut self) {
        let outcomes = std::mem::take(&mut self.running);
        if outcomes.is_empty() {
            return;
        }
        match &mut self.finals {
            Some(finals) => {
                finals.settle(&outcomes, &self.roster.candidates, self.pace.since_start_ns());
            }
            None => {
                for search in &mut self.searches {
                    search.settle(&outcomes, &self.roster, &self.costs);
                }
            }
        }
    }

    fn next_final(&mut self) -> Next {
        if self.finals.is_none() {
            self.finals = Some(self.begin_final());
        }
        let Some(finals) = &mut self.finals else { return Next::Over(Ending::NoCandidate) };
        let contenders = finals.contenders();
        if contenders.is_empty() {
            return Next::Over(Ending::NoCandidate);
        }
        if finals.is_decided() {
            return Next::Over(Ending::Decided);
        }
        if !self.pace.allows(contenders.len(), finals.rounds() == 0) {
            return Next::Over(Ending::BudgetSpent);
        }
        let anew = finals.begin_round();
        self.round(Phase::Final, &contenders, anew)
    }

    /// The sizes of all entries that may be the best. Of an engine that is far behind one will do: which of its sizes
    /// it is does not matter. Where little time is left, one will do of each.
    fn begin_final(&mut self) -> Finals {
        let best = self.searches.iter().map(Search::best).fold(f64::NEG_INFINITY, f64::max);
        let mut contenders = BTreeMap::new();
        let mut alternatives = BTreeMap::new();
        for (entry, search) in self.searches.iter().enumerate() {
            let is_far = search.best().is_finite() && search.best() < best - FAR_BEHIND;
            for (rank, candidate) in search.champions().into_iter().enumerate() {
                let one = self.roster.enter(candidate);
                if self.roster.out.contains(&one) {
                    continue;
                }
                if rank == 0 {
                    self.conclusions.push(Conclusion::Champion { candidate: one as u32 });
                    contenders.insert(one, entry);
                } else if !is_far {
                    alternatives.insert(one, entry);
                }
            }
        }
        let all = || contenders.keys().chain(alternatives.keys());
        if self.pace.left_ns() >= ENOUGH_ROUNDS.saturating_mul(self.round_ns(all())) {
            contenders.extend(alternatives);
        }
        let foreseen = self.pace.left_ns() / self.round_ns(contenders.keys()).max(1);
        Finals::new(contenders, foreseen, self.rules.margins, self.rules.is_renewed)
    }

    /// What a round of these takes. What was not measured yet takes what is usual.
    fn round_ns<'a>(&self, candidates: impl Iterator<Item = &'a usize>) -> u64 {
        let usual = self.pace.turn_ns();
        candidates.fold(0, |sum: u64, one| sum.saturating_add(self.costs.get(one).copied().unwrap_or(usual)))
    }

    /// A shuffled round of these candidates.
    fn round(&mut self, phase: Phase, candidates: &[usize], anew: bool) -> Next {
        let mut order = candidates.to_vec();
        order.shuffle(&mut self.random);
        let turn = |candidate: usize| Turn { candidate, anew: anew || !self.resident.contains(&candidate) };
        let turns: Vec<Turn> = order.into_iter().map(turn).collect();
        self.resident.extend(candidates);
        self.running = candidates.iter().map(|candidate| (*candidate, None)).collect();
        self.pending = self.running.len();
        self.pace.begin(turns.len());
        Next::Round(RoundPlan { phase, turns })
    }
}
