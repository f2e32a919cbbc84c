//! What a race concluded as it went, in words.

use super::{Part, is_of, name};
use crate::analyze::{Group, Status};
use crate::record::{Conclusion, Decision, Phase, Record};
use crate::report::sureness;
use crate::report::units::{count, percent};
use crate::report::words::{self, plain};

/// Looks at one leader in a row.
struct Looks {
    first: Decision,
    last: Decision,
    count: usize,
}

/// What was concluded of a runtime's candidates after rounds of such a phase, in its order. Champions stand in the
/// search's table; looks in a row that found the same leader are one sentence. A round that the record has not is of
/// the final.
pub(super) fn said(record: &Record, group: &Group, is_phase: impl Fn(Phase) -> bool) -> Vec<Part> {
    let phase =
        |decision: &Decision| record.rounds.get(decision.round as usize).map_or(Phase::Final, |round| round.phase);
    let own = record
        .decisions
        .iter()
        .filter(|decision| is_phase(phase(decision)) && is_of(record, subject(&decision.conclusion), &group.runtime));
    let mut parts = Vec::new();
    let mut looks: Option<Looks> = None;
    for decision in own {
        match (&mut looks, decision.conclusion) {
            (Some(open), Conclusion::Look { leader, .. }) if subject(&open.last.conclusion) == leader => {
                open.last = *decision;
                open.count += 1;
                continue;
            }
            _ => parts.extend(looks.take().map(|open| looked(record, &open))),
        }
        match decision.conclusion {
            Conclusion::Look { .. } => looks = Some(Looks { first: *decision, last: *decision, count: 1 }),
            Conclusion::Champion { .. } => {}
            other => parts.push(Part::Said(after(decision.round), concluded(record, group, other))),
        }
    }
    parts.extend(looks.map(|open| looked(record, &open)));
    parts
}

/// Whom a conclusion is about.
fn subject(conclusion: &Conclusion) -> u32 {
    match conclusion {
        Conclusion::Champion { candidate }
        | Conclusion::Screened { candidate, .. }
        | Conclusion::Dropped { candidate, .. }
        | Conclusion::Returned { candidate }
        | Conclusion::Infeasible { candidate } => *candidate,
        Conclusion::Look { leader, .. } => *leader,
    }
}

fn after(round: u32) -> String {
    format!("After round {}:", u64::from(round) + 1)
}

fn concluded(record: &Record, group: &Group, conclusion: Conclusion) -> String {
    match conclusion {
        Conclusion::Screened { candidate, leader, ratio } => format!(
            "{} is out, screened: at {} of what {} reaches, which leads",
            name(record, candidate),
            count(ratio),
            name(record, leader)
        ),
        Conclusion::Dropped { candidate, leader, ratio, probability } => format!(
            "{} is out, dropped: at {} of what {} reaches, which leads; the probability that it is better beyond the margin is {}",
            name(record, candidate),
            count(ratio),
            name(record, leader),
            small(probability)
        ),
        Conclusion::Infeasible { candidate } => {
            let row = words::row(group, candidate);
            let reason = match row.map(|row| &row.status) {
                Some(Status::Infeasible { reason }) => format!(": {}", plain(reason)),
                _ => String::new(),
            };
            format!("{} is out, it breaks a limit{reason}", name(record, candidate))
        }
        Conclusion::Returned { candidate } => {
            format!("{} is in again: it may be better than who leads now", name(record, candidate))
        }
        Conclusion::Champion { candidate } => format!("{} goes into the final", name(record, candidate)),
        Conclusion::Look { leader, confidence, contenders } => {
            format!(
                "{} leads among {contenders}, confidence {}",
                name(record, leader),
                sureness::confidence(confidence)
            )
        }
    }
}

fn looked(record: &Record, looks: &Looks) -> Part {
    let (first, last) = (looks.first, looks.last);
    let (
        Conclusion::Look { leader, confidence, contenders },
        Conclusion::Look { confidence: now, contenders: left, .. },
    ) = (first.conclusion, last.conclusion)
    else {
        return Part::said(String::new());
    };
    let range = |from: String, to: String| if from == to { from } else { format!("{from}, then {to}") };
    let label = if looks.count == 1 {
        after(first.round)
    } else {
        format!("After rounds {} to {}:", u64::from(first.round) + 1, u64::from(last.round) + 1)
    };
    let often = if looks.count == 1 { String::new() } else { format!(" at {} looks", looks.count) };
    let sentence = format!(
        "{} leads{often}, among {}; confidence {}",
        name(record, leader),
        range(contenders.to_string(), left.to_string()),
        range(sureness::confidence(confidence), sureness::confidence(now))
    );
    Part::Said(label, sentence)
}

/// A probability that may be very small.
fn small(probability: f64) -> String {
    if probability < 0.001 { "below 0.1 %".to_owned() } else { percent(probability) }
}
