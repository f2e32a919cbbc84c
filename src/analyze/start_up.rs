//! What start-up does to an answer: how many tasks it takes to pay for it.

use super::{Answer, Condition, Reason, Row, Status, TimeOfAll};
use crate::candidate::{Candidate, Model};
use crate::record::{RaceRecord, Record};
use crate::stats::median;
use crate::workload::Goal;

/// Fewer tasks than this nobody starts a pool for: where it pays from so few on, that is not said.
const FEWEST: f64 = 10.0;
/// What one start may be off by, as a ratio: a span of few starts is widened by it.
const SPREAD: f64 = 1.1;

/// What the cold lives of an engine took until they were ready for tasks: their median, and the span that they allow.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Start {
    ns: f64,
    low_ns: f64,
    high_ns: f64,
}

/// The start-up of a candidate: of its own cold lives, else of those of its engine, with the same workers where there are
/// some.
fn start(record: &Record, candidate: &Candidate) -> Option<Start> {
    let lives = |is_kin: &dyn Fn(&Candidate) -> bool| -> Vec<f64> {
        let kin = record.candidates.iter().filter(|place| is_kin(&place.candidate));
        let cold = kin.flat_map(|place| &place.lives).filter(|life| !life.warm && life.ready_ns > 0);
        cold.map(|life| life.ready_ns as f64).collect()
    };
    let is_engine = |one: &Candidate| one.kind() == candidate.kind();
    let has_workers = |one: &Candidate| is_engine(one) && one.sizes.workers == candidate.sizes.workers;
    let found = [lives(&|one| one == candidate), lives(&has_workers), lives(&is_engine)];
    let starts = found.into_iter().find(|starts| !starts.is_empty())?;
    Some(Start {
        ns: median(&starts)?,
        low_ns: starts.iter().copied().fold(f64::INFINITY, f64::min) / SPREAD,
        high_ns: starts.iter().copied().fold(0.0, f64::max) * SPREAD,
    })
}

/// From how many tasks on the answer pays for its start-up beside the simplest choice: where both take equally long,
/// `start + tasks / rate`.
pub(super) fn pays_from(record: &Record, rows: &[Row], answer: &Answer, race: &RaceRecord) -> Option<Condition> {
    // Where the number of tasks is known, it is in the answer.
    let is_open = race.rules.tasks.is_none() && record.workload.objective.goal == Goal::Throughput;
    let sound = |row: &&Row| !matches!(row.status, Status::Failed { .. } | Status::Infeasible { .. });
    let measured = rows.iter().filter(sound).filter(|row| row.relative.is_some());
    let simplest = measured.min_by_key(|row| row.candidate.simplicity())?;
    if !is_open || simplest.candidate.model() >= answer.model {
        return None;
    }
    let named = &record.candidates.get(answer.candidate as usize)?.candidate;
    let (ours, theirs) = (start(record, named)?, start(record, &simplest.candidate)?);
    let relative = simplest.relative?;
    let their_rate = simplest.throughput_per_s?.value;
    let each_ns = 1e9 / their_rate;
    // Pairs of the same rounds say that it is behind; where the means of all blocks do not, no gain is known.
    let leads = rows.iter().find(|row| row.index == answer.candidate)?.throughput_per_s?.value > their_rate;
    // What a task gains, by how far the simplest is behind.
    let tasks = |start_ns: f64, relative: f64| start_ns / (each_ns * (1.0 - relative));
    let value = tasks(ours.ns - theirs.ns, relative.value);
    let low = tasks(ours.low_ns - theirs.high_ns, relative.low).max(1.0);
    let high = tasks(ours.high_ns - theirs.low_ns, relative.high);
    if !(leads && value >= FEWEST && value.is_finite() && relative.value < 1.0 && low.is_finite()) {
        return None;
    }
    Some(Condition::PaysFrom {
        tasks: value.ceil() as u64,
        low: low.floor() as u64,
        high: (relative.high < 1.0 && high.is_finite()).then_some(high.ceil() as u64),
        simplest: simplest.index,
        start_method: named.start_method,
    })
}

/// What all tasks take with the answer and with the best of another model that differs in its start, where it is known
/// how many there are.
pub(super) fn of_all_tasks(record: &Record, rows: &[Row], answer: &Answer) -> Option<Reason> {
    let tasks = record.workload.all_tasks().filter(|_| record.workload.objective.goal == Goal::Throughput)?;
    let time = |candidate: u32| {
        let row = rows.iter().find(|row| row.index == candidate)?;
        let ready_ns = start(record, &row.candidate)?.ns;
        let tasks_ns = f64::from(tasks) * 1e9 / row.throughput_per_s?.value;
        tasks_ns.is_finite().then_some(TimeOfAll { ready_ns, tasks_ns })
    };
    let named = time(answer.candidate)?;
    // A loop is held against what would be faster if it were ready, and what does several at once against the loop.
    let is_loop = answer.model == Model::Sequential;
    let others = answer.next_model.iter().filter(|other| is_loop || other.model == Model::Sequential);
    let timed = others.filter_map(|other| Some((other.model, time(other.candidate)?)));
    let rival = timed.filter(|(_, it)| !is_loop || it.tasks_ns < named.tasks_ns);
    let rival = rival.min_by(|(_, one), (_, other)| one.tasks_ns.total_cmp(&other.tasks_ns));
    let (other, other_time) = rival.unzip();
    Some(Reason::AllTasks { tasks, named, other, other_time })
}
