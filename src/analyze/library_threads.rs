//! What the threads of a task's libraries do to an answer.

use super::{Answer, Condition, Reason, Row, Status};
use crate::candidate::Candidate;
use crate::protocol::LibraryThreads;
use crate::record::{RaceRecord, Record};

/// What the reference of this runtime found, where libraries compute with several threads in a task.
fn found<'a>(record: &'a Record, runtime: &str) -> Option<&'a LibraryThreads> {
    record.calibration.runtime(runtime)?.library_threads.as_ref().filter(|found| found.compute())
}

/// The variables by which the number is set under this runtime.
pub(super) fn variables(record: &Record, runtime: &str) -> Vec<String> {
    found(record, runtime).map(|found| found.variables.clone()).unwrap_or_default()
}

/// What the answer is beside the same with the number that it has not.
pub(super) fn reason(record: &Record, rows: &[Row], answer: &Answer) -> Option<Reason> {
    let named = &record.candidates.get(answer.candidate as usize)?.candidate;
    let found = found(record, &named.runtime)?;
    let is_sound = |row: &&Row| !matches!(row.status, Status::Failed { .. } | Status::Infeasible { .. });
    let is_other = |row: &&Row| row.candidate.library_threads.is_some() != named.library_threads.is_some();
    let others = || rows.iter().filter(is_sound).filter(is_other).filter_map(|row| Some((row, row.relative?.value)));
    let limit = |candidate: &Candidate| Candidate { library_threads: None, ..candidate.clone() };
    let same = others().find(|(row, _)| limit(&row.candidate) == limit(named));
    // Whoever leaves it to the libraries wants to know what the best would be that does not.
    let best = || others().max_by(|one, other| one.1.total_cmp(&other.1));
    let is_limited = named.library_threads.is_some();
    let (other, ratio) = if is_limited { same.or_else(best) } else { best() }?;
    Some(Reason::LibraryThreads {
        threads: found.threads,
        variables: found.variables.clone(),
        limited: is_limited,
        other: other.index,
        same_sizes: limit(&other.candidate) == limit(named),
        ratio,
    })
}

/// What is to be known of these threads beside the answer.
pub(super) fn conditions(record: &Record, answer: &Answer, race: &RaceRecord) -> Vec<Condition> {
    let Some(found) = found(record, &race.runtime) else { return Vec::new() };
    let is_searched = race.entries.iter().any(|entry| entry.library_threads.is_some());
    let (variables, set) = (found.variables.clone(), found.set.clone());
    let searched = (!is_searched).then_some(Condition::LibraryThreads { count: found.threads });
    let by_user = (!set.is_empty()).then_some(Condition::LibraryThreadsSet { variables: set });
    let limit = answer.library_threads.map(|threads| Condition::SetBeforeImport { variables, threads });
    searched.into_iter().chain(by_user).chain(limit).collect()
}
