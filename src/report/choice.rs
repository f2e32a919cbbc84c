//! A row of "Choosing the Right Tool", as data.

use super::units::{NONE, factor, rate};
use super::words::{listed, names, plain, plus_minus, row};
use super::{Judged, reasons, sureness};
use crate::analyze::{Answer, Group, Row};
use crate::candidate::{Model, Sizes};

/// One row: what one runtime should use for one workload.
pub(super) struct Choice {
    /// The use case, else the workload's name; where there are several runtimes, the runtime on a line below,
    /// and alone in the rows that follow.
    pub(super) use_case: String,
    /// The model, or `no answer`.
    pub(super) best: String,
    /// The engine to take.
    pub(super) engine: String,
    /// `2 workers, 64 in flight`.
    pub(super) sizes: String,
    /// What has to be set for it: "OPENBLAS_NUM_THREADS=1" in code marks; empty where nothing is.
    pub(super) with: String,
    /// `3 120/s ±1.2 %`.
    pub(super) throughput: String,
    /// `48.0x sequential`; empty where it is the best itself, or was not measured.
    pub(super) over_sequential: String,
    /// `sure`, `likely`, `rough`.
    pub(super) sure: &'static str,
    /// What it may cost: `≤ 3 %`.
    pub(super) may_cost: String,
    /// What is as good.
    pub(super) as_good: String,
    /// Why.
    pub(super) why: String,
    /// What it depends on.
    pub(super) conditions: String,
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
        rows.push(Choice::unanswered("nothing was measured".to_owned()));
    }
    if let Some(first) = rows.first_mut() {
        first.use_case = if several { format!("{}\n{}", plain(title), first.use_case) } else { plain(title) };
    }
    rows
}

fn choice(judged: &Judged, group: &Group) -> Choice {
    let why = reasons::why(judged, group);
    let named = group.answer.as_ref().and_then(|answer| Some((answer, row(group, answer.candidate)?)));
    let Some((answer, best)) = named else { return Choice::unanswered(why) };
    let sequential = group.rows.iter().find(|row| row.candidate.model() == Model::Sequential);
    let over_sequential = sequential.and_then(gain).map(factor);
    let good: Vec<u32> = answer.as_good.iter().map(|good| good.candidate).collect();
    Choice {
        use_case: String::new(),
        best: answer.model.to_string(),
        engine: answer.engine.to_string(),
        sizes: sizes(best.candidate.sizes) + if best.is_own_chunk { " (its own)" } else { "" },
        with: limited(answer),
        throughput: best
            .throughput_per_s
            .map_or(NONE.to_owned(), |found| format!("{} {}", rate(found.value), plus_minus(found))),
        over_sequential: over_sequential.map_or(String::new(), |gain| format!("{gain} sequential")),
        sure: sureness::word(answer.sureness(judged.verdict.tolerance)),
        may_cost: sureness::at_most(answer.may_cost),
        as_good: listed(&names(group, &good), "and"),
        why,
        conditions: reasons::conditions(judged, answer).join("; "),
    }
}

/// The best over this row, from their paired ratio; nothing where the row is the best, or equal to it.
fn gain(row: &Row) -> Option<f64> {
    row.relative.filter(|relative| relative.value > 0.0 && relative.value != 1.0).map(|relative| 1.0 / relative.value)
}

/// Sizes in words; an engine without sizes is one worker.
pub(super) fn sizes(sizes: Sizes) -> String {
    let workers = sizes.workers.map(|size| format!("{size} {}", if size == 1 { "worker" } else { "workers" }));
    let in_flight = sizes.in_flight.map(|size| format!("{size} in flight"));
    let chunk = sizes.chunk.map(|size| format!("chunks of {size}"));
    let said: Vec<String> = [workers, in_flight, chunk].into_iter().flatten().collect();
    if said.is_empty() { "1 worker".to_owned() } else { said.join(", ") }
}

fn limited(answer: &Answer) -> String {
    let set = answer.library_threads.map(|threads| reasons::set_to(&answer.library_variables, threads));
    plain(&set.unwrap_or_default())
}

impl Choice {
    /// The sizes with what has to be set beside them: "2 workers, with OPENBLAS_NUM_THREADS=1".
    pub(super) fn sizes_with(&self) -> String {
        if self.with.is_empty() { self.sizes.clone() } else { format!("{}, with {}", self.sizes, self.with) }
    }

    fn unanswered(why: String) -> Choice {
        Choice {
            use_case: String::new(),
            best: "no answer".to_owned(),
            engine: NONE.to_owned(),
            sizes: String::new(),
            with: String::new(),
            throughput: NONE.to_owned(),
            over_sequential: String::new(),
            sure: NONE,
            may_cost: String::new(),
            as_good: String::new(),
            why,
            conditions: String::new(),
        }
    }
}
