//! Estimators, intervals and histogram maths: pure, and without a word of this crate.
//!
//! What a shared host does to measurements is heavy tails, drift, and differences from one start of a
//! process to the next. So the estimator is the 20 % trimmed mean, its error is Yuen's, and an interval
//! that is to hold for the next start too is that of [`interval_across_lives`].

mod histogram;
mod lives;
mod order;
mod ranks;
mod skew;
mod trimmed;

pub use histogram::{merged, percentile};
pub use lives::interval_across_lives;
pub use order::{MedianInterval, median_interval};
pub use ranks::below_zero;
pub use skew::Skew;
pub use trimmed::{TRIM, Trimmed, median, t_quantile, trimmed_mean, yuen};

/// An estimate with an interval around it; `low <= value <= high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The interval `value +- half_width`.
    #[must_use]
    pub fn around(value: f64, half_width: f64) -> Interval {
        Interval { value, low: value - half_width, high: value + half_width }
    }

    /// Whether the whole interval is closer to zero than `margin`.
    #[must_use]
    pub fn within(&self, margin: f64) -> bool {
        -margin < self.low && self.high < margin
    }

    /// The interval of a quantity whose logarithm this is the interval of.
    #[must_use]
    pub fn exp(self) -> Interval {
        Interval { value: self.value.exp(), low: self.low.exp(), high: self.high.exp() }
    }
}
