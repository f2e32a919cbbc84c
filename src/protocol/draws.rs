//! Random draws as tables of integers: a function of the seed, the step and the index alone.

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::workload::Distribution;

/// The length of a draw table; task `i` uses entry `i % DRAWS`.
pub const DRAWS: usize = 1024;

/// Strata within which successive draws are spread.
const STRATA: usize = 16;

/// The durations (ns) that tasks draw from `distribution` in step `step`.
///
/// The table holds the [`DRAWS`] mid-quantiles of the distribution, each once, so its mean is the
/// distribution's; any 16 successive entries from a multiple of 16 hold one of each sixteenth of the
/// distribution, in random order, so that short windows see little sampling error.
#[must_use]
pub fn draw_table(distribution: Distribution, seed: u64, step: u64) -> Vec<u64> {
    if let Distribution::Fixed { time_ns } = distribution {
        return vec![time_ns; DRAWS];
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let per_stratum = DRAWS / STRATA;
    let quantile = |position: usize| distribution.quantile_ns((position as f64 + 0.5) / DRAWS as f64);
    let mut strata: Vec<Vec<u64>> =
        (0..STRATA).map(|stratum| (0..per_stratum).map(|i| quantile(stratum * per_stratum + i)).collect()).collect();
    for stratum in &mut strata {
        stratum.shuffle(&mut rng);
    }
    (0..per_stratum)
        .flat_map(|i| {
            let mut group: Vec<u64> = strata.iter().map(|stratum| stratum[i]).collect();
            group.shuffle(&mut rng);
            group
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::protocol::vectors::{Vectors, hex};

    proptest! {
        #[test]
        fn a_table_depends_on_seed_and_step_alone_and_keeps_the_mean(seed: u64, step in 0_u64..8, p50 in 1_000_u64..10_000_000, ratio in 1_u64..8) {
            let distribution = Distribution::Lognormal { p50_ns: p50, p99_ns: p50 * ratio };
            let table = draw_table(distribution, seed, step);
            prop_assert_eq!(table.len(), DRAWS);
            prop_assert_eq!(&table, &draw_table(distribution, seed, step));
            let mean = table.iter().sum::<u64>() as f64 / DRAWS as f64;
            prop_assert!((mean / distribution.mean_ns() - 1.0).abs() < 0.02, "{} {}", mean, distribution.mean_ns());
        }
    }

    fn table(distribution: Distribution, seed: u64, step: u64) -> Value {
        let table = draw_table(distribution, seed, step);
        let bytes: Vec<u8> = table.iter().flat_map(|draw| draw.to_le_bytes()).collect();
        let picks: Vec<Value> =
            [0, 1, 15, 1023, 1024, 5000].into_iter().map(|task| json!([task, table[task % DRAWS]])).collect();
        json!({
            "distribution": distribution,
            "seed": seed,
            "step": step,
            "begin": table[..16],
            "sha256": hex(&Sha256::digest(&bytes)),
            "picks": picks,
        })
    }

    /// Tables go into jobs, so agents never draw; but records are compared whose tables were drawn by other versions.
    #[test]
    fn the_vectors_are_what_is_drawn() {
        let lognormal = Distribution::Lognormal { p50_ns: 10_000_000, p99_ns: 50_000_000 };
        let exponential = Distribution::Exponential { mean_ns: 1_000_000 };
        Vectors::new(
            "draws",
            "The table of a step (from 0) that draws from `distribution`: its first 16 entries, and the SHA-256 of all \
             1024 as little-endian integers of 64 bits. `picks` are a task and what it draws. Jobs hold such tables: no \
             agent draws by itself.",
        )
        .with(
            "tables",
            vec![
                table(Distribution::Fixed { time_ns: 7 }, 1, 0),
                table(lognormal, 1, 0),
                table(lognormal, 1, 1),
                table(lognormal, u64::MAX, 0),
                table(exponential, 1, 0),
            ],
        )
        .hold();
    }

    #[test]
    fn seeds_shuffle_and_fixed_is_fixed() {
        let distribution = Distribution::Exponential { mean_ns: 1_000_000 };
        assert_ne!(draw_table(distribution, 1, 0), draw_table(distribution, 2, 0));
        assert_ne!(draw_table(distribution, 1, 0), draw_table(distribution, 1, 1));
        assert!(draw_table(Distribution::Fixed { time_ns: 7 }, 1, 0).iter().all(|draw| *draw == 7));
    }
}
