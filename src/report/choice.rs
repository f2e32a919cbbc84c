//! A row of "Choosing the Right Tool", as data.

use super::Judged;
use super::sureness::{confidence, sureness};
use super::units::{NONE, factor, rate};
use super::words::{listed, names, plain, plus_minus, row};
use crate::analyze::{Group, Row, Validity};
use crate::candidate::{Model, Sizes};

/// One row: what one runtime should use for one workload.
pub(super) struct Choice {
    /// The use case, else the workload's name; where there are several runtimes, the runtime on a line below,
    /// and alone in the rows that follow.
    pub(super) use_case: String,
    /// `threads or async`, `no clear winner`, ..
    pub(super) best: String,
    /// The engine to take.
    pub(super) engine: String,
    /// `2 workers, 64 in flight`.
    pub(super) sizes: String,
    /// `3 120/s ±1.2 %`.
    pub(super) throughput: String,
    /// `48.0x sequential`; empty where it is the best itself, or was not measured.
    pub(super) over_sequential: String,
    /// `2.10x the next`; empty where nothing is worse.
    pub(super) over_next: String,
    /// `sure`, `noisy`, `open`, `invalid`.
    pub(super) sure: &'static str,
    /// The probability behind it: `at least 95 %`, `87 %`.
    pub(super) confidence: Option<String>,
    /// What is equivalent.
    pub(super) ties: String,
    /// Why.
    pub(super) why: String,
}

/// The rows of a record: one a runtime.
pub(super) fn choices(judged: &Judged) -> Vec<Choice> {
    let workload = &judged.record.workload;
    let title = if workload.use_case.is_empty() { &workload.name } else { &workload.use_case };
    let several = judged.verdict.groups.len() > 1;
    let mut rows: Vec<Choice> = judged.verdict.groups.iter().map(|group| choice(judged, group)).collect();
    if several {
        for (row, group) in rows.iter_mut().zip(&judged.verdict.groups) {
            row.use_case = plain(&group.runtime);
        }
    }
    if rows.is_empty() {
        rows.push(Choice::unanswered("nothing measured", "invalid", String::new()));
    }
    if let Some(first) = rows.first_mut() {
        first.use_case = if several { format!("{}\n{}", plain(title), first.use_case) } else { plain(title) };
    }
    rows
}

fn choice(judged: &Judged, group: &Group) -> Choice {
    let sure = sureness(judged, group);
    let why = plain(&group.why);
    if judged.verdict.validity == Validity::Invalid {
        return Choice::unanswered("no valid answer", sure, why);
    }
    let Some(best) = group.answer.best.and_then(|index| row(group, index)) else {
        let mut choice = Choice::unanswered("no clear winner", sure, why);
        choice.ties = listed(&names(group, &group.answer.unresolved), "and");
        choice.confidence = group.answer.confidence.map(confidence);
        return choice;
    };
    let engine = best.candidate.engine;
    let sequential = group.rows.iter().find(|row| row.candidate.model() == Model::Sequential);
    let over_sequential = sequential.and_then(gain).map(factor);
    // Where the sequential loop is all that is worse, once is enough.
    let over_next =
        group.answer.lead.map(|lead| factor(lead.value)).filter(|lead| over_sequential.as_ref() != Some(lead));
    Choice {
        use_case: String::new(),
        best: listed(&group.answer.models, "or"),
        engine: engine.to_string(),
        sizes: sizes(best.candidate.sizes),
        throughput: best
            .throughput_per_s
            .map_or(NONE.to_owned(), |found| format!("{} {}", rate(found.value), plus_minus(found))),
        over_sequential: over_sequential.map_or(String::new(), |gain| format!("{gain} sequential")),
        over_next: over_next.map_or(String::new(), |lead| format!("{lead} the next")),
        sure,
        confidence: group.answer.confidence.map(confidence),
        ties: listed(&names(group, &group.answer.ties), "and"),
        why,
    }
}

/// The best over this row, from their paired ratio; nothing where the row is the best, or equal to it.
fn gain(row: &Row) -> Option<f64> {
    row.relative.filter(|relative| relative.value > 0.0 && relative.value != 1.0).map(|relative| 1.0 / relative.value)
}

/// Sizes in words; an engine without sizes is one worker.
fn sizes(sizes: Sizes) -> String {
    let parts = [
        ("worker", "workers", sizes.workers),
        ("in flight", "in flight", sizes.in_flight),
        ("chunk", "chunk", sizes.chunk),
    ];
    let said: Vec<String> = parts
        .into_iter()
        .filter_map(|(one, many, size)| size.map(|size| format!("{size} {}", if size == 1 { one } else { many })))
        .collect();
    if said.is_empty() { "1 worker".to_owned() } else { said.join(", ") }
}

impl Choice {
    fn unanswered(best: &str, sure: &'static str, why: String) -> Choice {
        Choice {
            use_case: String::new(),
            best: best.to_owned(),
            engine: NONE.to_owned(),
            sizes: String::new(),
            throughput: NONE.to_owned(),
            over_sequential: String::new(),
            over_next: String::new(),
            sure,
            confidence: None,
            ties: String::new(),
            why,
        }
    }
}
