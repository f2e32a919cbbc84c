//! The race: which candidates run in the next round, who is out, when to stop.
//!
//! A pure state machine: fed with scores, it knows no clock and no process. `session` drives it with
//! live agents; tests drive it with a simulator.
//!
//! Two phases. In the *search*, each entry climbs its ladders (`in_flight` at the default workers, then
//! `workers`, then `chunk`) in long steps, then compares the rungs that may be the best in the same rounds, until no
//! larger one gains more than the margin; the smallest size that is equivalent to the best is its champion. In the *final*, the
//! champions meet, in lives that begin anew, until each is tied with the leader or worse. A race is one of one
//! runtime's candidates; who led in several of them is compared in a [`Meeting`].
//!
//! ```text
//! let mut race = Race::new(..);
//! while let Next::Round(round) = race.next(elapsed_ns) {
//!     for turn in round.turns { race.feed(turn.candidate, outcome_of_its_block); }
//!     // agents of race.retired() can be ended
//! }
//! ```

mod climb;
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

pub use meeting::Meeting;
pub use standing::{GROSS, LIVES, Standing, standing};

use self::finals::Finals;
use self::pace::Pace;
use self::search::Search;
use crate::candidate::Candidate;
use crate::plan::Entry;
use crate::record::{Ending, Phase};

/// What a race needs to know beside its entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The relative difference below which two candidates are equivalent in practice.
    pub margin: f64,
    /// The session's budget.
    pub budget_ns: u64,
    /// The seed of the shuffles.
    pub seed: u64,
    /// CPUs that may be used: climbs begin at twice as many, near the knee of what computes, and with some
    /// of the way behind for what waits.
    pub usable_cpus: u32,
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
    /// The candidate failed and is out.
    Failed,
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
    /// Candidates whose agents live.
    resident: BTreeSet<usize>,
}

/// Everyone who has entered.
#[derive(Clone, Debug, Default)]
struct Roster {
    candidates: Vec<Candidate>,
    failed: BTreeSet<usize>,
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
        let margin = rules.margin.max(0.0).ln_1p();
        Race {
            rules,
            random: ChaCha8Rng::seed_from_u64(rules.seed),
            roster: Roster::default(),
            searches: entries
                .iter()
                .map(|entry| Search::new(entry.clone(), rules.usable_cpus.saturating_mul(2), margin))
                .collect(),
            finals: None,
            pace: Pace::new(rules.budget_ns),
            running: BTreeMap::new(),
            resident: BTreeSet::new(),
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
                for search in &mut self.searches {
                    search.cut(&mut self.roster);
                }
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
        if outcome == Outcome::Failed {
            self.roster.failed.insert(candidate);
        }
        if let Some(fed) = self.running.get_mut(&candidate) {
            *fed = Some(outcome);
        }
        if self.running.values().all(Option::is_some) {
            self.settle();
        }
    }

    /// Candidates whose agents may be ended, each told once a stay. One of them may come back as its
    /// engine's champion: its turn is then `anew`.
    pub fn retired(&mut self) -> Vec<usize> {
        let needed: BTreeSet<usize> = match &self.finals {
            Some(finals) => finals.contenders().iter().copied().collect(),
            None => self.searches.iter().flat_map(|search| search.needed(&self.roster)).collect(),
        };
        let running = &self.running;
        let retired: Vec<usize> = self
            .resident
            .iter()
            .copied()
            .filter(|one| !running.contains_key(one) && (!needed.contains(one) || self.roster.failed.contains(one)))
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

    /// Who leads the final, and the simplest of those that are tied with it, if that is another. Empty before
    /// the final's first round.
    #[must_use]
    pub fn leaders(&self) -> Vec<usize> {
        self.finals.as_ref().map_or_else(Vec::new, |finals| finals.leaders(&self.roster.candidates))
    }

    /// Takes in the round that ran.
    fn settle(&mut self) {
        let outcomes = std::mem::take(&mut self.running);
        if outcomes.is_empty() {
            return;
        }
        match &mut self.finals {
            Some(finals) => {
                finals.settle(&outcomes);
                finals.drop_losers(&self.roster.candidates);
            }
            None => {
                for search in &mut self.searches {
                    search.settle(&outcomes, &mut self.roster);
                }
            }
        }
    }

    fn next_final(&mut self) -> Next {
        let margin = self.rules.margin.max(0.0).ln_1p();
        let finals = self.finals.get_or_insert_with(|| {
            let failed = &self.roster.failed;
            let champions: Vec<usize> =
                self.searches.iter().filter_map(Search::champion).filter(|one| !failed.contains(one)).collect();
            let foreseen = self.pace.rounds_left(champions.len());
            Finals::new(champions, foreseen, margin)
        });
        let contenders = finals.contenders().to_vec();
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

    /// A shuffled round of these candidates.
    fn round(&mut self, phase: Phase, candidates: &[usize], anew: bool) -> Next {
        let mut order = candidates.to_vec();
        order.shuffle(&mut self.random);
        let turn = |candidate: usize| Turn { candidate, anew: anew || !self.resident.contains(&candidate) };
        let turns: Vec<Turn> = order.into_iter().map(turn).collect();
        self.resident.extend(candidates);
        self.running = candidates.iter().map(|candidate| (*candidate, None)).collect();
        self.pace.begin(turns.len());
        Next::Round(RoundPlan { phase, turns })
    }
}
