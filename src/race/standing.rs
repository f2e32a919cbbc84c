//! How a rival stands against the leader: the one rule that the race stops by and the verdict is made of.

use crate::stats::{Interval, across_lives, interval_across_lives};

/// From so many lives on, what differs between them is in the interval.
pub const LIVES: usize = 3;

/// With fewer lives only gross differences count: an estimate below the first figure and an upper bound
/// below the second (logarithms of a ratio). Starts of one engine differ by a few per cent, not by these.
pub const GROSS: (f64, f64) = (-0.30, -0.15);

/// How a rival stands against the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Equivalent in practice: the 90 % interval lies inside the margin (two one-sided tests at 5 %,
    /// Schuirmann 1987).
    Tied,
    /// Worse: the estimate is beyond the margin, and the whole interval is below zero at a confidence of
    /// 95 % for all rivals together.
    Worse,
    /// Neither can be said.
    Unresolved,
}

/// How a rival stands, from its differences to the leader, `ln(rival / leader)`, paired within rounds and
/// grouped by life; with the 95 % interval. `margin` is `ln(1 + m)`.
///
/// The leader was chosen by its luck, too, and there are `rivals` chances to call an equal one worse: that
/// test is at `1 - 0.05 / rivals` (Bonferroni).
#[must_use]
pub fn standing(lives: &[Vec<f64>], margin: f64, rivals: usize) -> (Standing, Option<Interval>) {
    let strict = 1.0 - 0.05 / rivals.max(1) as f64;
    let at = |confidence: f64| interval_across_lives(lives, confidence);
    let (Some(narrow), Some(wide), Some(widest)) = (at(0.90), at(0.95), at(strict)) else {
        return (Standing::Unresolved, None);
    };
    let enough = across_lives(lives).is_some_and(|both| both.lives() >= LIVES);
    let standing = if enough && narrow.within(margin) {
        Standing::Tied
    } else if enough && widest.value < -margin && widest.high < 0.0 || is_gross(wide) {
        Standing::Worse
    } else {
        Standing::Unresolved
    };
    (standing, Some(wide))
}

/// Whether this 95 % interval is so far below zero that few rounds of one life will do.
pub(super) fn is_gross(interval: Interval) -> bool {
    interval.value < GROSS.0 && interval.high < GROSS.1
}
