//! Whether few tasks hold most of the time.

use hdrhistogram::Histogram;

/// A task is long that takes so many times the median.
const LONG: f64 = 4.0;
/// Times are skewed where so few of the tasks are long
const FEW: f64 = 0.2;
/// and they hold this share of the time.
const SKEWED: f64 = 0.4;

/// The few tasks that hold most of the time of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skew {
    /// The share of the tasks that are long.
    pub share_of_tasks: f64,
    /// The share of the time that these hold.
    pub share_of_time: f64,
    /// What the longest takes.
    pub longest_ns: u64,
}

impl Skew {
    /// Of these service times (ns); `None` where they are not skewed.
    #[must_use]
    pub fn of(service: &Histogram<u64>) -> Option<Skew> {
        let least_ns = LONG * service.value_at_quantile(0.5) as f64;
        let (mut all_ns, mut long_ns, mut long) = (0.0, 0.0, 0_u64);
        for step in service.iter_recorded() {
            let (each_ns, count) = (step.value_iterated_to() as f64, step.count_at_value());
            all_ns += each_ns * count as f64;
            if each_ns > least_ns {
                long_ns += each_ns * count as f64;
                long = long.saturating_add(count);
            }
        }
        let skew = Skew {
            share_of_tasks: long as f64 / service.len() as f64,
            share_of_time: long_ns / all_ns,
            longest_ns: service.max(),
        };
        (long > 0 && skew.share_of_time >= SKEWED && skew.share_of_tasks <= FEW).then_some(skew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew(times: &[(u64, u64)]) -> Option<Skew> {
        let mut service = Histogram::new(3).expect("three digits are legal");
        times.iter().for_each(|(ns, count)| service.record_n(*ns, *count).expect("resizes"));
        Skew::of(&service)
    }

    #[test]
    fn few_that_hold_most_of_the_time_are_found() {
        let few = skew(&[(500, 1000), (400_000, 10)]).expect("it is skewed");
        assert!((few.share_of_tasks - 10.0 / 1010.0).abs() < 1e-9 && few.longest_ns >= 400_000, "{few:?}");
        assert!((few.share_of_time - 4.0e6 / 4.5e6).abs() < 1e-3, "{few:?}");
    }

    #[test]
    fn even_times_many_long_ones_and_none_are_no_skew() {
        assert_eq!(skew(&[(500, 100), (1500, 20)]), None);
        assert_eq!(skew(&[(500, 100), (50_000, 80)]), None);
        assert_eq!(skew(&[(500, 1000), (50_000, 1)]), None);
        assert_eq!(skew(&[]), None);
    }
}
