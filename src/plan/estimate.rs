//! What a session will take, from nominal figures: nothing has been measured yet.

use super::caps::{self, Axis};
use super::{Entry, Foreseen, Settings};
use crate::candidate::Model;
use crate::host::Facts;
use crate::units;
use crate::workload::{Cpu, Distribution, Rate, Step, Work, Workload};

/// How long the user's own code takes is not known before it runs: this is assumed.
const OWN_CODE_NS: f64 = 10_000_000.0;
/// No task is quicker than this.
const TASK_FLOOR_NS: f64 = 10_000.0;
/// What ending a session takes, beside its budget: the last block, and the agents' ends.
const END_NS: u64 = 1_000_000_000;
/// A round that has begun is finished beyond the budget, but not further than this part of it.
const OVERTIME_PART: u64 = 4;
/// The controller and the guard below which everything runs.
const OWN_PROCESSES: u64 = 2;
/// Files that the controller has open for one agent: its pipes, its guard's socket, its pidfd.
const FILES_PER_AGENT: u64 = 5;

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
        Step::Python(_) | Step::Registered(_) => OWN_CODE_NS,
        Step::File { size_bytes, fsync, .. } => *size_bytes as f64 + if *fsync { 1_000_000.0 } else { 20_000.0 },
        _ => 0.0,
    }
}

/// What a session of these entries takes at most, as far as nominal figures go.
pub(super) fn foreseen(entries: &[Entry], workload: &Workload, settings: &Settings, facts: &Facts) -> Foreseen {
    let embedded = caps::server_connections(workload);
    let server = u64::from(embedded > 0);
    // Runtimes are measured one after another.
    let all = |of: &dyn Fn(&Entry) -> u64| {
        let sums = entries.chunk_by(|one, other| one.runtime == other.runtime);
        sums.map(|those| those.iter().map(of).fold(0, u64::saturating_add)).max().unwrap_or(0)
    };
    let agents = all(&|entry| resident(entry).len() as u64);
    let processes = all(&|entry| {
        let fixed = caps::agent_processes(entry.engine, workload) * resident(entry).len() as u64;
        units(entry, |axis| caps::processes(entry.engine, axis, workload)).saturating_add(fixed)
    });
    let kernel_tasks = all(&|entry| {
        let fixed = caps::agent_kernel_tasks(entry.engine, workload) * resident(entry).len() as u64;
        units(entry, |axis| caps::kernel_tasks(entry.engine, axis, workload)).saturating_add(fixed)
    });
    let connections = all(&|entry| resident(entry).into_iter().map(u64::from).sum::<u64>().saturating_mul(embedded));
    let in_agent = entries.iter().map(|entry| agent_files(entry, workload)).max().unwrap_or(0);
    let own = OWN_PROCESSES + server;
    Foreseen {
        time_ns: settings.budget_ns.saturating_add(settings.budget_ns / OVERTIME_PART).saturating_add(END_NS),
        calls: calls(entries, workload, settings, facts),
        processes: processes.saturating_add(own),
        threads: kernel_tasks.saturating_add(own),
        open_files: caps::OWN_FILES.saturating_add(connections.max(in_agent).max(agents * FILES_PER_AGENT)),
    }
}

/// The concurrency of the sizes of an entry that may be resident at once: the largest of its ladder, the
/// largest first.
fn resident(entry: &Entry) -> Vec<u32> {
    let ladder = if entry.engine.axes().in_flight { &entry.in_flight } else { &entry.workers };
    if ladder.is_empty() { vec![1] } else { largest(ladder).collect() }
}

fn largest(ladder: &[u32]) -> impl Iterator<Item = u32> {
    ladder.iter().rev().take(caps::RESIDENT).copied()
}

/// What the resident sizes of an entry are together, by what one of each axis is.
fn units(entry: &Entry, of_one: impl Fn(Axis) -> u64) -> u64 {
    let sum = |ladder: &[u32]| largest(ladder).map(u64::from).sum::<u64>();
    // While tasks in flight are searched, every agent has the default number of workers.
    let while_searched = entry.default_sizes.workers.map_or(0, u64::from) * largest(&entry.in_flight).count() as u64;
    let workers = sum(&entry.workers).max(while_searched);
    let in_flight = sum(&entry.in_flight);
    workers.saturating_mul(of_one(Axis::Workers)).saturating_add(in_flight.saturating_mul(of_one(Axis::InFlight)))
}

/// Files of the largest agent of an entry.
fn agent_files(entry: &Entry, workload: &Workload) -> u64 {
    let of = |axis: Axis, ladder: &[u32]| {
        ladder.last().map_or(0, |size| u64::from(*size).saturating_mul(caps::files(entry.engine, axis, workload)))
    };
    of(Axis::Workers, &entry.workers).saturating_add(of(Axis::InFlight, &entry.in_flight))
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
    let tasks = workload.rate.map_or(tasks, |rate| tasks.min(within(rate, settings.budget_ns)));
    tasks.min(workload.max_calls.unwrap_or(u64::MAX))
}

/// Tasks that may begin within so long.
fn within(rate: Rate, time_ns: u64) -> u64 {
    (time_ns / rate.interval_ns()).saturating_add(u64::from(rate.burst))
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
    notes.extend(workload.rate.and_then(|rate| slow_rate(entries, rate, settings)));
    notes.extend(workload.steps.iter().enumerate().filter_map(|(position, step)| remote(position, step)));
    notes
}

/// What only a session finds out.
pub(super) fn unknowns(entries: &[Entry], workload: &Workload) -> Vec<String> {
    let codes = workload.steps.iter().filter_map(|step| Some((step, step.own_code()?)));
    codes.map(|(step, name)| own_code(entries, step, name)).collect()
}

/// What event loops do with the user's own blocking code, and what is not known of it.
fn own_code(entries: &[Entry], step: &Step, name: &str) -> String {
    let mut note = format!(
        "how long `{name}` takes is not known before it runs: calls are foreseen as if it took {}; `max_calls` caps them",
        duration(OWN_CODE_NS)
    );
    if !step.has_async_form()
        && entries.iter().any(|entry| matches!(entry.engine.model(), Model::Async | Model::ShardedAsync))
    {
        note.push_str("; it has no async form: directly on an event loop it blocks all other tasks, and is measured as that mistake");
    }
    note
}

/// A session wants this many blocks, each of two tasks, of every entry.
const BLOCKS_WANTED: f64 = 30.0;

fn long_tasks(entries: &[Entry], workload: &Workload, settings: &Settings) -> Option<String> {
    // How long the user's own code takes is not known: there is nothing to say of it.
    if workload.steps.iter().any(|step| step.own_code().is_some()) {
        return None;
    }
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

/// A session wants so many tasks of every entry: blocks of ten, on two lives of a size and its neighbours.
const TASKS_WANTED: f64 = 100.0;

fn slow_rate(entries: &[Entry], rate: Rate, settings: &Settings) -> Option<String> {
    let wanted = TASKS_WANTED * rate.interval_ns() as f64 * entries.len() as f64;
    if wanted <= settings.budget_ns as f64 {
        return None;
    }
    Some(format!(
        "at {rate} only {} tasks can begin within {}, and much may stay undecided; `--budget {}` would do, or fewer `--engines`",
        within(rate, settings.budget_ns),
        duration(settings.budget_ns as f64),
        duration(wanted)
    ))
}

/// A duration with two or three digits that matter, rounded up, as an option takes it.
fn duration(ns: f64) -> String {
    let unit = [1e9, 1e6, 1e3].into_iter().find(|unit| ns >= 10.0 * unit).unwrap_or(1.0);
    let whole = (ns / unit).ceil() * unit;
    units::written_duration(whole as u64)
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
