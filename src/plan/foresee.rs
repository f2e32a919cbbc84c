//! What a session will take, from nominal figures: nothing has been measured yet.

use super::caps::{self, Axis};
use super::{Entry, Foreseen, Settings};
use crate::candidate::Engine;
use crate::host::Facts;
use crate::workload::{Cpu, Distribution, Step, Work, Workload};

/// No task is quicker than this.
const TASK_FLOOR_NS: f64 = 10_000.0;
/// What ending a session takes, beside its budget: the last block, and the agents' ends.
const END_NS: u64 = 1_000_000_000;
/// The controller and the guard.
const OWN_PROCESSES: u64 = 2;

/// The nominal time of one task, unloaded: its steps' means. Rough where only measuring can tell (a
/// kernel without a `time`, a file, a command).
#[must_use]
pub fn nominal_task_ns(workload: &Workload) -> f64 {
    workload.steps.iter().map(|step| cpu_ns(step) + wait_ns(step)).sum::<f64>().max(TASK_FLOOR_NS)
}

/// The part of [`nominal_task_ns`] that computes.
#[must_use]
pub fn nominal_cpu_ns(workload: &Workload) -> f64 {
    workload.steps.iter().map(cpu_ns).sum()
}

fn cpu_ns(step: &Step) -> f64 {
    // Without a calibrated time, a kernel costs about 5 ns a byte.
    let kernel = |cpu: &Cpu| cpu.time_ns.map_or(cpu.input_bytes as f64 * 5.0, |time| time as f64);
    match step {
        Step::Http { .. } => 50_000.0,
        Step::Tcp { .. } => 20_000.0,
        Step::Event { round_trips } => f64::from(*round_trips) * 5_000.0,
        Step::Command { .. } => 1_000_000.0,
        _ => step.cpu().map_or(0.0, kernel),
    }
}

fn wait_ns(step: &Step) -> f64 {
    let mean = |time: &Distribution| time.mean_ns();
    match step {
        Step::Wait { time } | Step::Sleep { time } => mean(time),
        Step::Http { delay, .. } | Step::Tcp { delay, .. } => mean(delay),
        Step::Lock { hold: Work::Wait { time } } | Step::Queue { stage: Work::Wait { time }, .. } => mean(time),
        Step::File { size_bytes, fsync, .. } => *size_bytes as f64 + if *fsync { 1_000_000.0 } else { 20_000.0 },
        _ => 0.0,
    }
}

/// What a session of these entries takes at most, as far as nominal figures go.
pub(super) fn foreseen(entries: &[Entry], workload: &Workload, settings: &Settings, facts: &Facts) -> Foreseen {
    let embedded = caps::server_connections(workload);
    let server = u64::from(embedded > 0);
    let agents: u64 = entries.iter().map(|entry| resident(entry).len() as u64).sum();
    let processes: u64 = entries.iter().map(|entry| units(entry, caps::is_process)).sum();
    let kernel_tasks: u64 = entries.iter().map(|entry| units(entry, caps::is_kernel_task)).sum();
    let connections: u64 = entries.iter().flat_map(resident).map(|size| u64::from(size).saturating_mul(embedded)).sum();
    let in_agent = entries.iter().map(|entry| agent_files(entry, workload)).max().unwrap_or(0);
    let all_processes = OWN_PROCESSES + server + agents + processes;
    Foreseen {
        time_ns: settings.budget_ns.saturating_add(END_NS),
        calls: calls(entries, workload, settings, facts),
        processes: all_processes,
        threads: all_processes + kernel_tasks.saturating_sub(processes),
        open_files: caps::OWN_FILES + connections.max(in_agent),
    }
}

/// The concurrency of the sizes of an entry that may be resident at once: the two largest of its ladder.
fn resident(entry: &Entry) -> Vec<u32> {
    let ladder = if entry.engine.axes().in_flight { &entry.in_flight } else { &entry.workers };
    if ladder.is_empty() { vec![1] } else { ladder.iter().rev().take(2).copied().collect() }
}

/// How many processes (or threads) the two largest sizes of an entry are.
fn units(entry: &Entry, counts: impl Fn(Engine, Axis) -> bool) -> u64 {
    let of_axis = |axis: Axis, ladder: &[u32]| -> u64 {
        let largest = ladder.iter().rev().take(2).map(|size| u64::from(*size)).sum();
        if counts(entry.engine, axis) { largest } else { 0 }
    };
    of_axis(Axis::Workers, &entry.workers) + of_axis(Axis::InFlight, &entry.in_flight)
}

fn agent_files(entry: &Entry, workload: &Workload) -> u64 {
    let concurrency = resident(entry).first().copied().map_or(1, u64::from);
    let workers = entry.workers.last().copied().map_or(0, u64::from);
    if caps::is_process(entry.engine, Axis::Workers) {
        workers.saturating_mul(2).max(caps::files_per_task(workload))
    } else {
        concurrency.saturating_mul(caps::files_per_task(workload))
    }
}

/// Tasks that run within the budget, if every entry has an equal share of it at its largest size.
fn calls(entries: &[Entry], workload: &Workload, settings: &Settings, facts: &Facts) -> u64 {
    let task = nominal_task_ns(workload);
    let cpu = nominal_cpu_ns(workload);
    let most = f64::from(facts.usable_cpus());
    let rate = |entry: &Entry| {
        let concurrency = resident(entry).first().copied().map_or(1.0, f64::from);
        let overlapped = concurrency / task;
        if cpu > 0.0 { overlapped.min(concurrency.min(most) / cpu) } else { overlapped }
    };
    let mean = entries.iter().map(rate).sum::<f64>() / entries.len().max(1) as f64;
    let tasks = (settings.budget_ns as f64 * mean).ceil() as u64;
    tasks.min(workload.max_calls.unwrap_or(u64::MAX))
}

/// What the user should know before a session of these entries runs.
pub(super) fn notes(entries: &[Entry], workload: &Workload, settings: &Settings, facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    let has_file = workload.steps.iter().any(|step| matches!(step, Step::File { .. }));
    if has_file && matches!(facts.session_directory.kind.as_str(), "tmpfs" | "ramfs") {
        let directory = &facts.session_directory;
        notes.push(format!(
            "files are written to `{}`, a {} in memory: no disk is measured; set TMPDIR to a directory on the disk in question",
            directory.path, directory.kind
        ));
    }
    if let Some(quota) = &facts.cpu_quota
        && quota.cores < f64::from(facts.cpus_affinity)
    {
        notes.push(format!(
            "the cgroup `{}` allows {:.2} of {} CPUs: candidates that use more are throttled, and blocks are longer",
            quota.cgroup, quota.cores, facts.cpus_affinity
        ));
    }
    notes.extend(long_tasks(entries, workload, settings));
    notes.extend(workload.steps.iter().enumerate().filter_map(|(position, step)| remote(position, step)));
    notes
}

/// A session wants this many blocks, each of two tasks, of every entry.
const BLOCKS_WANTED: f64 = 30.0;

fn long_tasks(entries: &[Entry], workload: &Workload, settings: &Settings) -> Option<String> {
    let task = nominal_task_ns(workload);
    let wanted = task * 2.0 * BLOCKS_WANTED * entries.len() as f64;
    if wanted <= settings.budget_ns as f64 {
        return None;
    }
    Some(format!(
        "a task takes about {}: within {} there are few of them, and much may stay undecided; `--budget {}` would do, or fewer `--engines`",
        duration(task),
        duration(settings.budget_ns as f64),
        duration(wanted)
    ))
}

/// A duration with two or three digits that matter.
fn duration(ns: f64) -> String {
    let unit = [1e9, 1e6, 1e3].into_iter().find(|unit| ns >= 10.0 * unit).unwrap_or(1.0);
    let whole = (ns / unit).ceil() * unit;
    humantime::format_duration(std::time::Duration::from_nanos(whole as u64)).to_string()
}

fn remote(position: usize, step: &Step) -> Option<String> {
    let target = match step {
        Step::Http { url: Some(url), .. } => url,
        Step::Tcp { address: Some(address), .. } => address,
        _ => return None,
    };
    let number = position + 1;
    Some(format!(
        "step {number} ({}) reaches `{target}`: every task is a real request there; `max_calls` caps them",
        step.kind()
    ))
}
