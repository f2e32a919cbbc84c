//! One entry on one ladder.

use super::Outcome;
use crate::stats::{Trimmed, trimmed_mean, yuen};

/// A step of the rise is plain while each of its rounds gains more than this.
const PLAIN: f64 = 0.25;
/// Rounds of a step that rises.
const RISING_ROUNDS: usize = 2;
/// A step that gains more than this, half of what four times as many could, needs one round.
const SURE: f64 = 0.7;
/// Rungs that a step of the rise takes at once: twice two are a gain that noise does not hide.
const STRIDE: usize = 2;
/// Successive gains that must stay below the margin to end a climb.
const FLAT_GAINS: usize = 2;
/// Rungs compared at once at most, where a dip keeps a lower rung in play.
const MOST_RUNGS: usize = 6;
/// Rounds on the level before it is decided.
const LEAST_ROUNDS: usize = 4;
/// Rounds on the level after which it is decided in any case.
const MOST_ROUNDS: usize = 7;
/// A smaller size is worse when its difference lies below the margin by so many standard errors.
const ERRORS: f64 = 1.3;
/// Differences beyond this (a block without any task) are cut to it.
const LARGEST: f64 = 20.0;

/// A climb: a rise in long steps while they gain plainly, then the level, where all rungs that may be the
/// best run in the same rounds. A chain of pairs would add up its noise, and name too large a size.
#[derive(Clone, Debug)]
pub(super) struct Climb {
    rungs: Vec<u32>,
    /// `ln(1 + margin)`.
    margin: f64,
    /// The rungs (indices) that run now, the lowest first.
    set: Vec<usize>,
    is_level: bool,
    is_over: bool,
    /// What they said, round by round, in the order of `set`.
    rounds: Vec<Vec<Option<f64>>>,
    /// The highest rung that was measured.
    reached: Option<usize>,
    /// Whether it only looks whether one size is better than another.
    is_check: bool,
    /// Whether it goes down: what lies above the set was compared.
    is_descending: bool,
    /// The lowest rung that failed: it and those above it are out.
    failed: Option<usize>,
}

impl Climb {
    /// A climb that begins at the first rung of `start` or more, and goes down from there if nothing is
    /// gained.
    pub(super) fn new(rungs: Vec<u32>, start: u32, margin: f64) -> Climb {
        let is_over = rungs.len() < 2;
        let above = rungs.iter().filter(|rung| **rung < start).count();
        let set = rising(above.min(rungs.len().saturating_sub(2)), rungs.len());
        let reached = is_over.then_some(0);
        Climb {
            rungs,
            margin,
            set,
            is_level: false,
            is_over,
            rounds: Vec::new(),
            reached,
            is_check: false,
            is_descending: false,
            failed: None,
        }
    }

    /// Whether the larger of two sizes is better. One round that does not say so ends it: two gains below the
    /// margin came before.
    pub(super) fn check(size: u32, larger: u32, margin: f64) -> Climb {
        Climb { is_check: true, ..Climb::new(vec![size, larger], 0, margin) }
    }

    /// The sizes of the next round, the lowest first; none when the climb is over.
    pub(super) fn sizes(&self) -> Vec<u32> {
        if self.is_over { Vec::new() } else { self.set.iter().map(|rung| self.rungs[*rung]).collect() }
    }

    /// What a round said of [`Climb::sizes`], in their order; `None` is nothing.
    pub(super) fn feed(&mut self, said: &[Option<Outcome>]) {
        if self.is_over {
            return;
        }
        let failed = self.set.iter().zip(said).find(|(_, outcome)| **outcome == Some(Outcome::Failed));
        if let Some(rung) = failed.map(|(rung, _)| *rung) {
            return self.fail(rung);
        }
        self.reached = self.reached.max(self.set.last().copied());
        self.rounds.push(
            said.iter()
                .map(|outcome| match outcome {
                    Some(Outcome::Score(score)) if !score.is_nan() => Some(*score),
                    _ => None,
                })
                .collect(),
        );
        if self.is_level { self.settle_level() } else { self.settle_step() }
    }

    /// Ends the climb here, with what is known. Whether it was cut short: it still rose, so a larger size
    /// may be far better. On the level no size is far better than another.
    pub(super) fn stop(&mut self) -> bool {
        if std::mem::replace(&mut self.is_over, true) {
            return false;
        }
        !self.is_level || self.rounds.len() < RISING_ROUNDS
    }

    /// The smallest size that is equivalent to the best of those measured. `None` when the first failed.
    pub(super) fn chosen(&self) -> Option<u32> {
        let set: Vec<usize> =
            self.set.iter().copied().filter(|rung| self.failed.is_none_or(|bad| *rung < bad)).collect();
        let lowest = *set.first()?;
        let best = self.best();
        let chosen = if self.rounds.is_empty() || !set.contains(&best) {
            lowest
        } else {
            set.iter().copied().find(|rung| *rung >= best || !self.is_worse(*rung, best)).unwrap_or(best)
        };
        self.rungs.get(chosen).copied()
    }

    /// Whether this size was measured and compared with the others.
    pub(super) fn has_reached(&self, size: u32) -> bool {
        self.reached.is_some_and(|reached| self.rungs.iter().take(reached + 1).any(|rung| *rung == size))
    }

    /// Whether anything was measured, or a rung failed.
    pub(super) fn has_measured(&self) -> bool {
        self.reached.is_some() || self.has_failed()
    }

    /// Whether a rung failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// A failed rung ends the climb below it: what was said of the lower ones stands, and those that were
    /// passed over are compared.
    fn fail(&mut self, rung: usize) {
        self.failed = Some(rung);
        let low = self.set[0];
        let below = if low < rung { low } else { rung.saturating_sub(FLAT_GAINS) };
        if rung == 0 || (self.is_level && low < rung) {
            self.is_over = true;
            return;
        }
        self.rungs.truncate(rung);
        self.is_over = below + 1 == rung;
        self.compare((below..rung).collect(), true);
    }

    /// Plain gains raise the step; anything else makes the lower of its rungs, or what lies about it, the
    /// level.
    fn settle_step(&mut self) {
        let (low, high) = (self.set[0], self.set[1]);
        let gains = self.differences(high, low);
        let plain = gains.iter().all(|gain| *gain > PLAIN);
        let sure = !gains.is_empty() && gains.iter().all(|gain| *gain > SURE);
        if plain && !sure && self.rounds.len() < RISING_ROUNDS {
            return;
        }
        let top = self.rungs.len() - 1;
        let risen = sure || (plain && gains.len() == RISING_ROUNDS);
        if risen && high < top {
            return self.compare(rising(high, self.rungs.len()), false);
        }
        let gain = trimmed_mean(&gains).unwrap_or(0.0);
        if self.is_check && gain <= self.margin {
            self.is_over = true;
            return;
        }
        // At the top of a rise, between its last two rungs; else about the rung that was not exceeded. The
        // far end of the step runs again where it seemed to gain: a long step that gains nothing is one of
        // the two gains that must stay below the margin.
        let about = if risen { high } else { low };
        let above = if gain > self.margin { FLAT_GAINS } else { FLAT_GAINS - 1 };
        self.compare((about.saturating_sub(1)..=top.min(about + above)).collect(), true);
    }

    /// Ends the level, or moves it up where its upper rungs still gain.
    fn settle_level(&mut self) {
        let rounds = self.rounds.len();
        let best = self.best();
        let others = || self.set.iter().filter(|rung| **rung != best);
        let is_far = |rung: &usize| self.differences(*rung, best).iter().all(|difference| *difference < -PLAIN);
        let is_clear = |rung: &usize| self.estimate(*rung, best).is_some_and(|it| self.is_clear(&it));
        let is_plain = rounds >= RISING_ROUNDS && others().all(is_far);
        if !is_plain && (rounds < LEAST_ROUNDS || (rounds < MOST_ROUNDS && !others().all(is_clear))) {
            return;
        }
        let (lowest, highest) = (self.set[0], *self.set.last().unwrap_or(&0));
        if self.is_descending || highest + 1 == self.rungs.len() || !self.gains_at_its_top() {
            // A lowest rung that is as good as the best may have an equal below it.
            if lowest > 0 && !self.is_worse(lowest, best) {
                self.is_descending = true;
                return self.compare(vec![lowest - 1, lowest], true);
            }
            self.is_over = true;
            return;
        }
        // Whoever is behind the best is left behind; a dip does not decide.
        let mut set: Vec<usize> =
            if lowest == best || !self.is_worse(lowest, best) { self.set.clone() } else { self.set[1..].to_vec() };
        if set.len() >= MOST_RUNGS {
            self.is_over = true;
            return;
        }
        set.push(highest + 1);
        self.compare(set, true);
    }

    /// Whether one of the last two gains of the set is above the margin, and not by chance.
    fn gains_at_its_top(&self) -> bool {
        let gains = |pair: &[usize]| {
            self.estimate(pair[1], pair[0])
                .is_some_and(|gain| gain.mean > self.margin.max(ERRORS * gain.standard_error))
        };
        // Of three rungs the upper two; what is above them was passed in a long step without gain.
        let upper = if self.set.len() > FLAT_GAINS + 1 { FLAT_GAINS + 1 } else { FLAT_GAINS };
        self.set[self.set.len().saturating_sub(upper)..].windows(2).any(gains)
    }

    fn compare(&mut self, set: Vec<usize>, is_level: bool) {
        self.set = set;
        self.is_level = is_level;
        self.rounds.clear();
    }

    /// The rung of the set with the highest trimmed mean of its differences to the lowest.
    fn best(&self) -> usize {
        let lowest = self.set.first().copied().unwrap_or(0);
        let height = |rung: usize| trimmed_mean(&self.differences(rung, lowest)).unwrap_or(0.0);
        let usable = self.set.iter().copied().filter(|rung| self.failed.is_none_or(|bad| *rung < bad));
        usable.rev().max_by(|a, b| height(*a).total_cmp(&height(*b))).unwrap_or(lowest)
    }

    /// Whether `rung` is behind `best` by more than the margin, and not by chance.
    fn is_worse(&self, rung: usize, best: usize) -> bool {
        self.estimate(rung, best).is_some_and(|it| it.mean < -self.margin - ERRORS * it.standard_error)
    }

    fn is_clear(&self, estimate: &Trimmed) -> bool {
        (estimate.mean + self.margin).abs() > ERRORS * estimate.standard_error
    }

    fn estimate(&self, rung: usize, other: usize) -> Option<Trimmed> {
        let differences = self.differences(rung, other);
        // Two rounds have no spread to speak of: their mean stands alone.
        yuen(&differences).or_else(|| {
            let mean = trimmed_mean(&differences)?;
            Some(Trimmed { mean, standard_error: 0.0, degrees_of_freedom: 1.0 })
        })
    }

    /// `rung - other`, in the rounds in which both said something.
    fn differences(&self, rung: usize, other: usize) -> Vec<f64> {
        let place = |rung: usize| self.set.iter().position(|one| *one == rung);
        let (Some(rung), Some(other)) = (place(rung), place(other)) else { return Vec::new() };
        self.rounds
            .iter()
            .filter_map(|round| round.get(rung).copied().flatten().zip(round.get(other).copied().flatten()))
            .map(|(rung, other)| rung - other)
            .filter(|difference| !difference.is_nan())
            .map(|difference| difference.clamp(-LARGEST, LARGEST))
            .collect()
    }
}

/// The rungs of a step that rises from `low`.
fn rising(low: usize, rungs: usize) -> Vec<usize> {
    let high = (low + STRIDE).min(rungs.saturating_sub(1));
    if high > low { vec![low, high] } else { vec![low] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn climb(rungs: &[u32], score: impl Fn(u32) -> f64) -> (Option<u32>, usize) {
        let mut climb = Climb::new(rungs.to_vec(), 4, 0.03_f64.ln_1p());
        let mut blocks = 0;
        while !climb.sizes().is_empty() {
            let said: Vec<_> = climb.sizes().iter().map(|size| Some(Outcome::Score(score(*size)))).collect();
            climb.feed(&said);
            blocks += said.len();
        }
        (climb.chosen(), blocks)
    }

    const LADDER: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

    #[test]
    fn what_doubles_takes_a_round_a_step() {
        // Two steps of four, and two rounds of the top beside the rung below it.
        assert_eq!(climb(&LADDER, |size| f64::from(size).ln()), (Some(64), 2 * 2 + 2 * 2));
    }

    #[test]
    fn two_flat_steps_end_it_and_the_smallest_equal_is_chosen() {
        // A step that does not rise, four rounds of three rungs, and where the lowest is as good, the one below.
        assert_eq!(climb(&LADDER, |size| f64::from(size.min(4)).ln()), (Some(4), 2 + 4 * 3));
        assert_eq!(climb(&LADDER, |size| f64::from(size.min(2)).ln()), (Some(2), 2 + 4 * 3 + 2 * 2));
        assert_eq!(climb(&LADDER, |size| f64::from(size) * 1e-4), (Some(1), 2 + 4 * 3 + 4 * 2));
    }

    #[test]
    fn one_flat_step_does_not_end_it() {
        let stairs = |size: u32| if size < 4 { 0.0 } else { 1.0 };
        assert_eq!(climb(&LADDER, stairs).0, Some(4));
    }

    #[test]
    fn gains_that_are_small_but_above_the_margin_are_followed() {
        assert_eq!(climb(&LADDER, |size| 0.1 * f64::from(size.min(16).ilog2())).0, Some(16));
    }

    #[test]
    fn small_losses_add_up_along_the_level() {
        // Each step gains 2 %: the second rung is within the margin of the third, the first is not.
        assert_eq!(climb(&[1, 2, 4], |size| 0.02 * f64::from(size.ilog2())).0, Some(2));
    }

    #[test]
    fn a_dip_does_not_hide_what_comes_after_it() {
        let dip = |size: u32| match size {
            1 => 0.0,
            2 => -0.3,
            4 => -0.1,
            _ => 0.5,
        };
        assert_eq!(climb(&LADDER, dip).0, Some(8));
    }

    #[test]
    fn a_failed_rung_ends_it_below() {
        let mut climb = Climb::new(vec![1, 2, 4], 1, 0.03);
        climb.feed(&[Some(Outcome::Score(0.0)), Some(Outcome::Score(0.1))]);
        assert_eq!(climb.sizes(), [1, 2, 4]);
        climb.feed(&[Some(Outcome::Score(0.0)), Some(Outcome::Score(1.0)), Some(Outcome::Score(1.0))]);
        climb.feed(&[Some(Outcome::Score(0.0)), Some(Outcome::Score(1.0)), Some(Outcome::Failed)]);
        assert_eq!((climb.sizes(), climb.chosen()), (Vec::new(), Some(2)));
        let mut first = Climb::new(vec![1, 2], 1, 0.03);
        first.feed(&[Some(Outcome::Failed), Some(Outcome::Score(1.0))]);
        assert_eq!(first.chosen(), None);
    }

    #[test]
    fn blocks_without_a_task_still_end() {
        assert_eq!(climb(&LADDER, |_| f64::NEG_INFINITY).0, Some(1));
        assert_eq!(climb(&LADDER, |size| if size < 2 { f64::NEG_INFINITY } else { 0.0 }).0, Some(2));
        assert_eq!(climb(&LADDER, |_| f64::NAN).0, Some(1));
    }

    #[test]
    fn noise_seldom_names_too_large_a_size() {
        use rand::{RngExt as _, SeedableRng as _};
        let mut wrong = 0;
        for seed in 0..200 {
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            // About 5 % of noise a block, uniform; saturated from two on.
            let mut climb = Climb::new(LADDER.to_vec(), 4, 0.03_f64.ln_1p());
            while !climb.sizes().is_empty() {
                let said: Vec<_> = climb
                    .sizes()
                    .iter()
                    .map(|size| Some(Outcome::Score(f64::from((*size).min(2)).ln() + random.random_range(-0.09..0.09))))
                    .collect();
                climb.feed(&said);
            }
            wrong += usize::from(climb.chosen() != Some(2));
        }
        assert!(wrong <= 20, "{wrong} of 200");
    }
}
