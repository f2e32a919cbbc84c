//! Blocking waits.

use std::cell::Cell;
use std::time::Duration;

use rustix::time::{ClockId, Timespec};

thread_local! {
    static PRECISE: Cell<bool> = const { Cell::new(false) };
}

/// Blocks until the clock shows `deadline_ns`, with the kernel's timer slack (50 us by default) taken
/// away from this thread, so that a waiting thread wakes as precisely as an event loop's timerfd.
pub fn wait_blocking_until(deadline_ns: u64) {
    set_precise(true);
    let deadline =
        Timespec { tv_sec: (deadline_ns / 1_000_000_000) as i64, tv_nsec: (deadline_ns % 1_000_000_000) as i64 };
    // Interrupted by a signal: the deadline is absolute, so the wait just goes on.
    while rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &deadline) == Err(rustix::io::Errno::INTR) {}
}

/// `std::thread::sleep` with the slack that a thread has by default, whatever waited before on it.
pub fn wait_with_default_slack(time: Duration) {
    set_precise(false);
    std::thread::sleep(time);
}

/// Sets this thread's timer slack, once: 1 ns, or the default that it was born with.
fn set_precise(precise: bool) {
    if PRECISE.replace(precise) != precise {
        // 0 stands for the thread's default. A kernel that refuses leaves the default in force.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(u64::from(precise)));
    }
}
