//! The timing of loops: how often a call is made so that the clock does not matter, and what is taken off.
//!
//! An item hands over a function that makes a given number of calls in a plain `for` loop, as a user would write it. The
//! clock is read before and after the loop, never within. What the two readings and an empty loop cost is taken off. The
//! Python half (`timing.py`) does the same.

use std::hint::black_box;
use std::time::Instant;

use super::{Measured, Unavailable};
use crate::clock::now_ns;
use crate::stats;

/// A loop takes at least so long: some thousand times what a reading of the clock takes, and much less than the time that
/// the scheduler lets a thread run on a busy machine, so that most loops are not interrupted.
const LOOP_NS: u64 = 500_000;
/// So long all loops of an item take together, if five of them take no longer.
const BUDGET_NS: u64 = 18_000_000;
/// How many loops there are at least and at most. Their median is the figure.
const FEWEST_LOOPS: u64 = 5;
const MOST_LOOPS: u64 = 90;
/// No loop makes more calls.
const MOST_CALLS: u64 = 100_000_000;

/// Times loops.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    /// What is measured of a loop that makes no call.
    overhead_ns: f64,
    /// What an empty loop takes for each of its turns.
    turn_ns: f64,
}

impl Meter {
    pub(super) fn new() -> Meter {
        let mut meter = Meter { overhead_ns: 0.0, turn_ns: 0.0 };
        let readings: Vec<f64> = (0..51).map(|_| timed(&mut empty, 0).unwrap_or_default() as f64).collect();
        meter.overhead_ns = stats::median(&readings).unwrap_or_default();
        meter.turn_ns = meter.per_loop(empty).unwrap_or_default();
        meter
    }

    /// Nanoseconds of one call.
    pub(super) fn per_call(&self, mut call: impl FnMut()) -> Measured {
        self.per_loop(|calls| {
            for _ in 0..calls {
                call();
            }
            Ok(())
        })
    }

    /// Nanoseconds of one call that may fail.
    pub(super) fn per_try<E: Into<Unavailable>>(&self, mut call: impl FnMut() -> Result<(), E>) -> Measured {
        self.per_loop(|calls| (0..calls).try_for_each(|_| call().map_err(Into::into)))
    }

    /// Nanoseconds of one of the calls of a loop, which makes as many as it is told.
    pub(super) fn per_loop(&self, mut run: impl FnMut(u64) -> Result<(), Unavailable>) -> Measured {
        // The first call finds nothing ready, so it does not count.
        let mut calls = 1;
        let mut elapsed_ns = timed(&mut run, calls)?;
        while elapsed_ns < LOOP_NS && calls < MOST_CALLS {
            // A short loop tells little of a long one: it grows step by step, a little beyond what is needed.
            let needed = (1.1 * calls as f64 * LOOP_NS as f64 / elapsed_ns.max(1) as f64) as u64 + 1;
            calls = needed.min(16 * calls).min(MOST_CALLS);
            elapsed_ns = timed(&mut run, calls)?;
        }
        let loops = (BUDGET_NS / elapsed_ns.max(1)).clamp(FEWEST_LOOPS, MOST_LOOPS);
        let mut samples = Vec::new();
        for _ in 0..loops {
            samples.push((timed(&mut run, calls)? as f64 - self.overhead_ns) / calls as f64);
        }
        let median = stats::median(&samples).unwrap_or_default();
        Ok((median - self.turn_ns).max(0.0))
    }
}

fn timed(run: &mut impl FnMut(u64) -> Result<(), Unavailable>, calls: u64) -> Result<u64, Unavailable> {
    let start_ns = now_ns();
    run(calls)?;
    Ok(now_ns() - start_ns)
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for loops that may fail")]
fn empty(calls: u64) -> Result<(), Unavailable> {
    for turn in 0..calls {
        black_box(turn);
    }
    Ok(())
}

/// How long something takes that is run once, in milliseconds.
pub(super) fn ms<T>(run: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_does_not_count_and_the_loops_are_long_enough() {
        let meter = Meter { overhead_ns: 0.0, turn_ns: 0.0 };
        let mut loops = Vec::new();
        let ns = meter.per_loop(|calls| {
            loops.push(calls);
            // What is asked for is slept at least.
            std::thread::sleep(std::time::Duration::from_micros(200 * calls));
            Ok(())
        });
        assert!(ns.expect("measured") >= 200_000.0);
        assert_eq!(loops.first(), Some(&1));
        let last = *loops.last().expect("loops");
        assert!(loops.iter().filter(|calls| **calls == last).count() > FEWEST_LOOPS as usize);
    }

    #[test]
    fn a_failure_is_handed_on_and_nothing_is_less_than_no_time() {
        let meter = Meter { overhead_ns: 1e9, turn_ns: 1e9 };
        assert_eq!(meter.per_call(|| {}).expect("measured"), 0.0);
        let failed = meter.per_try(|| Err(std::io::Error::other("on purpose")));
        assert_eq!(failed.expect_err("failed").to_string(), "it failed here: on purpose");
    }
}
