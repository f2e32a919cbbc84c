//! Variances that lean on each other.

use statrs::function::gamma::digamma;

/// What the others' variances count for beside one's own, in degrees of freedom, at most.
pub const PRIOR_DEGREES_OF_FREEDOM: f64 = 4.0;
/// No variance is taken as smaller: equal values say that the meter is coarse, not that there is no noise.
const LEAST: f64 = 1e-12;

/// An estimate of a variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variance {
    /// The estimate.
    pub value: f64,
    /// Its degrees of freedom, more than zero.
    pub degrees_of_freedom: f64,
}

/// Each of these variances, drawn towards what the others let expect; `None` stays `None`.
///
/// With few values a variance is luck, and a small one by luck is a false certainty. Smyth's moderated variance
/// `(d0 s0^2 + d s^2) / (d0 + d)` with `d0 + d` degrees of freedom borrows from the others; the prior `s0^2` is
/// estimated from the mean of their logarithms, corrected for the bias of each (Smyth 2004, "Linear models and
/// empirical Bayes methods for assessing differential expression", Stat. Appl. Genet. Mol. Biol. 3, 3.2 and 6.2).
/// `d0` is 4, or as many degrees of freedom as all the others have together: alone, nothing is borrowed.
#[must_use]
pub fn moderated(variances: &[Option<Variance>]) -> Vec<Option<Variance>> {
    let known = || variances.iter().flatten().filter(|one| is_usable(one));
    let count = known().count() as f64;
    let logarithms: f64 = known().map(unbiased_logarithm).sum();
    let degrees: f64 = known().map(|one| one.degrees_of_freedom).sum();
    let of = |own: Variance| {
        if !is_usable(&own) || count < 2.0 {
            return own;
        }
        let prior_degrees = (degrees - own.degrees_of_freedom).clamp(0.0, PRIOR_DEGREES_OF_FREEDOM);
        if prior_degrees <= 0.0 {
            return own;
        }
        let half = prior_degrees / 2.0;
        let mean = (logarithms - unbiased_logarithm(&own)) / (count - 1.0);
        let prior = (mean + digamma(half) - half.ln()).exp();
        let all = prior_degrees + own.degrees_of_freedom;
        let value = (prior_degrees * prior + own.degrees_of_freedom * own.value.max(LEAST)) / all;
        Variance { value, degrees_of_freedom: all }
    };
    variances.iter().map(|one| one.map(of)).collect()
}

fn is_usable(one: &Variance) -> bool {
    one.value.is_finite() && one.degrees_of_freedom > 0.0
}

/// The logarithm of a variance, without the bias that the logarithm of an estimate has.
fn unbiased_logarithm(one: &Variance) -> f64 {
    let half = one.degrees_of_freedom / 2.0;
    one.value.max(LEAST).ln() - digamma(half) + half.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(value: f64, degrees_of_freedom: f64) -> Option<Variance> {
        Some(Variance { value, degrees_of_freedom })
    }

    #[test]
    fn one_alone_borrows_nothing() {
        assert_eq!(moderated(&[of(3.0, 2.0)]), [of(3.0, 2.0)]);
        assert_eq!(moderated(&[None, of(3.0, 2.0)]), [None, of(3.0, 2.0)]);
        assert_eq!(moderated(&[]), []);
    }

    #[test]
    fn who_has_one_other_borrows_what_that_has() {
        let both = moderated(&[of(1.0, 2.0), of(1.0, 3.0)]);
        assert_eq!(both[0].map(|one| one.degrees_of_freedom), Some(5.0));
        assert_eq!(both[1].map(|one| one.degrees_of_freedom), Some(5.0));
    }

    #[test]
    fn a_small_one_is_drawn_up_and_a_large_one_down() {
        let all = moderated(&[of(0.01, 2.0), of(1.0, 2.0), of(1.0, 2.0), of(100.0, 2.0)]);
        let value = |one: usize| all[one].map_or(f64::NAN, |one| one.value);
        assert!(value(0) > 0.1 && value(3) < 50.0, "{all:?}");
    }

    proptest! {
        #[test]
        fn it_lies_between_its_own_and_something_positive(
            values in prop::collection::vec((1e-9..1e3_f64, 1.0..20.0_f64), 1..12)
        ) {
            let given: Vec<_> = values.iter().map(|(value, degrees)| of(*value, *degrees)).collect();
            for (own, drawn) in values.iter().zip(moderated(&given)) {
                let drawn = drawn.expect("it was there");
                prop_assert!(drawn.value.is_finite() && drawn.value > 0.0);
                prop_assert!(drawn.degrees_of_freedom >= own.1);
                prop_assert!(drawn.degrees_of_freedom <= own.1 + PRIOR_DEGREES_OF_FREEDOM + 1e-9);
                let share = own.1 / drawn.degrees_of_freedom;
                prop_assert!(drawn.value >= share * own.0 * (1.0 - 1e-9));
            }
        }

        #[test]
        fn a_unit_changes_nothing(values in prop::collection::vec(1e-3..1e3_f64, 2..8), unit in 1e-2..1e2_f64) {
            let plain = moderated(&values.iter().map(|value| of(*value, 3.0)).collect::<Vec<_>>());
            let scaled = moderated(&values.iter().map(|value| of(value * unit, 3.0)).collect::<Vec<_>>());
            for (plain, scaled) in plain.into_iter().flatten().zip(scaled.into_iter().flatten()) {
                prop_assert!((plain.value * unit / scaled.value - 1.0).abs() < 1e-9);
            }
        }
    }
}
