//! One entry on one ladder.

use super::Outcome;
use crate::stats::trimmed_mean;

/// Two rounds are enough for a step whose differences both exceed this, in one direction.
const PLAIN: f64 = 0.25;
/// Rounds after which a step is decided if its differences lie on one side of the margin.
const ROUNDS: usize = 4;
/// Rounds after which a step is decided in any case.
const MOST_ROUNDS: usize = 5;
/// So many successive gains below the margin end a climb.
const FLAT: u32 = 2;
/// Differences beyond this (a block without any task) are cut to it.
const LARGEST: f64 = 20.0;

/// A climb: the current step compares a rung with the one below, paired within rounds.
#[derive(Clone, Debug)]
pub(super) struct Climb {
    rungs: Vec<u32>,
    /// `ln(1 + margin)`.
    margin: f64,
    /// `gains[k]` is that of rung `k + 1` over rung `k`.
    gains: Vec<f64>,
    /// Differences of the current step.
    differences: Vec<f64>,
    rounds: usize,
    flat: u32,
    is_over: bool,
    /// Rungs that failed.
    failed: Vec<usize>,
}

impl Climb {
    pub(super) fn new(rungs: Vec<u32>, margin: f64) -> Climb {
        let is_over = rungs.len() < 2;
        Climb {
            rungs,
            margin,
            gains: Vec::new(),
            differences: Vec::new(),
            rounds: 0,
            flat: 0,
            is_over,
            failed: Vec::new(),
        }
    }

    /// The sizes of the current step, the lower first; `None` when the climb is over.
    pub(super) fn step(&self) -> Option<(u32, u32)> {
        let below = self.gains.len();
        (!self.is_over).then(|| (self.rungs[below], self.rungs[below + 1]))
    }

    /// What a round said of the current step's sizes; `None` is nothing.
    pub(super) fn feed(&mut self, low: Option<Outcome>, high: Option<Outcome>) {
        if self.is_over {
            return;
        }
        let below = self.gains.len();
        for (rung, outcome) in [(below, low), (below + 1, high)] {
            if outcome == Some(Outcome::Failed) {
                self.failed.push(rung);
                self.is_over = true;
            }
        }
        if self.is_over {
            return;
        }
        self.rounds += 1;
        if let (Some(Outcome::Score(low)), Some(Outcome::Score(high))) = (low, high) {
            let difference = high - low;
            if !difference.is_nan() {
                self.differences.push(difference.clamp(-LARGEST, LARGEST));
            }
        }
        if self.is_step_decided() {
            self.end_step();
        }
    }

    /// Ends the climb here, with what is known.
    pub(super) fn stop(&mut self) {
        if !self.is_over && !self.differences.is_empty() {
            self.end_step();
        }
        self.is_over = true;
    }

    /// The smallest size that is equivalent to the best of those measured. `None` when the first failed.
    pub(super) fn chosen(&self) -> Option<u32> {
        if self.failed.contains(&0) {
            return None;
        }
        let heights: Vec<f64> = std::iter::once(0.0)
            .chain(self.gains.iter().scan(0.0, |height, gain| {
                *height += gain;
                Some(*height)
            }))
            .collect();
        let standing = || heights.iter().enumerate().filter(|(rung, _)| !self.failed.contains(rung));
        let best = standing().map(|(_, height)| *height).fold(f64::NEG_INFINITY, f64::max);
        let (smallest, _) = standing().find(|(_, height)| **height > best - self.margin || **height >= best)?;
        self.rungs.get(smallest).copied()
    }

    /// Whether this size was measured and compared with the others.
    pub(super) fn has_reached(&self, size: u32) -> bool {
        self.rungs.iter().take(self.gains.len() + 1).any(|rung| *rung == size)
    }

    /// Whether any step was decided, or a rung failed.
    pub(super) fn has_measured(&self) -> bool {
        !self.gains.is_empty() || self.has_failed()
    }

    /// Whether a rung failed.
    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    fn is_step_decided(&self) -> bool {
        let differences = &self.differences;
        let all = |test: &dyn Fn(f64) -> bool| differences.iter().all(|one| test(*one));
        if differences.len() == 2 && (all(&|one| one > PLAIN) || all(&|one| one < -PLAIN)) {
            return true;
        }
        let one_sided = all(&|one| one > self.margin) || all(&|one| one <= self.margin);
        self.rounds >= MOST_ROUNDS || (differences.len() >= ROUNDS && one_sided)
    }

    fn end_step(&mut self) {
        let gain = trimmed_mean(&self.differences).unwrap_or(0.0);
        self.gains.push(gain);
        self.differences.clear();
        self.rounds = 0;
        self.flat = if gain < self.margin { self.flat + 1 } else { 0 };
        self.is_over = self.flat >= FLAT || self.gains.len() + 1 >= self.rungs.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn climb(rungs: &[u32], score: impl Fn(u32) -> f64) -> (Option<u32>, usize) {
        let mut climb = Climb::new(rungs.to_vec(), 0.03_f64.ln_1p());
        let mut rounds = 0;
        while let Some((low, high)) = climb.step() {
            climb.feed(Some(Outcome::Score(score(low))), Some(Outcome::Score(score(high))));
            rounds += 1;
        }
        (climb.chosen(), rounds)
    }

    const LADDER: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

    #[test]
    fn what_doubles_takes_two_rounds_a_step() {
        assert_eq!(climb(&LADDER, |size| f64::from(size).ln()), (Some(64), 12));
    }

    #[test]
    fn two_flat_steps_end_it_and_the_smallest_equal_is_chosen() {
        assert_eq!(climb(&LADDER, |size| f64::from(size.min(4)).ln()), (Some(4), 2 * 2 + 2 * 4));
        assert_eq!(climb(&LADDER, |size| f64::from(size) * 1e-4), (Some(1), 2 * 4));
    }

    #[test]
    fn one_flat_step_does_not_end_it() {
        let stairs = |size: u32| if size < 4 { 0.0 } else { 1.0 };
        assert_eq!(climb(&LADDER, stairs).0, Some(4));
    }

    #[test]
    fn small_losses_add_up_along_the_ladder() {
        // Each step gains 2 %, the first three together more than the margin.
        assert_eq!(climb(&[1, 2, 4], |size| 0.02 * f64::from(size.ilog2())).0, Some(2));
    }

    #[test]
    fn a_failed_rung_ends_it_below() {
        let mut climb = Climb::new(vec![1, 2, 4], 0.03);
        for _ in 0..2 {
            climb.feed(Some(Outcome::Score(0.0)), Some(Outcome::Score(1.0)));
        }
        climb.feed(Some(Outcome::Score(1.0)), Some(Outcome::Failed));
        assert_eq!((climb.step(), climb.chosen()), (None, Some(2)));
        let mut first = Climb::new(vec![1, 2], 0.03);
        first.feed(Some(Outcome::Failed), Some(Outcome::Score(1.0)));
        assert_eq!(first.chosen(), None);
    }

    #[test]
    fn blocks_without_a_task_still_end() {
        assert_eq!(climb(&LADDER, |_| f64::NEG_INFINITY).0, Some(1));
        assert_eq!(climb(&LADDER, |size| if size < 2 { f64::NEG_INFINITY } else { 0.0 }).0, Some(2));
        assert_eq!(climb(&LADDER, |_| f64::NAN).0, Some(1));
    }
}
