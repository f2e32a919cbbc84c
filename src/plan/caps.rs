//! How large a size may be: what the workload allows, and what the host allows.

use crate::candidate::Engine;
use crate::host::Facts;
use crate::workload::{Load, Step, Workload};

/// Memory of one more agent or worker process, without payloads.
const PROCESS_BYTES: u64 = 4 << 20;
/// Files that every process of a session has open.
pub(super) const OWN_FILES: u64 = 32;
/// Processes and threads of a session that belong to no candidate.
const OWN_PROCESSES: u64 = 16;
/// Inputs that an agent keeps of a payload: one a variant.
const INPUTS: u64 = 16;

/// The largest that a size may be, and what sets that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cap {
    pub(super) largest: u32,
    /// What sets it, lower case, no full stop.
    pub(super) because: String,
}

/// Which size of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Workers,
    InFlight,
}

/// What the workload allows of tasks in flight.
pub(super) fn of_workload(load: Load) -> Cap {
    match load {
        Load::Batch { tasks, max_in_flight } if tasks < max_in_flight => {
            Cap { largest: tasks, because: format!("a batch has {tasks} tasks") }
        }
        _ => Cap { largest: load.max_in_flight(), because: format!("`max_in_flight` is {}", load.max_in_flight()) },
    }
}

/// What the host allows on this axis of this engine, in a session of `entries` engines whose agents stay
/// resident; the smallest of its limits. `None` when nothing limits it.
pub(super) fn of_host(engine: Engine, axis: Axis, workload: &Workload, facts: &Facts, entries: u64) -> Option<Cap> {
    let kernel_tasks = is_kernel_task(engine, axis).then(|| kernel_tasks(facts, entries)).into_iter().flatten();
    let files = open_files(engine, axis, workload, facts, entries);
    let memory = is_process(engine, axis).then(|| memory(workload, facts, entries));
    kernel_tasks.chain(files).chain(memory).min_by_key(|cap| cap.largest)
}

/// Memory that one agent or worker process takes for this workload.
pub(super) fn process_bytes(workload: &Workload) -> u64 {
    let inputs = workload.payload.input_bytes.saturating_mul(INPUTS);
    PROCESS_BYTES.saturating_add(inputs).saturating_add(workload.payload.output_bytes)
}

/// Memory that this session may take.
pub(super) fn memory_bytes(facts: &Facts) -> u64 {
    facts.memory_available_bytes.min(facts.memory_limit_bytes.unwrap_or(u64::MAX))
}

/// Whether one more of this size is one more process.
pub(super) fn is_process(engine: Engine, axis: Axis) -> bool {
    match engine {
        Engine::ProcessPool | Engine::TokioProcessPool => axis == Axis::Workers,
        Engine::ProcessPerTask => true,
        _ => false,
    }
}

/// Whether one more of this size is one more process or thread.
pub(super) fn is_kernel_task(engine: Engine, axis: Axis) -> bool {
    axis == Axis::Workers || matches!(engine, Engine::ThreadPerTask | Engine::ProcessPerTask)
}

/// Connections to the embedded server that one task in flight holds.
pub(super) fn server_connections(workload: &Workload) -> u64 {
    let embedded = |step: &&Step| matches!(step, Step::Http { url: None, .. } | Step::Tcp { address: None, .. });
    workload.steps.iter().filter(embedded).count() as u64
}

/// Files that one task in flight has open in its agent.
pub(super) fn files_per_task(workload: &Workload) -> u64 {
    let of_step = |step: &Step| match step {
        Step::Http { .. } | Step::Tcp { .. } | Step::File { .. } | Step::Wait { .. } => 1,
        Step::Event { .. } | Step::Queue { .. } => 2,
        // Its pipes and its pidfd.
        Step::Command { .. } => 4,
        Step::Cpu(_) | Step::Sleep { .. } | Step::Lock { .. } => 0,
    };
    workload.steps.iter().map(of_step).sum()
}

/// An equal share of `room` for each of `entries` engines, two sizes of which are resident at once: the
/// current rung of a ladder that doubles, and the one below, which is half as large.
fn share(room: u64, entries: u64, per_unit: u64) -> u32 {
    let units = room.saturating_mul(2) / 3 / entries.max(1) / per_unit.max(1);
    u32::try_from(units).unwrap_or(u32::MAX)
}

fn kernel_tasks(facts: &Facts, entries: u64) -> impl Iterator<Item = Cap> {
    let limits = [
        (facts.limits.processes, "RLIMIT_NPROC", "; `ulimit -u` raises it"),
        (facts.limits.cgroup_processes, "the cgroup's pids.max", ""),
    ];
    limits.into_iter().filter_map(move |(limit, name, advice)| {
        let limit = limit?;
        let largest = share(limit.saturating_sub(OWN_PROCESSES), entries, 1);
        Some(Cap { largest, because: format!("{name} is {limit}, for {entries} engines together{advice}") })
    })
}

fn open_files(engine: Engine, axis: Axis, workload: &Workload, facts: &Facts, entries: u64) -> Option<Cap> {
    let limit = facts.limits.open_files?;
    let room = limit.saturating_sub(OWN_FILES);
    let axes = engine.axes();
    let is_concurrency = axis == Axis::InFlight || !axes.in_flight;
    // A task's files are open where it runs: in the agent, except in worker processes, to each of which
    // the agent has a socket and a pidfd.
    let mut in_agent = if is_process(engine, axis) { 2 } else { 0 };
    if is_concurrency && !is_process(engine, axis) {
        in_agent += files_per_task(workload);
    }
    let in_server = if is_concurrency { server_connections(workload) } else { 0 };
    let agent = (in_agent > 0).then(|| u32::try_from(room / in_agent).unwrap_or(u32::MAX));
    let server = (in_server > 0).then(|| share(room, entries, in_server));
    let largest = agent.into_iter().chain(server).min()?;
    Some(Cap { largest, because: format!("RLIMIT_NOFILE is {limit}; `ulimit -n` raises it") })
}

fn memory(workload: &Workload, facts: &Facts, entries: u64) -> Cap {
    let each = process_bytes(workload);
    let available = memory_bytes(facts);
    let because = format!(
        "a process needs about {} and {} of memory are available",
        bytesize::ByteSize(each),
        bytesize::ByteSize(available)
    );
    // Half of what is there: the host has other uses for it.
    Cap { largest: share(available / 2, entries.min(3), each), because }
}
