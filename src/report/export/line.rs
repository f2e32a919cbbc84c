//! One candidate, flat: what CSV has as a row and JSON Lines as an object.

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyze::{Answer, Group, Row, Status};
use crate::escape::plain;
use crate::report::{Judged, sureness};
use crate::workload::Goal;

/// One candidate of one runtime, measured for one workload. What is not known, or does not apply, is null (in CSV: empty).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "conbench candidate")]
pub(super) struct Line {
    /// The workload's name.
    pub(super) workload: String,
    /// The runtime, e.g. `rust` or `python3.11`.
    pub(super) runtime: String,
    /// The candidate among those of its runtime: engine, start method, sizes.
    pub(super) candidate: String,
    /// Its model.
    pub(super) model: String,
    /// Its engine.
    pub(super) engine: String,
    /// How its worker processes begin, where there is a choice.
    pub(super) start_method: Option<String>,
    /// Its workers.
    pub(super) workers: Option<u32>,
    /// Its tasks in flight.
    pub(super) in_flight: Option<u32>,
    /// Its tasks in a chunk.
    pub(super) chunk: Option<u32>,
    /// The threads that a task's libraries compute with, where that is set.
    pub(super) library_threads: Option<u32>,
    /// `best` (the answer), `as_good`, `open` (not told apart from the answer), `worse`, `superseded` (another size stands for its engine),
    /// `infeasible` (over a limit) or `failed`.
    pub(super) status: &'static str,
    /// Why it failed, or which limit it broke.
    pub(super) reason: Option<String>,
    /// Of the answer alone: by how much the best of all that was tried may be better, as a ratio (0.03 is 3 %).
    pub(super) may_cost: Option<f64>,
    /// Of the answer alone: `sure`, `likely` or `rough`.
    pub(super) sureness: Option<&'static str>,
    /// Tasks per second.
    pub(super) throughput_per_s: Option<f64>,
    /// The lower end of its 95 % interval.
    pub(super) throughput_low_per_s: Option<f64>,
    /// The upper end.
    pub(super) throughput_high_per_s: Option<f64>,
    /// The objective over that of the answer, more is better (0.8 is 20 % worse).
    pub(super) relative: Option<f64>,
    /// The lower end of its 95 % interval.
    pub(super) relative_low: Option<f64>,
    /// The upper end.
    pub(super) relative_high: Option<f64>,
    /// The median of the service times of tasks.
    pub(super) service_p50_ns: Option<u64>,
    /// Their 90th percentile.
    pub(super) service_p90_ns: Option<u64>,
    /// Their 99th percentile.
    pub(super) service_p99_ns: Option<u64>,
    /// Their 99.9th percentile.
    pub(super) service_p999_ns: Option<u64>,
    /// The longest.
    pub(super) service_max_ns: Option<u64>,
    /// How many tasks are behind them.
    pub(super) service_samples: u64,
    /// The median of the times from submission to a task's start.
    pub(super) queueing_p50_ns: Option<u64>,
    /// Their 99th percentile.
    pub(super) queueing_p99_ns: Option<u64>,
    /// Until all workers are ready, everything imported and set up.
    pub(super) ready_ns: Option<u64>,
    /// Until the first task is done.
    pub(super) startup_ns: Option<u64>,
    /// To take the workers down.
    pub(super) teardown_ns: Option<u64>,
    /// CPU time in user mode per task.
    pub(super) cpu_user_ns_per_task: Option<f64>,
    /// CPU time in the kernel per task.
    pub(super) cpu_system_ns_per_task: Option<f64>,
    /// Memory of the process tree under load, without an idle agent's.
    pub(super) memory_bytes: Option<u64>,
    /// Bytes that pickling makes of what is given to a task and handed back.
    pub(super) serialisation_bytes_per_task: Option<f64>,
    /// The time that this takes.
    pub(super) serialisation_ns_per_task: Option<f64>,
    /// The share of what the host allows at best.
    pub(super) limit_share: Option<f64>,
    /// Tasks that failed.
    pub(super) errors: u64,
    /// Timed blocks behind the figures.
    pub(super) blocks: u32,
    /// Lives of its agent.
    pub(super) lives: u32,
    /// Whether its results were those of the reference; null where nothing was compared.
    pub(super) checked: Option<bool>,
    /// What is better: `throughput`, `p99`, `memory` or `cpu_per_task`.
    pub(super) goal: &'static str,
    /// What an answer may cost to be sure, as a ratio.
    pub(super) tolerance: f64,
    /// Whether the host was disturbed while the workload was measured.
    pub(super) is_disturbed: bool,
    /// When the session began, RFC 3339 in UTC.
    pub(super) began_at: String,
    /// The version of conbench that measured.
    pub(super) conbench_version: String,
}

/// The candidates of these records, best first within each runtime.
pub(super) fn lines(all: &[Judged]) -> impl Iterator<Item = Line> {
    all.iter().flat_map(|judged| {
        judged.verdict.groups.iter().flat_map(move |group| group.rows.iter().map(move |row| line(judged, group, row)))
    })
}

fn line(judged: &Judged, group: &Group, row: &Row) -> Line {
    let candidate = &row.candidate;
    let answer: Option<&Answer> = group.answer.as_ref().filter(|answer| answer.candidate == row.index);
    let (throughput, relative) = (row.throughput_per_s, row.relative);
    Line {
        workload: plain(&judged.record.workload.name),
        runtime: plain(&group.runtime),
        candidate: candidate.short(),
        model: candidate.model().to_string(),
        engine: candidate.engine.to_string(),
        start_method: candidate.start_method.map(|method| method.to_string()),
        workers: candidate.sizes.workers,
        in_flight: candidate.sizes.in_flight,
        chunk: candidate.sizes.chunk,
        library_threads: candidate.library_threads,
        status: status(&row.status),
        reason: reason(&row.status).map(plain),
        may_cost: answer.map(|answer| answer.may_cost),
        sureness: answer.map(|answer| sureness::word(answer.sureness(judged.verdict.tolerance))),
        throughput_per_s: throughput.map(|it| it.value),
        throughput_low_per_s: throughput.map(|it| it.low),
        throughput_high_per_s: throughput.map(|it| it.high),
        relative: relative.map(|it| it.value),
        relative_low: relative.map(|it| it.low),
        relative_high: relative.map(|it| it.high),
        service_p50_ns: row.service.p50_ns,
        service_p90_ns: row.service.p90_ns,
        service_p99_ns: row.service.p99_ns,
        service_p999_ns: row.service.p999_ns,
        service_max_ns: row.service.max_ns,
        service_samples: row.service.samples,
        queueing_p50_ns: row.queueing.p50_ns,
        queueing_p99_ns: row.queueing.p99_ns,
        ready_ns: row.ready_ns,
        startup_ns: row.startup_ns,
        teardown_ns: row.teardown_ns,
        cpu_user_ns_per_task: row.cpu_user_ns_per_task,
        cpu_system_ns_per_task: row.cpu_system_ns_per_task,
        memory_bytes: row.memory_bytes,
        serialisation_bytes_per_task: row.serialisation_bytes_per_task,
        serialisation_ns_per_task: row.serialisation_ns_per_task,
        limit_share: row.limit_share,
        errors: row.errors,
        blocks: row.blocks,
        lives: row.lives,
        checked: row.checked,
        goal: goal(judged.record.workload.objective.goal),
        tolerance: judged.verdict.tolerance,
        is_disturbed: judged.verdict.is_disturbed,
        began_at: plain(&judged.record.began_at),
        conbench_version: plain(&judged.record.conbench_version),
    }
}

/// A status as the record's JSON has it.
pub(super) const fn status(status: &Status) -> &'static str {
    match status {
        Status::Best => "best",
        Status::AsGood => "as_good",
        Status::Worse => "worse",
        Status::Open => "open",
        Status::Superseded => "superseded",
        Status::Infeasible { .. } => "infeasible",
        Status::Failed { .. } => "failed",
    }
}

/// Why a candidate is out.
pub(super) fn reason(status: &Status) -> Option<&str> {
    match status {
        Status::Infeasible { reason } | Status::Failed { reason } => Some(reason),
        _ => None,
    }
}

/// A goal as the record's JSON has it.
const fn goal(goal: Goal) -> &'static str {
    match goal {
        Goal::Throughput => "throughput",
        Goal::P99 => "p99",
        Goal::Memory => "memory",
        Goal::CpuPerTask => "cpu_per_task",
    }
}
