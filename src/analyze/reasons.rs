//! Why an answer is what it is, and what it depends on: as data, from what was measured.

use super::figures::pooled;
use super::limit::Task;
use super::{
    Answer, Condition, Estimate, HostLimit, LimitKind, Overlap, Reason, Row, Status, disturbance, failed_sizes,
    figures, flip, library_threads, not_compared, start_up,
};
use crate::candidate::{Candidate, Engine, Model, StartMethod};
use crate::decide::Finding;
use crate::protocol::{Descriptors, FailureKind, ModuleState, Note, Opened};
use crate::record::{CandidateRecord, Ending, RaceRecord, Record, Warning};
use crate::stats::Skew;
use crate::workload::{Limits, Load, Step};

/// An event loop that was late by this stalls.
const STALL_NS: u64 = 5_000_000;
/// And on a host whose CPUs others use, by this over the part that they leave: so waits for a turn of a core grow.
const STALL_OF_BUSY_NS: u64 = 50_000_000;
/// So many in flight in one process are many.
const MANY: u32 = 4;
/// Waits overlap where they gain this part of what is in flight.
const OVERLAPS: f64 = 0.4;
/// Cores in use from which on they may be what keeps tasks waiting.
const BUSY: f64 = 0.3;
/// What is so many times as much is far more.
const FAR_MORE: f64 = 2.0;
/// Pickling is named from this share of a task's unloaded time on.
const EXPENSIVE_PICKLING: f64 = 0.2;
/// And the user's own callable, pickled with each task or chunk, from this share on.
const EXPENSIVE_CALLABLE: f64 = 0.1;
/// A callable of fewer bytes is but a name: nothing is dragged along with it.
const LEAST_CALLABLE: f64 = 1024.0;
/// What is reached of a limit is at most 1, but for errors of measurement: where it is more, the limit is not one.
const BEYOND_LIMIT: f64 = 1.05;
/// Who reaches less of what the tasks in flight allow gains nothing by more of them.
const NEAR_CAP: f64 = 0.5;
/// Two threads that run faster than this beside one can do without processes.
const THREADS_HELP: f64 = 1.6;
/// A task waits whose CPU time is a smaller share of its time.
const COMPUTES: f64 = 0.5;
/// Programs that a task starts are named where they use so much of its CPU time,
const PROGRAMS_OF_CPU: f64 = 0.1;
/// and of its time.
const PROGRAMS_OF_TIME: f64 = 0.05;

/// The reasons of an answer, the strongest first.
pub(super) fn reasons(
    record: &Record,
    rows: &[Row],
    answer: &Answer,
    limit: Option<&HostLimit>,
    task: &Task,
) -> Vec<Reason> {
    let tolerance = record.workload.objective.tolerance().ln_1p();
    let named = answer.candidate as usize;
    let runtime = record.candidates.get(named).map_or("", |place| place.candidate.runtime.as_str());
    let mut reasons: Vec<Reason> = Vec::new();
    reasons.extend(programs(record, rows, task));
    reasons.extend(split(record, rows, limit, task));
    reasons.extend(library_threads::reason(record, rows, answer));
    if record.few_long(runtime).is_none() {
        reasons.extend(start_up::of_all_tasks(record, rows, answer));
    }
    reasons.extend(skew(record, rows));
    match rate(record, rows, answer) {
        Some((rate_per_s, throughput_per_s, true)) => {
            reasons.push(Reason::RateReached { rate_per_s, throughput_per_s });
        }
        _ if reasons.iter().any(|reason| matches!(reason, Reason::Waits { overlap: Some(_), .. })) => {}
        _ => reasons.extend(reached(rows, answer, limit)),
    }
    reasons.extend(callable(record, rows, answer, task).or_else(|| pickling(rows, answer, task)));
    // What keeps the answer's own loop from its work comes first.
    let stall = stall(record, rows, answer);
    let is_own = matches!(&stall, Some(Reason::Stalls { engine, .. }) if *engine == answer.engine);
    let place = if is_own { 0 } else { reasons.len() };
    reasons.splice(place..place, stall);
    reasons.extend(flip::along_computation(record, runtime, tolerance));
    reasons.extend(flip::along_sizes(record, rows, named, tolerance));
    reasons
}

/// What programs compute that a task starts.
fn programs(record: &Record, rows: &[Row], task: &Task) -> Option<Reason> {
    let (cpu_ns, latency_ns, children_ns) = (task.cpu_ns?, task.unloaded_ns?, task.children_ns);
    let is_named = children_ns >= PROGRAMS_OF_CPU * cpu_ns && children_ns >= PROGRAMS_OF_TIME * latency_ns;
    is_named.then_some(Reason::StartsPrograms {
        children_ns,
        cpu_ns,
        latency_ns,
        cores: task.cores,
        lock: lock(record, rows),
    })
}

/// What a task does with its time. Where programs that it starts compute most of it, they are the reason, and what the
/// interpreter's lock does says nothing.
fn split(record: &Record, rows: &[Row], limit: Option<&HostLimit>, task: &Task) -> Option<Reason> {
    if let (Some(limit), Some(serial), Some(latency_ns)) = (limit, task.serial, task.unloaded_ns)
        && limit.set_by == LimitKind::SerialSection
    {
        let most_per_s = limit.throughput_per_s;
        return Some(Reason::SerialSection {
            is_lock: serial.is_lock,
            section_ns: serial.time_ns,
            latency_ns,
            most_per_s,
        });
    }
    let (cpu_ns, latency_ns) = (task.cpu_ns?, task.unloaded_ns?);
    if cpu_ns < COMPUTES * latency_ns {
        // On a busy host, what a task waits for may be its turn.
        let waits_anyway = cpu_ns < COMPUTES * latency_ns * (1.0 - task.taken);
        // Of a cached call the time alone is that of a first call, and the CPU time that of later ones.
        let is_cached = rows.first().is_some_and(|row| cached(record, &row.candidate.runtime).is_some());
        let waits =
            || Reason::Waits { share: 1.0 - cpu_ns / latency_ns, cpu_ns, latency_ns, overlap: overlap(record, rows) };
        return (waits_anyway && !is_cached).then(waits);
    }
    if task.children_ns > 0.5 * cpu_ns && programs(record, rows, task).is_some() {
        return None;
    }
    let share = (cpu_ns / latency_ns).min(1.0);
    let lock = lock(record, rows);
    let two = two_threads(rows);
    Some(Reason::Computes {
        share,
        cores: task.cores,
        two_threads: two.map(|ratio| ratio.value),
        two_threads_between: two.map(|ratio| (ratio.low, ratio.high)),
        lock,
    })
}

/// How far waits overlap in one process, where many in flight there do far less than as many times what one does, and the
/// CPU is not what keeps them.
fn overlap(record: &Record, rows: &[Row]) -> Option<Overlap> {
    if record.workload.rate.is_some() {
        return None;
    }
    let reached = |row: &Row| row.throughput_per_s.map(|throughput| throughput.value);
    let sound = || rows.iter().filter(|row| !row.has_failed() && row.blocks > 0);
    let best = |of: &mut dyn Iterator<Item = &Row>| of.filter_map(reached).max_by(f64::total_cmp);
    let one = best(&mut sound().filter(|row| row.candidate.sizes.concurrency() == 1))?;
    let in_process = || {
        let shares = |row: &&Row| matches!(row.candidate.model(), Model::Threads | Model::Async | Model::AsyncThreads);
        sound().filter(shares).filter(|row| row.candidate.sizes.concurrency() >= MANY)
    };
    let widest = in_process().max_by_key(|row| row.candidate.sizes.concurrency())?;
    let gain = best(&mut in_process())? / one;
    let is_busy = in_process().any(|row| {
        let cores = reached(row).zip(row.cpu_ns_per_task()).map(|(per_s, cpu_ns)| per_s * cpu_ns / 1e9);
        // Of what others leave.
        cores.is_some_and(|cores| cores > BUSY * (1.0 - disturbance::taken(record)))
    });
    let in_flight = widest.candidate.sizes.concurrency();
    if is_busy || gain >= OVERLAPS * f64::from(in_flight) {
        return None;
    }
    let of_processes = best(&mut sound().filter(|row| row.candidate.engine.crosses()));
    let of_processes = of_processes.map(|per_s| per_s / one).filter(|other| *other > FAR_MORE * gain);
    Some(Overlap { in_flight, gain, of_processes })
}

/// Whether a global interpreter lock was in force where tasks ran, after all imports.
pub(super) fn lock(record: &Record, rows: &[Row]) -> Option<bool> {
    let name = &rows.first()?.candidate.runtime;
    let lives = record.candidates.iter().filter(|one| one.candidate.runtime == *name);
    let seen = lives.flat_map(|one| &one.lives).find_map(|life| life.gil);
    seen.or_else(|| record.calibration.runtime(name)?.hello.gil)
}

/// What two threads do beside one of the same engine, or beside a plain loop: of all such pairs, what is known most closely.
/// Where libraries compute with threads, too, those with one of these in each, since others would have the cores already.
fn two_threads(rows: &[Row]) -> Option<Estimate> {
    let limit = rows.iter().map(|row| row.candidate.library_threads).max().flatten();
    let limited = rows.iter().filter(|row| row.candidate.library_threads == limit);
    let known: Vec<(&Candidate, Estimate)> = limited.filter_map(|row| Some((&row.candidate, row.relative?))).collect();
    let is_of = |candidate: &Candidate, workers: u32| {
        candidate.model() == Model::Threads && candidate.sizes.workers == Some(workers)
    };
    let is_one_beside = |two: &Candidate, one: &Candidate| {
        one.model() == Model::Sequential || one.engine == two.engine && is_of(one, 1)
    };
    let ratio = |two: &Estimate, one: &Estimate| Estimate {
        value: two.value / one.value,
        low: two.low / one.high,
        high: two.high / one.low,
    };
    let twos = known.iter().filter(|(candidate, _)| is_of(candidate, 2));
    let ratios = twos.flat_map(|(of_two, two)| {
        known.iter().filter(|(of_one, _)| is_one_beside(of_two, of_one)).map(|(_, one)| ratio(two, one))
    });
    let sound = ratios.filter(|ratio| [ratio.value, ratio.low, ratio.high].iter().all(|part| part.is_finite()));
    sound.min_by(|one, other| (one.high / one.low).total_cmp(&(other.high / other.low)))
}

/// The few tasks of a batch that hold most of its time, by the service times of whoever ran them with least in flight.
fn skew(record: &Record, rows: &[Row]) -> Option<Reason> {
    let Load::Batch { tasks, .. } = record.workload.load else { return None };
    let ran = rows.iter().filter(|row| row.blocks > 0);
    let row = ran.min_by_key(|row| (row.candidate.sizes.concurrency(), row.candidate.simplicity()))?;
    let place = &record.candidates[row.index as usize];
    let (service, _) = pooled(place.timed().map(|block| &block.figures.service));
    let Skew { share_of_tasks, share_of_time: share, .. } = Skew::of(&service?)?;
    let long = (share_of_tasks * f64::from(tasks)).round() as u64;
    (long > 0).then_some(Reason::Skewed { tasks: u64::from(tasks), long, share })
}

/// The stated rate, what the answer runs at, and whether that is the rate, within the tolerance.
fn rate(record: &Record, rows: &[Row], answer: &Answer) -> Option<(f64, f64, bool)> {
    let rate_per_s = record.workload.rate?.per_s();
    let throughput = answer.row(rows)?.throughput_per_s?;
    Some((rate_per_s, throughput.value, throughput.value >= rate_per_s * (1.0 - record.workload.objective.tolerance())))
}

/// The condition of an answer that does not reach the stated rate.
fn rate_not_reached(record: &Record, rows: &[Row], answer: &Answer) -> Option<Condition> {
    let (rate_per_s, throughput_per_s, _) = rate(record, rows, answer).filter(|(.., is_reached)| !is_reached)?;
    Some(Condition::RateNotReached { rate_per_s, throughput_per_s, burst: record.workload.rate?.burst })
}

/// What the answer reaches of the host's limit.
fn reached(rows: &[Row], answer: &Answer, limit: Option<&HostLimit>) -> Option<Reason> {
    let row = answer.row(rows)?;
    Some(Reason::Reaches {
        share: row.limit_share.filter(|share| *share <= BEYOND_LIMIT)?,
        limit: limit?.set_by,
        concurrency: row.candidate.sizes.concurrency(),
    })
}

/// What handing tasks to other processes costs, where it is what keeps them from being better.
fn pickling(rows: &[Row], answer: &Answer, task: &Task) -> Option<Reason> {
    let latency_ns = task.unloaded_ns.filter(|_| !answer.engine.crosses())?;
    let crosses = |row: &&Row| row.status == Status::Worse && row.serialisation_ns_per_task.is_some();
    let row = rows.iter().find(crosses)?;
    let (ns, bytes) = (row.serialisation_ns_per_task?, row.serialisation_bytes_per_task?);
    (ns >= EXPENSIVE_PICKLING * latency_ns).then_some(Reason::Pickling { ns, bytes })
}

/// What keeps processes from being the answer, though a task computes and holds the lock: the object that its callable
/// belongs to crosses with each task, or chunk.
fn callable(record: &Record, rows: &[Row], answer: &Answer, task: &Task) -> Option<Reason> {
    let (cpu_ns, latency_ns) = (task.cpu_ns?, task.unloaded_ns?);
    let computes = cpu_ns >= COMPUTES * latency_ns;
    let is_held = lock(record, rows) == Some(true) && two_threads(rows).is_none_or(|ratio| ratio.value < THREADS_HELP);
    if answer.engine.crosses() || !computes || !is_held {
        return None;
    }
    // The best first.
    let mut worse = rows.iter().filter(|row| row.candidate.engine.crosses() && row.throughput_per_s.is_some());
    let (candidate, parts) = worse.find_map(|row| Some((&row.candidate, carried(record, &row.candidate)?)))?;
    let tasks = candidate.sizes.chunk.unwrap_or(1).max(1);
    let work_ns = latency_ns * f64::from(tasks);
    let is_relevant = parts.ns >= EXPENSIVE_CALLABLE * work_ns && parts.bytes >= LEAST_CALLABLE;
    let function = record.workload.steps.iter().filter_map(Step::python).find_map(|own| own.function.as_deref())?;
    let function = function.rsplit([':', '.']).next().unwrap_or_default().to_owned();
    is_relevant.then_some(Reason::CallableCrosses { function, bytes: parts.bytes, ns: parts.ns, tasks, work_ns })
}

/// What pickling the callable itself takes, where a candidate does so.
fn carried(record: &Record, candidate: &Candidate) -> Option<crate::protocol::Pickled> {
    figures::pickled(record, candidate)?.callable
}

/// The event loop that a task blocked longest, among those that are worse, and what is named.
fn stall(record: &Record, rows: &[Row], answer: &Answer) -> Option<Reason> {
    let is_bare_loop = |row: &&Row| {
        let is_told = row.status == Status::Worse || row.index == answer.candidate;
        matches!(row.candidate.model(), Model::Async | Model::ShardedAsync) && is_told
    };
    let stalled = rows.iter().filter(is_bare_loop).filter_map(|row| Some((row, row.longest_stall_ns?)));
    // A loop is late, too, where many short tasks are ready at once: then none blocks it.
    let stalled = stalled.filter(|(row, stall_ns)| {
        let cpu_ns = row.cpu_ns_per_task().unwrap_or(0.0);
        let in_flight = f64::from(row.candidate.sizes.in_flight.unwrap_or(1));
        cpu_ns >= STALL_NS as f64 || *stall_ns as f64 > cpu_ns * in_flight
    });
    // On a busy host a loop that nothing blocks waits for its turn of a core.
    let taken = disturbance::taken(record);
    let least_ns = if taken > 0.0 { (STALL_OF_BUSY_NS as f64 / (1.0 - taken)) as u64 } else { STALL_NS };
    let (row, stall_ns) = stalled.max_by_key(|(_, stall)| *stall).filter(|(_, stall)| *stall >= least_ns)?;
    let steps = &record.workload.steps;
    // Where each has an async form, one of those blocks.
    let has_blocking = steps.iter().any(|step| !step.has_async_form());
    let mut blocking = steps.iter().filter(|step| !has_blocking || !step.has_async_form());
    let own = blocking.next().filter(|_| blocking.next().is_none()).and_then(Step::own_code);
    Some(Reason::Stalls { engine: row.candidate.engine, function: own.map(str::to_owned), stall_ns })
}

/// What an answer depends on, and what is not known of it.
pub(super) fn conditions(
    record: &Record,
    rows: &[Row],
    answer: &Answer,
    found: &Finding,
    race: &RaceRecord,
    limit: Option<&HostLimit>,
    disturbed: &[Condition],
) -> Vec<Condition> {
    let mut conditions = disturbed.to_vec();
    conditions.extend(record.warnings.iter().filter_map(|warning| replaced(record, warning, &race.runtime)));
    let one_at_a_time = record.warnings.iter().find_map(|warning| match warning {
        Warning::Exclusive { .. } => Some(false),
        Warning::Scarce { .. } => Some(true),
        _ => None,
    });
    conditions.extend(one_at_a_time.map(|hung| Condition::OneAgentAtATime { hung }));
    conditions.extend(library_threads::conditions(record, answer, race));
    conditions.extend(opened(record, answer, &race.runtime));
    conditions.extend(one_per_process(record, answer, &race.runtime));
    let failed = not_compared(rows).count();
    if failed > 0 {
        conditions.push(Condition::FailedCandidates { count: failed as u32 });
    }
    let sizes: Vec<u32> = failed_sizes(rows).map(|row| row.index).collect();
    if !sizes.is_empty() {
        conditions.push(Condition::FailedSizes { candidates: sizes });
    }
    conditions.extend(unpicklable(record, rows, answer));
    if record.leaves_children_uncounted() {
        conditions.push(Condition::ChildrenUncounted {});
    }
    if record.tears_down_endlessly() {
        conditions.push(Condition::EndlessTeardown {});
    }
    conditions.extend(record.few_long(&race.runtime).map(Condition::FewLong));
    conditions.extend(cached(record, &race.runtime));
    if !found.is_settled {
        conditions.push(Condition::NeighboursNotMeasured {});
    }
    match race.ending {
        Ending::Interrupted | Ending::Running => conditions.push(Condition::Interrupted {}),
        Ending::CallsSpent => conditions.push(Condition::CallsSpent {}),
        _ if is_cut(race) && answer.may_cost > race.rules.tolerance => conditions.push(Condition::BudgetSpent {}),
        _ => {}
    }
    if let (Some(simpler), true) = (found.may_be_simpler, is_cut(race)) {
        conditions.push(Condition::MayBeSimpler { candidate: simpler as u32 });
    }
    conditions.extend(start_up::pays_from(record, rows, answer, race));
    let size = cap(race, &record.candidates[answer.candidate as usize]);
    // Of a batch no more can be in flight than there are.
    let size = size.filter(|size| !(race.rules.is_batch && race.rules.tasks == Some(*size)));
    if let Some(size) = size.filter(|_| more_may_help(rows, answer, limit, race.rules.tolerance)) {
        conditions.push(Condition::AtCap { size });
    }
    conditions.extend(rate_not_reached(record, rows, answer));
    conditions.extend(unchecked(record, rows, answer));
    conditions.extend(errors(record, &race.runtime));
    conditions
}

/// What processes could do if what keeps them from running were mended: all of their engines fail, for what pickle cannot
/// move, and the task computes under an interpreter lock.
fn unpicklable(record: &Record, rows: &[Row], answer: &Answer) -> Option<Condition> {
    let fails = |row: &Row| {
        let failure = record.candidates[row.index as usize].failure.as_ref();
        failure.is_some_and(|failure| failure.message.contains("pickl"))
    };
    // A process that is forked for its task has what the task is called with.
    let is_pool = |row: &&Row| row.candidate.model() == Model::Processes && row.candidate.engine != Engine::Process;
    let pools = || rows.iter().filter(is_pool);
    let all_fail = pools().next().is_some() && pools().all(fails);
    let computes = answer.reasons.iter().find_map(|reason| match reason {
        Reason::Computes { cores, two_threads, lock: Some(true), .. } => {
            (two_threads.is_none_or(|ratio| ratio < THREADS_HELP)).then_some(*cores)
        }
        _ => None,
    });
    let cores = computes.filter(|cores| all_fail && *cores > 1.0)?;
    Some(Condition::Unpicklable { most: cores })
}

/// What the task keeps of a call, so that a later one on the same item is quick.
pub(super) fn cached(record: &Record, runtime: &str) -> Option<Condition> {
    let (first_ns, second_ns) = record.calibration.runtime(runtime)?.cached_ns()?;
    Some(Condition::Cached { first_ns, second_ns })
}

/// What the answer's workers hold open: shared, or each its own.
fn opened(record: &Record, answer: &Answer, runtime: &str) -> Vec<Condition> {
    let Some(opened) = record.calibration.runtime(runtime).and_then(|known| known.opened) else { return Vec::new() };
    let of_threads = sockets_of_threads(&opened, answer);
    if !answer.engine.has_worker_processes() {
        return of_threads.into_iter().collect();
    }
    let Opened { at_import, by_setup, threads, .. } = opened;
    let is_forked = answer.start_method == Some(StartMethod::Fork);
    let beside = (is_forked && threads > 0).then_some(Condition::ThreadsBesideFork { threads });
    let shared = (is_forked && at_import != Descriptors::default())
        .then_some(Condition::SharedDescriptors { sockets: at_import.sockets, files: at_import.files });
    let processes = answer.workers.or(answer.in_flight).unwrap_or(1);
    let own = (by_setup.sockets > 0 && processes > 1)
        .then_some(Condition::SocketsOfWorkers { sockets: by_setup.sockets, processes });
    beside.into_iter().chain(shared).chain(own).chain(of_threads).collect()
}

/// What `setup_thread` connects in each thread of the answer. The tasks of an event loop have one between them.
fn sockets_of_threads(opened: &Opened, answer: &Answer) -> Option<Condition> {
    let sockets = opened.by_setup_thread.sockets;
    let threads = match answer.model {
        Model::Sequential | Model::Async => 1,
        _ => answer.workers.or(answer.in_flight).unwrap_or(1),
    };
    (sockets > 0 && threads > 1).then_some(Condition::SocketsOfThreads { sockets, threads })
}

/// What threads share and the answer's processes have one each of.
fn one_per_process(record: &Record, answer: &Answer, runtime: &str) -> Vec<Condition> {
    let known = record.calibration.runtime(runtime).filter(|_| answer.engine.crosses());
    let state = known.map_or(&[][..], |known| &known.module_state);
    let names = |is_it: &dyn Fn(&ModuleState) -> bool| -> Option<Vec<String>> {
        let names: Vec<String> = state.iter().filter(|each| is_it(each)).map(|each| each.name.clone()).collect();
        (!names.is_empty()).then_some(names)
    };
    let hands_on = |each: &ModuleState| ["Queue", "Event", "Barrier"].iter().any(|kind| each.type_name.ends_with(kind));
    let held = names(&|each| !each.changes && !hands_on(each)).map(|names| Condition::LockPerProcess { names });
    let queues = names(&|each| !each.changes && hands_on(each)).map(|names| Condition::QueuePerProcess { names });
    let changed = names(&|each| each.changes).map(|names| Condition::CopyPerProcess { names });
    held.into_iter().chain(queues).chain(changed).collect()
}

/// What a warning says of how this runtime's processes begin. What says the same under the other way, too, is no fault
/// of how they begin.
fn replaced(record: &Record, warning: &Warning, runtime: &str) -> Option<Condition> {
    let Warning::Replaced { candidate, by, failure } = warning else { return None };
    let method = candidate.start_method.filter(|_| candidate.runtime == runtime)?;
    let of_other =
        |place: &&CandidateRecord| place.candidate.runtime == runtime && place.candidate.start_method == Some(*by);
    let mut failures = record.candidates.iter().filter(of_other).filter_map(|place| place.failure.as_ref());
    if failure.kind != FailureKind::Hang && failures.any(|other| other.says_the_same(failure)) {
        return None;
    }
    Some(Condition::StartMethodReplaced { method, by: *by, hung: failure.kind == FailureKind::Hang })
}

/// Errors that a real pool of processes does not survive, where such a pool was measured: ours hand back an error's words.
fn errors(record: &Record, runtime: &str) -> Vec<Condition> {
    let is_pool =
        |place: &&CandidateRecord| place.candidate.runtime == runtime && place.candidate.engine.has_worker_processes();
    if !record.candidates.iter().filter(is_pool).any(|place| !place.blocks.is_empty()) {
        return Vec::new();
    }
    let found = record.warnings.iter().filter_map(|warning| match warning {
        Warning::Found { note: Note::ErrorCannotCross { type_name, breaks_pool, .. }, .. } => {
            Some(Condition::ErrorCannotCross { type_name: type_name.clone(), breaks_pool: *breaks_pool })
        }
        _ => None,
    });
    found.collect()
}

/// The largest size that was allowed, where the answer has it and a larger one might gain.
fn cap(race: &RaceRecord, place: &CandidateRecord) -> Option<u32> {
    let candidate = &place.candidate;
    let entry =
        race.entries.iter().chain(&race.alternates).find(|entry| entry.candidate(candidate.sizes) == *candidate)?;
    let (ladder, size) = if entry.in_flight.is_empty() {
        (&entry.workers, candidate.sizes.workers)
    } else {
        (&entry.in_flight, candidate.sizes.in_flight)
    };
    size.filter(|size| ladder.len() > 1 && ladder.last() == Some(size))
}

/// Whether more than are allowed might gain anything: what is in flight limits the answer, or nothing that it is near to does.
fn more_may_help(rows: &[Row], answer: &Answer, limit: Option<&HostLimit>, tolerance: f64) -> bool {
    let (Some(limit), Some(share)) = (limit, answer.row(rows).and_then(|row| row.limit_share)) else { return true };
    if limit.set_by == LimitKind::InFlight { share >= NEAR_CAP } else { share < 1.0 / (1.0 + tolerance) }
}

/// Limits that the answer could not be held against.
fn unchecked(record: &Record, rows: &[Row], answer: &Answer) -> Option<Condition> {
    let row = answer.row(rows)?;
    let Limits { p99_ns, memory_bytes, errors: _ } = record.workload.objective.limits;
    let p99 = p99_ns.is_some() && row.service.p99_ns.is_none();
    let memory = memory_bytes.is_some() && row.memory_bytes.is_none();
    (p99 || memory).then_some(Condition::UncheckedLimit { p99, memory })
}

/// Whether a race wanted more time than it had.
fn is_cut(race: &RaceRecord) -> bool {
    matches!(race.ending, Ending::BudgetSpent | Ending::CallsSpent | Ending::Interrupted)
}
