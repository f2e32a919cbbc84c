//! Distributions of durations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A distribution of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "distribution", rename_all = "lowercase", deny_unknown_fields)]
pub enum Distribution {
    /// Always the same.
    Fixed {
        /// The duration.
        time_ns: u64,
    },
    /// Log-normal, given by its median and its 99th percentile; `p99_ns >= p50_ns > 0`.
    Lognormal {
        /// The median.
        p50_ns: u64,
        /// The 99th percentile.
        p99_ns: u64,
    },
    /// Exponential, given by its mean.
    Exponential {
        /// The mean.
        mean_ns: u64,
    },
}

impl Distribution {
    /// The mean, in nanoseconds. For the log-normal, exp(mu + sigma^2 / 2).
    #[must_use]
    pub fn mean_ns(self) -> f64 {
        match self {
            Distribution::Fixed { time_ns } => time_ns as f64,
            Distribution::Exponential { mean_ns } => mean_ns as f64,
            Distribution::Lognormal { p50_ns, p99_ns } => {
                let sigma = (p99_ns as f64 / p50_ns as f64).ln() / Z99;
                p50_ns as f64 * (sigma * sigma / 2.0).exp()
            }
        }
    }

    /// The quantile at `probability` (0 to 1, exclusive), in nanoseconds.
    #[must_use]
    pub fn quantile_ns(self, probability: f64) -> u64 {
        use statrs::distribution::{ContinuousCDF as _, Normal};
        match self {
            Distribution::Fixed { time_ns } => time_ns,
            Distribution::Exponential { mean_ns } => (-(mean_ns as f64) * (1.0 - probability).ln()).round() as u64,
            Distribution::Lognormal { p50_ns, p99_ns } => {
                let sigma = (p99_ns as f64 / p50_ns as f64).ln() / Z99;
                let z = Normal::standard().inverse_cdf(probability);
                (p50_ns as f64 * (sigma * z).exp()).round() as u64
            }
        }
    }
}

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;
