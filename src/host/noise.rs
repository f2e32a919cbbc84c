//! How steady this host is right now: the same small loop, over and over.

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::now_ns;

/// How long the probe takes.
const PROBE_NS: u64 = 200_000_000;

/// How long one loop should take: long against a reading of the clock, short against a scheduler's slice.
const LOOP_NS: u64 = 20_000;

/// What the probe saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Noise {
    /// How many loops ran.
    pub loops: u64,
    /// The median time of a loop.
    pub median_ns: u64,
    /// From the 10th to the 90th percentile, as a share of the median.
    pub spread: f64,
    /// The longest loop's time beyond the median: the longest that something else had the CPU.
    pub largest_gap_ns: u64,
}

/// Runs the probe on this thread, for about 200 ms.
#[must_use]
pub fn probe() -> Noise {
    let rounds = rounds();
    let end = now_ns() + PROBE_NS;
    let mut times = Vec::with_capacity((PROBE_NS / LOOP_NS) as usize * 2);
    let mut before = now_ns();
    while before < end {
        spin(rounds);
        let after = now_ns();
        times.push(after - before);
        before = after;
    }
    summarise(times)
}

/// How many loops a [`SpeedProbe`] is read by: so many that one at least is not interrupted.
const READINGS: usize = 50;

/// A fixed computation, whose time tells how fast this host computes now.
#[derive(Clone, Copy, Debug)]
pub struct SpeedProbe {
    rounds: u64,
}

impl SpeedProbe {
    /// One of about 20 us on this host.
    #[must_use]
    pub fn new() -> SpeedProbe {
        SpeedProbe { rounds: rounds() }
    }

    /// Its time on this thread, the lower quartile of fifty: about a millisecond in all. What interrupts it does
    /// not count, what slows it down does.
    #[must_use]
    pub fn read_ns(&self) -> u64 {
        let mut times: Vec<u64> = (0..READINGS).map(|_| timed(self.rounds)).collect();
        times.sort_unstable();
        times[READINGS / 4]
    }
}

impl Default for SpeedProbe {
    fn default() -> Self {
        SpeedProbe::new()
    }
}

/// The number of rounds that take about [`LOOP_NS`], undisturbed.
fn rounds() -> u64 {
    let mut rounds = 64;
    loop {
        let best = (0..5).map(|_| timed(rounds)).min().unwrap_or(LOOP_NS);
        if best >= LOOP_NS || rounds >= 1 << 30 {
            return rounds;
        }
        rounds *= 2;
    }
}

fn timed(rounds: u64) -> u64 {
    let start = now_ns();
    spin(rounds);
    now_ns() - start
}

/// Each round needs the one before it, so that nothing is computed ahead or left out.
fn spin(rounds: u64) {
    let mut state = std::hint::black_box(1_u64);
    for _ in 0..rounds {
        state = std::hint::black_box(state.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(7));
    }
}

fn summarise(mut times: Vec<u64>) -> Noise {
    times.sort_unstable();
    let (Some(last), Some(median)) = (times.last(), times.get(times.len() / 2)) else { return Noise::default() };
    let tenth = times[times.len() / 10];
    let ninetieth = times[times.len() * 9 / 10];
    Noise {
        loops: times.len() as u64,
        median_ns: *median,
        spread: (ninetieth - tenth) as f64 / (*median).max(1) as f64,
        largest_gap_ns: last - median,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_middle_spread_and_worst() {
        let noise = summarise((1..=100).rev().collect());
        assert_eq!(noise, Noise { loops: 100, median_ns: 51, spread: 80.0 / 51.0, largest_gap_ns: 49 });
        assert_eq!(summarise(vec![7]), Noise { loops: 1, median_ns: 7, spread: 0.0, largest_gap_ns: 0 });
        assert_eq!(summarise(Vec::new()), Noise::default());
    }
}
