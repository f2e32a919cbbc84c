//! Signed ranks (F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945).

use statrs::function::erf::erfc;

/// Of more values the exact sum has no more to say than the normal distribution.
const MOST_EXACT: usize = 30;

/// How probable it is that signed ranks of so many symmetrically distributed values around zero have a sum of the positive
/// ones as small as that of `values`: small where they lie below zero. Exact up to 30 values, but for ties, which are ranked
/// in their order; by the normal distribution, with the correction for continuity, beyond. 1 where no value differs from zero.
#[must_use]
pub fn below_zero(values: &[f64]) -> f64 {
    let mut sizes: Vec<f64> = values.iter().copied().filter(|value| *value != 0.0).collect();
    // Of equal sizes the positive ones come last: they then count for more, and the answer is the careful one.
    sizes.sort_by(|a, b| a.abs().total_cmp(&b.abs()).then(a.total_cmp(b)));
    let positive: usize = (1..=sizes.len()).filter(|rank| sizes[rank - 1] > 0.0).sum();
    if sizes.len() > MOST_EXACT {
        let count = sizes.len() as f64;
        let mean = count * (count + 1.0) / 4.0;
        let deviation = (count * (count + 1.0) * (2.0 * count + 1.0) / 24.0).sqrt();
        return 0.5 * erfc((mean - positive as f64 - 0.5) / deviation / std::f64::consts::SQRT_2);
    }
    // How many of the equally probable signs give each sum, as shares.
    let mut shares = vec![0.0; sizes.len() * (sizes.len() + 1) / 2 + 1];
    shares[0] = 1.0;
    for rank in 1..=sizes.len() {
        for sum in (0..shares.len()).rev() {
            let with = if sum >= rank { shares[sum - rank] } else { 0.0 };
            shares[sum] = (shares[sum] + with) / 2.0;
        }
    }
    shares[..=positive].iter().sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_sums_have_their_probability() {
        assert!((below_zero(&[-1.0; 8]) - 1.0 / 256.0).abs() < 1e-12);
        // Of 256 signs of eight ranks, two have a sum of at most one.
        assert!((below_zero(&[0.1, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0]) - 2.0 / 256.0).abs() < 1e-12);
        assert!((below_zero(&[-1.0, 2.0]) - 0.75).abs() < 1e-12);
        assert_eq!((below_zero(&[]), below_zero(&[0.0, 0.0])), (1.0, 1.0));
    }

    #[test]
    fn the_normal_distribution_goes_on_where_exact_sums_end() {
        let shifted = |count: usize| -> Vec<f64> { (0..count).map(|at| (at as f64 * 0.618).fract() - 0.7).collect() };
        let (exact, normal) = (below_zero(&shifted(MOST_EXACT)), below_zero(&shifted(MOST_EXACT + 1)));
        assert!((exact / normal).ln().abs() < 0.7, "{exact} and {normal}");
    }

    proptest! {
        #[test]
        fn it_is_a_probability_and_falls_with_the_values(values in prop::collection::vec(-1.0..1.0_f64, 1..40)) {
            let share = below_zero(&values);
            prop_assert!(share > 0.0 && share <= 1.0);
            let lower: Vec<f64> = values.iter().map(|value| value - 0.5).collect();
            prop_assert!(below_zero(&lower) <= share + 1e-12);
        }
    }
}
