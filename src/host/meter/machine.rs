//! Where the CPU time of the CPUs went that this process may use.

/// CPU time since boot of the CPUs in this process's affinity mask. The kernel tells it in ticks (of 10 ms, mostly).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineTime {
    /// In processes, whoever's: user, nice and system time. Interrupts are not in it, hard or soft: they are the
    /// kernel's work for whoever caused them, the candidate perhaps.
    pub processes_ns: u64,
    /// Taken by the hypervisor.
    pub steal_ns: u64,
    /// All of it.
    pub total_ns: u64,
}

impl MachineTime {
    /// As it is now; `None` where the kernel does not tell.
    #[must_use]
    pub fn now() -> Option<MachineTime> {
        let text = std::fs::read("/proc/stat").ok()?;
        let cpus = rustix::thread::sched_getaffinity(None).ok();
        let is_ours = |cpu: usize| cpus.as_ref().is_none_or(|cpus| cpus.is_set(cpu));
        parse(&text, is_ours, 1_000_000_000 / procfs::ticks_per_second().max(1))
    }

    /// What came since `earlier`. Figures that went back, as idle time sometimes does, count nothing.
    #[must_use]
    pub fn since(self, earlier: MachineTime) -> MachineTime {
        MachineTime {
            processes_ns: self.processes_ns.saturating_sub(earlier.processes_ns),
            steal_ns: self.steal_ns.saturating_sub(earlier.steal_ns),
            total_ns: self.total_ns.saturating_sub(earlier.total_ns),
        }
    }
}

/// Sums the lines `cpuN` of `/proc/stat` (proc_stat(5)) whose CPU is `is_ours`; `None` without any.
fn parse(text: &[u8], is_ours: impl Fn(usize) -> bool, tick_ns: u64) -> Option<MachineTime> {
    // What follows the CPUs' lines is long, and nothing to us.
    let lines = text.split(|byte| *byte == b'\n').take_while(|line| line.starts_with(b"cpu"));
    let mut sum: Option<MachineTime> = None;
    for line in lines.filter_map(|line| std::str::from_utf8(line).ok()) {
        let mut words = line.split_ascii_whitespace();
        let Some(cpu) = words.next().and_then(|name| name.strip_prefix("cpu")?.parse().ok()) else { continue };
        if !is_ours(cpu) {
            continue;
        }
        // user nice system idle iowait irq softirq steal; guests' time, which follows, is in user time already.
        let ns: Vec<u64> = words.map_while(|word| word.parse::<u64>().ok()?.checked_mul(tick_ns)).take(8).collect();
        let of = |places: std::ops::Range<usize>| ns.get(places).unwrap_or(&[]).iter().sum::<u64>();
        let sum = sum.get_or_insert_default();
        sum.processes_ns += of(0..3);
        sum.steal_ns += of(7..8);
        sum.total_ns += ns.iter().sum::<u64>();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"cpu  999 0 0 0 0 0 0 0 0 0\ncpu0 10 1 5 100 20 3 4 6 2 0\ncpu2 1 0 0 50\nintr 8 7\ncpu7 5 5 5 5\n";

    #[test]
    fn only_our_cpus_count_and_interrupts_are_nobodys() {
        let all = parse(TEXT, |_| true, 10).expect("two lines");
        assert_eq!(all, MachineTime { processes_ns: 170, steal_ns: 60, total_ns: 2000 });
        let second = parse(TEXT, |cpu| cpu == 2, 1).expect("a line");
        assert_eq!(second, MachineTime { processes_ns: 1, steal_ns: 0, total_ns: 51 });
        assert_eq!(parse(TEXT, |cpu| cpu == 7, 1), None);
        assert_eq!(parse(b"", |_| true, 1), None);
        assert_eq!(all.since(second).total_ns, 1949);
        assert_eq!(second.since(all), MachineTime::default());
    }

    #[test]
    fn this_machine_tells() {
        let now = MachineTime::now().expect("this kernel tells");
        assert!(now.processes_ns > 0 && now.total_ns >= now.processes_ns + now.steal_ns);
    }
}
