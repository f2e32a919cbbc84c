//! One entry on one ladder: a coarse climb, which finds the rungs that may be the best. The final compares those.

use std::collections::BTreeMap;

use super::Outcome;
use crate::stats::trimmed_mean;

/// Rungs that a step takes at once while what is in flight is all that counts: gains that noise does not hide.
const LONG: usize = 2;
/// A step gains in proportion when it gains this share of what it could (logarithms).
const PROPORTION: f64 = 0.8;
/// And half of it, with some allowance for noise.
const HALF: f64 = 0.55;
/// A step that gains more than this needs no second round.
const PLAIN: f64 = 0.25;
/// One that loses more than this needs none either.
const LOSS: f64 = -0.05;
/// Rounds of a step that is not plain.
const ROUNDS: usize = 2;
/// Successive gains that must stay below the margin to end a climb.
const FLAT_GAINS: usize = 2;
/// What lies this far below the best of a climb, by one or two blocks each, is not its equal.
const CLOSE: f64 = 0.2;
/// Differences beyond this (a block without any task) are cut to it.
const LARGEST: f64 = 20.0;

/// A climb from the first rung: by long steps while they gain in proportion, then by single ones, until two successive
/// gains stay below the margin.
#[derive(Clone, Debug)]
pub(super) struct Climb {
    rungs: Vec<u32>,
    /// `ln(1 + margin)`.
    margin: f64,
    /// The rungs (indices) of the step that runs; none when it is over.
    step: Option<(usize, usize)>,
    /// What the step gained, round by round.
    gains: Vec<f64>,
    /// Gains below the margin in a row.
    flat: usize,
    /// What each measured rung gained over the first.
    heights: BTreeMap<usize, f64>,
    /// Rungs above which a step gained in proportion to its length: nothing between its ends can be better.
    proportional: Vec<usize>,
    /// The lowest rung that failed: it and those above it are out.
    failed: Option<usize>,
    /// A size that is compared in the end if the climb did not come by it: the library's default.
    default: Option<u32>,
    is_checking: bool,
    is_rising: bool,
    /// What a block may cost that is likely to gain nothing.
    most_ns: u64,
    /// The largest size whose block has a known cost, with that.
    cost_ns: Option<(u32, u64)>,
    /// Whether the default was not compared, as it would have cost too much.
    passed_default: bool,
}

impl Climb {
    /// A climb of these rungs, ascending; `default` is compared with what it finds. A block that is likely to gain
    /// nothing may cost `most_ns`.
    pub(super) fn new(rungs: Vec<u32>, default: Option<u32>, margin: f64, most_ns: u64) -> Climb {
        let step = (rungs.len() > 1).then(|| (0, LONG.min(rungs.len() - 1)));
        Climb {
            rungs,
            margin,
            step,
            gains: Vec::new(),
            flat: 0,
            heights: BTreeMap::new(),
            proportional: Vec::new(),
            failed: None,
            default,
            is_checking: false,
            is_rising: false,
            most_ns,
            cost_ns: None,
            passed_default: false,
        }
    }

    /// What a block of one of [`Climb::sizes`] cost; to be told before what it said.
    pub(super) fn cost(&mut self, size: u32, ns: u64) {
        if self.cost_ns.is_none_or(|(largest, _)| largest <= size) {
            self.cost_ns = Some((size, ns));
        }
    }

    /// Whether the default was not compared, as a block of it would have cost too much.
    pub(super) fn has_passed_default(&self) -> bool {
        self.passed_default
    }

    /// Whether a block of this size costs more than may be spent on what is likely to gain nothing. What gains nothing
    /// by size takes a latency that grows with it.
    fn is_dear(&self, size: u32) -> bool {
        self.cost_ns.is_some_and(|(largest, ns)| {
            let growth = f64::from(size) / f64::from(largest.max(1));
            ns as f64 * growth > self.most_ns as f64
        })
    }

    /// The sizes of the next round, the lower first; none when the climb is over.
    pub(super) fn sizes(&self) -> Vec<u32> {
        self.step.map_or_else(Vec::new, |(low, high)| vec![self.rungs[low], self.rungs[high]])
    }

    /// What a round said of [`Climb::sizes`], in their order; `None` is nothing.
    pub(super) fn feed(&mut self, said: &[Option<Outcome>]) {
        let Some((low, high)) = self.step else { return };
        let [of_low, of_high] = [said.first().copied().flatten(), said.get(1).copied().flatten()];
        if of_low.is_some_and(Outcome::is_out) {
            return self.fail(low, low);
        }
        if of_high.is_some_and(Outcome::is_out) {
            return self.fail(high, low);
        }
        let score = |outcome: Option<Outcome>| outcome.and_then(Outcome::score);
        let gain = match (score(of_low), score(of_high)) {
            (Some(low), Some(high)) => (high - low).clamp(-LARGEST, LARGEST),
            (None, Some(_)) => LARGEST,
            _ => 0.0,
        };
        self.gains.push(if gain.is_nan() { 0.0 } else { gain });
        self.settle(low, high);
    }

    /// Ends the climb here, with what is known. Whether it was cut short: it still rose, or had not begun.
    pub(super) fn stop(&mut self) -> bool {
        let was_running = self.step.take().is_some();
        was_running && (self.is_rising || self.heights.len() < 2) && !self.is_checking
    }

    /// The smallest size that is close to the best of those measured. `None` when the first failed.
    pub(super) fn chosen(&self) -> Option<u32> {
        let rung = self.smallest_close().or((self.failed != Some(0)).then_some(0))?;
        self.rungs.get(rung).copied()
    }

    /// The sizes that may be the best, ascending: the smallest that is close to the best of those measured, what was
    /// passed over below it, the next above it, and the best if it is another.
    pub(super) fn plausible(&self) -> Vec<u32> {
        let Some(chosen) = self.smallest_close() else { return self.chosen().into_iter().collect() };
        let height = |rung: usize| self.heights.get(&rung).copied().unwrap_or(f64::NEG_INFINITY);
        let below = self.heights.keys().copied().filter(|rung| *rung < chosen).max();
        let passed = below.filter(|below| !self.proportional.contains(below)).map_or(chosen, |below| below + 1);
        let mut rungs: Vec<usize> = (passed..=chosen).collect();
        let above = self.heights.keys().copied().find(|rung| *rung > chosen);
        rungs.extend(above.filter(|above| height(*above) > height(chosen)));
        let best = self.best().filter(|best| height(*best) > height(chosen) + CLOSE / 2.0);
        rungs.extend(best);
        rungs.sort_unstable();
        rungs.dedup();
        rungs.into_iter().filter_map(|rung| self.rungs.get(rung).copied()).collect()
    }

    /// Whether this size was measured and compared with others.
    pub(super) fn has_reached(&self, size: u32) -> bool {
        self.heights.keys().any(|rung| self.rungs.get(*rung) == Some(&size))
    }

    /// Whether anything was measured, or a rung failed.
    pub(super) fn has_measured(&self) -> bool {
        !self.heights.is_empty() || self.failed.is_some()
    }

    /// A failed rung ends the climb below it: those that were passed over are tried.
    fn fail(&mut self, rung: usize, low: usize) {
        self.failed = Some(self.failed.map_or(rung, |before| before.min(rung)));
        self.heights.retain(|measured, _| *measured < rung);
        self.gains.clear();
        if self.is_checking || rung == low || low + 1 >= rung {
            self.step = None;
        } else {
            self.step = Some((low, low + 1));
        }
    }

    fn settle(&mut self, low: usize, high: usize) {
        let gain = trimmed_mean(&self.gains).unwrap_or(0.0);
        let could = (f64::from(self.rungs[high]) / f64::from(self.rungs[low].max(1))).ln();
        let is_open = (LOSS..PLAIN).contains(&gain);
        if is_open && self.gains.len() < ROUNDS && !self.is_checking {
            return;
        }
        let base = *self.heights.entry(low).or_insert(0.0);
        self.heights.insert(high, base + gain);
        self.gains.clear();
        if self.is_checking {
            self.step = None;
            return;
        }
        let in_proportion = gain > PROPORTION * could;
        if in_proportion {
            self.proportional.push(low);
        }
        self.is_rising = gain > self.margin;
        // A long step that gains half of what it could has a flat one in it.
        let flat_within = usize::from(high - low == LONG && gain < HALF * could);
        self.flat = if self.is_rising { flat_within } else { self.flat + (high - low) };
        let top = self.failed.unwrap_or(self.rungs.len()) - 1;
        let stride = if in_proportion { LONG } else { 1 };
        let next = (high + stride).min(top);
        let is_over = self.flat >= FLAT_GAINS || (self.flat > 0 && self.is_dear(self.rungs[next]));
        if is_over || high >= top {
            self.is_rising &= high < top;
            return self.check();
        }
        self.step = Some((high, next));
    }

    /// Compares the default with what was found, if it was not come by: two flat gains say nothing of what comes
    /// after them.
    fn check(&mut self) {
        self.step = None;
        let default = self.rungs.iter().position(|rung| Some(*rung) == self.default);
        let is_new = |rung: &usize| !self.heights.contains_key(rung) && self.failed.is_none_or(|failed| *rung < failed);
        if let (Some(default), Some(chosen)) = (default.filter(is_new), self.smallest_close()) {
            self.passed_default = self.is_dear(self.rungs[default]);
            self.is_checking = !self.passed_default;
            self.step = self.is_checking.then_some((chosen, default));
        }
    }

    fn best(&self) -> Option<usize> {
        self.heights.iter().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0))).map(|(rung, _)| *rung)
    }

    fn smallest_close(&self) -> Option<usize> {
        let best = self.heights.get(&self.best()?).copied()?;
        self.heights.iter().find(|(_, height)| **height > best - CLOSE).map(|(rung, _)| *rung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LADDER: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

    /// The plausible sizes of a climb whose rungs score so, and the blocks that it took.
    fn climb(rungs: &[u32], default: Option<u32>, score: impl Fn(u32) -> f64) -> (Vec<u32>, usize) {
        let mut climb = Climb::new(rungs.to_vec(), default, 0.03_f64.ln_1p(), u64::MAX);
        let mut blocks = 0;
        while !climb.sizes().is_empty() {
            let said: Vec<_> = climb.sizes().iter().map(|size| Some(Outcome::Score(score(*size)))).collect();
            blocks += said.len();
            climb.feed(&said);
            assert!(blocks < 100, "it ends");
        }
        (climb.plausible(), blocks)
    }

    fn of(size: u32, most: u32) -> f64 {
        f64::from(size.min(most)).ln()
    }

    #[test]
    fn what_only_waits_goes_up_in_long_steps() {
        assert_eq!(climb(&LADDER, None, |size| of(size, 64)), (vec![64], 6));
    }

    #[test]
    fn what_computes_ends_at_the_cores() {
        let (sizes, blocks) = climb(&LADDER, None, |size| of(size, 2));
        assert_eq!(sizes, [2, 4]);
        assert!(blocks <= 10, "{blocks}");
        assert_eq!(climb(&LADDER, None, |_| 0.0).0, [1]);
        let three = climb(&LADDER, None, |size| of(size, 3)).0;
        assert!(three.contains(&2) && three.contains(&4), "{three:?}");
    }

    #[test]
    fn a_saturation_between_two_steps_keeps_what_was_passed_over() {
        let (sizes, _) = climb(&LADDER, None, |size| of(size, 24));
        assert!(sizes.contains(&32) && !sizes.contains(&8), "{sizes:?}");
    }

    #[test]
    fn what_gets_worse_with_size_stays_small() {
        assert_eq!(climb(&LADDER, None, |size| -of(size, 64)).0, [1]);
    }

    #[test]
    fn small_gains_are_followed() {
        let (sizes, _) = climb(&LADDER, None, |size| 0.1 * f64::from(size.min(16).ilog2()));
        assert!(sizes.contains(&16) || sizes.contains(&8), "{sizes:?}");
    }

    #[test]
    fn the_default_is_always_compared() {
        let jump = |size: u32| if size == 64 { 1.0 } else { 0.0 };
        assert!(climb(&LADDER, Some(64), jump).0.contains(&64));
        assert!(!climb(&LADDER, Some(64), |_| 0.0).0.contains(&64), "one that is no better is no contender");
    }

    #[test]
    fn what_is_dear_and_likely_to_gain_nothing_is_left_out() {
        let run = |most_ns: u64| {
            let mut climb = Climb::new(LADDER.to_vec(), Some(64), 0.03, most_ns);
            let mut sizes = Vec::new();
            while !climb.sizes().is_empty() {
                for size in climb.sizes() {
                    climb.cost(size, u64::from(size) * 100);
                    sizes.push(size);
                }
                climb.feed(&climb.sizes().iter().map(|size| Some(Outcome::Score(of(*size, 2)))).collect::<Vec<_>>());
            }
            (sizes.into_iter().max(), climb.has_passed_default(), climb.chosen())
        };
        assert_eq!(run(u64::MAX), (Some(64), false, Some(4)));
        assert_eq!(run(1000), (Some(8), true, Some(4)));
        assert_eq!(run(1), (Some(4), true, Some(4)), "what gains is followed, whatever it costs");
    }

    #[test]
    fn a_failed_rung_ends_it_below() {
        let mut climb = Climb::new(vec![1, 2, 4], None, 0.03, u64::MAX);
        climb.feed(&[Some(Outcome::Score(0.0)), Some(Outcome::Failed)]);
        assert_eq!(climb.sizes(), [1, 2]);
        climb.feed(&[Some(Outcome::Score(0.0)), Some(Outcome::Score(0.6))]);
        assert_eq!((climb.sizes(), climb.plausible()), (Vec::new(), vec![2]));
        let mut first = Climb::new(vec![1, 2], None, 0.03, u64::MAX);
        first.feed(&[Some(Outcome::Infeasible), Some(Outcome::Score(1.0))]);
        assert_eq!((first.chosen(), first.plausible()), (None, Vec::new()));
    }

    #[test]
    fn blocks_without_a_task_still_end() {
        assert!(climb(&LADDER, None, |_| f64::NEG_INFINITY).0.contains(&1));
        assert!(climb(&LADDER, None, |_| f64::NAN).0.contains(&1));
        assert!(climb(&LADDER, None, |size| if size < 4 { f64::NEG_INFINITY } else { 0.0 }).0.contains(&4));
    }

    #[test]
    fn one_that_is_cut_while_it_rises_says_so() {
        let mut rising = Climb::new(LADDER.to_vec(), None, 0.03, u64::MAX);
        rising.feed(&[Some(Outcome::Score(0.0)), Some(Outcome::Score(1.38))]);
        assert!(rising.stop() && rising.sizes().is_empty());
        assert_eq!(rising.chosen(), Some(4));
        assert!(Climb::new(LADDER.to_vec(), None, 0.03, u64::MAX).stop(), "it had not begun");
        assert!(!Climb::new(vec![1], None, 0.03, u64::MAX).stop(), "there was nothing to climb");
    }

    #[test]
    fn noise_seldom_loses_the_right_size() {
        use rand::{RngExt as _, SeedableRng as _};
        let mut wrong = 0;
        for seed in 0..200 {
            let random = std::cell::RefCell::new(rand_chacha::ChaCha8Rng::seed_from_u64(seed));
            // About 5 % of noise a block, uniform; saturated from two on.
            let noisy = |size: u32| of(size, 2) + random.borrow_mut().random_range(-0.09..0.09);
            let (sizes, _) = climb(&LADDER, None, noisy);
            wrong += usize::from(!sizes.iter().any(|size| (2..=4).contains(size)));
        }
        assert!(wrong <= 4, "{wrong} of 200");
    }
}
