//! The clock and precise waits: `CLOCK_MONOTONIC` in nanoseconds, the same in all processes.

mod timer;
mod wait;

pub use timer::Timer;
pub use wait::{wait_blocking_until, wait_with_default_slack};

use std::time::Duration;

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
#[must_use]
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The clock's smallest step in nanoseconds, as the kernel states it.
#[must_use]
pub fn resolution_ns() -> u64 {
    let resolution = rustix::time::clock_getres(rustix::time::ClockId::Monotonic);
    resolution.tv_sec as u64 * 1_000_000_000 + resolution.tv_nsec as u64
}

/// What one reading of the clock costs, in nanoseconds: the best of many runs.
#[must_use]
pub fn cost_ns() -> f64 {
    const READINGS: u32 = 1000;
    (0..20)
        .map(|_| {
            let start = now_ns();
            for _ in 0..READINGS {
                std::hint::black_box(now_ns());
            }
            (now_ns() - start) as f64 / f64::from(READINGS)
        })
        .fold(f64::INFINITY, f64::min)
}

/// Nanoseconds of a duration, at most `u64::MAX`.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of a process and all its threads, ended ones too, in nanoseconds; `None` if there is no such process.
///
/// It is the scheduler's own account (`clock_getcpuclockid`), not one of ticks.
#[must_use]
pub fn process_cpu_ns(pid: u32) -> Option<u64> {
    // To the kernel, 0 is the process that asks: here it is no process.
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0)?;
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both pointers are to initialised locals of the right types, which outlive the calls.
    let read = unsafe {
        libc::clock_getcpuclockid(pid, &raw mut clock) == 0 && libc::clock_gettime(clock, &raw mut time) == 0
    };
    read.then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
