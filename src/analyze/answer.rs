//! The conclusion for the candidates of one runtime.

use super::compare::{self, is_of};
use super::figures::{Figures, estimate, timed};
use super::limit::{limit, task};
use super::validity::Judged;
use super::words::{percent, percent_exactly, time};
use super::{Answer, Estimate, Group, Row, Status, Validity, pareto, scaling, why};
use crate::candidate::{Candidate, Model, Simplicity, Sizes};
use crate::race::{Judgement, MOST_CONFIDENCE, Rival, Standing};
use crate::record::{FailedTasks, Phase, Record, Warning};
use crate::stats::Interval;
use crate::workload::{ErrorLimit, Goal};

/// What the contest of one runtime came to.
pub(super) struct Contest {
    /// How it stands: by it a candidate may be named, or not.
    judged: Judgement,
    /// What is recommended.
    pub(super) best: Option<usize>,
    /// Equivalent to what the judgement names, itself among them, simplest first; one size an engine.
    pub(super) equals: Vec<usize>,
    /// Neither tied nor worse; one size an engine.
    pub(super) unresolved: Vec<usize>,
    /// Of those, whose engines' search for sizes was cut: what they were measured at may not be their best.
    pub(super) cut: Vec<usize>,
    /// The strongest that is worse.
    runner_up: Option<usize>,
    /// Sizes of which another one of the same engine stands for it.
    superseded: Vec<usize>,
}

impl Contest {
    /// The candidate that leads.
    pub(super) fn leader(&self) -> usize {
        self.judged.leader
    }

    /// The probability that nobody is better than what the judgement names by more than the margin.
    pub(super) fn confidence(&self) -> f64 {
        self.judged.confidence
    }

    fn rival(&self, one: usize) -> Option<&Rival> {
        self.judged.rivals.iter().find(|rival| rival.candidate == one)
    }
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
            place(row, contest);
        }
    }
    pareto::mark(&mut rows);
    let margin = contest.as_ref().map_or(judged.margins.usual, |contest| contest.judged.margin);
    let deviation = contest.as_ref().and_then(|contest| contest.judged.deviation);
    let curves = scaling::curves(record, &rows, margin.ln_1p());
    rows.sort_by(|a, b| order(a).0.cmp(&order(b).0).then(order(b).1.total_cmp(&order(a).1)));
    let answer = contest.as_ref().map_or_else(no_answer, |contest| answer(record, contest));
    let why = why::why(
        record,
        &why::Evidence {
            rows: &rows,
            contest: contest.as_ref(),
            limit: limit.as_ref(),
            task,
            judged,
            margin: margin.ln_1p(),
        },
    );
    Group { runtime: runtime.to_owned(), answer, why, limit, margin, deviation, rows, curves }
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
    let failed = record.candidates[row.index as usize].failed_tasks();
    if limits.errors.is_broken(failed.errors, failed.tasks) {
        return Status::Infeasible { reason: too_many_failed(failed, limits.errors) };
    }
    Status::Superseded
}

fn too_many_failed(failed: FailedTasks<'_>, limit: ErrorLimit) -> String {
    let FailedTasks { errors, tasks, first } = failed;
    let share = percent(errors as f64 / tasks.max(1) as f64);
    let limit = match limit {
        ErrorLimit::Tasks(most) => most.to_string(),
        ErrorLimit::Share(most) => percent_exactly(most),
    };
    let first = first.map_or_else(String::new, |first| format!(": {first}"));
    format!("{errors} of {tasks} tasks failed ({share}), the limit is {limit}{first}")
}

/// Compares those that met in the final. `None` when nobody can be compared.
fn contest(record: &Record, figures: &[Figures], judged: &Judged) -> Option<Contest> {
    let eligible = eligible(record, figures);
    let simplicity = |one: usize| simplicity(record, one);
    let judgement = match compare::contest(record, &eligible).judge(&judged.margins, simplicity) {
        Some(judgement) => judgement,
        // One that was measured alone has nobody to be compared with.
        None => Judgement {
            leader: *eligible.first()?,
            best: *eligible.first()?,
            confidence: 0.0,
            rivals: Vec::new(),
            margin: judged.margins.usual,
            deviation: None,
        },
    };
    let standing = |rival: &Rival| {
        // It may be far better at a size that was not measured: no verdict on the engine.
        if is_cut(record, rival.candidate) && rival.standing != Standing::Tied {
            Standing::Unresolved
        } else {
            rival.standing
        }
    };
    let superseded = superseded(record, &judgement);
    let of = |wanted: Standing| {
        let mut found: Vec<&Rival> = judgement.rivals.iter().filter(|rival| standing(rival) == wanted).collect();
        found.retain(|rival| !superseded.contains(&rival.candidate));
        found.sort_by_key(|rival| simplicity(rival.candidate));
        found
    };
    let mut equals: Vec<usize> = of(Standing::Tied).iter().map(|rival| rival.candidate).collect();
    equals.push(judgement.best);
    equals.sort_by_key(|one| simplicity(*one));
    let unresolved: Vec<usize> = of(Standing::Unresolved).iter().map(|rival| rival.candidate).collect();
    let cut: Vec<usize> = unresolved.iter().copied().filter(|one| is_cut(record, *one)).collect();
    let worse = of(Standing::Worse).into_iter().filter_map(|rival| Some((rival.candidate, rival.difference?.value)));
    let runner_up = worse.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(one, _)| one);
    let is_named = judged.validity != Validity::Invalid && !is_open(record, &judgement, &equals, &cut);
    let best = is_named.then_some(judgement.best);
    Some(Contest { judged: judgement, best, equals, unresolved, cut, runner_up, superseded })
}

/// Whether it is open which model is best: rivals of models that are not among the equals may be better beyond the
/// margin, or at a size that was not measured. Which engine or size of one model it is may be open, and is said.
fn is_open(record: &Record, judgement: &Judgement, equals: &[usize], cut: &[usize]) -> bool {
    let model = |one: usize| record.candidates[one].candidate.model();
    let is_other = |one: usize| !equals.iter().any(|equal| model(*equal) == model(one));
    let others = judgement.rivals.iter().filter(|rival| is_other(rival.candidate));
    let may_be_better: f64 = others.map(|rival| rival.probability).sum();
    may_be_better > 1.0 - MOST_CONFIDENCE + 1e-9 || cut.iter().any(|one| is_other(*one))
}

/// The sizes for which another size of their engine stands: what is recommended, or else the one that stands best, and
/// of those the simplest.
fn superseded(record: &Record, judgement: &Judgement) -> Vec<usize> {
    let rank = |rival: &Rival| match rival.standing {
        Standing::Tied => 0,
        Standing::Unresolved => 1,
        Standing::Worse => 2,
    };
    let engine = |one: usize| {
        let candidate = &record.candidates[one].candidate;
        (candidate.engine, candidate.start_method)
    };
    let mut kept = vec![engine(judgement.best)];
    let value = |rival: &Rival| rival.difference.map_or(f64::NEG_INFINITY, |difference| difference.value);
    let mut rivals: Vec<&Rival> = judgement.rivals.iter().collect();
    rivals.sort_by(|a, b| {
        let by_value = value(b).total_cmp(&value(a));
        let simpler = simplicity(record, a.candidate).cmp(&simplicity(record, b.candidate));
        rank(a).cmp(&rank(b)).then(if rank(a) == 0 { simpler } else { by_value })
    });
    let mut superseded = Vec::new();
    for rival in rivals {
        if kept.contains(&engine(rival.candidate)) {
            superseded.push(rival.candidate);
        } else {
            kept.push(engine(rival.candidate));
        }
    }
    superseded
}

/// Who met in the final and neither failed nor broke a limit. If there was no final, a candidate that was
/// measured alone.
fn eligible(record: &Record, figures: &[Figures]) -> Vec<usize> {
    // A 99th percentile of fewer samples is not compared.
    let has_samples = |row: &Row| record.workload.objective.goal != Goal::P99 || row.service.p99_ns.is_some();
    let is_sound = |row: &Row| row.status == Status::Superseded && row.blocks > 0 && has_samples(row);
    let sound = || figures.iter().filter(|one| is_sound(&one.row));
    let was_in_final = |index: usize| timed(&record.candidates[index]).any(|block| is_of(record, block, Phase::Final));
    let finalists: Vec<usize> =
        sound().map(|one| one.row.index as usize).filter(|index| was_in_final(*index)).collect();
    match (finalists.is_empty(), sound().count(), sound().next()) {
        (true, 1, Some(alone)) => vec![alone.row.index as usize],
        _ => finalists,
    }
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
fn simplicity(record: &Record, one: usize) -> Simplicity {
    record.candidates[one].candidate.simplicity()
}

/// Gives a row its status, and its ratio to what the judgement names.
fn place(row: &mut Row, contest: &Contest) {
    let index = row.index as usize;
    let reference = contest.judged.best;
    let is_equal = contest.equals.contains(&index);
    if contest.best == Some(index) {
        row.status = Status::Best;
    } else if row.status == Status::Superseded && !contest.superseded.contains(&index) {
        let is_unresolved = contest.unresolved.contains(&index) || (contest.best.is_none() && is_equal);
        if is_unresolved {
            row.status = Status::Unresolved;
        } else if is_equal {
            row.status = Status::Tied;
        } else if contest.rival(index).is_some() {
            row.status = Status::Worse;
        }
    }
    row.relative = if index == reference {
        Some(Estimate { value: 1.0, low: 1.0, high: 1.0 })
    } else {
        let difference = contest.rival(index).and_then(|rival| rival.difference);
        difference.and_then(|difference| estimate(difference.interval(0.95).exp()))
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

fn answer(record: &Record, contest: &Contest) -> Answer {
    let indices = |of: &[usize]| of.iter().map(|one| *one as u32).collect::<Vec<u32>>();
    let Some(best) = contest.best else {
        let mut open: Vec<usize> = contest.equals.iter().chain(&contest.unresolved).copied().collect();
        open.sort_by_key(|one| simplicity(record, *one));
        return Answer { unresolved: indices(&open), confidence: Some(contest.confidence()), ..no_answer() };
    };
    let ties: Vec<usize> = contest.equals.iter().copied().filter(|one| *one != best).collect();
    let mut models: Vec<Model> = contest.equals.iter().map(|one| record.candidates[*one].candidate.model()).collect();
    models.sort_unstable();
    models.dedup();
    let lead = contest.runner_up.and_then(|runner_up| {
        let Interval { value, low, high } = contest.rival(runner_up)?.difference?.interval(0.95);
        estimate(Interval { value: -value, low: -high, high: -low }.exp())
    });
    Answer {
        best: Some(best as u32),
        ties: indices(&ties),
        unresolved: indices(&contest.unresolved),
        models,
        lead,
        at_cap: is_at_cap(record, best),
        confidence: Some(contest.confidence()),
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
