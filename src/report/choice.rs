//! "Choosing the Right Tool", as data: a section a runtime, a row a workload.

use super::text::listed;
use super::words::{row, runtime_name};
use super::{Judged, reasons, sureness};
use crate::analyze::{Answer, Condition, Group, Reason, Row, Sureness};
use crate::candidate::{Candidate, Model};
use crate::escape::plain;
use crate::units::{factor, percent};

/// What every row has a cell for.
pub(super) const TITLES: [&str; 6] = ["Workload", "Use", "Tool", "vs a loop", "May cost", "Why"];
/// Two threads scale by less than this where a global interpreter lock keeps one of them waiting.
const HELD: f64 = 1.2;

/// What one runtime should use, for each workload that was measured on it.
pub(super) struct Section {
    /// The name by which it is asked for.
    key: String,
    /// `python3.11: CPython 3.11.7, with a GIL`.
    pub(super) title: String,
    pub(super) rows: Vec<Choice>,
}

/// What one runtime should use for one workload.
pub(super) struct Choice {
    /// One of each of [`TITLES`].
    pub(super) cells: [String; 6],
    /// Whether there is an answer.
    pub(super) is_answered: bool,
    /// The place of its record among those that are shown.
    pub(super) place: usize,
}

/// The sections of these records, in the order in which runtimes appear.
pub(super) fn sections(all: &[Judged]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (place, judged) in all.iter().enumerate() {
        for group in &judged.verdict.groups {
            let choice = Choice { place, ..choice(judged, group) };
            match sections.iter_mut().find(|section| section.key == group.runtime) {
                Some(section) => section.rows.push(choice),
                None => sections.push(Section {
                    key: group.runtime.clone(),
                    title: runtime_title(judged, group),
                    rows: vec![choice],
                }),
            }
        }
    }
    sections
}

fn runtime_title(judged: &Judged, group: &Group) -> String {
    let name = runtime_name(judged, group);
    if name.eq_ignore_ascii_case(&group.runtime) { name } else { format!("{}: {name}", plain(&group.runtime)) }
}

fn choice(judged: &Judged, group: &Group) -> Choice {
    let workload = plain(&judged.record.workload.name);
    let named = group.answer.as_ref().and_then(|answer| Some((answer, row(group, answer.candidate)?)));
    let Some((answer, best)) = named else {
        let cells = [workload, "no answer".to_owned()].into_iter().chain(std::iter::repeat_n(String::new(), 4));
        let mut all: [String; 6] = Default::default();
        all.iter_mut().zip(cells).for_each(|(cell, text)| *cell = text);
        return Choice { cells: all, is_answered: false, place: 0 };
    };
    let sequential = group.rows.iter().find(|row| row.candidate.model() == Model::Sequential);
    let known = judged.record.calibration.runtime(&group.runtime);
    let default_method = known.and_then(|known| known.start_methods().first().copied());
    // The way to begin processes is told where it is not the one that they have by themselves.
    let start_method = best.candidate.start_method.filter(|method| default_method != Some(*method));
    let tool = Candidate { start_method, ..best.candidate.clone() };
    let is_loop = answer.model == Model::Sequential;
    Choice {
        cells: [
            workload,
            if is_loop { "a plain loop".to_owned() } else { answer.model.to_string() },
            if is_loop { String::new() } else { tool.short() },
            sequential.and_then(gain).map_or(String::new(), factor),
            // As the answer of one workload has it: what is this large says nothing.
            if answer.may_cost < 3.0 { sureness::at_most(answer.may_cost) } else { "unknown".to_owned() },
            why_in_short(answer),
        ],
        is_answered: true,
        place: 0,
    }
}

/// The best over this row, from their paired ratio; nothing where the row is the best, or equal to it.
fn gain(row: &Row) -> Option<f64> {
    row.relative.filter(|relative| relative.value > 0.0 && relative.value != 1.0).map(|relative| 1.0 / relative.value)
}

/// The reason that tells most, in a few words.
fn why_in_short(answer: &Answer) -> String {
    let short = |reason: &Reason| -> Option<(u8, String)> {
        let said = |rank, text: &str| Some((rank, text.to_owned()));
        match reason {
            Reason::RateReached { .. } => said(0, "rate reached"),
            Reason::SerialSection { is_lock: true, .. } => said(1, "one lock for all"),
            Reason::SerialSection { is_lock: false, .. } => said(1, "one consumer"),
            Reason::CallableCrosses { .. } => said(2, "large callable"),
            Reason::LibraryThreads { .. } => said(3, "library threads"),
            Reason::StartsPrograms { .. } => said(4, "starts programs"),
            Reason::Computes { two_threads: Some(ratio), two_threads_between, lock: Some(true), cores, .. }
                if *ratio < HELD && reasons::is_clear(*ratio, *two_threads_between, *cores) =>
            {
                said(5, "holds the GIL")
            }
            Reason::Computes { share, .. } => Some((5, format!("computes {}", whole(*share)))),
            Reason::Waits { overlap: Some(_), .. } => said(5, "few at a time"),
            Reason::Waits { share, .. } => Some((5, format!("waits {}", whole(*share)))),
            Reason::AllTasks { .. } => said(6, "start-up counts"),
            Reason::Stalls { .. } => said(7, "stalls the loop"),
            Reason::Pickling { .. } => said(8, "pickling"),
            Reason::Reaches { .. }
            | Reason::Skewed { .. }
            | Reason::FlipsWithCpu { .. }
            | Reason::FlipsWithSize { .. } => None,
        }
    };
    let found = answer.reasons.iter().filter_map(short).min_by_key(|(rank, _)| *rank);
    found.map(|(_, text)| text).unwrap_or_default()
}

/// A share in whole per cent, rounded down: little is not nothing.
fn whole(share: f64) -> String {
    percent((share * 100.0).floor() / 100.0)
}

/// What changes what the reader should do, a sentence each: with those to whom it applies before it.
pub(super) fn notes(all: &[Judged]) -> Vec<String> {
    let mut notes: Vec<(String, Vec<String>)> = Vec::new();
    let several = all.iter().any(|judged| judged.verdict.groups.len() > 1);
    for judged in all {
        for group in &judged.verdict.groups {
            let name = plain(&judged.record.workload.name);
            let who = if several { format!("{name} ({})", plain(&group.runtime)) } else { name };
            for sentence in sentences(judged, group) {
                match notes.iter_mut().find(|(known, _)| *known == sentence) {
                    Some((_, names)) if names.contains(&who) => {}
                    Some((_, names)) => names.push(who.clone()),
                    None => notes.push((sentence, vec![who.clone()])),
                }
            }
        }
    }
    notes.into_iter().map(|(sentence, names)| format!("{}: {sentence}", listed(&names, "and"))).collect()
}

fn sentences(judged: &Judged, group: &Group) -> Vec<String> {
    let Some(answer) = &group.answer else { return vec![format!("no answer: {}", reasons::why(judged, group))] };
    let is_rough = answer.sureness(judged.verdict.tolerance) == Sureness::Rough;
    let mut said: Vec<String> =
        answer.conditions.iter().filter_map(|condition| advice(judged, answer, condition, is_rough)).collect();
    let sets_before = answer.conditions.iter().any(|condition| matches!(condition, Condition::SetBeforeImport { .. }));
    if let (Some(threads), false) = (answer.library_threads, sets_before) {
        said.insert(0, format!("with {}", reasons::set_to(&answer.library_variables, threads)));
    }
    said.iter().map(|sentence| plain(sentence)).collect()
}

/// What a condition makes the reader do; `None` where it changes nothing, or stands in the row.
fn advice(judged: &Judged, answer: &Answer, condition: &Condition, is_rough: bool) -> Option<String> {
    match condition {
        Condition::OtherProcesses { .. } | Condition::StolenCpu { .. } => {
            Some("others used the CPUs meanwhile: measure again when the host is idle".to_owned())
        }
        Condition::BudgetSpent {} | Condition::NeighboursNotMeasured {} | Condition::MayBeSimpler { .. } => {
            is_rough.then(|| "rough: a longer --budget narrows it".to_owned())
        }
        Condition::AtCap { .. } | Condition::PaysFrom { .. } | Condition::UnreadableHistograms { .. } => None,
        Condition::CallsSpent {} => is_rough.then(|| reasons::condition(judged, answer, condition)),
        _ => Some(reasons::condition(judged, answer, condition)),
    }
}
