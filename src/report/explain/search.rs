//! The search of each engine's best size.

use super::{Part, Section, blocks, counted, decisions, left, right, rounds, rounds_in_words};
use crate::analyze::{Group, Row, Status};
use crate::candidate::{Candidate, Sizes};
use crate::record::{Conclusion, Phase, Record, RuntimeCalibration, Warning};
use crate::report::grid::Paint;
use crate::report::scaling;
use crate::report::units::{NONE, count, rate};
use crate::report::words::{listed, plain, plus_minus};

/// Every size that was measured, engine by engine as planned, and which of them went on.
pub(super) fn section(record: &Record, group: &Group) -> Section {
    let mut rows: Vec<&Row> = group.rows.iter().collect();
    rows.sort_by_key(|row| {
        (position(record, row), row.candidate.engine, row.candidate.start_method, row.candidate.sizes)
    });
    let titles = vec![left("Candidate"), right("Tasks"), right("95 %"), right("Blocks"), left("What became of it")];
    let lines = rows.iter().map(|row| (cells(record, row), paint(row))).collect();
    let said = rounds_in_words(rounds(record, &group.runtime, Phase::Search));
    let mut parts =
        vec![Part::said(format!("{said}; throughput is over all blocks, `Blocks` are those of the search"))];
    if let Some(sentence) = record.calibration.runtime(&group.runtime).and_then(threads) {
        parts.insert(0, Part::said(sentence));
    }
    parts.push(Part::Table(titles, lines));
    parts.extend(cut(record, &group.runtime));
    parts.extend(group.curves.iter().map(|curve| Part::Said(scaling::label(curve), scaling::line(curve))));
    parts.extend(decisions::said(record, group, |phase| phase == Phase::Search));
    Section { heading: "Search: the best size of each engine".to_owned(), parts }
}

/// What two threads did beside one before the search, where that was measured.
fn threads(runtime: &RuntimeCalibration) -> Option<String> {
    let scaling = runtime.thread_scaling?;
    Some(format!(
        "before it: two threads run {} x as fast as one ({} to {})",
        count(scaling.ratio),
        count(scaling.low),
        count(scaling.high)
    ))
}

fn position(record: &Record, row: &Row) -> usize {
    let engine = Candidate { sizes: Sizes::default(), ..row.candidate.clone() };
    let is_it = |entry: &crate::plan::Entry| entry.candidate(Sizes::default()) == engine;
    record.plan.entries.iter().position(is_it).unwrap_or(usize::MAX)
}

fn cells(record: &Record, row: &Row) -> Vec<String> {
    let throughput = row.throughput_per_s;
    vec![
        row.candidate.short(),
        throughput.map_or(NONE.to_owned(), |it| rate(it.value)),
        throughput.map_or(NONE.to_owned(), plus_minus),
        blocks(record, row.index, Phase::Search).count().to_string(),
        outcome(record, row),
    ]
}

fn outcome(record: &Record, row: &Row) -> String {
    if let Status::Failed { reason } = &row.status {
        return format!("failed: {}", plain(reason));
    }
    let champion = record
        .decisions
        .iter()
        .find(|decision| matches!(decision.conclusion, Conclusion::Champion { candidate } if candidate == row.index));
    let finals = blocks(record, row.index, Phase::Final).count();
    match champion {
        Some(decision) => format!("chosen after round {}", u64::from(decision.round) + 1),
        None if finals > 0 => format!("may be as good: {} in the final", counted(finals, "block")),
        None => String::new(),
    }
}

/// Whose search the budget ended.
fn cut(record: &Record, runtime: &str) -> Option<Part> {
    let engines: Vec<String> = record
        .warnings
        .iter()
        .filter_map(|warning| match warning {
            Warning::SearchCut { runtime: of, engines } if of == runtime => Some(engines),
            _ => None,
        })
        .flatten()
        .map(|engine| plain(engine))
        .collect();
    let said = format!("the budget ended the search of {} before their best was found", listed(&engines, "and"));
    (!engines.is_empty()).then(|| Part::said(said))
}

fn paint(row: &Row) -> Paint {
    match row.status {
        Status::Failed { .. } => Paint::Bad,
        Status::Superseded => Paint::Faint,
        _ => Paint::Plain,
    }
}
