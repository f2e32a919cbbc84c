//! How many tasks of a candidate may fail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far beyond what it expects, in standard deviations, a share is broken beyond doubt.
const DEVIATIONS: f64 = 3.0;

/// The limit on tasks that fail, over all of a candidate's blocks that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ErrorLimit {
    /// At most so many tasks. With 0, the first task that fails is the failure of its candidate.
    Tasks(u64),
    /// At most this share of the tasks, 0 to 1 (0.01 is 1 %).
    Share(f64),
}

impl Default for ErrorLimit {
    fn default() -> ErrorLimit {
        ErrorLimit::Tasks(0)
    }
}

impl ErrorLimit {
    /// Whether no task may fail, which is the default.
    #[must_use]
    pub fn is_none(&self) -> bool {
        match *self {
            ErrorLimit::Tasks(most) => most == 0,
            ErrorLimit::Share(most) => most <= 0.0,
        }
    }

    /// Whether a task that fails is counted, and its block goes on.
    #[must_use]
    pub fn tolerates(&self) -> bool {
        !self.is_none()
    }

    /// Whether `errors` failed tasks of `tasks` break the limit beyond doubt: a share lies three standard deviations of a
    /// binomial count above it, so that more tasks would hardly change that.
    #[must_use]
    pub fn is_broken(&self, errors: u64, tasks: u64) -> bool {
        match *self {
            ErrorLimit::Tasks(most) => errors > most,
            ErrorLimit::Share(most) => {
                let tasks = tasks as f64;
                let spread = (tasks * most * (1.0 - most)).max(0.0).sqrt();
                errors as f64 > most * tasks + DEVIATIONS * spread
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_broken_above_it_and_a_share_beyond_doubt() {
        let count = ErrorLimit::Tasks(3);
        assert_eq!((count.is_broken(3, 10), count.is_broken(4, 1000)), (false, true));
        let share = ErrorLimit::Share(0.05);
        assert_eq!((share.is_broken(11, 200), share.is_broken(20, 200), share.is_broken(0, 0)), (false, true, false));
        assert_eq!((share.is_broken(104, 2000), share.is_broken(131, 2000)), (false, true));
        assert!(ErrorLimit::Tasks(0).is_none() && ErrorLimit::Share(0.0).is_none() && !share.is_none());
        assert!(ErrorLimit::default().is_broken(1, 1000));
    }

    #[test]
    fn few_tasks_put_nobody_out_by_a_share() {
        let share = ErrorLimit::Share(0.05);
        assert!(!share.is_broken(1, 14) && share.is_broken(7, 14));
        assert!(!ErrorLimit::Share(0.2).is_broken(20, 200));
        assert!(!ErrorLimit::Share(1.0).is_broken(200, 200));
    }
}
