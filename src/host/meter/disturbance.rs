//! What disturbs a measurement, from evidence outside of it.

use procfs::{Current as _, CurrentSI as _};

use super::super::cgroup::Cgroups;
use crate::clock::now_ns;

/// Watches what disturbs, from its start on.
pub struct Disturbance {
    cgroups: Cgroups,
    start: Snapshot,
}

/// What was seen between a start and now; `None` is what this platform does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disturbed {
    /// The time between.
    pub elapsed_ns: u64,
    /// CPU time of all CPUs, idle and stolen time included.
    pub total_ns: Option<u64>,
    /// CPU time in which this machine worked, whoever for: neither idle nor stolen.
    pub busy_ns: Option<u64>,
    /// Time that the hypervisor took, as a share of all CPU time.
    pub steal_share: Option<f64>,
    /// Share of time in which some task waited for a CPU. A candidate with more threads than CPUs causes it too.
    pub cpu_pressure_share: Option<f64>,
    /// How often the control group, or one around it, was throttled.
    pub throttled_periods: Option<u64>,
}

#[derive(Clone, Copy)]
struct Snapshot {
    at_ns: u64,
    cpu: Option<CpuTimes>,
    pressure_ns: Option<u64>,
    throttled: Option<u64>,
}

/// CPU time of the whole machine since boot. The kernel counts in ticks: too coarse for less than a second.
#[derive(Clone, Copy)]
struct CpuTimes {
    busy_ns: u64,
    idle_ns: u64,
    steal_ns: u64,
}

impl Disturbance {
    /// Begins to watch.
    #[must_use]
    pub fn start() -> Disturbance {
        let cgroups = Cgroups::read();
        let start = Snapshot::take(&cgroups);
        Disturbance { cgroups, start }
    }

    /// What was seen since the start. May be asked again and again.
    #[must_use]
    pub fn since_start(&self) -> Disturbed {
        self.start.until(&Snapshot::take(&self.cgroups))
    }
}

impl Snapshot {
    fn take(cgroups: &Cgroups) -> Snapshot {
        Snapshot {
            at_ns: now_ns(),
            cpu: CpuTimes::now(),
            pressure_ns: procfs::CpuPressure::current().ok().map(|pressure| pressure.some.total.saturating_mul(1000)),
            throttled: cgroups.throttled_periods(),
        }
    }

    fn until(&self, end: &Snapshot) -> Disturbed {
        let elapsed_ns = end.at_ns.saturating_sub(self.at_ns);
        let cpu = self.cpu.zip(end.cpu).map(|(start, end)| end.since(start));
        let pressure_ns = self.pressure_ns.zip(end.pressure_ns).map(|(start, end)| end.saturating_sub(start));
        Disturbed {
            elapsed_ns,
            total_ns: cpu.map(CpuTimes::total_ns),
            busy_ns: cpu.map(|cpu| cpu.busy_ns),
            steal_share: cpu.map(|cpu| share(cpu.steal_ns, cpu.total_ns())),
            cpu_pressure_share: pressure_ns.map(|pressure_ns| share(pressure_ns, elapsed_ns)),
            throttled_periods: self.throttled.zip(end.throttled).map(|(start, end)| end.saturating_sub(start)),
        }
    }
}

impl CpuTimes {
    fn now() -> Option<CpuTimes> {
        let times = procfs::KernelStats::current().ok()?.total;
        let nanos = |ticks: u64| ticks.saturating_mul(1_000_000_000 / procfs::ticks_per_second().max(1));
        // Guests' time is part of user time already.
        let busy = times.user + times.nice + times.system + times.irq.unwrap_or(0) + times.softirq.unwrap_or(0);
        Some(CpuTimes {
            busy_ns: nanos(busy),
            idle_ns: nanos(times.idle + times.iowait.unwrap_or(0)),
            steal_ns: nanos(times.steal.unwrap_or(0)),
        })
    }

    fn since(self, start: CpuTimes) -> CpuTimes {
        CpuTimes {
            busy_ns: self.busy_ns.saturating_sub(start.busy_ns),
            idle_ns: self.idle_ns.saturating_sub(start.idle_ns),
            steal_ns: self.steal_ns.saturating_sub(start.steal_ns),
        }
    }

    fn total_ns(self) -> u64 {
        self.busy_ns + self.idle_ns + self.steal_ns
    }
}

/// CPU time in which this machine worked since it was booted, in nanoseconds, whoever for.
#[must_use]
pub fn busy_ns() -> Option<u64> {
    CpuTimes::now().map(|times| times.busy_ns)
}

/// `part / whole` in 0..=1; nothing of nothing is 0.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_taken_and_never_negative() {
        let snapshot = |at_ns, busy_ns, steal_ns, pressure_ns, throttled| Snapshot {
            at_ns,
            cpu: Some(CpuTimes { busy_ns, idle_ns: 1000, steal_ns }),
            pressure_ns: Some(pressure_ns),
            throttled: Some(throttled),
        };
        let (start, end) = (snapshot(100, 50, 10, 5, 2), snapshot(300, 110, 50, 55, 9));
        let seen = start.until(&end);
        let expected = Disturbed {
            elapsed_ns: 200,
            total_ns: Some(100),
            busy_ns: Some(60),
            steal_share: Some(0.4),
            cpu_pressure_share: Some(0.25),
            throttled_periods: Some(7),
        };
        assert_eq!(seen, expected);
        let back = end.until(&start);
        assert_eq!((back.busy_ns, back.steal_share, back.throttled_periods), (Some(0), Some(0.0), Some(0)));
    }

    #[test]
    fn what_one_end_lacks_is_not_guessed() {
        let lacking = Snapshot { at_ns: 0, cpu: None, pressure_ns: None, throttled: None };
        let whole = Snapshot { pressure_ns: Some(1), throttled: Some(1), ..Snapshot::take(&Cgroups::default()) };
        let seen = lacking.until(&whole);
        assert_eq!((seen.busy_ns, seen.steal_share), (None, None));
        assert_eq!((seen.cpu_pressure_share, seen.throttled_periods), (None, None));
    }

    #[test]
    fn busy_time_of_this_machine_is_known_and_grows() {
        let before = busy_ns().expect("this kernel tells");
        let seen = Disturbance::start().since_start();
        assert!(busy_ns().expect("this kernel tells") >= before);
        assert!(seen.steal_share.is_some_and(|share| (0.0..=1.0).contains(&share)));
    }
}
