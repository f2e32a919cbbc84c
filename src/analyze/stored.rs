//! Verdicts that were read from a file: whether they are of the record beside them.

use super::{Answer, Condition, Group, Reason, Verdict};
use crate::record::Record;

/// Whether all that a verdict points at is in the record: a file may hold anything.
pub(super) fn is_of(verdict: &Verdict, record: &Record) -> bool {
    let known = |index: u32| (index as usize) < record.candidates.len();
    let mut standings = verdict.runtimes.iter().filter_map(|standing| standing.candidate);
    standings.all(known) && verdict.groups.iter().flat_map(of_group).all(known)
}

/// The indices into the candidates that a group holds.
fn of_group(group: &Group) -> Vec<u32> {
    let rows = group.rows.iter().map(|row| row.index);
    let points = group.curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.candidate));
    rows.chain(points).chain(group.answer.iter().flat_map(of_answer)).collect()
}

fn of_answer(answer: &Answer) -> Vec<u32> {
    let good = answer.as_good.iter().map(|good| good.candidate);
    let others = answer.next_model.iter().map(|other| other.candidate);
    let reasons = answer.reasons.iter().filter_map(|reason| match reason {
        Reason::LibraryThreads { other, .. } => Some(*other),
        _ => None,
    });
    let conditions = answer.conditions.iter().filter_map(|condition| match condition {
        Condition::MayBeSimpler { candidate } => Some(*candidate),
        Condition::PaysFrom { simplest, .. } => Some(*simplest),
        _ => None,
    });
    [answer.candidate].into_iter().chain(good).chain(others).chain(reasons).chain(conditions).collect()
}
