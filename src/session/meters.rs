//! What the session reads of the machine: a thin seam to the host's meters.

use procfs::process::{Process, all_processes};

use crate::record::{Disturbance, MemorySample};

/// CPU time of process `pid`, all threads; `None` when there is no such process.
pub(super) fn process_cpu_ns(pid: u32) -> Option<u64> {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write to the variable that they are given, and nothing else.
    let known = unsafe {
        libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut time) == 0
    };
    known.then(|| time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
}

/// The processes below `root`, without it.
pub(super) fn below(root: u32) -> Vec<i32> {
    let stats: Vec<(i32, i32)> = all_processes()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|process| process.stat().ok())
        .map(|stat| (stat.ppid, stat.pid))
        .collect();
    let mut found = Vec::new();
    let mut parents = vec![root.cast_signed()];
    while let Some(parent) = parents.pop() {
        for (_, pid) in stats.iter().filter(|(of, pid)| *of == parent && !found.contains(pid)).collect::<Vec<_>>() {
            found.push(*pid);
            parents.push(*pid);
        }
    }
    found
}

/// The memory of everything below `root`, without it.
pub(super) fn memory_below(root: u32) -> MemorySample {
    let mut sum = MemorySample::default();
    for process in below(root).into_iter().filter_map(|pid| Process::new(pid).ok()) {
        // A process that has just ended has no memory.
        let Ok(rollup) = process.smaps_rollup() else { continue };
        for map in &rollup.memory_map_rollup.0 {
            let part = |name: &str| map.extension.map.get(name).copied().unwrap_or(0);
            sum.memory_bytes += part("Pss_Anon") + part("Pss_Shmem");
            sum.file_pages_bytes += part("Pss_File");
        }
        sum.processes += 1;
    }
    sum
}

/// The machine's counters at a session's start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counters {
    busy_ticks: u64,
    idle_ticks: u64,
    steal_ticks: Option<u64>,
    own_ticks: u64,
    cpu_pressure_us: Option<u64>,
    at_ns: u64,
}

impl Counters {
    /// Reads them; `None` where the machine does not say.
    pub(super) fn read() -> Option<Counters> {
        use procfs::{Current as _, CurrentSI as _};
        let total = procfs::KernelStats::current().ok()?.total;
        let own = Process::myself().and_then(|process| process.stat()).ok()?;
        let waited = u64::try_from(own.cutime + own.cstime).unwrap_or(0);
        Some(Counters {
            busy_ticks: total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0),
            idle_ticks: total.idle + total.iowait.unwrap_or(0),
            steal_ticks: total.steal,
            own_ticks: own.utime + own.stime + waited,
            cpu_pressure_us: procfs::CpuPressure::current().ok().map(|pressure| pressure.some.total),
            at_ns: crate::clock::now_ns(),
        })
    }

    /// What disturbed the session from then to now. All that the session started must have been reaped, so
    /// that its CPU time is known as its own.
    pub(super) fn disturbance(self) -> Disturbance {
        let Some(now) = Counters::read() else { return Disturbance::default() };
        let busy = now.busy_ticks.saturating_sub(self.busy_ticks);
        let stolen = now.steal_ticks.zip(self.steal_ticks).map(|(now, then)| now.saturating_sub(then));
        let all = busy + stolen.unwrap_or(0) + now.idle_ticks.saturating_sub(self.idle_ticks);
        let share = |ticks: u64| ticks as f64 / all.max(1) as f64;
        let own = now.own_ticks.saturating_sub(self.own_ticks);
        let elapsed_us = (now.at_ns - self.at_ns) as f64 / 1e3;
        Disturbance {
            steal_share: stolen.map(share),
            others_share: Some(share(busy.saturating_sub(own))),
            throttled_periods: None,
            cpu_pressure_share: now
                .cpu_pressure_us
                .zip(self.cpu_pressure_us)
                .map(|(now, then)| now.saturating_sub(then) as f64 / elapsed_us.max(1.0)),
        }
    }
}
