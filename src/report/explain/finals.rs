//! The final: who met, what was concluded, and what the rule makes of the intervals.

use std::collections::BTreeSet;

use super::{Part, Section, blocks, counted, decisions, left, right, rounds, rounds_in_words};
use crate::analyze::{Group, Row, Status};
use crate::record::{Phase, Record};
use crate::report::Judged;
use crate::report::grid::Paint;
use crate::report::units::{NONE, bytes, difference, duration, percent, rate};
use crate::report::words::{goal, plain, plus_minus};

/// The final itself, who is out for a limit or a fault, and the comparison.
pub(super) fn sections(judged: &Judged, group: &Group) -> Vec<Section> {
    let record = &judged.record;
    let met: Vec<&Row> =
        group.rows.iter().filter(|row| blocks(record, row.index, Phase::Final).next().is_some()).collect();
    vec![
        Section { heading: "Final: the engines' best, interleaved".to_owned(), parts: meeting(record, group, &met) },
        Section { heading: "Limits broken, and failures".to_owned(), parts: out(group) },
        comparison(judged, group, &met),
    ]
}

fn meeting(record: &Record, group: &Group, met: &[&Row]) -> Vec<Part> {
    let concluded = decisions::said(record, group, |phase| phase != Phase::Search);
    if met.is_empty() {
        let said = Part::said("there was none: nobody was measured in one".to_owned());
        return [said].into_iter().chain(concluded).collect();
    }
    let said = rounds_in_words(rounds(record, &group.runtime, Phase::Final));
    let started = match met.iter().map(|row| lives(record, row)).sum() {
        1 => "1 life".to_owned(),
        many => format!("{many} lives"),
    };
    let titles = vec![
        left("Candidate"),
        right("Blocks"),
        right("Lives"),
        right("Tasks"),
        right("95 %"),
        right("p99"),
        right("Memory"),
    ];
    let cells = |row: &Row| {
        vec![
            row.candidate.short(),
            blocks(record, row.index, Phase::Final).count().to_string(),
            lives(record, row).to_string(),
            row.throughput_per_s.map_or(NONE.to_owned(), |it| rate(it.value)),
            row.throughput_per_s.map_or(NONE.to_owned(), plus_minus),
            row.service.p99_ns.map_or(NONE.to_owned(), |time| duration(time as f64)),
            row.memory_bytes.map_or(NONE.to_owned(), bytes),
        ]
    };
    let rows = met.iter().map(|row| (cells(row), Paint::Plain)).collect();
    let mut parts = vec![
        Part::said(format!("{said}, {}, {started}; figures are over all blocks", counted(met.len(), "candidate"))),
        Part::Table(titles, rows),
    ];
    parts.extend(concluded);
    parts
}

/// How often a candidate was started for the blocks that it ran in the final.
fn lives(record: &Record, row: &Row) -> usize {
    blocks(record, row.index, Phase::Final).map(|block| block.incarnation).collect::<BTreeSet<u32>>().len()
}

fn out(group: &Group) -> Vec<Part> {
    let reasons = group.rows.iter().filter_map(|row| match &row.status {
        Status::Infeasible { reason } => Some((row, "breaks a limit", reason)),
        Status::Failed { reason } => Some((row, "failed", reason)),
        _ => None,
    });
    reasons
        .map(|(row, what, reason)| Part::said(format!("`{}` {what}: {}", row.candidate.short(), plain(reason))))
        .collect()
}

/// Every rival beside the best, or beside the one that leads where none is best.
fn comparison(judged: &Judged, group: &Group, met: &[&Row]) -> Section {
    let margin = judged.verdict.margin;
    let reference = if group.answer.best.is_some() { "best" } else { "leader" };
    let rivals: Vec<&&Row> =
        met.iter().filter(|row| row.relative.is_some() || row.status == Status::Unresolved).collect();
    let heading = format!("Each against the {reference}, in {}", goal(judged.record.workload.objective.goal));
    if rivals.is_empty() {
        return Section { heading, parts: Vec::new() };
    }
    let titles =
        vec![left("Candidate"), right("Difference"), right("95 % interval"), left("What the rule makes of it")];
    let cells = |row: &Row| {
        let interval = row.relative.filter(|_| !is_reference(row));
        vec![
            row.candidate.short(),
            interval.map_or(NONE.to_owned(), |it| difference(it.value)),
            interval.map_or(NONE.to_owned(), |it| format!("{} to {}", difference(it.low), difference(it.high))),
            rule(row, margin),
        ]
    };
    let rows = rivals.into_iter().map(|row| (cells(row), paint(row))).collect();
    let said = format!(
        "paired within rounds, more is better; within {} below and {} above it is as good in practice",
        percent(1.0 - 1.0 / (1.0 + margin)),
        percent(margin)
    );
    Section { heading, parts: vec![Part::said(said), Part::Table(titles, rows)] }
}

/// Whether this is the one that all are compared with.
fn is_reference(row: &Row) -> bool {
    row.relative.is_some_and(|it| it.value == 1.0 && it.low == it.high)
}

/// What the rule makes of a row, and where its interval lies, if that is the reason. The rule looks at the leader,
/// which need not be the best, and at narrower or wider intervals, so the interval may not be the whole reason.
fn rule(row: &Row, margin: f64) -> String {
    let (lowest, highest) = (1.0 / (1.0 + margin), 1.0 + margin);
    let said = match (&row.status, row.relative) {
        (Status::Best, _) => "the best",
        (_, Some(_)) if is_reference(row) => "undecided: it leads, but is not named the best",
        (Status::Tied, Some(it)) if it.low >= lowest && it.high <= highest => {
            "tied: the interval lies inside the margin"
        }
        (Status::Tied, _) => "tied: beside the leader nothing is beyond the margin",
        (Status::Worse, Some(it)) if it.high < lowest => "worse: the whole interval lies beyond the margin",
        (Status::Worse, Some(it)) if it.high < 1.0 => "worse: the whole interval lies below",
        (Status::Worse, _) => "worse than the leader",
        (Status::Unresolved, Some(it)) if it.low < lowest || it.high > highest => {
            "undecided: the interval reaches beyond the margin"
        }
        (Status::Unresolved, _) => "undecided: there is too little to go by",
        (Status::Infeasible { .. }, _) => "out: it breaks a limit",
        (Status::Failed { .. }, _) => "out: it failed",
        (Status::Superseded, _) => "not compared",
    };
    said.to_owned()
}

fn paint(row: &Row) -> Paint {
    match row.status {
        Status::Best | Status::Tied => Paint::Good,
        Status::Infeasible { .. } | Status::Failed { .. } => Paint::Bad,
        _ => Paint::Plain,
    }
}
