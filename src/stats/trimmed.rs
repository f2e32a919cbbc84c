//! The trimmed mean and its standard error.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::Interval;

/// The share of a sample that is trimmed at either end.
pub const TRIM: f64 = 0.2;

/// A trimmed mean with its standard error. `degrees_of_freedom` is at least one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trimmed {
    /// The trimmed mean.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Degrees of freedom of the standard error.
    pub degrees_of_freedom: f64,
}

impl Trimmed {
    /// The two-sided interval of this confidence (0.95 leaves 2.5 % at either end).
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Interval {
        Interval::around(self.mean, self.half_width(confidence))
    }

    /// Half the width of [`Trimmed::interval`].
    #[must_use]
    pub fn half_width(&self, confidence: f64) -> f64 {
        if self.standard_error == 0.0 {
            return 0.0;
        }
        t_quantile(0.5 + confidence / 2.0, self.degrees_of_freedom) * self.standard_error
    }
}

/// The quantile of Student's t. Infinite where there is none (`probability` 1, no degrees of freedom).
#[must_use]
pub fn t_quantile(probability: f64, degrees_of_freedom: f64) -> f64 {
    if !(0.0..=1.0).contains(&probability) {
        return f64::INFINITY;
    }
    StudentsT::new(0.0, 1.0, degrees_of_freedom)
        .map_or(f64::INFINITY, |distribution| distribution.inverse_cdf(probability))
}

/// The values that are numbers, ascending.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.retain(|value| value.is_finite());
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// How many values are trimmed at either end of a sample of this length.
fn trimmed_count(length: usize) -> usize {
    (TRIM * length as f64).floor() as usize
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean of what is left when the lowest and the highest 20 % are taken away. Values that are not
/// finite don't count; `None` when none is.
#[must_use]
pub fn trimmed_mean(values: &[f64]) -> Option<f64> {
    mean_of_kept(&sorted(values))
}

/// The trimmed mean of one sample (paired differences, say) with its standard error
/// `sqrt((n - 1) s_w^2 / (h (h - 1)))` and `h - 1` degrees of freedom, `h = n - 2 floor(g n)`: of a sample too small to
/// be trimmed, the mean with its usual error. `None` below two finite values.
///
/// Yuen (1974), "The two-sample trimmed t for unequal population variances", Biometrika 61, of one of the two samples;
/// see Wilcox, "Introduction to Robust Estimation and Hypothesis Testing", 5.3.
#[must_use]
pub fn yuen(values: &[f64]) -> Option<Trimmed> {
    let sorted = sorted(values);
    let variance = variance_of_winsorised(&sorted)?;
    let kept = (sorted.len() - 2 * trimmed_count(sorted.len())) as f64;
    Some(Trimmed {
        mean: mean_of_kept(&sorted)?,
        standard_error: ((sorted.len() - 1) as f64 * variance / (kept * (kept - 1.0))).sqrt(),
        degrees_of_freedom: kept - 1.0,
    })
}

fn mean_of_kept(sorted: &[f64]) -> Option<f64> {
    let cut = trimmed_count(sorted.len());
    (!sorted.is_empty()).then(|| mean(&sorted[cut..sorted.len() - cut]))
}

/// The sample variance after the lowest and the highest 20 % are set to the nearest value that stays.
fn variance_of_winsorised(sorted: &[f64]) -> Option<f64> {
    let length = sorted.len();
    if length < 2 {
        return None;
    }
    let cut = trimmed_count(length);
    let (low, high) = (sorted[cut], sorted[length - 1 - cut]);
    let clamped = || sorted.iter().map(|value| value.clamp(low, high));
    let centre = clamped().sum::<f64>() / length as f64;
    Some(clamped().map(|value| (value - centre).powi(2)).sum::<f64>() / (length - 1) as f64)
}

/// The median of the finite values; `None` when there is none.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sample_worked_by_hand() {
        // n = 10, g = 0.2: two trimmed at either end, h = 6.
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1000.0];
        assert_eq!(trimmed_mean(&values), Some(5.5));
        // Winsorised: 3 3 3 4 5 6 7 8 8 8, mean 5.5, squares 42.5.
        let estimate = yuen(&values).expect("ten values");
        assert!((estimate.standard_error - (42.5_f64 / (6.0 * 5.0)).sqrt()).abs() < 1e-12);
        assert!((estimate.degrees_of_freedom - 5.0).abs() < 1e-12);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, degrees, expected) in [(0.975, 2.0, 4.3027), (0.95, 2.0, 2.9200), (0.975, 11.0, 2.2010)] {
            assert!((t_quantile(probability, degrees) - expected).abs() < 1e-3, "{degrees}");
        }
        assert_eq!(t_quantile(0.975, 0.0), f64::INFINITY);
        assert_eq!(t_quantile(f64::NAN, 3.0), f64::INFINITY);
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(trimmed_mean(&[]), None);
        assert_eq!(trimmed_mean(&[f64::NAN, f64::INFINITY]), None);
        assert_eq!(yuen(&[1.0]), None);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[f64::NAN, 4.0, 1.0]), Some(2.5));
    }

    proptest! {
        #[test]
        fn the_estimate_lies_inside_the_sample(values in prop::collection::vec(-1e6..1e6_f64, 1..40)) {
            let mean = trimmed_mean(&values).expect("not empty");
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(low - 1e-6 <= mean && mean <= high + 1e-6);
        }

        #[test]
        fn it_moves_and_scales_with_the_sample(
            values in prop::collection::vec(-1e3..1e3_f64, 2..40), shift in -1e3..1e3_f64, scale in 0.1..10.0_f64,
        ) {
            let before = yuen(&values).expect("two or more");
            let moved: Vec<f64> = values.iter().map(|value| value * scale + shift).collect();
            let after = yuen(&moved).expect("two or more");
            prop_assert!((after.mean - (before.mean * scale + shift)).abs() < 1e-6);
            prop_assert!((after.standard_error - before.standard_error * scale).abs() < 1e-6);
        }

        #[test]
        fn one_wild_value_in_five_cannot_move_it_out(
            values in prop::collection::vec(0.0..1.0_f64, 5..40), wild in prop::num::f64::ANY,
        ) {
            let mut spoilt = values.clone();
            spoilt[0] = wild;
            let mean = trimmed_mean(&spoilt).expect("not empty");
            prop_assert!((0.0..=1.0).contains(&mean) || spoilt.iter().filter(|value| value.is_finite()).count() < 5);
        }

        #[test]
        fn a_wider_confidence_is_a_wider_interval(values in prop::collection::vec(-1e3..1e3_f64, 2..40)) {
            let estimate = yuen(&values).expect("two or more");
            let (narrow, wide) = (estimate.interval(0.90), estimate.interval(0.95));
            prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
        }
    }
}
