//! When an agent hangs, and where it stands then.
//!
//! An agent that computes may take as long as a task may. One that neither answers nor uses a CPU waits for something
//! that will not come: a lock that a fork copied while a thread held it, a connection that nobody gives back.

use std::collections::BTreeSet;

use crate::candidate::Cluster;
use crate::clock::now_ns;
use crate::host::meter;

/// An agent that uses no more of a CPU than this does nothing: threads that look at the clock use less.
const IDLE_SHARE: f64 = 0.05;
/// How often it is looked at: reading the processes costs about a millisecond.
const INTERVAL_NS: u64 = 250_000_000;
/// Before that it is not looked at: most answers come sooner, and no block is to be disturbed.
const FIRST_NS: u64 = 500_000_000;

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// However busy the agent is.
    pub whole_ns: u64,
    /// How long the agent and all that it started may use no CPU; `None` where that says nothing.
    pub idle_ns: Option<u64>,
}

impl Patience {
    /// So much longer, for a wait that nobody works in.
    #[must_use]
    pub(super) fn and(self, waits_ns: u64) -> Patience {
        let longer = |ns: u64| ns.saturating_add(waits_ns);
        Patience { whole_ns: longer(self.whole_ns), idle_ns: self.idle_ns.map(longer) }
    }
}

impl From<u64> for Patience {
    fn from(whole_ns: u64) -> Patience {
        Patience { whole_ns, idle_ns: None }
    }
}

/// Whoever does nothing for so much longer than anything known takes hangs.
const MORE_THAN_KNOWN: u64 = 10;
/// A start computes most of its time: its waits are a part of it, so that fewer of the slowest start are enough.
const STARTS: u64 = 2;
/// Whoever is busy for so many times what its start and its first tasks take, one after another, gets nowhere.
const BUSY: u64 = 4;
/// And this long at least.
const LEAST_IDLE_NS: u64 = 2_000_000_000;

/// The slowest that is known: what does nothing for many times as long hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slowest {
    /// Of tasks; 0 where none is known.
    pub task_ns: u64,
    /// Of starts, the first task among them.
    pub start_ns: u64,
}

impl Slowest {
    /// Takes a task and a start for what they took.
    pub(super) fn saw(&mut self, task_ns: u64, start_ns: u64) {
        self.task_ns = self.task_ns.max(task_ns);
        self.start_ns = self.start_ns.max(start_ns);
    }

    /// How long a block with so many in flight may do nothing: tasks may wait for each other, one after another. `left_ns`
    /// is what hangs may still cost; where tasks are long, one hang may cost more.
    pub(super) fn idle_in_block_ns(&self, concurrency: u32, left_ns: u64) -> Option<u64> {
        let of_tasks = |tasks: u64| self.task_ns.saturating_mul(tasks).saturating_add(LEAST_IDLE_NS);
        let in_turn = of_tasks(MORE_THAN_KNOWN.saturating_add(u64::from(concurrency)));
        (self.task_ns > 0).then(|| in_turn.min(left_ns.max(of_tasks(MORE_THAN_KNOWN))))
    }

    /// How long so many tasks take, one after another.
    pub(super) fn in_turn_ns(&self, tasks: u32) -> u64 {
        self.task_ns.saturating_mul(u64::from(tasks))
    }

    /// How long a start may do nothing. What hangs may still cost bounds it as it does a block.
    fn idle_in_start_ns(&self, concurrency: u32, left_ns: u64) -> Option<u64> {
        let least_ns = self.idle_in_block_ns(0, 0)?.saturating_add(self.start_ns);
        let start_ns = self.start_ns.saturating_mul(STARTS);
        let block_ns = self.idle_in_block_ns(concurrency, left_ns)?;
        Some(block_ns.saturating_add(start_ns).min(left_ns.max(least_ns)))
    }

    /// How long a start with so many in flight, in so many processes beside the agent's own, is waited for. A library's
    /// thread that computes keeps an agent busy that hangs: what hangs may still cost bounds that, too, unless the start
    /// and the first tasks are known to compute for longer.
    pub(super) fn patience_in_start(&self, concurrency: u32, processes: u32, left_ns: u64) -> Patience {
        let Some(idle_ns) = self.idle_in_start_ns(concurrency, left_ns) else { return Patience::from(u64::MAX) };
        let starts_ns = self.start_ns.saturating_mul(u64::from(processes).saturating_add(1));
        let once_ns = starts_ns.saturating_add(self.in_turn_ns(concurrency.saturating_add(1)));
        let known_ns = once_ns.saturating_mul(BUSY).saturating_add(LEAST_IDLE_NS);
        Patience { whole_ns: left_ns.max(known_ns), idle_ns: Some(idle_ns) }
    }
}

/// So long an agent waits for a cluster that went away, a little more, before it says so: it is let say so.
const AWAY_NS: u64 = 7_000_000_000;
/// What a start, or a block, sends and brings back before anything is heard of it: code, items, results.
const CARRIED_BYTES: f64 = 2_097_152.0;

/// How much longer the agent of a candidate that runs on this cluster may do nothing: others work for it meanwhile.
pub(super) fn waits_for_cluster_ns(cluster: &Cluster) -> u64 {
    let carried_s = CARRIED_BYTES / cluster.bytes_per_s.max(1.0);
    AWAY_NS.saturating_add((carried_s.min(60.0) * 1e9) as u64)
}

/// What the processes of an agent have used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    at_ns: u64,
    pids: BTreeSet<u32>,
    cpu_ns: u64,
}

impl Reading {
    /// Of everything below `root`.
    fn below(root: u32) -> Reading {
        let pids: BTreeSet<u32> = meter::tree(root).into_iter().filter(|pid| *pid != root).collect();
        let cpu_ns = pids.iter().filter_map(|pid| meter::process_cpu_ns(*pid)).sum();
        Reading { at_ns: now_ns(), pids, cpu_ns }
    }

    /// Whether something was done between an earlier reading and this one.
    fn is_busy_since(&self, earlier: &Reading) -> bool {
        let used_ns = self.cpu_ns.abs_diff(earlier.cpu_ns) as f64;
        self.pids != earlier.pids || used_ns > IDLE_SHARE * self.at_ns.saturating_sub(earlier.at_ns) as f64
    }
}

/// Watches whether an agent that is waited for does anything.
#[derive(Debug)]
pub(super) struct IdleWatch {
    root: u32,
    idle_ns: u64,
    next_ns: u64,
    last: Option<Reading>,
    /// Since when nothing was done.
    idle_since_ns: u64,
}

impl IdleWatch {
    /// Of everything below `root`, from now on.
    pub(super) fn begin(root: u32, idle_ns: u64) -> IdleWatch {
        let now = now_ns();
        IdleWatch { root, idle_ns, next_ns: now.saturating_add(FIRST_NS), last: None, idle_since_ns: now }
    }

    /// When it is to be asked next.
    pub(super) fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Whether the agent has done nothing for too long.
    pub(super) fn is_over(&mut self) -> bool {
        if now_ns() < self.next_ns {
            return false;
        }
        self.next_ns = now_ns().saturating_add(INTERVAL_NS);
        let reading = Reading::below(self.root);
        self.take(reading)
    }

    fn take(&mut self, reading: Reading) -> bool {
        let at_ns = reading.at_ns;
        // Before the first reading it may have done anything.
        if self.last.as_ref().is_none_or(|last| reading.is_busy_since(last)) {
            self.idle_since_ns = at_ns;
        }
        self.last = Some(reading);
        at_ns.saturating_sub(self.idle_since_ns) >= self.idle_ns
    }
}

/// Where the threads of a Python process stand in code that is neither the agent's nor the standard library's, the
/// thread that the dump calls current first. `dump` is what `faulthandler` writes.
pub(super) fn places(dump: &str) -> Vec<String> {
    let mut places: Vec<String> = Vec::new();
    let mut is_found = true;
    for line in dump.lines() {
        if line.ends_with("(most recent call first):") {
            is_found = false;
        } else if let (false, Some(place)) = (is_found, place(line)) {
            is_found = true;
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places
}

/// At which item a Python process says that it is, beside its dump.
pub(super) fn item(told: &str) -> Option<u64> {
    told.lines().find_map(|line| line.strip_prefix("conbench: at item ")?.parse().ok())
}

/// `  File "/shop/scrape.py", line 9 in fetch` as "`fetch` (scrape.py:9)", if it is the user's or a library's.
fn place(line: &str) -> Option<String> {
    let (path, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
    let (number, function) = rest.split_once(" in ")?;
    let is_standard = path.contains("/lib/python3") && !path.contains("site-packages");
    // The agent is a package beside the file that runs it, and lies in a folder of its own.
    let is_agent = path.contains("/conbench_agent/") || (path.contains("conbench") && path.ends_with("/main.py"));
    // What is being torn down has frames without a line.
    if is_standard || is_agent || path.starts_with('<') || number.parse::<u32>().is_err() {
        return None;
    }
    let file = path.rsplit('/').next().unwrap_or(path);
    Some(format!("`{function}` ({file}:{number})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn reading(at_ms: u64, pid: u32, cpu_ms: u64) -> Reading {
        Reading { at_ns: at_ms * MS, pids: BTreeSet::from([pid]), cpu_ns: cpu_ms * MS }
    }

    fn watch() -> IdleWatch {
        IdleWatch { root: 1, idle_ns: 1000 * MS, next_ns: 0, last: None, idle_since_ns: 0 }
    }

    #[test]
    fn who_does_nothing_for_long_enough_hangs() {
        let mut watch = watch();
        let at = |watch: &mut IdleWatch, ms| watch.take(reading(ms, 7, 400));
        assert_eq!([500, 750, 1250, 1500].map(|ms| at(&mut watch, ms)), [false, false, false, true]);
    }

    #[test]
    fn a_thread_that_looks_at_the_clock_is_no_work() {
        let mut watch = watch();
        let looks = (2..=6).map(|quarter| watch.take(reading(quarter * 250, 7, 400 + 5 * quarter)));
        assert_eq!(looks.collect::<Vec<_>>(), [false, false, false, false, true]);
    }

    #[test]
    fn work_and_new_processes_are_progress() {
        let mut watch = watch();
        assert!(!watch.take(reading(500, 7, 0)));
        assert!(!watch.take(reading(1400, 7, 100)));
        assert!(!watch.take(reading(2300, 8, 100)));
        assert!(!watch.take(reading(3200, 8, 100)));
        assert!(watch.take(reading(3300, 8, 100)));
    }

    #[test]
    fn nobody_hangs_before_many_times_what_is_known() {
        let mut slowest = Slowest::default();
        let left = 15_000 * MS;
        assert_eq!((slowest.idle_in_block_ns(4, left), slowest.idle_in_start_ns(4, left)), (None, None));
        assert_eq!(slowest.patience_in_start(4, 4, left), Patience::from(u64::MAX));
        slowest.saw(30 * MS, 200 * MS);
        slowest.saw(20 * MS, 100 * MS);
        assert_eq!(slowest.idle_in_block_ns(4, left), Some((2000 + 14 * 30) * MS));
        assert_eq!(slowest.idle_in_start_ns(4, left), Some((2000 + 14 * 30 + 2 * 200) * MS));
        assert_eq!(slowest.in_turn_ns(5), 150 * MS);
        slowest.saw(1000 * MS, 0);
        assert_eq!(slowest.idle_in_block_ns(64, left), Some(left), "hangs cost no more than is left for them");
        assert_eq!(slowest.idle_in_block_ns(64, MS), Some(12_000 * MS), "but tasks may take as long as they do");
        slowest.saw(0, 2000 * MS);
        assert_eq!(slowest.idle_in_start_ns(4, left), Some(left), "nor does a start");
        assert_eq!(slowest.idle_in_start_ns(4, MS), Some(14_000 * MS));
        slowest.saw(u64::MAX, 0);
        assert_eq!(slowest.idle_in_start_ns(u32::MAX, left), Some(u64::MAX));
    }

    #[test]
    fn who_waits_for_a_cluster_is_given_the_time_of_its_link() {
        let behind = |bytes_per_s| waits_for_cluster_ns(&Cluster { bytes_per_s, ..Cluster::of_tests(Vec::new()) });
        assert!((AWAY_NS..AWAY_NS + 100 * MS).contains(&behind(100e6)));
        assert_eq!(behind(262_144.0), AWAY_NS + 8000 * MS);
        assert_eq!(behind(0.0), AWAY_NS + 60_000 * MS);
    }

    #[test]
    fn a_busy_start_has_what_is_left_or_what_it_is_known_to_compute() {
        let mut slowest = Slowest::default();
        slowest.saw(10 * MS, 500 * MS);
        let left = 15_000 * MS;
        let whole = |slowest: &Slowest, processes| slowest.patience_in_start(2, processes, left).whole_ns;
        assert_eq!(whole(&slowest, 2), left);
        assert_eq!(whole(&slowest, 64), (2000 + 4 * (65 * 500 + 3 * 10)) * MS, "64 interpreters import in turn");
        slowest.saw(3000 * MS, 0);
        assert_eq!(whole(&slowest, 2), (2000 + 4 * (3 * 500 + 3 * 3000)) * MS, "tasks may compute");
    }

    #[test]
    fn the_users_own_frames_are_named() {
        let dump = "Thread 0x00007f01 (most recent call first):\n  File \"/shop/held.py\", line 10 in _report\n  \
                    File \"/usr/lib/python3.11/threading.py\", line 982 in run\n\nCurrent thread 0x00007f02 (most recent call first):\n  \
                    File \"/usr/lib/python3.11/queue.py\", line 5 in get\n  File \"/shop/held.py\", line 17 in step\n  \
                    File \"/cache/conbench_agent/task.py\", line 3 in blocking\n  File \"/cache/conbench/main.py\", line 1 in <module>\n";
        assert_eq!(places(dump), ["`_report` (held.py:10)", "`step` (held.py:17)"]);
        assert!(places("Current thread 0x1 (most recent call first):\n  File \"<string>\", line 1 in f\n").is_empty());
        assert!(places("noise").is_empty());
        assert_eq!(item("  File \"/a/b.py\", line 3 in f\nconbench: at item 37\n"), Some(37));
        assert_eq!(item(dump), None);
    }
}
