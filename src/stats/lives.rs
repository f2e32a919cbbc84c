//! Intervals that hold for the next start of a process, too.

use super::Interval;
use super::trimmed::{median, yuen};

/// The interval of the trimmed mean over all lives (groups): the wider of the interval within lives and that between
/// them. `None` below two finite values.
///
/// Processes differ from start to start by more than their blocks do (layout, placement, hash seeds).
/// The values are a two-level sample: with `k` lives, the lives' centres are `k` independent values, and
/// a t interval with `k - 1` degrees of freedom over them is right whatever the ratio of the variances.
/// The centres are medians, and from five lives on they are trimmed, so that neither one disturbed block nor one
/// short and unlucky life makes all lives look different.
///
/// The wider of the two covers at least as often as it says, at whatever ratio of the variances (tested
/// by simulation); choosing between them by a test would not.
#[must_use]
pub fn interval_across_lives(lives: &[Vec<f64>], confidence: f64) -> Option<Interval> {
    let within = yuen(&lives.concat())?;
    let centres: Vec<f64> = lives.iter().filter_map(|life| median(life)).collect();
    let between = yuen(&centres).map_or(0.0, |between| between.half_width(confidence));
    Some(Interval::around(within.mean, within.half_width(confidence).max(between)))
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::super::t_quantile;
    use super::*;

    /// A standard normal draw (Irwin-Hall would do for a mean, not for tails: Box-Muller).
    fn normal(random: &mut ChaCha8Rng) -> f64 {
        let uniform = |random: &mut ChaCha8Rng| (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let (a, b) = (1.0 - uniform(random), uniform(random));
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    fn coverage(lives: usize, blocks: usize, between: f64, confidence: f64) -> f64 {
        const TRIALS: u32 = 2000;
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let hits = (0..TRIALS)
            .filter(|_| {
                let sample: Vec<Vec<f64>> = (0..lives)
                    .map(|_| {
                        let life = between * normal(&mut random);
                        (0..blocks).map(|_| life + normal(&mut random)).collect()
                    })
                    .collect();
                interval_across_lives(&sample, confidence)
                    .is_some_and(|interval| interval.low <= 0.0 && 0.0 <= interval.high)
            })
            .count();
        hits as f64 / f64::from(TRIALS)
    }

    #[test]
    fn it_covers_what_it_says_whatever_the_lives_do() {
        for between in [0.0, 0.3, 1.0, 5.0] {
            for (lives, blocks) in [(3, 3), (3, 4), (5, 6)] {
                let found = coverage(lives, blocks, between, 0.95);
                assert!(found > 0.935, "{lives} lives of {blocks}, between {between}: {found}");
            }
        }
        assert!(coverage(3, 4, 1.0, 0.90) > 0.885);
    }

    #[test]
    fn without_lives_that_differ_it_is_not_much_wider_than_yuen() {
        let lives = [vec![1.0, 1.2, 0.9, 1.1], vec![1.1, 0.95, 1.05, 1.0], vec![1.0, 1.1, 1.05, 0.95]];
        let all: Vec<f64> = lives.iter().flatten().copied().collect();
        let plain = yuen(&all).expect("twelve values").interval(0.95);
        let wide = interval_across_lives(&lives, 0.95).expect("twelve values");
        assert!((wide.value - plain.value).abs() < 1e-12);
        assert!(wide.low <= plain.low && plain.high <= wide.high);
    }

    #[test]
    fn lives_that_differ_widen_it() {
        let lives = [vec![1.0; 4], vec![1.1; 4], vec![1.2; 4]];
        let interval = interval_across_lives(&lives, 0.95).expect("twelve values");
        // Standard error 0.1 / sqrt(3), two degrees of freedom.
        let half_width = t_quantile(0.975, 2.0) * 0.1 / 3_f64.sqrt();
        assert!((interval.high - interval.value - half_width).abs() < 1e-9);
    }

    #[test]
    fn too_little_has_no_interval() {
        assert_eq!(interval_across_lives(&[], 0.95), None);
        assert_eq!(interval_across_lives(&[vec![1.0]], 0.95), None);
        assert_eq!(interval_across_lives(&[vec![f64::NAN], vec![]], 0.95), None);
        assert!(interval_across_lives(&[vec![1.0], vec![1.5]], 0.95).is_some());
    }
}
