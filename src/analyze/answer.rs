//! The answer of one runtime: the decision, made again from what the record holds.

use super::figures::Figures;
use super::limit::{limit, task};
use super::{
    Alternative, Answer, AsGood, Condition, Estimate, Group, Row, Status, far_limit, leaving, library_threads, pareto,
    reasons, scaling,
};
use crate::candidate::{Candidate, Model, Simplicity};
use crate::decide::{CONFIDENCE, Decide, Finding, RULES_VERSION, Standing, TurnOutcome, rough_loss};
use crate::plan::Entry;
use crate::protocol::BlockKind;
use crate::record::{BlockRecord, CandidateRecord, ExitReason, FailedTasks, RaceRecord, Record, observation};
use crate::units::{self, written_duration, written_percent, written_size};
use crate::workload::ErrorLimit;

/// Below this chance to be good enough a candidate is called worse: lucky first blocks must not condemn an equal.
const TO_BE_WORSE: f64 = 0.01;

/// The group of one runtime: its candidates' figures, compared.
pub(super) fn group(record: &Record, runtime: &str, mut figures: Vec<Figures>, disturbed: &[Condition]) -> Group {
    for one in &mut figures {
        one.row.status = status_alone(record, &one.row);
    }
    let sound: Vec<Figures> = figures.iter().filter(|one| !one.row.has_failed()).cloned().collect();
    // What a cluster computes, it computes elsewhere.
    let here: Vec<Figures> = sound.iter().filter(|one| one.row.candidate.model() != Model::Cluster).cloned().collect();
    let task = task(record, &here);
    let limit = limit(record, &task);
    let race = record.races.iter().find(|race| race.runtime == runtime);
    let found = race.and_then(|race| Some((replay(record, race)?, race))).filter(|(found, race)| {
        // One candidate beside others that never ran was compared with nothing. Where all others failed or broke a limit, it
        // is what works.
        found.standings.len() > 1 || others_are_out(record, race, found)
    });
    let mut rows: Vec<Row> = figures.into_iter().map(|one| one.row).collect();
    for row in &mut rows {
        let is_here = row.candidate.model() != Model::Cluster;
        let reached = row.throughput_per_s.zip(limit.as_ref()).filter(|_| is_here);
        let share = reached.map(|(throughput, limit)| throughput.value / limit.throughput_per_s);
        row.limit_share = share.filter(|share| share.is_finite());
    }
    let tolerance = record.workload.objective.tolerance();
    if let Some((found, race)) = &found {
        place(&mut rows, &placed(found, race), tolerance.ln_1p());
    }
    pareto::mark(&mut rows);
    let curves = scaling::curves(record, &rows, tolerance.ln_1p());
    rows.sort_by(|a, b| order(a).0.cmp(&order(b).0).then(order(b).1.total_cmp(&order(a).1)));
    let far_limit = far_limit::of(record, runtime);
    let deviation = found.as_ref().map(|(found, _)| found.deviation);
    let answer = found.map(|(found, race)| {
        let found = placed(&found, race);
        let mut answer = answer(record, &rows, &found);
        answer.reasons = reasons::reasons(record, &rows, &answer, limit.as_ref(), &task);
        answer.conditions = reasons::conditions(record, &rows, &answer, &found, race, limit.as_ref(), disturbed);
        answer.conditions.extend(far_limit.clone().map(Condition::FarLimit));
        answer
    });
    let leaving = leaving::of(record, runtime, &rows, &task);
    Group { runtime: runtime.to_owned(), answer, limit, far_limit, deviation, rows, curves, leaving }
}

/// Whether each entry of a race failed or broke a limit, but for that of what is named.
fn others_are_out(record: &Record, race: &RaceRecord, found: &Finding) -> bool {
    let first = race.first_candidate as usize;
    let of_race = || record.candidates.iter().enumerate().skip(first);
    let named = record.candidates.get(first + found.named);
    let has_left = |index: usize| record.exits.iter().any(|exit| exit.candidate as usize == index);
    let is_of = |entry: &Entry, place: &CandidateRecord| entry.candidate(place.candidate.sizes) == place.candidate;
    let is_named = |entry: &Entry| named.is_some_and(|place| is_of(entry, place));
    let is_out = |entry: &Entry| {
        of_race().any(|(index, place)| is_of(entry, place) && (place.failure.is_some() || has_left(index)))
    };
    race.entries.iter().all(|entry| is_named(entry) || is_out(entry))
}

/// The finding with the record's indices instead of the race's.
fn placed(found: &Finding, race: &RaceRecord) -> Finding {
    let base = race.first_candidate as usize;
    let mut found = found.clone();
    found.named += base;
    found.may_be_simpler = found.may_be_simpler.map(|one| one + base);
    for standing in &mut found.standings {
        standing.candidate += base;
    }
    found
}

/// The most sizes that an entry may have in all: no plan has more, and a file may say anything.
const MOST_SIZES: usize = 1 << 16;

/// Whether the sizes of each entry are as many as a race can compare.
fn can_be_compared(race: &RaceRecord) -> bool {
    let sizes = |entry: &Entry| {
        let ladders = [&entry.in_flight, &entry.workers, &entry.chunk];
        ladders.into_iter().fold(1_usize, |sizes, ladder| sizes.saturating_mul(ladder.len().max(1)))
    };
    race.entries.iter().chain(&race.alternates).all(|entry| sizes(entry) <= MOST_SIZES)
}

/// Feeds the race what it was fed, in the same order, and lets it look where it looked. `None` where nothing could be
/// compared, or where the record was made under other rules.
fn replay(record: &Record, race: &RaceRecord) -> Option<Finding> {
    if race.rules_version != RULES_VERSION || !can_be_compared(race) {
        return None;
    }
    let base = race.first_candidate as usize;
    let mut decide = Decide::new(&race.entries, &race.alternates, race.rules);
    let of_race = record.candidates.get(base..)?.iter().take_while(|one| one.candidate.runtime == race.runtime);
    for one in of_race {
        decide.enter(&one.candidate)?;
    }
    // Looks and exits name rounds that are there, or the first before there is one.
    let mut rounds = 0..u32::try_from(record.rounds.len().max(1)).unwrap_or(u32::MAX);
    for look in &race.looks {
        for round in rounds.by_ref().take_while(|round| *round <= look.round) {
            feed(record, race, round, &mut decide);
            if round == look.round {
                break;
            }
        }
        decide.look(look.elapsed_ns);
    }
    // Who went out afterwards, where runtimes meet, is not named.
    if let Some(last) = race.looks.last() {
        let later = record.exits.iter().filter(|exit| exit.round > last.round);
        for exit in later {
            let place =
                record.candidates.get(exit.candidate as usize).filter(|one| one.candidate.runtime == race.runtime);
            let Some((place, one)) = place.zip((exit.candidate as usize).checked_sub(base)) else { continue };
            let outcome = match exit.reason {
                ExitReason::Infeasible => TurnOutcome::Infeasible,
                reason => place.failed_outcome(reason),
            };
            decide.feed(one, outcome);
        }
        decide.look(last.elapsed_ns);
    }
    decide.finding()
}

/// Feeds what one round of a race came to.
fn feed(record: &Record, race: &RaceRecord, round: u32, decide: &mut Decide) {
    let base = race.first_candidate as usize;
    let is_voided = record.rounds.get(round as usize).is_none_or(|round| round.voided);
    let exits = || record.exits.iter().filter(move |exit| exit.round == round);
    let within = |index: u32| (index as usize).checked_sub(base);
    // As the session does: who failed is out at once, the others are told at the round's end.
    for exit in exits().filter(|exit| exit.reason != ExitReason::Infeasible) {
        if let Some(one) = within(exit.candidate) {
            let place = record.candidates.get(exit.candidate as usize);
            decide.feed(one, place.map_or(TurnOutcome::Failed, |place| place.failed_outcome(exit.reason)));
        }
    }
    if is_voided {
        return;
    }
    let order = record.rounds.get(round as usize).map(|round| round.order.as_slice()).unwrap_or_default();
    for index in order {
        let Some(one) = within(*index) else { continue };
        let is_out = exits().any(|exit| exit.candidate == *index && exit.reason == ExitReason::Infeasible);
        let outcome = if is_out { TurnOutcome::Infeasible } else { outcome(record, race, *index as usize, round) };
        decide.feed(one, outcome);
    }
}

fn outcome(record: &Record, race: &RaceRecord, index: usize, round: u32) -> TurnOutcome {
    let Some(place) = record.candidates.get(index) else { return TurnOutcome::Unknown };
    let is_it = |block: &&BlockRecord| block.round == Some(round) && block.figures.kind == BlockKind::Timed;
    let Some(block) = place.blocks.iter().find(is_it) else { return TurnOutcome::Unknown };
    let memory_bytes = place.memory_bytes(block.life, record.calibration.baseline_bytes(&place.candidate.runtime));
    let goal = record.workload.objective.goal;
    observation(goal, place, block, memory_bytes, race.rules.tasks).map_or(TurnOutcome::Unknown, TurnOutcome::Observed)
}

/// The ratio of this logarithm. Beyond any ratio that is measured it is cut: a record that was made by hand may hold
/// anything, and JSON knows no infinity.
fn ratio(logarithm: f64) -> f64 {
    const LARGEST: f64 = 20.0;
    logarithm.clamp(-LARGEST, LARGEST).exp()
}

fn answer(record: &Record, rows: &[Row], found: &Finding) -> Answer {
    let named = &record.candidates[found.named].candidate;
    let Candidate { runtime, engine, start_method, library_threads, sizes } = named;
    Answer {
        model: named.model(),
        engine: *engine,
        start_method: *start_method,
        library_threads: *library_threads,
        library_variables: library_threads.map(|_| library_threads::variables(record, runtime)).unwrap_or_default(),
        workers: sizes.workers,
        in_flight: sizes.in_flight,
        chunk: sizes.chunk,
        candidate: found.named as u32,
        may_cost: may_cost(record, runtime, found),
        confidence: CONFIDENCE,
        tried: found.standings.len() as u32,
        as_good: as_good(record, rows, found),
        next_model: next_model(record, found),
        reasons: Vec::new(),
        conditions: Vec::new(),
    }
}

/// What an answer may cost. It is rough where blocks missed tasks, or were of calls that a cache answers.
fn may_cost(record: &Record, runtime: &str, found: &Finding) -> f64 {
    let is_of_others = record.few_long(runtime).is_some() || reasons::cached(record, runtime).is_some();
    let least = if is_of_others { rough_loss(record.workload.objective.tolerance()) } else { 0.0 };
    ratio(found.loss.max(least)) - 1.0
}

/// What is as good and less simple, one size an engine, simplest first.
fn as_good(record: &Record, rows: &[Row], found: &Finding) -> Vec<AsGood> {
    let named = record.candidates[found.named].candidate.simplicity();
    let is_as_good = |row: &&Row| row.status == Status::AsGood && row.candidate.simplicity() > named;
    let mut good: Vec<(Simplicity, AsGood)> = rows
        .iter()
        .filter(is_as_good)
        .filter_map(|row| {
            let standing = found.standings.iter().find(|it| it.candidate == row.index as usize)?;
            let simplicity = record.candidates[standing.candidate].candidate.simplicity();
            Some((simplicity, AsGood { candidate: row.index, may_cost: ratio(standing.loss) - 1.0 }))
        })
        .collect();
    good.sort_by_key(|(simplicity, _)| *simplicity);
    good.into_iter().map(|(_, good)| good).collect()
}

/// The best of each other model, best first.
fn next_model(record: &Record, found: &Finding) -> Vec<Alternative> {
    let model = |one: usize| record.candidates[one].candidate.model();
    let mut best: Vec<&Standing> = Vec::new();
    for standing in &found.standings {
        let of = model(standing.candidate);
        match best.iter_mut().find(|known| model(known.candidate) == of) {
            Some(known) if known.ratio < standing.ratio => *known = standing,
            Some(_) => {}
            None if of == model(found.named) => {}
            None => best.push(standing),
        }
    }
    best.sort_by(|one, other| other.ratio.total_cmp(&one.ratio));
    let alternative = |standing: &Standing| Alternative {
        model: model(standing.candidate),
        candidate: standing.candidate as u32,
        ratio: ratio(standing.ratio),
        low: ratio(standing.low),
        high: ratio(standing.high),
    };
    best.into_iter().map(alternative).collect()
}

/// Gives each row its status beside the others, and its ratio to what is named. Of an engine one size stands for it:
/// what is named, else the simplest that is as good, else the best.
fn place(rows: &mut [Row], found: &Finding, tolerance: f64) {
    let standing = |row: &Row| found.standings.iter().find(|it| it.candidate == row.index as usize);
    let mut order: Vec<usize> = (0..rows.len()).filter(|at| standing(&rows[*at]).is_some()).collect();
    let is_named = |row: &&Row| row.index as usize == found.named;
    let Some(named) = rows.iter().find(is_named).map(|row| row.candidate.simplicity()) else { return };
    let rank = |row: &Row| {
        let it = standing(row).copied();
        let is_named = row.index as usize == found.named;
        let is_good = it.is_some_and(|it| it.loss <= tolerance) && (is_named || row.candidate.simplicity() > named);
        (!is_named, !is_good, if is_good { 0.0 } else { -it.map_or(0.0, |it| it.ratio) })
    };
    order.sort_by(|a, b| {
        let (one, other) = (rank(&rows[*a]), rank(&rows[*b]));
        let simpler = rows[*a].candidate.simplicity().cmp(&rows[*b].candidate.simplicity());
        (one.0, one.1).cmp(&(other.0, other.1)).then(one.2.total_cmp(&other.2)).then(simpler)
    });
    let mut engines = Vec::new();
    for at in order {
        let Some(it) = standing(&rows[at]).copied() else { continue };
        let row = &mut rows[at];
        row.relative = Some(Estimate { value: ratio(it.ratio), low: ratio(it.low), high: ratio(it.high) });
        if row.status != Status::Superseded {
            continue;
        }
        let engine = row.candidate.without_sizes();
        if engines.contains(&engine) {
            continue;
        }
        engines.push(engine);
        row.status = match () {
            () if row.index as usize == found.named => Status::Best,
            // What is simpler, and is not named, is not known well enough.
            () if it.loss <= tolerance && row.candidate.simplicity() > named => Status::AsGood,
            () if it.chance < TO_BE_WORSE => Status::Worse,
            () => Status::Open,
        };
    }
}

/// What a candidate is whatever the others are.
fn status_alone(record: &Record, row: &Row) -> Status {
    let place = &record.candidates[row.index as usize];
    if let Some(failure) = &place.failure {
        return Status::Failed { reason: failure.to_string() };
    }
    let is_out = record.exits.iter().any(|exit| exit.candidate == row.index && exit.reason == ExitReason::Infeasible);
    let limits = record.workload.objective.limits;
    if let (Some(p99), Some(most)) = (row.service.p99_ns, limits.p99_ns)
        && p99 > most
    {
        let reason = format!("p99 is {}, the limit is {}", units::duration(p99 as f64), written_duration(most));
        return Status::Infeasible { reason };
    }
    if let (Some(memory), Some(most)) = (row.memory_bytes, limits.memory_bytes)
        && memory > most
    {
        let (memory, most) = (units::bytes(memory), written_size(most));
        return Status::Infeasible { reason: format!("memory is {memory}, the limit is {most}") };
    }
    let failed = place.failed_tasks();
    if limits.errors.is_broken(failed.errors, failed.tasks) {
        return Status::Infeasible { reason: too_many_failed(failed, limits.errors) };
    }
    if is_out {
        return Status::Infeasible { reason: "it broke a limit of the objective in a block".to_owned() };
    }
    Status::Superseded
}

fn too_many_failed(failed: FailedTasks<'_>, limit: ErrorLimit) -> String {
    let FailedTasks { errors, tasks, first } = failed;
    let share = units::percent(errors as f64 / tasks.max(1) as f64);
    let limit = match limit {
        ErrorLimit::Tasks(most) => most.to_string(),
        ErrorLimit::Share(most) => written_percent(most),
    };
    let first = first.map_or_else(String::new, |first| format!(": {first}"));
    format!("{errors} of {tasks} tasks failed ({share}), the limit is {limit}{first}")
}

/// Best first, then by what they reached, then those that are out.
fn order(row: &Row) -> (u8, f64) {
    let class = match row.status {
        Status::Best => 0,
        Status::AsGood | Status::Open | Status::Worse => 1,
        Status::Superseded => 2,
        Status::Infeasible { .. } => 3,
        Status::Failed { .. } => 4,
    };
    let reached = || row.throughput_per_s.map_or(f64::NEG_INFINITY, |throughput| throughput.value);
    let relative = row.relative.filter(|_| class == 1).map(|relative| relative.value);
    (class, relative.unwrap_or_else(reached))
}

/// The models of an answer and of what is as good, simplest first, each once.
#[must_use]
pub fn models(record: &Record, answer: &Answer) -> Vec<Model> {
    let model = |one: u32| record.candidates.get(one as usize).map(|place| place.candidate.model());
    let good = answer.as_good.iter().filter_map(|good| model(good.candidate));
    let mut models: Vec<Model> = std::iter::once(answer.model).chain(good).collect();
    models.sort_unstable();
    models.dedup();
    models
}
