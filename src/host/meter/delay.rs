//! How long threads that could run had to wait for a CPU.

/// A wait as long as this, each time that a thread is put on a CPU, is what waking up costs: an idle CPU, a virtual
/// one more than others, is not there at once. What beyond it a thread waited, something else had the CPU.
const WAKING_NS: u64 = 100_000;

/// The waits of some processes' threads since each began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunDelay {
    /// Time on a run queue, not running.
    pub waited_ns: u64,
    /// How often a thread was put on a CPU.
    pub slices: u64,
}

impl RunDelay {
    /// The waits of these processes' threads; `None` where the kernel does not tell (`CONFIG_SCHED_INFO`).
    #[must_use]
    pub fn of(pids: &[u32]) -> Option<RunDelay> {
        let mut sum = RunDelay::default();
        for pid in pids {
            for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
                // A thread that ended meanwhile has nothing to say.
                let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
                let one = parse(&text)?;
                sum.waited_ns += one.waited_ns;
                sum.slices += one.slices;
            }
        }
        (sum.slices > 0).then_some(sum)
    }

    /// The wait since `earlier` beyond what waking up costs.
    #[must_use]
    pub fn beyond_waking_since(self, earlier: RunDelay) -> u64 {
        let slices = self.slices.saturating_sub(earlier.slices);
        let waited_ns = self.waited_ns.saturating_sub(earlier.waited_ns);
        waited_ns.saturating_sub(slices.saturating_mul(WAKING_NS))
    }
}

/// Reads `/proc/<pid>/task/<tid>/schedstat`: time run, time waited, slices (Documentation/scheduler/sched-stats.rst).
fn parse(text: &str) -> Option<RunDelay> {
    let mut words = text.split_ascii_whitespace().skip(1);
    Some(RunDelay { waited_ns: words.next()?.parse().ok()?, slices: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        assert_eq!(parse("5 6 7\n"), Some(RunDelay { waited_ns: 6, slices: 7 }));
        assert_eq!(parse("5 6"), None);
    }

    #[test]
    fn waking_is_no_delay() {
        let delay = |waited_ns, slices| RunDelay { waited_ns, slices };
        let earlier = delay(1000, 10);
        assert_eq!(delay(501_000, 15).beyond_waking_since(earlier), 0);
        assert_eq!(delay(5_001_000, 15).beyond_waking_since(earlier), 4_500_000);
        assert_eq!(earlier.beyond_waking_since(delay(9000, 90)), 0);
    }

    #[test]
    fn this_process_has_run() {
        assert!(RunDelay::of(&[std::process::id()]).is_none_or(|delay| delay.slices > 0));
        assert_eq!(RunDelay::of(&[u32::MAX]), None);
    }
}
