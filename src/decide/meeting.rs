//! Those who led in several races, in the same rounds: what differs between runtimes, in pairs.

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::{Ending, Next, RoundPlan, Turn, TurnOutcome};

/// Rounds of a meeting, if there is time for them.
const ROUNDS: u32 = 9;
/// Lives of each candidate in them.
const LIVES: u32 = 3;

/// A few rounds of the same candidates, in as many lives as a verdict needs.
///
/// It drops nobody for being behind: every pair is to have its differences.
#[derive(Clone, Debug)]
pub struct Meeting {
    present: Vec<usize>,
    random: ChaCha8Rng,
    budget_ns: u64,
    /// When it was asked last, and what its rounds took since it began, on average.
    asked_ns: Option<u64>,
    round_ns: u64,
    rounds: u32,
    rounds_in_life: u32,
}

impl Meeting {
    /// A meeting of these candidates (indices into whatever the caller has) that ends `budget_ns` after the
    /// session's start, or earlier.
    #[must_use]
    pub fn new(present: Vec<usize>, budget_ns: u64, seed: u64) -> Meeting {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Meeting { present, random, budget_ns, asked_ns: None, round_ns: 0, rounds: 0, rounds_in_life: 0 }
    }

    /// What comes next, `elapsed_ns` after the session's start.
    pub fn next(&mut self, elapsed_ns: u64) -> Next {
        if let Some(asked_ns) = self.asked_ns.replace(elapsed_ns) {
            self.round_ns = (self.round_ns + elapsed_ns.saturating_sub(asked_ns)) / if self.rounds > 1 { 2 } else { 1 };
        }
        if self.present.len() < 2 || self.rounds >= ROUNDS {
            return Next::Over(Ending::Decided);
        }
        if elapsed_ns.saturating_add(self.round_ns) >= self.budget_ns {
            return Next::Over(Ending::BudgetSpent);
        }
        let left = (self.budget_ns - elapsed_ns).checked_div(self.round_ns).unwrap_or(u64::from(ROUNDS));
        let foreseen = u32::try_from(left).unwrap_or(ROUNDS).min(ROUNDS).saturating_add(self.rounds);
        let of_a_life = (foreseen / LIVES).clamp(1, ROUNDS / LIVES);
        let anew = self.rounds == 0 || self.rounds_in_life >= of_a_life;
        self.rounds_in_life = if anew { 1 } else { self.rounds_in_life + 1 };
        self.rounds += 1;
        let mut order = self.present.clone();
        order.shuffle(&mut self.random);
        let turns = order.into_iter().map(|candidate| Turn { candidate, anew }).collect();
        Next::Round(RoundPlan { turns })
    }

    /// What the block of a turn said. Who failed is out.
    pub fn feed(&mut self, candidate: usize, outcome: TurnOutcome) {
        if matches!(outcome, TurnOutcome::Failed | TurnOutcome::Hung | TurnOutcome::Faulty) {
            self.present.retain(|one| *one != candidate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Runs a meeting of 3, 7 and 9 whose rounds take so long; each round's candidates, with whether they began
    /// anew, and the end.
    fn run(budget_ns: u64, round_ns: u64, fails: Option<usize>) -> (Vec<(Vec<usize>, bool)>, Ending) {
        let mut meeting = Meeting::new(vec![3, 7, 9], budget_ns, 1);
        let (mut elapsed_ns, mut rounds) = (1000 * MS, Vec::new());
        loop {
            let round = match meeting.next(elapsed_ns) {
                Next::Round(round) => round,
                Next::Over(ending) => return (rounds, ending),
            };
            for turn in &round.turns {
                let failed = Some(turn.candidate) == fails;
                meeting.feed(turn.candidate, if failed { TurnOutcome::Failed } else { TurnOutcome::Unknown });
            }
            elapsed_ns += round_ns;
            let mut present: Vec<usize> = round.turns.iter().map(|turn| turn.candidate).collect();
            present.sort_unstable();
            rounds.push((present, round.turns[0].anew));
        }
    }

    #[test]
    fn everybody_runs_in_nine_rounds_of_three_lives() {
        let (rounds, ending) = run(100_000 * MS, MS, None);
        assert_eq!((rounds.len(), ending), (9, Ending::Decided));
        assert!(rounds.iter().all(|round| round.0 == [3, 7, 9]));
        let begins: Vec<usize> = (0..9).filter(|round| rounds[*round].1).collect();
        assert_eq!(begins, [0, 3, 6]);
    }

    #[test]
    fn little_time_is_still_spread_over_three_lives() {
        let (rounds, ending) = run(1600 * MS, 100 * MS, None);
        assert_eq!(ending, Ending::BudgetSpent);
        assert!((5..=6).contains(&rounds.len()), "{}", rounds.len());
        assert!(rounds.iter().filter(|round| round.1).count() >= 3, "{rounds:?}");
    }

    #[test]
    fn without_time_nothing_is_begun() {
        assert_eq!(run(900 * MS, MS, None), (Vec::new(), Ending::BudgetSpent));
    }

    #[test]
    fn one_that_fails_is_out_and_one_alone_meets_nobody() {
        let (rounds, _) = run(100_000 * MS, MS, Some(7));
        assert!(rounds[1..].iter().all(|round| round.0 == [3, 9]));
        let mut alone = Meeting::new(vec![4], u64::MAX, 1);
        assert_eq!(alone.next(0), Next::Over(Ending::Decided));
    }
}
