//! How a rival stands against the leader: the one rule that the race stops by and the verdict is made of.

use crate::stats::{AcrossLives, Interval, across_lives, interval_across_lives};

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
    let (Some(narrow), Some(wide), Some(widest), Some(both)) = (at(0.90), at(0.95), at(strict), across_lives(lives))
    else {
        return (Standing::Unresolved, None);
    };
    let enough = both.lives() >= LIVES;
    let standing = if enough && narrow.within(margin) {
        Standing::Tied
    } else if (enough && widest.value < -margin && widest.high < 0.0) || is_gross(&both) {
        Standing::Worse
    } else {
        Standing::Unresolved
    };
    (standing, Some(wide))
}

/// Whether the rival is so far behind that few rounds will do, whatever lives they come from.
pub(super) fn is_gross(both: &AcrossLives) -> bool {
    both.within.is_some_and(|within| {
        let interval = within.interval(0.95);
        interval.value < GROSS.0 && interval.high < GROSS.1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: f64 = 0.03;

    fn lives(means: &[f64]) -> Vec<Vec<f64>> {
        means.iter().map(|mean| vec![mean - 0.002, *mean, mean + 0.001, mean + 0.002]).collect()
    }

    #[test]
    fn near_is_tied_far_is_worse_and_between_is_open() {
        assert_eq!(standing(&lives(&[-0.001, 0.0, 0.002]), MARGIN, 1).0, Standing::Tied);
        assert_eq!(standing(&lives(&[-0.10, -0.11, -0.10]), MARGIN, 1).0, Standing::Worse);
        assert_eq!(standing(&lives(&[-0.028, -0.032, -0.030]), MARGIN, 1).0, Standing::Unresolved);
        assert_eq!(standing(&lives(&[-0.10, 0.10, -0.20]), MARGIN, 1).0, Standing::Unresolved);
        assert_eq!(standing(&[], MARGIN, 0), (Standing::Unresolved, None));
    }

    #[test]
    fn few_lives_decide_gross_differences_alone() {
        assert_eq!(standing(&lives(&[0.0, 0.0]), MARGIN, 1).0, Standing::Unresolved);
        assert_eq!(standing(&lives(&[-0.10, -0.10]), MARGIN, 1).0, Standing::Unresolved);
        // Dropped after five rounds, the last of them in a second life.
        assert_eq!(standing(&[vec![-0.7, -0.69, -0.71, -0.70], vec![-0.60]], MARGIN, 5).0, Standing::Worse);
    }

    #[test]
    fn many_rivals_need_clearer_evidence() {
        let close = lives(&[-0.05, -0.07, -0.06]);
        assert_eq!(standing(&close, MARGIN, 1).0, Standing::Worse);
        assert_eq!(standing(&close, MARGIN, 9).0, Standing::Unresolved);
    }
}
