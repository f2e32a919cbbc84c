//! Why: one to three sentences from what was measured.

use super::answer::Contest;
use super::compare::throughput_ratio;
use super::flip;
use super::limit::Task;
use super::validity::Judged;
use super::words::{percent, rate, time};
use super::{HostLimit, LimitKind, Row, Status, Validity};
use crate::candidate::{Model, Sizes};
use crate::record::{Phase, Record};
use crate::workload::{Goal, Limits, Step};

/// An event loop that was late by this stalls.
const STALL_NS: u64 = 5_000_000;

/// What the sentences are made of.
pub(super) struct Evidence<'a> {
    pub(super) rows: &'a [Row],
    pub(super) contest: Option<&'a Contest>,
    pub(super) limit: Option<&'a HostLimit>,
    pub(super) task: Task,
    pub(super) judged: &'a Judged,
    /// `ln(1 + m)` of the margin by which they were compared.
    pub(super) margin: f64,
}

pub(super) fn why(record: &Record, evidence: &Evidence<'_>) -> String {
    let mut sentences = Vec::new();
    sentences.extend(undecided(record, evidence));
    sentences.extend(split(record, evidence));
    sentences.extend(pickling(evidence));
    sentences.extend(stall(record, evidence));
    sentences.extend(flips(record, evidence));
    sentences.extend(unchecked_limits(record, evidence));
    sentences.join("; ")
}

/// Why there is no answer, or what remains open beside it.
fn undecided(record: &Record, evidence: &Evidence<'_>) -> Option<String> {
    let Some(contest) = evidence.contest else {
        return Some(nothing_compared(record, evidence.rows));
    };
    if evidence.judged.validity == Validity::Invalid {
        return Some(evidence.judged.reasons.join("; "));
    }
    let name = |one: usize| record.candidates[one].candidate.short();
    match contest.best {
        None if !contest.cut.is_empty() => {
            let engines: Vec<String> =
                contest.cut.iter().map(|one| record.candidates[*one].candidate.engine.to_string()).collect();
            Some(format!(
                "{} leads, but the budget ended the search for the best size of {}; a longer --budget, or fewer --engines, let it end",
                name(contest.leader()),
                engines.join(", ")
            ))
        }
        None => {
            Some(format!("{} leads, but by less than the noise; a longer --budget may decide", name(contest.leader())))
        }
        Some(best) => {
            let simpler =
                |one: &&usize| record.candidates[**one].candidate.model() < record.candidates[best].candidate.model();
            let rival = contest.unresolved.iter().find(simpler)?;
            Some(format!("{} is simpler and may be as good: a longer --budget may decide", name(*rival)))
        }
    }
}

fn nothing_compared(record: &Record, rows: &[Row]) -> String {
    let is = |test: &dyn Fn(&Status) -> bool| !rows.is_empty() && rows.iter().all(|row| test(&row.status));
    if is(&|status| matches!(status, Status::Failed { .. })) {
        return "every candidate failed".to_owned();
    }
    if is(&|status| matches!(status, Status::Failed { .. } | Status::Infeasible { .. })) {
        return "no candidate keeps the limits of the objective".to_owned();
    }
    if rows.iter().all(|row| row.blocks == 0) {
        return "nothing was measured".to_owned();
    }
    let goal = record.workload.objective.goal;
    let has_final = record.rounds.iter().any(|round| round.phase == Phase::Final);
    match goal {
        Goal::P99 if has_final => {
            "no candidate has the 1000 tasks that a 99th percentile needs; a longer --budget gives more".to_owned()
        }
        Goal::Memory if has_final => {
            "the memory of no candidate was sampled; a longer --budget gives time for it".to_owned()
        }
        _ => "the session ended before the engines' best sizes met; a longer --budget, or fewer --engines, let them"
            .to_owned(),
    }
}

/// What a task does with its time, and what follows.
fn split(record: &Record, evidence: &Evidence<'_>) -> Option<String> {
    let task = &evidence.task;
    if let (Some(limit), Some(serial), Some(unloaded)) = (evidence.limit, task.serial, task.unloaded_ns)
        && limit.set_by == LimitKind::SerialSection
    {
        let section = if serial.is_lock { "the lock is held" } else { "the queue's one consumer takes" };
        let most = rate(limit.throughput_per_s);
        return Some(format!("{section} {} of {}: no engine can exceed {most}", time(serial.time_ns), time(unloaded)));
    }
    let (cpu, unloaded) = (task.cpu_ns?, task.unloaded_ns?);
    if cpu < 0.5 * unloaded {
        let share = percent(1.0 - cpu / unloaded);
        let figures = format!("a task is {share} waiting ({} CPU of {})", time(cpu), time(unloaded));
        let reached = reached(evidence).map(|reached| format!("; {reached}")).unwrap_or_default();
        return Some(format!("{figures}, so engines differ by how many they keep in flight{reached}"));
    }
    let share = percent((cpu / unloaded).min(1.0));
    if let Some(threads) = threads(record, evidence.rows) {
        return Some(format!(
            "a task computes {share} of its time; {threads}; this host gives {:.2} cores",
            task.cores
        ));
    }
    let scaling = scaling(record, evidence.rows);
    let scaling = scaling.map(|ratio| format!("two workers run {ratio:.2} x as fast as one, and ")).unwrap_or_default();
    Some(format!("a task computes {share} of its time; {scaling}this host gives {:.2} cores", task.cores))
}

/// Two threads scale by less than this where a global interpreter lock keeps one of them waiting.
const HELD: f64 = 1.2;
/// And by more than this where the task does not hold it.
const RELEASED: f64 = 1.6;

/// What two threads do beside one, where it was measured, and what that says of the global interpreter lock.
fn threads(record: &Record, rows: &[Row]) -> Option<String> {
    let runtime = record.calibration.runtime(&rows.first()?.candidate.runtime)?;
    let scaling = runtime.thread_scaling?;
    let ratio = scaling.ratio;
    let measured = format!("two threads run {ratio:.2} x as fast as one");
    // What was in force where tasks ran, after all imports, says more than the interpreter's first word.
    let lives = record.candidates.iter().filter(|one| one.candidate.runtime == runtime.name);
    let gil = lives.flat_map(|one| &one.incarnations).find_map(|life| life.gil).or(runtime.hello.gil);
    Some(match gil {
        Some(true) if ratio < HELD => format!("threads do not help: {measured}, the task holds the GIL"),
        Some(true) if ratio < RELEASED => format!("{measured}: the task holds the GIL for a part of its time"),
        Some(true) => format!("{measured}: the task releases the GIL"),
        Some(false) => format!("{measured}, without a GIL"),
        None => measured,
    })
}

/// Pickling is named from this share of a task's unloaded time on.
const DEAR_PICKLING: f64 = 0.2;

/// What handing tasks to other processes costs, where it is what keeps them from being better.
fn pickling(evidence: &Evidence<'_>) -> Option<String> {
    let unloaded = evidence.task.unloaded_ns?;
    let crosses = |row: &&Row| row.status == Status::Worse && row.serialisation_ns_per_task.is_some();
    let row = evidence.rows.iter().find(crosses)?;
    let (ns, bytes) = (row.serialisation_ns_per_task?, row.serialisation_bytes_per_task?);
    (ns >= DEAR_PICKLING * unloaded).then(|| {
        let bytes = bytesize::ByteSize(bytes.round() as u64);
        format!("processes pay {} a task for pickling {bytes}", time(ns))
    })
}

/// What the best reached of the limit.
fn reached(evidence: &Evidence<'_>) -> Option<String> {
    let named = evidence.contest?.best.unwrap_or(evidence.contest?.leader());
    let row = evidence.rows.iter().find(|row| row.index as usize == named)?;
    let set_by = match evidence.limit?.set_by {
        LimitKind::InFlight => "`max_in_flight` sets",
        LimitKind::Cores => "the cores set",
        LimitKind::SerialSection => "the serial section sets",
    };
    let share = percent(row.limit_share?);
    Some(format!("{} in flight reach {share} of the limit that {set_by}", row.candidate.sizes.concurrency()))
}

/// How much faster two workers are than one: of the first engine where both were measured in the same rounds.
fn scaling(record: &Record, rows: &[Row]) -> Option<f64> {
    let mut by_index: Vec<&Row> = rows.iter().collect();
    by_index.sort_by_key(|row| row.index);
    let doubled = |sizes: Sizes| match sizes {
        Sizes { workers: Some(1), .. } => Some(Sizes { workers: Some(2), ..sizes }),
        Sizes { workers: None, in_flight: Some(1), .. } => Some(Sizes { in_flight: Some(2), ..sizes }),
        _ => None,
    };
    by_index.iter().filter(|row| row.candidate.model() != Model::Async).find_map(|one| {
        let wanted = doubled(one.candidate.sizes)?;
        let is_double = |row: &&&Row| row.candidate.engine == one.candidate.engine && row.candidate.sizes == wanted;
        let two = by_index.iter().find(is_double)?;
        throughput_ratio(record, two.index as usize, one.index as usize, Phase::Search).map(f64::exp)
    })
}

/// The event loop that a task blocked longest, among those that are worse.
fn stall(record: &Record, evidence: &Evidence<'_>) -> Option<String> {
    let is_bare_loop = |row: &&Row| row.candidate.model() == Model::Async && row.status == Status::Worse;
    let stalled = evidence.rows.iter().filter(is_bare_loop).filter_map(|row| Some((row, row.longest_stall_ns?)));
    let (row, longest) = stalled.max_by_key(|(_, stall)| *stall).filter(|(_, stall)| *stall >= STALL_NS)?;
    let mut blocking = record.workload.steps.iter().filter(|step| !step.has_async_form());
    let own = blocking.next().filter(|_| blocking.next().is_none()).and_then(Step::python);
    let who = own.map_or_else(|| "a task".to_owned(), |own| format!("`{}`", own.short()));
    Some(format!("{} stalls: {who} blocks its loop for {}", row.candidate.engine, time(longest as f64)))
}

/// Where the answer would be another one.
fn flips(record: &Record, evidence: &Evidence<'_>) -> Option<String> {
    let best = evidence.contest?.best?;
    let runtime = &record.candidates.get(best)?.candidate.runtime;
    let computation = flip::along_computation(record, runtime, evidence.margin);
    let sizes = flip::along_sizes(record, evidence.rows, best, evidence.margin);
    let found: Vec<String> = computation.into_iter().chain(sizes).collect();
    (!found.is_empty()).then(|| found.join("; "))
}

/// Limits that the best could not be held against.
fn unchecked_limits(record: &Record, evidence: &Evidence<'_>) -> Option<String> {
    let best = evidence.contest?.best?;
    let row = evidence.rows.iter().find(|row| row.index as usize == best)?;
    let Limits { p99_ns, memory_bytes, errors: _ } = record.workload.objective.limits;
    let p99 = p99_ns.is_some() && row.service.p99_ns.is_none();
    let memory = memory_bytes.is_some() && row.memory_bytes.is_none();
    let figure = match (p99, memory) {
        (true, true) => "p99 and memory",
        (true, false) => "p99",
        (false, true) => "memory",
        (false, false) => return None,
    };
    Some(format!("the limit on {figure} could not be checked: too little was measured"))
}
