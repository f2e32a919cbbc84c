//! An observer with the CPU time that it takes.

use rustix::time::{ClockId, clock_gettime};

use super::{Event, Observer};

/// Passes events on, and adds up the CPU time of those who are told.
pub(super) struct Metered<'a> {
    inner: &'a mut dyn Observer,
    cpu_ns: u64,
}

impl<'a> Metered<'a> {
    pub(super) fn new(inner: &'a mut dyn Observer) -> Metered<'a> {
        Metered { inner, cpu_ns: 0 }
    }

    /// CPU time of the observer so far.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.cpu_ns
    }
}

impl Observer for Metered<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        let began_ns = thread_cpu_ns();
        self.inner.observe(event);
        self.cpu_ns += thread_cpu_ns().saturating_sub(began_ns);
    }
}

/// CPU time of the calling thread.
fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}
