//! The sentences that every format shares.

use super::reasons::{self, common_failure};
use super::text::listed;
use super::{Judged, sureness};
use crate::analyze::{Answer, Condition, Estimate, Group, HostLimit, LimitKind, Row, RuntimeStanding, Status};
use crate::candidate::RUST;
use crate::escape::plain;
use crate::protocol::Note;
use crate::record::{Ending, Record, Warning};
use crate::units::{bytes, count, difference, duration, factor, percent, rate};
use crate::workload::{Goal, Rate, Workload};

/// What a warning says: what was seen, and what to do next.
#[must_use]
pub fn warning(warning: &Warning) -> String {
    match warning {
        Warning::NotParked { candidate, share } => format!(
            "`{candidate}` used {} of a core between its blocks, so it was stopped while others ran: its figures may lack work that it does in the background",
            percent(*share)
        ),
        Warning::Unchecked { message } => format!("results are not compared: {}", plain(message)),
        Warning::FilesInMemory { kind } => format!(
            "files were on `{}`, which is memory: set TMPDIR to a directory on a disk to measure the disk",
            plain(kind)
        ),
        Warning::Hung { lost_ns } => {
            format!(
                "{} were lost to agents that did not answer; the budget does not count them",
                duration(*lost_ns as f64)
            )
        }
        Warning::LongTasks { candidate, task_ns } => format!(
            "a task of `{candidate}` takes {}, so that a block holds few of them: a longer --budget makes figures surer",
            duration(*task_ns as f64)
        ),
        Warning::Leftover { candidate, processes } => format!(
            "{processes} {} of `{candidate}` outlived it and {} killed",
            if *processes == 1 { "process" } else { "processes" },
            if *processes == 1 { "was" } else { "were" }
        ),
        Warning::LeftBehind { candidate, left_behind } => {
            let what = left_behind.iter().map(|left| {
                let plural = if left.count == 1 {
                    ""
                } else if left.kind.ends_with('s') {
                    "es"
                } else {
                    "s"
                };
                format!("{} {}{plural} `{}`", left.count, plain(&left.kind), plain(&left.name))
            });
            let what = listed(&what.collect::<Vec<String>>(), "and");
            format!("tasks of `{candidate}` left behind {what}: end what a task begins")
        }
        Warning::FailedTeardown { candidate, failure } => format!(
            "when `{candidate}` ended, {}: its figures are those of before, but what it holds may be left open",
            plain(&failure.message)
        ),
        Warning::GilEnabled { runtime } => format!(
            "`{runtime}` is built to run without a global interpreter lock, but one is in force: an import turned it on again; set PYTHON_GIL=0 to refuse that"
        ),
        Warning::FewLong { found, .. } => reasons::few_long(found),
        Warning::Scarce { candidate, failure } => format!(
            "`{candidate}` hangs though no other agent lives, and its engine works with fewer tasks in flight ({}): they wait for something that they share (a lock, or connections that there are few of), so from then on one agent lived at a time, and others begin with fewer; `max_in_flight` under `[load]` says how many there may be",
            plain(&failure.message)
        ),
        Warning::Exclusive { candidate, failure } => format!(
            "`{candidate}` failed while other agents were parked, and works alone ({}): they hold something scarce, so from then on one agent ran at a time, and each block started one; `[resources] exclusive = true` says so beforehand",
            plain(&failure.to_string())
        ),
        Warning::Replaced { candidate, by, failure } => format!(
            "`{candidate}` failed, and `{by}` works in its place, for every engine with processes: {}",
            plain(&failure.to_string())
        ),
        Warning::Found { runtime, note } => format!("{runtime}: {}", found(note)),
        Warning::Other { message } => plain(message),
    }
}

/// What was found while the user's own code ran, and what it means.
fn found(note: &Note) -> String {
    match note {
        Note::Mutates { item } => format!(
            "the function changes item {item}: here each call gets a copy of its item, as items come again; in your program threads and loops change the item itself, and worker processes a copy"
        ),
        Note::Uneven { calls, median_ns, longest_ns } => format!(
            "of {calls} calls half take {} at most and the longest takes {}: blocks hold few such, so figures may be far off; say how many tasks you have by --tasks, and give a longer --budget",
            duration(*median_ns as f64),
            duration(*longest_ns as f64)
        ),
        Note::SecondPassFaster { first_ns, second_ns } => format!(
            "a second call on the same item takes {} instead of {}: something is cached, and most of what is measured is the cached call",
            duration(*second_ns as f64),
            duration(*first_ns as f64)
        ),
        Note::Unstable { item } => format!("two calls on item {item} gave different results"),
        Note::Incomparable { item, type_name, reason } => {
            format!(
                "the result of item {item}, a `{}`, cannot be compared by value: {}",
                plain(type_name),
                plain(reason)
            )
        }
        Note::ItemsRepeat { items } => {
            format!("the first {items} items are used again and again: `items` is not read to its end")
        }
        Note::ChildrenUncounted {} => {
            format!("{}; leave the signal as it is to have it counted", reasons::CHILDREN_UNCOUNTED)
        }
        Note::EndlessTeardown { message } => {
            format!("{}: no teardown is run from here on; give what it waits for a time limit", plain(message))
        }
        Note::SetsStartMethod { method } => format!(
            "your code sets the start method `{method}` when it is imported: processes begin so here, too, unless `--start-methods` names others"
        ),
        Note::ErrorCannotCross { type_name, reason, breaks_pool } => {
            format!("{} ({})", plain(&reasons::error_cannot_cross(type_name, *breaks_pool)), plain(reason))
        }
    }
}

/// A status in a word, legible without colour.
pub(super) fn status(status: &Status) -> &'static str {
    match status {
        Status::Best => "best",
        Status::AsGood => "as good",
        Status::Worse => "worse",
        Status::Open => "not told apart",
        Status::Superseded => "other size",
        Status::Infeasible { .. } => "over limit",
        Status::Failed { .. } => "failed",
    }
}

/// The larger half of an interval, relative to its estimate: `±1.2 %`.
pub(super) fn plus_minus(estimate: Estimate) -> String {
    let half = (estimate.high - estimate.value).max(estimate.value - estimate.low);
    if estimate.value > 0.0 && half.is_finite() {
        format!("±{}", percent(half / estimate.value))
    } else {
        "-".to_owned()
    }
}

/// A candidate's row, by its index in the record.
pub(super) fn row(group: &Group, index: u32) -> Option<&Row> {
    group.rows.iter().find(|row| row.index == index)
}

/// Candidates as they are named in a sentence.
pub(super) fn names(group: &Group, indices: &[u32]) -> Vec<String> {
    indices.iter().filter_map(|index| row(group, *index)).map(|row| format!("`{}`", row.candidate.short())).collect()
}

/// The answer of a group, in labelled sentences.
pub(super) fn answer(judged: &Judged, group: &Group) -> Vec<(&'static str, String)> {
    let Some(answer) = &group.answer else {
        return vec![("Use:", format!("no answer: {}", reasons::why(judged, group)))];
    };
    let mut said = vec![("Use:", named(judged, group, answer))];
    let word = sureness::word(answer.sureness(judged.verdict.tolerance));
    said.push(("Sure?", format!("{word}: {}", sureness::bound(answer))));
    let good: Vec<u32> = answer.as_good.iter().map(|good| good.candidate).collect();
    if !good.is_empty() {
        said.push(("As good:", format!("{}, less simple", listed(&names(group, &good), "and"))));
    }
    let why = reasons::why(judged, group);
    said.extend((!why.is_empty()).then_some(("Why:", why)));
    said.extend(reasons::conditions(judged, answer).into_iter().map(|condition| ("But:", condition)));
    if let Some(limit) = &group.limit {
        said.push(("Limit:", host_limit(limit, group)));
    }
    said
}

fn named(judged: &Judged, group: &Group, answer: &Answer) -> String {
    let Some(best) = row(group, answer.candidate) else { return answer.model.to_string() };
    let mut text = format!("{}, as `{}`", answer.model, best.candidate.short());
    if let Some(threads) = answer.library_threads {
        text.push_str(&format!(" with {},", plain(&reasons::set_to(&answer.library_variables, threads))));
    }
    if let Some(throughput) = best.throughput_per_s {
        let with = if answer.library_threads.is_some() { "at" } else { "with" };
        text.push_str(&format!(" {with} {} {}", rate(throughput.value), plus_minus(throughput)));
    }
    if let Some(next) = answer.next_model.first().filter(|next| next.ratio > 0.0) {
        text.push_str(&format!(
            ", {} the best of {} in {} ({} to {})",
            factor(1.0 / next.ratio),
            next.model,
            goal(judged.record.workload.objective.goal),
            factor(1.0 / next.high),
            factor(1.0 / next.low)
        ));
    }
    text
}

pub(super) fn host_limit(limit: &HostLimit, group: &Group) -> String {
    let set_by = match limit.set_by {
        LimitKind::Cores => "usable cores / CPU time per task",
        LimitKind::InFlight => "tasks in flight / unloaded latency",
        LimitKind::SerialSection => "1 / the section that runs one task at a time",
    };
    let mut text = format!("this host allows at best {} for this task ({set_by})", rate(limit.throughput_per_s));
    let named = group.answer.as_ref().and_then(|answer| row(group, answer.candidate));
    if let Some(share) = named.and_then(|row| row.limit_share) {
        // What is a little beyond is the error of two measurements.
        let reached = if share > 1.0 { "that".to_owned() } else { percent(share) };
        text.push_str(&format!("; the answer reaches {reached}"));
    }
    text
}

/// The goal, as it stands in a sentence.
pub(super) fn goal(goal: Goal) -> &'static str {
    match goal {
        Goal::Throughput => "throughput",
        Goal::P99 => "p99 latency",
        Goal::Memory => "memory",
        Goal::CpuPerTask => "CPU time per task",
    }
}

/// What was measured, how long, on what.
pub(super) fn circumstances(judged: &Judged) -> String {
    let record = &judged.record;
    let objective = &record.workload.objective;
    let rounds = record.rounds.len();
    let tasks = record.workload.all_tasks().filter(|_| objective.goal == Goal::Throughput);
    let of_all = tasks.map_or(String::new(), |tasks| format!(" of {tasks} tasks in all, with the start-up"));
    format!(
        "goal: {}{of_all}{}, tolerance {}; {rounds} {} in {}, seed {}",
        goal(objective.goal),
        held_to(&record.workload),
        percent(judged.verdict.tolerance),
        if rounds == 1 { "round" } else { "rounds" },
        duration(record.elapsed_ns as f64),
        record.settings.seed
    )
}

/// What a workload is held to beside its goal: `, at most 50/s in bursts of 10, p99 up to 20 ms`.
fn held_to(workload: &Workload) -> String {
    let limits = &workload.objective.limits;
    let burst = |stated: Rate| if stated.burst > 1 { format!(" in bursts of {}", stated.burst) } else { String::new() };
    let said = [
        workload.rate.map(|stated| format!("at most {}{}", rate(stated.per_s()), burst(stated))),
        limits.p99_ns.map(|ns| format!("p99 up to {}", duration(ns as f64))),
        limits.memory_bytes.map(|most| format!("memory up to {}", bytes(most))),
    ];
    said.into_iter().flatten().map(|one| format!(", {one}")).collect()
}

/// The host, in a line.
pub(super) fn host(record: &Record) -> String {
    let facts = &record.host;
    let cpus = facts.usable_cpus();
    let cores =
        record.calibration.usable_cores.map_or(String::new(), |cores| format!(" ({} cores measured)", count(cores)));
    format!(
        "{cpus} usable {}{cores}, {}, {} of memory, {}, kernel {}",
        if cpus == 1 { "CPU" } else { "CPUs" },
        plain(&facts.cpu),
        bytes(facts.memory_total_bytes),
        plain(&facts.os),
        plain(&facts.kernel)
    )
}

/// A runtime with its version, and what of it matters: `python3.13t: CPython 3.13.1, without a GIL, /opt/py/bin/python3`.
pub(super) fn runtime(record: &Record, name: &str) -> String {
    let Some(hello) = record.calibration.runtime(name).map(|runtime| &runtime.hello) else {
        return plain(name);
    };
    let implementation = hello.implementation.as_deref().map(|own| format!("{own} ")).unwrap_or_default();
    let lock = match (hello.gil, hello.free_threaded) {
        (Some(true), Some(true)) => ", free-threaded, but with its GIL on",
        (Some(true), _) => ", with a GIL",
        (Some(false), _) => ", without a GIL",
        (None, _) => "",
    };
    let program = hello.executable.as_deref().map(|path| format!(", {path}")).unwrap_or_default();
    plain(&format!("{name}: {implementation}{}{lock}{program}", hello.version))
}

/// How the runtimes stand to each other, a line each, the fastest first; empty where there is but one.
pub(super) fn runtimes(judged: &Judged) -> Vec<String> {
    let mut standings: Vec<&RuntimeStanding> = judged.verdict.runtimes.iter().collect();
    let height = |standing: &RuntimeStanding| standing.relative.map_or(-1.0, |relative| relative.value);
    standings.sort_by(|one, other| height(other).total_cmp(&height(one)));
    let (compared, others): (Vec<_>, Vec<_>) = standings.into_iter().partition(|it| it.relative.is_some());
    let mut lines: Vec<String> =
        compared.into_iter().filter_map(|it| Some(standing_of(judged, it, it.relative?))).collect();
    let mut notes: Vec<&str> = others.iter().filter_map(|it| it.note.as_deref()).collect();
    notes.sort_unstable();
    notes.dedup();
    for note in notes {
        let of_it = others.iter().filter(|it| it.note.as_deref() == Some(note));
        let names: Vec<String> = of_it.map(|it| format!("`{}`", it.runtime)).collect();
        lines.push(plain(&format!("{}: {note}", listed(&names, "and"))));
    }
    lines
}

fn standing_of(judged: &Judged, standing: &RuntimeStanding, relative: Estimate) -> String {
    let candidate = standing.candidate.and_then(|index| judged.record.candidates.get(index as usize));
    let name = candidate.map_or_else(|| standing.runtime.clone(), |one| one.candidate.to_string());
    let said = if relative.value == 1.0 && relative.low == relative.high {
        "the fastest".to_owned()
    } else {
        format!(
            "{} of its throughput ({} to {})",
            percent(relative.value),
            percent(relative.low),
            percent(relative.high)
        )
    };
    plain(&format!("`{name}`: {said}"))
}

/// What else the reader should know. How a race ended stands among the conditions of its answer, if it has one.
pub(super) fn reservations(judged: &Judged) -> Vec<String> {
    let is_told = judged.verdict.groups.iter().any(|group| group.answer.is_some());
    let is_unfinished = judged.record.ending == Ending::Running;
    let is_told = is_told || judged.verdict.groups.iter().any(|group| common_failure(group).is_some());
    let ending = ending(&judged.record).filter(|_| is_unfinished || !is_told);
    let warnings = judged.record.warnings.iter().filter(|it| !is_condition(judged, it));
    ending.map(str::to_owned).into_iter().chain(warnings.map(warning)).collect()
}

/// Whether an answer stands under a condition that says what this warning does.
pub fn is_condition(judged: &Judged, warning: &Warning) -> bool {
    let answers = judged.verdict.groups.iter().filter_map(|group| group.answer.as_ref());
    answers.flat_map(|answer| &answer.conditions).any(|condition| {
        matches!(
            (warning, condition),
            (Warning::FewLong { .. }, Condition::FewLong(_))
                | (Warning::Found { note: Note::SecondPassFaster { .. }, .. }, Condition::Cached { .. })
        )
    })
}

/// How a session ended; `None` where everything was decided.
pub(super) fn ending(record: &Record) -> Option<&'static str> {
    match record.ending {
        Ending::Decided => None,
        Ending::Running => Some("unfinished: the session was cut off while it ran"),
        Ending::BudgetSpent => Some("the budget was spent before everything was decided"),
        Ending::CallsSpent => Some(
            "the tasks that `max_calls` allows were spent before everything was decided: raise it in the workload file",
        ),
        Ending::Interrupted => Some("interrupted: only what was measured until then is shown"),
        Ending::NoCandidate => Some("nothing was left to race"),
    }
}

/// Candidates that failed or broke a limit, and why: those of one reason in one line, named `a` and `b`.
pub(super) fn faults(judged: &Judged) -> Vec<Excluded> {
    let mut found: Vec<(Vec<String>, Excluded)> = Vec::new();
    let told: Vec<String> = judged.verdict.groups.iter().filter_map(common_failure).map(plain).collect();
    for row in judged.verdict.groups.iter().flat_map(|group| &group.rows) {
        let (what, reason) = match &row.status {
            Status::Failed { reason } => ("failed", plain(reason)),
            Status::Infeasible { reason } => ("over limit", plain(reason)),
            _ => continue,
        };
        let name = format!("`{}`", row.candidate);
        match found.iter_mut().find(|(_, fault)| fault.what == what && fault.reason == reason) {
            Some((names, _)) => names.push(name),
            None => {
                let failure = judged.record.candidates.get(row.index as usize).and_then(|one| one.failure.as_ref());
                let lines = failure.map_or(&[][..], |failure| &failure.traceback);
                let traceback = lines.iter().map(|line| indented(line)).collect();
                let is_told = told.contains(&reason);
                found.push((vec![name], Excluded { candidates: String::new(), what, reason, traceback, is_told }));
            }
        }
    }
    found.into_iter().map(|(names, fault)| Excluded { candidates: listed(&names, "and"), ..fault }).collect()
}

/// Candidates that are out for one reason.
pub(super) struct Excluded {
    /// Their names, as in a sentence.
    pub(super) candidates: String,
    /// `failed` or `over limit`.
    pub(super) what: &'static str,
    /// Why.
    pub(super) reason: String,
    /// Where in the user's own code, a line each.
    pub(super) traceback: Vec<String>,
    /// It is the reason why a runtime has no answer, and stands there.
    pub(super) is_told: bool,
}

/// A line of foreign text, made harmless, with the indentation that it has.
fn indented(line: &str) -> String {
    let depth = line.len() - line.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(depth.min(16)), plain(line))
}

/// What a dash means.
pub(super) const DASH: &str = "`-`: not measured, or too few tasks: a p99 needs 1,000";

/// A ratio to the best, as a difference.
pub(super) fn against_best(row: &Row) -> String {
    match (&row.status, row.relative) {
        (Status::Best, _) => "best".to_owned(),
        (_, Some(relative)) => difference(relative.value),
        _ => "-".to_owned(),
    }
}

/// `Rust`, `CPython 3.11.7, with a GIL`.
pub(super) fn runtime_name(judged: &Judged, group: &Group) -> String {
    let hello = judged.record.calibration.runtime(&group.runtime).map(|known| &known.hello);
    let runtime = match hello {
        _ if group.runtime == RUST => "Rust".to_owned(),
        Some(hello) => {
            let lock = match hello.gil {
                Some(true) => ", with a GIL",
                Some(false) => ", without a GIL",
                None => "",
            };
            format!("{} {}{lock}", hello.implementation.as_deref().unwrap_or("Python"), hello.version)
        }
        None => group.runtime.clone(),
    };
    plain(&runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n\n  c\td "), "a\\u{1b}[2Jb; c\\td");
        assert_eq!(plain("moc.\u{202e}live \u{2028}\u{ffff}"), "moc.\\u{202e}live \\u{2028}\\u{ffff}");
    }

    #[test]
    fn what_a_workload_is_held_to_is_said() {
        let mut judged = crate::report::sample::judged();
        assert!(circumstances(&judged).starts_with("goal: throughput, tolerance 5 %;"));
        let workload = &mut judged.record.workload;
        workload.rate = Some(Rate { tasks: 50, period_ns: 1_000_000_000, burst: 10 });
        workload.objective.limits.p99_ns = Some(20_000_000);
        let said = circumstances(&judged);
        assert!(
            said.starts_with("goal: throughput, at most 50.0/s in bursts of 10, p99 up to 20.0 ms, tolerance 5 %;"),
            "{said}"
        );
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(listed::<&str>(&[], "or"), "");
        assert_eq!(listed(&["threads"], "or"), "threads");
        assert_eq!(listed(&["threads", "async"], "or"), "threads or async");
        assert_eq!(listed(&["a", "b", "c"], "and"), "a, b and c");
    }
}
