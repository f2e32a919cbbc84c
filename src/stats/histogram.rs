//! HDR histograms: merging them, and percentiles that enough samples stand behind.

use hdrhistogram::{AdditionError, Histogram};

/// All the samples of these histograms in one that resizes itself, so that nothing is clamped. Without
/// any histogram, `None`.
///
/// # Errors
/// When two histograms cannot be added.
pub fn merged<'a>(
    histograms: impl IntoIterator<Item = &'a Histogram<u64>>,
) -> Result<Option<Histogram<u64>>, AdditionError> {
    let mut histograms = histograms.into_iter();
    let Some(first) = histograms.next() else {
        return Ok(None);
    };
    let mut all = first.clone();
    all.auto(true);
    for histogram in histograms {
        all.add(histogram)?;
    }
    Ok(Some(all))
}

/// The value at `quantile` (0.99 for the 99th percentile), when at least `10 / (1 - quantile)` samples
/// stand behind it: with fewer it would hang on a handful of tasks.
#[must_use]
pub fn percentile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    let needed = 10.0 / (1.0 - quantile);
    // A nearly whole number of samples (10 / (1 - 0.999) = 9999.99..) is rounded.
    (needed.is_finite() && histogram.len() as f64 + 0.5 >= needed).then(|| histogram.value_at_quantile(quantile))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).expect("three digits are legal");
        for value in values {
            histogram.record(*value).expect("resizes");
        }
        histogram
    }

    #[test]
    fn a_percentile_needs_its_samples() {
        for (quantile, needed) in [(0.5, 20), (0.9, 100), (0.99, 1000), (0.999, 10_000)] {
            let values: Vec<u64> = (1..=needed).collect();
            assert!(percentile(&of(&values), quantile).is_some(), "{quantile}");
            assert_eq!(percentile(&of(&values[1..]), quantile), None, "{quantile}");
        }
        assert_eq!(percentile(&of(&[1, 2]), 1.0), None);
    }

    proptest! {
        #[test]
        fn merging_is_recording_in_one(
            left in prop::collection::vec(1..u64::MAX / 4, 0..50), right in prop::collection::vec(1..u64::MAX / 4, 0..50),
        ) {
            let both: Vec<u64> = left.iter().chain(&right).copied().collect();
            let merged = merged([&of(&left), &of(&right)]).expect("adds").expect("two of them");
            let direct = of(&both);
            prop_assert_eq!(merged.len(), direct.len());
            prop_assert_eq!(merged.max(), direct.max());
            for quantile in [0.1, 0.5, 0.9, 1.0] {
                prop_assert_eq!(merged.value_at_quantile(quantile), direct.value_at_quantile(quantile));
            }
        }
    }
}
