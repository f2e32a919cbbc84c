//! How long a block lasts, how long its answer is waited for: pure.

use crate::decide::Turns;
use crate::protocol::{Block, VARIANTS};
use crate::workload::{Goal, Load, Rate};

const MS: u64 = 1_000_000;
/// No window is shorter: below, blocks vary twice as much on a shared host (7 to 8 % against 3.5 %).
pub(super) const SHORTEST_NS: u64 = 25 * MS;
/// The shortest one where each block begins with new worker processes.
pub(super) const SHORTEST_OF_NEW_PROCESSES_NS: u64 = 75 * MS;
/// Without need no window is longer: what is measured within 250 ms shares its noise.
const LONGEST_NS: u64 = 100 * MS;
/// A window holds about this many tasks at least: overlaps are counted in fractions, so few are enough.
const ENOUGH_TASKS: f64 = 4.0;
/// Tasks take different times where these deviate by more than this part of their mean.
const VARIED: f64 = 0.25;
/// Then a window holds one task of each variant, for at most so many times as long: five tasks of a long tail say little of
/// what one takes.
const LONGER_FOR_VARIED: u64 = 4;
/// A window whose 99th percentile is compared holds so many, if it can.
const ENOUGH_FOR_A_TAIL: f64 = 300.0;
/// It holds this many at least, of which a percentile can be told, if they fit into this part of the budget.
const LEAST_FOR_A_TAIL: f64 = 62.0;
const BUDGET_PART_FOR_A_TAIL: u64 = 6;
/// Under a rate, a window has the time of so many: one more or less at its edges, where a start is late, is little.
const ENOUGH_INTERVALS: u64 = 10;
/// Where the budget allows no such window, it has the time of so many.
const LEAST_INTERVALS: u64 = 2;
/// Tasks are begun before a window and after it for at most so many times what one takes, as calls are foreseen.
const LATENCIES_OUTSIDE: u64 = 10;
/// A block takes at most this part of the budget.
const BUDGET_PART: u64 = 20;
/// How much longer than expected an answer is waited for at least, whatever the workload's timeout.
const GRACE_NS: u64 = 5_000 * MS;
/// Periods of a CPU quota that a window holds.
const QUOTA_PERIODS: u64 = 5;

/// What is known of a candidate from its latest block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Learned {
    /// From `go` to the first task.
    pub resume_ns: u64,
    /// The mean service time of a task.
    pub latency_ns: u64,
    /// Tasks per second.
    pub throughput_per_s: f64,
    /// The length of the whole block.
    pub elapsed_ns: u64,
    /// What of it lay outside the window: ramp and drain.
    pub outside_ns: u64,
    /// A window is at least this long: what keeps its threads in turn shows what it does after some turns alone.
    pub turns_ns: u64,
    /// Whether its tasks take different times.
    pub varies: bool,
}

/// From this share of a core on, threads under an interpreter lock wait for their turn at it.
const BUSY: f64 = 0.5;
/// For how long a thread keeps the lock that others wait for at most (CPython's switch interval).
const TURN_NS: u64 = 5 * MS;
/// A task that computes for a smaller part of its time gives the lock away when it waits.
const NEVER_WAITS: f64 = 0.9;

/// What two turns of each of so many threads take that wait for one interpreter lock, `turn_ns` each.
pub(super) fn turns_ns(threads: u32, turn_ns: u64) -> u64 {
    2 * u64::from(threads) * turn_ns
}

/// For how long a thread keeps the lock, by a block of the plain loop: tasks that wait give it away each time.
pub(super) fn turn_ns(plain: Option<&Block>) -> u64 {
    let Some(block) = plain.filter(|block| block.tasks > 0) else { return TURN_NS };
    let cpu_ns = block.usage.own_cpu_ns();
    let waits = (cpu_ns as f64) < NEVER_WAITS * block.elapsed_ns as f64;
    if waits { (cpu_ns / block.tasks).clamp(1, TURN_NS) } else { TURN_NS }
}

impl Learned {
    /// What the service time of a first task lets expect of an engine with so many tasks in flight.
    pub(super) fn from_first_task(first_task_ns: u64, concurrency: u32, load: Load) -> Learned {
        let latency_ns = first_task_ns.max(1);
        let tasks = match load {
            Load::Closed { .. } => 1,
            // One after another, at worst.
            Load::Batch { tasks, .. } => u64::from(tasks),
        };
        Learned {
            resume_ns: 0,
            latency_ns,
            throughput_per_s: f64::from(concurrency) * 1e9 / latency_ns as f64,
            elapsed_ns: latency_ns.saturating_mul(tasks),
            outside_ns: 0,
            turns_ns: 0,
            varies: false,
        }
    }

    /// What a block says. The mean service time is Little's: time in service / tasks, both of the window's
    /// part alone, so that it is known even when no task began within a short window. `turns_ns` is 0 where no
    /// lock is shared; who hardly computes does not wait for it.
    pub(super) fn from_block(block: &Block, turns_ns: u64) -> Learned {
        let is_busy = block.usage.own_cpu_ns() as f64 > BUSY * block.elapsed_ns as f64;
        let known = block.busy_ns > 0 && block.tasks_in_window > 0.0;
        let latency_ns = if known { (block.busy_ns as f64 / block.tasks_in_window) as u64 } else { block.elapsed_ns };
        Learned {
            resume_ns: block.resume_ns,
            latency_ns,
            throughput_per_s: block.throughput_per_s(),
            elapsed_ns: block.elapsed_ns,
            outside_ns: block.elapsed_ns.saturating_sub(block.window_ns),
            turns_ns: if is_busy { turns_ns } else { 0 },
            varies: block.service.decode().is_ok_and(|service| service.stdev() > VARIED * service.mean()),
        }
    }
}

/// What sets the pace of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockPace {
    /// The budget of the part of the session that runs.
    pub budget_ns: u64,
    /// The period of a CPU quota smaller than the cores.
    pub quota_period_ns: Option<u64>,
    /// The workload's limit for a task.
    pub task_timeout_ns: u64,
    /// How tasks arrive.
    pub load: Load,
    /// What is compared.
    pub goal: Goal,
    /// How fast tasks may begin.
    pub rate: Option<Rate>,
    /// Of what a block is where tasks are long.
    pub turns: Option<Turns>,
    /// The shortest window.
    pub shortest_ns: u64,
}

/// A window to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Its length.
    pub ns: u64,
    /// How long the machine is left idle before it.
    pub idle_before_ns: u64,
    /// Whether tasks are so long that it holds only a few.
    pub long_tasks: bool,
}

impl BlockPace {
    /// The window of a timed block.
    pub(super) fn window(&self, learned: &Learned) -> Window {
        if let Some(Turns { task_ns, count }) = self.turns {
            let ns = task_ns.saturating_mul(u64::from(count));
            return Window { ns, idle_before_ns: 0, long_tasks: true };
        }
        let latency = learned.latency_ns;
        let tasks = match (self.goal, learned.varies) {
            (Goal::P99, _) => ENOUGH_FOR_A_TAIL,
            (_, true) => VARIANTS as f64,
            (_, false) => ENOUGH_TASKS,
        };
        let time_of = |tasks: f64| {
            if learned.throughput_per_s > 0.0 { (tasks * 1e9 / learned.throughput_per_s) as u64 } else { 0 }
        };
        let enough = time_of(tasks);
        let two_tasks = latency.saturating_mul(2);
        // Tasks that queue make the ramp and the drain long: about half of a block is spent outside its window, where what
        // is measured in it costs the least.
        let wanted = self
            .shortest_ns
            .max(learned.resume_ns.saturating_mul(20))
            .max(two_tasks)
            .max(enough)
            .max(learned.outside_ns.min(LONGEST_NS));
        let one_of_each = learned.varies && self.goal != Goal::P99;
        let for_varied = if one_of_each { enough.min(LONGER_FOR_VARIED * LONGEST_NS) } else { 0 };
        let for_tail = if self.goal == Goal::P99 { enough } else { 0 };
        let most = LONGEST_NS.max(two_tasks).max(for_varied).max(for_tail);
        let capped = wanted.min(most).max(learned.turns_ns);
        let period = self.quota_period_ns.unwrap_or(0);
        let wanted = capped.max(period.saturating_mul(QUOTA_PERIODS));
        // Before the window every worker does one to two tasks, and after it the one that straddles its end.
        let share = (self.budget_ns / BUDGET_PART).saturating_sub(latency.saturating_mul(3)).max(latency).max(MS);
        let least_of_tail = time_of(LEAST_FOR_A_TAIL).min(self.budget_ns / BUDGET_PART_FOR_A_TAIL);
        let share = if self.goal == Goal::P99 { share.max(least_of_tail) } else { share };
        let ns = self.in_intervals(wanted, ENOUGH_INTERVALS, share).unwrap_or(wanted.min(share));
        let batch = matches!(self.load, Load::Batch { .. });
        Window { ns, idle_before_ns: period, long_tasks: !batch && ns < two_tasks }
    }

    /// Under a rate, `wanted` within `share` in whole intervals of it, `enough` at least if they fit: where every token is
    /// used, a window then has the same number of starts wherever it begins.
    fn in_intervals(&self, wanted: u64, enough: u64, share: u64) -> Option<u64> {
        let interval_ns = self.rate?.interval_ns();
        let most = (share / interval_ns).max(LEAST_INTERVALS);
        Some(wanted.div_ceil(interval_ns).max(enough).min(most).saturating_mul(interval_ns))
    }

    /// The window of an untimed block: `wished_ns`, or two tasks if that is longer, within the budget's part.
    pub(super) fn untimed(&self, wished_ns: u64, latency_ns: u64) -> u64 {
        let share = (self.budget_ns / BUDGET_PART).max(latency_ns);
        let ns = wished_ns.max(latency_ns.saturating_mul(2)).min(share).max(MS);
        self.in_intervals(ns, LEAST_INTERVALS, share).unwrap_or(ns)
    }

    /// How long so many tasks may wait for the rate, whatever else they do.
    pub(super) fn waits_ns(&self, tasks: u64) -> u64 {
        self.rate.map_or(0, |rate| rate.longest_ns(tasks))
    }

    /// How long the answer to a block is waited for: what is expected of it, then as long as any task may take.
    pub(super) fn patience_ns(&self, window_ns: u64, learned: &Learned) -> u64 {
        let expected = match self.load {
            // Up to two tasks before the window, one that straddles its end, and what lay outside the last window.
            Load::Closed { .. } => {
                window_ns.saturating_add(learned.latency_ns.saturating_mul(3)).saturating_add(learned.outside_ns)
            }
            Load::Batch { .. } => learned.elapsed_ns.saturating_mul(2),
        };
        expected.saturating_add(grace_ns(self.task_timeout_ns))
    }

    /// The tasks that a block is expected to run at most, its ramp and drain included.
    pub(super) fn calls(&self, window_ns: u64, throughput_per_s: f64, concurrency: u32) -> u64 {
        match (self.load, self.turns) {
            (Load::Batch { tasks, .. }, _) => u64::from(tasks),
            (Load::Closed { .. }, Some(turns)) => u64::from(concurrency) * u64::from(turns.count),
            (Load::Closed { .. }, None) => {
                let full = (throughput_per_s * window_ns as f64 / 1e9).ceil() as u64;
                let tasks = full.saturating_add(outside_tasks(concurrency));
                let Some(rate) = self.rate else { return tasks };
                let latency_ns = (f64::from(concurrency) * 1e9 / throughput_per_s.max(1e-9)) as u64;
                let whole_ns = latency_ns.saturating_mul(LATENCIES_OUTSIDE).saturating_add(window_ns);
                tasks.min((whole_ns / rate.interval_ns()).saturating_add(u64::from(rate.burst) + 1))
            }
        }
    }

    /// `window_ns`, shortened so that the block runs at most `left` tasks; `None` when no useful block fits.
    pub(super) fn within_calls(&self, window_ns: u64, learned: &Learned, concurrency: u32, left: u64) -> Option<u64> {
        if self.calls(window_ns, learned.throughput_per_s, concurrency) <= left {
            return Some(window_ns);
        }
        if matches!(self.load, Load::Batch { .. }) || self.turns.is_some() {
            return None;
        }
        let tasks = left.checked_sub(outside_tasks(concurrency) + 1)?;
        let longest = (tasks as f64 * 1e9 / learned.throughput_per_s) as u64;
        (longest >= learned.latency_ns.max(MS)).then_some(longest.min(window_ns))
    }
}

/// The most tasks of a block that lie outside its window, at its full load: two turns before it, one that straddles its
/// end, and one more.
fn outside_tasks(concurrency: u32) -> u64 {
    4 * u64::from(concurrency)
}

/// How long an agent may be silent beyond what is expected of it: longer than any task may take.
pub(super) fn grace_ns(task_timeout_ns: u64) -> u64 {
    task_timeout_ns.max(GRACE_NS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{BlockKind, HistogramData, Usage};

    fn pace(budget_ns: u64) -> BlockPace {
        let load = Load::Closed { max_in_flight: 64 };
        BlockPace {
            budget_ns,
            quota_period_ns: None,
            task_timeout_ns: 30_000 * MS,
            load,
            goal: Goal::Throughput,
            rate: None,
            turns: None,
            shortest_ns: SHORTEST_NS,
        }
    }

    fn learned(latency_ns: u64, throughput_per_s: f64) -> Learned {
        Learned {
            resume_ns: 10_000,
            latency_ns,
            throughput_per_s,
            elapsed_ns: latency_ns,
            outside_ns: 0,
            turns_ns: 0,
            varies: false,
        }
    }

    #[test]
    fn windows_are_as_documented() {
        let pace = pace(20_000 * MS);
        assert_eq!(pace.window(&learned(50_000, 20_000.0)).ns, 25 * MS);
        assert_eq!(pace.window(&learned(10 * MS, 6_400.0)).ns, 25 * MS);
        // Four tasks one after another.
        assert_eq!(pace.window(&learned(10 * MS, 100.0)).ns, 40 * MS);
        assert_eq!(pace.window(&learned(80 * MS, 12.5)).ns, 160 * MS);
        // One of each variant, where they take different times.
        let varied = |latency_ns, per_s| Learned { varies: true, ..learned(latency_ns, per_s) };
        let windows = [varied(10 * MS, 100.0), varied(10 * MS, 6_400.0), varied(50 * MS, 20.0)];
        assert_eq!(windows.map(|one| pace.window(&one).ns), [160 * MS, 25 * MS, 400 * MS]);
        let of_new_processes = BlockPace { shortest_ns: SHORTEST_OF_NEW_PROCESSES_NS, ..pace };
        assert_eq!(of_new_processes.window(&learned(2 * MS, 1_000.0)).ns, 75 * MS);
        let tail = BlockPace { goal: Goal::P99, ..pace };
        assert_eq!(tail.window(&learned(50_000, 20_000.0)).ns, 25 * MS);
        assert_eq!(tail.window(&learned(10 * MS, 1_000.0)).ns, 300 * MS, "three hundred tasks");
        assert_eq!(tail.window(&varied(10 * MS, 1_000.0)).ns, 300 * MS, "a tail of varied tasks, too");
        assert_eq!(tail.window(&learned(10 * MS, 100.0)).ns, 970 * MS, "within a part of the budget");
        assert_eq!(tail.window(&learned(20 * MS, 50.0)).ns, 1_240 * MS, "a few more than tell a percentile");
        assert_eq!(tail.window(&learned(320 * MS, 100.0)).ns, 620 * MS, "of tasks that queue, too");
        assert_eq!(tail.window(&learned(200 * MS, 5.0)).ns, 20_000 * MS / 6, "but no more than a sixth of the budget");
        let slow_start = Learned { resume_ns: MS, ..learned(50_000, 20_000.0) };
        assert_eq!(pace.window(&slow_start).ns, 25 * MS);
        let long_tail = Learned { outside_ns: 80 * MS, ..learned(5 * MS, 3_000.0) };
        assert_eq!(pace.window(&long_tail).ns, 80 * MS);
        let longer = Learned { outside_ns: 300 * MS, ..long_tail };
        assert_eq!(pace.window(&longer).ns, 100 * MS);
        let in_turns = Learned { turns_ns: turns_ns(16, TURN_NS), ..learned(MS, 900.0) };
        assert_eq!(pace.window(&in_turns).ns, 160 * MS);
        let quota = BlockPace { quota_period_ns: Some(100 * MS), ..pace };
        let window = quota.window(&learned(50_000, 20_000.0));
        assert_eq!((window.ns, window.idle_before_ns), (500 * MS, 100 * MS));
    }

    #[test]
    fn a_window_under_a_rate_has_whole_intervals() {
        let rate = Rate { tasks: 50, period_ns: 1_000 * MS, burst: 1 };
        let paced = BlockPace { rate: Some(rate), ..pace(20_000 * MS) };
        assert_eq!(paced.window(&learned(MS, 50.0)).ns, 200 * MS);
        assert_eq!(paced.window(&learned(100 * MS, 50.0)).ns, 200 * MS);
        assert_eq!(paced.window(&learned(130 * MS, 50.0)).ns, 260 * MS);
        assert_eq!((paced.untimed(5 * MS, MS), paced.untimed(60 * MS, MS)), (40 * MS, 60 * MS));
        // Where the budget has no room for ten intervals, there are as many as fit, and two at least.
        let slow = BlockPace { rate: Some(Rate { tasks: 4, ..rate }), ..paced };
        assert_eq!(slow.window(&learned(MS, 4.0)).ns, 750 * MS);
        let slowest = BlockPace { rate: Some(Rate { tasks: 1, ..rate }), ..paced };
        assert_eq!(slowest.window(&learned(MS, 1.0)).ns, 2_000 * MS);
        // Sixty-four slots are not filled by tasks that come one by one.
        assert!(paced.calls(200 * MS, 50.0, 8) <= 10 + 80 + 2 && paced.calls(200 * MS, 64_000.0, 64) <= 13);
    }

    #[test]
    fn only_who_computes_waits_for_its_turn() {
        let block = |cpu_ns| Block {
            block: 0,
            kind: BlockKind::Timed,
            first_index: 0,
            tasks: 10,
            errors: 0,
            first_error: None,
            notes: Vec::new(),
            variants: Vec::new(),
            checksum: 0,
            window_ns: 10 * MS,
            elapsed_ns: 12 * MS,
            resume_ns: 0,
            tasks_in_window: 8.0,
            window_cores: None,
            service: HistogramData::default(),
            queueing: HistogramData::default(),
            busy_ns: 16 * MS,
            usage: Usage { user_ns: cpu_ns, ..Usage::default() },
            longest_stall_ns: None,
            serialisation: None,
            results: Vec::new(),
        };
        let turns = |cpu_ns, threads| Learned::from_block(&block(cpu_ns), turns_ns(threads, TURN_NS)).turns_ns;
        assert_eq!((turns(11 * MS, 4), turns(3 * MS, 4), turns(11 * MS, 0)), (40 * MS, 0, 0));
        // Ten tasks of 12 ms in all: those that wait keep the lock for what they compute, at most a switch interval.
        let turn = |cpu_ns| turn_ns(Some(&block(cpu_ns)));
        assert_eq!([turn(12 * MS), turn(MS), turn(0), turn_ns(None)], [TURN_NS, MS / 10, 1, TURN_NS]);
        assert_eq!(Learned::from_block(&block(MS), 0).latency_ns, 2 * MS);
    }

    #[test]
    fn a_long_task_gets_one_latency_and_a_word() {
        let window = pace(20_000 * MS).window(&learned(3_000 * MS, 1.0));
        assert_eq!((window.ns, window.long_tasks), (3_000 * MS, true));
        assert!(!pace(20_000 * MS).window(&learned(100 * MS, 10.0)).long_tasks);
    }

    #[test]
    fn a_block_of_long_tasks_is_turns_of_them() {
        let pace = BlockPace { turns: Turns::of(300 * MS, 20_000 * MS), ..pace(20_000 * MS) };
        let window = pace.window(&learned(310 * MS, 3.0));
        assert_eq!((window.ns, window.long_tasks), (600 * MS, true));
        assert_eq!(pace.calls(window.ns, 200.0, 64), 128);
        assert_eq!(pace.within_calls(window.ns, &learned(300 * MS, 200.0), 64, 128), Some(window.ns));
        assert_eq!(pace.within_calls(window.ns, &learned(300 * MS, 200.0), 64, 127), None);
    }

    #[test]
    fn a_hang_is_noticed_one_timeout_after_the_expected_end() {
        let known = Learned { outside_ns: 30 * MS, ..learned(10 * MS, 100.0) };
        assert_eq!(pace(20_000 * MS).patience_ns(40 * MS, &known), (40 + 30 + 30 + 30_000) * MS);
        let hasty = BlockPace { task_timeout_ns: MS, ..pace(20_000 * MS) };
        assert_eq!(hasty.patience_ns(40 * MS, &known), (40 + 30 + 30 + 5_000) * MS);
        let batch = BlockPace { load: Load::Batch { tasks: 500, max_in_flight: 8 }, ..hasty };
        assert_eq!(batch.patience_ns(0, &Learned { elapsed_ns: 700 * MS, ..known }), (1_400 + 5_000) * MS);
    }

    proptest! {
        #[test]
        fn nothing_overflows_and_calls_are_kept(
            budget: u64, latency: u64, throughput in 0.0..1e12_f64, left: u64, concurrency in 1_u32..100_000
        ) {
            let pace = pace(budget);
            let learned = learned(latency, throughput);
            let window = pace.window(&learned);
            prop_assert!(window.ns >= MS);
            prop_assert!(pace.patience_ns(window.ns, &learned) >= window.ns);
            if let Some(ns) = pace.within_calls(window.ns, &learned, concurrency, left) {
                prop_assert!(ns <= window.ns);
                // One part in a million for the rounding of huge counts.
                prop_assert!(pace.calls(ns, throughput, concurrency) <= left.saturating_add(1 + left / 1_000_000));
            }
        }
    }
}
