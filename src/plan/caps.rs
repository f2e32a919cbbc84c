//! How large a size may be: what the workload allows, and what the host allows.

use crate::candidate::{Engine, Model};
use crate::host::Facts;
use crate::units;
use crate::workload::{Load, Step, Workload};

/// Memory of one more agent or worker process, without payloads.
const PROCESS_BYTES: u64 = 4 << 20;
/// The same of CPython, whose every process (and interpreter) holds the modules that it imported.
const CPYTHON_BYTES: u64 = 16 << 20;
/// Files that every process of a session has open.
pub(super) const OWN_FILES: u64 = 32;
/// Processes and threads of a session that belong to no candidate.
const OWN_PROCESSES: u64 = 16;
/// Inputs that an agent keeps of a payload: one a variant.
const INPUTS: u64 = 16;
/// Inputs and outputs of a payload that a worker process adds: the one it works on, and two under way.
const UNDER_WAY: u64 = 3;
/// Sizes of one engine that are resident together: the search compares up to six neighbouring rungs of a
/// ladder, usually four, and the final those that may be the best, about five; the five largest are what is counted.
pub(super) const RESIDENT: usize = 5;
/// Processes of every resident size beside its workers: the agent and its guard.
pub(super) const PER_AGENT: u64 = 2;

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
    let kernel_tasks = kernel_task_caps(engine, axis, workload, facts, entries);
    let files = open_files(engine, axis, workload, facts);
    let memory = has_memory_of_its_own(engine, axis).then(|| memory(engine, workload, facts, entries));
    kernel_tasks.chain(files).chain(memory).min_by_key(|cap| cap.largest)
}

/// Memory that one agent takes for this workload.
pub(super) fn agent_bytes(engine: Engine, workload: &Workload) -> u64 {
    process_bytes(engine).saturating_add(workload.payload.input_bytes.saturating_mul(INPUTS))
}

/// Memory that one more worker process takes for this workload, in itself and in its agent.
pub(super) fn worker_bytes(engine: Engine, workload: &Workload) -> u64 {
    process_bytes(engine).saturating_add(workload.payload.bytes().saturating_mul(UNDER_WAY))
}

/// Memory of one more process of this engine, without payloads.
fn process_bytes(engine: Engine) -> u64 {
    if Engine::RUST.contains(&engine) { PROCESS_BYTES } else { CPYTHON_BYTES }
}

/// Memory that this session may take.
pub(super) fn memory_bytes(facts: &Facts) -> u64 {
    facts.memory_available_bytes.min(facts.memory_limit_bytes.unwrap_or(u64::MAX))
}

/// Whether one more of this size is one more worker with memory of its own: a process or an interpreter.
fn has_memory_of_its_own(engine: Engine, axis: Axis) -> bool {
    is_worker_process(engine, axis) || (engine.model() == Model::Interpreters && axis == Axis::Workers)
}

/// Whether one more of this size is one more worker process.
fn is_worker_process(engine: Engine, axis: Axis) -> bool {
    engine.has_worker_processes() && (axis == Axis::Workers || is_per_task(engine))
}

/// Whether it starts a process for each task.
fn is_per_task(engine: Engine) -> bool {
    matches!(engine, Engine::ProcessPerTask | Engine::Process)
}

/// Whether this size is the number of tasks in flight.
pub(super) fn is_concurrency(engine: Engine, axis: Axis) -> bool {
    axis == Axis::InFlight || !engine.axes().in_flight
}

/// Whether this engine calls the blocking form of a step in a thread or process of its own.
fn runs_blocking(engine: Engine, step: &Step) -> bool {
    match engine.model() {
        Model::Async | Model::ShardedAsync => false,
        Model::AsyncThreads | Model::AsyncProcesses => !step.has_async_form(),
        Model::Sequential | Model::Threads | Model::Processes | Model::Interpreters | Model::Cluster => true,
    }
}

/// How many steps of this kind workers of this engine run in their blocking form.
fn blocking_steps(engine: Engine, workload: &Workload, kind: impl Fn(&Step) -> bool) -> u64 {
    workload.steps.iter().filter(|step| kind(step) && runs_blocking(engine, step)).count() as u64
}

fn events(engine: Engine, workload: &Workload) -> u64 {
    blocking_steps(engine, workload, |step| matches!(step, Step::Event { .. }))
}

fn queues(engine: Engine, workload: &Workload) -> u64 {
    blocking_steps(engine, workload, |step| matches!(step, Step::Queue { .. }))
}

/// Steps that worker processes share through descriptors to the peer process.
fn lines(engine: Engine, workload: &Workload) -> u64 {
    if engine.has_worker_processes() { events(engine, workload) + queues(engine, workload) } else { 0 }
}

/// How many processes one more of this size is: a worker, and the program that a `command` runs.
pub(super) fn processes(engine: Engine, axis: Axis, workload: &Workload) -> u64 {
    let has_command =
        engine.model() != Model::Cluster && workload.steps.iter().any(|step| matches!(step, Step::Command { .. }));
    u64::from(is_worker_process(engine, axis)) + u64::from(has_command && is_concurrency(engine, axis))
}

/// How many processes and threads one more of this size is.
pub(super) fn kernel_tasks(engine: Engine, axis: Axis, workload: &Workload) -> u64 {
    let threads = match (engine, axis) {
        // In `process-per-task`, a thread waits for each process.
        (Engine::ThreadPerTask | Engine::ProcessPerTask | Engine::Thread, _) => 1,
        (_, Axis::Workers) => u64::from(!engine.has_worker_processes()),
        (_, Axis::InFlight) => 0,
    };
    // In its blocking form, each task has a partner of its own for an `event`: a thread of the agent, or of
    // the peer process.
    let partners = if is_concurrency(engine, axis) { events(engine, workload) } else { 0 };
    processes(engine, axis, workload) + threads + partners
}

/// Processes of a resident agent that are there at any size: the agent and its guard, and the peer
/// process where workers share queues or events.
pub(super) fn agent_processes(engine: Engine, workload: &Workload) -> u64 {
    PER_AGENT + u64::from(lines(engine, workload) > 0)
}

/// Processes and threads of a resident agent that are there at any size: its processes, a consumer for
/// each queue, the thread that watches a peer, and those that smol starts beside its loop (`async-io`, and
/// `async-process` for programs).
pub(super) fn agent_kernel_tasks(engine: Engine, workload: &Workload) -> u64 {
    let has_command = workload.steps.iter().any(|step| matches!(step, Step::Command { .. }));
    let of_smol = if engine == Engine::Smol { 1 + u64::from(has_command) } else { 0 };
    agent_processes(engine, workload) + queues(engine, workload) + u64::from(lines(engine, workload) > 0) + of_smol
}

/// Connections to the embedded server that one task in flight holds.
pub(super) fn server_connections(workload: &Workload) -> u64 {
    let embedded = |step: &&Step| matches!(step, Step::Http { url: None, .. } | Step::Tcp { address: None, .. });
    workload.steps.iter().filter(embedded).count() as u64
}

/// Files that one more of this size has open in the agent.
pub(super) fn files(engine: Engine, axis: Axis, workload: &Workload) -> u64 {
    if is_worker_process(engine, axis) {
        return worker_files(engine, workload);
    }
    // A task's files are open where it runs: in the agent, except for what goes to worker processes.
    let here = |step: &&Step| match engine {
        Engine::ShardedAsyncio => false,
        // What runs elsewhere opens nothing here.
        Engine::Dask => false,
        _ => !engine.has_worker_processes() || step.has_async_form(),
    };
    if is_concurrency(engine, axis) { workload.steps.iter().filter(here).map(step_files).sum() } else { 0 }
}

/// Files that the agent has open for one worker process.
fn worker_files(engine: Engine, workload: &Workload) -> u64 {
    // A worker is handed two descriptors for each line to the peer.
    let shared = lines(engine, workload).saturating_mul(2);
    let each = if is_per_task(engine) {
        // Each may be at its start at any time: both ends of its socket, the pipe on which a start that
        // failed is reported, and copies of what it is handed.
        shared.saturating_mul(2) + 4
    } else {
        // Its socket and a pidfd.
        shared + 2
    };
    // Before any worker, the peer is started: until it runs, the agent has its ends too, and copies.
    each.max(shared.saturating_mul(3))
}

/// Files that one task in flight has open for this step, in the process in which it runs.
fn step_files(step: &Step) -> u64 {
    match step {
        Step::Http { .. } | Step::Tcp { .. } | Step::File { .. } => 1,
        // Its pipes and its pidfd.
        Step::Command { .. } => 4,
        // A `wait` has one timerfd for a whole event loop, and none on a thread; partners and consumers in
        // the same process need no files.
        // What the user's own code opens is not known.
        Step::Python(_)
        | Step::Registered(_)
        | Step::Cpu(_)
        | Step::Wait { .. }
        | Step::Sleep { .. }
        | Step::Lock { .. }
        | Step::Queue { .. }
        | Step::Event { .. } => 0,
    }
}

/// An equal share of `room` for each of `entries` engines, whose resident sizes are together at most
/// `sizes` times the largest of them.
fn share(room: u64, entries: u64, sizes: u64, per_unit: u64) -> u32 {
    let units = room / entries.max(1) / sizes / per_unit.max(1);
    u32::try_from(units).unwrap_or(u32::MAX)
}

fn kernel_task_caps(
    engine: Engine,
    axis: Axis,
    workload: &Workload,
    facts: &Facts,
    entries: u64,
) -> impl Iterator<Item = Cap> {
    let per_unit = kernel_tasks(engine, axis, workload);
    // The other axis is searched at the default workers, which may be the largest: all resident agents are
    // counted as large as the largest.
    let resident = RESIDENT as u64;
    let fixed = entries.saturating_mul(resident).saturating_mul(agent_kernel_tasks(engine, workload));
    let limits = [
        (facts.limits.processes, "RLIMIT_NPROC", "; `ulimit -u` raises it"),
        (facts.limits.cgroup_processes, "the cgroup's pids.max", ""),
    ];
    limits.into_iter().filter(move |_| per_unit > 0).filter_map(move |(limit, name, advice)| {
        let limit = limit?;
        let largest = share(limit.saturating_sub(OWN_PROCESSES).saturating_sub(fixed), entries, resident, per_unit);
        Some(Cap { largest, because: format!("{name} is {limit}, for {entries} engines together{advice}") })
    })
}

/// The files of the agent. The embedded server raises its own limit, which holds all its connections.
fn open_files(engine: Engine, axis: Axis, workload: &Workload, facts: &Facts) -> Option<Cap> {
    let limit = facts.limits.open_files?;
    let each = files(engine, axis, workload);
    let largest = u32::try_from(limit.saturating_sub(OWN_FILES).checked_div(each)?).unwrap_or(u32::MAX);
    Some(Cap { largest, because: format!("RLIMIT_NOFILE is {limit}; `ulimit -n` raises it") })
}

fn memory(engine: Engine, workload: &Workload, facts: &Facts, entries: u64) -> Cap {
    let each = worker_bytes(engine, workload);
    let available = memory_bytes(facts);
    let because =
        format!("a worker needs about {} and {} of memory are available", units::bytes(each), units::bytes(available));
    // Half of what is there: the host has other uses for it. Rungs that double are together less than twice
    // the largest.
    Cap { largest: share(available / 2, entries.min(3), 2, each), because }
}
