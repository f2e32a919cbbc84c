//! Analysis: a record becomes a verdict. Pure, so a stored record gives the verdict of the live one.
//!
//! What is named is the answer of [`crate::decide`], made again from the record's blocks; the figures of each
//! candidate, how its engine scales and what the host allows stand beside it, and the reasons are data.

mod answer;
mod compare;
mod disturbance;
pub mod duel;
mod far_limit;
mod figures;
mod flip;
mod least_cpu;
mod leaving;
mod library_threads;
mod limit;
mod pareto;
mod reasons;
mod running;
mod runtimes;
mod scaling;
pub mod sessions;
mod start_up;
mod stored;
#[cfg(test)]
mod tests;

pub use answer::models;
pub use far_limit::{FarLimit, Growth, Refused, looks_like_limit};
pub use flip::{Flip, Side, flip, side};
pub use leaving::{Leaving, LeavingPoint};
pub use running::{Running, running};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::candidate::{Candidate, Engine, Model, StartMethod};
use crate::decide::RULES_VERSION;
use crate::record::{FewLong, Record};

/// The verdict on a record. Total: whatever the record lacks, a group then has no answer.
#[must_use]
pub fn analyze(record: &Record) -> Verdict {
    let counted = record.counted();
    let record = counted.as_ref();
    let all: Vec<figures::Figures> = (0..record.candidates.len()).map(|one| figures::of(record, one)).collect();
    let disturbed = disturbance::conditions(record, &all);
    let mut runtimes: Vec<&str> = Vec::new();
    for candidate in record.candidates.iter().map(|one| &one.candidate) {
        if !runtimes.contains(&candidate.runtime.as_str()) {
            runtimes.push(&candidate.runtime);
        }
    }
    let groups: Vec<Group> = runtimes
        .into_iter()
        .map(|runtime| {
            let of_runtime: Vec<figures::Figures> =
                all.iter().filter(|one| one.row.candidate.runtime == runtime).cloned().collect();
            answer::group(record, runtime, of_runtime, &disturbed)
        })
        .collect();
    let runtimes = runtimes::standings(record, &groups);
    Verdict {
        rules_version: RULES_VERSION,
        tolerance: record.workload.objective.tolerance(),
        is_disturbed: !disturbed.is_empty(),
        groups,
        runtimes,
    }
}

/// The verdict on a record that was read from a file, where `stored` is the verdict beside it. It is made anew. Where the
/// record was made under other rules these could not have asked for its blocks: then the stored one stands.
#[must_use]
pub fn again(record: &Record, stored: Option<Verdict>) -> Verdict {
    let is_of_other_rules = record.races.iter().any(|race| race.rules_version != RULES_VERSION);
    let fits = |stored: &Verdict| record.races.iter().all(|race| race.rules_version == stored.rules_version);
    let stands = |it: &Verdict| is_of_other_rules && fits(it) && stored::is_of(it, record);
    stored.filter(stands).unwrap_or_else(|| analyze(record))
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The version of the rules by which the answers were found.
    pub rules_version: u32,
    /// What an answer may cost to be `sure`, as a ratio: 0.05 is 5 %.
    pub tolerance: f64,
    /// Whether the host was disturbed: its conditions say by what.
    pub is_disturbed: bool,
    /// One group a runtime; candidates are compared within a runtime.
    pub groups: Vec<Group>,
    /// How the runtimes stand to each other; empty where there is but one.
    pub runtimes: Vec<RuntimeStanding>,
}

/// How a runtime stands to the fastest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeStanding {
    /// The runtime.
    pub runtime: String,
    /// The candidate that ran for it; an index into the record's `candidates`.
    pub candidate: Option<u32>,
    /// Its throughput over that of the fastest runtime, paired within rounds.
    pub relative: Option<Estimate>,
    /// Why there is none.
    pub note: Option<String>,
}

/// The candidates of one runtime, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The runtime.
    pub runtime: String,
    /// What to use; `None` where nothing could be compared.
    pub answer: Option<Answer>,
    /// The throughput (tasks/s) that this host allows at best for this task, and what sets it.
    pub limit: Option<HostLimit>,
    /// Failures that look like a limit of the far side.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub far_limit: Option<FarLimit>,
    /// By how much blocks of one round vary (logarithm); `None` where too little ran.
    pub deviation: Option<f64>,
    /// Every candidate measured, best first; failed ones last.
    pub rows: Vec<Row>,
    /// How each engine scales, in the order of the plan.
    pub curves: Vec<Curve>,
    /// When the cluster pays that takes part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leaving: Option<Leaving>,
}

/// The answer for one runtime: the simplest candidate that nothing tried beats by more than the tolerance, or, where
/// the time did not suffice for one, the one that may cost least. Candidates are indices into the record's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The model.
    pub model: Model,
    /// The engine.
    pub engine: Engine,
    /// How its worker processes begin, where there is a choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_method: Option<StartMethod>,
    /// How many threads a task's libraries compute with in each process, where that is to be set; `None` leaves it to
    /// them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub library_threads: Option<u32>,
    /// The environment variables by which it is set, before the libraries are imported; empty where it is not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub library_variables: Vec<String>,
    /// Its workers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workers: Option<u32>,
    /// Its tasks in flight.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_flight: Option<u32>,
    /// Its tasks in a chunk.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chunk: Option<u32>,
    /// The candidate.
    pub candidate: u32,
    /// By how much the best of all that was considered may be better, at most, as a ratio: 0.03 is 3 %.
    pub may_cost: f64,
    /// The probability with which `may_cost` holds.
    pub confidence: f64,
    /// How many candidates were measured.
    pub tried: u32,
    /// What is as good and less simple, one size an engine, simplest first.
    pub as_good: Vec<AsGood>,
    /// The best of each other model, best first.
    pub next_model: Vec<Alternative>,
    /// Why, from what was measured.
    pub reasons: Vec<Reason>,
    /// What it depends on, and what is not known of it.
    pub conditions: Vec<Condition>,
}

/// How sure an answer is, by what it may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sureness {
    /// It may cost at most the tolerance.
    Sure,
    /// At most three times that.
    Likely,
    /// More.
    Rough,
}

impl Answer {
    /// How sure it is, with this tolerance.
    #[must_use]
    pub fn sureness(&self, tolerance: f64) -> Sureness {
        // A rounding error is no doubt.
        let times = self.may_cost / tolerance - 1e-9;
        match times {
            times if times <= 1.0 => Sureness::Sure,
            times if times <= 3.0 => Sureness::Likely,
            _ => Sureness::Rough,
        }
    }

    /// The row of its candidate.
    fn row<'a>(&self, rows: &'a [Row]) -> Option<&'a Row> {
        rows.iter().find(|row| row.index == self.candidate)
    }
}

/// A candidate that is as good as the answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AsGood {
    /// The candidate.
    pub candidate: u32,
    /// What it may cost at most, as a ratio.
    pub may_cost: f64,
}

/// The best candidate of another model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// The model.
    pub model: Model,
    /// The candidate.
    pub candidate: u32,
    /// Its objective over the answer's, more is better.
    pub ratio: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How far waits overlap within one process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overlap {
    /// Tasks in flight.
    pub in_flight: u32,
    /// What they do beside one in flight.
    pub gain: f64,
    /// What engines with several processes do beside one in flight, where that is far more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of_processes: Option<f64>,
}

/// Why an answer is what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// A task mostly waits.
    Waits {
        /// The share of its time.
        share: f64,
        /// CPU time of a task.
        cpu_ns: f64,
        /// Its service time alone.
        latency_ns: f64,
        /// How far waits overlap in one process, where it is less than what is in flight there.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        overlap: Option<Overlap>,
    },
    /// A task mostly computes.
    Computes {
        /// The share of its time.
        share: f64,
        /// Cores that can be had.
        cores: f64,
        /// What two threads do beside one, where both were measured.
        two_threads: Option<f64>,
        /// The least and the most that it may be.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        two_threads_between: Option<(f64, f64)>,
        /// Whether a global interpreter lock was in force.
        lock: Option<bool>,
    },
    /// Libraries compute with several threads in each task by themselves, and with one where a variable says so.
    LibraryThreads {
        /// How many compute in one task by themselves.
        threads: u32,
        /// The variables that make it one.
        variables: Vec<String>,
        /// Whether the answer has one.
        limited: bool,
        /// The best of those that have it otherwise, at the answer's engine and sizes where that was measured: an index
        /// into the record's candidates.
        other: u32,
        /// Whether it has the answer's engine and sizes.
        same_sizes: bool,
        /// Its objective over the answer's, more is better.
        ratio: f64,
    },
    /// Programs that a task starts compute for it.
    StartsPrograms {
        /// CPU time of these programs, a task.
        children_ns: f64,
        /// CPU time of a task, with theirs.
        cpu_ns: f64,
        /// Its service time alone.
        latency_ns: f64,
        /// Cores that can be had.
        cores: f64,
        /// Whether a global interpreter lock was in force, which these programs do not need.
        lock: Option<bool>,
    },
    /// A section of each task runs alone.
    SerialSection {
        /// Whether it is a lock; else the consumer of a queue.
        is_lock: bool,
        /// The time of the section.
        section_ns: f64,
        /// A task's service time alone.
        latency_ns: f64,
        /// Tasks per second that no engine can exceed.
        most_per_s: f64,
    },
    /// The answer reaches the rate that the user states: whatever has more in flight gains nothing.
    RateReached {
        /// The rate.
        rate_per_s: f64,
        /// Tasks per second of the answer.
        throughput_per_s: f64,
    },
    /// The answer reaches this share of what the host allows.
    Reaches {
        /// The share.
        share: f64,
        /// What sets the limit.
        limit: LimitKind,
        /// Tasks that the answer has in flight.
        concurrency: u32,
    },
    /// A few tasks of a batch hold most of the time of all.
    Skewed {
        /// Tasks of the batch.
        tasks: u64,
        /// How many of them are long.
        long: u64,
        /// Their share of the time of all.
        share: f64,
    },
    /// What all of the user's tasks take, from the start of what runs them on.
    AllTasks {
        /// How many there are.
        tasks: u32,
        /// The answer's time.
        named: TimeOfAll,
        /// The model of the best that would run them faster once it is ready, or else slower.
        other: Option<Model>,
        /// Its time.
        other_time: Option<TimeOfAll>,
    },
    /// What crosses to other processes takes a large part of a task.
    Pickling {
        /// Time a task, both ways, at both ends.
        ns: f64,
        /// Bytes a task.
        bytes: f64,
    },
    /// The object that the user's callable belongs to crosses to other processes with each task, or chunk, and takes so
    /// long that this decides.
    CallableCrosses {
        /// The callable, without its module and object.
        function: String,
        /// Its bytes, once.
        bytes: f64,
        /// Time to pickle it and to make it again, once.
        ns: f64,
        /// Tasks with which it crosses once.
        tasks: u32,
        /// The service time of so many tasks alone.
        work_ns: f64,
    },
    /// A task blocks an event loop.
    Stalls {
        /// The engine of the loop.
        engine: Engine,
        /// The user's function that does so, where it is known.
        function: Option<String>,
        /// The longest that the loop was late.
        stall_ns: u64,
    },
    /// With another computation in a task another model is better.
    FlipsWithCpu {
        /// The better model above.
        above: Model,
        /// The better model below.
        below: Model,
        /// CPU time of a task at which both are equal.
        at_ns: f64,
        /// The nearest points that were measured, below and above.
        measured_ns: (f64, f64),
    },
    /// At other sizes another model is better.
    FlipsWithSize {
        /// The better model up to `low`.
        below: Model,
        /// The better model from `high` on.
        above: Model,
        /// The largest size at which the one is better.
        low: u32,
        /// The smallest size at which the other is.
        high: u32,
        /// Whether sizes are tasks in flight; else workers.
        in_flight: bool,
    },
}

/// The time of all of the user's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeOfAll {
    /// Until everything is imported, started and set up.
    pub ready_ns: f64,
    /// From then on.
    pub tasks_ns: f64,
}

/// What an answer depends on, or what is not known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "condition", rename_all = "snake_case")]
pub enum Condition {
    /// Processes that do not belong to the session used this share of the CPU time.
    OtherProcesses {
        /// The share.
        share: f64,
    },
    /// The hypervisor took this share of the CPU time.
    StolenCpu {
        /// The share.
        share: f64,
    },
    /// Histograms of the record cannot be read.
    UnreadableHistograms {
        /// How many.
        count: u64,
    },
    /// One agent lived at a time.
    OneAgentAtATime {
        /// Whether it is because a candidate hung, though its engine worked with fewer tasks in flight; else candidates
        /// failed beside others that were parked, and worked alone.
        #[serde(default)]
        hung: bool,
    },
    /// Processes that begin in one way failed, and those that begin in another worked.
    StartMethodReplaced {
        /// The way that failed.
        method: StartMethod,
        /// The way that worked.
        by: StartMethod,
        /// Whether it hung.
        hung: bool,
    },
    /// Libraries of a task compute with threads of their own, beside those of the candidate, and heed no variable that is
    /// known: that number was not searched.
    LibraryThreads {
        /// How many compute in one task, the task's own thread among them.
        count: u32,
    },
    /// The user's code starts threads while it is imported, and the answer's workers are forked beside them.
    ThreadsBesideFork {
        /// How many.
        threads: u32,
    },
    /// The user's code opens these while it is imported, so that the answer's forked workers share them.
    SharedDescriptors {
        /// Sockets.
        sockets: u32,
        /// Files.
        files: u32,
    },
    /// `setup` opens sockets in each process of the answer.
    SocketsOfWorkers {
        /// Sockets that one process opens.
        sockets: u32,
        /// The answer's processes that run tasks.
        processes: u32,
    },
    /// `setup_thread` opens sockets in each thread of the answer.
    SocketsOfThreads {
        /// Sockets that one thread opens.
        sockets: u32,
        /// The answer's threads that run tasks, those of all its processes.
        threads: u32,
    },
    /// The user's code holds threads apart by this, and the answer's processes, or interpreters, have one each: they do not
    /// wait for each other.
    LockPerProcess {
        /// The names, as the code writes them.
        names: Vec<String>,
    },
    /// The user's code hands things on by this, a queue, an event or a barrier, and the answer's processes have one each.
    QueuePerProcess {
        /// The names, as the code writes them.
        names: Vec<String>,
    },
    /// The user's code changes this, and each process of the answer changes a copy of its own.
    CopyPerProcess {
        /// The names, as the code writes them.
        names: Vec<String>,
    },
    /// What libraries do by themselves is what the user's environment says.
    LibraryThreadsSet {
        /// The variables that it sets, with their values.
        variables: BTreeMap<String, String>,
    },
    /// The answer's variables count only where they are set before the libraries are imported.
    SetBeforeImport {
        /// The variables.
        variables: Vec<String>,
        /// How many threads.
        threads: u32,
    },
    /// Candidates failed and were not compared.
    FailedCandidates {
        /// How many.
        count: u32,
    },
    /// Sizes failed of engines that ran with another one.
    FailedSizes {
        /// Their indices in the record's candidates.
        candidates: Vec<u32>,
    },
    /// Pools of processes fail, for something that pickle cannot move, though the task computes under an interpreter lock.
    Unpicklable {
        /// What they might reach at most once that is mended, beside a plain loop.
        most: f64,
    },
    /// Your code ignores the signal SIGCHLD: what programs compute that tasks start is not counted, so that it is not known
    /// whether a task computes or waits.
    ChildrenUncounted {},
    /// A teardown of yours does not end, and is not run: a program would wait for it at its end.
    EndlessTeardown {},
    /// A few tasks take so long that blocks missed them: the figures are those of the others.
    FewLong(FewLong),
    /// The task keeps what a call found: one on an item that it had before is quicker, and items are repeated.
    Cached {
        /// What a first call takes.
        first_ns: u64,
        /// What a second one takes.
        second_ns: u64,
    },
    /// Sizes beside the answer's were not measured.
    NeighboursNotMeasured {},
    /// The budget ended before the answer was as good as wished.
    BudgetSpent {},
    /// The tasks that may be run ended before that.
    CallsSpent {},
    /// The user ended the session before that.
    Interrupted {},
    /// Something simpler may be good enough, too.
    MayBeSimpler {
        /// The candidate.
        candidate: u32,
    },
    /// Nothing reaches the rate that the user states.
    RateNotReached {
        /// The rate.
        rate_per_s: f64,
        /// Tasks per second of the answer.
        throughput_per_s: f64,
        /// Tasks that may begin at once: of one, a start that is late is not made up for.
        burst: u32,
    },
    /// Failures look like a limit of the far side.
    FarLimit(FarLimit),
    /// The answer has the largest size that was allowed.
    AtCap {
        /// The size.
        size: u32,
    },
    /// The answer takes longer to start than the simplest choice, and with fewer tasks that one is done sooner.
    PaysFrom {
        /// From so many tasks on it pays.
        tasks: u64,
        /// The lower end of what the measured starts and rates allow.
        low: u64,
        /// The upper end; `None` where none can be told.
        high: Option<u64>,
        /// The simplest choice: an index into the record's candidates.
        simplest: u32,
        /// How the answer's worker processes begin, where there is a choice.
        start_method: Option<StartMethod>,
    },
    /// Limits of the objective could not be checked.
    UncheckedLimit {
        /// The limit on the 99th percentile.
        p99: bool,
        /// The limit on memory.
        memory: bool,
    },
    /// An error that tasks raise ends, or hangs, a pool of processes that hands it back as it is.
    ErrorCannotCross {
        /// The error's class.
        type_name: String,
        /// Whether it does; else a pickling error comes back in its place.
        breaks_pool: bool,
    },
}

/// How one engine's throughput grows along one of its axes, at the sizes that were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Curve {
    /// The engine, with its start method where there is a choice: `Process@fork`.
    pub engine: String,
    /// What grows.
    pub axis: CurveAxis,
    /// The sizes measured, ascending.
    pub points: Vec<CurvePoint>,
    /// The smallest size from which on nothing is gained beyond the margin; `None` where it still rises at the last
    /// point.
    pub knee: Option<u32>,
}

/// What grows along a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CurveAxis {
    /// Tasks in flight.
    InFlight,
    /// Workers.
    Workers,
    /// Tasks in a chunk.
    Chunk,
}

/// One measured size of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurvePoint {
    /// The size on the curve's axis.
    pub size: u32,
    /// The candidate; an index into the record's.
    pub candidate: u32,
    /// Tasks per second.
    pub throughput_per_s: f64,
    /// The 99th percentile of service times, where enough were measured.
    pub p99_ns: Option<u64>,
}

/// The throughput that the host allows at best for a task, whatever the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostLimit {
    /// Tasks per second.
    pub throughput_per_s: f64,
    /// What sets it: the smallest of the limits that apply.
    pub set_by: LimitKind,
}

/// What limits throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Usable cores / CPU time per task.
    Cores,
    /// Cap on tasks in flight / unloaded latency.
    InFlight,
    /// 1 / the section that runs one task at a time.
    SerialSection,
}

/// A candidate's figures, over all its timed blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The index into the record's `candidates`.
    pub index: u32,
    /// The candidate.
    pub candidate: Candidate,
    /// What the analysis made of it.
    pub status: Status,
    /// Timed blocks behind the figures.
    pub blocks: u32,
    /// Lives of its agent.
    #[serde(alias = "incarnations")]
    pub lives: u32,
    /// Tasks per second.
    pub throughput_per_s: Option<Estimate>,
    /// Its objective over that of the answer, more is better (0.8 is 20 % worse).
    pub relative: Option<Estimate>,
    /// Service times.
    pub service: Percentiles,
    /// Times from submission to the task's start.
    pub queueing: Percentiles,
    /// From the agent's start to `hello`, the median of its lives.
    pub boot_ns: Option<u64>,
    /// From `job` until all its workers are ready, the median of its cold lives.
    #[serde(default)]
    pub ready_ns: Option<u64>,
    /// From `job` to the first task done, the median of its cold lives.
    pub startup_ns: Option<u64>,
    /// How long it took to take the pool down, the median of its lives.
    pub teardown_ns: Option<u64>,
    /// CPU time in user mode per task.
    pub cpu_user_ns_per_task: Option<f64>,
    /// CPU time in the kernel per task.
    pub cpu_system_ns_per_task: Option<f64>,
    /// What of both was used by programs that tasks started, per task.
    #[serde(default)]
    pub cpu_children_ns_per_task: Option<f64>,
    /// Voluntary context switches per task.
    pub voluntary_switches_per_task: Option<f64>,
    /// Involuntary context switches per task.
    pub involuntary_switches_per_task: Option<f64>,
    /// CPU time of the embedded server per task.
    pub server_cpu_ns_per_task: Option<f64>,
    /// Memory of the process tree under load, without the no-op agent's baseline.
    pub memory_bytes: Option<u64>,
    /// File pages of the process tree under load.
    pub file_pages_bytes: Option<u64>,
    /// The share of the host's limit that it reached.
    pub limit_share: Option<f64>,
    /// Whether no other candidate beats it on throughput, p99 and memory at once.
    pub undominated: bool,
    /// The longest that its event loop was late for a heartbeat.
    pub longest_stall_ns: Option<u64>,
    /// Bytes that pickling makes of what is given to a task and handed back.
    pub serialisation_bytes_per_task: Option<f64>,
    /// Time that pickling takes a task, both ways, at both ends.
    pub serialisation_ns_per_task: Option<f64>,
    /// Whether its chunk is the one that its library's `map` takes by itself over this batch.
    #[serde(default)]
    pub is_own_chunk: bool,
    /// Tasks that failed, over all its blocks; a limit may allow some.
    #[serde(default)]
    pub errors: u64,
    /// Whether its results were those of the reference; `None` when nothing was compared.
    pub checked: Option<bool>,
}

impl Row {
    /// Whether it failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.status, Status::Failed { .. })
    }

    /// CPU time per task, in user mode and in the kernel.
    #[must_use]
    pub fn cpu_ns_per_task(&self) -> Option<f64> {
        Some(self.cpu_user_ns_per_task? + self.cpu_system_ns_per_task?)
    }
}

/// The rows of what failed and was not compared: without those whose engine was, its processes begun in another way.
pub fn not_compared(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(move |row| row.has_failed() && !rows.iter().any(|other| runs_instead(row, other)))
}

/// The sizes that failed of engines of which another size ran. (Where another start method ran in place of one, that is
/// told of the method.)
pub fn failed_sizes(rows: &[Row]) -> impl Iterator<Item = &Row> {
    let is_size = |row: &Row, other: &Row| other.candidate.start_method == row.candidate.start_method;
    let has_other = move |row: &Row| rows.iter().any(|other| runs_instead(row, other) && is_size(row, other));
    rows.iter().filter(move |row| row.has_failed() && has_other(row))
}

/// Whether `other` is of the engine of `row`, and ran soundly.
fn runs_instead(row: &Row, other: &Row) -> bool {
    other.candidate.engine == row.candidate.engine && other.blocks > 0 && !other.has_failed()
}

/// What the analysis made of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// It is recommended.
    Best,
    /// It costs at most the tolerance, too.
    AsGood,
    /// It costs more than the tolerance.
    Worse,
    /// It may or may not.
    Open,
    /// Another size of the same engine stands for it.
    Superseded,
    /// It broke a limit of the objective.
    Infeasible {
        /// The figure that broke it.
        reason: String,
    },
    /// It failed.
    Failed {
        /// Why.
        reason: String,
    },
}

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// Percentiles of a distribution of times. A percentile p is given from 10 / (1 - p) samples on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Samples behind them.
    pub samples: u64,
    /// The median.
    pub p50_ns: Option<u64>,
    /// The 90th percentile.
    pub p90_ns: Option<u64>,
    /// The 99th percentile.
    pub p99_ns: Option<u64>,
    /// The 99.9th percentile.
    pub p999_ns: Option<u64>,
    /// The largest.
    pub max_ns: Option<u64>,
}
