//! What an agent says, held against what was asked of it and seen of it: pure.

use std::collections::HashSet;
use std::time::Duration;

use crate::candidate::Engine;
use crate::clock::nanos;
use crate::guard::Status;
use crate::protocol::{Block, BlockKind, Ended, Go, Hello, Job, PROTOCOL, Ready, Reference, VARIANTS};
use crate::units;
use crate::workload::Load;

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) expected: String,
    pub(super) came: String,
}

/// Histograms have three digits.
const HISTOGRAM: f64 = 0.999;
/// What other clocks than the kernel's own may differ by.
const CPU_GRAIN_NS: u64 = 20_000_000;
/// The least share of the CPU time that was seen of a process that it may tell of itself.
const LEAST_CPU: f64 = 0.5;

/// Faults, as they are found.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn unless(&mut self, is_kept: bool, expected: impl Into<String>, came: impl Into<String>) {
        if !is_kept {
            self.0.push(Fault { expected: expected.into(), came: came.into() });
        }
    }

    /// That one figure is at most another.
    fn at_most(&mut self, what: &str, figure: u64, most: u64, whose: &str) {
        self.unless(figure <= most, format!("`{what}` at most {most}, {whose}"), format!("{figure}"));
    }
}

/// What an agent says of itself.
pub(super) fn of_hello(hello: &Hello) -> Vec<Fault> {
    let mut faults = Faults::default();
    let protocol = hello.protocol;
    faults.unless(protocol == PROTOCOL, format!("protocol {PROTOCOL}"), format!("protocol {protocol}"));
    let engines: HashSet<Engine> = hello.engines.iter().map(|offer| offer.engine).collect();
    faults.unless(engines.contains(&Engine::Sequential), "an engine `sequential`", "none of that name");
    faults.unless(engines.len() == hello.engines.len(), "each engine once", "one of them twice");
    let absent = hello.absent.iter().find(|absent| engines.contains(&absent.engine));
    let both = absent.map_or_else(String::new, |absent| format!("`{}` is among both", absent.engine));
    faults.unless(absent.is_none(), "no engine that is offered and absent", both);
    faults.unless(!hello.language.is_empty(), "a language", "an empty text");
    faults.unless(hello.clock_resolution_ns > 0, "a clock resolution of 1 ns or more", "0");
    let cost_ns = hello.clock_cost_ns;
    faults.unless(cost_ns.is_finite() && cost_ns > 0.0, "a time that reading the clock takes", format!("{cost_ns} ns"));
    faults.0
}

/// The checksums of a reference beside those that are right; of each part (a step, the payload) the first that differs.
pub(super) fn of_tables(made: &Reference, right: &Reference, parts: &[&str]) -> Vec<Fault> {
    let mut faults = Faults::default();
    let lengths = |reference: &Reference| reference.tables.iter().map(Vec::len).collect::<Vec<usize>>();
    let (asked, came) = (lengths(right), lengths(made));
    faults.unless(came == asked, format!("tables of {asked:?} checksums"), format!("{came:?}"));
    for ((made, right), part) in made.tables.iter().zip(&right.tables).zip(parts) {
        if let Some((variant, (came, asked))) =
            made.iter().zip(right).enumerate().find(|(_, (one, other))| one != other)
        {
            faults.unless(false, format!("{part}, variant {variant}: {asked}"), format!("{came}"));
        }
    }
    faults.0
}

/// An agent that has become a candidate, within `seen_ns` of being asked; `below` are the processes below its guard.
pub(super) fn of_ready(ready: &Ready, job: &Job, seen_ns: u64, below: &[u32]) -> Vec<Fault> {
    let mut faults = Faults::default();
    faults.at_most("ready_ns", ready.ready_ns, ready.startup_ns, "its `startup_ns`");
    faults.at_most("startup_ns", ready.startup_ns, seen_ns, "the time from `job` to `ready`");
    faults.at_most("first_task_ns", ready.first_task_ns, ready.startup_ns, "its `startup_ns`");
    let is_told = (ready.first_task_ns > 0) == (job.turns == 0);
    let expected =
        if job.turns == 0 { "the time of a first task" } else { "no first task where a block is some turns" };
    faults.unless(is_told, expected, format!("`first_task_ns` is {}", ready.first_task_ns));
    let strange: Vec<u32> = ready.pids.iter().copied().filter(|pid| !below.contains(pid)).collect();
    faults.unless(!ready.pids.is_empty(), "`pids`, its own first", "none");
    faults.unless(strange.is_empty(), "`pids` of processes that it started", format!("{strange:?} are none"));
    faults.0
}

/// What the controller saw of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// From `go` to `block`.
    pub(super) ns: u64,
    /// The CPU time of its processes meanwhile, where they are all known and tasks run in them.
    pub(super) cpu_ns: Option<u64>,
    /// CPUs that there are.
    pub(super) cpus: u64,
    /// The least that a task takes.
    pub(super) least_task_ns: u64,
}

/// The figures of a block.
pub(super) fn of_block(block: &Block, go: &Go, job: &Job, reference: &Reference, seen: Seen) -> Vec<Fault> {
    let mut faults = Faults::default();
    let echo = (block.block, block.kind, block.first_index);
    let asked = (go.block, go.kind, go.first_index);
    faults.unless(echo == asked, format!("block, kind and first index {asked:?}, as asked"), format!("{echo:?}"));
    let checksum = reference.expected_of(block);
    faults.unless(
        block.checksum == checksum || block.errors > 0,
        format!("checksum {checksum} of {} tasks from {} on", block.tasks, block.first_index),
        format!("{}", block.checksum),
    );
    counts(&mut faults, block, go, job);
    times(&mut faults, block, job, seen);
    usage(&mut faults, block, seen);
    faults.unless(
        block.longest_stall_ns.is_none() || go.kind == BlockKind::Memory,
        "`longest_stall_ns` in memory blocks alone",
        "one in another",
    );
    faults.0
}

/// How many tasks ran, and how many of them count.
fn counts(faults: &mut Faults, block: &Block, go: &Go, job: &Job) {
    let most = go.most_tasks;
    let exactly = match (go.kind, job.load) {
        (BlockKind::Verify, _) => Some(most.unwrap_or(VARIANTS)),
        (_, Load::Batch { tasks, .. }) => Some(u64::from(tasks).min(most.unwrap_or(u64::MAX))),
        (_, Load::Closed { .. }) if job.turns > 0 => {
            Some(u64::from(job.candidate.sizes.concurrency()) * u64::from(job.turns))
        }
        (_, Load::Closed { .. }) => most,
    };
    let tasks = block.tasks;
    match exactly {
        Some(asked) => faults.unless(tasks == asked, format!("{asked} tasks"), format!("{tasks}")),
        None => faults.unless(tasks > 0, "at least one task", "none"),
    }
    let counted = block.tasks_in_window;
    let is_some = counted.is_finite() && counted >= 0.0 && counted <= tasks as f64 + 1e-6;
    faults.unless(is_some, format!("`tasks_in_window` from 0 to {tasks}"), format!("{counted}"));
    let is_full = counted < tasks as f64 || job.turns < 2 || go.kind == BlockKind::Verify;
    faults.unless(is_full, "only tasks that ended before the last one of the turns began", format!("all {tasks}"));
    let is_batch = go.kind == BlockKind::Verify || matches!(job.load, Load::Batch { .. });
    let counts_all = (counted + block.errors as f64 - tasks as f64).abs() < 1e-6;
    faults.unless(!is_batch || counts_all, format!("all {tasks} tasks of a batch in the window"), format!("{counted}"));
    if exactly.is_none() {
        let asked = go.window_ns;
        faults.unless(block.window_ns == asked, format!("a window of {asked} ns"), format!("{} ns", block.window_ns));
    }
    began_in_window(faults, block, job, is_batch);
}

/// Histograms hold the tasks that began in the window: as many as it counts, but for those at its edges.
fn began_in_window(faults: &mut Faults, block: &Block, job: &Job, is_batch: bool) {
    let (Ok(service), Ok(queueing)) = (block.service.decode(), block.queueing.decode()) else {
        faults.unless(false, "histograms of HdrHistogram V2, deflated, in base64", "a text that is none");
        return;
    };
    let (served, queued) = (service.len(), queueing.len());
    faults.unless(served == queued, "as many tasks in `queueing` as in `service`", format!("{queued} and {served}"));
    let counted = block.tasks_in_window;
    // Engines may hold a few tasks more than there are workers.
    let edges = if is_batch { 0.0 } else { f64::from(2 * job.candidate.sizes.concurrency() + 2) };
    let is_near = (served as f64 - counted).abs() <= edges + 1e-6 || job.turns > 0;
    faults.unless(is_near, format!("about {counted:.1} tasks in `service`, as in the window"), format!("{served}"));
}

/// Times, by the clock that all processes share.
fn times(faults: &mut Faults, block: &Block, job: &Job, seen: Seen) {
    faults.at_most("elapsed_ns", block.elapsed_ns, seen.ns, "the time from `go` to `block` by CLOCK_MONOTONIC");
    faults.at_most("resume_ns", block.resume_ns, block.elapsed_ns, "its `elapsed_ns`");
    faults.at_most("window_ns", block.window_ns, block.elapsed_ns, "its `elapsed_ns`");
    let slots = u64::from(2 * job.candidate.sizes.concurrency() + 2);
    let most_ns = slots.saturating_mul(block.window_ns);
    faults.at_most("busy_ns", block.busy_ns, most_ns, "its window in all slots");
    let least_ns = (seen.least_task_ns as f64 * HISTOGRAM) as u64;
    if let Ok(service) = block.service.decode()
        && !service.is_empty()
    {
        faults.unless(
            service.min() >= least_ns,
            format!("no task below {least_ns} ns, which it waits"),
            format!("one of {} ns", service.min()),
        );
    }
}

/// What it used of CPUs.
fn usage(faults: &mut Faults, block: &Block, seen: Seen) {
    let told_ns = block.usage.cpu_ns();
    let most_ns = seen.cpus.saturating_mul(seen.ns).saturating_add(CPU_GRAIN_NS);
    faults.at_most("user_ns + system_ns", told_ns, most_ns, "what all CPUs have meanwhile");
    faults.at_most("children_ns", block.usage.children_ns, told_ns, "the CPU time of which it is a part");
    if let Some(seen_ns) = seen.cpu_ns {
        let least_ns = ((seen_ns as f64 * LEAST_CPU) as u64).saturating_sub(CPU_GRAIN_NS);
        let is_near = (least_ns..=seen_ns.saturating_add(CPU_GRAIN_NS)).contains(&told_ns);
        faults.unless(is_near, format!("about {seen_ns} ns of CPU time, as was seen of it"), format!("{told_ns} ns"));
    }
}

/// The last word, `seen_ns` after it was asked for.
pub(super) fn of_ended(ended: &Ended, seen_ns: u64) -> Vec<Fault> {
    let mut faults = Faults::default();
    faults.at_most("teardown_ns", ended.teardown_ns, seen_ns, "the time from `bye` to its answer");
    let left: Vec<String> = ended.left_behind.iter().map(|left| format!("{} `{}`", left.kind, left.name)).collect();
    faults.unless(left.is_empty(), "nothing left behind by tasks that leave nothing", left.join(", "));
    faults.0
}

/// How it ended, and how many processes outlived it.
pub(super) fn of_end(status: Option<Status>, patience: Duration, left: u32, is_peaceful: bool) -> Vec<Fault> {
    let mut faults = Faults::default();
    let came = status.map_or_else(|| "it lives on".to_owned(), |status| status.to_string());
    let ends = format!("an end within {}", units::written_duration(nanos(patience)));
    faults.unless(status.is_some(), ends, came.clone());
    let is_fine = status.is_none() || !is_peaceful || status == Some(Status::Exit(0));
    faults.unless(is_fine, "exit status 0", came);
    faults.unless(left == 0, "no process that outlives it", format!("{left}, which were killed"));
    faults.0
}

#[cfg(test)]
mod tests;
