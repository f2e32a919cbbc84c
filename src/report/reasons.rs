//! Reasons and conditions of an answer, in words.

use super::Judged;
use super::text::{listed, sizes as sizes_in_words};
use crate::analyze::{
    Answer, Condition, FarLimit, Group, LimitKind, Overlap, Reason, Row, Status, TimeOfAll, not_compared,
};
use crate::candidate::{Candidate, Engine, Model, StartMethod};
use crate::decide::RULES_VERSION;
use crate::escape::plain;
use crate::protocol::FailureKind;
use crate::record::{Ending, FewLong};
use crate::units::{bytes, count, duration, factor, percent, rate};

/// Two threads scale by less than this where a global interpreter lock keeps one of them waiting.
const HELD: f64 = 1.2;
/// The threads that libraries are limited to.
const ONE: u32 = 1;
/// And by more than this where the task does not hold it.
const RELEASED: f64 = 1.6;
/// Why the CPU time of programs is not known.
pub(super) const CHILDREN_UNCOUNTED: &str =
    "your code ignores SIGCHLD, so what programs compute that tasks start is not counted";
/// What to do where tasks may fail.
const MAY_FAIL: &str = "; if some tasks may fail, say how many by `--errors 5%`";
/// An interval whose ends are further apart than this factor tells little of the middle.
const VAGUE: u64 = 10;
/// From this rate on a start that is late matters.
const FAST_PER_S: f64 = 200.0;
/// Names of the user's code that one sentence tells.
const MOST_NAMES: usize = 3;

/// Why the answer is what it is, in sentences joined by semicolons; why there is none, where there is none.
pub(super) fn why(judged: &Judged, group: &Group) -> String {
    match &group.answer {
        Some(answer) => {
            let said = answer.reasons.iter().map(|it| reason(judged, answer, it));
            plain(&said.collect::<Vec<String>>().join("; "))
        }
        None => nothing_compared(judged, group),
    }
}

/// What the answer depends on, a sentence each.
pub(super) fn conditions(judged: &Judged, answer: &Answer) -> Vec<String> {
    let (of_time, others): (Vec<&Condition>, Vec<&Condition>) = answer.conditions.iter().partition(|it| is_of_time(it));
    let others = others.into_iter().map(|it| condition(judged, answer, it));
    let told = other_rules(judged).into_iter().chain(others).chain(more_time(judged, &of_time));
    told.map(|sentence| plain(&sentence)).collect()
}

/// Whether a longer budget is what helps.
const fn is_of_time(condition: &Condition) -> bool {
    matches!(
        condition,
        Condition::BudgetSpent {} | Condition::NeighboursNotMeasured {} | Condition::MayBeSimpler { .. }
    )
}

/// What a longer budget may tell, in one sentence.
fn more_time(judged: &Judged, conditions: &[&Condition]) -> Option<String> {
    let said = |condition: &&Condition| match condition {
        Condition::MayBeSimpler { candidate } => {
            format!("{} is simpler and may be good enough", name(judged, *candidate))
        }
        Condition::NeighboursNotMeasured {} => "the sizes beside it were not all measured".to_owned(),
        _ => "the budget ended before the answer was sure".to_owned(),
    };
    let all: Vec<String> = conditions.iter().map(said).collect();
    (!all.is_empty()).then(|| format!("{}: a longer --budget may tell", all.join("; ")))
}

/// What is to be said of an answer that another version's rules found.
fn other_rules(judged: &Judged) -> Option<String> {
    let found = judged.verdict.rules_version;
    (found != RULES_VERSION).then(|| {
        format!("the answer was found by rules {found} and is shown as stored: this conbench decides by rules {RULES_VERSION}")
    })
}

fn nothing_compared(judged: &Judged, group: &Group) -> String {
    let advice = group.far_limit.as_ref().map_or(String::new(), |limit| format!("; {}", far_limit(judged, limit)));
    let all = |is: &dyn Fn(&Status) -> bool| !group.rows.is_empty() && group.rows.iter().all(|row| is(&row.status));
    if let Some(reason) = common_failure(group) {
        let may_fail = if is_of_a_task(judged, group) { MAY_FAIL } else { "" };
        return format!("every candidate failed: {}{advice}{may_fail}", plain(reason));
    }
    let failed: Vec<&str> = group
        .rows
        .iter()
        .filter_map(|row| match &row.status {
            Status::Failed { reason } => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    if failed.len() == group.rows.len() && !failed.is_empty() {
        return format!("every candidate failed{advice}");
    }
    if all(&|status| matches!(status, Status::Failed { .. } | Status::Infeasible { .. })) {
        return format!("no candidate keeps the limits of the objective{advice}");
    }
    let is_stored_otherwise = judged.record.races.iter().any(|race| race.rules_version != judged.verdict.rules_version);
    if is_stored_otherwise {
        return "the record was made under other rules: measure again, or read it with the conbench that made it"
            .to_owned();
    }
    let is_sound = |row: &&Row| row.throughput_per_s.is_some() && !row.has_failed();
    if let Some(first) = failed.first().filter(|_| group.rows.iter().filter(is_sound).count() < 2) {
        let (count, all) = (failed.len(), group.rows.len());
        return format!("{count} of {all} candidates failed, and nothing is left to compare: {}{advice}", plain(first));
    }
    match judged.record.workload.objective.goal {
        _ if judged.record.ending == Ending::CallsSpent => {
            "the tasks that `max_calls` allows were spent before two candidates were measured: raise it in the workload file, or compare fewer with --engines and --in-flight".to_owned()
        }
        crate::workload::Goal::P99 => {
            "no block has the 50 tasks that a 99th percentile needs: a longer --budget, or fewer --engines, make blocks longer".to_owned()
        }
        _ => "fewer than two candidates were measured; a longer --budget, or fewer --engines, lets them".to_owned(),
    }
}

/// That blocks missed the few tasks that hold most of the time.
pub(super) fn few_long(found: &FewLong) -> String {
    let FewLong { tasks, long, share, longest_ns, elapsed_ns } = *found;
    format!(
        "{long} of {tasks} tasks hold {} of the time (one takes {}), and blocks are too short for them: rates are those of the others; {tasks} at once took {}",
        percent(share),
        duration(longest_ns as f64),
        duration(elapsed_ns as f64)
    )
}

fn reason(judged: &Judged, answer: &Answer, reason: &Reason) -> String {
    match reason {
        Reason::Waits { share, cpu_ns, latency_ns, overlap } => format!(
            "a task is {} waiting ({} CPU of {}), {}",
            percent(*share),
            duration(*cpu_ns),
            duration(*latency_ns),
            overlap.as_ref().map_or_else(|| "so engines differ by how many they keep in flight".to_owned(), waits_for)
        ),
        Reason::Computes { share, cores, two_threads, two_threads_between, lock } => {
            let is_clear = two_threads.is_some_and(|ratio| is_clear(ratio, *two_threads_between, *cores));
            let told = lock.filter(|_| is_clear);
            let threads = two_threads.map(|ratio| format!("; {}", threads(ratio, told))).unwrap_or_default();
            let tells_cores = |other: &Reason| {
                matches!(other, Reason::StartsPrograms { .. } | Reason::Reaches { limit: LimitKind::Cores, .. })
            };
            let is_told = answer.reasons.iter().any(tells_cores);
            let cores = if is_told { String::new() } else { format!("; this host gives {} cores", count(*cores)) };
            format!("a task computes {} of its time{threads}{cores}", percent(*share))
        }
        Reason::LibraryThreads { threads, variables, limited, other, same_sizes, ratio } => {
            let own = format!("the library's own {threads} threads");
            let reached = factor(*ratio);
            match (limited, same_sizes) {
                (true, true) => format!("with {own} {} {reached} of that", the_same(answer)),
                (true, false) => format!("with {own} the best, {}, reaches {reached} of that", name(judged, *other)),
                (false, _) => format!(
                    "a library computes with {threads} threads in each task by itself; with {} the best, {}, reaches {reached} of that",
                    set_to(variables, ONE),
                    name(judged, *other)
                ),
            }
        }
        Reason::StartsPrograms { children_ns, cpu_ns: _, latency_ns, cores, lock } => format!(
            "{} of a task's {} are computed by a program that it starts{}; this host gives {} cores",
            duration(*children_ns),
            duration(*latency_ns),
            if *lock == Some(true) { ", which no GIL holds back" } else { "" },
            count(*cores)
        ),
        Reason::SerialSection { is_lock, section_ns, latency_ns, most_per_s } => {
            let section = if *is_lock { "the lock is held" } else { "the queue's one consumer takes" };
            format!(
                "{section} {} of {}: no engine can exceed {}",
                duration(*section_ns),
                duration(*latency_ns),
                rate(*most_per_s)
            )
        }
        Reason::RateReached { rate_per_s, throughput_per_s } => format!(
            "the rate of {} that you state is reached ({}): more in flight gains nothing",
            rate(*rate_per_s),
            rate(*throughput_per_s)
        ),
        Reason::Reaches { share, limit, concurrency } => {
            let cores = answer.reasons.iter().find_map(|other| match other {
                Reason::Computes { cores, .. } => Some(format!("this host's {} cores", count(*cores))),
                _ => None,
            });
            let most = match limit {
                LimitKind::InFlight => "of the most that `max_in_flight` allows".to_owned(),
                LimitKind::Cores => format!("of what {} can give", cores.as_deref().unwrap_or("the cores")),
                LimitKind::SerialSection => "of the most that the serial section allows".to_owned(),
            };
            let who = match (concurrency, answer.workers == Some(*concurrency)) {
                (1, true) => "1 worker reaches".to_owned(),
                (1, false) => "1 task in flight reaches".to_owned(),
                (_, true) => format!("{concurrency} workers reach"),
                (_, false) => format!("{concurrency} in flight reach"),
            };
            // A little more than all is the error of two measurements.
            format!("{who} {} {most}", percent(share.min(1.0)))
        }
        Reason::Skewed { tasks, long, share } => {
            format!("{long} of {tasks} tasks hold {} of the time: small chunks, the longest first", percent(*share))
        }
        Reason::AllTasks { tasks, named, other, other_time } => {
            let time = |of: &TimeOfAll| {
                let all = duration(of.ready_ns + of.tasks_ns);
                format!("{all}, of which {} are start-up", duration(of.ready_ns))
            };
            let other = other.zip(other_time.as_ref());
            let beside = other.map_or(String::new(), |(model, of)| format!("; with {model} {}", time(of)));
            let count = if *tasks == 1 { "the task takes".to_owned() } else { format!("all {tasks} tasks take") };
            format!("{count} {}{beside}", time(named))
        }
        Reason::Pickling { ns, bytes: size } => {
            format!("processes pay {} a task for pickling {}", duration(*ns), bytes(size.max(0.0) as u64))
        }
        Reason::CallableCrosses { function, bytes: size, ns, tasks, work_ns } => {
            let with = if *tasks > 1 { "chunk" } else { "task" };
            format!(
                "`{function}` drags an object of {} along with each {with}: hand it over once, by an initializer (`setup`), since pickling it takes {} beside {} of work",
                bytes(size.max(0.0) as u64),
                duration(*ns),
                duration(*work_ns)
            )
        }
        Reason::Stalls { engine, function, stall_ns } => {
            let who = function.as_ref().map_or_else(|| "a task".to_owned(), |function| format!("`{function}`"));
            let what = if *engine == Engine::Gevent { "hub" } else { "loop" };
            format!("{engine} stalls: {who} blocks its {what} for {}", duration(*stall_ns as f64))
        }
        Reason::FlipsWithCpu { above, below, at_ns, measured_ns: (from, to) } => format!(
            "{} from {} of CPU per task, {below} below (measured at {} and {})",
            win(*above),
            duration(*at_ns),
            duration(*from),
            duration(*to)
        ),
        Reason::FlipsWithSize { below, above, low, high, in_flight } => {
            let unit = if *in_flight { "in flight" } else { "workers" };
            format!("{} up to {low} {unit}, {above} from {high}", win(*below))
        }
    }
}

/// What tasks wait for that gain little by many in flight.
fn waits_for(overlap: &Overlap) -> String {
    let Overlap { in_flight, gain, of_processes } = *overlap;
    let own = of_processes
        .map(|other| format!("; several processes do {}, so what they wait for is one per process", factor(other)))
        .unwrap_or_default();
    format!(
        "and {in_flight} in flight in one process do {} what one does: they wait for each other, or for what serves few at a time{own}",
        factor(gain)
    )
}

/// Whether what two threads do beside one says what the interpreter's lock does: not where there was but one core for
/// both, nor where it may as well be on the other side.
pub(super) fn is_clear(ratio: f64, between: Option<(f64, f64)>, cores: f64) -> bool {
    /// Cores that two threads need to show what they can do.
    const FOR_TWO: f64 = 1.5;
    let (low, high) = between.unwrap_or((ratio, ratio));
    let is_far = if ratio < HELD { high < RELEASED } else { low > HELD };
    is_far && (cores >= FOR_TWO || ratio >= RELEASED)
}

/// What two threads do beside one, and what that says of the global interpreter lock.
fn threads(ratio: f64, lock: Option<bool>) -> String {
    let measured = format!("two threads do {} the work of one", factor(ratio));
    match lock {
        Some(true) if ratio < HELD => format!("threads do not help: {measured}, the task holds the GIL"),
        Some(true) if ratio < RELEASED => format!("{measured}: the task holds the GIL for a part of its time"),
        Some(true) => format!("{measured}: the task releases the GIL"),
        Some(false) => format!("{measured}, without a GIL"),
        None => measured,
    }
}

/// `threads win`, `async wins`.
fn win(model: Model) -> String {
    let verb = match model {
        Model::Threads | Model::Processes | Model::Interpreters => "win",
        Model::Sequential
        | Model::Async
        | Model::ShardedAsync
        | Model::AsyncThreads
        | Model::AsyncProcesses
        | Model::Cluster => "wins",
    };
    format!("{model} {verb}")
}

/// A candidate as it stands in a sentence.
fn name(judged: &Judged, index: u32) -> String {
    let place = judged.record.candidates.get(index as usize);
    place.map_or_else(|| format!("candidate {index}"), |place| format!("`{}`", place.candidate.short()))
}

/// What the answer would be if it differed in something else, as the subject of a sentence: `the same 2 workers reach`.
fn the_same(answer: &Answer) -> String {
    match (answer.workers, answer.in_flight) {
        (Some(1), _) => "the same worker reaches".to_owned(),
        (Some(workers), _) => format!("the same {workers} workers reach"),
        (None, Some(in_flight)) => format!("the same {in_flight} in flight reach"),
        (None, None) => "the same loop reaches".to_owned(),
    }
}

/// Variables with their value, as a shell takes them: `OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1`.
pub(super) fn set_to(variables: &[String], value: u32) -> String {
    let set: Vec<String> = variables.iter().map(|name| format!("{name}={value}")).collect();
    format!("`{}`", set.join(" "))
}

/// Names of the user's code, as they stand in a sentence: the first few, and how many there are beside.
fn named(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => listed(&first, "and"),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// What an answer depends on, as a sentence.
pub(super) fn condition(judged: &Judged, answer: &Answer, condition: &Condition) -> String {
    let name = |index: u32| name(judged, index);
    let (worker, workers) =
        if answer.model == Model::Interpreters { ("interpreter", "interpreters") } else { ("process", "processes") };
    match condition {
        Condition::OtherProcesses { share } => format!(
            "other processes used {} of the CPU time: {}; end them and measure again",
            percent(*share),
            bias(answer)
        ),
        Condition::StolenCpu { share } => format!(
            "the hypervisor took {} of the CPU time: {}; measure again when the machine's neighbours are quiet",
            percent(*share),
            bias(answer)
        ),
        Condition::UnreadableHistograms { count } => {
            format!("{count} histograms of the record cannot be read: their times are missing")
        }
        Condition::OneAgentAtATime { hung: false } => {
            "idle agents held something scarce (connections, a lock) that others need, and those failed: from then on one agent ran at a time"
                .to_owned()
        }
        Condition::OneAgentAtATime { hung: true } => {
            "tasks share something that they wait for: an engine hangs with many in flight, and works with fewer (a lock, or connections that there are few of); one agent lived at a time"
                .to_owned()
        }
        Condition::StartMethodReplaced { method, by, hung } => {
            let how = if *hung { "hang" } else { "fail" };
            let copied = match method {
                StartMethod::Fork => " (a fork copies locks and open files as they are at that moment)",
                StartMethod::Spawn | StartMethod::Forkserver => "",
            };
            format!("processes under `{method}` {how}{copied}, so that all of them began by `{by}`")
        }
        Condition::LibraryThreads { count } => format!(
            "a library computes with {count} threads in each task, beside those of the candidate, also with `OMP_NUM_THREADS=1` and its kin: set it to one by what it heeds and measure again, since several workers may then do more"
        ),
        Condition::ThreadsBesideFork { threads } => {
            let (count, they) = if *threads == 1 { ("a thread".to_owned(), "it") } else { (format!("{threads} threads"), "they") };
            format!(
                "your module starts {count} while it is imported: a lock that {they} may hold when a worker is forked stays locked in the worker, which need not show in a measurement; begin processes by spawn, or start threads in `setup`"
            )
        }
        Condition::SharedDescriptors { sockets, files } => {
            let count = |count: u32, one: &str| match count {
                0 => None,
                1 => Some(format!("a {one}")),
                more => Some(format!("{more} {one}s")),
            };
            let what: Vec<String> = [count(*sockets, "socket"), count(*files, "file")].into_iter().flatten().collect();
            format!(
                "your module opens {} while it is imported, which forked workers share: each takes what was meant for another; open them in `setup`, or begin processes by spawn",
                what.join(" and ")
            )
        }
        Condition::SocketsOfWorkers { sockets, processes } => {
            connections("setup", *sockets, &format!("{processes} processes"), *processes)
        }
        Condition::SocketsOfThreads { sockets, threads } => {
            connections("setup_thread", *sockets, &format!("{threads} threads"), *threads)
        }
        Condition::LockPerProcess { names } => format!(
            "each {worker} has its own {}, which does not keep {workers} apart: if it guards something outside of them, leave {workers} out (`--models`)",
            named(names)
        ),
        Condition::QueuePerProcess { names } => format!(
            "each {worker} has its own {}: nothing passes through it from one to another, or to the caller",
            named(names)
        ),
        Condition::CopyPerProcess { names } => format!(
            "your code changes {}: each {worker} changes its own copy, which nobody else sees; if the caller needs it, return it",
            named(names)
        ),
        Condition::LibraryThreadsSet { variables } => {
            let set: Vec<String> = variables.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
            format!("your environment sets {}: the library's own number of threads is what that says", listed(&set, "and"))
        }
        Condition::SetBeforeImport { variables, threads } => {
            let lines: Vec<String> =
                variables.iter().map(|name| format!("`os.environ[\"{name}\"] = \"{threads}\"`")).collect();
            format!(
                "this answer needs {} in the environment: on the command line, or by {} before the library is imported",
                set_to(variables, *threads),
                listed(&lines, "and")
            )
        }
        Condition::FailedCandidates { count } => {
            let engines = failed_engines(judged, answer);
            let were = if engines.len() == 1 { "was" } else { "were" };
            let sizes = if *count == 1 { String::new() } else { format!(" ({count} sizes)") };
            format!("{} failed{sizes} and {were} not compared", listed(&engines, "and"))
        }
        Condition::FailedSizes { candidates } => format!("{} failed", listed(&failed_sizes(judged, candidates), "and")),
        Condition::Unpicklable { most } => format!(
            "pools of processes fail for what pickle cannot move: once that is mended, they may do up to {} the work of a plain loop",
            factor(*most)
        ),
        Condition::ChildrenUncounted {} => format!("{CHILDREN_UNCOUNTED}, and it is not known whether a task computes or waits, nor what else used the CPUs"),
        Condition::EndlessTeardown {} => "your teardown does not end and is not run here: a program that calls it waits for it for ever; give what it waits for a time limit".to_owned(),
        Condition::FewLong(found) => few_long(found),
        Condition::Cached { first_ns, second_ns } => format!(
            "your code keeps what it found: a second call on the same item takes {} instead of {}, and a measurement repeats items, so that it is of quicker calls than yours and favours what shares memory; name more items, or measure the code below the cache",
            duration(*second_ns as f64),
            duration(*first_ns as f64)
        ),
        Condition::NeighboursNotMeasured {} | Condition::BudgetSpent {} | Condition::MayBeSimpler { .. } => {
            more_time(judged, &[condition]).unwrap_or_default()
        }
        Condition::CallsSpent {} => {
            "the tasks that `max_calls` allows were spent before the answer was sure: raise it in the workload file"
                .to_owned()
        }
        Condition::Interrupted {} => "interrupted: it is the best answer until then".to_owned(),
        Condition::PaysFrom { tasks, low, high, simplest, start_method } => {
            let under = start_method.map_or(String::new(), |method| format!(" under {method}"));
            let is_loop = judged.record.candidates.get(*simplest as usize);
            let is_loop = is_loop.is_some_and(|place| place.candidate.model() == Model::Sequential);
            let simplest = if is_loop { "a plain loop".to_owned() } else { name(*simplest) };
            let from = match high {
                // So wide an interval says how many are enough, and no more.
                Some(high) if *high > low.saturating_mul(VAGUE) => format!("{high} tasks on{under}, or sooner; with few"),
                Some(high) => format!("about {tasks} tasks on{under} ({low} to {high}); with fewer"),
                None => format!("about {tasks} tasks on{under} ({low} at least); with fewer"),
            };
            format!("it pays from {from}, {simplest} is quicker: say how many you have by `--tasks`")
        }
        Condition::RateNotReached { rate_per_s, throughput_per_s, burst } => {
            // What a feeder wakes late by is much beside a short time from one task to the next.
            let hint = if *burst == 1 && *rate_per_s >= FAST_PER_S {
                "; with `burst = 1` no late start is made up for: state what the far side allows"
            } else {
                ""
            };
            let reached = rate(*throughput_per_s);
            format!("nothing reaches the rate of {} that you state: this runs {reached}{hint}", rate(*rate_per_s))
        }
        Condition::FarLimit(limit) => far_limit(judged, limit),
        Condition::AtCap { size } => {
            format!("{} no more than {size}, and more might be better still", who_allows(judged, *size))
        }
        Condition::UncheckedLimit { p99, memory } => {
            let figure = match (p99, memory) {
                (true, true) => "p99 and memory",
                (true, false) => "p99",
                _ => "memory",
            };
            format!("the limit on {figure} could not be checked: too little was measured")
        }
        Condition::ErrorCannotCross { type_name, breaks_pool } => error_cannot_cross(type_name, *breaks_pool),
    }
}

/// What `field` opens in each of these, and what that comes to.
fn connections(field: &str, sockets: u32, each: &str, count: u32) -> String {
    format!(
        "`{field}` opens {sockets} {} in each of {each}: the far side must allow {}",
        if sockets == 1 { "connection" } else { "connections" },
        u64::from(sockets) * u64::from(count)
    )
}

/// The engines beside an answer that failed.
fn failed_engines(judged: &Judged, answer: &Answer) -> Vec<String> {
    let is_of_it = |group: &&Group| group.rows.iter().any(|row| row.index == answer.candidate);
    let rows = judged.verdict.groups.iter().find(is_of_it).map_or(&[][..], |group| &group.rows);
    let mut engines: Vec<String> = Vec::new();
    for row in not_compared(rows) {
        let engine = format!("`{}`", row.candidate.engine);
        if !engines.contains(&engine) {
            engines.push(engine);
        }
    }
    engines
}

/// Engines with their sizes that failed: "`Thread` with 32 in flight".
fn failed_sizes(judged: &Judged, candidates: &[u32]) -> Vec<String> {
    let mut engines: Vec<(Engine, Vec<String>)> = Vec::new();
    for candidate in candidates.iter().filter_map(|index| judged.record.candidates.get(*index as usize)) {
        let Candidate { engine, sizes, .. } = candidate.candidate;
        let said = sizes_in_words(sizes);
        match engines.iter_mut().find(|(known, _)| *known == engine) {
            Some((_, all)) => all.push(said),
            None => engines.push((engine, vec![said])),
        }
    }
    engines.iter().map(|(engine, sizes)| format!("`{engine}` with {}", listed(sizes, "or"))).collect()
}

/// What allows sizes up to this one alone.
fn who_allows(judged: &Judged, size: u32) -> &'static str {
    let settings = &judged.record.settings;
    if settings.workers.contains(&size) || settings.in_flight.contains(&size) {
        "the sizes that you name allow"
    } else if judged.record.workload.load.max_in_flight() == size {
        "`max_in_flight` allows"
    } else {
        "this host allows"
    }
}

/// What looks like a limit of the far side, and what to state.
fn far_limit(judged: &Judged, limit: &FarLimit) -> String {
    let seen = match (&limit.said, &limit.growth, limit.refused) {
        (Some(said), _, Some(refused)) => format!(
            "tasks fail from {} in flight on, and none fails of {}, as under a limit of the far side ({})",
            refused.from,
            refused.passes,
            first_line(said)
        ),
        (Some(said), ..) => format!("a failure looks like a limit of the far side ({})", first_line(said)),
        (None, Some(growth), _) => format!(
            "more tasks fail the more are in flight ({} at {}, {} at {}), as under a limit of the far side",
            percent(growth.from_share),
            growth.from,
            percent(growth.to_share),
            growth.to
        ),
        (None, None, _) => "failures look like a limit of the far side".to_owned(),
    };
    let through = limit.through_per_s.map_or(String::new(), |through| format!("; {} went through", rate(through)));
    let advice = match judged.record.workload.rate {
        Some(stated) => format!("it allows less than the {stated} that you state, or a smaller `burst`"),
        None => format!("state it as `[load] rate` (or `--rate`), e.g. `rate = \"{}\"`", stated(limit.through_per_s)),
    };
    format!("{seen}{through}: {advice}")
}

/// A rate as it may be stated: no more than went through.
fn stated(through_per_s: Option<f64>) -> String {
    match through_per_s {
        Some(per_s) if per_s >= 1.0 => format!("{}/s", per_s.floor()),
        Some(per_s) if per_s * 60.0 >= 1.0 => format!("{}/min", (per_s * 60.0).floor()),
        _ => "50/s".to_owned(),
    }
}

/// The first line of a failure, cut to what a sentence bears.
fn first_line(text: &str) -> String {
    const MOST: usize = 120;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= MOST {
        return line.to_owned();
    }
    format!("{}..", line.chars().take(MOST).collect::<String>())
}

/// What an error does to a real pool that cannot hand it back as it is.
pub(super) fn error_cannot_cross(type_name: &str, breaks_pool: bool) -> String {
    let name = type_name.rsplit('.').next().unwrap_or_default();
    if breaks_pool {
        format!(
            "the first `{name}` ends (ProcessPoolExecutor) or hangs (multiprocessing.Pool) a real pool: pickle cannot make it again; define `__reduce__`, or pass all arguments to `super().__init__`: figures of processes hold once it is mended"
        )
    } else {
        format!(
            "a real pool of processes hands back a pickling error in the place of `{name}`: let it hold plain data, or define `__reduce__`"
        )
    }
}

/// What others on the cores do to the answer.
fn bias(answer: &Answer) -> &'static str {
    // However many it has in flight, an event loop runs on one core.
    let is_one_loop = answer.model == Model::Async && answer.workers.is_none();
    if is_one_loop || answer.workers.or(answer.in_flight).unwrap_or(1) == 1 {
        "with idle cores, whatever uses several of them would gain more"
    } else {
        "with idle cores it would gain more"
    }
}

/// Why every candidate of a runtime failed, where it is the same for all: then it is the reason why there is no answer.
pub(super) fn common_failure(group: &Group) -> Option<&str> {
    let mut reasons = group.rows.iter().map(|row| match &row.status {
        Status::Failed { reason } => Some(reason.as_str()),
        _ => None,
    });
    let first = reasons.next()??;
    reasons.all(|reason| reason == Some(first)).then_some(first)
}

/// Whether what all candidates of a runtime fail with is an error that a task raises.
pub(super) fn is_of_a_task(judged: &Judged, group: &Group) -> bool {
    let failures = group.rows.iter().map(|row| judged.record.candidates.get(row.index as usize)?.failure.as_ref());
    failures.flatten().all(|failure| failure.kind == FailureKind::Task)
}
