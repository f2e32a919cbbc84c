//! The conclusion for the candidates of one runtime.

use super::compare::{against, height, is_of};
use super::figures::{Figures, estimate, timed};
use super::limit::{limit, task};
use super::validity::Judged;
use super::words::time;
use super::{Answer, Estimate, Group, Row, Status, Validity, pareto, scaling, why};
use crate::candidate::{Candidate, Engine, Model, Sizes};
use crate::race::Standing;
use crate::record::{Phase, Record, Warning};
use crate::stats::Interval;

/// A rival of the leader.
struct Rival {
    index: usize,
    standing: Standing,
    /// The 95 % interval of `ln(rival / leader)`.
    difference: Option<Interval>,
}

/// What the contest of one runtime came to.
pub(super) struct Contest {
    /// The candidate that leads.
    pub(super) leader: usize,
    /// What is recommended.
    pub(super) best: Option<usize>,
    /// Equivalent to the leader, itself among them, simplest first.
    pub(super) equals: Vec<usize>,
    pub(super) unresolved: Vec<usize>,
    /// Of those, whose engines' search for sizes was cut: what they were measured at may not be their best.
    pub(super) cut: Vec<usize>,
    /// The strongest that is worse.
    runner_up: Option<usize>,
}

/// The group of one runtime: its candidates' figures, compared.
pub(super) fn group(record: &Record, runtime: &str, mut figures: Vec<Figures>, judged: &Judged) -> Group {
    for one in &mut figures {
        one.row.status = status_alone(record, &one.row);
    }
    let sound: Vec<Figures> = figures.iter().filter(|one| !is_failed(&one.row)).cloned().collect();
    let task = task(record, &sound);
    let limit = limit(record, &task);
    let contest = contest(record, &figures, judged);
    let mut rows: Vec<Row> = figures.into_iter().map(|one| one.row).collect();
    for row in &mut rows {
        let reached = row.throughput_per_s.zip(limit.as_ref());
        let share = reached.map(|(throughput, limit)| throughput.value / limit.throughput_per_s);
        row.limit_share = share.filter(|share| share.is_finite());
        if let Some(contest) = &contest {
            place(record, row, contest, judged.margin);
        }
    }
    pareto::mark(&mut rows);
    let curves = scaling::curves(record, &rows, judged.margin);
    rows.sort_by(|a, b| order(a).0.cmp(&order(b).0).then(order(b).1.total_cmp(&order(a).1)));
    let answer = contest.as_ref().map_or_else(no_answer, |contest| answer(record, contest, judged));
    let why = why::why(
        record,
        &why::Evidence { rows: &rows, contest: contest.as_ref(), limit: limit.as_ref(), task, judged },
    );
    Group { runtime: runtime.to_owned(), answer, why, limit, rows, curves }
}

fn no_answer() -> Answer {
    Answer {
        best: None,
        ties: Vec::new(),
        unresolved: Vec::new(),
        models: Vec::new(),
        lead: None,
        at_cap: false,
        confidence: None,
    }
}

fn is_failed(row: &Row) -> bool {
    matches!(row.status, Status::Failed { .. })
}

/// What a candidate is whatever the others are.
fn status_alone(record: &Record, row: &Row) -> Status {
    if let Some(failure) = &record.candidates[row.index as usize].failure {
        return Status::Failed { reason: failure.to_string() };
    }
    let limits = record.workload.objective.limits;
    if let (Some(p99), Some(most)) = (row.service.p99_ns, limits.p99_ns)
        && p99 > most
    {
        let reason = format!("p99 is {}, the limit is {}", time(p99 as f64), time(most as f64));
        return Status::Infeasible { reason };
    }
    if let (Some(memory), Some(most)) = (row.memory_bytes, limits.memory_bytes)
        && memory > most
    {
        let (memory, most) = (bytesize::ByteSize(memory), bytesize::ByteSize(most));
        return Status::Infeasible { reason: format!("memory is {memory}, the limit is {most}") };
    }
    Status::Superseded
}

/// Compares those that met in the final. `None` when nobody can be compared.
fn contest(record: &Record, figures: &[Figures], judged: &Judged) -> Option<Contest> {
    let eligible = eligible(record, figures);
    let heights = eligible.iter().filter_map(|one| Some((*one, height(record, *one)?)));
    let (leader, _) = heights.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let count = eligible.len() - 1;
    let rivals: Vec<Rival> = eligible
        .into_iter()
        .filter(|one| *one != leader)
        .map(|index| {
            let (standing, difference) = against(record, index, leader, judged.margin, count);
            // It may be far better at a size that was not measured: no verdict on the engine.
            let standing = if is_cut(record, index) { Standing::Unresolved } else { standing };
            Rival { index, standing, difference }
        })
        .collect();
    let of = |standing: Standing| rivals.iter().filter(move |rival| rival.standing == standing);
    let mut equals: Vec<usize> = of(Standing::Tied).map(|rival| rival.index).chain([leader]).collect();
    let mut unresolved: Vec<usize> = of(Standing::Unresolved).map(|rival| rival.index).collect();
    equals.sort_by_key(|one| simplicity(record, *one));
    unresolved.sort_by_key(|one| simplicity(record, *one));
    let is_open = rivals.iter().any(|rival| keeps_open(record, rival, &equals, judged.margin));
    let cut = unresolved.iter().copied().filter(|one| is_cut(record, *one)).collect();
    let best = if judged.validity == Validity::Invalid || is_open { None } else { equals.first().copied() };
    let runner_up = of(Standing::Worse).filter_map(|rival| Some((rival.index, rival.difference?.value)));
    let runner_up = runner_up.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index);
    Some(Contest { leader, best, equals, unresolved, cut, runner_up })
}

/// Who met in the final and neither failed nor broke a limit. If there was no final, a candidate that was
/// measured alone.
fn eligible(record: &Record, figures: &[Figures]) -> Vec<usize> {
    let sound = || figures.iter().filter(|one| one.row.status == Status::Superseded && one.row.blocks > 0);
    let was_in_final = |index: usize| timed(&record.candidates[index]).any(|block| is_of(record, block, Phase::Final));
    let finalists: Vec<usize> =
        sound().map(|one| one.row.index as usize).filter(|index| was_in_final(*index)).collect();
    match (finalists.is_empty(), sound().count(), sound().next()) {
        (true, 1, Some(alone)) => vec![alone.row.index as usize],
        _ => finalists,
    }
}

/// Whether an undecided rival leaves open which model is best: it is of a model that is not among the
/// equals, and may be better than the leader by more than the margin, or at a size that was not measured.
fn keeps_open(record: &Record, rival: &Rival, equals: &[usize], margin: f64) -> bool {
    let model = |one: usize| record.candidates[one].candidate.model();
    rival.standing == Standing::Unresolved
        && !equals.iter().any(|one| model(*one) == model(rival.index))
        && (is_cut(record, rival.index) || rival.difference.is_none_or(|difference| difference.high > margin))
}

/// Whether the budget ended the search for the best size of this candidate's engine.
fn is_cut(record: &Record, index: usize) -> bool {
    let candidate = Candidate { sizes: Sizes::default(), ..record.candidates[index].candidate.clone() };
    let name = candidate.short();
    record.warnings.iter().any(|warning| match warning {
        Warning::SearchCut { runtime, engines } => *runtime == candidate.runtime && engines.contains(&name),
        _ => false,
    })
}

/// The order in which equivalent candidates are named.
fn simplicity(record: &Record, one: usize) -> (Model, u32, Engine, Option<u32>) {
    let candidate = &record.candidates[one].candidate;
    (candidate.model(), candidate.sizes.concurrency(), candidate.engine, candidate.sizes.workers)
}

/// Gives a row its status, and its ratio to the best (or the leader).
fn place(record: &Record, row: &mut Row, contest: &Contest, margin: f64) {
    let index = row.index as usize;
    let reference = contest.best.unwrap_or(contest.leader);
    let is_equal = contest.equals.contains(&index);
    if contest.best == Some(index) {
        row.status = Status::Best;
    } else if row.status == Status::Superseded {
        let is_unresolved = contest.unresolved.contains(&index) || (contest.best.is_none() && is_equal);
        let met = timed(&record.candidates[index]).any(|block| is_of(record, block, Phase::Final));
        if is_unresolved {
            row.status = Status::Unresolved;
        } else if is_equal {
            row.status = Status::Tied;
        } else if met {
            row.status = Status::Worse;
        }
    }
    row.relative = if index == reference {
        Some(Estimate { value: 1.0, low: 1.0, high: 1.0 })
    } else {
        let (_, difference) = against(record, index, reference, margin, 1);
        difference.and_then(|difference| estimate(difference.exp()))
    };
}

/// Best first, then by what they reached, then those that are out.
fn order(row: &Row) -> (u8, f64) {
    let class = match row.status {
        Status::Best => 0,
        Status::Tied | Status::Unresolved | Status::Worse => 1,
        Status::Superseded => 2,
        Status::Infeasible { .. } => 3,
        Status::Failed { .. } => 4,
    };
    let reached = || row.throughput_per_s.map_or(f64::NEG_INFINITY, |throughput| throughput.value);
    let relative = row.relative.filter(|_| class == 1).map(|relative| relative.value);
    (class, relative.unwrap_or_else(reached))
}

fn answer(record: &Record, contest: &Contest, judged: &Judged) -> Answer {
    let indices = |of: &[usize]| of.iter().map(|one| *one as u32).collect::<Vec<u32>>();
    let Some(best) = contest.best else {
        let mut open: Vec<usize> = contest.equals.iter().chain(&contest.unresolved).copied().collect();
        open.sort_by_key(|one| simplicity(record, *one));
        return Answer { unresolved: indices(&open), ..no_answer() };
    };
    let ties: Vec<usize> = contest.equals.iter().copied().filter(|one| *one != best).collect();
    let mut models: Vec<Model> = contest.equals.iter().map(|one| record.candidates[*one].candidate.model()).collect();
    models.sort_unstable();
    models.dedup();
    let lead = contest.runner_up.and_then(|runner_up| {
        let (_, difference) = against(record, runner_up, best, judged.margin, 1);
        let Interval { value, low, high } = difference?;
        estimate(Interval { value: -value, low: -high, high: -low }.exp())
    });
    Answer {
        best: Some(best as u32),
        ties: indices(&ties),
        unresolved: indices(&contest.unresolved),
        models,
        lead,
        at_cap: is_at_cap(record, best),
        confidence: None,
    }
}

/// Whether a candidate has the largest size of its ladder.
fn is_at_cap(record: &Record, index: usize) -> bool {
    let candidate = &record.candidates[index].candidate;
    let entry =
        record.plan.entries.iter().find(|entry| entry.engine == candidate.engine && entry.runtime == candidate.runtime);
    entry.is_some_and(|entry| {
        let (ladder, size) = if entry.in_flight.is_empty() {
            (&entry.workers, candidate.sizes.workers)
        } else {
            (&entry.in_flight, candidate.sizes.in_flight)
        };
        ladder.len() > 1 && size >= ladder.last().copied()
    })
}
