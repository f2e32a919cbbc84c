//! A fit of the Universal Scalability Law.

use super::Scalability;

/// With fewer points than the law has parameters, it fits whatever was measured.
const FEWEST: usize = 3;
/// A parameter that lowers the mean squared relative residual by less than this stands for rounding alone.
const ROUNDING: f64 = 1e-12;
/// A peak beyond the largest size times this was not measured and is not said.
const REACH: f64 = 2.0;

/// Fits `X(n) = g n / (1 + s (n - 1) + k n (n - 1))` (Gunther 1993; "Guerrilla Capacity Planning", 2007, chapter 4)
/// to points (n, X), `s` and `k` not below zero.
///
/// Written as `n / X = a + b (n - 1) + c n (n - 1)` with `a = 1 / g`, `b = s / g` and `c = k / g`, the law is linear
/// in its parameters. Each equation is divided by its `n / X`, so that residuals are relative; of the least squares
/// with none, one or both of `b` and `c` held at zero, the best that is not negative is the constrained optimum, since
/// the problem is convex.
///
/// `None` for fewer than three points above zero, and where no finite fit exists.
pub(super) fn fit(points: &[(u32, f64)]) -> Option<Scalability> {
    let points: Vec<(f64, f64)> = points
        .iter()
        .filter(|(size, speed)| *size > 0 && speed.is_finite() && *speed > 0.0)
        .map(|(size, speed)| (f64::from(*size), *speed))
        .collect();
    if points.len() < FEWEST {
        return None;
    }
    let largest = points.iter().map(|point| point.0).fold(0.0, f64::max);
    let fastest = points.iter().map(|point| point.1).fold(0.0, f64::max);
    // In units of the fastest, and of each column's largest, nothing overflows that need not.
    let scales = [1.0, (largest - 1.0).max(1.0), (largest * (largest - 1.0)).max(1.0)];
    let columns: Vec<Vec<f64>> = (0..3)
        .map(|term| {
            let of =
                |(n, speed): &(f64, f64)| [1.0, n - 1.0, n * (n - 1.0)][term] / scales[term] * (speed / fastest) / n;
            points.iter().map(of).collect()
        })
        .collect();
    let mut best: Option<([f64; 3], f64)> = None;
    for terms in [&[0][..], &[0, 1], &[0, 2], &[0, 1, 2]] {
        let Some(found) = least_squares(&columns, terms) else { continue };
        let is_legal = found.iter().all(|it| it.is_finite() && *it >= 0.0) && found[0] > 0.0;
        let error = mean_squared_residual(&columns, found);
        if is_legal && error.is_finite() && best.is_none_or(|(_, least)| error < least - ROUNDING) {
            best = Some((found, error));
        }
    }
    let (found, _) = best?;
    let [a, b, c] = [0, 1, 2].map(|term| found[term] / scales[term]);
    let (gamma_per_s, sigma, kappa) = (fastest / a, b / a, c / a);
    let law = |n: f64| gamma_per_s * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0));
    let deviation = points.iter().map(|(n, speed)| (law(*n) / speed - 1.0).abs()).fold(0.0, f64::max);
    let all = [gamma_per_s, sigma, kappa, deviation];
    all.iter().all(|it| it.is_finite()).then(|| Scalability {
        gamma_per_s,
        sigma,
        kappa,
        peak: peak(sigma, kappa, largest),
        deviation,
    })
}

/// Where the derivative of the law is zero, `sqrt((1 - s) / k)`, if that is near what was measured.
fn peak(sigma: f64, kappa: f64, largest: f64) -> Option<u32> {
    let size = ((1.0 - sigma) / kappa).sqrt().round();
    // No peak makes it infinite or NaN, which lies in no range.
    (1.0..=REACH * largest).contains(&size).then_some(size as u32)
}

/// Coefficients that bring the sum of these columns nearest to one in each row; those of other columns are zero.
/// `None` where the columns are not independent. By the modified Gram-Schmidt process, which is as exact as
/// Householder's here (Björck 1967).
fn least_squares(columns: &[Vec<f64>], terms: &[usize]) -> Option<[f64; 3]> {
    let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
    let mut right: Vec<f64> = vec![1.0; columns.first()?.len()];
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut triangle: Vec<Vec<f64>> = Vec::new();
    let mut projections: Vec<f64> = Vec::new();
    for term in terms {
        let column = columns.get(*term)?;
        let mut rest = column.clone();
        let mut above = Vec::new();
        for direction in &basis {
            let share = dot(direction, &rest);
            rest.iter_mut().zip(direction).for_each(|(it, along)| *it -= share * along);
            above.push(share);
        }
        let norm = dot(&rest, &rest).sqrt();
        // What is left of a dependent column is rounding.
        if norm.is_nan() || norm <= 1e-10 * dot(column, column).sqrt() {
            return None;
        }
        rest.iter_mut().for_each(|it| *it /= norm);
        let projection = dot(&rest, &right);
        right.iter_mut().zip(&rest).for_each(|(it, along)| *it -= projection * along);
        above.push(norm);
        basis.push(rest);
        triangle.push(above);
        projections.push(projection);
    }
    let mut found = [0.0; 3];
    for (at, term) in terms.iter().enumerate().rev() {
        let known: f64 = (at + 1..terms.len()).map(|later| triangle[later][at] * found[terms[later]]).sum();
        found[*term] = (projections[at] - known) / triangle[at][at];
    }
    Some(found)
}

fn mean_squared_residual(columns: &[Vec<f64>], found: [f64; 3]) -> f64 {
    let rows = columns.first().map_or(0, Vec::len);
    let residual = |row: usize| 1.0 - columns.iter().zip(found).map(|(column, it)| column[row] * it).sum::<f64>();
    (0..rows).map(|row| residual(row).powi(2)).sum::<f64>() / rows as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZES: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

    fn made(sizes: &[u32], gamma: f64, sigma: f64, kappa: f64) -> Vec<(u32, f64)> {
        let law = |n: f64| gamma * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0));
        sizes.iter().map(|size| (*size, law(f64::from(*size)))).collect()
    }

    #[test]
    fn what_is_linear_has_neither_contention_nor_coherency() {
        let found = fit(&made(&SIZES, 96.0, 0.0, 0.0)).expect("a fit");
        assert!((found.gamma_per_s - 96.0).abs() < 1e-9, "{found:?}");
        assert_eq!((found.sigma, found.kappa, found.peak), (0.0, 0.0, None));
    }

    #[test]
    fn what_is_flat_is_serial() {
        let found = fit(&made(&SIZES, 96.0, 1.0, 0.0)).expect("a fit");
        assert!((found.sigma - 1.0).abs() < 1e-9, "{found:?}");
        assert_eq!((found.kappa, found.peak), (0.0, None));
    }

    #[test]
    fn what_is_faster_than_linear_stays_legal() {
        let found = fit(&[(1, 10.0), (2, 30.0), (4, 100.0)]).expect("a fit");
        assert_eq!((found.sigma, found.kappa), (0.0, 0.0));
        assert!(found.deviation > 0.2, "{found:?}");
    }

    #[test]
    fn two_points_are_too_few() {
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&[(1, 10.0), (2, 20.0)]), None);
        assert_eq!(fit(&[(1, 10.0), (2, 20.0), (4, 0.0), (8, f64::NAN)]), None);
        // The same size thrice says nothing of scaling, but is no fault.
        assert_eq!(fit(&[(4, 10.0), (4, 10.0), (4, 10.0)]).map(|found| found.sigma), Some(0.0));
    }

    #[test]
    fn a_peak_far_beyond_the_measured_is_not_said() {
        // It is at sqrt(0.98 / 0.0001) = 99.
        assert_eq!(fit(&made(&SIZES, 96.0, 0.02, 0.0001)).and_then(|found| found.peak), Some(99));
        assert_eq!(fit(&made(&SIZES[..6], 96.0, 0.02, 0.0001)).and_then(|found| found.peak), None);
    }

    proptest! {
        #[test]
        fn points_of_the_law_give_it_back(
            gamma in 1e-3..1e9_f64, sigma in 0.0..1.0_f64, kappa in 0.0..0.1_f64,
            sizes in prop::sample::subsequence(SIZES.to_vec(), 3..=SIZES.len()),
        ) {
            let found = fit(&made(&sizes, gamma, sigma, kappa)).expect("a fit");
            prop_assert!(found.deviation < 1e-4, "{:?}", found);
            prop_assert!((found.gamma_per_s / gamma - 1.0).abs() < 0.01, "{:?}", found);
            prop_assert!((found.sigma - sigma).abs() < 0.01, "{:?}", found);
            prop_assert!((found.kappa - kappa).abs() < 0.001, "{:?}", found);
        }

        #[test]
        fn whatever_is_measured_no_figure_is_without_a_value(
            points in prop::collection::vec((any::<u32>(), prop_oneof![prop::num::f64::ANY, 0.1..1e6_f64]), 0..12),
        ) {
            if let Some(found) = fit(&points) {
                for figure in [found.gamma_per_s, found.sigma, found.kappa, found.deviation] {
                    prop_assert!(figure.is_finite() && figure >= 0.0, "{:?}", found);
                }
                let largest = points.iter().map(|point| u64::from(point.0)).max().unwrap_or(0);
                prop_assert!(found.peak.is_none_or(|peak| u64::from(peak) <= 2 * largest), "{:?}", found);
            }
        }
    }
}
