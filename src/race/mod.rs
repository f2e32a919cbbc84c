//! The race: which candidates run in the next round, who is out, when to stop.
//!
//! A pure state machine: fed with scores, it knows no clock and no process. `session` drives it with
//! live agents; tests drive it with a simulator.
//!
//! ```text
//! let mut race = Race::new(..);
//! while let Next::Round(round) = race.next(elapsed_ns) {
//!     for turn in round.turns { race.feed(turn.candidate, outcome_of_its_block); }
//!     // agents of race.retired() can be ended
//! }
//! ```

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
    /// Whether its agent is started anew before the block (a new incarnation).
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
    candidates: Vec<Candidate>,
}

impl Race {
    /// A race of these entries.
    #[must_use]
    pub fn new(_entries: &[Entry], _rules: Rules) -> Race {
        Race { candidates: Vec::new() }
    }

    /// Every candidate that has entered so far; indices stay.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// What comes next, `elapsed_ns` after the session's start. Every turn of the round before must have been fed.
    pub fn next(&mut self, _elapsed_ns: u64) -> Next {
        Next::Over(Ending::NoCandidate)
    }

    /// What the block of a turn said.
    pub fn feed(&mut self, _candidate: usize, _outcome: Outcome) {}

    /// Candidates that will not run again, each told once: their agents may be ended.
    pub fn retired(&mut self) -> Vec<usize> {
        Vec::new()
    }

    /// Entries (indices) whose search for sizes was cut by the budget.
    #[must_use]
    pub fn cut_searches(&self) -> Vec<usize> {
        Vec::new()
    }
}
