//! The median with an interval that assumes nothing of the distribution.

use statrs::distribution::{Binomial, DiscreteCDF as _};

use super::{Interval, trimmed};

/// A median with the interval of two order statistics around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MedianInterval {
    /// The median and its interval.
    pub interval: Interval,
    /// The confidence that the interval reaches: of few values even the whole range is less than what was asked for.
    pub confidence: f64,
}

/// The median of the values that are finite, with the narrowest symmetric pair of order statistics that reaches this
/// confidence, or the whole range where none does. `None` without values.
///
/// Of n independent values so many lie below the median as a binomial variable with p = 1/2 says; so the median is
/// between the k-th smallest and the k-th largest with probability `1 - 2 P(B < k)`. H. A. David and H. N. Nagaraja,
/// Order Statistics, 3rd edition, section 7.1.
#[must_use]
pub fn median_interval(values: &[f64], confidence: f64) -> Option<MedianInterval> {
    let sorted = trimmed::sorted(values);
    let (low, high) = (*sorted.first()?, *sorted.last()?);
    let value = super::median(&sorted)?;
    let length = sorted.len();
    let reached = |below: usize| 1.0 - 2.0 * tail(length, below);
    // From the middle outwards: the first pair that reaches it is the narrowest.
    let narrowest = (0..length.div_ceil(2)).rev().find(|at| reached(*at) >= confidence);
    let at = narrowest.unwrap_or(0);
    let interval = Interval {
        value,
        low: sorted.get(at).copied().unwrap_or(low),
        high: sorted.get(length - 1 - at).copied().unwrap_or(high),
    };
    Some(MedianInterval { interval, confidence: reached(at).max(0.0) })
}

/// The probability that at most `below` of so many values lie below the median.
fn tail(values: usize, below: usize) -> f64 {
    Binomial::new(0.5, values as u64).map_or(0.5, |binomial| binomial.cdf(below as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pairs_are_those_of_the_published_table() {
        // n, rank of the lower end (from 1), confidence in percent: e.g. Conover, Practical Nonparametric Statistics.
        for (n, rank, percent) in [(5, 1, 93.75), (6, 1, 96.88), (9, 2, 96.09), (12, 3, 96.14), (15, 4, 96.48)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let found = median_interval(&values, 0.95).expect("values");
            assert_eq!((found.interval.low, found.interval.high), (f64::from(rank), f64::from(n + 1 - rank)));
            assert!((found.confidence * 100.0 - percent).abs() < 0.01, "{n}: {}", found.confidence);
        }
    }

    #[test]
    fn few_values_say_how_little_they_know() {
        assert_eq!(median_interval(&[], 0.95), None);
        assert_eq!(median_interval(&[f64::NAN], 0.95), None);
        let one = median_interval(&[3.0], 0.95).expect("a value");
        assert_eq!(one.interval, Interval { value: 3.0, low: 3.0, high: 3.0 });
        assert!(one.confidence < 1e-9, "{}", one.confidence);
        let two = median_interval(&[4.0, 2.0], 0.95).expect("values");
        assert_eq!(two.interval, Interval { value: 3.0, low: 2.0, high: 4.0 });
        assert!((two.confidence - 0.5).abs() < 1e-9, "{}", two.confidence);
    }

    proptest! {
        #[test]
        fn the_median_lies_within(values in proptest::collection::vec(-1e9..1e9_f64, 1..60)) {
            let MedianInterval { interval, confidence } = median_interval(&values, 0.95).expect("values");
            prop_assert!(interval.low <= interval.value && interval.value <= interval.high);
            prop_assert!((0.0..=1.0).contains(&confidence));
        }
    }
}
