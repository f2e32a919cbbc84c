//! Rounds, in which everything that is compared runs once.

use super::arm::{Arm, LawError};
use crate::stats;

/// Rounds behind each median.
pub(super) const ROUNDS: usize = 9;

/// The median, or NaN of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    stats::median(values).unwrap_or(f64::NAN)
}

/// The median rate of each arm over rounds in which each runs one window.
pub(super) fn rates(arms: &mut [Arm], window_ns: u64) -> Result<Vec<f64>, LawError> {
    let mut rates = vec![Vec::with_capacity(ROUNDS); arms.len()];
    for _ in 0..ROUNDS {
        for (arm, rates) in arms.iter_mut().zip(&mut rates) {
            rates.push(arm.rate(window_ns)?);
        }
    }
    Ok(rates.iter().map(|rates| median(rates)).collect())
}
