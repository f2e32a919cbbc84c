//! What the session's loop needs of a race.

use crate::candidate::{Candidate, StartMethod};
use crate::decide::{Decide, Finding, Meeting, Next, TurnOutcome, duel};
use crate::record::{CandidateRecord, Phase, figures};

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
