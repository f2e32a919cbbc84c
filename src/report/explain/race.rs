//! How the answer became what it is: what was named when, who went out, and how everyone stands.

use super::{Judged, Part, Section, counted, left, name, right};
use crate::analyze::{Group, Row, Status};
use crate::record::{ExitReason, Look, RaceRecord};
use crate::report::grid::Paint;
use crate::report::sureness::at_most;
use crate::report::words::status;
use crate::units::{NONE, difference, duration, percent};

/// Looks that are told at most: the first, the last, and those at which something else was named come first.
const LOOKS: usize = 8;
/// Exits that are told at most.
const EXITS: usize = 6;
/// Candidates that are told at most.
const CANDIDATES: usize = 12;

/// The story of one runtime's race.
pub(super) fn sections(judged: &Judged, group: &Group) -> Vec<Section> {
    let Some(race) = judged.record.races.iter().find(|race| race.runtime == group.runtime) else { return Vec::new() };
    vec![looks(judged, race), exits(judged, race), standings(group)]
}

fn looks(judged: &Judged, race: &RaceRecord) -> Section {
    let titles = vec![right("After"), right("Tried"), right("May cost"), left("Named")];
    let began_ns = race.rules.deadline_ns.saturating_sub(race.rules.budget_ns);
    let cells = |look: &Look| {
        vec![
            duration(look.elapsed_ns.saturating_sub(began_ns) as f64),
            look.tried.to_string(),
            look.may_cost.map_or(NONE.to_owned(), at_most),
            look.named.map_or(NONE.to_owned(), |named| name(&judged.record, named).replace('`', "")),
        ]
    };
    let told = told(&race.looks);
    let mut parts = vec![Part::said(format!(
        "{} of {} engines; each look asks which simple candidate nothing beats by more than {}",
        counted(race.looks.len(), "look"),
        race.entries.len(),
        percent(race.rules.tolerance)
    ))];
    parts.push(Part::Table(titles, told.into_iter().map(|look| (cells(look), Paint::Plain)).collect()));
    Section { heading: "The answer as it became".to_owned(), parts }
}

/// The looks that tell most: where what is named changes, and of the others evenly spread ones.
fn told(looks: &[Look]) -> Vec<&Look> {
    let is_change = |at: usize| at == 0 || at + 1 == looks.len() || looks[at - 1].named != looks[at].named;
    let mut chosen: Vec<usize> = (0..looks.len()).filter(|at| is_change(*at)).collect();
    if chosen.len() > LOOKS {
        let last = chosen.len() - (LOOKS - 1);
        chosen.drain(1..last);
    }
    let step = (looks.len() / LOOKS).max(1);
    for at in (0..looks.len()).step_by(step) {
        if chosen.len() < LOOKS && !chosen.contains(&at) {
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|at| &looks[at]).collect()
}

fn exits(judged: &Judged, race: &RaceRecord) -> Section {
    let is_own = |index: u32| {
        judged.record.candidates.get(index as usize).is_some_and(|place| place.candidate.runtime == race.runtime)
    };
    let mut parts = Vec::new();
    let own: Vec<_> = judged.record.exits.iter().filter(|exit| is_own(exit.candidate)).collect();
    for exit in own.iter().take(EXITS) {
        let why = match exit.reason {
            ExitReason::Infeasible => "broke a limit",
            ExitReason::Failed | ExitReason::Faulty => "failed",
        };
        let sentence = format!("{} {why} in round {}", name(&judged.record, exit.candidate), exit.round + 1);
        parts.push(Part::said(sentence));
    }
    if own.len() > EXITS {
        parts.push(Part::said(format!("and {} more", own.len() - EXITS)));
    }
    Section { heading: "Who went out".to_owned(), parts }
}

fn standings(group: &Group) -> Section {
    let titles =
        vec![left("Candidate"), right("Blocks"), right("Against it"), right("95 % interval"), left("Standing")];
    let mut rows: Vec<&Row> = group.rows.iter().filter(|row| row.relative.is_some()).collect();
    rows.sort_by_key(|row| row.status == Status::Superseded);
    let hidden = rows.len().saturating_sub(CANDIDATES);
    let cells = |row: &&Row| {
        let relative = row.relative;
        let cells = vec![
            row.candidate.short(),
            row.blocks.to_string(),
            relative.map_or(NONE.to_owned(), |it| difference(it.value)),
            relative.map_or(NONE.to_owned(), |it| format!("{} to {}", difference(it.low), difference(it.high))),
            status(&row.status).to_owned(),
        ];
        (cells, if row.status == Status::Best { Paint::Good } else { Paint::Plain })
    };
    let mut parts = Vec::new();
    if !rows.is_empty() {
        parts.push(Part::Table(titles, rows.iter().take(CANDIDATES).map(cells).collect()));
    }
    if hidden > 0 {
        parts.push(Part::said(format!("and {hidden} more: `run --all` shows them")));
    }
    if let Some(deviation) = group.deviation {
        parts.push(Part::said(format!(
            "blocks of one round vary by {} beside what their candidates differ by",
            percent(deviation)
        )));
    }
    Section { heading: "How each candidate stands".to_owned(), parts }
}
