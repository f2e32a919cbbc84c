//! How a rival differs from another candidate, and what may be said of that: the one rule that the race stops by and
//! the verdict is made of.

use crate::stats::{AcrossLives, Interval, Trimmed, Variance, across_lives, moderated, t_quantile, t_tail};

/// From so many lives on, what differs between them is known.
pub(super) const LIVES: usize = 3;

/// With fewer lives only gross differences count: an estimate below the first figure and an upper bound
/// below the second (logarithms of a ratio). Starts of one engine differ by a few per cent, not by these.
const GROSS: (f64, f64) = (-0.30, -0.15);

/// What lives differ by, as a standard deviation, while too few have been seen.
const UNSEEN_LIVES: f64 = 0.03;
/// How sure that is, in degrees of freedom.
const UNSEEN_DEGREES_OF_FREEDOM: f64 = 4.0;

/// How a rival stands against another candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Equivalent in practice: the 90 % interval lies inside the margin (two one-sided tests at 5 %,
    /// Schuirmann 1987).
    Tied,
    /// Worse: the estimate is beyond the margin, and the whole interval is below zero at a confidence of
    /// 97.5 % for all rivals together.
    Worse,
    /// Neither can be said.
    Unresolved,
}

/// A paired difference of logarithms with the two errors that it may have: that of its values, and that of the lives
/// they come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The 20 % trimmed mean.
    pub value: f64,
    /// Rounds behind it.
    pub rounds: usize,
    /// Pairs of lives behind it.
    pub lives: usize,
    within: Option<Spread>,
    between: Spread,
}

/// A standard error with its degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    standard_error: f64,
    degrees_of_freedom: f64,
}

/// The differences of several rivals to one candidate, each given by its values grouped by lives; in their order,
/// `None` without any value. Their variances lean on each other (Smyth's moderated variances), those within lives and
/// those between them apart: three lives alone say little of what lives differ by, those of all rivals say more.
#[must_use]
pub(super) fn differences(rivals: &[Vec<Vec<f64>>]) -> Vec<Option<Difference>> {
    let all: Vec<Option<AcrossLives>> = rivals.iter().map(|lives| across_lives(lives)).collect();
    let rounds = |at: usize| rivals[at].iter().flatten().filter(|value| value.is_finite()).count();
    let each = |error: &dyn Fn(usize) -> Option<(Trimmed, usize)>| {
        moderated(&(0..rivals.len()).map(|at| error(at).map(variance)).collect::<Vec<_>>())
    };
    let within = each(&|at| Some((all[at]?.within?, rounds(at))));
    let between = each(&|at| Some((all[at]?.between?, all[at]?.lives)));
    let of = |at: usize| {
        let own = all[at]?;
        let (lives, rounds) = (own.lives, rounds(at));
        let spread = |variance: Variance| Spread {
            standard_error: variance.value.sqrt(),
            degrees_of_freedom: variance.degrees_of_freedom,
        };
        // Few lives that happen to agree are no evidence that lives agree.
        let unseen = Spread {
            standard_error: UNSEEN_LIVES / (lives as f64).sqrt(),
            degrees_of_freedom: UNSEEN_DEGREES_OF_FREEDOM,
        };
        let seen = between[at].filter(|_| lives >= LIVES).map(|it| spread(scaled(it, lives)));
        Some(Difference {
            value: own.mean,
            rounds,
            lives,
            within: within[at].map(|it| spread(scaled(it, rounds))),
            between: seen.unwrap_or(unseen),
        })
    };
    (0..rivals.len()).map(of).collect()
}

/// What one value varies by, from the error of a mean: errors of means of different numbers cannot be compared.
fn variance(trimmed: (Trimmed, usize)) -> Variance {
    let (trimmed, count) = trimmed;
    Variance { value: trimmed.standard_error.powi(2) * count as f64, degrees_of_freedom: trimmed.degrees_of_freedom }
}

/// What a mean of so many values varies by.
fn scaled(variance: Variance, count: usize) -> Variance {
    Variance { value: variance.value / count.max(1) as f64, ..variance }
}

impl Difference {
    /// Whether it rests on enough lives to say more than gross things.
    #[must_use]
    pub fn is_of_enough_lives(&self) -> bool {
        self.lives >= LIVES
    }

    /// The two-sided interval: the wider of those of its two errors. It covers at least as often as it says, whatever
    /// the ratio of the variances; choosing between the two by a test would not.
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Interval {
        let half = |spread: Spread| {
            if spread.standard_error == 0.0 {
                return 0.0;
            }
            t_quantile(0.5 + confidence / 2.0, spread.degrees_of_freedom) * spread.standard_error
        };
        let within = self.within.map_or(f64::INFINITY, half);
        Interval::around(self.value, within.max(half(self.between)))
    }

    /// The probability that the true difference is above `bound`, by the less certain of its two errors.
    #[must_use]
    pub fn probability_above(&self, bound: f64) -> f64 {
        let distance = bound - self.value;
        let Some(within) = self.within else { return 0.5 };
        let tail = |spread: Spread| t_tail(distance / spread.standard_error, spread.degrees_of_freedom);
        // The tail of fewer degrees of freedom is the heavier one, and that of the larger error: tails are dear.
        let is_wider = |one: Spread, other: Spread| {
            one.standard_error >= other.standard_error && one.degrees_of_freedom <= other.degrees_of_freedom
        };
        if is_wider(self.between, within) {
            return tail(self.between);
        }
        if is_wider(within, self.between) {
            return tail(within);
        }
        let (within, between) = (tail(within), tail(self.between));
        if (within - 0.5).abs() < (between - 0.5).abs() { within } else { between }
    }

    /// The standard error of its values alone.
    #[must_use]
    pub fn standard_error(&self) -> Option<f64> {
        self.within.map(|it| it.standard_error)
    }

    /// By how much its values vary from round to round, by their winsorised variance; `None` below five of them.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let rounds = Some(self.rounds).filter(|rounds| *rounds >= 5)?;
        Some(self.within?.standard_error * (rounds as f64).sqrt())
    }

    /// Whether the rival is so far behind that few rounds will do, whatever lives they come from.
    #[must_use]
    pub fn is_gross(&self) -> bool {
        self.value < GROSS.0 && self.probability_above(GROSS.1) < 0.025
    }
}

/// How a rival stands that differs by this, and the probability that it is better by more than the margin, which is
/// `ln(1 + m)`.
///
/// Whoever it is compared with was chosen by its luck, too, at one of several looks, and there are `rivals` chances to
/// call an equal one worse: that test is at half of `0.05 / rivals` (Bonferroni), of which one side counts.
#[must_use]
pub(super) fn standing(difference: &Difference, margin: f64, rivals: usize) -> (Standing, f64) {
    let enough = difference.is_of_enough_lives();
    let is_better = difference.probability_above(margin);
    let is_tied =
        || difference.value.abs() < margin && is_better < 0.05 && difference.probability_above(-margin) > 0.95;
    let is_worse = || {
        let strict = 0.0125 / rivals.max(1) as f64;
        difference.value < -margin && difference.probability_above(0.0) < strict
    };
    let standing = if enough && is_tied() {
        Standing::Tied
    } else if (enough && is_worse()) || difference.is_gross() {
        Standing::Worse
    } else {
        Standing::Unresolved
    };
    (standing, is_better)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: f64 = 0.03;

    fn lives(means: &[f64]) -> Vec<Vec<f64>> {
        means.iter().map(|mean| vec![mean - 0.002, *mean, mean + 0.001, mean + 0.002]).collect()
    }

    /// How one rival stands alone, and with the strictness of so many.
    fn stands(lives: Vec<Vec<f64>>, rivals: usize) -> Standing {
        differences(&[lives])[0].map_or(Standing::Unresolved, |one| standing(&one, MARGIN, rivals).0)
    }

    #[test]
    fn near_is_tied_far_is_worse_and_between_is_open() {
        assert_eq!(stands(lives(&[-0.001, 0.0, 0.002]), 1), Standing::Tied);
        assert_eq!(stands(lives(&[-0.10, -0.11, -0.10]), 1), Standing::Worse);
        assert_eq!(stands(lives(&[-0.028, -0.032, -0.030]), 1), Standing::Unresolved);
        assert_eq!(stands(lives(&[-0.10, 0.10, -0.20]), 1), Standing::Unresolved);
        assert_eq!(stands(Vec::new(), 0), Standing::Unresolved);
    }

    #[test]
    fn few_lives_decide_gross_differences_alone() {
        assert_eq!(stands(lives(&[0.0, 0.0]), 1), Standing::Unresolved);
        assert_eq!(stands(lives(&[-0.10, -0.10]), 1), Standing::Unresolved);
        // Dropped after five rounds, the last of them in a second life.
        assert_eq!(stands(vec![vec![-0.7, -0.69, -0.71, -0.70], vec![-0.60]], 5), Standing::Worse);
    }

    #[test]
    fn many_rivals_need_clearer_evidence() {
        let close = lives(&[-0.05, -0.07, -0.06]);
        assert_eq!(stands(close.clone(), 1), Standing::Worse);
        assert_eq!(stands(close, 9), Standing::Unresolved);
    }

    #[test]
    fn rivals_lend_each_other_their_certainty() {
        let alone = differences(&[lives(&[0.0, 0.01, 0.02])]);
        let rivals: Vec<_> = [0.0, -0.1, -0.2, 0.1].map(|mean| lives(&[mean, mean + 0.01, mean + 0.02])).to_vec();
        let together = differences(&rivals);
        let width = |one: Option<Difference>| one.map_or(f64::NAN, |it| it.interval(0.9).high - it.value);
        assert!(width(together[0]) < 0.8 * width(alone[0]), "{} {}", width(together[0]), width(alone[0]));
    }

    #[test]
    fn an_interval_and_its_tails_say_the_same() {
        let one = differences(&[lives(&[0.0, 0.01, 0.02])])[0].expect("values");
        let interval = one.interval(0.9);
        assert!((one.probability_above(interval.high) - 0.05).abs() < 1e-6);
        assert!((one.probability_above(interval.low) - 0.95).abs() < 1e-6);
        // One value has no spread: nothing is said.
        let single = differences(&[vec![vec![1.0]]])[0].expect("a value");
        assert_eq!((single.probability_above(-9.0), single.interval(0.9).high), (0.5, f64::INFINITY));
    }
}
